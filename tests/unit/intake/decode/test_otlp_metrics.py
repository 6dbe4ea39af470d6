"""OTLP metrics: what each kind of point becomes, and what no body may do."""

from contextlib import suppress
from time import process_time

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from cerebro.intake.decode.columns import STALE_BITS
from cerebro.intake.decode.identity import series_id
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_metrics import BOUNDS_MAX, decode_otlp_metrics
from cerebro.spine.errors import Invalid, TooLarge

EITHER = pytest.mark.parametrize("compiled", [True, False], ids=["numba", "upb"])
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
AT_NS = 1_700_000_000_123_456_789


def start(**resource):
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    for name, value in resource.items():
        of_resource.resource.attributes.add(key=name.replace("__", ".")).value.string_value = value
    return request, of_resource.scope_metrics.add().metrics


def attribute(point, name, value="x"):
    point.attributes.add(key=name).value.string_value = value


def decode(request, compiled, known=None):
    return decode_otlp_metrics(
        request.SerializeToString(), KnownSeries() if known is None else known, compiled=compiled
    )


def rows(decoded):
    table = decoded.name(np.arange(len(decoded)), lambda labels: ("service", labels.get("service.name", "")))
    return [
        (row["metric"], dict(row["labels"]), row["type"], row["unit"], value)
        for row, value in zip(table.to_pylist(), decoded.value.tolist(), strict=True)
    ]


