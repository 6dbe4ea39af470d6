"""From the doors to the store and back: what is asked of `/api/v1/intake`, and series that outlive a restart."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from cerebro.intake.api import router
from cerebro.intake.doors import IntakeApp
from cerebro.intake.report import Page, Reporter, together
from cerebro.kernel.access.guard import Guard
from cerebro.kernel.access.keys import Keys
from cerebro.kernel.access.tokens import Tokens
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import IntakeSettings, RetentionSettings
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.migrate import migrate
from cerebro.kernel.telemetry.recorder import recorders
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine.errors import Unavailable

SNAPPY = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}


class Place:
    """A collector, a recorder and the API over real engines, with a key that may send and one that may read."""

    def __init__(self, kernel, tenant):
        self.kernel, self.tenant = kernel, tenant
        clock = kernel.clock
        self.keys = Keys(kernel.records, clock)
        self.guard = Guard(kernel.records, clock, Tokens("k" * 40, 900, clock))
        self.app = IntakeApp(kernel, self.guard)
        self.api = FastAPI()
        self.api.state.guard = self.guard
        explain_problems(self.api)
        self.api.include_router(router(kernel))

    async def key(self, scope):
        return (await self.keys.make(self.tenant, scope, [scope], actor="test")).text

    async def send(self, key, body, app=None):
        transport = httpx.ASGITransport(app or self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = SNAPPY | {"authorization": f"Bearer {key}"}
            return await client.post("/api/v1/write", content=body, headers=headers)

    async def ask(self, key, path):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.api), base_url="http://test") as client:
            return await client.get(path, headers={"authorization": f"Bearer {key}"})


@pytest.fixture
async def place(bus, settings, store_url, tenant):
    telemetry = ClickHouseTelemetry(store_url)
    await migrate(telemetry, RetentionSettings(metrics_days=3650, logs_days=3650, traces_days=3650))
    mine = settings.model_copy(update={"intake": IntakeSettings(series_max=10)})
    kernel = Kernel(mine, SystemClock(), bus, telemetry, MemoryRecords())
    stop = asyncio.Event()
    recording = [asyncio.create_task(each.run(stop)) for each in recorders(bus, telemetry, kernel.clock, "test")]
    one = Place(kernel, tenant)
    yield one
    stop.set()
    await asyncio.gather(*recording)
    await one.app.close()
    await telemetry.close()


async def stored(place, count):
    for _ in range(200):
        sql = "SELECT count() AS n FROM samples_1h WHERE tenant = {tenant:String}"  # filled after `samples`
        if (await place.kernel.telemetry.query(sql, {"tenant": place.tenant})).column("n")[0].as_py() >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not stored")


async def test_series_outlive_a_restart_and_the_api_tells_of_it_all(place, write_body):
    ingest, read = await place.key("ingest"), await place.key("read")
    now = place.kernel.clock.now_ms()
    had = [({"__name__": "m", "id": str(i)}, [(now, 1.0)]) for i in range(10)]
    place.app._tenants.of(place.tenant)
    assert (await place.send(ingest, write_body(*had))).status_code == 204
    await stored(place, 10)

    restarted = IntakeApp(place.kernel, place.guard)
    await place.send(ingest, write_body(), restarted)  # first contact: the store is read
    catalogue = restarted.tenant(place.tenant).taking.catalogue
    for _ in range(200):
        if catalogue.loaded:
            break
        await asyncio.sleep(0.02)
    assert len(catalogue) == 10
    new = ({"__name__": "m", "id": "new"}, [(now, 1.0)])
    assert (await place.send(ingest, write_body(*had, new), restarted)).status_code == 204
    alone = await place.send(ingest, write_body(new), restarted)
    assert alone.status_code == 429
    assert "'id'" in alone.text

    reporter = Reporter(place.kernel, restarted._tenants)
    for tenant in restarted._tenants.all():
        await reporter._tell(tenant)
    answer = (await place.ask(read, "/api/v1/intake")).json()
    [door] = answer["doors"]
    assert (door["path"], door["refused"], door["sender"]) == ("/api/v1/write", 1, "key:ingest")
    assert answer["series"] == {"count": 10, "max": 10}
    assert sum(slot["count"] for slot in answer["hour"]["samples"]) >= 10
    assert {stream["name"] for stream in answer["streams"]} >= {"metrics", "logs", "traces"}
    [refusal] = (await place.ask(read, "/api/v1/intake/refusals")).json()["items"]
    assert (refusal["reason"], refusal["metric"], refusal["label"]) == ("cardinality", "m", "id")
    await restarted.close()


async def test_who_may_ask(place):
    ingest = await place.key("ingest")

    assert (await place.ask("nothing", "/api/v1/intake")).status_code == 401
    assert (await place.ask(ingest, "/api/v1/intake/refusals")).status_code == 403


async def test_a_store_that_is_down_is_said_and_the_rest_answered(place, monkeypatch):
    read = await place.key("read")

    async def down(self, *args, **kwargs):
        raise Unavailable("The store does not answer.")

    monkeypatch.setattr(ClickHouseTelemetry, "query", down)
    answer = await place.ask(read, "/api/v1/intake")

    assert answer.status_code == 200
    assert answer.json()["hour"]["missing"] == "The store does not answer."
    monkeypatch.undo()


def test_pages_of_collectors_are_added_and_old_ones_have_no_rate():
    pages = [
        Page(100_000, {"samples": 5.0}, series_count=3, series_max=10),
        Page(99_000, {"samples": 2.0, "logs": 1.0}, series_count=4, series_max=10),
        Page(1_000, {"samples": 100.0}, series_count=9, series_max=10),
    ]

    page = together(pages, now_ms=101_000)

    assert page.per_s == {"samples": 7.0, "logs": 1.0}
    assert page.series_count == 4
