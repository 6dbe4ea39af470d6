"""The forecast over HTTP, from samples in a real store."""

from dataclasses import replace

import httpx
import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI

from cerebro.agents.support.api import keda_asks, router, scaling_router
from cerebro.agents.support.flow import Foreseer
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine.wire import decode_samples

LOOKS = 12 * 30  # thirty hours, a look every five minutes


@pytest.fixture
async def client(kernel, tenant):
    class Known:
        async def authenticate(self, authorization):
            return Principal(tenant, "ann", "user", frozenset({"read"}))

    app = FastAPI()
    app.state.guard = Known()
    explain_problems(app)
    app.include_router(router(kernel))
    app.include_router(scaling_router(kernel))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cerebro") as connected:
        yield connected


@pytest.fixture
async def stored(telemetry, tenant):
    """A disk on two hosts that fills, and a counter of requests at 7 a second that starts anew once."""
    start_ms = (SystemClock().now_ms() // 300_000 - LOOKS) * 300_000
    at = pa.array(start_ms + np.arange(LOOKS) * 300_000).cast(pa.timestamp("ms", "UTC"))
    counted = np.arange(LOOKS) * 2100.0
    counted[200:] -= counted[200]
    rows = {1: 40 + 0.05 * np.arange(LOOKS), 2: np.full(LOOKS, 10.0), 3: counted}
    names = {1: ("disk.used", "gauge", "a"), 2: ("disk.used", "gauge", "b"), 3: ("requests", "counter", "a")}
    for number, values in rows.items():
        ids = pa.array([number] * LOOKS, pa.uint64())
        table = pa.table({"tenant": [tenant] * LOOKS, "hi": ids, "lo": ids, "at": at, "value": values})
        await telemetry.insert("samples", table, dedup_token=f"{tenant}-{number}")
    series = pa.table(
        {
            "tenant": [tenant] * 3, "hi": pa.array([1, 2, 3], pa.uint64()), "lo": pa.array([1, 2, 3], pa.uint64()),
            "metric": [names[n][0] for n in rows], "type": [names[n][1] for n in rows], "unit": [""] * 3,
            "labels": pa.array([[("host.name", names[n][2])] for n in rows], pa.map_(pa.string(), pa.string())),
            "entity_kind": ["host"] * 3, "entity_name": ["a", "b", "a"],
        }
    )  # fmt: skip
    await telemetry.insert("series", series, dedup_token=f"{tenant}-series")


async def test_a_disk_that_fills_is_foreseen_and_a_rate_stays(client, stored):
    ask = {"selector": 'disk.used{host.name="a"}', "horizon_s": 86_400, "bound": 60}
    disk = (await client.get("/api/v1/forecast", params=ask)).json()
    both = (await client.get("/api/v1/forecast", params={"selector": "disk.used", "horizon_s": 3600})).json()
    rate = (await client.get("/api/v1/forecast", params={"selector": "requests", "horizon_s": 3600})).json()

    assert disk["reaches"]["likely_ms"] - disk["at_ms"][-1] == pytest.approx(40 * 300_000, abs=5 * 300_000)
    assert set(disk["quantiles"]) == {"0.025", "0.1", "0.5", "0.9", "0.975"}
    assert len(disk["ahead_ms"]) == len(disk["quantiles"]["0.5"]) == 288
    assert both["value"][-1] == pytest.approx(disk["value"][-1] + 10)
    assert rate["quantiles"]["0.5"] == pytest.approx([7.0] * 12, abs=0.1)


async def test_what_cannot_be_foreseen_is_said(client, stored):
    async def status(**query):
        return (await client.get("/api/v1/forecast", params=query)).status_code

    assert await status(selector="nothing.like.it") == 404
    assert await status(selector="disk.used{") == 400
    assert await status(selector="disk.used", horizon_s=1) == 400
    assert await status(selector="disk.used", aggregate="mode") == 400


async def test_autoscalers_are_told_what_will_be_needed(client, stored, kernel, tenant):
    path = "/apis/external.metrics.k8s.io/v1beta1"
    asked = {"labelSelector": "host.name=a,cerebro_horizon_s=36000,cerebro_quantile=0.5"}
    answer = (await client.get(f"{path}/namespaces/shop/disk.used", params=asked)).json()
    missing = await client.get(f"{path}/namespaces/shop/no.such.metric")
    odd = await client.get(f"{path}/namespaces/shop/disk.used", params={"labelSelector": "host.name!=a"})

    class Known:
        async def authenticate(self, authorization):
            assert authorization == "Bearer k"
            return Principal(tenant, "key:keda", "key", frozenset({"read"}))

    need = await keda_asks(kernel, Known())("Bearer k", {"selector": 'disk.used{host.name="a"}', "quantile": "0.5"})

    assert (await client.get(path)).json()["kind"] == "APIResourceList"
    assert answer["kind"] == "ExternalMetricValueList"
    in_ten_hours = 40 + 0.05 * (LOOKS + 120)
    assert float(answer["items"][0]["value"].removesuffix("m")) / 1000 == pytest.approx(in_ten_hours, abs=1.5)
    assert (missing.status_code, missing.json()["reason"]) == (404, "NotFound")
    assert (odd.status_code, odd.json()["kind"]) == (400, "Status")
    assert need.value == pytest.approx(40 + 0.05 * (LOOKS + 3), abs=0.5)


async def test_forecasts_are_stored_as_series(stored, kernel, tenant, bus):
    rules = kernel.settings.support.model_copy(update={"forecasts": ('disk.used{host.name="a"}', "no.such.metric")})
    foreseer = Foreseer(replace(kernel, settings=kernel.settings.model_copy(update={"support": rules})))
    await foreseer.look(tenant)
    await foreseer.look(tenant)

    messages = await bus.read(
        "metrics", after=0, count_max=10, bytes_max=1 << 22, wait_s=1, subject=f"telemetry.{tenant}.metrics"
    )
    batches = [decode_samples(message.body) for message in messages]
    labels = [dict(row) for row in batches[0].series["labels"].to_pylist()]

    assert len(batches) == 1
    assert {row["ahead_s"] for row in labels} == {"3600", "21600", "86400"}
    assert len(batches[0]) == 15
    assert np.isfinite(batches[0].value).all()
