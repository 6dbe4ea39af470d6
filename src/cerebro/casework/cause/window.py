"""The latest telemetry of one program in memory, for a Cerebro without a store: bounded by time."""

from collections import deque
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.algorithms.index import EMPTY, SeriesIndex
from cerebro.casework.cause.grid import on_grid
from cerebro.casework.cause.held import INTERVAL_MS, READ_LINES, READ_SPANS, Grid, Held, Series
from cerebro.casework.cause.stored import proof_of
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import EVENT_SCHEMA, INCREASES, SampleBatch

KEPT_MS = 45 * 60_000
READ = {"spans": READ_SPANS, "logs": READ_LINES, "events": EVENT_SCHEMA}


class WindowSource:
    """Keeps what it is given for `KEPT_MS` and answers from it; of one tenant."""

    def __init__(self) -> None:
        self._rows = SeriesIndex.empty()
        self._named: list[Series] = []
        self._samples: deque[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = deque()
        self._tables: dict[str, deque[tuple[int, pa.Table]]] = {kind: deque() for kind in READ}

    def note_samples(self, batch: SampleBatch) -> None:
        """Keep a batch; series that nobody has named are passed over."""
        self._name(batch.series)
        if not len(batch):
            return
        row = self._rows.find(batch.hi, batch.lo)
        fine = row != EMPTY
        self._samples.append(
            (int(batch.at_ms.max()), row[fine].astype(np.int64), batch.at_ms[fine].copy(), batch.value[fine].copy())
        )
        while self._samples and self._samples[0][0] < self._samples[-1][0] - KEPT_MS:
            self._samples.popleft()

    def note_table(self, kind: str, table: pa.Table) -> None:
        """Keep `spans`, `logs` or `events`."""
        if not table.num_rows:
            return
        kept = self._tables[kind]
        kept.append((int(table["at_ns"].to_numpy().max()) // 1_000_000, table.select(READ[kind].names)))
        while kept and kept[0][0] < kept[-1][0] - KEPT_MS:
            kept.popleft()

    async def interval_ms(self, tenant: TenantId, entities: Sequence[EntityKey], now_ms: int) -> int:
        """Everything here is sent at the same; see `Source`."""
        return INTERVAL_MS

    async def held(self, tenant: TenantId, entities: Sequence[EntityKey], grid: Grid) -> Held:
        """What there is; see `Source`."""
        wanted = set(entities)
        mean, last = self._gridded(grid)
        rows = [k for k, series in enumerate(self._named) if series.entity in wanted]
        spans, logs, events = (self._table(kind, grid) for kind in READ)
        counts = {"tracks": len(rows), "spans": spans.num_rows, "logs": logs.num_rows, "events": events.num_rows}
        return Held(
            grid,
            [self._named[k] for k in rows],
            mean[rows],
            last[rows],
            spans,
            logs,
            events,
            # what a store would have been asked: the same rows are told to it, where there is one
            {table: proof_of(table, grid, count) for table, count in counts.items()},
        )

    def _gridded(self, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        times = [grid.start_ms + k * grid.step_ms for k in range(grid.count)]
        parts = [part for part in self._samples if part[0] >= grid.start_ms]
        row = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
        at_ms = np.concatenate([part[2] for part in parts]) if parts else np.zeros(0, np.int64)
        value = np.concatenate([part[3] for part in parts]) if parts else np.zeros(0)
        mean = on_grid(row, at_ms, value, len(self._named), times)
        last = np.full(mean.shape, np.nan)
        cell = (at_ms - grid.start_ms) // grid.step_ms
        inside = (cell >= 0) & (cell < grid.count)
        order = np.flatnonzero(inside)[np.argsort(at_ms[inside], kind="stable")]
        last[row[order], cell[order]] = value[order]  # of one cell, the newest is written last
        increases = np.array([series.type in INCREASES for series in self._named], np.bool_)
        if increases.any():
            added = order[increases[row[order]]]
            last[row[added], cell[added]] = 0.0
            np.add.at(last, (row[added], cell[added]), value[added])
        return mean, last

    def _table(self, kind: str, grid: Grid) -> pa.Table:
        parts = [table for newest, table in self._tables[kind] if newest >= grid.start_ms]
        return pa.concat_tables(parts) if parts else READ[kind].empty_table()

    def _name(self, series: pa.Table) -> None:
        hi, lo = (series[name].to_numpy() for name in ("hi", "lo"))
        new = self._rows.find(hi, lo) == EMPTY
        for each in series.filter(pa.array(new)).to_pylist():
            row = int(self._rows.add(*(np.array([each[name]], np.uint64) for name in ("hi", "lo")))[0])
            if row == len(self._named):
                entity = EntityKey(each["entity_kind"], each["entity_name"])
                self._named.append(Series(entity, each["metric"], dict(each["labels"]), each["type"]))
