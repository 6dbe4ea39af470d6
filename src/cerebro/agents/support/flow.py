"""The role `detector`: metrics from the bus through `observe`, findings back to the bus, state in snapshots."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import numpy as np
import pyarrow as pa

from cerebro.agents.support import metrics, store
from cerebro.agents.support.fullness import fullness_of
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import (
    Rules,
    Tally,
    Watch,
    learn_names,
    new_watch,
    observe,
    take_changes,
    take_opinions,
    tick,
)
from cerebro.agents.support.outlook import Foreseen, Horizon, as_samples, check_calendar, horizon_of, look_ahead
from cerebro.agents.support.plans import changes_of
from cerebro.agents.support.ratios import derived
from cerebro.agents.support.select import Selector, parse_selector
from cerebro.agents.support.shares import METRICS
from cerebro.agents.support.snapshot import freeze
from cerebro.agents.support.standing import standing_of
from cerebro.kernel.bus.port import Bus, Message
from cerebro.kernel.bus.position import Place
from cerebro.kernel.bus.retry import publish_until
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import span
from cerebro.kernel.settings import SupportSettings
from cerebro.kernel.telemetry.port import Window
from cerebro.spine.errors import Conflict, Invalid, Unavailable
from cerebro.spine.findings import Finding
from cerebro.spine.identity import DEFAULT_TENANT, TenantId
from cerebro.spine.telemetry import SampleBatch, SeriesType, no_series
from cerebro.spine.wire import Kind, decode_samples, decode_table, encode_samples

log = get_log(__name__)

STREAM = "metrics"
EVENTS = "events"
READER = "detector"
MESSAGES_MAX = 64
MESSAGE_BYTES_MAX = 16 << 20
WAIT_S = 1.0
IDLE_S = 10.0  # with nothing to read for so long, time is taken from our own clock
BUDGET_S = 10.0  # between two notes of the budget
NAMES_S = 10.0  # between two look-ups of series that nobody named on the bus
SNAPSHOT_SHARE = 0.05  # of our time that snapshots may take; they grow rarer as the state grows
FORESEE_S = 300.0
ASIDE_COUNT = 20_000  # samples; a larger batch is judged on another thread


async def read_events(bus: Bus, after: int) -> tuple[list[tuple[TenantId, pa.Table]], int]:
    """The change events that came after a sequence, each with its tenant; and the sequence of the last.

    What cannot be read is left out: the recorder counts it.
    """
    tables = []
    for message in await bus.read(EVENTS, after=after, count_max=MESSAGES_MAX, bytes_max=MESSAGE_BYTES_MAX, wait_s=0.0):
        after = message.sequence
        with suppress(Invalid):
            tables.append((TenantId(message.subject.split(".")[1]), decode_table(Kind.EVENTS, message.body)))
    return tables, after


class Detector:
    """Judges every sample once, in the order of the bus, and goes on after a restart as if there had been none.

    A snapshot covers the messages up to its sequence. What came after it is read and judged again on restart; since the
    same messages give the same findings under the same keys, nothing is told twice.
    """

    name = "detector"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rules = rules_of(kernel.settings.support)
        self._watches: dict[TenantId, Watch] = {}
        self._counted: dict[TenantId, Tally] = {}
        self._sequence = self._event_sequence = 0
        self._revision = 0
        self._saved_s = self._noted_s = self._named_s = self._read_s = 0.0
        self._pause_s = kernel.settings.support.snapshot_s

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then keep a last snapshot.

        Raises:
            Conflict: Another detector has taken over; this one must stop.
        """
        await asyncio.to_thread(warm_up)
        place = await Place.claim(self._kernel.bus, STREAM, READER, owner=self._kernel.clock.new_id())
        await self.restore(place.after)
        self._saved_s = self._read_s = self._kernel.clock.monotonic_s()
        while not stop.is_set():
            messages = await self._kernel.bus.read(
                STREAM, after=self._sequence, count_max=MESSAGES_MAX, bytes_max=MESSAGE_BYTES_MAX, wait_s=WAIT_S
            )
            for message in messages:
                await self.take(message)
            await self._keep_house(place, bool(messages))
        await self._note()
        await self._save(place)

    async def restore(self, after: int) -> None:
        """Take up the last snapshot; without one begin after the place."""
        found = await store.load_manifest(self._kernel.bus)
        self._watches, self._counted = {}, {}
        self._sequence, self._revision = after, 0
        if found is None:
            return
        manifest, self._revision = found
        self._sequence = manifest.sequence
        for tenant in manifest.tenants:
            if watch := await store.load_watch(self._kernel.bus, manifest, tenant):
                self._watches[tenant] = watch
        series_count = sum(watch.series.count for watch in self._watches.values())
        log.info("detector_restored", sequence=self._sequence, series_count=series_count)

    async def take(self, message: Message) -> None:
        """Judge one message and publish what it gave."""
        tenant = TenantId(message.subject.split(".")[1])
        try:
            batch = decode_samples(message.body)
        except Invalid as error:
            metrics.SAMPLES.labels("unreadable").inc()
            log.warning("message_unreadable", tenant=tenant, sequence=message.sequence, reason=error.detail)
            self._sequence = message.sequence
            return
        watch = self._watches.get(tenant) or self._watches.setdefault(tenant, new_watch(tenant, self._rules))
        with span("detect", tenant, samples=len(batch)), metrics.BATCH_SECONDS.time():
            findings = await self._judge(watch, batch)
        await self._publish(findings)
        subject, clock = f"telemetry.{tenant}.metrics", self._kernel.clock
        for name, told in (
            ("derived", derived(watch.ratios, watch.series, batch)),
            ("fullness", fullness_of(watch.fullness, watch.series, batch)),
        ):
            if told:
                key = f"{name}:{message.sequence}"
                await publish_until(self._kernel.bus, clock, subject, encode_samples(told), dedup_key=key)
        self._sequence = message.sequence
        metrics.SEQUENCE.set(message.sequence)

    async def _judge(self, watch: Watch, batch: SampleBatch) -> Sequence[Finding]:
        now_ms = self._kernel.clock.now_ms()
        room = self._rules.series_max - watch.series.count  # where there is none, some are forgotten first
        if len(batch) < ASIDE_COUNT and batch.series.num_rows <= min(ASIDE_COUNT, room):
            return observe(watch, batch, self._rules, now_ms)
        return await asyncio.to_thread(observe, watch, batch, self._rules, now_ms)

    async def _publish(self, findings: Sequence[Finding]) -> None:
        if findings:
            self._noted_s = -1.0  # a budget that has admitted something is noted at once
        await publish_findings(self._kernel, findings)

    async def _keep_house(self, place: Place, was_read: bool) -> None:
        """What is due by our own clock: ticks while nothing comes, names, budget, snapshot."""
        now_s = self._kernel.clock.monotonic_s()
        if was_read:
            self._read_s = now_s
        elif now_s - self._read_s >= IDLE_S:
            for watch in self._watches.values():
                await self._publish(tick(watch, self._kernel.clock.now_ms(), self._rules))
        if now_s - self._named_s >= NAMES_S:
            self._named_s = now_s
            await self._look_up_names()
            await self.hear()
        if now_s - self._noted_s >= BUDGET_S or self._noted_s < 0:
            self._noted_s = now_s
            await self._note()
        if now_s - self._saved_s >= self._pause_s:
            await self._save(place)

    async def _look_up_names(self) -> None:
        """Ask the catalog for series whose naming this detector did not see."""
        for watch in self._watches.values():
            if not watch.unnamed:
                continue
            wanted = sorted(watch.unnamed)
            try:
                found = await store.find_names(self._kernel.telemetry, watch.tenant, wanted)
            except (Unavailable, Invalid) as error:  # the store is starting, or its tables are not made yet
                log.debug("names_not_found", tenant=watch.tenant, reason=error.detail)
                continue
            learn_names(watch, found, self._rules)
            watch.unnamed.difference_update(wanted[: store.NAMES_MAX])

    async def hear(self) -> None:
        """Take up what people said of findings, and what was changed or is planned."""
        bus, now_ms = self._kernel.bus, self._kernel.clock.now_ms()
        for tenant, watch in self._watches.items():
            if told := take_opinions(watch, await store.load_opinions(bus, tenant)):
                log.info("opinions_taken", tenant=tenant, opinion_count=told)
        tables, self._event_sequence = await read_events(bus, self._event_sequence)
        for tenant, table in tables:
            if watch_of := self._watches.get(tenant):
                take_changes(watch_of, changes_of(table, now_ms))

    async def _note(self) -> None:
        """Keep the budgets for whoever asks, and bring the counters up to date."""
        watching = learning = 0
        for tenant, watch in self._watches.items():
            await store.save_standing(self._kernel.bus, tenant, "metrics", standing_of(watch.budget))
            watching, learning = watching + watch.budget.watching_count, learning + watch.budget.learning_count
            self._count(tenant, watch.tally)
        metrics.SERIES.labels("watching").set(watching)
        metrics.SERIES.labels("learning").set(learning)

    def _count(self, tenant: TenantId, tally: Tally) -> None:
        before = self._counted.get(tenant, Tally())
        for outcome in ("judged", "late", "refused", "reset", "unnamed"):
            metrics.SAMPLES.labels(outcome).inc(getattr(tally, outcome) - getattr(before, outcome))
        metrics.SUPPRESSED.inc(tally.suppressed - before.suppressed)
        self._counted[tenant] = Tally(
            tally.judged, tally.late, tally.refused, tally.reset, tally.unnamed, tally.suppressed
        )

    async def _save(self, place: Place) -> None:
        """Store a snapshot, then move the place: whoever owns neither any more stops here.

        Raises:
            Conflict: Another detector has taken over.
        """
        begun_s = self._kernel.clock.monotonic_s()
        tenants = list(self._watches)
        frozen = [freeze(self._watches[tenant], self._sequence) for tenant in tenants]
        bodies = await asyncio.to_thread(store.encode_all, frozen)
        try:
            self._revision = await store.save_snapshot(
                self._kernel.bus, bodies, tenants, self._sequence, self._revision
            )
        except Conflict:
            await place.commit(place.after)  # raises, when the other one owns the place; else it was on its way out
            found = await store.load_manifest(self._kernel.bus)
            self._revision = found[1] if found else 0
            self._revision = await store.save_snapshot(
                self._kernel.bus, bodies, tenants, self._sequence, self._revision
            )
        await place.commit(self._sequence)
        self._saved_s = self._kernel.clock.monotonic_s()
        taken_s = self._saved_s - begun_s
        metrics.SNAPSHOT_SECONDS.observe(taken_s)
        self._pause_s = max(self._kernel.settings.support.snapshot_s, taken_s / SNAPSHOT_SHARE)


