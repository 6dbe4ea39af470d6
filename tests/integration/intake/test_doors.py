"""What is acknowledged is on the bus, once; what is refused says why in the protocol's own form."""

import gzip
import json
import math
import struct
from collections import Counter

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cerebro.kernel.access.limits import RateLimit
from cerebro.kernel.settings import IntakeSettings
from cerebro.spine.errors import LimitReached, TooLarge, Unavailable
from cerebro.spine.telemetry import PARTITION_COUNT

WRITE = "/api/v1/write"
OTLP = ("/v1/metrics", "/v1/logs", "/v1/traces")
DOORS = (WRITE, *OTLP)
PROTO = {"content_type": "application/x-protobuf"}
SNAPPY = PROTO | {"content_encoding": "snappy"}
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def gauge(at_ms, *values, name="queue.depth", service="shop"):
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    metric = resource.scope_metrics.add().metrics.add(name=name, unit="1")
    for value in values:
        metric.gauge.data_points.add(time_unix_nano=at_ms * 1_000_000, as_double=value)
    return request


def logs(at_ms, *bodies):
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    for body in bodies:
        record = resource.scope_logs.add().log_records.add(time_unix_nano=at_ms * 1_000_000, severity_number=17)
        record.body.string_value = body
    return request


def spans(at_ms, count):
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for i in range(count):
        scope.spans.add(
            trace_id=bytes([1] * 16),
            span_id=bytes([i + 1] * 8),
            name="GET /",
            start_time_unix_nano=at_ms * 1_000_000,
            end_time_unix_nano=at_ms * 1_000_000 + 5,
        )
    return request


async def test_remote_write_is_on_the_bus_with_its_series_named_once(doors):
    now = doors.now_ms
    labels = {"__name__": "http_requests_total", "job": "shop", "instance": "web-7:80"}

    assert (await doors.write((labels, [(now - 1000, 1.0), (now, 2.0)]))).status_code == 204
    assert (await doors.write((labels, [(now + 1, 3.0)]))).status_code == 204

    first, second = await doors.batches()
    assert first.value.tolist() == [1.0, 2.0]
    assert first.at_ms.tolist() == [now - 1000, now]
    [row] = first.series.to_pylist()
    assert row["metric"] == "http_requests_total"
    assert dict(row["labels"]) == {"job": "shop", "instance": "web-7:80"}
    assert (row["entity_kind"], row["entity_name"], row["type"]) == ("service", "shop", "counter")
    assert second.series.num_rows == 0
    assert (second.hi[0], second.lo[0]) == (first.hi[0], first.lo[0]) == (row["hi"], row["lo"])
    assert 0 <= int(first.partition()[0]) < PARTITION_COUNT


async def test_the_same_body_twice_is_stored_once(doors):
    body = doors.folded(({"__name__": "up", "job": "a"}, [(doors.now_ms, 1.0)]))

    for _ in range(3):
        assert (await doors.post(WRITE, body, **SNAPPY)).status_code == 204

    assert len(await doors.batches()) == 1


async def test_the_same_body_of_another_tenant_is_stored_for_it_too(doors):
    body = doors.folded(({"__name__": "up", "job": "a"}, [(doors.now_ms, 1.0)]))
    other = f"{doors.tenant}x"

    await doors.post(WRITE, body, **SNAPPY)
    await doors.post(WRITE, body, tenant=other, **SNAPPY)

    assert len(await doors.batches()) == len(await doors.batches(other)) == 1


async def test_a_body_of_metadata_only_is_taken_and_stores_nothing(doors):
    assert (await doors.post(WRITE, doors.folded(), **SNAPPY)).status_code == 204
    assert await doors.batches() == []


async def test_odd_numbers_arrive_as_they_were_sent(doors):
    now = doors.now_ms
    values = [math.nan, math.inf, -math.inf, STALE, -0.0, 5e-324]
    samples = [(now - i, value) for i, value in enumerate(values)]  # out of order

    assert (await doors.write(({"__name__": "m"}, samples))).status_code == 204

    [batch] = await doors.batches()
    assert batch.value.tobytes() == b"".join(struct.pack("<d", value) for value in values)
    assert batch.at_ms.tolist() == [at for at, _ in samples]


