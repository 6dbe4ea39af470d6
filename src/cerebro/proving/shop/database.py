"""Connections of one service to the shop's PostgreSQL: a pool with a limit, which can run dry."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.registry import Board
from cerebro.proving.shop.telling import Telling

WAIT_S = 1.5  # for a connection of the pool
CONNECT_S = 2
OPTIONS = "-c statement_timeout=4000 -c lock_timeout=3000"

Row = tuple[Any, ...]
Connection = psycopg.AsyncConnection[Row]


class Pool:
    """Connections that are taken and given back."""

    def __init__(self, board: Board, telling: Telling) -> None:
        self._board, self._telling = board, telling
        self._idle: list[Connection] = []
        self._taken_count = 0
        self._lost: list[Connection] = []  # never given back: the fault of that name
        self._waiting: deque[asyncio.Future[None]] = deque()
        telling.gauge("db.client.connection.used", "{connection}", lambda: self._taken_count)
        self._timeout_count = 0
        telling.gauge("db.client.connection.pending_requests", "{request}", lambda: len(self._waiting))
        telling.counter("db.client.connection.timeouts", "{timeout}", lambda: self._timeout_count)
        telling.gauge("db.client.connection.max", "{connection}", lambda: board.value("pool_size"))

    async def fetch(self, sql: str, parameters: Sequence[object] = (), *, table: str) -> list[Row]:
        """The rows of a statement; none where it gives none.

        Raises:
            Refused: The database, or a connection to it, cannot be had.
        """
        async with self.connection() as connection:
            return await self.run(connection, sql, parameters, table=table)

    async def run(
        self, connection: Connection, sql: str, parameters: Sequence[object] = (), *, table: str
    ) -> list[Row]:
        """The same on a connection that is held."""
        with self._telling.storing(sql.split(maxsplit=1)[0], table) as stretch:
            try:
                cursor = await connection.execute(sql.encode(), parameters)
                return await cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                stretch.failed(type(error).__name__)
                raise

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection; what was done on it is committed at the end.

        Raises:
            Refused: No connection in time, or the database refuses.
        """
        connection, whole = await self._take(), False
        try:
            yield connection
            await connection.commit()
            whole = True
        except psycopg.Error as error:
            self._telling.log("ERROR", "database error", reason=str(error).strip(), type=type(error).__name__)
            raise Refused(500, f"database: {type(error).__name__}") from error
        finally:
            try:
                if not whole:  # what was begun on it is rolled back
                    await connection.close()
            finally:
                self._give_back(connection)

    async def _take(self) -> Connection:
        """A connection in a place of ours; whoever is cut off on the way gives the place back."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._enter()
        except TimeoutError as error:
            self._timeout_count += 1
            self._telling.log("ERROR", "no database connection in time", taken=self._taken_count, wait_s=WAIT_S)
            raise Refused(503, "no database connection") from error
        opened = False
        try:
            connection = await self._open()
            opened = True
        finally:
            if not opened:
                self._leave()
        return connection

    async def _open(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not connection.broken:
                return connection
        try:
            with self._telling.storing("connect", "session"):
                return await psycopg.AsyncConnection.connect(
                    self._board.registry.database_url, connect_timeout=CONNECT_S, options=OPTIONS
                )
        except psycopg.Error as error:
            self._telling.log("ERROR", "database cannot be reached", reason=str(error).strip())
            raise Refused(503, "database unreachable") from error

    async def _enter(self) -> None:
        """Wait for a place, first come, first served."""
        if self._taken_count < self._board.value("pool_size"):
            self._taken_count += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # it came too late for us
            raise

    def _leave(self) -> None:
        """Hand the place to whoever waits."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._taken_count -= 1

    def _give_back(self, connection: Connection) -> None:
        if not connection.closed and self._board.trouble("connection_pool_exhaustion"):
            self._lost.append(connection)
            return
        if not connection.closed:
            self._idle.append(connection)
        self._leave()

    def find_lost(self) -> None:
        """Give back what the fault kept, once it is over."""
        if self._lost and not self._board.trouble("connection_pool_exhaustion"):
            found, self._lost = self._lost, []
            for connection in found:
                self._give_back(connection)

    async def close(self) -> None:
        """Close them all."""
        for connection in (*self._idle, *self._lost):
            await connection.close()
