"""OTLP metrics read with upb: for rare forms, for machines without numba, and as the oracle of the kernel."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from google.protobuf.message import Message

from cerebro.intake.decode.columns import BUCKETS_MAX, Decoded, Reason
from cerebro.intake.decode.identity import RESOURCE_LABELS, number_text, value_text
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.rows import STALE, Labels, Rows, few, label_fault
from cerebro.intake.decode.twins import Metrics, parsed, plain
from cerebro.spine.telemetry import SeriesType

Point = Any  # a data point of a twin: its fields are known to its descriptor only
_IDENTITY = {name.encode() for name in RESOURCE_LABELS}
NO_RECORDED_VALUE = 1  # DataPointFlags
DELTA, CUMULATIVE = 1, 2  # AggregationTemporality


class Part(NamedTuple):
    """One of the series that a data point becomes."""

    suffix: bytes
    extra: Labels
    kind: SeriesType
    value: float
    counts: bool = False  # a number of things, in no unit


def decode_upb(body: bytes, known: KnownSeries) -> Decoded:
    """See `otlp_metrics.decode_otlp_metrics`."""
    request: Any = parsed(Metrics, body)
    rows = Rows(known)
    few(request.resource_metrics)
    for of_resource in request.resource_metrics:
        few(of_resource.scope_metrics)
        resource = [pair for pair in attributes(of_resource.resource.attributes) if pair[0] in _IDENTITY]
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point, parts in _points(metric, rows):
                    if reason := _take(rows, metric, resource, point, parts):
                        rows.refused[reason] += 1
    return rows.decoded()


def attributes(pairs: Iterable[Any]) -> Labels:
    """Attributes as sent, each value as text."""
    return [(each.key, attribute_bytes(each.value)) for each in pairs]


def attribute_bytes(value: Message) -> bytes:
    """An attribute's value as the bytes of a label; text is not looked into."""
    if value.WhichOneof("value") == "string_value":
        return bytes(value.string_value)  # type: ignore[attr-defined]
    return value_text(plain(value)).encode()


def _take(rows: Rows, metric: Any, resource: Labels, point: Point, parts: list[Part] | Reason) -> Reason | None:
    if isinstance(parts, Reason):
        return parts
    own = attributes(point.attributes)
    if reason := label_fault(resource) or label_fault(own):
        return reason
    mark, added = len(rows), []
    base = dict(resource) | dict(own)
    for part in parts:
        unit = b"" if part.counts else metric.unit
        labels = list((base | dict(part.extra)).items())
        row = rows.series(metric.name + part.suffix if metric.name else b"", labels, part.kind, unit)
        if isinstance(row, Reason):
            rows.forget_from(mark)
            return row
        added.append(row)
    for row, part in zip(added, parts, strict=True):
        rows.sample(row, point.time_unix_nano // 1_000_000, part.value)
    return None


def _points(metric: Any, rows: Rows) -> Iterator[tuple[Point, list[Part] | Reason]]:
    match metric.WhichOneof("data"):
        case "gauge":
            yield from ((point, _number(point, SeriesType.GAUGE)) for point in metric.gauge.data_points)
        case "sum":
            kind = sum_type(metric.sum.aggregation_temporality, metric.sum.is_monotonic)
            yield from ((point, _number(point, kind)) for point in metric.sum.data_points)
        case "histogram":
            kind = histogram_type(metric.histogram.aggregation_temporality)
            yield from ((point, _histogram(point, kind)) for point in metric.histogram.data_points)
        case "exponential_histogram":
            kind = histogram_type(metric.exponential_histogram.aggregation_temporality)
            for point in metric.exponential_histogram.data_points:
                rows.refused[Reason.EXPONENTIAL_BUCKETS] += 1
                yield point, _totals(point, kind, has_sum=point.HasField("sum"))
        case "summary":
            yield from ((point, _summary(point)) for point in metric.summary.data_points)


def sum_type(temporality: int, is_monotonic: bool) -> SeriesType:
    """How to read a sum."""
    if temporality == DELTA:
        return SeriesType.DELTA
    if not is_monotonic:
        return SeriesType.GAUGE
    return SeriesType.COUNTER if temporality == CUMULATIVE else SeriesType.UNKNOWN


def histogram_type(temporality: int) -> SeriesType:
    """How to read the series of a histogram."""
    if temporality == DELTA:
        return SeriesType.DELTA_HISTOGRAM
    return SeriesType.HISTOGRAM if temporality == CUMULATIVE else SeriesType.UNKNOWN


def _number(point: Point, kind: SeriesType) -> list[Part] | Reason:
    if point.flags & NO_RECORDED_VALUE:
        return [Part(b"", [], kind, STALE)]
    which = point.WhichOneof("value")
    return Reason.NO_VALUE if which is None else [Part(b"", [], kind, float(getattr(point, which)))]


def _histogram(point: Point, kind: SeriesType) -> list[Part] | Reason:
    counts, bounds = point.bucket_counts, point.explicit_bounds
    if counts and (len(counts) != len(bounds) + 1 or len(counts) > BUCKETS_MAX):
        return Reason.BAD_BUCKETS
    stale = point.flags & NO_RECORDED_VALUE
    parts = [
        Part(b"_bucket", [(b"le", number_text(bound).encode())], kind, STALE if stale else total, counts=True)
        for bound, total in zip((*bounds, float("inf")), accumulate(map(float, counts)), strict=False)
    ]
    return parts + _totals(point, kind, has_sum=point.HasField("sum"))


def _summary(point: Point) -> list[Part] | Reason:
    if len(point.quantile_values) > BUCKETS_MAX:
        return Reason.BAD_BUCKETS
    stale = point.flags & NO_RECORDED_VALUE
    parts = [
        Part(
            b"", [(b"quantile", number_text(each.quantile).encode())], SeriesType.GAUGE, STALE if stale else each.value
        )
        for each in point.quantile_values
    ]
    return parts + _totals(point, SeriesType.COUNTER, has_sum=True)


def _totals(point: Point, kind: SeriesType, *, has_sum: bool) -> list[Part]:
    stale = point.flags & NO_RECORDED_VALUE
    parts = [Part(b"_count", [], kind, STALE if stale else float(point.count), counts=True)]
    if has_sum or stale:
        parts.append(Part(b"_sum", [], kind, STALE if stale else point.sum))
    return parts