@pytest.mark.parametrize("value", ["'; DROP TABLE samples; --", "<script>alert(1)</script>", "\x00\x1b[31m", "ё\u202e"])
async def test_hostile_labels_are_text_and_nothing_else(doors, value):
    assert (
        await doors.write(({"__name__": "m", "note": value, "job": value}, [(doors.now_ms, 1.0)]))
    ).status_code == 204

    [row] = (await doors.batches())[0].series.to_pylist()
    assert dict(row["labels"])["note"] == value
    assert "\x1b" not in row["entity_name"]


@pytest.mark.parametrize(("offset_s", "reason"), [(-8 * 86400, "too_old"), (3600, "too_new"), (-(10**15), "too_old")])
async def test_times_out_of_bounds_are_refused_and_the_rest_is_taken(doors, offset_s, reason):
    now = doors.now_ms
    bad = ({"__name__": "m", "k": "bad"}, [(max(-(2**62), now + offset_s * 1000), 1.0)])

    alone = await doors.write(bad)
    both = await doors.write(bad, ({"__name__": "m", "k": "good"}, [(now, 2.0)]))

    assert alone.status_code == 400
    assert reason in alone.text
    assert both.status_code == 204
    assert [b.value.tolist() for b in await doors.batches()] == [[2.0]]
    [refusal] = doors.app.refusals(doors.tenant)
    assert (refusal.reason, refusal.metric, refusal.count) == (reason, "m", 2)


async def test_a_series_with_200_labels_is_refused_by_itself(doors):
    wide = {"__name__": "wide"} | {f"label_{i}": "x" for i in range(200)}
    long = {"__name__": "long", "text": "x" * 5000}
    now = doors.now_ms

    assert (await doors.write((wide, [(now, 1.0)]))).status_code == 400
    assert (
        await doors.write((wide, [(now, 1.0)]), (long, [(now, 1.0)]), ({"__name__": "ok"}, [(now, 7.0)]))
    ).status_code == 204

    [batch] = await doors.batches()
    assert batch.value.tolist() == [7.0]
    counts = Counter({(r.reason, r.metric): r.count for r in doors.app.refusals(doors.tenant)})
    assert counts == {("too_many_labels", "wide"): 2, ("label_too_long", "long"): 1}


async def test_otlp_metrics_in_both_forms_and_gzip(doors):
    now = doors.now_ms
    protobuf = await doors.post(
        "/v1/metrics", gzip.compress(gauge(now, 1.0).SerializeToString()), **PROTO, content_encoding="gzip"
    )
    as_json = await doors.post(
        "/v1/metrics",
        json_format.MessageToJson(gauge(now + 1, 2.0)).encode(),
        content_type="application/json; charset=utf-8",
    )

    assert (protobuf.status_code, protobuf.content, protobuf.headers["content-type"]) == (
        200,
        b"",
        "application/x-protobuf",
    )
    assert (as_json.status_code, as_json.json(), as_json.headers["content-type"]) == (200, {}, "application/json")
    first, second = await doors.batches()
    assert [first.value.tolist(), second.value.tolist()] == [[1.0], [2.0]]
    assert first.series.to_pylist()[0]["entity_name"] == "shop"
    assert second.series.num_rows == 0


async def test_otlp_says_how_much_it_refused(doors):
    old = doors.now_ms - 30 * 86_400_000
    request = gauge(doors.now_ms, 1.0)
    request.resource_metrics.add().CopyFrom(gauge(old, 2.0, 3.0, name="late").resource_metrics[0])

    answer = await doors.post("/v1/metrics", request.SerializeToString(), **PROTO)
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    as_json = await doors.post(
        "/v1/metrics", json_format.MessageToJson(request).encode(), content_type="application/json"
    )

    assert answer.status_code == 200
    assert partial.rejected_data_points == 2
    assert "too_old" in partial.error_message
    assert as_json.json()["partialSuccess"]["rejectedDataPoints"] == "2"


