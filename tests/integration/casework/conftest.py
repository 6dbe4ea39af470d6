"""A kernel on real engines, findings to feed it, and the API in front of it."""

import asyncio

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from cerebro.casework.answers import Answers
from cerebro.casework.api import router
from cerebro.casework.desk import Desk
from cerebro.casework.store import every
from cerebro.kernel.access.guard import Guard
from cerebro.kernel.access.keys import Keys
from cerebro.kernel.access.tokens import Tokens
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.migrate import migrate
from cerebro.kernel.records.postgres import PostgresRecords
from cerebro.kernel.settings import CaseworkSettings, RetentionSettings, Settings
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.migrate import migrate as migrate_telemetry
from cerebro.kernel.web.live import Live
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity


@pytest.fixture
async def records(postgres_url):
    await migrate(postgres_url)
    opened = PostgresRecords(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def kernel(bus, records):
    yield Kernel(Settings(casework=CaseworkSettings(hold_s=0.2)), SystemClock(), bus, None, records)


@pytest.fixture
async def telemetry(store_url):
    opened = ClickHouseTelemetry(store_url)
    await migrate_telemetry(opened, RetentionSettings())
    yield opened
    await opened.close()


@pytest.fixture
async def whole_kernel(kernel, telemetry):
    yield Kernel(kernel.settings, kernel.clock, kernel.bus, telemetry, kernel.records)


@pytest.fixture
def finding(tenant):
    clock = SystemClock()

    def make(key="cpu", entity="host/web-7", *, severity=3, cleared=False, **change):
        now_ms = clock.now_ms()
        proof = Evidence(
            f"{key} is high.", "clickhouse", "SELECT 1", now_ms - 60_000, now_ms, "0" * 64, {"value": [1.0]}
        )
        values = {
            "id": clock.new_id(), "tenant": tenant, "agent": "support", "kind": "level_shift", "signal": key,
            "entity": EntityKey.parse(entity), "at_ms": now_ms - 5000, "seen_ms": now_ms,
            "severity": Severity(severity), "p_value": 1e-7, "effect": 5.0,
            "title": f"{key} of {entity} rose", "evidence": (proof,), "dedup_key": f"{entity}:{key}",
            "cleared": cleared,
        }  # fmt: skip
        return Finding(**values | change)

    return make


@pytest.fixture
def publish(kernel, tenant, finding):
    async def publish(*arguments, **change):
        made = finding(*arguments, **change)
        return await kernel.bus.publish(f"findings.{tenant}", msgspec.json.encode(made), dedup_key=made.id)

    return publish


@pytest.fixture
def kept(records, tenant):
    async def kept(collection):
        async with records.transaction() as transaction:
            return [record.value async for record in every(transaction, collection, tenant)]

    return kept


@pytest.fixture
def until():
    """Ask again and again until there is an answer."""

    async def until(ask, timeout_s=15):
        async with asyncio.timeout(timeout_s):
            for _ in range(10_000):
                if answer := await ask():
                    return answer
                await asyncio.sleep(0.02)
        return None

    return until


@pytest.fixture
async def running():
    """Run tasks of a role until the test ends."""
    stop, tasks = asyncio.Event(), []

    def run(task):
        tasks.append(asyncio.create_task(task.run(stop)))
        return tasks[-1]

    yield run
    stop.set()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def live(kernel):
    return Live(kernel.bus, kernel.clock, beat_s=0.2)


@pytest.fixture
def app(whole_kernel, live):
    """The API as an ASGI application, behind a real guard."""
    app = FastAPI(openapi_url=None)
    app.state.guard = Guard(whole_kernel.records, whole_kernel.clock, Tokens("k" * 32, 900, whole_kernel.clock))
    app.include_router(router(whole_kernel, Answers(whole_kernel.clock), live))
    explain_problems(app)
    return app


@pytest.fixture
def make_key(records, tenant):
    async def make_key(*scopes, of=tenant):
        clock = SystemClock()
        return (await Keys(records, clock).make(of, f"k{clock.new_id()}", scopes, actor="test")).text

    return make_key


@pytest.fixture
async def client(app, make_key):
    """Someone who may do everything."""
    key = await make_key("read", "respond", "operate")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://cerebro/api/v1", headers={"authorization": f"Bearer {key}"}
    ) as made:
        yield made


@pytest.fixture
def desk(kernel):
    return Desk(kernel)
