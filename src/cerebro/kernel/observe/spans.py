"""Cerebro's own spans on the way into its own tenant: columns like everyone's, over the same bus."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout

import pyarrow as pa
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id, format_trace_id

from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import SHARE, start_tracing
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import SELF_TENANT
from cerebro.spine.telemetry import SPAN_SCHEMA
from cerebro.spine.wire import Kind, encode_table

SUBJECT = f"telemetry.{SELF_TENANT}.traces"
EXPORT_S = 5.0
Publish = Callable[[str, bytes, str], Awaitable[object]]  # subject, body, dedup key

log = get_log(__name__)


class OwnTraces:
    """A task that sends a share of this process's spans to tenant `_cerebro`.

    Args:
        publish: Stores one message on the bus.
        service: The roles of this process.
        share: Of the traces that begin here.
    """

    name = "own traces"

    def __init__(self, publish: Publish, service: str, share: float = SHARE) -> None:
        self._publish, self._service, self._share = publish, service, share

    async def run(self, stop: asyncio.Event) -> None:
        """Trace until `stop`; then send what is left."""
        exporter = BusExporter(self._publish, asyncio.get_running_loop())
        end = start_tracing(self._service, exporter, self._share)
        await stop.wait()
        await asyncio.to_thread(end)  # it waits for the exporter, which needs this loop


class BusExporter(SpanExporter):
    """Called by the SDK from a thread of its own; publishes in the loop of the process."""

    def __init__(self, publish: Publish, loop: asyncio.AbstractEventLoop) -> None:
        self._publish, self._loop = publish, loop

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """One message; a batch that cannot be stored is dropped and said so, for traces may be missed."""
        body = encode_table(Kind.SPANS, table_of(spans))
        key = ":".join((spans[0].name, *(format_span_id(each.context.span_id) for each in (spans[0], spans[-1]))))
        if self._loop.is_closed():
            return SpanExportResult.FAILURE
        sending = asyncio.run_coroutine_threadsafe(self._send(body, key), self._loop)
        try:
            sending.result(EXPORT_S)
        except (CerebroError, FutureTimeout) as error:
            sending.cancel()
            log.debug("own_spans_dropped", spans=len(spans), error=str(error))
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    async def _send(self, body: bytes, key: str) -> None:
        await self._publish(SUBJECT, body, key)


def table_of(spans: Sequence[ReadableSpan]) -> pa.Table:
    """The spans as columns of `SPAN_SCHEMA`. At most a few hundred at a time, so a loop is right here."""
    return pa.Table.from_pylist([_row(span) for span in spans], schema=SPAN_SCHEMA)


def _row(span: ReadableSpan) -> dict[str, object]:
    start_ns, end_ns = span.start_time or 0, span.end_time or span.start_time or 0
    service = str(span.resource.attributes.get("service.name", "cerebro"))
    return {
        "at_ns": start_ns,
        "duration_ns": end_ns - start_ns,
        "trace_id": format_trace_id(span.context.trace_id),
        "span_id": format_span_id(span.context.span_id),
        "parent_span_id": format_span_id(span.parent.span_id) if span.parent else "",
        "name": span.name,
        "kind": span.kind.value + 1,  # the SDK counts from INTERNAL = 0, the protocol from UNSPECIFIED
        "status": span.status.status_code.value,
        "status_message": span.status.description or "",
        "service": service,
        "entity_kind": "service",
        "entity_name": service,
        "scope": span.instrumentation_scope.name if span.instrumentation_scope else "",
        "attributes": [(key, str(value)) for key, value in (span.attributes or {}).items()],
        "resource": [(key, str(value)) for key, value in span.resource.attributes.items()],
        "events": json.dumps(
            [
                {
                    "at_ns": each.timestamp,
                    "name": each.name,
                    "attributes": {k: str(v) for k, v in (each.attributes or {}).items()},
                }
                for each in span.events
            ]
        ),
        "links": json.dumps([{"trace_id": format_trace_id(each.context.trace_id)} for each in span.links]),
    }
