"""The API on real engines: what it shows, what people may do, and what it refuses."""

import pyarrow as pa
import pytest

from cerebro.casework import health
from cerebro.kernel.audit import Audit
from cerebro.kernel.records.port import Search
from cerebro.kernel.web.door import describe, doors_of


async def only(client):
    (case,) = (await client.get("/cases")).json()["items"]
    return case


async def test_a_case_is_shown_with_its_findings_and_their_evidence(client, desk, tenant, finding):
    await desk.admit(tenant, [finding("cpu"), finding("load", "process/web-7:nginx", severity=4)])

    line = await only(client)
    whole = (await client.get(f"/cases/{line['id']}")).json()

    assert line["severity"] == 4 and line["live"] and line["finding_count"] == line["active_count"] == 2
    assert "timeline" not in line
    assert {f["signal"] for f in whole["findings"]} == {"cpu", "load"}
    assert whole["findings"][0]["evidence"][0]["query"] == "SELECT 1"
    assert whole["timeline"][0]["kind"] == "opened" and whole["version"] == 1
    shown = (await client.get(f"/findings/{whole['findings'][0]['id']}")).json()
    assert shown["case"] == line["id"] and shown["evidence"]


async def test_cases_are_filtered_and_paged(client, desk, tenant, finding):
    await desk.admit(tenant, [finding("cpu", f"host/h{n}", severity=1 + n % 4) for n in range(9)])

    async def titles(**query):
        answer = await client.get("/cases", params=query)
        assert answer.status_code == 200, answer.text
        return [item["entities"][0]["name"] for item in answer.json()["items"]]

    assert len(await titles()) == 9
    assert sorted(await titles(severity="major")) == ["h2", "h3", "h6", "h7"]
    assert set(await titles(severity="4", order="severity")) == {"h3", "h7"}
    assert set((await titles(order="severity"))[:2]) == {"h3", "h7"}
    assert await titles(entity="host/h5") == ["h5"]
    assert await titles(text="H4 rose") == ["h4"]
    assert await titles(live="false") == await titles(state="resolved,closed") == []
    seen, cursor = [], ""
    while True:
        page = (await client.get("/cases", params={"limit": 4, "cursor": cursor})).json()
        seen += [item["id"] for item in page["items"]]
        if not (cursor := page["cursor"]):
            break
    assert len(seen) == len(set(seen)) == 9


@pytest.mark.parametrize(
    "query",
    [
        "severity=awful",
        "state=gone",
        "order=luck",
        "limit=0",
        "limit=501",
        "cursor=%00%ff",
        "live=perhaps",
        "cursor=e30",
    ],
)
async def test_a_question_that_does_not_fit_is_a_problem(client, query):
    answer = await client.get(f"/cases?{query}")

    assert answer.status_code == 400 and answer.json()["code"] == "invalid"


async def test_findings_are_filtered(client, desk, tenant, finding):
    made = [finding("cpu", agent="support"), finding("fraud", "service/pay", agent="cards", severity=4, kind="spike")]
    await desk.admit(tenant, made)

    for query, signals in [
        ({}, {"cpu", "fraud"}),
        ({"agent": "cards"}, {"fraud"}),
        ({"kind": "spike"}, {"fraud"}),
        ({"entity": "host/web-7"}, {"cpu"}),
        ({"severity": "critical"}, {"fraud"}),
        ({"since": made[1].seen_ms + 1000}, set()),
    ]:
        items = (await client.get("/findings", params=query)).json()["items"]
        assert {item["signal"] for item in items} == signals, query
        assert not any("evidence" in item for item in items)


async def test_what_people_do_is_done_shown_at_once_and_audited(client, desk, tenant, finding, kernel):
    await desk.admit(tenant, [finding("cpu")])
    place = f"/cases/{(await only(client))['id']}"

    assert (await client.post(f"{place}/acknowledge")).json()["state"] == "investigating"
    assert (await client.get(place)).json()["acknowledged_by"].startswith("key:")
    assert (await client.post(f"{place}/assign", json={"assignee": "anna"})).json()["assignee"] == "anna"
    assert (await only(client))["assignee"] == "anna"
    assert (await client.post(f"{place}/comment", json={"text": "<b>looks</b> like the deploy"})).status_code == 200
    assert (await client.post(f"{place}/silence", json={"length_s": 3600, "reason": "known"})).status_code == 200
    whole = (await client.get(place)).json()
    assert [one["entity"] for one in whole["silences"]] == ["host/web-7"]
    assert (await client.post(f"{place}/close", json={"text": "fixed"})).json()["state"] == "closed"
    assert [entry["kind"] for entry in (await client.get(place)).json()["timeline"]] == [
        "opened", "acknowledged", "assigned", "commented", "silenced", "closed",
    ]  # fmt: skip
    audit = Audit(kernel.records, kernel.clock)
    actions = [record.value.action for record in (await audit.page(tenant, Search({}, order="seq"))).records]
    assert actions[1:] == ["case_acknowledged", "case_assigned", "case_commented", "case_silenced", "case_closed"]
    assert (await audit.verify(tenant)).intact


