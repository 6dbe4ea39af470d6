"""OTLP logs and spans read with upb: for machines without numba, for rare forms, and as the oracle of the kernel."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from cerebro.intake.decode.columns import ROWS_MAX, EntityOf
from cerebro.intake.decode.identity import value_text
from cerebro.intake.decode.rows import few, too_many_rows
from cerebro.intake.decode.twins import Logs, Traces, parsed, plain, text
from cerebro.spine.errors import TooLarge
from cerebro.spine.telemetry import LOG_SCHEMA, SPAN_SCHEMA

AT_NS_MAX = (1 << 63) - 1
SEVERITY_MAX, KIND_MAX, STATUS_MAX = 24, 5, 2
SERVICE = "service.name"

UNFOLDED_BYTES_MAX = 512 << 20
"""What resources and scopes may come to, told once in a body and once a row in the table."""

Strings = list[tuple[str, str]]


Facts = tuple[Strings, str, str, str]  # of a resource: attributes, service, entity kind, entity name


def logs_upb(body: bytes, entity_of: EntityOf) -> pa.Table:
    """See `otlp_logs.decode_otlp_logs`."""
    request: Any = parsed(Logs, body)
    rows: list[tuple[object, ...]] = []
    unfolded = 0
    few(request.resource_logs)
    for of_resource in request.resource_logs:
        few(of_resource.scope_logs)
        facts = resource_facts(of_resource.resource.attributes, entity_of)
        for of_scope in of_resource.scope_logs:
            scope = text(of_scope.scope.name)
            unfolded += len(of_scope.log_records) * _size(scope, facts)
            check_unfolding(unfolded)
            rows.extend(_log(each, scope, facts) for each in of_scope.log_records)
            if len(rows) > ROWS_MAX:
                raise too_many_rows()
    return _table(rows, LOG_SCHEMA)


def spans_upb(body: bytes, entity_of: EntityOf) -> pa.Table:
    """See `otlp_traces.decode_otlp_traces`."""
    request: Any = parsed(Traces, body)
    rows: list[tuple[object, ...]] = []
    unfolded = 0
    few(request.resource_spans)
    for of_resource in request.resource_spans:
        few(of_resource.scope_spans)
        facts = resource_facts(of_resource.resource.attributes, entity_of)
        for of_scope in of_resource.scope_spans:
            scope = text(of_scope.scope.name)
            unfolded += len(of_scope.spans) * _size(scope, facts)
            check_unfolding(unfolded)
            rows.extend(_span(each, scope, facts) for each in of_scope.spans)
            if len(rows) > ROWS_MAX:
                raise too_many_rows()
    return _table(rows, SPAN_SCHEMA)


def _size(scope: str, facts: Facts) -> int:
    return len(scope) + sum(len(name) + len(value) + 16 for name, value in facts[0])


def _log(record: Any, scope: str, facts: Facts) -> tuple[object, ...]:
    resource, service, kind, name = facts
    return (
        nanoseconds(record.time_unix_nano or record.observed_time_unix_nano),
        nanoseconds(record.observed_time_unix_nano),
        within(record.severity_number, SEVERITY_MAX),
        text(record.severity_text),
        value_text(plain(record.body)),
        service,
        kind,
        name,
        identifier(record.trace_id, 16),
        identifier(record.span_id, 8),
        scope,
        strings(record.attributes),
        resource,
    )


def _span(span: Any, scope: str, facts: Facts) -> tuple[object, ...]:
    resource, service, kind, name = facts
    start_ns, end_ns = nanoseconds(span.start_time_unix_nano), nanoseconds(span.end_time_unix_nano)
    return (
        start_ns,
        max(0, end_ns - start_ns),
        identifier(span.trace_id, 16),
        identifier(span.span_id, 8),
        identifier(span.parent_span_id, 8),
        text(span.name),
        within(span.kind, KIND_MAX),
        within(span.status.code, STATUS_MAX),
        text(span.status.message),
        service,
        kind,
        name,
        scope,
        strings(span.attributes),
        resource,
        events_json(span.events),
        links_json(span.links),
    )


def resource_facts(attributes: Iterable[Any], entity_of: EntityOf) -> Facts:
    """Of a resource: its attributes as text, the service's name, and the entity's kind and name."""
    resource = strings(attributes)
    facts = dict(resource)
    kind, name = entity_of(facts)
    return resource, facts.get(SERVICE, ""), kind, name


def check_unfolding(size: int) -> None:
    """Refuse a body of which the resources, repeated for every row, would fill the memory.

    Raises:
        TooLarge: They would.
    """
    if size > UNFOLDED_BYTES_MAX:
        raise TooLarge(
            "The resources, repeated for every record, are far larger than the body.",
            "Send fewer or shorter resource attributes, or smaller batches.",
        )


def strings(attributes: Iterable[Any]) -> Strings:
    """Attributes as pairs of text, in the order sent."""
    return [(text(each.key), value_text(plain(each.value))) for each in attributes]


def nanoseconds(at_ns: int) -> int:
    """A time of the wire, at most what 63 bits hold."""
    return min(at_ns, AT_NS_MAX)


def within(number: int, number_max: int) -> int:
    """An enum's number, 0 when it is none that we know."""
    return number if 0 <= number <= number_max else 0


def identifier(body: bytes, length: int) -> str:
    """An id in hex; empty when it has not that length or says that there is none."""
    return body.hex() if len(body) == length and any(body) else ""


def events_json(events: Iterable[Any]) -> str:
    """The events of a span as JSON."""
    return _json(
        {"at_ns": nanoseconds(e.time_unix_nano), "name": text(e.name), "attributes": dict(strings(e.attributes))}
        for e in events
    )


def links_json(links: Iterable[Any]) -> str:
    """The links of a span as JSON."""
    return _json(
        {
            "trace_id": identifier(link.trace_id, 16),
            "span_id": identifier(link.span_id, 8),
            "attributes": dict(strings(link.attributes)),
        }
        for link in links
    )


def _json(parts: Iterable[dict[str, object]]) -> str:
    return json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
