"""Telemetry in memory, for the seeded simulation: the rows as they came, and no SQL."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerebro.kernel.telemetry.port import Window
from cerebro.spine.errors import Invalid, Unavailable
from cerebro.spine.identity import TenantId

AT = pa.timestamp("ms", "UTC")
ANSWER = pa.schema([("at_ms", pa.int64()), ("value", pa.float64())])


class MemoryTelemetry:
    """Tables that live as long as the object."""

    def __init__(self) -> None:
        self._tables: dict[str, pa.Table] = {}
        self._tokens: set[tuple[str, str]] = set()
        self._closed = False

    async def insert(self, table: str, rows: pa.Table, *, dedup_token: str) -> None:
        """Keep the rows; see the port."""
        self._need_open()
        if (table, dedup_token) in self._tokens or not rows.num_rows:
            return
        known = self._tables.get(table)
        try:
            self._tables[table] = rows if known is None else pa.concat_tables([known, rows.select(known.column_names)])
        except (KeyError, pa.ArrowInvalid) as error:
            raise Invalid(f"The rows do not fit the table {table}: {error}") from error
        self._tokens.add((table, dedup_token))

    async def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, tenant: TenantId | None = None
    ) -> pa.Table:
        """Refuse: SQL needs ClickHouse."""
        raise Unavailable("SQL needs ClickHouse; this telemetry is in memory.")

    async def command(self, sql: str) -> None:
        """Refuse: SQL needs ClickHouse."""
        raise Unavailable("SQL needs ClickHouse; this telemetry is in memory.")

    async def samples(
        self, tenant: TenantId, series: Sequence[tuple[int, int]], window: Window
    ) -> Mapping[tuple[int, int], pa.Table]:
        """The raw samples of some series; see the port."""
        self._need_open()
        if (table := self._tables.get("samples")) is None:
            return {}
        at_ms = table["at"].cast(AT).cast(pa.int64()).to_numpy()
        inside = (at_ms >= window.start_ms) & (at_ms < window.end_ms)
        inside &= pc.equal(table["tenant"].cast(pa.string()), tenant).to_numpy()
        hi, lo, value = (table[name].to_numpy() for name in ("hi", "lo", "value"))
        found = {}
        for key in dict.fromkeys(series):
            rows = np.flatnonzero(inside & (hi == np.uint64(key[0])) & (lo == np.uint64(key[1])))
            rows = rows[np.argsort(at_ms[rows], kind="stable")]
            if len(rows):
                found[key] = pa.table([at_ms[rows], value[rows]], schema=ANSWER)
        return found

    async def close(self) -> None:
        """Forget nothing, answer nothing more. Safe to call twice."""
        self._closed = True

    def _need_open(self) -> None:
        if self._closed:
            raise Unavailable("This telemetry is closed.")
