"""Tables of logs and spans from what the kernel found: texts gathered at once, resources told once and repeated."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf.message import Message
from numpy.typing import NDArray

from cerebro.intake.decode import records_kernel as kernel
from cerebro.intake.decode import wire
from cerebro.intake.decode.arrow import dictionaries, python_texts, strings_of, text_column
from cerebro.intake.decode.columns import GROUPS_MAX, ROWS_MAX, EntityOf
from cerebro.intake.decode.identity import number_text, value_text
from cerebro.intake.decode.records_upb import SERVICE, check_unfolding, events_json, links_json
from cerebro.intake.decode.twins import AnyValue, Event, Link, parsed, plain
from cerebro.spine.telemetry import LOG_SCHEMA, SPAN_SCHEMA

Places = NDArray[np.int64]
PAIRS_MAX = 8_000_000  # attributes in one body


@dataclass(frozen=True)
class Found:
    """The kernel's columns, cut to what they hold; see `records_kernel.walk`."""

    source: NDArray[np.uint8]
    numbers: Places
    cells: Places
    pairs: Places
    resource_pairs: Places
    resource_ends: Places
    scopes: Places
    odd: Places


def logs_table(body: bytes, entity_of: EntityOf) -> pa.Table | None:
    """See `otlp_logs.decode_otlp_logs`; None where upb has to read the body."""
    found = _walk(body, "ExportLogsServiceRequest", is_span=False)
    if found is None:
        return None
    found = _with_odd_values(found)
    attributes, resource, service, kinds, names, scope = _told(found, entity_of)
    texts, numbers = _texts(found), found.numbers
    columns = [
        pa.array(numbers[:, kernel.AT]),
        pa.array(numbers[:, kernel.SECOND]),
        pa.array(numbers[:, kernel.NUMBER].astype(np.uint8)),
        texts(kernel.FIRST_TEXT),
        texts(kernel.SECOND_TEXT),
        service,
        kinds,
        names,
        texts(kernel.TRACE_ID),
        texts(kernel.SPAN_ID),
        scope,
        attributes,
        resource,
    ]
    return pa.Table.from_arrays(columns, schema=LOG_SCHEMA)


def spans_table(body: bytes, entity_of: EntityOf) -> pa.Table | None:
    """See `otlp_traces.decode_otlp_traces`; None where upb has to read the body."""
    found = _walk(body, "ExportTraceServiceRequest", is_span=True)
    if found is None:
        return None
    found = _with_odd_values(found)
    attributes, resource, service, kinds, names, scope = _told(found, entity_of)
    texts, numbers = _texts(found), found.numbers
    columns = [
        pa.array(numbers[:, kernel.AT]),
        pa.array(numbers[:, kernel.SECOND]),
        texts(kernel.TRACE_ID),
        texts(kernel.SPAN_ID),
        texts(kernel.PARENT_ID),
        texts(kernel.FIRST_TEXT),
        pa.array(numbers[:, kernel.NUMBER].astype(np.uint8)),
        pa.array(numbers[:, kernel.STATUS_CODE].astype(np.uint8)),
        texts(kernel.SECOND_TEXT),
        service,
        kinds,
        names,
        scope,
        attributes,
        resource,
        _json_column(found, kernel.OF_EVENT, Event, events_json),
        _json_column(found, kernel.OF_LINK, Link, links_json),
    ]
    return pa.Table.from_arrays(columns, schema=SPAN_SCHEMA)


