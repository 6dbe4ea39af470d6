"""The simulated estate as a ground: it can be broken, mended, measured, and watched."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import pyarrow as pa

from cerebro.kernel.bus.port import Bus
from cerebro.kernel.clock import Clock
from cerebro.proving.estate.columns import MULTIPLIED, REST, HostState, Knob, State
from cerebro.proving.estate.effects import EFFECTS, ENTRY, HOST, KEEPER, WIDE, Effect, effect_of
from cerebro.proving.estate.events import Change, events_table
from cerebro.proving.estate.logs import LogWriter
from cerebro.proving.estate.motion import Floats, Measured, Motion
from cerebro.proving.estate.operations import Operations
from cerebro.proving.estate.series import SeriesBook
from cerebro.proving.estate.spans import SpanWriter
from cerebro.proving.estate.topology import CACHE, DATABASE, SERVICE, SYNC, make_topology
from cerebro.proving.estate.users import Users
from cerebro.proving.faults import ALL, fault_of
from cerebro.proving.model import CYCLE, Declared, Fault, Health, Injection, Operation
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid
from cerebro.spine.identity import DEFAULT_TENANT, TenantId, new_id
from cerebro.spine.telemetry import SampleBatch
from cerebro.spine.wire import Kind, encode_samples, encode_table

CHUNK_TICKS = 240


@dataclass(frozen=True)
class Emission:
    """What an estate sent over a stretch of time: rows as they cross the bus."""

    samples: SampleBatch
    logs: pa.Table
    spans: pa.Table
    events: pa.Table


@dataclass
class _Active:
    """A fault at work: where, how strongly, and since when."""

    injection: Injection
    effect: Effect
    place: int  # a node, or a host where the effect is on one
    values: tuple[float, ...]
    emptied: int = -1  # the last turn of its cycle that emptied the cache


class Estate:
    """Services, stores, queues and machines on a clock, all from one seed.

    Args:
        services: How many, 5 to 500; stores, queues and hosts come on top.
        seed: The same seed and the same doings give the same bytes.
        clock: Its time now is the estate's start; `advance` follows it.
        interval_s: Between two samples of a series; also the step of the simulation.
        traces_per_s: How many requests a second are sampled as traces.
    """

    def __init__(
        self, services: int, seed: int, clock: Clock, *, interval_s: float = 15.0, traces_per_s: float = 0.2
    ) -> None:
        if not 1.0 <= interval_s <= 60.0:
            raise Invalid(f"An interval of {interval_s:g} s is none.", "Write one of 1 to 60 seconds.")
        self.clock, self.seed = clock, seed
        self.topology = make_topology(services, seed)
        self.motion = Motion(self.topology, seed, clock.now_ms(), interval_s)
        self.book = SeriesBook(self.topology, self.motion.replicas, interval_s, seed)
        self.users = Users(self.topology)
        self._spans = SpanWriter(self.topology, seed, traces_per_s * interval_s)
        self._logs = LogWriter(self.topology, seed)
        self._chance = Random(seed)  # noqa: S311  ids that can be replayed
        self._changes: list[Change] = []
        self._active: dict[str, _Active] = {}
        self._declared: dict[str, Declared] = {}
        self._operations = Operations(self.motion)
        self._weights = _weights(self)

    # As a ground.

    def faults(self) -> Sequence[Fault]:
        """The kinds it can inject, controls among them."""
        own = [declared.fault for declared in self._declared.values()]
        return [*(fault for kind, fault in ALL.items() if kind in EFFECTS), *own]

    def draw_anew(self, seed: int) -> None:
        """From here on another chance: of those who share a past, each has a future of its own."""
        self.motion.draw_anew(seed)
        self._spans.draw_anew(seed)
        self._logs.draw_anew(seed)

    def declare(self, declared: Declared) -> None:
        """Know a fault of someone's own from now on.

        Raises:
            Invalid: It names what there is not.
        """
        effect_of(declared)
        self._declared[declared.fault.kind] = declared

    async def inject(self, kind: str, *, seed: int, target: EntityKey | None = None) -> Injection:
        """Begin a fault at the clock's time; without a target, one is drawn from the seed.

        Raises:
            Invalid: The estate does not know the kind, or the target cannot have it.
        """
        return self.begin(kind, seed=seed, target=target)

    def begin(self, kind: str, *, seed: int, target: EntityKey | None = None, at_ms: int = 0) -> Injection:
        """As `inject`, at a time of the estate's own; it works from the next tick on."""
        own = self._declared.get(kind)
        fault = own.fault if own else fault_of(kind)
        if not own and kind not in EFFECTS:
            raise Invalid(f"The estate has no {kind!r}.", f"It has: {', '.join(EFFECTS)}.")
        effect, chance = effect_of(own) if own else EFFECTS[kind], np.random.default_rng([self.seed, seed, 6])
        places = self._candidates(effect)
        if not places:
            raise Invalid(f"Nothing in this estate can have {kind!r}.", "Take an estate of more services.")
        if target is None:
            weights = self._weights[places] if HOST not in effect.on else np.ones(len(places))
            place = int(chance.choice(places, p=weights / weights.sum()))
        else:
            place = self._place(target, effect)
            if place not in places:
                raise Invalid(f"{target.text} cannot have {kind!r}.", "Leave the target out to have one drawn.")
        values = tuple(float(chance.uniform(low, high)) for _, low, high in effect.turns)
        now_ms = at_ms or max(self.clock.now_ms(), self.motion.now_ms)
        key = self._key(place, effect)
        told = {knob.name.lower(): f"{value:.6g}" for (knob, _, _), value in zip(effect.turns, values, strict=True)}
        if effect.cycle_s[0]:
            told[CYCLE] = f"{effect.cycle_s[0]:.6g}"
        injection = Injection(new_id(now_ms, self._chance), fault, key, now_ms, 0, seed, told)
        self._active[injection.id] = _Active(injection, effect, place, values)
        if effect.change:
            self._tell(now_ms, effect.change, key, f"{effect.change} of {key.name}")
        for name in effect.planned:
            self._operate(Operation(name, key), now_ms, planned=True)
        if own:
            later = [(each, now_ms + round(after_s * 1000)) for each, after_s in own.then]
            begun = tuple(self.begin(each, seed=seed + n, at_ms=at_ms) for n, (each, at_ms) in enumerate(later, 1))
            injection = self._active[injection.id].injection = replace(injection, followers=begun)
        return injection

    async def end(self, injection: Injection) -> Injection:
        """End the fault, whatever has been done meanwhile; safe to call twice."""
        return self.finish(injection)

    def finish(self, injection: Injection) -> Injection:
        """As `end`."""
        active = self._active.pop(injection.id, None)
        for follower in injection.followers if active else ():
            self.finish(follower)
        now_ms = max(self.clock.now_ms(), self.motion.now_ms)
        if active is None:
            return injection if injection.end_ms else replace(injection, end_ms=now_ms)
        self._heal(active)
        return replace(active.injection, end_ms=active.injection.end_ms or now_ms)

    async def operate(self, operation: Operation) -> None:
        """Do something to it, with its true effect.

        Raises:
            Invalid: There is no such operation or target.
        """
        self._operate(operation, max(self.clock.now_ms(), self.motion.now_ms))

    async def health(self, start_ms: int, end_ms: int) -> Health:
        """What its users felt; a job that waited longer than a minute counts as failed."""
        return self.users.health(start_ms, end_ms)

    # As a source.

    def step(self, tick_count: int) -> Emission:
        """Play that many intervals, whatever the clock says, and give what was sent."""
        return self.emit(self.measure(tick_count))

    def advance(self) -> Emission | None:
        """Catch up with the clock; None when not a whole interval has passed."""
        ticks = (self.clock.now_ms() - self.motion.now_ms) // round(self.motion.interval_s * 1000)
        return self.step(ticks) if ticks > 0 else None

    async def run(self, bus: Bus, stop: asyncio.Event, tenant: TenantId = DEFAULT_TENANT) -> None:
        """Publish what is sent, interval by interval of the clock, until `stop`."""
        while not stop.is_set():
            await self.clock.sleep(self.motion.interval_s)
            if (emission := self.advance()) is not None:
                await publish(bus, emission, tenant, f"estate-{self.seed}-{self.motion.now_ms}")

    def measure(self, tick_count: int) -> list[Measured]:
        """Play that many ticks without making records of them; faults come and go on their ticks."""
        parts, left = [], tick_count
        while left > 0:
            count = min(left, CHUNK_TICKS, self._turn())
            measured = self.motion.run(count)
            self.users.note(measured)
            parts.append(measured)
            left -= count
        return parts

    def emit(self, parts: Sequence[Measured]) -> Emission:
        """The records of what was measured."""
        skew_s = self.motion.knobs[:, Knob.SKEW_S]
        batches = [self.book.samples(part) for part in parts]
        spans = [self._spans.spans(part, skew_s) for part in parts]
        logs = [self._logs.logs(part, skew_s) for part in parts]
        end_ms = self.motion.now_ms
        due = [change for change in self._changes if change.at_ms <= end_ms]
        self._changes = [change for change in self._changes if change.at_ms > end_ms]
        return Emission(
            joined(batches),
            pa.concat_tables(logs),
            pa.concat_tables(spans),
            events_table(due),
        )

    # Inside.

    def _turn(self) -> int:
        """Set every knob for now; how many ticks it may stay so."""
        motion, interval_ms = self.motion, round(self.motion.interval_s * 1000)
        knobs = np.tile(REST, (len(self.topology.names), 1))
        self._operations.turn(knobs)
        motion.machine[:, HostState.FOREIGN] = 0.0
        ticks = CHUNK_TICKS
        for active in list(self._active.values()):
            age_ms = motion.now_ms - active.injection.start_ms
            if active.injection.end_ms:
                continue
            if active.effect.lasts_s and age_ms >= active.effect.lasts_s * 1000:
                active.injection = replace(active.injection, end_ms=motion.now_ms)
                self._heal(active)
                continue
            if age_ms < 0:
                ticks = min(ticks, max(1, -(age_ms // interval_ms)))
                continue
            if active.effect.lasts_s:
                ticks = min(ticks, max(1, int(active.effect.lasts_s * 1000 - age_ms) // interval_ms))
            whole_s, bad_s = active.effect.cycle_s
            if whole_s:
                ticks = 1
                if age_ms / 1000 % whole_s >= bad_s:
                    continue
                self._empty(active, int(age_ms / 1000 // whole_s))
            self._apply(active, knobs)
        motion.knobs[:] = knobs
        return ticks

    def _apply(self, active: _Active, knobs: Floats) -> None:
        for (knob, _, _), value in zip(active.effect.turns, active.values, strict=True):
            if HOST in active.effect.on:
                machine = self.motion.machine[active.place]
                machine[HostState.FOREIGN] += value * machine[HostState.CORES]
            elif knob in MULTIPLIED:
                knobs[active.place, knob] *= value
            else:
                knobs[active.place, knob] += value

    def _empty(self, active: _Active, turn: int) -> None:
        if active.effect.empties_cache and turn != active.emptied:
            active.emptied = turn
            self.motion.state[active.place, State.WARM] = 0.0

    def _heal(self, active: _Active) -> None:
        """What the fault filled up is emptied; backlogs and cold caches mend at their own pace."""
        if HOST in active.effect.on:
            return
        state = self.motion.state[active.place]
        turned = {knob for knob, _, _ in active.effect.turns}
        if Knob.MEMORY_RATE in turned:
            state[State.MEMORY] = self.topology.memory_share[active.place]
        if Knob.FILE_RATE in turned:
            state[State.FILES] = 0.0
        if Knob.POOL_RATE in turned:
            state[State.POOL] = 0.0
        if Knob.RETRIES in turned:
            self.motion.give_up(active.place)
        if Knob.DISK_RATE in turned:
            state[State.DISK] = 0.45

    def _operate(self, operation: Operation, now_ms: int, *, planned: bool = False) -> None:
        place = -1 if operation.target.kind == "host" else self.topology.place(operation.target)
        if place < 0 and operation.target.name not in self.topology.hosts:
            raise Invalid(f"The estate has no {operation.target.text!r}.", f"It has host/{self.topology.hosts[0]} …")
        self._operations.do(operation, place)
        for active in self._active.values():
            hit = active.injection.target == operation.target
            if hit and not planned and operation.name in active.effect.mends and not active.injection.end_ms:
                active.injection = replace(active.injection, end_ms=now_ms)
                self._heal(active)
        title = f"{operation.name} of {operation.target.name}"
        self._tell(now_ms, operation.name, operation.target, title, dict(operation.parameters))

    def _tell(self, at_ms: int, kind: str, target: EntityKey, title: str, body: dict[str, str] | None = None) -> None:
        self._changes.append(Change(new_id(at_ms, self._chance), at_ms, kind, target, title, body or {}))

    def _candidates(self, effect: Effect) -> list[int]:
        t = self.topology
        if HOST in effect.on:
            return list(range(len(t.hosts)))
        if ENTRY in effect.on:
            return [i for i in range(len(t.names)) if t.entry_share[i] > 0.0]
        if WIDE in effect.on:
            return [i for i in range(len(t.names)) if t.kind[i] == SERVICE and t.replicas[i] >= 2]
        if KEEPER in effect.on:
            asks = (t.kind[t.target] == DATABASE) & (t.kind[t.source] == SERVICE) & (t.mode == SYNC)
            return sorted({int(i) for i in t.source[asks]})
        return [i for i in range(len(t.names)) if t.kind[i] in effect.on]

    def _place(self, target: EntityKey, effect: Effect) -> int:
        if HOST not in effect.on:
            return self.topology.place(target)
        if target.kind != "host" or target.name not in self.topology.hosts:
            raise Invalid(
                f"There is no {target.text!r} here.", f"There are host/{', host/'.join(self.topology.hosts)}."
            )
        return self.topology.hosts.index(target.name)

    def _key(self, place: int, effect: Effect) -> EntityKey:
        return EntityKey("host", self.topology.hosts[place]) if HOST in effect.on else self.topology.entity(place)


def _weights(estate: Estate) -> Floats:
    """How much users depend on each node, float64, (node,): faults fall rather where they are felt."""
    t = estate.topology
    felt = t.entry_share.copy()
    for e in range(len(t.source)):
        share = min(1.0, t.calls[e]) * (0.2 + 0.8 * t.vital[e])
        if t.kind[t.target[e]] == CACHE:
            share = 1.0  # what it no longer holds falls on a store
        elif t.behind_cache[e] >= 0:
            share *= 1.0 - t.hit_ratio[t.behind_cache[e]]
        felt[t.target[e]] = 1.0 - (1.0 - felt[t.target[e]]) * (1.0 - felt[t.source[e]] * share)
    weights: Floats = 0.002 + felt**2
    return weights


def joined(batches: Sequence[SampleBatch]) -> SampleBatch:
    """Several batches as one; the first names the series."""
    return SampleBatch(
        hi=np.concatenate([batch.hi for batch in batches]),
        lo=np.concatenate([batch.lo for batch in batches]),
        at_ms=np.concatenate([batch.at_ms for batch in batches]),
        value=np.concatenate([batch.value for batch in batches]),
        series=batches[0].series,
    )


async def publish(bus: Bus, emission: Emission, tenant: TenantId, dedup_key: str) -> None:
    """Put what was sent onto the bus, as the doors do."""
    head = f"telemetry.{tenant}"
    await bus.publish(f"{head}.metrics", encode_samples(emission.samples), dedup_key=f"{dedup_key}-metrics")
    for name, kind, table in (
        ("logs", Kind.LOGS, emission.logs),
        ("traces", Kind.SPANS, emission.spans),
        ("events", Kind.EVENTS, emission.events),
    ):
        if table.num_rows:
            await bus.publish(f"{head}.{name}", encode_table(kind, table), dedup_key=f"{dedup_key}-{name}")