async def test_two_people_at_once_are_told(client, desk, tenant, finding):
    await desk.admit(tenant, [finding("cpu")])
    place = f"/cases/{(await only(client))['id']}"

    assert (await client.post(f"{place}/acknowledge", json={"version": 1})).status_code == 200
    for name, body in [("close", {"version": 1}), ("acknowledge", {}), ("reopen", {})]:
        answer = await client.post(f"{place}/{name}", json=body)
        assert answer.status_code == 409 and answer.json()["code"] == "conflict" and answer.json()["detail"], name
    assert (await client.post(f"{place}/comment", json={"text": "  "})).status_code == 409
    for body in [{"text": ""}, {"text": "x" * 5000}, {"text": "a", "more": 1}, {"text": "\0"}]:
        assert (await client.post(f"{place}/comment", json=body)).status_code == 400, body
    assert (await client.post("/cases/nothing/close")).status_code == 404


async def test_silences_are_made_listed_and_ended(client, desk, tenant, finding):
    made = await client.post("/silences", json={"entity": "host/web-7", "length_s": 600, "reason": "upgrade"})
    assert made.status_code == 201 and made.json()["live"]
    await desk.admit(tenant, [finding("cpu")])
    assert (await client.get("/cases")).json()["items"] == []
    assert (await client.get("/findings")).json()["items"][0]["silence"] == made.json()["id"]

    assert [one["entity"] for one in (await client.get("/silences")).json()["items"]] == ["host/web-7"]
    assert (await client.delete(f"/silences/{made.json()['id']}")).status_code == 204
    assert (await client.delete(f"/silences/{made.json()['id']}")).status_code == 404
    assert (await client.get("/silences")).json()["items"] == []
    assert len((await client.get("/cases")).json()["items"]) == 1, "what still stands is told when the silence ends"
    for body in [
        {"length_s": 60},
        {"entity": "host/a", "length_s": 1e9},
        {"entity": "host/a"},
        {"entity": "host/a", "length_s": 0},
    ]:
        assert (await client.post("/silences", json=body)).status_code == 400, body


async def test_nobody_sees_or_changes_what_is_anothers(app, client, desk, tenant, finding, make_key):
    await desk.admit(tenant, [finding("cpu")])
    case = await only(client)
    strange = {"authorization": f"Bearer {await make_key('read', 'respond', of=f'x{tenant}')}"}
    for path in (f"/cases/{case['id']}", f"/findings/{case['id']}"):
        assert (await client.get(path, headers=strange)).status_code == 404
    assert (await client.get("/cases", headers=strange)).json()["items"] == []
    assert (await client.post(f"/cases/{case['id']}/close", headers=strange)).status_code == 404


async def test_every_door_asks_who_comes(app, client, make_key):
    weak = {"authorization": f"Bearer {await make_key('ingest')}"}
    doors = [door for door in doors_of(app) if door.method not in ("HEAD", "WEBSOCKET") and not door.is_public]
    assert len(doors) > 20 and all(door.permission or door.is_public for door in doors_of(app))
    for door in doors:
        path = door.path.replace("{", "").replace("}", "").replace(":path", "")
        for headers, status in [({"authorization": ""}, 401), (weak, 403)]:
            answer = await client.request(door.method, f"http://cerebro{path}", headers=headers)
            assert answer.status_code == status, (door, answer.text)


async def test_the_description_holds_every_model(app):
    described = describe(app)

    for path in ("/api/v1/cases", "/api/v1/findings", "/api/v1/cases/{case_id}", "/api/v1/engines", "/api/v1/topology"):
        answer = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in answer, path
    assert {"CaseLine", "KeptFinding", "Evidence", "Signal", "Entry"} <= set(described["components"]["schemas"])


@pytest.fixture
async def series(telemetry, tenant, kernel):
    """Ten minutes of one gauge of a service on a host."""
    now_ms = kernel.clock.now_ms()
    count, hi, lo = 600, 2**63 + 5, 7
    at = pa.array([now_ms - 1000 * (count - n) for n in range(count)], pa.timestamp("ms", "UTC"))
    both = {"hi": pa.array([hi] * count, pa.uint64()), "lo": pa.array([lo] * count, pa.uint64())}
    rows = pa.table({"tenant": [tenant] * count, **both, "at": at, "value": [float(n) for n in range(count)]})
    await telemetry.insert("samples", rows, dedup_token=f"a{tenant}")
    labels = pa.array([[("host.name", "web-7"), ("service.name", "shop")]], pa.map_(pa.string(), pa.string()))
    seen = pa.array([now_ms], pa.timestamp("ms", "UTC"))
    one = {"tenant": [tenant], "hi": both["hi"][:1], "lo": both["lo"][:1], "metric": ["shop.queue"], "labels": labels}
    about = {"type": ["gauge"], "unit": ["1"], "entity_kind": ["service"], "entity_name": ["shop"]}
    await telemetry.insert(
        "series", pa.table(one | about | {"first_seen": seen, "last_seen": seen}), dedup_token=tenant
    )
    return {"hi": str(hi), "lo": str(lo), "now_ms": now_ms}


