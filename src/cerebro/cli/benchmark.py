"""`cerebro bench`: measure, print, write down."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cerebro.cli.bench.figure import Figure
from cerebro.cli.out import complain, say, table
from cerebro.spine.errors import Invalid

PAGE = Path("docs/reference/performance.md")
APART = ("cause", "promise", "detection", "templates", "sequences", "own")  # on public sets, or for an hour; by name


def run(name: str, *, as_lines: bool, write: bool) -> int:
    """Run one benchmark or all; 0 when every figure reaches its floor, 1 when one does not.

    Raises:
        Invalid: There is no benchmark of that name.
    """
    known = _benches()
    if name not in (*known, "all"):
        raise Invalid(f"There is no benchmark {name!r}.", f"Choose one of: all, {', '.join(known)}.")
    figures: list[Figure] = []
    for each in (every for every in known if every not in APART) if name == "all" else (name,):
        complain(f"measuring {each} …")
        figures += known[each]()
    _show(figures, as_lines=as_lines)
    if write:
        _write(figures)
    return int(any(figure.verdict == "missed" for figure in figures))


def _benches() -> Mapping[str, Callable[[], Sequence[Figure]]]:
    from cerebro.cli.bench import (
        api,
        cause,
        clicks,
        correlate,
        decode,
        detector,
        estate,
        freshness,
        ingest,
        own,
        promise,
        sequences,
        shop,
        start,
        store,
        templates,
        traces,
    )
    from cerebro.cli.bench.detection import bench

    modules = (
        cause,
        clicks,
        correlate,
        decode,
        detector,
        store,
        sequences,
        start,
        ingest,
        freshness,
        api,
        estate,
        own,
        promise,
        templates,
        traces,
        shop,
    )
    return {module.__name__.rpartition(".")[2]: module.run for module in modules} | {"detection": bench.run}


def _show(figures: Sequence[Figure], *, as_lines: bool) -> None:
    if as_lines:
        for figure in figures:
            say(json.dumps(asdict(figure)))
        return
    rows = [[f.name, plain(f.value), f.unit, plain(f.floor), plain(f.goal), f.verdict] for f in figures]
    table(["figure", "measured", "unit", "floor", "goal", "reached"], rows, "Nothing was measured.")


def _write(figures: Sequence[Figure]) -> None:
    known = _read() | {figure.name: asdict(figure) | {"verdict": figure.verdict} for figure in figures}
    lines = [
        "# Performance",
        "",
        "Each figure is measured by `cerebro bench NAME`; `cerebro bench all --write` writes this page. The last "
        f"machine had {os.cpu_count()} cores ({platform.machine()}), the load generator beside it on the same cores.",
        "",
        "| figure | measured | unit | floor | goal | reached |",
        "|---|---:|---|---:|---:|---|",
    ]
    lines += [
        "| "
        + " | ".join((f["name"], plain(f["value"]), f["unit"], plain(f["floor"]), plain(f["goal"]), f["verdict"]))
        + " |"
        for f in known.values()
    ]
    lines += ["", f"<!-- figures {json.dumps(list(known.values()))} -->", ""]
    PAGE.write_text("\n".join(lines))


def plain(value: float) -> str:
    """A figure as people write it.

    >>> plain(739604.0), plain(0.12), plain(21.3)
    ('739,604', '0.12', '21.3')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _read() -> dict[str, Mapping[str, Any]]:
    """The figures that the page holds already, so that one benchmark renews its own rows only."""
    if not PAGE.exists():
        return {}
    text = PAGE.read_text()
    start, end = text.find("<!-- figures "), text.rfind(" -->")
    return {f["name"]: f for f in json.loads(text[start + 13 : end])} if start >= 0 else {}
