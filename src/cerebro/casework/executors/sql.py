"""Statements that were allowed beforehand, each by a name, with parameters that are only ever values.

What a statement returns for the state before it, and whether it can be run twice, is said where it is allowed. The
key of each call is written into a small table before it is made: what ends sessions cannot be rolled back, so that
after a crash between the two it is looked at what came of it, and not made again.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

CONNECT_S = 5
DEAD_S = 10  # without a word from the network, a connection is given up
LEDGER = """CREATE TABLE IF NOT EXISTS cerebro_actions (
    key text PRIMARY KEY, operation text NOT NULL, at timestamptz NOT NULL DEFAULT now())"""
NOTE = "INSERT INTO cerebro_actions (key, operation) VALUES (%s, %s) ON CONFLICT DO NOTHING"
FIND = "SELECT 1 FROM cerebro_actions WHERE key = %s"
THERE = "SELECT to_regclass('cerebro_actions') IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that may be run.

    Args:
        count: A SELECT that counts what it would touch, with the same parameters.
        run: The statement; parameters as `%(name)s`.
        what: Of the count, as people call it.
    """

    count: str
    run: str
    what: str


# Only those at the head of a queue: `pg_blocking_pids` names also who merely waits further ahead in it.
_BLOCKERS = """pg_stat_activity AS b WHERE b.pid IN (
           SELECT unnest(pg_blocking_pids(w.pid)) FROM pg_stat_activity AS w
           WHERE w.wait_event_type = 'Lock' AND now() - w.query_start > make_interval(secs => %(older_s)s))
       AND cardinality(pg_blocking_pids(b.pid)) = 0
       AND b.datname = current_database() AND b.backend_type = 'client backend'
       AND NOT EXISTS (SELECT 1 FROM pg_roles AS r WHERE r.oid = b.usesysid AND r.rolsuper)
       AND b.pid <> pg_backend_pid()"""
END_BLOCKERS = Statement(
    f"SELECT count(*) FROM {_BLOCKERS}",  # noqa: S608  constants both
    # All of them first: while one is being ended, who waited for it is already the next at the head.
    f"SELECT count(pg_terminate_backend(f.pid)) FROM unnest(ARRAY(SELECT b.pid FROM {_BLOCKERS})) AS f (pid)",  # noqa: S608
    "blocking sessions",
)
ALLOWED: Mapping[str, Statement] = {"end_blockers": END_BLOCKERS}


class Sql:
    """Runs allowed statements on one PostgreSQL.

    Args:
        url: Of a user who may do what the statements do and no more.
        target: The entity that this database is.
    """

    name, label = "sql", ""

    def __init__(
        self, url: str, target: EntityKey, level: Level | None = None, allowed: Mapping[str, Statement] = ALLOWED
    ) -> None:
        self.level, self._url, self._target, self._allowed = level, url, target, allowed

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        return target == self._target and operation in self._allowed

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says; a database tells no names to choose from."""
        return {}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        statement = self._statement(call)
        async with self._connected(CONNECT_S) as connection:
            row = await (await connection.execute(sql.SQL(statement.count), _values(call))).fetchone()
        count = int(str(row[0])) if row else 0
        return Preview((Difference(statement.what, str(count), "0"),) if count else ())

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says: the key is kept before the statement is run."""
        statement = self._statement(call)
        async with self._connected(timeout_s) as connection:
            await connection.execute(LEDGER)
            noted = await connection.execute(NOTE, (key, call.operation))
            await connection.commit()
            if not noted.rowcount:
                return "It was done before."
            row = await (await connection.execute(sql.SQL(statement.run), _values(call))).fetchone()
        return f"{row[0] if row else 0} {statement.what} ended."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says."""
        async with self._connected(CONNECT_S) as connection:
            there = await (await connection.execute(THERE)).fetchone()
            if not there or not there[0]:
                return False
            return await (await connection.execute(FIND, (key,))).fetchone() is not None

    def _statement(self, call: Call) -> Statement:
        if call.operation not in self._allowed:
            raise Invalid(f"{call.operation!r} is no allowed statement.", f"Allowed: {', '.join(self._allowed)}.")
        return self._allowed[call.operation]

    @asynccontextmanager
    async def _connected(self, timeout_s: float) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
        """A transaction of our own.

        Raises:
            Unavailable: It does not answer, or not in time.
            Invalid: It refuses: a right is missing, or the statement does not fit it.
        """
        bound = f"-c statement_timeout={round(timeout_s * 1000)}"
        try:
            async with await psycopg.AsyncConnection.connect(
                self._url, connect_timeout=CONNECT_S, options=bound, tcp_user_timeout=DEAD_S * 1000
            ) as connection:
                yield connection
        except psycopg.ProgrammingError as error:
            mend = "See which rights its user needs: docs/guides/hands.md."
            raise Invalid(f"{self._target.said} refuses it: {type(error).__name__}.", mend) from error
        except psycopg.Error as error:
            raise Unavailable(f"{self._target.said} did not do it: {type(error).__name__}.") from error


def _values(call: Call) -> dict[str, object]:
    """The arguments as values; a number as a number, for the database checks types."""
    return {name: float(text) if _is_number(text) else text for name, text in call.arguments.items()}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