async def test_entities_series_and_topology(client, desk, tenant, finding, series):
    await desk.admit(tenant, [finding("queue", "service/shop", severity=4)])

    (one,) = (await client.get("/entities")).json()["items"]
    assert one["key"] == {"kind": "service", "name": "shop"} and one["health"] == "critical" and one["open_cases"] == 1
    assert abs(one["last_seen_ms"] - series["now_ms"]) < 5000
    whole = (await client.get("/entities/service/shop")).json()
    assert whole["attributes"]["host.name"] == "web-7" and whole["series"][0]["last_value"] == 599.0
    assert whole["cases"][0]["severity"] == 4 and whole["series"][0]["spark"]["value"]
    (relation,) = (await client.get("/topology")).json()["relations"]
    assert (relation["source"]["name"], relation["kind"], relation["target"]["name"]) == ("shop", "runs_on", "web-7")
    assert (await client.get("/entities/service/none")).status_code == 404
    (found,) = (await client.get("/series", params={"q": "SHOP queue"})).json()["items"]
    assert found["hi"] == series["hi"], "a decimal text: it has 64 bits"
    assert (await client.get("/series", params={"q": "nothing"})).json()["items"] == []


@pytest.mark.parametrize(
    ("length_s", "points", "resolution"), [(600, 60, "raw"), (86_400, 100, "5m"), (8_640_000, 60, "1h")]
)
async def test_points_come_from_what_fits_the_window(client, series, length_s, points, resolution):
    now_ms = series["now_ms"]
    query = {
        "hi": series["hi"],
        "lo": series["lo"],
        "start_ms": now_ms - length_s * 1000,
        "end_ms": now_ms,
        "points": points,
    }

    answer = (await client.get("/series/points", params=query)).json()

    assert answer["resolution"] == resolution and 0 < len(answer["at_ms"]) <= points + 1
    assert all(
        low <= value <= high for low, value, high in zip(answer["low"], answer["value"], answer["high"], strict=True)
    )
    assert (await client.get("/series/points", params=query | {"end_ms": 0})).status_code == 400
    assert (await client.get("/series/points", params=query | {"hi": "9" * 20})).status_code == 400


async def test_sql_sees_the_tenants_rows_only(client, series, make_key, tenant):
    answer = (await client.post("/sql", json={"query": "SELECT metric, hi FROM series ORDER BY metric"})).json()
    assert answer == {"columns": ["metric", "hi"], "rows": [["shop.queue", series["hi"]]], "truncated": False}
    many = (await client.post("/sql", json={"sql": "SELECT number FROM numbers(20000) -- all"})).json()
    assert len(many["rows"]) == 10_000 and many["truncated"]
    for text in ("", "DROP TABLE series", "SELECT 1) FROM x", "SELECT * FROM system.tables", "SELECT 1; SELECT 2"):
        assert (await client.post("/sql", json={"query": text})).status_code in (400, 403), text
    strange = {"authorization": f"Bearer {await make_key('operate', of=f'x{tenant}')}"}
    assert (await client.post("/sql", json={"query": "SELECT * FROM series"}, headers=strange)).json()["rows"] == []


async def test_the_first_page_and_the_engines(client, desk, tenant, finding, series, whole_kernel):
    await desk.admit(tenant, [finding("queue", "service/shop", severity=2)])

    page = (await client.get("/overview")).json()
    assert page["missing"] == {} and page["open_cases"] == {"critical": 0, "major": 0, "minor": 1, "notice": 0}
    assert page["entities"] == {"minor": 1}
    assert 550 <= sum(count for _, count in page["ingest"]["minutes"]) <= 600 and page["ingest"]["samples_per_s"] > 0
    engines = (await client.get("/engines")).json()
    assert {one["name"]: one["ok"] for one in engines["items"]} == {"postgres": True, "nats": True, "store": True}
    assert {one["name"] for one in engines["streams"]} >= {"findings", "metrics"} and engines["disk"]["bytes_free"] > 0
    assert await health.readiness(whole_kernel) == {"postgres": "ok", "nats": "ok", "store": "ok"}
    assert "items" in (await client.get("/agents")).json()


async def test_an_engine_that_is_gone_is_named_and_the_rest_is_shown(client, whole_kernel, tenant):
    await whole_kernel.telemetry.close()

    page = (await client.get("/overview")).json()

    assert page["open_cases"] and page["entities"] is None and set(page["missing"]) == {"entities", "ingest"}
    engines = {one["name"]: one for one in (await client.get("/engines")).json()["items"]}
    assert engines["postgres"]["ok"] and not engines["store"]["ok"] and engines["store"]["detail"]
    assert (await client.get("/entities")).status_code == 503
