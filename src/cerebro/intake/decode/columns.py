"""What decoding a body of metrics gives: samples in columns, and the series they belong to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.intake.decode.arrow import dictionaries, python_texts, text_column
from cerebro.intake.decode.identity import SEPARATOR, type_codes
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch

STALE_BITS = np.uint64(0x7FF0000000000002)
"""Prometheus' stale marker: this very NaN says that the series has ended. It is kept bit by bit."""

ROWS_MAX = 2_000_000
"""Samples, log records or spans in one body; a larger one is refused as too large."""

GROUPS_MAX = 100_000
"""Resources, or scopes of one resource, in one body; each costs more than a row."""

EntityOf: TypeAlias = Callable[[Mapping[str, str]], tuple[str, str]]
"""From labels (or a resource's attributes) to the kind and name of the entity they speak of; pure."""


class Reason(StrEnum):
    """Why samples of a good body are not taken."""

    NO_NAME = "missing_name"
    NO_LABEL_NAME = "empty_label_name"
    DUPLICATE_LABEL = "duplicate_label"
    TOO_MANY_LABELS = "too_many_labels"  # beyond LABELS_MAX; the door's own limit is lower
    LABELS_TOO_LARGE = "labels_too_large"
    BAD_UTF8 = "invalid_utf8"
    NATIVE_HISTOGRAM = "native_histogram"
    EXPONENTIAL_BUCKETS = "exponential_buckets"  # a point whose sum and count were taken
    BAD_BUCKETS = "bad_buckets"  # as many bounds as counts, or more buckets than BUCKETS_MAX
    NO_VALUE = "missing_value"


_TYPES = pa.array([kind.value for kind in type_codes])

reasons: tuple[Reason, ...] = tuple(Reason)  # a kernel counts refusals by place in here

LABELS_MAX = 512  # what a kernel sorts; so many names cost time
LABELS_BYTES_MAX = 1 << 16  # of one series, names and values with separators
BUCKETS_MAX = 4096


@dataclass(frozen=True)
class SeriesColumns:
    """The series of one body, in the order they were met; the same series may stand in several rows.

    `text` holds, for series that were not known, the metric's name, the unit and the canonical
    labels; for known ones the ranges are empty.
    """

    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    slot: NDArray[np.int64]  # of KnownSeries, -1 when not seen
    label_count: NDArray[np.uint32]
    label_bytes_max: NDArray[np.uint32]  # the longest name or value, bytes
    type_code: NDArray[np.uint8]  # place in identity.type_codes
    metric: NDArray[np.int64]  # (n, 2): start and end in text
    unit: NDArray[np.int64]
    labels: NDArray[np.int64]
    text: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.hi)


