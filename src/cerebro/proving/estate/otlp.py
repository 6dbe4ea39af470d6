"""A slice of an estate's telemetry as OTLP export requests, in protobuf and in JSON. Source: OTLP 1.7."""

import base64
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Metric, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from cerebro.proving.estate.columns import BOUNDS_S
from cerebro.proving.estate.estate import Emission
from cerebro.proving.estate.openmetrics import points_by_series
from cerebro.proving.estate.series import Named
from cerebro.spine.telemetry import SeriesType, series_id

RESOURCE_NAMES = ("service.name", "service.namespace", "host.name")
_NS = 1_000_000
_ID_NAMES = frozenset({"traceId", "spanId", "parentSpanId"})
Points = Mapping[tuple[int, int], Sequence[tuple[int, float]]]


def write_otlp(out: Path, named: Sequence[Named], parts: Sequence[Emission]) -> None:
    """Write `metrics`, `logs` and `traces`, each as `.pb` and as `.json`."""
    out.mkdir(exist_ok=True)
    requests: dict[str, Message] = {
        "metrics": metrics_request(named, points_by_series(parts)),
        "logs": logs_request(parts),
        "traces": traces_request(parts),
    }
    for name, request in requests.items():
        (out / f"{name}.pb").write_bytes(request.SerializeToString(deterministic=True))
        told = _with_hexadecimal_ids(MessageToDict(request, use_integers_for_enums=True))
        (out / f"{name}.json").write_text(json.dumps(told, ensure_ascii=False))


def metrics_request(named: Sequence[Named], points: Points) -> ExportMetricsServiceRequest:
    """One resource for each service and host; buckets, sum and count of one series become histogram points again."""
    request = ExportMetricsServiceRequest()
    by_resource: dict[tuple[tuple[str, str], ...], list[Named]] = defaultdict(list)
    for each in named:
        by_resource[_resource_of(each.labels)].append(each)
    for resource, members in by_resource.items():
        scope = request.resource_metrics.add(resource=Resource(attributes=_pairs(dict(resource)))).scope_metrics.add()
        scope.scope.name = "estate"
        _add_numbers(scope, members, points)
        _add_histograms(scope, members, points)
    return request


def _add_numbers(scope: ScopeMetrics, members: Sequence[Named], points: Points) -> None:
    metrics: dict[str, Metric] = {}
    for each in members:
        if each.type is SeriesType.HISTOGRAM:
            continue
        metric = metrics.get(each.metric)
        if metric is None:
            metric = metrics[each.metric] = scope.metrics.add(name=each.metric, unit=each.unit)
        if each.type is SeriesType.COUNTER:
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        target = metric.sum.data_points if each.type is SeriesType.COUNTER else metric.gauge.data_points
        for at_ms, value in points.get(series_id(each.metric, each.labels), ()):
            target.add(attributes=_pairs(_own(each.labels)), time_unix_nano=at_ms * _NS, as_double=value)


def _add_histograms(scope: ScopeMetrics, members: Sequence[Named], points: Points) -> None:
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Named]] = defaultdict(dict)
    for each in members:
        if each.type is SeriesType.HISTOGRAM:
            base, _, part = each.metric.rpartition("_")
            labels = tuple(sorted((key, text) for key, text in _own(each.labels).items() if key != "le"))
            groups[base, labels][part if part != "bucket" else each.labels["le"]] = each
    metrics: dict[str, Metric] = {}
    for (base, labels), parts in groups.items():
        metric = metrics.get(base)
        if metric is None:
            metric = metrics[base] = scope.metrics.add(name=base, unit="s")
            metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        columns = {part: points.get(series_id(each.metric, each.labels), ()) for part, each in parts.items()}
        for row, (at_ms, count) in enumerate(columns["count"]):
            point = metric.histogram.data_points.add(
                attributes=_pairs(dict(labels)),
                time_unix_nano=at_ms * _NS,
                count=int(count),
                sum=columns["sum"][row][1],
            )
            if "+Inf" in columns:
                totals = [int(columns[f"{bound:g}"][row][1]) for bound in BOUNDS_S] + [int(columns["+Inf"][row][1])]
                point.explicit_bounds.extend(BOUNDS_S)
                point.bucket_counts.extend(now - before for now, before in zip(totals, [0, *totals], strict=False))


def logs_request(parts: Sequence[Emission]) -> ExportLogsServiceRequest:
    """One resource for each service."""
    request = ExportLogsServiceRequest()
    scopes = {}
    for row in (row for part in parts for row in part.logs.to_pylist()):
        if row["service"] not in scopes:
            of_resource = request.resource_logs.add(resource=Resource(attributes=_pairs(dict(row["resource"]))))
            scopes[row["service"]] = of_resource.scope_logs.add()
            scopes[row["service"]].scope.name = row["scope"]
        scopes[row["service"]].log_records.add(
            time_unix_nano=row["at_ns"], observed_time_unix_nano=row["observed_ns"],
            severity_number=row["severity"], severity_text=row["severity_text"],
            body=AnyValue(string_value=row["body"]), attributes=_pairs(dict(row["attributes"])),
        )  # fmt: skip
    return request


def traces_request(parts: Sequence[Emission]) -> ExportTraceServiceRequest:
    """One resource for each service."""
    request = ExportTraceServiceRequest()
    scopes = {}
    for row in (row for part in parts for row in part.spans.to_pylist()):
        if row["service"] not in scopes:
            of_resource = request.resource_spans.add(resource=Resource(attributes=_pairs(dict(row["resource"]))))
            scopes[row["service"]] = of_resource.scope_spans.add()
            scopes[row["service"]].scope.name = row["scope"]
        span = scopes[row["service"]].spans.add(
            trace_id=bytes.fromhex(row["trace_id"]), span_id=bytes.fromhex(row["span_id"]),
            parent_span_id=bytes.fromhex(row["parent_span_id"]), name=row["name"], kind=row["kind"],
            start_time_unix_nano=row["at_ns"], end_time_unix_nano=row["at_ns"] + row["duration_ns"],
            attributes=_pairs(dict(row["attributes"])),
        )  # fmt: skip
        span.status.code, span.status.message = row["status"], row["status_message"]
    return request


def _with_hexadecimal_ids(told: Any) -> Any:
    """OTLP's JSON writes ids as digits, where protobuf's own JSON has base64."""
    if isinstance(told, list):
        return [_with_hexadecimal_ids(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {
        name: base64.b64decode(part).hex() if name in _ID_NAMES else _with_hexadecimal_ids(part)
        for name, part in told.items()
    }


def _resource_of(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, labels[name]) for name in RESOURCE_NAMES if name in labels)


def _own(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name not in RESOURCE_NAMES}


def _pairs(labels: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=text)) for name, text in labels.items()]