async def test_logs_and_spans(doors):
    now = doors.now_ms
    assert (
        await doors.post("/v1/logs", logs(now, "paid", "<b>'); --").SerializeToString(), **PROTO)
    ).status_code == 200
    assert (await doors.post("/v1/traces", spans(now, 3).SerializeToString(), **PROTO)).status_code == 200

    [records], [table] = await doors.tables("logs"), await doors.tables("traces")
    assert records.column("body").to_pylist() == ["paid", "<b>'); --"]
    assert records.column("service").to_pylist() == ["shop", "shop"]
    assert table.num_rows == 3


async def test_a_log_without_a_time_gets_ours_and_an_old_one_is_refused(doors):
    request = logs(0, "now")
    request.resource_logs[0].scope_logs.add().log_records.add(time_unix_nano=1, observed_time_unix_nano=1)

    answer = await doors.post("/v1/logs", request.SerializeToString(), **PROTO)

    assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 1
    [table] = await doors.tables("logs")
    assert abs(table.column("at_ns").to_pylist()[0] - doors.kernel.clock.now_ns()) < 10e9


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_refused(doors, path, method):
    answer = await doors.client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", DOORS)
async def test_no_credential_a_wrong_one_and_one_too_low(doors, path):
    assert (await doors.client.post(path, content=b"x")).status_code == 401
    wrong = await doors.post(path, b"x", authorization="Bearer wrong")
    assert wrong.status_code == 401
    assert "Basic" in wrong.headers["www-authenticate"]
    assert (await doors.post(path, b"x", authorization="Bearer reader")).status_code == 403


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (WRITE, {}),
        (WRITE, PROTO),
        (WRITE, PROTO | {"content_encoding": "gzip"}),
        (WRITE, {"content_type": "application/json", "content_encoding": "snappy"}),
        (
            WRITE,
            {
                "content_type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "content_encoding": "snappy",
            },
        ),
        (WRITE, SNAPPY | {"x_prometheus_remote_write_version": "2.0.0"}),
        *((path, headers) for path in OTLP for headers in ({}, {"content_type": "text/plain"}, SNAPPY)),
    ],
)
async def test_another_media_type_is_refused_with_a_sentence(doors, path, headers):
    answer = await doors.post(path, b"x", **headers)

    assert answer.status_code == 415
    assert b"reads" in answer.content


@pytest.mark.parametrize("path", DOORS)
async def test_a_body_over_the_limit_is_refused(doors, path):
    headers = SNAPPY if path == WRITE else PROTO

    answer = await doors.post(path, b"\x00" * (2 << 20), **headers)

    assert answer.status_code == 413


async def test_compression_bombs_are_refused(doors):
    import cramjam

    bomb = bytes(5 << 20)
    assert (await doors.post(WRITE, bytes(cramjam.snappy.compress_raw(bomb)), **SNAPPY)).status_code == 413
    assert (await doors.post(WRITE, b"\xff\xff\xff\xff\x0f", **SNAPPY)).status_code == 413
    for path in OTLP:
        answer = await doors.post(path, gzip.compress(bytes(100 << 20)), **PROTO, content_encoding="gzip")
        assert answer.status_code == 413
        answer = await doors.post(
            path, gzip.compress(b"[" * (4 << 20)), content_type="application/json", content_encoding="gzip"
        )
        assert answer.status_code == 400
        assert answer.json()["code"] == 3


async def test_errors_of_otlp_are_statuses(doors):
    as_proto = await doors.post("/v1/logs", b"\xff\xff", **PROTO)
    as_json = await doors.post("/v1/logs", b"{", content_type="application/json")

    assert as_proto.status_code == as_json.status_code == 400
    assert as_proto.content.startswith(b"\x08\x03\x12")
    assert as_json.json()["code"] == 3
    assert as_json.json()["message"]


