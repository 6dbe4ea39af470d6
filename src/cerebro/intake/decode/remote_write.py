"""Prometheus remote write 1.0: a WriteRequest, already decompressed, to columns.

Source of the wire format: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cerebro.intake.decode.columns import ROWS_MAX, Decoded, Reason, SeriesColumns, counted, reasons
from cerebro.intake.decode.compiled import COMPILED
from cerebro.intake.decode.identity import NAME, type_by_name, type_codes
from cerebro.intake.decode.known import FAMILIES_MAX, KnownSeries
from cerebro.intake.decode.proto import remote_pb2
from cerebro.intake.decode.rows import Rows, label_fault
from cerebro.intake.decode.twins import parsed
from cerebro.spine.telemetry import SeriesType

if COMPILED:
    from cerebro.intake.decode import remote_write_kernel as kernel
    from cerebro.intake.decode import wire


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
    return _decode_compiled(body, known) if compiled and COMPILED else _decode_upb(body, known)


def _decode_compiled(body: bytes, known: KnownSeries) -> Decoded:
    source, scratch = np.frombuffer(body, np.uint8), np.empty(kernel.SCRATCH, np.uint64)
    room = min(len(body) // 128 + 64, ROWS_MAX)
    while True:
        refused = np.zeros(len(reasons), np.int64)
        at_ms, value, index = np.empty(room, np.int64), np.empty(room, np.uint64), np.empty(room, np.uint32)
        ids, facts = np.empty((room, 2), np.uint64), np.empty((room, kernel.FACTS), np.int64)
        text = np.empty(min(128 * room, len(body)) + 4096, np.uint8)
        families = np.empty((min(room, FAMILIES_MAX), 2), np.int64)
        samples, series, used, metadata, exemplars, code, place = kernel.walk(
            source, known.table, scratch, refused, at_ms, value, index, ids, facts, text, families
        )
        if code != wire.FULL or room == ROWS_MAX:
            break
        room = min(4 * room, ROWS_MAX)
    if code:
        raise wire.error_of("WriteRequest", code, place)
    _remember(
        (parsed(remote_pb2.MetricMetadata, body[start:end]) for start, end in families[:metadata].tolist()), known
    )
    return Decoded(
        at_ms=at_ms[:samples],
        value=value[:samples].view(np.float64),
        series_index=index[:samples],
        series=_series(ids[:series], facts[:series], text[:used], known),
        refused=counted(refused),
        ignored={"exemplar": exemplars} if exemplars else {},
    )


def _series(
    ids: NDArray[np.uint64], facts: NDArray[np.int64], text: NDArray[np.uint8], known: KnownSeries
) -> SeriesColumns:
    """The kernel's columns, with the types and units that the new metrics' names and families give."""
    type_code = np.zeros(len(ids), np.uint8)
    unit = np.zeros((len(ids), 2), np.int64)
    unseen = np.flatnonzero(facts[:, kernel.SLOT] < 0)
    if len(unseen):
        metrics = facts[:, kernel.METRIC : kernel.METRIC_END + 1]
        _, first, metric = np.unique(ids[unseen, 0], return_index=True, return_inverse=True)
        read = [family_type(text[slice(*metrics[row])].tobytes().decode(), known) for row in unseen[first].tolist()]
        type_code[unseen] = np.array([type_codes.index(kind) for kind, _ in read], np.uint8)[metric]
        units = [each.encode() for _, each in read]
        ends = len(text) + np.cumsum([len(each) for each in units])
        unit[unseen] = np.stack([ends - [len(each) for each in units], ends], axis=1)[metric]
        text = np.concatenate([text, np.frombuffer(b"".join(units), np.uint8)]) if any(units) else text
    return SeriesColumns(
        hi=ids[:, 0].copy(),
        lo=ids[:, 1].copy(),
        slot=facts[:, kernel.SLOT].copy(),
        label_count=facts[:, kernel.LABEL_COUNT].astype(np.uint32),
        label_bytes_max=facts[:, kernel.LABEL_BYTES].astype(np.uint32),
        type_code=type_code,
        metric=facts[:, kernel.METRIC : kernel.METRIC_END + 1],
        unit=unit,
        labels=facts[:, kernel.LABELS : kernel.LABELS_END + 1],
        text=text,
    )


def _decode_upb(body: bytes, known: KnownSeries) -> Decoded:
    request = parsed(remote_pb2.WriteRequest, body)
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
