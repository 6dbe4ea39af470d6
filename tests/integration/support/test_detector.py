"""The detector as it runs: real bus, real store, restarts, a second owner, the API."""

import asyncio
import time

import httpx
import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI

from cerebro.agents.support.api import parse_series, router
from cerebro.agents.support.flow import Detector, rules_of
from cerebro.agents.support.observe import new_watch, observe
from cerebro.casework.store import FINDINGS, keep_finding
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.bus.position import Place
from cerebro.kernel.records.port import Search
from cerebro.spine.errors import Conflict, Invalid, NotFound
from cerebro.spine.telemetry import SampleBatch, no_series
from cerebro.spine.wire import decode_samples


async def test_a_busy_host_becomes_a_finding_within_five_seconds(kernel, publish, running, told, values):
    await publish(values[:520])
    async with running(kernel) as reached:
        await reached(await publish(values[520:521], first=520))
        begun = time.monotonic()
        await publish(values[521:545], first=521)
        while not (found := await told()):
            assert time.monotonic() - begun < 10
        took_s = time.monotonic() - begun
        await reached(await publish(values[545:], first=545))

    opened, cleared = await told()
    assert took_s < 5.0
    assert found[0] == opened
    assert opened.title.startswith("CPU utilisation of host h0")
    assert cleared.dedup_key == opened.dedup_key
    assert cleared.cleared


async def test_restarts_tell_what_no_restart_would_have(
    kernel, publish, running, told, values, tenant, series_table, bus
):
    """Stopped and started three times, once in the middle of the trouble."""
    for first, last in ((0, 200), (200, 530), (530, 600)):
        async with running(kernel) as reached:
            await reached(await publish(values[first:last], first=first))

    rules = rules_of(kernel.settings.support)
    watch, expected = new_watch(tenant, rules), []
    for message in await bus.read(
        "metrics", after=0, count_max=1000, bytes_max=1 << 26, wait_s=1, subject=f"telemetry.{tenant}.metrics"
    ):
        expected += observe(watch, decode_samples(message.body), rules, kernel.clock.now_ms())
    assert len(expected) == 2
    assert await told() == expected


async def test_work_after_the_last_snapshot_is_done_again_and_told_once(kernel, publish, told, values, bus):
    """A detector dies without a word after it told; its successor reads the same messages and tells nothing new."""
    place = await Place.claim(bus, "metrics", "detector", "first")
    first = Detector(kernel)
    await first.restore(place.after)
    after = first._sequence
    last = await publish(values)
    messages = await bus.read("metrics", after=after, count_max=10_000, bytes_max=1 << 28, wait_s=1)
    while messages[-1].sequence < last:
        messages += await bus.read(
            "metrics", after=messages[-1].sequence, count_max=10_000, bytes_max=1 << 28, wait_s=1
        )
    for message in messages:
        await first.take(message)
    before = await told()
    second = Detector(kernel)
    await second.restore(place.after)
    for message in messages:
        await second.take(message)

    assert len(before) == 2
    assert await told() == before


async def test_a_detector_that_was_replaced_stops(kernel, publish, running, values):
    old = Detector(kernel)
    stop = asyncio.Event()
    task = asyncio.create_task(old.run(stop))
    last = await publish(values[:50])
    while old._sequence < last:  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(0.02)
    async with running(kernel) as reached:
        await reached(last)
        await asyncio.sleep(0.1)
        stop.set()
        with pytest.raises(Conflict):
            await task


@pytest.fixture
async def client(kernel, tenant):
    class Known:
        async def authenticate(self, authorization):
            return Principal(tenant, "ann", "user", frozenset({"read", "respond"}))

    app = FastAPI()
    app.state.guard = Known()
    app.include_router(router(kernel))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cerebro") as connected:
        yield connected


