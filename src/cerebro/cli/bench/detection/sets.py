"""The labelled metric sets, as columns: every part folder that is there, or the one that is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

MONDAY_MS = 1_483_315_200_000  # 2017-01-02 00:00 UTC, for sets that are published without times
MACHINE_SETS = {"smd": 60_000, "asd": 300_000, "jumpstarter": 300_000}  # interval, ms
KPI_SETS = ("kpi_aiops2018", "wsd")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One series, or all of one machine, in time order.

    Args:
        name: As published.
        at_ms: Unix time, int64, (n,).
        value: float64, (n, series).
        label: Above 0 where people say that it is strange, int8, (n,).
        judged: Whether the sample counts: the second half, by the publishers' own split; (n,).
        windows: First and last index of NAB's windows, int64, (window, 2); empty elsewhere.
    """

    name: str
    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    label: NDArray[np.int8]
    judged: NDArray[np.bool_]
    windows: NDArray[np.int64]


def folders_of(root: Path, kind: str, part: str) -> list[Path]:
    """The part folders of a set: all, or the one named."""
    return [entry for entry in sorted((root / kind).glob("*")) if entry.is_dir() and part in ("", entry.name)]


def read_kpis(root: Path, kind: str, part: str) -> Iterator[Labelled]:
    """The series of KPI 2018 or of WSD."""
    for folder in folders_of(root, kind, part):
        for name, rows in _by_series(pq.read_table(folder / "series.parquet")):
            at_ms = rows.column("ts").to_numpy().astype(np.int64) * 1000
            value = rows.column("value").to_numpy().astype(np.float64)[:, np.newaxis]
            yield Labelled(name, at_ms, value, _label(rows), _in_test(rows), _no_windows())


def read_nab(root: Path, part: str) -> Iterator[Labelled]:
    """The series of NAB with their windows."""
    for folder in folders_of(root, "nab", part):
        windows = pq.read_table(folder / "windows.parquet")
        for name, rows in _by_series(pq.read_table(folder / "series.parquet")):
            at_ms = _ms(rows, "timestamp")
            mine = windows.filter(pc.equal(windows.column("series"), name))
            limits = np.sort(np.stack([_ms(mine, "start"), _ms(mine, "end")], axis=1), axis=0)
            places = np.searchsorted(at_ms, limits)
            value = rows.column("value").to_numpy().astype(np.float64)[:, np.newaxis]
            yield Labelled(name, at_ms, value, _label(rows), np.ones(len(at_ms), np.bool_), places)


def read_machines(root: Path, kind: str, part: str) -> Iterator[Labelled]:
    """The machines of SMD or ASD, the services of JumpStarter."""
    for folder in folders_of(root, kind, part):
        for file in sorted(folder.glob("*.parquet")):
            rows = pq.read_table(file)
            metrics = [name for name in rows.column_names if name[0] == "m" and name[1:].isdigit()]
            value = np.stack([rows.column(name).to_numpy().astype(np.float64) for name in metrics], axis=1)
            at_ms = MONDAY_MS + np.arange(rows.num_rows, dtype=np.int64) * MACHINE_SETS[kind]
            yield Labelled(file.stem, at_ms, value, _label(rows), _in_test(rows), _no_windows())


def _by_series(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    names = table.column("series").cast(pa.string()).combine_chunks()
    for name in sorted(pc.unique(names).to_pylist()):
        yield name, table.filter(pc.equal(names, name))


def _label(rows: pa.Table) -> NDArray[np.int8]:
    return np.asarray(rows.column("label").to_numpy().astype(np.int8))


def _in_test(rows: pa.Table) -> NDArray[np.bool_]:
    return np.asarray(rows.column("split").cast(pa.string()).to_numpy(zero_copy_only=False) == "test")


def _ms(rows: pa.Table, column: str) -> NDArray[np.int64]:
    return np.asarray(rows.column(column).to_numpy().astype("datetime64[ms]").astype(np.int64))


def _no_windows() -> NDArray[np.int64]:
    return np.empty((0, 2), np.int64)
