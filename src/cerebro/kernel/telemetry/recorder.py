"""The recorder: from the bus into the store, each message exactly once, whoever dies in between.

A range of the stream is read, its intent written, its rows inserted under a token that names the
range, and only then the place is moved. A successor does an open intent again under the same token,
and the store recognises what it has. While one range is inserted, the next is read and decoded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cerebro.kernel.bus.port import Bus, Message
from cerebro.kernel.bus.position import Place, key_of, load, trim_to_slowest
from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import span
from cerebro.kernel.telemetry import metrics
from cerebro.kernel.telemetry.blocks import SIGNALS, Block, Piece, Signal
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.spine.errors import CerebroError, Conflict, Invalid

log = get_log(__name__)

READER = "recorder"
BUCKET = "recorder"  # of the shared state: the stream's lineage
SET_ASIDE = "set_aside"  # of the objects: messages that could not be stored
RANGE_ROWS_MAX = 500_000
RANGE_BYTES_MAX = 32 << 20
READ_COUNT_MAX = 256
LATENCY_S = 0.5  # for a range to fill once its first message is there
WAIT_S = 1.0
TRIM_S = 2.0
STAND_BY_S = 15.0
PAUSE_FIRST_S, PAUSE_MAX_S = 0.2, 5.0

T = TypeVar("T")


class Stopped(Exception):
    """The task was told to end while it waited for an engine."""


@dataclass(frozen=True, slots=True)
class Range:
    """Messages from `first` to `last`, decoded; what could not be is set aside."""

    first: int
    last: int
    pieces: Sequence[tuple[Message, Piece]]
    spoiled: Sequence[Message] = ()


@dataclass(slots=True)
class _Filling:
    """A range while it fills."""

    messages: list[Message] = field(default_factory=list)
    byte_count: int = 0

    def add(self, messages: Sequence[Message]) -> None:
        self.messages += messages
        self.byte_count += sum(len(message.body) for message in messages)


class Recorder:
    """The task that writes one stream into its tables.

    Args:
        signal: The stream, and how its messages become rows.
        owner: Who reads, for people; the place itself tells two readers apart.
        range_rows_max: Rows of one insert, about: the last message may go over it.
    """

    window_s = LATENCY_S
    bytes_max = RANGE_BYTES_MAX

    def __init__(
        self,
        signal: Signal,
        bus: Bus,
        telemetry: Telemetry,
        clock: Clock,
        owner: str,
        *,
        range_rows_max: int = RANGE_ROWS_MAX,
    ) -> None:
        self.name = f"recorder-{signal.stream}"
        self._signal, self._bus, self._telemetry, self._clock = signal, bus, telemetry, clock
        self._owner, self._rows_max = owner, range_rows_max
        self._stop = asyncio.Event()
        self._lineage = ""
        self._trimmed_s = 0.0
        self._row_bytes = 32.0  # of a row on the bus, as measured on the last range

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop` is set; then finish the insert under way. Whoever claims the place last writes."""
        self._stop = stop
        try:
            self._lineage = await self._insist(self._read_lineage)
            while not stop.is_set():
                try:
                    await self._record(await self._insist(self._claim))
                except Conflict as error:
                    log.warning("place_lost", stream=self._signal.stream, detail=error.detail)
                    await self._stand_by()
        except Stopped:
            log.debug("recorder_stopped_waiting", stream=self._signal.stream)

    async def _claim(self) -> Place:
        return await Place.claim(self._bus, self._signal.stream, READER, self._owner)

    async def _stand_by(self) -> None:
        """Wait until the recorder that took the place has stood still for `STAND_BY_S` with work before it."""
        seen, still_s = 0, 0.0
        while still_s < STAND_BY_S:
            await self._clock.sleep(WAIT_S)
            if self._stop.is_set():
                raise Stopped
            found = await self._insist(lambda: load(self._bus, key_of(self._signal.stream, READER)))
            state = await self._insist(lambda: self._bus.state(self._signal.stream))
            idle = found is not None and found[0].after >= state.last_sequence
            moved = found is not None and found[1] != seen
            seen, still_s = (found[1] if found else 0), (0.0 if idle or moved else still_s + WAIT_S)

    async def _record(self, place: Place) -> None:
        await self._repeat(place)
        coming = asyncio.create_task(self._gather(place.after))
        try:
            while (found := await coming) is not None:
                coming = asyncio.create_task(self._gather(found.last))
                await self._store(place, await self._chosen(place, found, coming))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def _repeat(self, place: Place) -> None:
        """Do the open intent again, if there is one: exactly its messages, under its token."""
        if place.intent is None:
            return
        first, last = place.intent
        metrics.RANGES_REPEATED.labels(self._signal.stream).inc()
        log.info("range_repeated", stream=self._signal.stream, first=first, last=last)
        filling, after = _Filling(), first - 1
        while after < last and (messages := await self._read(after, last - after, 0.0)):
            filling.add([message for message in messages if message.sequence <= last])
            after = messages[-1].sequence
        found = await asyncio.to_thread(self._decode, filling.messages, first, last)
        await self._store(place, await self._chosen_again(found))

    async def _chosen(self, place: Place, found: Range, coming: "asyncio.Task[Range | None]") -> Range:
        """What is stored of a range that is about to begin: here, all of it."""
        return found

    async def _chosen_again(self, found: Range) -> Range:
        """What is stored of a range that was begun before: exactly the same."""
        return found

    async def _store(self, place: Place, found: Range) -> None:
        await self._insist(lambda: place.intend(found.first, found.last))
        for message in found.spoiled:
            await self._set_aside(message)
        with span("record", stream=self._signal.stream, first=found.first, last=found.last):
            await self._insert(found)
        await self._insist(lambda: place.commit(found.last))
        if self._clock.monotonic_s() - self._trimmed_s > TRIM_S:
            self._trimmed_s = self._clock.monotonic_s()
            await self._insist(lambda: trim_to_slowest(self._bus, self._signal.stream))

    async def _insert(self, found: Range) -> None:
        """Insert the range as one block; if the store will not have it, message by message, to find the bad one."""
        if not found.pieces:
            return
        token = f"{self._signal.stream}@{self._lineage}:{found.first}-{found.last}"
        try:
            await self._insert_blocks([piece for _, piece in found.pieces], token)
        except Invalid as error:
            log.warning("block_refused", stream=self._signal.stream, token=token, detail=error.detail)
            for message, piece in found.pieces:
                await self._insert_alone(message, piece, f"{token}/{message.sequence}")

    async def _insert_alone(self, message: Message, piece: Piece, token: str) -> None:
        try:
            await self._insert_blocks([piece], token)
        except Invalid as error:
            log.warning("message_refused", stream=self._signal.stream, sequence=message.sequence, detail=error.detail)
            await self._set_aside(message)

    async def _insert_blocks(self, pieces: Sequence[Piece], token: str) -> None:
        for block in await asyncio.to_thread(self._signal.blocks, pieces):
            if block.refused_count:
                metrics.ROWS_REFUSED.labels(block.table, "time").inc(block.refused_count)
            if block.rows.num_rows:
                await self._insert_block(block, token)

    async def _insert_block(self, block: Block, token: str) -> None:
        with metrics.INSERT_SECONDS.labels(block.table).time():
            await self._insist(lambda: self._telemetry.insert(block.table, block.rows, dedup_token=token))
        metrics.ROWS_WRITTEN.labels(block.table).inc(block.rows.num_rows)
        metrics.BLOCK_ROWS.labels(block.table).observe(block.rows.num_rows)
        if block.newest_ms:
            age_s = (self._clock.now_ms() - block.newest_ms) / 1000
            metrics.LAG_SECONDS.labels(self._signal.stream).set(max(0.0, age_s))

    async def _set_aside(self, message: Message) -> None:
        """Keep a message that cannot be stored where a person finds it; the stream goes on."""
        name = f"{self._signal.stream}-{self._lineage}-{message.sequence}"
        await self._insist(lambda: self._bus.put_object(SET_ASIDE, name, message.body))
        metrics.MESSAGES_SET_ASIDE.labels(self._signal.stream).inc()
        log.error("message_set_aside", stream=self._signal.stream, subject=message.subject, object_name=name)

    async def _gather(self, after: int) -> Range | None:
        """The next range: as much as comes within `LATENCY_S` of its first message. `None` when told to stop."""
        filling = _Filling()
        while not filling.messages:
            if self._stop.is_set():
                return None
            filling.add(await self._read(after, READ_COUNT_MAX, WAIT_S))
        until_s = self._clock.monotonic_s() + self.window_s
        bytes_max = min(self.bytes_max, round(self._rows_max * self._row_bytes))
        while filling.byte_count < bytes_max and (left_s := until_s - self._clock.monotonic_s()) > 0:
            filling.add(await self._read(filling.messages[-1].sequence, READ_COUNT_MAX, left_s))
        found = await asyncio.to_thread(
            self._decode, filling.messages, filling.messages[0].sequence, filling.messages[-1].sequence
        )
        if row_count := sum(piece.row_count for _, piece in found.pieces):
            self._row_bytes = filling.byte_count / row_count
        return found

    async def _read(self, after: int, count_max: int, wait_s: float) -> Sequence[Message]:
        return await self._insist(
            lambda: self._bus.read(
                self._signal.stream,
                after=after,
                count_max=min(count_max, READ_COUNT_MAX),
                bytes_max=RANGE_BYTES_MAX // 4,
                wait_s=wait_s,
            )
        )

    def _decode(self, messages: Sequence[Message], first: int, last: int) -> Range:
        pieces, spoiled = [], []
        for message in messages:
            try:
                pieces.append((message, self._signal.decode(message)))
            except Invalid as error:
                log.warning("message_unreadable", stream=self._signal.stream, detail=error.detail)
                spoiled.append(message)
        return Range(first, last, pieces, spoiled)

    async def _read_lineage(self) -> str:
        """What tells this stream from one of the same name on a bus that was lost and made anew.

        Sequences then start again at 1, and without it the store would take the new ranges for known ones.
        """
        if found := await self._bus.get(BUCKET, self._signal.stream):
            return found.value.decode()
        fresh = self._clock.new_id().replace("-", "")[-12:]
        try:
            await self._bus.put(BUCKET, self._signal.stream, fresh.encode(), revision=0)
        except Conflict:
            return await self._read_lineage()
        return fresh

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` answers, however long its engine is away or full; nothing is lost, the stream waits.

        Raises:
            Stopped: `stop` was set while waiting.
            CerebroError: One that trying again does not mend.
        """
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                return await call()
            except CerebroError as error:
                if not error.retry:
                    raise
                metrics.ATTEMPTS_FAILED.labels(self._signal.stream, error.code).inc()
                log.warning("attempt_failed", stream=self._signal.stream, code=error.code, detail=error.detail)
            if self._stop.is_set():
                raise Stopped
            await self._clock.sleep(pause_s * self._clock.chance.uniform(0.5, 1.0))
            pause_s = min(PAUSE_MAX_S, pause_s * 2)


def recorders(
    bus: Bus, telemetry: Telemetry, clock: Clock, owner: str, signals: Sequence[Signal] = SIGNALS
) -> Sequence[Recorder]:
    """A recorder for each stream of telemetry: the tasks of the role `recorder`."""
    return [Recorder(signal, bus, telemetry, clock, owner) for signal in signals]
