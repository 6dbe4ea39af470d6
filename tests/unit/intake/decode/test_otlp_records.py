"""OTLP logs and spans: what a record becomes, in protobuf and in JSON, and what no body may do."""

import json
from contextlib import suppress
from time import process_time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_json import Signal, protobuf_of_json
from cerebro.intake.decode.otlp_logs import decode_otlp_logs
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.decode.otlp_traces import decode_otlp_traces
from cerebro.spine.errors import Invalid, TooLarge
from cerebro.spine.telemetry import LOG_SCHEMA, SPAN_SCHEMA

EITHER = pytest.mark.parametrize("compiled", [True, False], ids=["numba", "upb"])
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}


def entity_of(facts):
    return "service", facts.get("service.name", "?")


def logs_json(*records):
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": records}]}]}


def log_rows(tree, compiled):
    body = protobuf_of_json(json.dumps(tree).encode(), Signal.LOGS)
    table = decode_otlp_logs(body, entity_of, compiled=compiled)
    assert table.schema == LOG_SCHEMA
    return table.to_pylist()


@EITHER
def test_a_log_record_with_everything(compiled):
    values = [
        ("text", {"stringValue": "a\u0000ä"}), ("whole", {"intValue": "-5"}), ("part", {"doubleValue": 0.25}),
        ("truth", {"boolValue": True}), ("list", {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "x"}]}}),
        ("raw", {"bytesValue": "AAE="}), ("nothing", {}),
    ]  # fmt: skip
    record = {
        "timeUnixNano": "1700000000000000001", "observedTimeUnixNano": "1700000000000000002", "severityNumber": 17,
        "severityText": "ERROR", "traceId": TRACE, "spanId": SPAN,
        "body": {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 1.0}}]}},
        "attributes": [{"key": key, "value": value} for key, value in values],
    }  # fmt: skip

    assert log_rows(logs_json(record), compiled) == [
        {
            "at_ns": 1700000000000000001, "observed_ns": 1700000000000000002, "severity": 17, "severity_text": "ERROR",
            "body": '{"k":1.0}', "service": "shop", "entity_kind": "service", "entity_name": "shop",
            "trace_id": TRACE, "span_id": SPAN, "scope": "lib",
            "attributes": [("text", "a\x00ä"), ("whole", "-5"), ("part", "0.25"), ("truth", "true"),
                           ("list", '[1,"x"]'), ("raw", "AAE="), ("nothing", "")],
            "resource": [("service.name", "shop")],
        }
    ]  # fmt: skip


@EITHER
@pytest.mark.parametrize(
    ("record", "column", "wanted"),
    [
        ({"observedTimeUnixNano": "7"}, "at_ns", 7),
        ({"timeUnixNano": str(2**64 - 1)}, "at_ns", 2**63 - 1),
        ({"severityNumber": 25}, "severity", 0),
        ({"traceId": "00" * 16}, "trace_id", ""),
        ({"traceId": "ab"}, "trace_id", ""),
        ({"body": {"intValue": str(-(2**63))}}, "body", str(-(2**63))),
        ({"body": {"doubleValue": "NaN"}}, "body", "NaN"),
        ({"body": {"stringValue": "<b>'; DROP TABLE logs"}}, "body", "<b>'; DROP TABLE logs"),
    ],
)
def test_odd_fields_of_a_log_record(record, column, wanted, compiled):
    assert log_rows(logs_json(record), compiled)[0][column] == wanted


@EITHER
def test_what_is_not_utf8_is_replaced(compiled):
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for text in ("good", "MARK", "ä"):
        records.add().body.string_value = text
    body = request.SerializeToString().replace(b"MARK", b"a\xff\xedz")
    table = decode_otlp_logs(body, entity_of, compiled=compiled)

    assert table["body"].to_pylist() == ["good", "a��z", "ä"]


