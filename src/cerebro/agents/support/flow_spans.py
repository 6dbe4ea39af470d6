"""Spans from the bus through `span_watch`, findings back to the bus: a task of the role `detector`."""

import asyncio

import msgspec
import pyarrow as pa

from cerebro.agents.support import metrics
from cerebro.agents.support.flow_tables import ASIDE_COUNT, TableDetector
from cerebro.agents.support.observe import Watch
from cerebro.agents.support.span_watch import (
    KeptSpans,
    Spans,
    again_spans,
    keep_spans,
    new_spans,
    take_spans,
    tick_spans,
)
from cerebro.kernel.observe.traces import span
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind


class SpanDetector(TableDetector[Spans]):
    """Reads every span once, and goes on after a restart as if there had been none."""

    name, stream, kind, noun, counts = "detector_spans", "traces", Kind.SPANS, "spans", "span_counts"

    def begin(self, tenant: TenantId) -> Spans:
        """A tenant of whose spans nothing is known."""
        return new_spans(tenant, self._rules)

    async def judge(self, tenant: TenantId, state: Spans, table: pa.Table) -> list[Finding]:
        """Take in spans and answer what was found. Changes `state`."""
        now_ms = self._kernel.clock.now_ms()
        with span("detect_spans", tenant, spans=table.num_rows):
            if table.num_rows < ASIDE_COUNT:
                findings = take_spans(state, table, self._rules, now_ms)
            else:
                findings = await asyncio.to_thread(take_spans, state, table, self._rules, now_ms)
        metrics.SPANS.labels("judged").inc(table.num_rows)
        return findings

    async def look(self, tenant: TenantId, state: Spans) -> list[Finding]:
        """What is due by time alone."""
        return tick_spans(state, self._kernel.clock.now_ms(), self._rules)

    def keep(self, state: Spans) -> KeptSpans:
        """What a snapshot holds beside the counts."""
        return keep_spans(state)

    def again(self, kept: bytes, watch: Watch) -> Spans:
        """The state of a snapshot."""
        return again_spans(msgspec.json.decode(kept, type=KeptSpans), watch)

    def note_unreadable(self) -> None:
        """Count a message that is no table."""
        metrics.SPANS.labels("unreadable").inc()
