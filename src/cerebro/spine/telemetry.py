"""Telemetry in columns: what crosses the bus and enters the store.

A sample is three columns (series, time, value), never an object. A series is named by two
hashes, `hi` of the metric and `lo` of its sorted labels, so that any process names it
without asking another; what the name stands for travels once, in the `series` table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

PARTITION_COUNT = 64  # for ever: a series' partition is `lo % 64`
NAME = "__name__"  # the metric among labels, and never one itself
# HTTP status codes with which a client was turned away: its request failed, and nothing was wrong with its words.
# A server has not failed with them, as OpenTelemetry's conventions have it for both sides (semantic conventions, HTTP).
REFUSED_CODES = frozenset({"401", "403", "407", "408", "423", "425", "429"})
# What a call's status is told by, and those with which it has failed: by number, and by name as libraries write them.
GRPC_CODES = frozenset(
    {"rpc.grpc.status_code", "rpc_grpc_status_code", "grpc_code", "grpc_status", "grpc_response_status"}
)
GRPC_FAILED = frozenset(
    {
        "2", "4", "8", "10", "13", "14", "15", "unknown", "deadline_exceeded", "deadlineexceeded", "resource_exhausted",
        "resourceexhausted", "aborted", "internal", "unavailable", "data_loss", "dataloss",
    }
)  # fmt: skip
SEPARATOR = b"\xff"  # in no UTF-8 text, so that labels cannot run into each other

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("hi", pa.uint64(), nullable=False),
        pa.field("lo", pa.uint64(), nullable=False),
        pa.field("at_ms", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)

STRINGS = pa.map_(pa.string(), pa.string())


class SeriesType(StrEnum):
    """How the values of a series are to be read."""

    GAUGE = "gauge"
    COUNTER = "counter"  # cumulative; a fall is a reset
    DELTA = "delta"  # increase since the sample before
    HISTOGRAM = "histogram"  # a `_bucket`, `_sum` or `_count` series of a cumulative histogram
    DELTA_HISTOGRAM = "delta_histogram"
    UNKNOWN = "unknown"  # the protocol did not say


INCREASES = frozenset({SeriesType.DELTA, SeriesType.DELTA_HISTOGRAM})  # told as what came on top since the last time

SERIES_SCHEMA = pa.schema(
    [
        pa.field("hi", pa.uint64(), nullable=False),
        pa.field("lo", pa.uint64(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("labels", STRINGS, nullable=False),
        pa.field("type", pa.string(), nullable=False),  # a SeriesType
        pa.field("unit", pa.string(), nullable=False),  # UCUM, empty when unknown
        pa.field("entity_kind", pa.string(), nullable=False),
        pa.field("entity_name", pa.string(), nullable=False),
    ]
)

LOG_SCHEMA = pa.schema(
    [
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("observed_ns", pa.int64(), nullable=False),
        pa.field("severity", pa.uint8(), nullable=False),  # OpenTelemetry severity number, 0 unknown
        pa.field("severity_text", pa.string(), nullable=False),
        pa.field("body", pa.string(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("entity_kind", pa.string(), nullable=False),
        pa.field("entity_name", pa.string(), nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),  # hex, 32 digits or empty
        pa.field("span_id", pa.string(), nullable=False),  # hex, 16 digits or empty
        pa.field("scope", pa.string(), nullable=False),
        pa.field("attributes", STRINGS, nullable=False),
        pa.field("resource", STRINGS, nullable=False),
    ]
)

SPAN_SCHEMA = pa.schema(
    [
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("duration_ns", pa.int64(), nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),
        pa.field("span_id", pa.string(), nullable=False),
        pa.field("parent_span_id", pa.string(), nullable=False),  # empty for a root
        pa.field("name", pa.string(), nullable=False),
        pa.field("kind", pa.uint8(), nullable=False),  # OpenTelemetry SpanKind
        pa.field("status", pa.uint8(), nullable=False),  # 0 unset, 1 ok, 2 error
        pa.field("status_message", pa.string(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("entity_kind", pa.string(), nullable=False),
        pa.field("entity_name", pa.string(), nullable=False),
        pa.field("scope", pa.string(), nullable=False),
        pa.field("attributes", STRINGS, nullable=False),
        pa.field("resource", STRINGS, nullable=False),
        pa.field("events", pa.string(), nullable=False),  # JSON array, `[]` when none
        pa.field("links", pa.string(), nullable=False),  # JSON array
    ]
)

EVENT_SCHEMA = pa.schema(
    [
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # deploy | config | restart | boot | …
        pa.field("source", pa.string(), nullable=False),
        pa.field("entity_kind", pa.string(), nullable=False),
        pa.field("entity_name", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("body", pa.string(), nullable=False),  # JSON object
    ]
)


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Samples of one tenant in columns, all of length `n`, with the series not named before.

    The arrays belong to the batch: a reader copies what it keeps.
    """

    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    series: pa.Table  # SERIES_SCHEMA; only what the sender has not yet named on the bus

    def __len__(self) -> int:
        return len(self.at_ms)

    def partition(self) -> NDArray[np.uint64]:
        """The partition of each sample, `uint64, (n,)`, 0 … 63."""
        return self.lo % np.uint64(PARTITION_COUNT)


_NO_SERIES = SERIES_SCHEMA.empty_table()  # made once: most batches name nothing


def no_series() -> pa.Table:
    """A series table that names nothing."""
    return _NO_SERIES


def canonical(labels: Mapping[str, str]) -> bytes:
    r"""The bytes that `lo` hashes: every label but `__name__`, sorted, each part followed by 0xFF.

    >>> canonical({"job": "api", "__name__": "up", "az": "a", "zone": ""})
    b'az\xffa\xffjob\xffapi\xff'
    """
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items() if name != NAME and value)
    return b"".join(part + SEPARATOR for pair in pairs for part in pair)


def series_id(metric: str, labels: Mapping[str, str]) -> tuple[int, int]:
    """The name of a series as two hashes, `(hi, lo)`: XXH64 with seed 0 of the metric and of `canonical(labels)`.

    Source: Y. Collet, xxHash fast digest algorithm, specification 0.1.1 (2018), XXH64.

    >>> series_id("up", {"job": "api"}) == series_id("up", {"__name__": "up", "job": "api"})
    True
    """
    return xxhash.xxh64_intdigest(metric.encode()), xxhash.xxh64_intdigest(canonical(labels))
