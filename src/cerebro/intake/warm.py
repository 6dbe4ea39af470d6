"""Compile before the first sender comes: what numba compiles at first use takes seconds."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE

from cerebro.intake.decode.otlp_logs import decode_otlp_logs
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.decode.otlp_traces import decode_otlp_traces
from cerebro.intake.decode.proto import remote_pb2
from cerebro.intake.decode.remote_write import decode_remote_write
from cerebro.intake.entity import entity_of
from cerebro.intake.limits import Catalogue
from cerebro.intake.take import Taking
from cerebro.kernel.settings import IntakeSettings


def warm_up(settings: IntakeSettings, now_ms: int) -> None:
    """Take one small body of each kind, twice, and throw it away: the second time its series are known."""
    at_ns = now_ms * 1_000_000
    taking = Taking(settings, Catalogue(1000))
    write, metrics = _write(now_ms), _metrics(at_ns)
    for _ in range(2):
        taking.metrics(lambda known: decode_remote_write(write, known), now_ms).stored()
        taking.metrics(lambda known: decode_otlp_metrics(metrics, known), now_ms).stored()
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=at_ns)
    record.body.string_value = "warm"
    record.attributes.add(key="key").value.string_value = "value"
    decode_otlp_logs(logs.SerializeToString(), entity_of)
    traces = ExportTraceServiceRequest()
    span = traces.resource_spans.add().scope_spans.add().spans.add(name="warm", start_time_unix_nano=at_ns)
    span.attributes.add(key="key").value.string_value = "value"
    decode_otlp_traces(traces.SerializeToString(), entity_of)


def _write(now_ms: int) -> bytes:
    request = remote_pb2.WriteRequest()
    series = request.timeseries.add()
    series.labels.add(name=b"__name__", value=b"warm")
    series.labels.add(name=b"job", value=b"warm")
    series.samples.add(timestamp=now_ms, value=1.0)
    return request.SerializeToString()


def _metrics(at_ns: int) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "warm"
    scope = resource.scope_metrics.add()
    gauge = scope.metrics.add(name="gauge").gauge.data_points.add(time_unix_nano=at_ns, as_double=1.0)
    gauge.attributes.add(key="key").value.string_value = "value"
    total = scope.metrics.add(name="sum").sum
    total.aggregation_temporality = CUMULATIVE
    total.data_points.add(time_unix_nano=at_ns, as_int=1)
    histogram = scope.metrics.add(name="histogram").histogram
    histogram.aggregation_temporality = CUMULATIVE
    histogram.data_points.add(time_unix_nano=at_ns, count=1, sum=1.0, bucket_counts=[0, 1], explicit_bounds=[0.5])
    return request.SerializeToString()
