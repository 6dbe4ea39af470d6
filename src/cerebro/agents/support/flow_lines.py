"""Log lines from the bus through `lines`, findings back to the bus: a task of the role `detector`."""

import asyncio

import msgspec
import pyarrow as pa

from cerebro.agents.support import metrics
from cerebro.agents.support.flow_tables import ASIDE_COUNT, TableDetector
from cerebro.agents.support.lines import Kept, Lines, again, keep, new_lines, take, tick_lines
from cerebro.agents.support.observe import Watch
from cerebro.agents.support.store import BUCKET
from cerebro.agents.support.template_views import template_views
from cerebro.kernel.observe.traces import span
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind


class LineDetector(TableDetector[Lines]):
    """Reads every log line once, and goes on after a restart as if there had been none."""

    name, stream, kind, noun, counts = "detector_lines", "logs", Kind.LOGS, "lines", "line_counts"

    def begin(self, tenant: TenantId) -> Lines:
        """A tenant of whose log lines nothing is known."""
        return new_lines(tenant, self._rules)

    async def judge(self, tenant: TenantId, state: Lines, table: pa.Table) -> list[Finding]:
        """Take in log lines and answer what was found. Changes `state`."""
        before, now_ms = state.turned_away_count, self._kernel.clock.now_ms()
        with span("detect_lines", tenant, lines=table.num_rows), metrics.LINE_BATCH_SECONDS.time():
            if table.num_rows < ASIDE_COUNT:
                findings = take(state, table, self._rules, now_ms)
            else:
                findings = await asyncio.to_thread(take, state, table, self._rules, now_ms)
        metrics.LINES.labels("judged").inc(table.num_rows)
        metrics.LINES.labels("turned_away").inc(state.turned_away_count - before)
        return findings

    async def look(self, tenant: TenantId, state: Lines) -> list[Finding]:
        """What is due by time alone; templates are noted for whoever asks."""
        body = msgspec.json.encode(template_views(state))
        await self._kernel.bus.put_object(BUCKET, f"{tenant}.templates", body)
        metrics.TEMPLATES.set(len(state.pairs))
        return tick_lines(state, self._kernel.clock.now_ms(), self._rules)

    def keep(self, state: Lines) -> Kept:
        """What a snapshot holds beside the counts."""
        return keep(state)

    def again(self, kept: bytes, watch: Watch) -> Lines:
        """The state of a snapshot."""
        return again(msgspec.json.decode(kept, type=Kept), watch)

    def note_unreadable(self) -> None:
        """Count a message that is no table."""
        metrics.LINES.labels("unreadable").inc()
