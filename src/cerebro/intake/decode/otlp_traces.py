"""OTLP traces: an ExportTraceServiceRequest to a table of spans.

Source of the wire format: https://github.com/open-telemetry/opentelemetry-proto, trace/v1, 1.x.
"""

import pyarrow as pa

from cerebro.intake.decode.columns import EntityOf
from cerebro.intake.decode.compiled import COMPILED
from cerebro.intake.decode.records_upb import spans_upb

if COMPILED:
    from cerebro.intake.decode.records import spans_table


def decode_otlp_traces(body: bytes, entity_of: EntityOf, *, compiled: bool = COMPILED) -> pa.Table:
    """The spans of an export request, in the order sent, as a table of SPAN_SCHEMA.

    A span that ends before it starts lasts 0 ns. Kind and status outside their enums are 0. Text, ids, resource
    and entity as in `otlp_logs.decode_otlp_logs`. `events` is a JSON array of objects with `at_ns`, `name` and
    `attributes`; `links` of objects with `trace_id`, `span_id` and `attributes`.

    Raises:
        Invalid: Not an export request of traces.
        TooLarge: More than `columns.ROWS_MAX` spans.
    """
    table = spans_table(body, entity_of) if compiled and COMPILED else None
    return spans_upb(body, entity_of) if table is None else table
