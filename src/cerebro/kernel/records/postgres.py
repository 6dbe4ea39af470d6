"""Records in PostgreSQL: a row a value, its body as `jsonb`, its fields as generated columns."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, LiteralString, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from cerebro.kernel.records.faults import postgres_faults
from cerebro.kernel.records.port import Collection, Page, Record, Scalar, Search, Transaction
from cerebro.kernel.records.shape import (
    decode,
    encode,
    findable,
    is_list,
    make_cursor,
    plain,
    read_cursor,
    storable,
)
from cerebro.spine.errors import Conflict
from cerebro.spine.identity import TenantId

T = TypeVar("T")
Where = Mapping[str, Scalar | tuple[Scalar, ...]]
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CONNECT_S_MAX = 5
RECONNECT_S_MAX = 4.0  # then the next request tries anew: a longer back-off would outlast the database's restart
LOAD = "SELECT version, body::text FROM {table} WHERE tenant = %s AND key = %s"
CREATE = """INSERT INTO {table} (tenant, key, version, body) VALUES (%s, %s, 1, %s::jsonb)
            ON CONFLICT DO NOTHING"""
CREATE_ALL = """INSERT INTO {table} (tenant, key, version, body)
                SELECT %s, key, 1, body::jsonb FROM unnest(%s::text[], %s::text[]) AS new (key, body)
                ON CONFLICT DO NOTHING"""
REPLACE = """UPDATE {table} SET body = %s::jsonb, version = version + 1, updated_at = now()
             WHERE tenant = %s AND key = %s AND version = %s"""
# The page is chosen first: a plain sort would write out the body of every row that matches, shown or not.
FIND = """SELECT key, version, body::text, {field} FROM
          (SELECT * FROM {table} WHERE tenant = %s{filters}{after} ORDER BY {order} LIMIT %s) AS page
          ORDER BY {order}"""
DELETE = "DELETE FROM {table} WHERE tenant = %s AND key = %s"
IS: LiteralString = " AND {} = %s"
ONE_OF: LiteralString = " AND {} = ANY(%s)"
OVERLAPS: LiteralString = " AND {} && %s"
Filter = tuple[str, LiteralString]  # a field, and the SQL that tries it


class PostgresRecords:
    """The driver for PostgreSQL 14 and later.

    Args:
        url: `postgresql://…`
        connections_max: Transactions that run at once; more wait for up to `wait_s`.
        statement_s_max: A statement that takes longer is stopped.
        lock_s_max: A wait for a locked record that lasts longer is a `Conflict`.
        wait_s: How long a transaction waits for a connection.
    """

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = 10,
        statement_s_max: float = 10.0,
        lock_s_max: float = 5.0,
        wait_s: float = 5.0,
    ) -> None:
        limits = {
            "statement_timeout": round(statement_s_max * 1000),
            "lock_timeout": round(lock_s_max * 1000),
            "idle_in_transaction_session_timeout": 60_000,
        }
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections_max,
            timeout=wait_s,
            reconnect_timeout=RECONNECT_S_MAX,
            max_idle=300,
            open=False,
            kwargs={
                "connect_timeout": CONNECT_S_MAX,
                "application_name": "cerebro",
                "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
            },
        )

    async def open(self) -> None:
        """Begin to connect; `transaction` does it by itself too."""
        await self._pool.open()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        if self._pool.closed:
            await self._pool.open()
        with postgres_faults():
            try:
                async with self._pool.connection() as connection:
                    yield PostgresTransaction(connection)
            except psycopg.OperationalError:
                await self._drop_broken()
                raise

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """As the port says."""
        return self._begin()

    async def close(self) -> None:
        """As the port says."""
        await self._pool.close()

    async def _drop_broken(self) -> None:
        """After a restart of the database every waiting connection is broken: one failure finds them all."""
        if not self._pool.closed:
            await self._pool.check()


class PostgresTransaction:
    """One open transaction on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def load(
        self, collection: Collection[T], tenant: TenantId, key: str, *, lock: bool = True
    ) -> Record[T] | None:
        """As the port says."""
        statement = _statement(LOAD + " FOR UPDATE" if lock else LOAD, collection.name)
        row = await (await self._connection.execute(statement, (tenant, findable(key)))).fetchone()
        return decode(collection, key, row[1], row[0]) if row else None

    async def save(self, collection: Collection[T], tenant: TenantId, key: str, value: T, *, version: int) -> int:
        """As the port says."""
        body, key = encode(value).decode(), storable(key)
        if version == 0:
            done = await self._connection.execute(_statement(CREATE, collection.name), (tenant, key, body))
        else:
            done = await self._connection.execute(_statement(REPLACE, collection.name), (body, tenant, key, version))
        if done.rowcount != 1:
            what = "exists already" if version == 0 else f"is no longer at version {version}"
            raise Conflict(f"{key} of {collection.name} {what}.", "Load it again, decide again.")
        return version + 1

    async def create(self, collection: Collection[T], tenant: TenantId, values: Mapping[str, T]) -> None:
        """As the port says."""
        keys = [storable(key) for key in values]
        bodies = [encode(value).decode() for value in values.values()]
        async with self._connection.transaction():
            done = await self._connection.execute(_statement(CREATE_ALL, collection.name), (tenant, keys, bodies))
            if done.rowcount != len(keys):
                raise Conflict(f"Some of {len(keys)} of {collection.name} exist already.", "Load them, decide again.")

    async def delete(self, collection: Collection[T], tenant: TenantId, key: str) -> None:
        """As the port says."""
        await self._connection.execute(_statement(DELETE, collection.name), (tenant, findable(key)))

    async def find(self, collection: Collection[T], tenant: TenantId, search: Search) -> Page[T]:
        """As the port says."""
        order = search.order.lstrip("-")
        assert order == "key" or not is_list(collection, order), f"a list has no order: {order}"
        place = read_cursor(search) if search.after else ()
        filters, values = _filters(collection, search.where)
        statement = _find(collection.name, filters, search.order, bool(place))
        cursor = await self._connection.execute(statement, (tenant, *values, *place, search.limit + 1))
        rows = await cursor.fetchall()
        shown = rows[: search.limit]
        last = shown[-1] if len(rows) > search.limit else None
        return Page(
            [decode(collection, row[0], row[2], row[1]) for row in shown],
            make_cursor(search.order, last[3], last[0]) if last else "",
        )

    async def count(self, collection: Collection[T], tenant: TenantId, where: Where) -> int:
        """As the port says."""
        filters, values = _filters(collection, where)
        statement = _count(collection.name, filters)
        row = await (await self._connection.execute(statement, (tenant, *values))).fetchone()
        assert row is not None
        return int(row[0])