@dataclass(frozen=True)
class Decoded:
    """The samples of one body in columns, and their series.

    The way of a body through a door:

    >>> def take(body, known, entity_of):  # doctest: +SKIP
    ...     decoded = decode_remote_write(body, known)      # what is refused here is counted in .refused
    ...     new = decoded.new                               # rows of series not named before, each once
    ...     decoded = decoded.select(mask_of_samples)       # leave out what the door's limits refuse
    ...     batch = decoded.batch(decoded.name(decoded.new, entity_of))
    ...     await bus.publish(...)                          # encode_samples(batch)
    ...     known.add(*decoded.ids(decoded.new))            # only once the bus has it

    A limit on series (labels, cardinality) becomes a mask of samples through `series_index`:
    `mask = good_series[decoded.series_index]`.
    """

    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    series_index: NDArray[np.uint32]  # row in `series`
    series: SeriesColumns
    refused: Mapping[str, int]  # Reason -> samples of this body not taken
    ignored: Mapping[str, int]  # what Cerebro does not keep by design (exemplars), counted

    def __len__(self) -> int:
        return len(self.at_ms)

    @cached_property
    def hi(self) -> NDArray[np.uint64]:
        """Of each sample, `uint64, (n,)`."""
        return self.series.hi[self.series_index]

    @cached_property
    def lo(self) -> NDArray[np.uint64]:
        """Of each sample, `uint64, (n,)`."""
        return self.series.lo[self.series_index]

    @cached_property
    def new(self) -> NDArray[np.uint32]:
        """Rows of `series` that were not known when the body was decoded and have a sample here, each series once."""
        used = np.zeros(len(self.series), bool)
        used[self.series_index] = True
        rows = np.flatnonzero(used & (self.series.slot < 0))
        if len(rows) < 2:
            return rows.astype(np.uint32)
        hi, lo = self.series.hi[rows], self.series.lo[rows]
        order = np.lexsort((rows, lo, hi))
        first = np.ones(len(rows), bool)
        first[1:] = (np.diff(hi[order]) != 0) | (np.diff(lo[order]) != 0)
        return np.sort(rows[order[first]]).astype(np.uint32)

    def ids(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """`hi` and `lo` of rows of `series`."""
        return self.series.hi[rows], self.series.lo[rows]

    def select(self, mask: NDArray[np.bool_]) -> "Decoded":
        """The samples where the mask of samples is true; the series' rows stay where they are."""
        return replace(self, at_ms=self.at_ms[mask], value=self.value[mask], series_index=self.series_index[mask])

    def metrics(self, rows: NDArray[np.integer]) -> list[str]:
        """The metric's name of rows of `series` that were not known; for messages about refusals."""
        return python_texts(self._texts(self.series.metric, rows))

    def labels(self, rows: NDArray[np.integer]) -> list[dict[str, str]]:
        """The labels of rows of `series` that were not known, without `__name__`."""
        keys, values, offsets = self._label_columns(rows)
        return dictionaries(python_texts(keys), python_texts(values), offsets.tolist())

    def name(self, rows: NDArray[np.integer], entity_of: EntityOf) -> pa.Table:
        """What rows of `series` stand for, as a table of SERIES_SCHEMA; only rows that were not known can be named."""
        series = self.series
        keys, values, offsets = self._label_columns(rows)
        labels = dictionaries(python_texts(keys), python_texts(values), offsets.tolist())
        entities = [entity_of(each) for each in labels]
        columns = [
            pa.array(series.hi[rows]),
            pa.array(series.lo[rows]),
            self._texts(series.metric, rows),
            pa.MapArray.from_arrays(pa.array(offsets), keys, values),
            _TYPES.take(pa.array(series.type_code[rows])),
            self._texts(series.unit, rows),
            pa.array([kind for kind, _ in entities], pa.string()),
            pa.array([name for _, name in entities], pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=SERIES_SCHEMA)

    def batch(self, series: pa.Table) -> SampleBatch:
        """The samples as they go on the bus, together with the series they name."""
        return SampleBatch(self.hi, self.lo, self.at_ms, self.value, series)

    def _texts(self, ranges: NDArray[np.int64], rows: NDArray[np.integer]) -> pa.StringArray:
        return text_column(self.series.text, ranges[rows, 0], ranges[rows, 1])

    def _label_columns(self, rows: NDArray[np.integer]) -> tuple[pa.StringArray, pa.StringArray, NDArray[np.int32]]:
        """Names, values and the offsets of each row's labels, found by the separators that end each part."""
        series, ends = self.series, self._separators
        counts = series.label_count[rows].astype(np.int64)
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        first = np.searchsorted(ends, series.labels[rows, 0])
        parts = np.repeat(first - 2 * offsets[:-1], 2 * counts) + np.arange(2 * int(offsets[-1]))
        stops = ends[parts]
        starts = np.empty_like(stops)
        starts[1:] = stops[:-1] + 1
        filled = counts > 0
        starts[2 * offsets[:-1][filled]] = series.labels[rows, 0][filled]
        text = series.text
        return text_column(text, starts[::2], stops[::2]), text_column(text, starts[1::2], stops[1::2]), offsets

    @cached_property
    def _separators(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.series.text == SEPARATOR[0])


def counted(counts: Sequence[int] | NDArray[np.int64]) -> dict[str, int]:
    """Refusals by reason from counts by place in `reasons`; reasons that did not occur are left out."""
    return {reason.value: int(count) for reason, count in zip(reasons, counts, strict=True) if count}
