"""Compile what decodes before the first body comes."""

from collections.abc import Mapping

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_logs import decode_otlp_logs
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.decode.otlp_traces import decode_otlp_traces
from cerebro.intake.decode.proto.remote_pb2 import WriteRequest
from cerebro.intake.decode.remote_write import decode_remote_write


def warm() -> None:
    """Run every kernel once: with numba's cache a blink, without it some twenty seconds of one core.

    May run in a thread beside a starting process; a body that comes meanwhile waits for its own kernel.
    """
    decode_otlp_metrics(_metrics(), KnownSeries())
    decode_otlp_logs(_logs(), _nobody)
    decode_otlp_traces(_traces(), _nobody)
    known = KnownSeries(16)
    decoded = decode_remote_write(_samples(), known)
    decoded.name(decoded.new, _nobody)
    known.find(*decoded.ids(decoded.new))
    for _ in range(2):  # the second time it finds what it knows
        known.add(*decoded.ids(decoded.new))


def _samples() -> bytes:
    request = WriteRequest()
    for i in range(20):  # more than the set has room for, so that it grows
        series = request.timeseries.add()
        series.labels.add(name=b"__name__", value=b"warm")
        series.labels.add(name=b"row", value=b"%d" % i)
        series.samples.add(value=1.0, timestamp=1)
    return request.SerializeToString()


def _metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="warm")
    metric.histogram.data_points.add(time_unix_nano=1, bucket_counts=[1, 1], explicit_bounds=[1.0])
    return request.SerializeToString()


def _logs() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1).body.string_value = "warm"
    return request.SerializeToString()


def _traces() -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="warm")
    return request.SerializeToString()


def _nobody(labels: Mapping[str, str]) -> tuple[str, str]:
    return "host", "unknown"