async def test_the_api_tells_budget_series_and_band(client, kernel, publish, running, told, values, tenant, telemetry):
    async with running(kernel) as reached:
        await reached(await publish(values))
        await asyncio.sleep(1.5)  # a snapshot and a note of the budget fall due
    (opened, _) = await told()
    sample = opened.evidence[0].sample
    hi, lo = (int(part) for part in sample["series"].split("-"))
    start_ms = opened.at_ms - 520 * 5000
    table = pa.table(
        {
            "tenant": [tenant] * 600,
            "hi": pa.array([hi] * 600, pa.uint64()),
            "lo": pa.array([lo] * 600, pa.uint64()),
            "at": pa.array(start_ms + np.arange(600) * 5000).cast(pa.timestamp("ms", "UTC")),
            "value": values[:, 0],
        }
    )
    await telemetry.insert("samples", table, dedup_token=tenant)

    budget = (await client.get("/api/v1/budget")).json()
    listed = (await client.get("/api/v1/support/series", params={"entity": "host/h0"})).json()["items"]
    window = {"series": sample["series"], "start_ms": opened.at_ms - 600_000, "end_ms": opened.at_ms + 60_000}
    band = (await client.get("/api/v1/support/band", params=window)).json()
    proof = await telemetry.query(opened.evidence[0].query)

    assert budget["per_week"] == 20.0
    assert budget["admitted_week"] == 1
    assert budget["watching"] == 6
    assert [one["metric"] for one in listed] == ["system.cpu.busy"]
    assert listed[0]["status"] == "watching"
    assert listed[0]["low"] < listed[0]["expected"] < listed[0]["high"]
    assert len(band["at_ms"]) == 132
    assert band["value"][-1] > band["high"][-1]
    assert band["value"][0] < band["high"][0]
    assert proof.num_rows == len(sample["at_ms"])
    assert proof.column("value").to_pylist() == pytest.approx(sample["value"], rel=1e-4)


async def test_what_people_say_of_a_finding_reaches_the_detector_and_the_audit_log(
    client, kernel, publish, running, told, values, tenant
):
    """A finding called noise is charged, its like made dearer; both are seen in the budget, the words in the log."""
    async with running(kernel) as reached:
        await reached(await publish(values))
    (opened, _) = await told()
    async with kernel.records.transaction() as transaction:
        await transaction.save(FINDINGS, tenant, opened.id, keep_finding(opened), version=0)

    said = await client.post(f"/api/v1/findings/{opened.id}/feedback", json={"verdict": "noise", "note": "a test"})
    wrong = await client.post(f"/api/v1/findings/{opened.id}/feedback", json={"verdict": "maybe"})
    with pytest.raises(NotFound):
        await client.post("/api/v1/findings/none/feedback", json={"verdict": "noise"})
    detector = Detector(kernel)
    await detector.restore(0)
    await detector.hear()
    await detector._note()
    budget = (await client.get("/api/v1/budget")).json()

    assert said.status_code == 202
    assert said.json() == {"verdict": "noise", "findings": 1}
    assert wrong.status_code == 422
    assert budget["noise_week"] == 1
    assert budget["judged_false_share"] == 1.0
    entries = (await Audit(kernel.records, kernel.clock).page(tenant, Search({}))).records
    assert [(entry.value.actor, entry.value.action) for entry in entries] == [("ann", "finding_judged")]


@pytest.mark.parametrize("series", ["", "1", "x-y", f"{1 << 64}-1", "1-2-3", "-1--2", "1'-2"])
async def test_a_wrong_series_name_is_refused(kernel, series):
    with pytest.raises(Invalid):
        parse_series(series)


async def test_series_that_nobody_named_are_looked_up(kernel, telemetry, tenant, bus):
    """A detector that missed the naming learns it from the catalog and watches from then on."""
    row = {
        "tenant": [tenant], "hi": pa.array([5], pa.uint64()), "lo": pa.array([6], pa.uint64()),
        "metric": ["queue.depth"],
        "labels": pa.array([[("queue", "mail")]], pa.map_(pa.string(), pa.string())), "type": ["gauge"],
        "unit": ["{item}"], "entity_kind": ["service"], "entity_name": ["mailer"],
        "first_seen": pa.array([1_700_000_000_000]).cast(pa.timestamp("ms", "UTC")),
        "last_seen": pa.array([1_700_000_000_000]).cast(pa.timestamp("ms", "UTC")),
    }  # fmt: skip
    await telemetry.insert("series", pa.table(row), dedup_token=tenant)
    detector, rules = Detector(kernel), rules_of(kernel.settings.support)
    watch = detector._watches.setdefault(tenant, new_watch(tenant, rules))
    five, six = np.array([5], np.uint64), np.array([6], np.uint64)
    observe(watch, SampleBatch(five, six, np.array([1]), np.array([2.0]), no_series()), rules, 1)

    await detector._look_up_names()

    assert [name.metric for name in watch.series.names] == ["queue.depth"]
    assert watch.series.names[0].entity_name == "mailer"
    assert not watch.unnamed
