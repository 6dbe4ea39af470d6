"""`python -m cerebro.cli.bench.detection.bench [--part NAME] [--json FILE]`: measure, print."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cerebro.cli.bench.detection.metrics import Measured, bytes_a_series, measure
from cerebro.cli.bench.figure import Figure
from cerebro.cli.out import complain, failures, say
from cerebro.kernel.settings import datasets_dir
from cerebro.spine.errors import Invalid


def run(part: str = "") -> list[Figure]:
    """The figures that were asked for."""
    return [
        Figure(f"{one.set_name} {one.metric}", round(one.value, 4), "", one.floor, one.goal)
        for one in measured_of(part)
    ]


def measured_of(part: str) -> list[Measured]:
    """Measure on the folder that `CEREBRO_DATASETS` names.

    Raises:
        Invalid: It names none, or nothing lies there.
    """
    if (root := datasets_dir()) is None:
        raise Invalid("CEREBRO_DATASETS names no folder.", "docs/reference/detection.md says where the sets are.")
    if not (measured := measure(root / "aiops", part)):
        raise Invalid(f"No set lies under {root}.", "docs/reference/detection.md says how the folder looks.")
    return measured


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="The metric detector on public labelled sets.")
    parser.add_argument("--part", default="", help="Only the part folders of this name.")
    parser.add_argument("--json", default="", help="Write the figures there, too.")
    asked = parser.parse_args()
    with failures():
        measured = measured_of(asked.part)
        show(measured)
    if asked.json:
        Path(asked.json).write_text(json.dumps([asdict(one) for one in measured], indent=1))


def show(measured: Sequence[Measured]) -> None:
    """The table of docs/reference/detection.md."""
    say("| set | metric | measured | 95 % | floor | goal | series | samples/s a core | |")
    say("|---|---|---:|---:|---:|---:|---:|---:|---|")
    for one in measured:
        rate = one.sample_count / max(one.seconds, 1e-9)
        say(
            f"| {one.set_name} | {one.metric} | {one.value:.3g} | {one.low:.3g} … {one.high:.3g} | {one.floor:g} "
            f"| {one.goal:g} | {one.series_count} | {rate:,.0f} | {one.note} |"
        )
    complain(f"{bytes_a_series()} bytes a series.")


if __name__ == "__main__":
    main()
