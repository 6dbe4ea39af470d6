"""The audit log on the real PostgreSQL: one chain, whoever adds to it; broken wherever someone meddled."""

import asyncio
from dataclasses import replace

import psycopg
import pytest

from cerebro.kernel import audit as audit_module
from cerebro.kernel.audit import Audit
from cerebro.kernel.records.migrate import migrate
from cerebro.kernel.records.port import Search
from cerebro.kernel.records.postgres import PostgresRecords
from cerebro.spine.identity import TenantId


@pytest.fixture
async def records(postgres_url):
    await migrate(postgres_url)
    driver = PostgresRecords(postgres_url)
    yield driver
    await driver.close()


@pytest.fixture
def audit(records, clock):
    return Audit(records, clock)


@pytest.fixture
async def meddle(postgres_url, tenant):
    """Change the log as someone could who owns the database."""
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:

        async def run(statement: str, *values: object) -> None:
            async with connection.transaction():
                await connection.execute("SET LOCAL session_replication_role = replica")
                await connection.execute(statement.encode(), (*values, tenant))

        yield run


async def fill(audit, tenant, count: int) -> None:
    for number in range(count):
        await audit.append(tenant, "ann", "case_acknowledged", f"case/{number}", {"b": 1e5, "a": [1, 2.50, "ü"]})


async def test_twenty_who_append_at_once_make_one_chain(audit, tenant):
    """Without a gap, from the very first entry on."""
    await asyncio.gather(*(audit.append(tenant, f"user{n}", "login", f"user/{n}") for n in range(20)))
    page = await audit.page(tenant, Search({}, "seq"))

    assert [record.value.seq for record in page.records] == list(range(1, 21))
    assert {record.value.actor for record in page.records} == {f"user{n}" for n in range(20)}
    verdict = await audit.verify(tenant)
    assert (verdict.intact, verdict.count) == (True, 20)


async def test_an_entry_stands_and_falls_with_its_change(audit, records, tenant):
    """What was rolled back has not happened."""
    await fill(audit, tenant, 1)
    with pytest.raises(RuntimeError):
        async with records.transaction() as transaction:
            await audit.append(tenant, "ann", "x", "y", transaction=transaction)
            raise RuntimeError
    async with records.transaction() as transaction:
        await audit.append(tenant, "ann", "x", "y", transaction=transaction)

    assert (await audit.verify(tenant)).count == 2


async def test_each_tenant_has_its_own_chain(audit, tenant):
    """And an empty one is intact."""
    await fill(audit, tenant, 2)

    assert await audit.verify(TenantId(tenant + "-b")) == audit_module.Verdict(0)
    assert (await audit.verify(tenant)).count == 2


@pytest.mark.parametrize("statement", ["UPDATE audit SET body = body", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_database_refuses_to_change_what_is_written(postgres_url, audit, tenant, statement):
    """Whoever asks without being its superuser on purpose."""
    await fill(audit, tenant, 1)
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added to"):
            await connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE audit SET body = jsonb_set(body, '{actor}', '\"eve\"') WHERE seq = 3 AND tenant = %s", 3),
        ("UPDATE audit SET body = jsonb_set(body, '{detail}', '\"{}\"') WHERE seq = 1 AND tenant = %s", 1),
        ("UPDATE audit SET body = jsonb_set(body, '{at_ms}', '1') WHERE seq = 5 AND tenant = %s", 5),
        ("DELETE FROM audit WHERE seq = 2 AND tenant = %s", 2),
        ("DELETE FROM audit WHERE seq = 1 AND tenant = %s", 1),
        ("DELETE FROM audit WHERE seq >= 4 AND tenant = %s", 4),
        ("DELETE FROM audit WHERE tenant = %s", 1),
        ("UPDATE audit_heads SET body = jsonb_set(body, '{hash}', '\"00\"') WHERE tenant = %s", 5),
        ("UPDATE audit_heads SET body = jsonb_set(body, '{seq}', '3') WHERE tenant = %s", 3),
        ("DELETE FROM audit_heads WHERE tenant = %s", 1),
        ("UPDATE audit SET body = body - 'hash' WHERE seq = 3 AND tenant = %s", 3),
        ("UPDATE audit_heads SET body = '{}' WHERE tenant = %s", 1),
    ],
)
async def test_whatever_was_done_to_it_is_found_at_its_place(audit, meddle, tenant, statement, broken_at, monkeypatch):
    """Altered, taken out, cut off; across pages too."""
    monkeypatch.setattr(audit_module, "PAGE", 2)
    await fill(audit, tenant, 5)
    assert (await audit.verify(tenant)).intact
    await meddle(statement)
    verdict = await audit.verify(tenant)

    assert not verdict.intact
    assert verdict.broken_at == broken_at
    assert verdict.reason


async def test_two_entries_that_changed_places_are_found(audit, meddle, tenant):
    """Each as it was written, in another order."""
    await fill(audit, tenant, 5)
    for old, new in ((2, 9), (4, 2), (9, 4)):
        renamed = f"key = '{new:016d}', body = jsonb_set(body, '{{seq}}', '{new}')"
        await meddle(f"UPDATE audit SET {renamed} WHERE seq = {old} AND tenant = %s")

    assert (await audit.verify(tenant)).broken_at == 2


async def test_an_entry_with_a_hash_made_anew_breaks_the_next(audit, meddle, tenant):
    """Who rewrites one must rewrite all that follow, and what was written elsewhere."""
    await fill(audit, tenant, 3)
    page = await audit.page(tenant, Search({"seq": 2}, "seq"))
    false = audit_module.sealed(replace(page.records[0].value, actor="eve"))
    changed = "jsonb_build_object('actor', 'eve', 'hash', %s::text)"
    await meddle(f"UPDATE audit SET body = body || {changed} WHERE seq = 2 AND tenant = %s", false.hash)

    assert (await audit.verify(tenant)).broken_at == 3


async def test_a_checkpoint_tells_the_end(audit, tenant):
    """For the ordinary log, out of the database's reach."""
    assert await audit.checkpoint(tenant) is None
    await fill(audit, tenant, 2)
    page = await audit.page(tenant, Search({}, "-seq", limit=1))
    end = await audit.checkpoint(tenant)

    assert end is not None and (end.seq, end.hash) == (2, page.records[0].value.hash)