class TestExplosion:
    """One tenant's cardinality explodes; the other one, and the series it had, go on."""

    @pytest.fixture
    def intake_settings(self):
        return IntakeSettings(series_max=20)

    @pytest.fixture
    async def full(self, doors):
        now = doors.now_ms
        tenant = doors.app._tenants.of(doors.tenant)
        tenant.taking.catalogue.loaded = True
        had = [({"__name__": "http_requests_total", "job": "shop", "user_id": str(i)}, [(now, 1.0)]) for i in range(20)]
        assert (await doors.write(*had)).status_code == 204
        return doors, had

    async def test_its_known_series_go_on_and_new_ones_are_refused(self, full):
        doors, had = full
        labels = {"__name__": "http_requests_total", "job": "shop"}
        new = [(labels | {"user_id": f"n{i}"}, [(doors.now_ms, 1.0)]) for i in range(50)]
        again = [(labels, [(doors.now_ms + 1, 9.0)]) for labels, _ in had]

        mixed = await doors.write(*again, *new)
        alone = await doors.write(*new)

        assert mixed.status_code == 204
        assert (await doors.batches())[-1].value.tolist() == [9.0] * 20
        assert alone.status_code == 429
        assert int(alone.headers["retry-after"]) >= 1
        assert "'http_requests_total'" in alone.text
        assert "'user_id'" in alone.text
        [refusal] = doors.app.refusals(doors.tenant)
        assert (refusal.reason, refusal.label, refusal.count) == ("cardinality", "user_id", 100)

    async def test_another_tenant_does_not_notice(self, full):
        doors, _ = full
        other = f"{doors.tenant}o"

        answer = await doors.write(({"__name__": "up", "job": "calm"}, [(doors.now_ms, 1.0)]), tenant=other)

        assert answer.status_code == 204
        assert doors.app.refusals(other) == []

    async def test_otlp_in_part(self, full):
        doors, _ = full
        request = gauge(doors.now_ms, 1.0, name="brand.new")

        answer = await doors.post("/v1/metrics", request.SerializeToString(), **PROTO)

        assert answer.status_code == 429
        assert b"brand.new" in answer.content


async def test_many_new_series_in_one_body_are_named_in_messages_of_their_own(doors):
    now = doors.now_ms
    text = "x" * 480
    series = [({"__name__": "m", "id": str(i), "text": text}, [(now, float(i))]) for i in range(7500)]

    assert (await doors.write(*series)).status_code == 204

    batches = await doors.batches()
    assert [len(batch) for batch in batches][-1] == 7500
    assert sum(batch.series.num_rows for batch in batches) == 7500
    assert len(batches) > 1


async def test_too_many_requests_of_one_key_are_slowed(doors):
    doors.app._rates = RateLimit(1.0, doors.kernel.clock)
    answers = [await doors.post(WRITE, doors.folded(), **SNAPPY) for _ in range(5)]

    assert [answer.status_code for answer in answers].count(429) >= 2
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("failure", "status"), [(LimitReached("Full."), 503), (Unavailable("Down."), 503), (TooLarge("Big."), 413)]
)
async def test_what_the_bus_does_not_store_is_not_acknowledged(doors, monkeypatch, failure, status):
    async def refuse(subject, body, *, dedup_key):
        raise failure

    labels, now = {"__name__": "m", "job": "a"}, doors.now_ms
    with monkeypatch.context() as patch:
        patch.setattr(doors.kernel.bus, "publish", refuse)
        answers = [
            await doors.write((labels, [(now, 1.0)])),
            await doors.post("/v1/metrics", gauge(now, 1.0).SerializeToString(), **PROTO),
        ]
    again = await doors.write((labels, [(now, 1.0)]))

    assert [answer.status_code for answer in answers] == [status, status]
    assert all(("retry-after" in answer.headers) == (status == 503) for answer in answers)
    assert again.status_code == 204
    [batch] = await doors.batches()
    assert batch.series.num_rows == 1  # named again, since nobody had the name


async def test_a_websocket_at_a_door_is_turned_away(doors):
    sent = []

    async def send(message):
        sent.append(message["type"])

    await doors.app({"type": "websocket", "path": WRITE, "headers": []}, None, send)

    assert sent == ["websocket.close"]


async def test_the_form_of_a_refusal_is_json_where_json_was_sent(doors):
    answer = await doors.post("/v1/traces", b"[]", content_type="application/json")

    assert json.loads(answer.content)["code"] == 3
