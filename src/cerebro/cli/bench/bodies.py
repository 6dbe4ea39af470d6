"""Bodies as real senders make them, for benchmarks: made once, then given new times and values in place."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from cerebro.intake.decode.proto.remote_pb2 import WriteRequest

NS = 1_000_000
AT_MS = 1_700_000_000_123  # stands in a template where times belong
VALUE = 1234.56789012345  # and where values belong
WORDS = ("payment", "accepted", "for", "order", "of", "customer", "in", "gateway", "after", "retry", "timeout", "cart")
METHODS, STATUSES = ("GET", "POST", "PUT", "DELETE"), ("200", "201", "404", "500")
ROUTES = ("/api/cart", "/api/orders/{id}", "/api/pay", "/health")


@dataclass(frozen=True)
class Template:
    """A body whose times and values can be replaced without encoding it anew."""

    body: bytes
    row_count: int
    times: NDArray[np.int64]  # where each time begins
    values: NDArray[np.int64]  # where each value begins; empty when there are none
    encode: Callable[[int], bytes]  # a time in milliseconds as it stands in the body

    def at(self, at_ms: int, values: NDArray[np.float64] | None = None) -> bytes:
        """The body with every row at that time, and with values where it has some: `float64, (row_count,)`."""
        body = np.frombuffer(bytearray(self.body), np.uint8)
        time = np.frombuffer(self.encode(at_ms), np.uint8)
        body[self.times[:, None] + np.arange(len(time))] = time
        if values is not None and len(self.values):
            raw = np.ascontiguousarray(values[: len(self.values)]).view(np.uint8).reshape(-1, 8)
            body[self.values[:, None] + np.arange(8)] = raw
        return body.tobytes()


def remote_write(series_count: int, label_count: int = 8, seed: int = 1) -> Template:
    """A WriteRequest of one sample a series, each with a name and `label_count` labels, sorted."""
    request, chance = WriteRequest(), Random(seed)  # noqa: S311  no secret
    for i in range(series_count):
        labels = _labels(i, chance)
        series = request.timeseries.add()
        series.labels.add(name=b"__name__", value=b"http_server_requests_total")
        for name in sorted(labels)[:label_count]:
            series.labels.add(name=name.encode(), value=labels[name].encode())
        series.samples.add(value=VALUE, timestamp=AT_MS)
    body = request.SerializeToString()
    return _template(body, series_count, _varint, values=struct.pack("<d", VALUE))


def otlp_metrics(point_count: int, histogram_count: int = 0, seed: int = 1) -> Template:
    """Gauges and sums of 100 points each, beside histograms of 12 buckets; 1,000 points a resource.

    Its rows are points of gauges and sums, then histograms; only the former have values to replace.
    """
    request, chance = ExportMetricsServiceRequest(), Random(seed)  # noqa: S311  no secret
    made = 0
    while made < point_count + histogram_count:
        of_resource = request.resource_metrics.add(resource=_resource(made // 1000))
        metrics = of_resource.scope_metrics.add().metrics
        for k in range(10):
            metric = metrics.add(name=f"shop.requests.{k}", unit="1")
            is_histogram = made >= point_count
            for i in range(made, min(made + 100, point_count if not is_histogram else point_count + histogram_count)):
                attributes = _attributes(_labels(i, chance), 5)
                if is_histogram:
                    metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
                    metric.histogram.data_points.add(
                        attributes=attributes,
                        time_unix_nano=AT_MS * NS,
                        count=66,
                        sum=12.5,
                        bucket_counts=range(12),
                        explicit_bounds=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
                    )
                    made += 1
                    continue
                if k % 2:
                    metric.sum.aggregation_temporality, metric.sum.is_monotonic = (
                        AGGREGATION_TEMPORALITY_CUMULATIVE,
                        True,
                    )
                points = metric.sum.data_points if k % 2 else metric.gauge.data_points
                points.add(attributes=attributes, time_unix_nano=AT_MS * NS, as_double=VALUE)
                made += 1
    body = request.SerializeToString()
    return _template(body, made, _fixed64, values=struct.pack("<d", VALUE))


def otlp_logs(row_count: int, seed: int = 1) -> Template:
    """An export request of log records with 8 attributes each, 1,000 a resource."""
    request, chance = ExportLogsServiceRequest(), Random(seed)  # noqa: S311  no secret
    for i in range(row_count):
        if i % 1000 == 0:
            of_scope = request.resource_logs.add(resource=_resource(i // 1000)).scope_logs.add()
            of_scope.scope.name = "shop.checkout"
        record = of_scope.log_records.add(
            time_unix_nano=AT_MS * NS,
            severity_number=chance.choice((9, 9, 9, 13, 17)),
            severity_text="INFO",
            attributes=_attributes(_labels(i, chance), 6),
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
        )
        record.body.string_value = " ".join(chance.choices(WORDS, k=12)) + f" #{i}"
        record.attributes.add(key="http.response.status_code").value.int_value = 200
        record.attributes.add(key="duration").value.double_value = chance.random()
    return _template(request.SerializeToString(), row_count, _fixed64)


def otlp_traces(row_count: int, seed: int = 1) -> Template:
    """An export request of spans with 8 attributes each, one event in ten, 1,000 a resource."""
    request, chance = ExportTraceServiceRequest(), Random(seed)  # noqa: S311  no secret
    for i in range(row_count):
        if i % 1000 == 0:
            of_scope = request.resource_spans.add(resource=_resource(i // 1000)).scope_spans.add()
            of_scope.scope.name = "shop.checkout"
        span = of_scope.spans.add(
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
            parent_span_id=chance.randbytes(8),
            name=chance.choice(ROUTES),
            kind=2,
            start_time_unix_nano=AT_MS * NS,
            end_time_unix_nano=AT_MS * NS + chance.randrange(1, 10**9),
            attributes=_attributes(_labels(i, chance), 7),
        )
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        if i % 10 == 0:
            event = span.events.add(name="exception", time_unix_nano=AT_MS * NS + 1)
            event.attributes.add(key="exception.type").value.string_value = "TimeoutError"
    return _template(request.SerializeToString(), row_count, _fixed64)


def _labels(i: int, chance: Random) -> dict[str, str]:
    return {
        "cluster": "prod-eu-west-1",
        "container": "checkout-service",
        "instance": f"10.32.{i // 250 % 250}.{i % 250}:9100",
        "job": "kubernetes-pods",
        "method": chance.choice(METHODS),
        "namespace": "payments",
        "pod": f"checkout-{i:06d}-7f9c",
        "status": chance.choice(STATUSES),
        **{f"tag_{k:02d}": f"value-{k}" for k in range(56)},
    }


def _attributes(labels: dict[str, str], count: int) -> list[KeyValue]:
    attributes = [KeyValue(key=name) for name in list(labels)[2 : 2 + count]]
    for each in attributes:
        each.value.string_value = labels[each.key]
    return attributes


def _resource(i: int) -> Resource:
    facts = {
        "service.name": f"checkout-{i}",
        "service.namespace": "shop",
        "service.instance.id": f"627cc493-f310-47de-96bd-{i:012d}",
        "host.name": f"web-{i % 40}",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": "1.30.0",
    }
    return Resource(attributes=_attributes({"": "", " ": "", **facts}, len(facts)))


def _template(body: bytes, row_count: int, encode: Callable[[int], bytes], values: bytes = b"") -> Template:
    times = _places(body, encode(AT_MS))
    return Template(body, row_count, times, _places(body, values) if values else np.zeros(0, np.int64), encode)


def _places(body: bytes, pattern: bytes) -> NDArray[np.int64]:
    return np.array([found.start() for found in re.finditer(re.escape(pattern), body, re.DOTALL)], np.int64)


def _fixed64(at_ms: int) -> bytes:
    return struct.pack("<Q", at_ms * NS)


def _varint(at_ms: int) -> bytes:
    parts = [at_ms >> shift & 0x7F for shift in range(0, 42, 7)]  # six bytes until the year 2109
    return bytes(part | 0x80 for part in parts[:-1]) + bytes(parts[-1:])