class Foreseer:
    """Stores the forecasts that the settings ask for, as series of their own.

    Each is published under a key of its moment, so that two of us at once store it once.
    """

    name = "foreseer"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        rules = kernel.settings.support
        check_calendar(rules.time_zone, rules.holidays)
        self._selectors = {text: parse_selector(text) for text in rules.forecasts}

    async def run(self, stop: asyncio.Event) -> None:
        """Look ahead every five minutes until `stop`."""
        while self._selectors and not stop.is_set():
            await self.look(DEFAULT_TENANT)
            await pause(self._kernel.clock, stop, FORESEE_S)

    async def look(self, tenant: TenantId) -> None:
        """Foresee every selector once and publish what is expected."""
        now_ms = self._kernel.clock.now_ms() // round(FORESEE_S * 1000) * round(FORESEE_S * 1000)
        horizons_s = self._kernel.settings.support.forecast_horizons_s
        for text, selector in self._selectors.items():
            try:
                found = await foresee_total(self._kernel, tenant, selector, horizon_of(max(horizons_s)), "sum")
            except (Unavailable, Invalid) as error:
                log.warning("forecast_failed", selector=text, reason=error.detail)
                continue
            if found.outlook is None:
                continue
            body = encode_samples(as_samples(text, found, horizons_s, now_ms))
            key = f"forecast:{tenant}:{now_ms}:{text}"
            await publish_until(
                self._kernel.bus, self._kernel.clock, f"telemetry.{tenant}.metrics", body, dedup_key=key
            )


