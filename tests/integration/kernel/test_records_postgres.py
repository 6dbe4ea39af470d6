"""What only the real database can show: migrations, failures, restarts."""

import asyncio
from dataclasses import dataclass, replace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cerebro.kernel.records import migrate as migrations
from cerebro.kernel.records.migrate import Migration, known_migrations, migrate
from cerebro.kernel.records.port import Collection, Search
from cerebro.kernel.records.postgres import PostgresRecords
from cerebro.spine.errors import Conflict, Invalid, Unavailable

FIRST = Migration(1, "first", "CREATE TABLE one (n integer); CREATE TABLE two (n integer);")
SECOND = Migration(2, "second", "ALTER TABLE one ADD COLUMN m integer;")


@pytest.fixture
async def empty(postgres_url, tenant):
    """The URL of a database of its own, without a table."""
    name = sql.Identifier(tenant)
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield make_conninfo(postgres_url, dbname=tenant)
        await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def test_every_migration_is_applied_once(empty):
    """A second run finds nothing to do; vectors and jobs are there."""
    done = await migrate(empty)

    assert [name for name in done if not name.startswith("jobs")] == [step.name for step in known_migrations()]
    assert "jobs" in done
    assert await migrate(empty) == ()
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        row = await (await connection.execute("SELECT '[1,2]'::vector <-> '[1,4]'::vector")).fetchone()
        assert row == (2.0,)


async def test_several_that_start_at_once_apply_it_once(empty):
    """One works, the others wait and find it done."""
    runs = await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(len(run) > 0 for run in runs) == [False, False, False, True]


async def test_a_step_that_fails_leaves_nothing_of_itself(empty):
    """And the next run goes on from there."""
    broken = replace(SECOND, text="CREATE TABLE three (n integer); SELECT no_such_function();")
    with pytest.raises(psycopg.Error):
        await migrate(empty, [FIRST, broken])

    assert await migrate(empty, [FIRST, SECOND]) == ("second", "jobs")


async def test_a_database_of_a_newer_cerebro_is_refused(empty):
    """With a line that says so."""
    await migrate(empty, [FIRST, SECOND])
    with pytest.raises(Invalid, match="newer Cerebro: it is at migration 2"):
        await migrate(empty, [FIRST])


async def test_a_migration_that_was_edited_is_refused(empty):
    """Or two databases of one version would differ."""
    await migrate(empty, [FIRST, SECOND])
    with pytest.raises(Invalid, match="Migration 1"):
        await migrate(empty, [replace(FIRST, text="SELECT 1"), SECOND])


async def test_new_migrations_of_the_job_queue_are_applied(empty, monkeypatch):
    """Procrastinate brings its own; each is applied once."""
    await migrate(empty, [FIRST])
    async with await psycopg.AsyncConnection.connect(empty, autocommit=True) as connection:
        last = await (await connection.execute("SELECT max(name) FROM job_migrations")).fetchone()
        assert last is not None
        await connection.execute("DELETE FROM job_migrations WHERE name = %s", last)

    assert await migrate(empty, [FIRST]) == (f"jobs {last[0]}",)
    assert await migrate(empty, [FIRST]) == ()


async def test_no_database_is_said_so():
    """Not a traceback of the driver."""
    with pytest.raises(Unavailable):
        await migrate("postgresql://127.0.0.1:1/nothing")
    assert migrations.known_migrations()[0].name == "access"


@dataclass(frozen=True, slots=True)
class Note:
    text: str


NOTES = Collection("settings", Note)


async def test_a_restart_of_the_database_fails_one_transaction_and_no_more(empty):
    """Every connection was cut; the first to notice sorts them all out."""
    await migrate(empty)
    records = PostgresRecords(empty, connections_max=5)

    async def note(key: str) -> None:
        async with records.transaction() as transaction:
            await transaction.find(NOTES, "t", Search({}))
            await asyncio.sleep(0.02)

    await asyncio.gather(*(note(str(n)) for n in range(5)))
    async with await psycopg.AsyncConnection.connect(empty, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(Unavailable):
        await note("x")
    await asyncio.gather(*(note(str(n)) for n in range(5)))
    await records.close()
    await records.close()


async def test_a_long_statement_is_stopped(empty):
    """And a wait for a lock that lasts too long is a conflict."""
    await migrate(empty)
    records = PostgresRecords(empty, statement_s_max=0.4, lock_s_max=0.2)
    async with records.transaction() as transaction:
        await transaction.save(NOTES, "t", "a", Note("x"), version=0)

    async with records.transaction() as holding:
        await holding.load(NOTES, "t", "a")
        with pytest.raises(Conflict):
            async with records.transaction() as waiting:
                await waiting.load(NOTES, "t", "a")
    with pytest.raises(Unavailable, match="longer"):
        async with records.transaction() as slow:
            await slow._connection.execute("SELECT pg_sleep(2)")
    await records.close()


async def test_a_server_that_is_not_there_is_unavailable_soon():
    """Not after a minute."""
    records = PostgresRecords("postgresql://127.0.0.1:1/nothing", wait_s=0.3)
    with pytest.raises(Unavailable):
        async with records.transaction():
            pass
    await records.close()
