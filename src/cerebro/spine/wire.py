"""How telemetry stands on the bus: a 16-byte head, then one or two Arrow IPC streams.

head = b"CBRO" | version u8 | kind u8 | 2 bytes zero | length of the first stream u64, little-endian.
A reader accepts its own version and the one before. Arrow reads the columns where they lie.
"""

import struct
from enum import IntEnum

import pyarrow as pa

from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import SAMPLE_SCHEMA, SampleBatch, no_series

MAGIC = b"CBRO"
VERSION = 1
HEAD = struct.Struct("<4sBBHQ")


class Kind(IntEnum):
    """What a message holds."""

    SAMPLES, LOGS, SPANS, EVENTS = 1, 2, 3, 4


def encode_samples(batch: SampleBatch) -> bytes:
    """One message holding the samples and the series they name."""
    columns = [pa.array(column) for column in (batch.hi, batch.lo, batch.at_ms, batch.value)]
    samples = _to_ipc(pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA))
    series = _to_ipc(batch.series) if batch.series.num_rows else b""
    return b"".join((HEAD.pack(MAGIC, VERSION, Kind.SAMPLES, 0, len(samples)), samples, series))


def decode_samples(body: bytes) -> SampleBatch:
    """The batch of `encode_samples`; its arrays lie in `body` and are read-only.

    Raises:
        Invalid: Not a message of samples, or of a version this reader does not know.
    """
    first, second = _parts(body, Kind.SAMPLES)
    samples = _from_ipc(first).combine_chunks()
    hi, lo, at_ms, value = (
        samples.column(i).chunk(0).to_numpy() if samples.num_rows else samples.column(i).to_numpy() for i in range(4)
    )
    return SampleBatch(hi, lo, at_ms, value, _from_ipc(second) if len(second) else no_series())


def encode_table(kind: Kind, table: pa.Table) -> bytes:
    """One message holding a table of logs, spans or events."""
    stream = _to_ipc(table)
    return HEAD.pack(MAGIC, VERSION, kind, 0, len(stream)) + stream


def decode_table(kind: Kind, body: bytes) -> pa.Table:
    """The table of `encode_table`.

    Raises:
        Invalid: Not a message of that kind, or of a version this reader does not know.
    """
    return _from_ipc(_parts(body, kind)[0])


def _parts(body: bytes, kind: Kind) -> tuple[memoryview, memoryview]:
    view = memoryview(body)
    if len(view) < HEAD.size:
        raise Invalid("The message is shorter than its head.")
    magic, version, found, _, length = HEAD.unpack_from(view)
    if magic != MAGIC or found != kind:
        raise Invalid(f"The message is not one of {kind.name.lower()}.")
    if version not in (VERSION, VERSION - 1):
        raise Invalid(f"The message has version {version}; this reader knows {VERSION}.", "Upgrade the reader first.")
    return view[HEAD.size : HEAD.size + length], view[HEAD.size + length :]


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_ipc(stream: memoryview) -> pa.Table:
    try:
        return pa.ipc.open_stream(pa.py_buffer(stream)).read_all()
    except pa.ArrowInvalid as error:
        raise Invalid("The message's columns are not readable as Arrow.") from error