async def foresee_total(
    kernel: Kernel, tenant: TenantId, selector: Selector, horizon: Horizon, aggregate: str
) -> Foreseen:
    """The forecast of the selected series taken together, from whole steps of the rollups only."""
    end_ms = kernel.clock.now_ms() // horizon.step_ms * horizon.step_ms
    window, rules = Window(end_ms - horizon.history_ms, end_ms), kernel.settings.support
    at_ms, value = await store.find_total(
        kernel.telemetry, tenant, selector, window, step_ms=horizon.step_ms, aggregate=aggregate
    )
    return await asyncio.to_thread(look_ahead, at_ms, value, horizon, zone=rules.time_zone, country=rules.holidays)


async def publish_findings(kernel: Kernel, findings: Sequence[Finding]) -> None:
    """Put findings onto the bus, each once however often it is published."""
    for finding in findings:
        subject, body = f"findings.{finding.tenant}", msgspec.json.encode(finding)
        await publish_until(kernel.bus, kernel.clock, subject, body, dedup_key=finding.id)
        metrics.FINDINGS.labels("cleared" if finding.cleared else finding.kind).inc()
        log.info(
            "finding_published", tenant=finding.tenant, finding_id=finding.id, kind=finding.kind,
            entity=finding.entity.text, title=finding.title, cleared=finding.cleared,
        )  # fmt: skip


def rules_of(settings: SupportSettings) -> Rules:
    """The rules that the settings state."""
    return Rules(
        settings.noise_budget, settings.warmup_samples, settings.series_max, together=True, parts=METRICS,
        time_zone=settings.time_zone, holidays=settings.holidays, forgets=settings.forgets,
    )  # fmt: skip


def warm_up() -> None:
    """Have the machine code ready before the first message: a few seconds at the very first start, then 0.2 s."""
    rules = Rules(5.0, 8, 1, together=True)
    watch = new_watch(DEFAULT_TENANT, rules)
    learn_names(watch, [SeriesName(1, 1, "up_to_speed", (), SeriesType.GAUGE, "", "host", "here")], rules)
    one, hour_ms = np.ones(1, np.uint64), 3_600_000
    for k in range(1, 4):
        batch = SampleBatch(one, one, np.array([k * hour_ms], np.int64), np.array([float(k)]), no_series())
        observe(watch, batch, rules, k * hour_ms)