@EITHER
def test_a_span_with_everything(compiled):
    span = {
        "traceId": TRACE, "spanId": SPAN, "parentSpanId": SPAN, "name": "GET /", "kind": 2, "traceState": "a=b",
        "startTimeUnixNano": "100", "endTimeUnixNano": "350", "status": {"code": 2, "message": "late"},
        "attributes": [{"key": "http.status", "value": {"intValue": "500"}}], "flags": 1,
        "events": [{"timeUnixNano": "120", "name": "retry", "attributes": [{"key": "n", "value": {"intValue": "1"}}]}],
        "links": [{"traceId": TRACE, "spanId": SPAN}],
    }  # fmt: skip
    plain = {"name": "odd", "startTimeUnixNano": "9", "endTimeUnixNano": "3", "kind": 77}
    scopes = [{"scope": {"name": "lib"}, "spans": [span, plain]}]
    body = protobuf_of_json(
        json.dumps({"resourceSpans": [{"resource": RESOURCE, "scopeSpans": scopes}]}).encode(), Signal.TRACES
    )
    table = decode_otlp_traces(body, entity_of, compiled=compiled)
    first, second = table.to_pylist()

    assert table.schema == SPAN_SCHEMA
    assert first == {
        "at_ns": 100, "duration_ns": 250, "trace_id": TRACE, "span_id": SPAN, "parent_span_id": SPAN, "name": "GET /",
        "kind": 2, "status": 2, "status_message": "late", "service": "shop", "entity_kind": "service",
        "entity_name": "shop", "scope": "lib", "attributes": [("http.status", "500")],
        "resource": [("service.name", "shop")],
        "events": '[{"at_ns":120,"name":"retry","attributes":{"n":"1"}}]',
        "links": f'[{{"trace_id":"{TRACE}","span_id":"{SPAN}","attributes":{{}}}}]',
    }  # fmt: skip
    assert (second["duration_ns"], second["kind"], second["events"], second["links"]) == (0, 0, "[]", "[]")


@EITHER
def test_empty_bodies_hold_nothing(compiled):
    assert decode_otlp_logs(b"", entity_of, compiled=compiled).num_rows == 0
    assert decode_otlp_traces(b"", entity_of, compiled=compiled).num_rows == 0


@pytest.mark.parametrize("decode", [decode_otlp_logs, decode_otlp_traces])
@pytest.mark.parametrize("body", [b"\x08\x01", b"\x0a\x02\x12", b"\x0a\x04\x12\x02\x08\x01", b"<html>"])
def test_a_broken_body_is_refused(decode, body):
    with pytest.raises(Invalid, match="byte"):
        decode(body, entity_of)


def test_a_resource_repeated_for_every_record_cannot_fill_the_memory():
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    of_resource.resource.attributes.add(key="a").value.string_value = "x" * 100_000
    scope = of_resource.scope_logs.add()
    for _ in range(10_000):
        scope.log_records.add()

    for compiled in (True, False):
        with pytest.raises(TooLarge):
            decode_otlp_logs(request.SerializeToString(), entity_of, compiled=compiled)


@pytest.mark.parametrize(
    "body", [b"\x0a\x00" * 2_000_000, b"\x0a\x02\x12\x00" * 1_000_000], ids=["resources", "scopes"]
)
@pytest.mark.parametrize("decode", [decode_otlp_logs, decode_otlp_traces])
def test_a_body_that_means_harm_costs_little(decode, body):
    begun = process_time()
    with suppress(TooLarge):
        decode(body, entity_of)

    assert process_time() - begun < 8


def nested(depth):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    value = span.attributes.add(key="deep").value
    for _ in range(depth):
        value = value.array_value.values.add()
    value.string_value = "x"
    return request.SerializeToString()


@EITHER
def test_deep_values_are_read_and_bottomless_ones_refused(compiled):
    table = decode_otlp_traces(nested(20), entity_of, compiled=compiled)

    assert table["attributes"].to_pylist() == [[("deep", "[" * 20 + '"x"' + "]" * 20)]]
    with pytest.raises(Invalid):
        decode_otlp_traces(nested(90), entity_of, compiled=compiled)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"resourceLogs": 3}', b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}',
     b"[" * 100_000, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"-1"}]}]}]}'],
)  # fmt: skip
def test_json_that_is_no_request_is_refused(body):
    with pytest.raises(Invalid):
        protobuf_of_json(body, Signal.LOGS)


def test_metrics_in_json():
    point = {"timeUnixNano": "1000000", "asInt": "3", "attributes": [{"key": "a", "value": {"stringValue": "b"}}]}
    metrics = [{"name": "heat", "gauge": {"dataPoints": [point]}, "unknownField": 1}]
    tree = {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": metrics}]}]}
    decoded = decode_otlp_metrics(protobuf_of_json(json.dumps(tree).encode(), Signal.METRICS), KnownSeries())

    assert decoded.value.tolist() == [3.0] and decoded.at_ms.tolist() == [1]
    assert decoded.labels(decoded.new) == [{"a": "b", "service.name": "shop"}]
