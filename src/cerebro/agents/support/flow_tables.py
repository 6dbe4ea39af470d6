"""What the tasks that read logs and traces share: tables from the bus through a verb, findings back, snapshots.

What is said in `flow` of snapshots and places holds here, too. A snapshot is two objects a tenant, the counts and the
rest, in one of two slots; the manifest says which is good.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

import msgspec
import pyarrow as pa

from cerebro.agents.support.flow import publish_findings, read_events, rules_of
from cerebro.agents.support.observe import Watch, take_changes, take_opinions
from cerebro.agents.support.plans import renewals_of
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.agents.support.standing import standing_of
from cerebro.agents.support.store import BUCKET, load_opinions, save_standing
from cerebro.kernel.bus.port import Message
from cerebro.kernel.bus.position import Place
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import Invalid
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind, decode_table

log = get_log(__name__)

READER = "detector"
MESSAGES_MAX, MESSAGE_BYTES_MAX = 64, 16 << 20
WAIT_S, TICK_S = 1.0, 10.0
ASIDE_COUNT = 2000  # rows; a larger batch is judged on another thread
SNAPSHOT_SHARE = 0.05


class Watched(Protocol):
    """What is known of one tenant: at least the series that its rows are counted in."""

    watch: Watch


State = TypeVar("State", bound=Watched)


class TableDetector(ABC, Generic[State]):
    """Reads every row once, and goes on after a restart as if there had been none."""

    name: str
    stream: str
    kind: Kind
    noun: str  # of its manifest, its standing and the rest of its snapshot
    counts: str  # of the counts in its snapshot

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rules = rules_of(kernel.settings.support)
        self._states: dict[TenantId, State] = {}
        self._sequence = self._slot = self._event_sequence = 0
        self._saved_s = self._ticked_s = 0.0
        self._pause_s = kernel.settings.support.snapshot_s

    @abstractmethod
    def begin(self, tenant: TenantId) -> State:
        """A tenant of which nothing is known."""

    @abstractmethod
    async def judge(self, tenant: TenantId, state: State, table: pa.Table) -> list[Finding]:
        """Take in a table and answer what was found. Changes `state`."""

    @abstractmethod
    async def look(self, tenant: TenantId, state: State) -> list[Finding]:
        """What is due by time alone. Changes `state`."""

    @abstractmethod
    def keep(self, state: State) -> object:
        """What a snapshot holds beside the counts, as plain values."""

    @abstractmethod
    def again(self, kept: bytes, watch: Watch) -> State:
        """The state of a snapshot."""

    @abstractmethod
    def note_unreadable(self) -> None:
        """Count a message that is no table."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then keep a last snapshot.

        Raises:
            Conflict: Another detector has taken over; this one must stop.
        """
        bus, clock = self._kernel.bus, self._kernel.clock
        place = await Place.claim(bus, self.stream, READER, owner=clock.new_id())
        await self.restore(place.after)
        self._saved_s = self._ticked_s = clock.monotonic_s()
        while not stop.is_set():
            messages = await bus.read(
                self.stream, after=self._sequence, count_max=MESSAGES_MAX, bytes_max=MESSAGE_BYTES_MAX, wait_s=WAIT_S
            )
            await self._hear_changes()
            for message in messages:
                await self.take(message)
            await self._keep_house(place)
        await self._save(place)

    async def restore(self, after: int) -> None:
        """Take up the last snapshot; without one begin after the place."""
        self._states, self._sequence = {}, after
        if (stored := await self._kernel.bus.get(BUCKET, self.noun)) is None:
            return
        manifest = msgspec.json.decode(stored.value, type=Manifest)
        self._sequence, self._slot = manifest.sequence, manifest.slot
        for tenant in manifest.tenants:
            try:
                self._states[tenant] = await self._load(tenant)
            except (Invalid, msgspec.DecodeError) as error:
                log.warning("tables_snapshot_unreadable", stream=self.stream, tenant=tenant, reason=str(error))

    async def take(self, message: Message) -> None:
        """Judge one message and publish what it gave."""
        tenant = TenantId(message.subject.split(".")[1])
        try:
            table = decode_table(self.kind, message.body)
        except Invalid as error:
            self.note_unreadable()
            log.warning("message_unreadable", tenant=tenant, sequence=message.sequence, reason=error.detail)
            self._sequence = message.sequence
            return
        state = self._states.get(tenant) or self._states.setdefault(tenant, self.begin(tenant))
        await publish_findings(self._kernel, await self.judge(tenant, state, table))
        self._sequence = message.sequence

    async def hear(self) -> None:
        """Take up what people said of findings, and what was replaced on purpose."""
        for tenant, state in self._states.items():
            take_opinions(state.watch, await load_opinions(self._kernel.bus, tenant))
        await self._hear_changes()

    async def _hear_changes(self) -> None:
        now_ms = self._kernel.clock.now_ms()
        tables, self._event_sequence = await read_events(self._kernel.bus, self._event_sequence)
        for tenant, table in tables:
            if state := self._states.get(tenant):
                take_changes(state.watch, renewals_of(table, now_ms))

    async def tick(self) -> None:
        """Judge the minutes that are over by our own clock, hear people, note the budget for whoever asks."""
        await self.hear()
        for tenant, state in self._states.items():
            await publish_findings(self._kernel, await self.look(tenant, state))
            await save_standing(self._kernel.bus, tenant, self.noun, standing_of(state.watch.budget))

    async def _keep_house(self, place: Place) -> None:
        now_s = self._kernel.clock.monotonic_s()
        if now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            await self.tick()
        if now_s - self._saved_s >= self._pause_s:
            await self._save(place)

    async def _load(self, tenant: TenantId) -> State:
        bus = self._kernel.bus
        counts = await bus.get_object(BUCKET, f"{tenant}.{self.counts}.{self._slot}")
        kept = await bus.get_object(BUCKET, f"{tenant}.{self.noun}.{self._slot}")
        if counts is None or kept is None:
            raise Invalid(f"The snapshot of {self.noun} is missing.", "It is left aside: all is learned anew.")
        return self.again(kept, decode(counts)[0])

    async def _save(self, place: Place) -> None:
        """Store a snapshot, then move the place.

        Raises:
            Conflict: Another detector has taken over.
        """
        bus, begun_s = self._kernel.bus, self._kernel.clock.monotonic_s()
        await place.commit(place.after)  # raises when another one owns the place: before anything of its is replaced
        slot = 1 - self._slot
        kept = [(tenant, freeze(one.watch, self._sequence), self.keep(one)) for tenant, one in self._states.items()]
        for tenant, counts, rest in kept:
            bodies = await asyncio.to_thread(lambda a, b: (encode(a), msgspec.json.encode(b)), counts, rest)
            await bus.put_object(BUCKET, f"{tenant}.{self.counts}.{slot}", bodies[0])
            await bus.put_object(BUCKET, f"{tenant}.{self.noun}.{slot}", bodies[1])
        stored = await bus.get(BUCKET, self.noun)
        body = msgspec.json.encode(Manifest(self._sequence, slot, tuple(self._states)))
        await bus.put(BUCKET, self.noun, body, revision=stored.revision if stored else 0)
        self._slot = slot
        await place.commit(self._sequence)
        self._saved_s = self._kernel.clock.monotonic_s()
        self._pause_s = max(self._kernel.settings.support.snapshot_s, (self._saved_s - begun_s) / SNAPSHOT_SHARE)


class Manifest(msgspec.Struct, frozen=True):
    """Which snapshot is good."""

    sequence: int
    slot: int
    tenants: tuple[TenantId, ...]
    version: int = 1