def _walk(body: bytes, message: str, *, is_span: bool) -> Found | None:
    rows, pairs, scale = min(len(body) // 96 + 64, ROWS_MAX), len(body) // 24 + 64, 1
    while True:
        source = np.empty((1 + scale) * len(body) + 4096, np.uint8)
        source[: len(body)] = np.frombuffer(body, np.uint8)
        columns = [
            np.empty((rows, kernel.NUMBERS), np.int64),
            np.empty((rows, kernel.CELLS, 2), np.int64),
            *(np.empty((pairs, 4), np.int64) for _ in range(2)),
            np.empty(min(rows, GROUPS_MAX), np.int64),
            np.empty((min(rows, GROUPS_MAX), 2), np.int64),
            np.empty((pairs, 4), np.int64),
        ]
        *counts, code, place = kernel.walk(source, len(body), is_span, *columns)
        if code != wire.FULL or (rows == ROWS_MAX and pairs == PAIRS_MAX):
            break
        rows, pairs, scale = min(4 * rows, ROWS_MAX), min(4 * pairs, PAIRS_MAX), 5
    if code == wire.RARE:
        return None
    if code:
        raise wire.error_of(message, code, place)
    records, attributes, facts, resources, scopes, odds = counts
    sizes = (records, records, attributes, facts, resources, scopes, odds)
    return Found(source, *(column[:size] for column, size in zip(columns, sizes, strict=True)))


def _with_odd_values(found: Found) -> Found:
    """The same with the texts of values that the kernel leaves: doubles, lists, maps and bytes."""
    where = found.odd[:, 0]
    rows = np.flatnonzero(where % kernel.IS_DOUBLE < kernel.OF_EVENT)
    if not len(rows):
        return found
    source, texts = found.source, []
    starts, ends = found.odd[rows, 2], found.odd[rows, 3]
    is_double = where[rows] >= kernel.IS_DOUBLE
    eight = source[starts[is_double][:, None] + np.arange(8)] if is_double.any() else np.zeros((0, 8), np.uint8)
    numbers = iter(np.ascontiguousarray(eight).view(np.float64).ravel().tolist())
    for start, end, double in zip(starts.tolist(), ends.tolist(), is_double.tolist(), strict=True):
        if double:
            texts.append(number_text(next(numbers)).encode())
        else:
            texts.append(value_text(plain(parsed(AnyValue, source[start:end].tobytes()))).encode())
    stops = len(source) + np.cumsum([len(text) for text in texts])
    ranges = np.stack([stops - [len(text) for text in texts], stops], axis=1)
    for place, target in (
        (kernel.OF_RECORD, found.pairs[:, 2:]),
        (kernel.OF_RESOURCE, found.resource_pairs[:, 2:]),
        (kernel.OF_BODY, found.cells[:, kernel.SECOND_TEXT]),
    ):
        chosen = where[rows] % kernel.IS_DOUBLE == place
        target[found.odd[rows[chosen], 1]] = ranges[chosen]
    grown = np.concatenate([source, np.frombuffer(b"".join(texts), np.uint8)])
    return Found(grown, *(getattr(found, name) for name in list(Found.__dataclass_fields__)[1:]))


def _told(found: Found, entity_of: EntityOf) -> tuple[pa.Array, ...]:
    """Attributes; then resource, service, entity and scope, each told once a resource or scope and repeated by row."""
    keys, values = (_column(found.source, found.resource_pairs[:, k], found.resource_pairs[:, k + 1]) for k in (0, 2))
    offsets = np.concatenate([[0], found.resource_ends]).astype(np.int32)
    facts = dictionaries(python_texts(keys), python_texts(values), offsets.tolist())
    entities = [entity_of(each) for each in facts]
    scopes = _column(found.source, found.scopes[:, 0], found.scopes[:, 1])
    of_resource, of_scope = found.numbers[:, kernel.RESOURCE_ROW], found.numbers[:, kernel.SCOPE_ROW]
    sizes = np.add.reduceat(
        np.append(_sizes(found.resource_pairs), 0), np.minimum(offsets[:-1], len(found.resource_pairs))
    ) * (np.diff(offsets) > 0)
    check_unfolding(int(sizes[of_resource].sum()) + int((found.scopes[:, 1] - found.scopes[:, 0])[of_scope].sum()))
    rows = pa.array(of_resource)
    told = [
        pa.MapArray.from_arrays(pa.array(offsets), keys, values),
        pa.array([each.get(SERVICE, "") for each in facts], pa.string()),
        pa.array([kind for kind, _ in entities], pa.string()),
        pa.array([name for _, name in entities], pa.string()),
    ]
    pairs = found.pairs
    attributes = pa.MapArray.from_arrays(
        pa.array(np.concatenate([[0], found.numbers[:, kernel.PAIRS_END]]).astype(np.int32)),
        _column(found.source, pairs[:, 0], pairs[:, 1]),
        _column(found.source, pairs[:, 2], pairs[:, 3]),
    )
    return attributes, *(each.take(rows) for each in told), scopes.take(pa.array(of_scope))


def _sizes(pairs: Places) -> Places:
    """Bytes of each pair in columns, its places included."""
    sizes: Places = pairs[:, 1] - pairs[:, 0] + pairs[:, 3] - pairs[:, 2] + 16
    return sizes


def _texts(found: Found) -> Callable[[int], pa.StringArray]:
    return lambda column: _column(found.source, found.cells[:, column, 0], found.cells[:, column, 1])


def _column(source: NDArray[np.uint8], starts: Places, ends: Places) -> pa.StringArray:
    """The ranges as strings, what is not UTF-8 in them replaced."""
    column = text_column(source, starts, ends)
    _, offsets, content = column.buffers()
    if content is None or not len(column):
        return column
    places = np.frombuffer(offsets, np.int32, len(column) + 1)
    letters, bad = np.frombuffer(content, np.uint8), np.empty(len(column), np.int64)
    count = kernel.not_text(letters, places, bad)
    if not count:
        return column
    body = letters.tobytes()
    parts = [body[start:end] for start, end in zip(places[:-1].tolist(), places[1:].tolist(), strict=True)]
    for row in bad[:count].tolist():
        parts[row] = parts[row].decode(errors="replace").encode()
    stops = np.zeros(len(parts) + 1, np.int32)
    np.cumsum([len(part) for part in parts], out=stops[1:])
    return strings_of(stops, np.frombuffer(b"".join(parts), np.uint8))


def _json_column(found: Found, where: int, message: type[Message], to_json: Callable[[Iterable[Any]], str]) -> pa.Array:
    """Events or links of each span as JSON; `[]` for the many that have none."""
    chosen = found.odd[found.odd[:, 0] == where]
    lists: dict[int, list[Message]] = {}
    for row, start, end in chosen[:, 1:].tolist():
        lists.setdefault(row, []).append(parsed(message, found.source[start:end].tobytes()))
    texts = ["[]", *(to_json(each) for each in lists.values())]
    index = np.zeros(len(found.numbers), np.int64)
    index[list(lists)] = np.arange(1, len(texts))
    return pa.array(texts, pa.string()).take(pa.array(index))
