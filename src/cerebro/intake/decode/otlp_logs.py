"""OTLP logs: an ExportLogsServiceRequest to a table of log records.

Source of the wire format: https://github.com/open-telemetry/opentelemetry-proto, logs/v1, 1.x.
"""

import pyarrow as pa

from cerebro.intake.decode.columns import EntityOf
from cerebro.intake.decode.compiled import COMPILED
from cerebro.intake.decode.records_upb import logs_upb

if COMPILED:
    from cerebro.intake.decode.records import logs_table


def decode_otlp_logs(body: bytes, entity_of: EntityOf, *, compiled: bool = COMPILED) -> pa.Table:
    """The log records of an export request, in the order sent, as a table of LOG_SCHEMA.

    `at_ns` is the record's own time, or when it was observed where it has none, or 0. A body, an attribute or a
    resource's attribute that is not text is written by `identity.value_text`. What is not UTF-8 becomes U+FFFD.
    An id of the wrong length, or all zeros, is empty; a severity outside 0 … 24 is 0. `service` is the resource's
    `service.name`, and the entity is `entity_of` of the resource's attributes, asked once a resource.

    Raises:
        Invalid: Not an export request of logs.
        TooLarge: More than `columns.ROWS_MAX` records.
    """
    table = logs_table(body, entity_of) if compiled and COMPILED else None
    return logs_upb(body, entity_of) if table is None else table
