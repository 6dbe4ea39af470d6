"""Whatever is sent to a door, it answers in its form with a 2xx or 4xx, goes on, and holds on to nothing."""

import asyncio
import gzip
import json

import cramjam
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DOORS = ("/api/v1/write", "/v1/metrics", "/v1/logs", "/v1/traces")
WEBHOOKS = ("/intake/alertmanager", "/intake/events")
ANSWERS = {200, 202, 204, 400, 405, 413, 415, 429}
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

paths = st.sampled_from((*DOORS, *WEBHOOKS))
media = st.sampled_from(
    ["application/x-protobuf", "application/json", "text/plain", "", "application/x-protobuf;proto=x"]
)
encodings = st.sampled_from(["", "gzip", "snappy", "identity", "deflate", "gzip, gzip", b"\xe9\xff"])
WORDS = """
resourceMetrics resource attributes key value stringValue scopeMetrics metrics name gauge sum histogram dataPoints
timeUnixNano asDouble asInt bucketCounts explicitBounds count resourceLogs scopeLogs logRecords body traceId spanId
resourceSpans scopeSpans spans startTimeUnixNano events links severityNumber arrayValue kvlistValue values
alerts labels annotations status startsAt endsAt fingerprint version id source type specversion time data subject detail
"""
names = st.sampled_from(WORDS.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


def filled(at_ns):
    """One request of each signal with every usual part."""
    metrics, logs, traces = ExportMetricsServiceRequest(), ExportLogsServiceRequest(), ExportTraceServiceRequest()
    scope = metrics.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="g").gauge.data_points.add(time_unix_nano=at_ns, as_int=3)
    total = scope.metrics.add(name="s")
    total.sum.aggregation_temporality = 2
    total.sum.data_points.add(time_unix_nano=at_ns, as_double=1.5).attributes.add(key="k").value.string_value = "v"
    histogram = scope.metrics.add(name="h").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(time_unix_nano=at_ns, count=3, sum=2, bucket_counts=[1, 2], explicit_bounds=[5.0])
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=at_ns, trace_id=b"1" * 16)
    record.body.kvlist_value.values.add(key="a").value.array_value.values.add(bool_value=True)
    span = (
        traces.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=b"1" * 16, span_id=b"2" * 8, name="x", start_time_unix_nano=at_ns, end_time_unix_nano=at_ns + 1
        )
    )
    span.events.add(name="e", time_unix_nano=at_ns)
    span.links.add(trace_id=b"1" * 16, span_id=b"3" * 8)
    return {path: each.SerializeToString() for path, each in zip(DOORS[1:], (metrics, logs, traces), strict=True)}


def judged(answer, path):
    """The answer is in the door's own form and gives nothing of the inside away."""
    assert answer.status_code in ANSWERS, (answer.status_code, answer.content)
    assert b"Traceback" not in answer.content
    assert b"/site-packages" not in answer.content
    form = answer.headers.get("content-type", "")
    if path in (DOORS[0], WEBHOOKS[0]):
        assert answer.status_code in (200, 204) or form.startswith("text/plain")
    elif form == "application/json":
        json.loads(answer.content)
    else:
        assert form == "application/x-protobuf"


@pytest.fixture
async def attack(doors):
    """Run a property in a thread against the open doors, then see that they still work."""

    async def run(*properties):
        with httpx.Client(base_url=f"http://127.0.0.1:{doors.port}", timeout=20) as client:

            def send(path, body, **headers):
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                answer = client.post(path, content=body, headers={"authorization": f"Bearer {doors.tenant}", **named})
                judged(answer, path)
                return answer

            for each in properties:
                await asyncio.to_thread(each, send)
        assert (await doors.write(({"__name__": "up"}, [(doors.now_ms, 1.0)]))).status_code == 204
        assert doors.app._room.used_bytes == 0

    return doors, run


