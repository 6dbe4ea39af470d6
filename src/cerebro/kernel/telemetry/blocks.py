"""From messages of several tenants to one block for each table: columns are laid end to end, the tenant becomes one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.kernel.bus.port import Message
from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SPAN_SCHEMA, SampleBatch
from cerebro.spine.wire import Kind, decode_samples, decode_table

MILLISECONDS, NANOSECONDS = pa.timestamp("ms", "UTC"), pa.timestamp("ns", "UTC")
AT_MS_END = 4_102_444_800_000  # the year 2100: a ClickHouse DateTime ends in 2106
AT_NS_END = AT_MS_END * 1_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """The rows that one message or one range of messages adds to a table."""

    table: str
    rows: pa.Table
    newest_ms: int = 0  # the latest time in it, Unix milliseconds; 0 when it says nothing of time
    refused_count: int = 0  # rows left out because their time cannot be stored


@dataclass(frozen=True, slots=True)
class Piece:
    """One decoded message."""

    tenant: str
    content: Any  # a SampleBatch, or an Arrow table of the signal's schema
    row_count: int


@dataclass(frozen=True, slots=True)
class Signal:
    """How the messages of one stream become rows."""

    stream: str
    decode: Callable[[Message], Piece]
    blocks: Callable[[Sequence[Piece]], Sequence[Block]]


def tenant_of(subject: str) -> str:
    """The tenant in `telemetry.<tenant>.<signal>`.

    >>> tenant_of("telemetry.acme.metrics")
    'acme'
    """
    return subject.split(".")[1]


def _samples(message: Message) -> Piece:
    batch = decode_samples(message.body)
    return Piece(tenant_of(message.subject), batch, len(batch) + batch.series.num_rows)


def _sample_blocks(pieces: Sequence[Piece]) -> Sequence[Block]:
    """The series that the messages name, then the samples. Sorting them here would not make the insert cheaper."""
    batches = [piece.content for piece in pieces]
    at_ms = np.concatenate([batch.at_ms for batch in batches])
    columns: dict[str, NDArray[Any] | pa.Array] = {
        "tenant": _tenants(pieces, [len(batch) for batch in batches]),
        "hi": np.concatenate([batch.hi for batch in batches]),
        "lo": np.concatenate([batch.lo for batch in batches]),
        "at": pa.array(at_ms).view(MILLISECONDS),
        "value": np.concatenate([batch.value for batch in batches]),
    }
    return [_series_block(pieces), _bounded("samples", pa.table(columns), at_ms, AT_MS_END, 1)]


def _series_block(pieces: Sequence[Piece]) -> Block:
    """The series named, first and last seen at the bounds of the message that names them."""
    named = [piece for piece in pieces if piece.content.series.num_rows]
    if not named:
        return Block("series", pa.table({}))
    counts = [piece.content.series.num_rows for piece in named]
    rows = pa.concat_tables([piece.content.series for piece in named])
    for name, bound in (("first_seen", np.min), ("last_seen", np.max)):
        times = [_bound_ms(piece.content, bound) for piece in named]
        rows = rows.append_column(name, pa.array(np.repeat(np.array(times, np.int64), counts)).view(MILLISECONDS))
    return Block("series", rows.append_column("tenant", _tenants(named, counts)))


def _bound_ms(batch: SampleBatch, bound: Callable[[NDArray[np.int64]], Any]) -> int:
    return int(np.clip(bound(batch.at_ms), 0, AT_MS_END)) if len(batch) else 0


def _table(kind: Kind, schema: pa.Schema) -> Callable[[Message], Piece]:
    def decode(message: Message) -> Piece:
        table = decode_table(kind, message.body)
        if not table.schema.equals(schema):
            raise Invalid(f"The message's columns are not those of {kind.name.lower()}.")
        return Piece(tenant_of(message.subject), table, table.num_rows)

    return decode


def _table_blocks(table: str, times: Mapping[str, str]) -> Callable[[Sequence[Piece]], Sequence[Block]]:
    """Rows of `table`, with the time columns under the names of the table."""

    def blocks(pieces: Sequence[Piece]) -> Sequence[Block]:
        rows = pa.concat_tables([piece.content for piece in pieces])
        at_ns = rows["at_ns"].to_numpy()
        for name, column in times.items():
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, column, pc.cast(rows[name], NANOSECONDS))
        rows = rows.append_column("tenant", _tenants(pieces, [piece.row_count for piece in pieces]))
        return [_bounded(table, rows, at_ns, AT_NS_END, 1_000_000)]

    return blocks


def _tenants(pieces: Sequence[Piece], counts: Sequence[int]) -> pa.Array:
    """The tenant of each row, as numbers into a list of names."""
    names = sorted({piece.tenant for piece in pieces})
    codes = np.array([names.index(piece.tenant) for piece in pieces], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(codes, counts)), pa.array(names))


def _bounded(table: str, rows: pa.Table, at: NDArray[np.int64], end: int, unit: int) -> Block:
    """Leave out the rows whose time the table cannot hold; `unit` is that of a millisecond in `at`."""
    if not len(at):
        return Block(table, rows)
    if at.min() >= 0 and at.max() < end:
        return Block(table, rows, int(at.max()) // unit)
    kept = (at >= 0) & (at < end)
    newest = int(at[kept].max()) // unit if kept.any() else 0
    return Block(table, rows.filter(pa.array(kept)), newest, len(at) - int(kept.sum()))


METRICS = Signal("metrics", _samples, _sample_blocks)
LOGS = Signal("logs", _table(Kind.LOGS, LOG_SCHEMA), _table_blocks("logs", {"at_ns": "at", "observed_ns": "observed"}))
TRACES = Signal("traces", _table(Kind.SPANS, SPAN_SCHEMA), _table_blocks("spans", {"at_ns": "at"}))
EVENTS = Signal("events", _table(Kind.EVENTS, EVENT_SCHEMA), _table_blocks("events", {"at_ns": "at"}))
SIGNALS = (METRICS, LOGS, TRACES, EVENTS)
