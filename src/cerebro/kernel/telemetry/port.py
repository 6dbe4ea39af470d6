"""Where telemetry is kept and asked for. SQL is ClickHouse's; every table carries `tenant`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from cerebro.spine.identity import TenantId


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time: `start_ms <= at < end_ms`."""

    start_ms: int
    end_ms: int


class Telemetry(Protocol):
    """Insert columns, ask questions."""

    async def insert(self, table: str, rows: pa.Table, *, dedup_token: str) -> None:
        """Store the rows durably as one block, dependent views included, then return.

        The same `dedup_token` again on the same table stores nothing.

        Raises:
            LimitReached: No room on the disk. Nothing was stored.
            Unavailable: The store does not answer. Insert again, same token.
        """
        ...

    async def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, tenant: TenantId | None = None
    ) -> pa.Table:
        """The answer to one SELECT. `parameters` fill `{name:Type}` in the SQL.

        With `tenant`, only that tenant's rows are seen whatever the SQL says, and nothing can
        be written: the form for SQL that a person wrote.

        Raises:
            Invalid: The store refused the SQL; the detail says why.
            Forbidden: The SQL reaches for what its writer may not see.
            LimitReached: Over the memory or time that one query may use.
            Unavailable: The store does not answer.
        """
        ...

    async def command(self, sql: str) -> None:
        """Run one statement that answers nothing, such as DDL."""
        ...

    async def samples(
        self, tenant: TenantId, series: Sequence[tuple[int, int]], window: Window
    ) -> Mapping[tuple[int, int], pa.Table]:
        """The raw samples of some series, by `(hi, lo)`: columns `at_ms int64, value float64`, in time order."""
        ...

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        ...
