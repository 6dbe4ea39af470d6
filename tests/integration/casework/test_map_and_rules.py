"""The map and the rules over REST, on the real engines."""

import asyncio
from dataclasses import replace

import pyarrow as pa
import pytest

from cerebro.casework.desk import Desk
from cerebro.casework.store import CASES
from cerebro.casework.topology.atlas import Atlas
from cerebro.casework.topology.sighted import CALLS, Sighted
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.spine.entities import EntityKey

SHOP, PAY, BANK = (EntityKey("service", name) for name in ("shop", "pay", "bank"))


@pytest.fixture
async def drawn(whole_kernel, tenant):
    """The shop calls the payment, which calls the bank."""
    now_ms = whole_kernel.clock.now_ms()
    links = dict.fromkeys([(SHOP, PAY, CALLS), (PAY, BANK, CALLS)], 1.0)
    await Surveyor(whole_kernel).tell(tenant, Sighted(now_ms, now_ms, links=links))
    return now_ms


@pytest.fixture
async def named(telemetry, tenant, whole_kernel):
    """Series of a process that holds connections to a database, sampled just now."""
    now_ms = whole_kernel.clock.now_ms()
    at = pa.array([now_ms], pa.timestamp("ms", "UTC"))
    one = {"tenant": [tenant], "hi": pa.array([5], pa.uint64()), "lo": pa.array([6], pa.uint64())}
    await telemetry.insert("samples", pa.table({**one, "at": at, "value": [1.0]}), dedup_token=f"s{tenant}")
    said = [("host_name", "web-7"), ("peer.kind", "external"), ("peer.name", "10.0.0.9:5432"), ("team", "money")]
    about = {
        "metric": ["cerebro.host.connections"], "labels": pa.array([said], pa.map_(pa.string(), pa.string())),
        "type": ["gauge"], "unit": ["1"], "entity_kind": ["process"], "entity_name": ["web-7:pay"],
        "first_seen": at, "last_seen": at,
    }  # fmt: skip
    await telemetry.insert("series", pa.table({**one, **about}), dedup_token=tenant)


async def test_the_catalog_of_series_is_drawn(whole_kernel, tenant, named):
    """A process runs on its host and calls what it is connected to; its team owns it."""
    surveyor = Surveyor(whole_kernel)
    await surveyor.look_around()
    await surveyor.keep(at_once=True)
    found = await Atlas(whole_kernel).at(tenant, whole_kernel.clock.now_ms())

    process = EntityKey("process", "web-7:pay")
    assert found.entities[process].owner == "money"
    assert {(r.kind, r.target.text) for r in found.outward[process]} == {
        ("runs_on", "host/web-7"), ("calls", "external/10.0.0.9:5432"),
    }  # fmt: skip


async def test_the_map_of_a_moment(client, tenant, drawn, desk, finding):
    await desk.admit(tenant, [finding("errors", "service/bank", severity=4)])
    page = (await client.get("/topology", params={"focus": "service/shop", "hops": 2})).json()

    sick = {each["key"]["name"]: (each["health"], each["needs_health"]) for each in page["entities"]}
    assert sick == {"bank": ("critical", "critical"), "pay": ("good", "critical"), "shop": ("good", "critical")}
    assert {(r["source"]["name"], r["target"]["name"]) for r in page["relations"]} == {("shop", "pay"), ("pay", "bank")}
    near = (await client.get("/topology", params={"focus": "service/shop", "kinds": "service", "hops": 1})).json()
    assert len(near["entities"]) == 2 and not near["truncated"]
    past = (await client.get("/topology", params={"at_ms": drawn - 3_600_000})).json()
    assert past["entities"] == [] and past["total_count"] == 0
    assert (await client.get("/topology", params={"focus": "shop"})).status_code == 400