async def test_any_bytes_under_any_name(attack):
    _, run = attack

    @FUZZ
    @given(path=paths, body=st.binary(max_size=300), kind=media, encoding=encodings)
    def prop(send, path, body, kind, encoding):
        send(path, body, content_type=kind, content_encoding=encoding)

    await run(prop)


async def test_good_bodies_gone_bad(attack):
    """Truncated, with bytes changed, with parts repeated."""
    doors, run = attack
    good = filled(doors.kernel.clock.now_ns())
    write = bytes(
        cramjam.snappy.decompress_raw(doors.folded(({"__name__": "m", "job": "a"}, [(doors.now_ms, 1.0)] * 3)))
    )
    good[DOORS[0]] = write
    alert = {"labels": {"alertname": "Slow", "job": "a"}, "startsAt": "2026-01-31T09:30:00Z", "fingerprint": "f"}
    good[WEBHOOKS[0]] = json.dumps({"version": "4", "alerts": [alert]}).encode()
    event = {"specversion": "1.0", "id": "1", "source": "/ci", "type": "deploy", "data": {"service": "a"}}
    good[WEBHOOKS[1]] = json.dumps([event]).encode()

    @FUZZ
    @given(
        path=paths,
        cut=st.integers(0, 400),
        changes=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=4),
        repeat=st.integers(1, 3),
    )
    def prop(send, path, cut, changes, repeat):
        body = bytearray(good[path][: len(good[path]) - cut % len(good[path])] * repeat)
        for at, byte in changes:
            body[at % len(body)] = byte
        if path == DOORS[0]:
            folded = bytes(cramjam.snappy.compress_raw(bytes(body)))
            send(path, folded, content_type="application/x-protobuf", content_encoding="snappy")
        else:
            kind = "application/json" if path in WEBHOOKS else "application/x-protobuf"
            send(path, bytes(body), content_type=kind)

    await run(prop)


async def test_compressed_bodies_cut_or_changed(attack):
    doors, run = attack
    folded = doors.folded(*(({"__name__": "m", "i": str(i)}, [(doors.now_ms, 1.0)]) for i in range(20)))
    zipped = gzip.compress(filled(doors.kernel.clock.now_ns())[DOORS[1]])

    @FUZZ
    @given(is_gzip=st.booleans(), cut=st.integers(0, 200), at=st.integers(0, 200), byte=st.integers(0, 255))
    def prop(send, is_gzip, cut, at, byte):
        body = bytearray(zipped if is_gzip else folded)
        body[at % len(body)] = byte
        path, encoding = (DOORS[1], "gzip") if is_gzip else (DOORS[0], "snappy")
        send(
            path,
            bytes(body[: len(body) - cut % len(body)]),
            content_type="application/x-protobuf",
            content_encoding=encoding,
        )

    await run(prop)


async def test_json_of_any_shape(attack):
    _, run = attack

    @FUZZ
    @given(path=st.sampled_from((*DOORS[1:], *WEBHOOKS)), tree=values)
    def prop(send, path, tree):
        send(path, json.dumps(tree).encode(), content_type="application/json")

    def deep(send):
        for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"resourceLogs":[' * 5000, b"1" * 10_000, b'"\\ud800"'):
            for path in ("/v1/logs", *WEBHOOKS):
                assert send(path, body, content_type="application/json").status_code == 400

    await run(prop, deep)


async def test_lengths_that_lie(doors):
    """A body shorter than announced, or an announced length that is none: the door goes on."""
    for length in (b"100", b"-5", b"99999999999999999999", b"x"):
        reader, writer = await asyncio.open_connection("127.0.0.1", doors.port)
        writer.write(
            b"POST /v1/logs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + doors.tenant.encode() + b"\r\n"
            b"content-type: application/x-protobuf\r\ncontent-length: " + length + b"\r\n\r\nabc"
        )
        await writer.drain()
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(4096), 10)
        assert b" 200 " not in answer[:20]
        writer.close()

    assert (await doors.write(({"__name__": "up"}, [(doors.now_ms, 1.0)]))).status_code == 204
    assert doors.app._room.used_bytes == 0
