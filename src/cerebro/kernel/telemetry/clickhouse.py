"""Telemetry in ClickHouse, embedded or a cluster: the same client and the same words, only the URL differs."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.httputil import get_pool_manager

from cerebro.kernel.telemetry import confine
from cerebro.kernel.telemetry.port import Window
from cerebro.spine.errors import CerebroError, Forbidden, Invalid, LimitReached, Unauthenticated, Unavailable
from cerebro.spine.identity import TenantId

logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it logs what it also raises

CONNECTIONS_MAX = 16
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 120.0
HOUR_MS = 3_600_000
Result = TypeVar("Result")

# An insert is one block: the whole of it carries the token, in every table that a view feeds.
ONE_BLOCK = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": 1 << 40,
    "max_insert_block_size_bytes": 0,
    "min_insert_block_size_rows": 0,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 0,
    "parallel_view_processing": 0,
}
ARROW = {
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_compression_method": "none",
}

NOT_ENOUGH_SPACE = 243
LIMITS = frozenset({158, 159, 160, 202, 241, 252, 307, 394, 396})
ACCESS = frozenset({164, 291, 446, 452, 497})
AUTHENTICATION = frozenset({192, 193, 194, 516})
ABSENCE = frozenset({32, 95, 101, 198, 203, 209, 210, 225, 236, 242, 279, 319, 425, 439, 745, 999, 1000, 1001, 1002})
SAMPLES = """
SELECT hi, lo, toUnixTimestamp64Milli(at) AS at_ms, value FROM samples
WHERE tenant = {tenant:String} AND hour BETWEEN toDateTime({first_hour:UInt32}) AND toDateTime({last_hour:UInt32})
  AND (hi, lo) IN (SELECT arrayJoin(arrayZip({hi:Array(UInt64)}, {lo:Array(UInt64)})))
  AND at >= fromUnixTimestamp64Milli({start:Int64}) AND at < fromUnixTimestamp64Milli({end:Int64})
ORDER BY hi, lo, at
"""
NO_SAMPLES = pa.schema([("at_ms", pa.int64()), ("value", pa.float64())]).empty_table()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ClickHouse is, taken from `http(s)://user:password@host:port/database`."""

    host: str
    port: int
    user: str
    password: str
    database: str
    secure: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read the URL.

        Raises:
            Invalid: It is not an `http` or `https` URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(
                "The ClickHouse URL is not `http(s)://user@host:8123/database`.", "Mend `engines.clickhouse_url`."
            )
        secure = parts.scheme == "https"
        return cls(
            host=parts.hostname,
            port=parts.port or (8443 if secure else 8123),
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=parts.path.strip("/") or "default",
            secure=secure,
        )