async def test_drawn_by_hand(client, drawn, tenant, kernel):
    relation = {"source": "service/bank", "target": "database/ledger", "kind": "stores_in"}
    assert (await client.put("/topology/relations", json=relation)).status_code == 200
    circle = await client.put("/topology/relations", json={"source": "service/bank", "target": "service/shop"})
    assert circle.status_code == 400 and "service/shop calls service/pay calls service/bank" in circle.json()["detail"]
    assert (await client.put("/topology/owners", json={"entity": "service/pay", "owner": "money"})).status_code == 200
    page = (await client.get("/topology")).json()
    assert {each["owner"] for each in page["entities"] if each["key"]["name"] == "pay"} == {"money"}
    assert "stores_in" in {each["kind"] for each in page["relations"]}
    assert (await client.delete("/topology/relations", params=relation)).status_code == 200
    assert (await client.delete("/topology/relations", params=relation)).status_code == 404


async def test_rules_are_read_kept_and_tried(client, drawn, tenant, desk, finding):
    """The usual rules join the shop with the payment; without the map they would have been two."""
    await desk.admit(tenant, [finding("errors", "service/pay"), finding("errors", "service/shop")])
    usual = (await client.get("/correlation")).json()
    assert usual["noise"] == {"finding_count": 2, "case_count": 1, "findings_per_case": 2.0, "reduction": 0.5}

    tried = (await client.post("/correlation/preview", json={"text": "map: {hops: 0}"})).json()
    assert (tried["cases_now"], tried["cases_then"], tried["finding_count"]) == (1, 2, 2)
    wrong = await client.put("/correlation/rules", json={"text": "map: {hops: 1}\ntogether:\n  - {labels: [team]}"})
    assert wrong.status_code == 400 and "Line 3" in wrong.json()["detail"]
    kept = await client.put("/correlation/rules", json={"text": "map: {hops: 1, within: 1m}"})
    assert kept.json()["rules"]["within_s"] == 60.0


async def test_cases_are_split_and_merged(client, drawn, tenant, desk, finding):
    await desk.admit(tenant, [finding("errors", "service/pay"), finding("errors", "service/shop")])
    (case,) = (await client.get("/cases")).json()["items"]
    new = await client.post(f"/cases/{case['id']}/split", json={"entities": ["service/shop"]})
    assert new.status_code == 200 and new.json()["entities"] == [{"kind": "service", "name": "shop"}]
    assert len((await client.get("/cases", params={"live": True})).json()["items"]) == 2
    again = await client.post(f"/cases/{case['id']}/split", json={"entities": ["service/shop"]})
    assert again.status_code == 409
    whole = await client.post(f"/cases/{case['id']}/merge", json={"other": new.json()["id"]})
    assert len(whole.json()["entities"]) == 2 and whole.json()["timeline"][-1]["kind"] == "merged"
    assert len((await client.get("/cases", params={"live": True})).json()["items"]) == 1


async def test_changes_are_found_by_what_they_are_about(client, drawn, telemetry, tenant, whole_kernel):
    now_ms = whole_kernel.clock.now_ms()
    at = pa.array([now_ms - 9000, now_ms - 6000, now_ms - 3000], pa.timestamp("ms", "UTC"))
    rows = {
        "tenant": [tenant] * 3, "at": at,
        "id": ["a", "b", "c"], "kind": ["deploy", "flag", "deploy"], "source": ["/ci"] * 3,
        "entity_kind": ["service"] * 3, "entity_name": ["pay", "far", "bank"], "title": ["v1", "on", "v2"],
        "body": ["{}"] * 3,
    }  # fmt: skip
    await telemetry.insert("events", pa.table(rows), dedup_token=f"e{tenant}")

    async def ids(**asked):
        return [each["id"] for each in (await client.get("/changes", params=asked)).json()["items"]]

    assert await ids() == ["c", "b", "a"]
    assert await ids(entity="service/pay") == ["a"]
    assert await ids(entity="service/pay", hops=1) == ["c", "a"]
    assert await ids(since_ms=now_ms - 7000) == ["c", "b"]


async def test_two_brains_on_the_real_store(kernel, drawn, tenant, finding, kept):
    """Findings of things that are tied, read by two brains at once, open one case."""
    names = [f"service/{name}" for name in ("shop", "pay", "bank")]
    findings = [finding(f"s{number}", name) for number in range(3) for name in names]
    first, second = Desk(kernel), Desk(replace(kernel))
    await asyncio.gather(first.admit(tenant, findings[::2]), second.admit(tenant, findings[1::2]))

    (case,) = await kept(CASES)
    assert case.finding_count == 9