@EITHER
def test_labels_are_the_points_and_what_tells_senders_apart(compiled):
    request, metrics = start(service__name="shop", telemetry__sdk__version="1.30", host__name="web-1")
    point = metrics.add(name="heat", unit="Cel").gauge.data_points.add(time_unix_nano=AT_NS, as_int=-3)
    attribute(point, "zone", "a")
    attribute(point, "host.name", "web-2")
    point.attributes.add(key="port").value.int_value = 8080
    point.attributes.add(key="tls").value.bool_value = False
    decoded = decode(request, compiled)

    labels = {"host.name": "web-2", "port": "8080", "service.name": "shop", "tls": "false", "zone": "a"}
    assert rows(decoded) == [("heat", labels, "gauge", "Cel", -3.0)]
    assert decoded.at_ms.tolist() == [AT_NS // 1_000_000]
    assert (int(decoded.hi[0]), int(decoded.lo[0])) == series_id("heat", labels)


@EITHER
@pytest.mark.parametrize(
    ("temporality", "is_monotonic", "kind"),
    [(CUMULATIVE, True, "counter"), (CUMULATIVE, False, "gauge"), (DELTA, True, "delta"), (DELTA, False, "delta"),
     (0, True, "unknown"), (0, False, "gauge")],
)  # fmt: skip
def test_a_sum_is_read_by_its_temporality(temporality, is_monotonic, kind, compiled):
    request, metrics = start()
    metric = metrics.add(name="sold")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, is_monotonic
    metric.sum.data_points.add(as_double=2.5)

    assert rows(decode(request, compiled)) == [("sold", {}, kind, "", 2.5)]


@EITHER
@pytest.mark.parametrize(("temporality", "kind"), [(CUMULATIVE, "histogram"), (DELTA, "delta_histogram")])
def test_a_histogram_becomes_buckets_count_and_sum(temporality, kind, compiled):
    request, metrics = start(service__name="shop")
    metric = metrics.add(name="latency", unit="s")
    metric.histogram.aggregation_temporality = temporality
    point = metric.histogram.data_points.add(
        count=6, sum=7.5, bucket_counts=[1, 2, 3], explicit_bounds=[0.005, 10], min=0, max=9
    )
    attribute(point, "route", "/pay")
    attribute(point, "code", "200")

    base = {"code": "200", "route": "/pay", "service.name": "shop"}
    assert rows(decode(request, compiled)) == [
        ("latency_bucket", base | {"le": "0.005"}, kind, "", 1.0),
        ("latency_bucket", base | {"le": "10"}, kind, "", 3.0),
        ("latency_bucket", base | {"le": "+Inf"}, kind, "", 6.0),
        ("latency_count", base, kind, "", 6.0),
        ("latency_sum", base, kind, "s", 7.5),
    ]


@EITHER
def test_summaries_and_exponential_histograms(compiled):
    request, metrics = start()
    summary = metrics.add(name="gc", unit="s").summary.data_points.add(count=3, sum=1.5)
    summary.quantile_values.add(quantile=0.99, value=0.25)
    exponential = metrics.add(name="rpc", unit="s").exponential_histogram
    exponential.aggregation_temporality = CUMULATIVE
    exponential.data_points.add(count=4, sum=2.0, scale=3).positive.bucket_counts.extend([1, 3])
    decoded = decode(request, compiled)

    assert rows(decoded) == [
        ("gc", {"quantile": "0.99"}, "gauge", "s", 0.25),
        ("gc_count", {}, "counter", "", 3.0),
        ("gc_sum", {}, "counter", "s", 1.5),
        ("rpc_count", {}, "histogram", "", 4.0),
        ("rpc_sum", {}, "histogram", "s", 2.0),
    ]
    assert decoded.refused == {"exponential_buckets": 1}


@EITHER
def test_a_point_without_a_recorded_value_is_a_stale_marker(compiled):
    request, metrics = start()
    metrics.add(name="heat").gauge.data_points.add(flags=1)
    metrics.add(name="latency").histogram.data_points.add(flags=1)
    decoded = decode(request, compiled)

    assert decoded.value.view(np.uint64).tolist() == [int(STALE_BITS)] * 3


@EITHER
def test_bad_points_are_refused_alone_and_counted(compiled):
    request, metrics = start()
    points = metrics.add(name="heat").gauge.data_points
    points.add()  # no value
    for names in (["a", "a"], [""], [f"l{i}" for i in range(513)]):
        point = points.add(as_int=1)
        for name in names:
            attribute(point, name)
    attribute(points.add(as_int=1), "a", "x" * 70_000)
    attribute(points.add(as_int=1), "good")
    metrics.add(name="").gauge.data_points.add(as_int=1)
    metrics.add(name="latency").histogram.data_points.add(bucket_counts=[1, 2], explicit_bounds=[1, 2])
    decoded = decode(request, compiled)

    assert [row[1] for row in rows(decoded)] == [{"good": "x"}]
    assert decoded.refused == {
        "missing_value": 1, "duplicate_label": 1, "empty_label_name": 1, "too_many_labels": 1, "labels_too_large": 1,
        "missing_name": 1, "bad_buckets": 1,
    }  # fmt: skip


@EITHER
def test_text_that_is_not_utf8_refuses_its_own_point(compiled):
    request, metrics = start()
    points = metrics.add(name="heat").gauge.data_points
    attribute(points.add(as_int=1), "a", "MARK")
    attribute(points.add(as_int=2), "a", "good")
    body = request.SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")
    decoded = decode_otlp_metrics(body, KnownSeries(), compiled=compiled)

    assert decoded.value.tolist() == [2.0] and decoded.refused == {"invalid_utf8": 1}


@EITHER
def test_rare_values_are_labels_too(compiled):
    request, metrics = start()
    point = metrics.add(name="heat").gauge.data_points.add(as_int=1)
    point.attributes.add(key="ratio").value.double_value = 0.5
    point.attributes.add(key="list").value.array_value.values.add().string_value = "a"
    attribute(point, "le", "own")

    assert rows(decode(request, compiled))[0][1] == {"ratio": "0.5", "list": '["a"]', "le": "own"}


@EITHER
def test_the_resource_may_stand_behind_its_metrics(compiled):
    request, metrics = start(service__name="shop")
    metrics.add(name="heat").gauge.data_points.add(as_int=1)
    of_resource = request.resource_metrics[0]
    resource = of_resource.resource.SerializeToString()
    scope = of_resource.scope_metrics[0].SerializeToString()
    inner = b"\x12" + bytes([len(scope)]) + scope + b"\x0a" + bytes([len(resource)]) + resource
    decoded = decode_otlp_metrics(b"\x0a" + bytes([len(inner)]) + inner, KnownSeries(), compiled=compiled)

    assert rows(decoded) == [("heat", {"service.name": "shop"}, "gauge", "", 1.0)]


@EITHER
def test_known_histogram_series_are_not_named_again(compiled):
    request, metrics = start()
    metrics.add(name="latency").histogram.data_points.add(count=1, bucket_counts=[1, 0], explicit_bounds=[1])
    known = KnownSeries()
    first = decode(request, compiled, known)
    known.add(*first.ids(first.new[:2]))
    again = decode(request, compiled, known)

    assert again.series.slot.tolist() == [0, 1, -1]
    assert again.metrics(again.new) == ["latency_count"] and again.labels(again.new) == [{}]


def test_more_bounds_than_are_kept_go_to_upb():
    request, metrics = start()
    points = metrics.add(name="latency").histogram.data_points
    per_point = 4000
    for i in range(BOUNDS_MAX // per_point + 2):
        points.add(bucket_counts=[1] * (per_point + 1), explicit_bounds=[i + k / 10_000 for k in range(per_point)])
    decoded = decode(request, compiled=True)

    assert len(decoded) == len(points) * (per_point + 2) and len(decoded.new) == len(set(zip(decoded.hi, decoded.lo)))  # noqa: B905


@pytest.mark.parametrize("body", [b"\x08\x01", b"\x0a\x02\x12", b"\x0a\x04\x12\x02\x08\x01", b'{"resourceMetrics":[]}'])
def test_a_broken_body_is_refused(body):
    with pytest.raises(Invalid, match="ExportMetricsServiceRequest"):
        decode_otlp_metrics(body, KnownSeries())


def a_bomb(attribute_bytes, bucket_count, point_count):
    request, metrics = start()
    points = metrics.add(name="latency").histogram.data_points
    for _ in range(point_count):
        point = points.add(bucket_counts=[1] * bucket_count, explicit_bounds=range(bucket_count - 1))
        attribute(point, "a", "x" * attribute_bytes)
    return request.SerializeToString()


@pytest.mark.parametrize(
    "body",
    [b"\x0a\x00" * 4_000_000, b"\x0a\x02\x12\x00" * 2_000_000, a_bomb(60_000, 4_000, 40), a_bomb(10, 4_000, 200)],
    ids=["empty resources", "empty scopes", "long labels, many buckets", "many buckets"],
)
def test_a_body_that_means_harm_costs_little(body):
    begun = process_time()
    with suppress(TooLarge):
        decode_otlp_metrics(body, KnownSeries())

    assert process_time() - begun < 5
