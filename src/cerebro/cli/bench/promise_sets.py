"""The labelled sets as tenants: every series of a set, or of a machine, watched together, and where each is quiet.

A sample is quiet where the set has labels and none lies within `NEAR_MS` of it. Times are the set's own. The series of
NAB lie years apart; each is moved by whole weeks into one week, so that hours and weekdays stay. Sets without times
(SMD, ASD, JumpStarter) begin on one Monday and go on at the interval that they are published with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cerebro.agents.support.model import SeriesName

WEEK_MS = 7 * 86_400_000
MONDAY_MS = 1_483_315_200_000  # 2017-01-02 00:00 UTC
NEAR_MS = 3 * 3_600_000
MACHINE_SETS = {"smd": 60_000, "asd": 300_000, "jumpstarter": 300_000}  # interval
SET_NAMES = ("nab", "kpi_aiops2018", "wsd", *MACHINE_SETS)


@dataclass(frozen=True, slots=True)
class Stream:
    """One series: columns of one length, in time order."""

    name: SeriesName
    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    quiet: NDArray[np.bool_]  # labelled, and nothing near


@dataclass(frozen=True, slots=True)
class Tenant:
    """Streams that are watched together under one budget."""

    kind: str  # the set, or the sort of simulated series
    name: str
    streams: tuple[Stream, ...]


def tenants_of(root: Path, kind: str, parts: list[str]) -> Iterator[Tenant]:
    """The tenants of one set, from every part present."""
    if kind in MACHINE_SETS:
        for part in parts:
            for file in sorted((root / kind / part).glob("*.parquet")):
                yield _machine(file, kind)
        return
    found = [file for part in parts if (file := root / kind / part / "series.parquet").exists()]
    streams = tuple(stream for file in found for stream in _streams(file, kind))
    if streams:
        yield Tenant(kind, kind, streams)


def parts_of(root: Path, kind: str, part: str = "") -> list[str]:
    """The part folders of a set, or the one that is asked for where it exists."""
    folders = [entry.name for entry in sorted((root / kind).glob("*")) if entry.is_dir()]
    return [name for name in folders if part in ("", name)]


def near(at_ms: NDArray[np.int64], label: NDArray[np.bool_], within_ms: int = NEAR_MS) -> NDArray[np.bool_]:
    """Whether a label lies within `within_ms` of each sample."""
    marked = at_ms[label]
    if not len(marked):
        return np.zeros(len(at_ms), np.bool_)
    after = np.searchsorted(marked, at_ms)
    behind = at_ms - marked[np.maximum(after - 1, 0)]
    ahead = marked[np.minimum(after, len(marked) - 1)] - at_ms
    return np.asarray((np.abs(behind) <= within_ms) | (np.abs(ahead) <= within_ms))


def name_of(number: int, metric: str, kind: str, entity: str) -> SeriesName:
    """A gauge of unknown unit, as the sets' series are."""
    return SeriesName(number + 1, number + 1, metric, (), "gauge", "", kind, entity)


def _streams(file: Path, kind: str) -> Iterator[Stream]:
    table = pq.read_table(file)
    series = np.array(table.column("series").to_pylist(), dtype=object)
    at_ms = _times(table, kind)
    value = table.column("value").to_numpy().astype(np.float64)
    label = table.column("label").to_numpy() > 0
    for number, name in enumerate(sorted(set(series))):
        mine = np.flatnonzero(series == name)
        mine = mine[np.argsort(at_ms[mine], kind="stable")]
        times = at_ms[mine]
        if kind == "nab":
            times = times + (MONDAY_MS - times[0] // WEEK_MS * WEEK_MS) // WEEK_MS * WEEK_MS
        quiet = ~near(times, label[mine])
        yield Stream(name_of(number, "value", "service", f"{file.parent.name}/{name}"), times, value[mine], quiet)


def _times(table: object, kind: str) -> NDArray[np.int64]:
    column = table.column("timestamp" if kind == "nab" else "ts").to_numpy()  # type: ignore[attr-defined]
    if kind == "nab":
        return np.asarray(column.astype("datetime64[ms]").astype(np.int64))
    return np.asarray(column.astype(np.int64) * 1000)


def _machine(file: Path, kind: str) -> Tenant:
    table = pq.read_table(file)
    split = np.array(table.column("split").to_pylist(), dtype=object)
    order = np.concatenate([np.flatnonzero(split == "train"), np.flatnonzero(split == "test")])
    at_ms = MONDAY_MS + np.arange(len(order), dtype=np.int64) * MACHINE_SETS[kind]
    label = table.column("label").to_numpy()[order] > 0
    quiet = (split[order] == "test") & ~near(at_ms, label)
    streams = tuple(
        Stream(name_of(number, metric, "host", file.stem), at_ms,
               table.column(metric).to_numpy()[order].astype(np.float64), quiet)
        for number, metric in enumerate(name for name in table.column_names if name[0] == "m" and name[1:].isdigit())
    )  # fmt: skip
    return Tenant(kind, file.stem, streams)
