"""`python -m cerebro.cli.bench.detection.bench [--part NAME] [--json FILE] [--write]`: measure, print, renew page."""

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

PAGE = "docs/reference/detection.md"
HEADING = "| set | metric | measured | 95 % | floor | goal | series | M samples/s a core | |"


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
    parser.add_argument("--write", action="store_true", help=f"Renew the table of {PAGE}.")
    asked = parser.parse_args()
    with failures():
        measured = measured_of(asked.part)
        show(measured)
        if asked.write:
            _write(Path(PAGE), table(measured))
    if asked.json:
        Path(asked.json).write_text(json.dumps([asdict(one) for one in measured], indent=1))


def show(measured: Sequence[Measured]) -> None:
    """The table, and what a series costs."""
    for line in table(measured):
        say(line)
    complain(f"{bytes_a_series()} bytes a series.")


def table(measured: Sequence[Measured]) -> list[str]:
    """The lines of the table of docs/reference/detection.md."""
    rows = [
        f"| {one.set_name} | {one.metric} | {one.value:.3g} | {one.low:.3g} … {one.high:.3g} | {one.floor:g} "
        f"| {one.goal:g} | {one.series_count} | {one.sample_count / max(one.seconds, 1e-9) / 1e6:.1f} | {one.note} |"
        for one in measured
    ]
    return [HEADING, "|---|---|---:|---:|---:|---:|---:|---:|---|", *rows]


def _write(page: Path, lines: Sequence[str]) -> None:
    """Put the table where the page has it.

    Raises:
        Invalid: The page holds no such table.
    """
    before, heading, after = page.read_text().partition(HEADING)
    if not heading:
        raise Invalid(f"{page} holds no table of figures.", "Run it where the repository's docs folder lies.")
    rest = after.splitlines()
    past = next((at for at, line in enumerate(rest[1:], 1) if not line.startswith("|")), len(rest))
    page.write_text(before + "\n".join([*lines, *rest[past:]]) + "\n")


if __name__ == "__main__":
    main()
