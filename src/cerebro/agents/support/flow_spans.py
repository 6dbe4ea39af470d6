"""Spans from the bus through `span_watch`, findings back to the bus, state in snapshots: a task of the role `detector`.

What is said in `flow` of snapshots and places holds here, too.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from cerebro.agents.support import metrics
from cerebro.agents.support.flow import rules_of
from cerebro.agents.support.flow_lines import Manifest
from cerebro.agents.support.observe import take_opinions
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.agents.support.span_watch import (
    KeptSpans,
    Spans,
    again_spans,
    keep_spans,
    new_spans,
    take_spans,
    tick_spans,
)
from cerebro.agents.support.standing import standing_of
from cerebro.agents.support.store import BUCKET, load_opinions, save_standing
from cerebro.kernel.bus.port import Message
from cerebro.kernel.bus.position import Place
from cerebro.kernel.bus.retry import publish_until
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import span
from cerebro.spine.errors import Invalid
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind, decode_table

log = get_log(__name__)

STREAM, READER = "traces", "detector"
MESSAGES_MAX, MESSAGE_BYTES_MAX = 64, 16 << 20
WAIT_S, TICK_S = 1.0, 10.0
MANIFEST = "spans"
ASIDE_COUNT = 2000  # spans; a larger batch is judged on another thread
SNAPSHOT_SHARE = 0.05


class SpanDetector:
    """Reads every span once, and goes on after a restart as if there had been none."""

    name = "detector_spans"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rules = rules_of(kernel.settings.support)
        self._spans: dict[TenantId, Spans] = {}
        self._sequence = self._slot = 0
        self._saved_s = self._ticked_s = 0.0
        self._pause_s = kernel.settings.support.snapshot_s

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then keep a last snapshot.

        Raises:
            Conflict: Another detector has taken over; this one must stop.
        """
        bus, clock = self._kernel.bus, self._kernel.clock
        place = await Place.claim(bus, STREAM, READER, owner=clock.new_id())
        await self.restore(place.after)
        self._saved_s = self._ticked_s = clock.monotonic_s()
        while not stop.is_set():
            messages = await bus.read(
                STREAM, after=self._sequence, count_max=MESSAGES_MAX, bytes_max=MESSAGE_BYTES_MAX, wait_s=WAIT_S
            )
            for message in messages:
                await self.take(message)
            if clock.monotonic_s() - self._ticked_s >= TICK_S:
                self._ticked_s = clock.monotonic_s()
                await self.tick()
            if clock.monotonic_s() - self._saved_s >= self._pause_s:
                await self._save(place)
        await self._save(place)

    async def restore(self, after: int) -> None:
        """Take up the last snapshot; without one begin after the place."""
        self._spans, self._sequence = {}, after
        if (stored := await self._kernel.bus.get(BUCKET, MANIFEST)) is None:
            return
        manifest = msgspec.json.decode(stored.value, type=Manifest)
        self._sequence, self._slot = manifest.sequence, manifest.slot
        for tenant in manifest.tenants:
            try:
                self._spans[tenant] = await self._load(tenant)
            except (Invalid, msgspec.DecodeError) as error:
                log.warning("spans_snapshot_unreadable", tenant=tenant, reason=str(error))

    async def take(self, message: Message) -> None:
        """Judge one message and publish what it gave."""
        tenant = TenantId(message.subject.split(".")[1])
        try:
            table = decode_table(Kind.SPANS, message.body)
        except Invalid as error:
            metrics.SPANS.labels("unreadable").inc()
            log.warning("message_unreadable", tenant=tenant, sequence=message.sequence, reason=error.detail)
            self._sequence = message.sequence
            return
        spans = self._spans.get(tenant) or self._spans.setdefault(tenant, new_spans(tenant, self._rules))
        with span("detect_spans", tenant, spans=table.num_rows):
            now_ms = self._kernel.clock.now_ms()
            if table.num_rows < ASIDE_COUNT:
                findings = take_spans(spans, table, self._rules, now_ms)
            else:
                findings = await asyncio.to_thread(take_spans, spans, table, self._rules, now_ms)
        metrics.SPANS.labels("judged").inc(table.num_rows)
        await self._publish(findings)
        self._sequence = message.sequence

    async def tick(self) -> None:
        """Judge the minutes that are over by our own clock, hear people, note the budget for whoever asks."""
        for tenant, spans in self._spans.items():
            take_opinions(spans.watch, await load_opinions(self._kernel.bus, tenant))
            await self._publish(tick_spans(spans, self._kernel.clock.now_ms(), self._rules))
            await save_standing(self._kernel.bus, tenant, "spans", standing_of(spans.watch.budget))

    async def _publish(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            subject, body = f"findings.{finding.tenant}", msgspec.json.encode(finding)
            await publish_until(self._kernel.bus, self._kernel.clock, subject, body, dedup_key=finding.id)
            metrics.FINDINGS.labels("cleared" if finding.cleared else finding.kind).inc()
            log.info(
                "finding_published", tenant=finding.tenant, finding_id=finding.id, kind=finding.kind,
                entity=finding.entity.text, title=finding.title, cleared=finding.cleared,
            )  # fmt: skip

    async def _load(self, tenant: TenantId) -> Spans:
        bus = self._kernel.bus
        counts = await bus.get_object(BUCKET, f"{tenant}.span_counts.{self._slot}")
        kept = await bus.get_object(BUCKET, f"{tenant}.spans.{self._slot}")
        if counts is None or kept is None:
            raise Invalid("The snapshot of spans is missing.", "It is left aside: operations are learned anew.")
        return again_spans(msgspec.json.decode(kept, type=KeptSpans), decode(counts)[0])

    async def _save(self, place: Place) -> None:
        """Store a snapshot, then move the place.

        Raises:
            Conflict: Another detector has taken over.
        """
        bus, begun_s = self._kernel.bus, self._kernel.clock.monotonic_s()
        await place.commit(place.after)  # raises when another one owns the place: before anything of its is replaced
        slot = 1 - self._slot
        kept = [(tenant, freeze(one.watch, self._sequence), keep_spans(one)) for tenant, one in self._spans.items()]
        for tenant, counts, rest in kept:
            bodies = await asyncio.to_thread(lambda a, b: (encode(a), msgspec.json.encode(b)), counts, rest)
            await bus.put_object(BUCKET, f"{tenant}.span_counts.{slot}", bodies[0])
            await bus.put_object(BUCKET, f"{tenant}.spans.{slot}", bodies[1])
        stored = await bus.get(BUCKET, MANIFEST)
        body = msgspec.json.encode(Manifest(self._sequence, slot, tuple(self._spans)))
        await bus.put(BUCKET, MANIFEST, body, revision=stored.revision if stored else 0)
        self._slot = slot
        await place.commit(self._sequence)
        self._saved_s = self._kernel.clock.monotonic_s()
        self._pause_s = max(self._kernel.settings.support.snapshot_s, (self._saved_s - begun_s) / SNAPSHOT_SHARE)