class ClickHouseTelemetry:
    """The driver of `Telemetry` for every ClickHouse that speaks HTTP.

    The client is a blocking one, in threads of its own: a call costs about 1.6 ms against the embedded
    store, and columns go out and come back as Arrow streams, copied once.

    Args:
        url: `http(s)://user:password@host:port/database`.
        connections_max: Calls at once; the rest wait their turn.
    """

    def __init__(self, url: str, connections_max: int = CONNECTIONS_MAX) -> None:
        self._address = Address.parse(url)
        self._threads = ThreadPoolExecutor(connections_max, thread_name_prefix="clickhouse")
        self._pool = get_pool_manager(maxsize=connections_max, block=True)
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def insert(self, table: str, rows: pa.Table, *, dedup_token: str) -> None:
        """Store the rows as one block; see the port."""
        if not rows.num_rows:
            return
        settings = {**ONE_BLOCK, "insert_deduplication_token": dedup_token}

        def send(client: Client) -> None:
            body = memoryview(_to_stream(rows))
            client.raw_insert(table, rows.column_names, body, settings=settings, fmt="ArrowStream")  # type: ignore[arg-type]

        await self._call(send)

    async def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, tenant: TenantId | None = None
    ) -> pa.Table:
        """The answer to one SELECT; see the port."""
        if tenant is None:
            return await self._ask(sql, parameters, ARROW)
        sql = confine.one_statement(sql)
        syntax = await self._ask(f"EXPLAIN AST {sql}", parameters, {**ARROW, "readonly": 1})
        confine.judge_syntax(syntax.column(0).to_pylist(), self._address.database)
        settings = {**ARROW, **confine.settings_of(tenant, self._address.database), "readonly": 1}
        tree = await self._ask(f"EXPLAIN QUERY TREE {sql}", parameters, settings)
        confine.judge_tree(tree.column(0).to_pylist(), self._address.database)
        try:
            return await self._ask(sql, parameters, settings)
        except Invalid as error:
            raise confine.without_values(error) from None

    async def command(self, sql: str) -> None:
        """Run one statement that answers nothing; see the port."""
        await self._call(lambda client: client.command(sql))

    async def samples(
        self, tenant: TenantId, series: Sequence[tuple[int, int]], window: Window
    ) -> Mapping[tuple[int, int], pa.Table]:
        """The raw samples of some series; see the port."""
        if not series or window.end_ms <= window.start_ms:
            return {}
        found = await self._ask(
            SAMPLES,
            {
                "tenant": tenant,
                "hi": [hi for hi, _ in series],
                "lo": [lo for _, lo in series],
                "start": window.start_ms,
                "end": window.end_ms,
                "first_hour": max(0, window.start_ms // HOUR_MS * 3600),
                "last_hour": max(0, window.end_ms // HOUR_MS * 3600),
            },
            ARROW,
        )
        return _by_series(found)

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        self._closed = True
        self._client = None
        self._pool.clear()  # the client closes no pool but its own
        self._threads.shutdown(wait=False)

    async def _ask(self, sql: str, parameters: Mapping[str, object] | None, settings: Mapping[str, object]) -> pa.Table:
        def ask(client: Client) -> pa.Table:
            body = client.raw_query(sql, parameters=dict(parameters or {}), settings=dict(settings), fmt="ArrowStream")
            return _from_stream(body)

        return await self._call(ask)

    async def _call(self, work: Callable[[Client], Result]) -> Result:
        """Run the work in a thread, and say in the house's words what went wrong."""
        if self._closed:
            raise Unavailable("This connection to the store is closed.")
        loop = asyncio.get_running_loop()
        try:
            client = self._client or await self._opened()
            return await loop.run_in_executor(self._threads, work, client)
        except ClickHouseError as error:
            raise failure(error, f"{self._address.host}:{self._address.port}") from error

    async def _opened(self) -> Client:
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.get_running_loop().run_in_executor(self._threads, self._open)
            return self._client

    def _open(self) -> Client:
        return clickhouse_connect.get_client(
            host=self._address.host,
            port=self._address.port,
            username=self._address.user,
            password=self._address.password,
            database=self._address.database,
            interface="https" if self._address.secure else "http",
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=ANSWER_TIMEOUT_S,
            compress=False,
            query_limit=0,
            autogenerate_session_id=False,
            autogenerate_query_id=False,
            query_retries=0,
            pool_mgr=self._pool,
        )


def failure(error: ClickHouseError, place: str) -> CerebroError:
    """The house's error for one of the client's."""
    code = error.code if isinstance(error, DatabaseError) else None
    said = _first_line(str(error))
    if code == NOT_ENOUGH_SPACE or "No space left" in said:
        return LimitReached("The disk of the store is full: nothing was stored.", "Make room, or shorten `retention`.")
    if code is None or code in ABSENCE:
        return Unavailable(f"The store at {place} does not answer: {said}")
    if code in AUTHENTICATION:
        return Unauthenticated(f"The store at {place} does not know this user and password.")
    if code in ACCESS:
        return Forbidden(f"The store does not allow this: {said}")
    over = code in LIMITS
    return LimitReached(f"A limit of the store is reached: {said}") if over else Invalid(f"The store refused: {said}")


def _first_line(text: str) -> str:
    """The engine's own words, without the client's wrapping and without its address."""
    words = text.rsplit("DB::Exception: ", maxsplit=1)[-1].split(" (for url ", maxsplit=1)[0]
    return words.splitlines()[0][:1000] if words else text[:1000]


def _to_stream(rows: pa.Table) -> pa.Buffer:
    """The rows as one Arrow stream of one batch, because the engine makes a block of each batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    return sink.getvalue()


def _from_stream(body: bytes) -> pa.Table:
    if not body:
        return pa.table({})
    return pa.ipc.open_stream(pa.py_buffer(body)).read_all()


def _by_series(found: pa.Table) -> dict[tuple[int, int], pa.Table]:
    """Cut the sorted answer where the series changes."""
    if not found.num_rows:
        return {}
    hi, lo = (pc.cast(found[name], pa.uint64()).to_numpy() for name in ("hi", "lo"))
    starts = np.flatnonzero(np.r_[True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])])
    ends = np.r_[starts[1:], len(hi)]
    values = found.select(["at_ms", "value"]).cast(NO_SAMPLES.schema)
    return {
        (int(hi[start]), int(lo[start])): values.slice(start, end - start)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }
