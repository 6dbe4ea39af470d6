"""What Alertmanager and CloudEvents' senders send is on the bus as findings and change events."""

import datetime
import json

import msgspec
import pytest

from cerebro.spine.findings import Finding

JSON = {"content_type": "application/json"}


def webhook(*alerts, **more):
    """A body as Alertmanager 0.28 sends it."""
    return json.dumps(
        {"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "cerebro",
         "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am:9093",
         "alerts": list(alerts), **more}
    ).encode()  # fmt: skip


def alert(at, name="HighErrorRate", status="firing", ends="0001-01-01T00:00:00Z", **labels):
    return {
        "status": status, "labels": {"alertname": name, **labels}, "annotations": {"summary": f"{name} of the shop"},
        "startsAt": at, "endsAt": ends, "generatorURL": "http://prom/graph?g0.expr=up", "fingerprint": f"fp-{name}",
    }  # fmt: skip


def rfc(at_ms):
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).isoformat().replace("+00:00", "Z")


async def findings_of(doors, after):
    subject, found = f"findings.{doors.tenant}", []
    for message in await doors.kernel.bus.read(
        "findings", after=after, count_max=100, bytes_max=1 << 24, wait_s=1, subject=subject
    ):
        found += msgspec.json.decode(message.body, type=list[Finding])
    return found


async def test_alerts_become_findings_once(doors):
    after = (await doors.kernel.bus.state("findings")).last_sequence
    began = rfc(doors.now_ms - 60_000)
    fire = webhook(alert(began, service="shop", severity="critical"), alert(began, "NodeDown", job="node",
                                                                           instance="web-7:9100"))  # fmt: skip
    over = webhook(alert(began, status="resolved", ends=rfc(doors.now_ms), service="shop", severity="critical"))

    for body in (fire, fire, over):
        assert (await doors.post("/intake/alertmanager", body, **JSON)).status_code == 200
    found = await findings_of(doors, after)

    assert [(f.entity.text, f.signal, f.severity, f.cleared) for f in found] == [
        ("service/shop", "HighErrorRate", 4, False),
        ("host/web-7", "NodeDown", 2, False),
        ("service/shop", "HighErrorRate", 4, True),
    ]
    first, _, last = found
    assert first.dedup_key == last.dedup_key and first.id != last.id and first.agent == "alertmanager"
    assert first.title == "HighErrorRate of the shop" and first.evidence[0].sample["labels"]["service"] == "shop"
    assert doors.now_ms - first.at_ms < 120_000 and last.seen_ms > first.seen_ms


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{}", "application/json", 400, "alerts"),
        (b"[]", "application/json", 400, "webhook"),
        (b"alerts=1", "application/x-www-form-urlencoded", 415, "JSON"),
        (json.dumps({"version": "3", "alerts": []}).encode(), "application/json", 400, "version"),
        (json.dumps({"alerts": [{"labels": {}}] * 10_001}).encode(), "application/json", 413, "max_alerts"),
    ],
)
async def test_what_is_no_webhook(doors, body, kind, status, words):
    answer = await doors.post("/intake/alertmanager", body, content_type=kind)

    assert answer.status_code == status and words in answer.text


DEPLOY = {
    "specversion": "1.0", "id": "d-1", "source": "/ci/main", "type": "dev.cdevents.service.deployed.0.1.1",
    "subject": "service/checkout", "data": {"version": "v42"},
}  # fmt: skip
BRIDGE = {
    "version": "0", "id": "e-1", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
    "account": "1", "region": "eu-west-1", "resources": ["arn:aws:ec2:eu-west-1:1:instance/i-0abc"],
    "detail": {"state": "stopped"},
}  # fmt: skip


async def test_events_in_every_form(doors):
    batch = {"content_type": "application/cloudevents-batch+json"}
    binary = {
        "content_type": "application/json", "ce_specversion": "1.0", "ce_id": "b-1", "ce_source": "/flags",
        "ce_type": "flag.changed", "ce_time": rfc(doors.now_ms - 5000),
    }  # fmt: skip
    sent = [
        (json.dumps(DEPLOY).encode(), {"content_type": "application/cloudevents+json; charset=utf-8"}),
        (json.dumps([{**DEPLOY, "id": "d-2", "data": {"labels": {"service.name": "pay"}}, "subject": "x"}] * 2), batch),
        (b'{"service": "cart", "title": "new-checkout on"}', binary),
        (json.dumps({**BRIDGE, "time": rfc(doors.now_ms)}).encode(), {"content_type": "application/json"}),
    ]
    for body, headers in sent:
        answer = await doors.post("/intake/events", body, **headers)
        assert answer.status_code == 202, answer.text
    rows = [row for table in await doors.tables("events") for row in table.to_pylist()]

    assert [(row["kind"], f"{row['entity_kind']}/{row['entity_name']}") for row in rows] == [
        ("deploy", "service/checkout"),
        ("deploy", "service/pay"),
        ("deploy", "service/pay"),
        ("flag", "service/cart"),
        ("ec2_instance_state_change_notification", "resource/i-0abc"),
    ]
    assert rows[0]["title"].endswith("of service/checkout to v42") and rows[3]["title"] == "new-checkout on"
    assert rows[1]["id"] == rows[2]["id"] != rows[0]["id"]
    assert abs(rows[3]["at_ns"] // 1_000_000 - doors.now_ms) < 60_000
    assert json.loads(rows[0]["body"])["version"] == "v42"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({**DEPLOY, "id": ""}, "no id"),
        ({**DEPLOY, "specversion": "0.3"}, "specversion"),
        ({**DEPLOY, "time": "yesterday"}, "RFC 3339"),
        ({**DEPLOY, "time": "1999-01-01T00:00:00Z"}, "too_old"),
        ([DEPLOY, 3], "Event 1"),
        ([DEPLOY] * 1001, "at most 1000"),
    ],
)
async def test_what_is_no_event(doors, event, words):
    answer = await doors.post("/intake/events", json.dumps(event).encode(), **JSON)

    assert answer.status_code in (400, 413) and words in answer.json()["message"]


async def test_a_sender_needs_the_permission(doors):
    for path in ("/intake/alertmanager", "/intake/events"):
        assert (await doors.post(path, b"{}", tenant="wrong", **JSON)).status_code == 401
        assert (await doors.post(path, b"{}", tenant="reader", **JSON)).status_code == 403
        assert (await doors.client.get(path, headers={"authorization": f"Bearer {doors.tenant}"})).status_code == 405