@lru_cache(maxsize=1024)
def _statement(template: LiteralString, table: str) -> sql.Composed:
    return sql.SQL(template).format(table=sql.Identifier(table))


@lru_cache(maxsize=1024)
def _find(table: str, filters: tuple[Filter, ...], order: str, goes_on: bool) -> sql.Composed:
    field, backwards = order.lstrip("-"), order.startswith("-")
    columns = [sql.Identifier(name) for name in dict.fromkeys((field, "key"))]
    way = sql.SQL(" DESC" if backwards else "")
    after = sql.SQL(" AND ({}) {} ({})").format(
        sql.SQL(", ").join(columns),
        sql.SQL("<" if backwards else ">"),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    return sql.SQL(FIND).format(
        field=columns[0],
        table=sql.Identifier(table),
        filters=_conditions(filters),
        after=after if goes_on else sql.SQL(""),
        order=sql.SQL(", ").join(column + way for column in columns),
    )


@lru_cache(maxsize=1024)
def _count(table: str, filters: tuple[Filter, ...]) -> sql.Composed:
    return sql.SQL("SELECT count(*) FROM {} WHERE tenant = %s{}").format(sql.Identifier(table), _conditions(filters))


def _conditions(filters: tuple[Filter, ...]) -> sql.Composed:
    return sql.Composed([sql.SQL(template).format(sql.Identifier(field)) for field, template in filters])


def _filters(collection: Collection[T], where: Where) -> tuple[tuple[Filter, ...], list[object]]:
    """The filters as SQL with placeholders, and what fills them."""
    filters, values = [], list[object]()
    for field, wanted in where.items():
        several, listed = isinstance(wanted, tuple), is_list(collection, field)
        plains = [findable(plain(one)) for one in cast("tuple[Scalar, ...]", wanted if several else (wanted,))]
        filters.append((field, OVERLAPS if listed else ONE_OF if several else IS))
        values.append(plains if listed or several else plains[0])
    return tuple(filters), values
