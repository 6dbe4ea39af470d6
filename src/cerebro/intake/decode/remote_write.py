"""Prometheus remote write 1.0: a WriteRequest, already decompressed, to columns.

Source of the wire format: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from cerebro.intake.decode.columns import Decoded, Reason
from cerebro.intake.decode.compiled import COMPILED
from cerebro.intake.decode.identity import NAME, type_by_name
from cerebro.intake.decode.known import FAMILIES_MAX, KnownSeries
from cerebro.intake.decode.proto import remote_pb2
from cerebro.intake.decode.rows import Rows, label_fault
from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import SeriesType


def decode_remote_write(body: bytes, known: KnownSeries, *, compiled: bool = COMPILED) -> Decoded:
    """The samples of a WriteRequest in columns; label text only of series that are not in `known`.

    Stale markers keep their bits. Labels may come in any order. Metadata in the body sets the type and unit of
    its families, now and for later bodies (`known.families`); without any, the name's suffix decides
    (`identity.type_by_name`). Refused by the series, and counted: no metric name, an empty or repeated
    label name, text that is not UTF-8. Times are as sent: whether they are too old or too new is for the door to say.

    Args:
        body: Protobuf bytes, snappy already undone.
        known: The series of this tenant that were named before; only read, but for its families.
        compiled: Decode in numba; otherwise with upb, about twenty times slower.

    Raises:
        Invalid: Not a WriteRequest; the detail names the place.
        TooLarge: More than `columns.ROWS_MAX` samples.
    """
    return _decode_upb(body, known)


def _decode_upb(body: bytes, known: KnownSeries) -> Decoded:
    request = remote_pb2.WriteRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise Invalid(
            "The body is not a Prometheus remote write request.", "Send protobuf WriteRequest 1.0."
        ) from error
    _remember(request.metadata, known)
    rows = Rows(known)
    for each in request.timeseries:
        labels = [(label.name, label.value) for label in each.labels]
        metric = next((value for name, value in labels if name == NAME.encode()), b"")
        rows.refused[Reason.NATIVE_HISTOGRAM] += len(each.histograms)
        rows.ignored["exemplar"] += len(each.exemplars)
        if not each.samples:
            continue
        kind, unit = family_type(metric.decode(errors="replace"), known)
        row = label_fault(labels) or rows.series(metric, labels, kind, unit.encode())
        if isinstance(row, Reason):
            rows.refused[row] += len(each.samples)
            continue
        for sample in each.samples:
            rows.sample(row, sample.timestamp, sample.value)
    return rows.decoded()


_KINDS = {
    remote_pb2.MetricMetadata.COUNTER: SeriesType.COUNTER,
    remote_pb2.MetricMetadata.GAUGE: SeriesType.GAUGE,
    remote_pb2.MetricMetadata.HISTOGRAM: SeriesType.HISTOGRAM,
    remote_pb2.MetricMetadata.GAUGEHISTOGRAM: SeriesType.GAUGE,
    remote_pb2.MetricMetadata.SUMMARY: SeriesType.GAUGE,
    remote_pb2.MetricMetadata.INFO: SeriesType.GAUGE,
    remote_pb2.MetricMetadata.STATESET: SeriesType.GAUGE,
}


def _remember(metadata: Iterable[remote_pb2.MetricMetadata], known: KnownSeries) -> None:
    for each in metadata:
        family = each.metric_family_name.decode(errors="replace")
        if each.type in _KINDS and (family in known.families or len(known.families) < FAMILIES_MAX):
            known.families[family] = _KINDS[each.type], each.unit.decode(errors="replace")


def family_type(metric: str, known: KnownSeries) -> tuple[SeriesType, str]:
    """Type and unit of a metric by what its sender said of its family, otherwise by its name.

    The sums and counts of a summary or histogram are counters of their family's reading.
    """
    if found := known.families.get(metric):
        return found
    family, _, suffix = metric.rpartition("_")
    if suffix in ("bucket", "sum", "count", "total") and (found := known.families.get(family)):
        kind, unit = found
        if kind is SeriesType.GAUGE and suffix in ("sum", "count"):
            kind = SeriesType.COUNTER
        return kind, "" if suffix == "count" else unit
    return type_by_name(metric), ""
