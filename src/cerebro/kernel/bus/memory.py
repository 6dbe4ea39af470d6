"""The bus in memory, for the seeded simulation: the same promises, one process, one clock, no chance."""

import asyncio
import bisect
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

from cerebro.kernel.bus.port import Message, Stored, StreamSpec, StreamState
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import Conflict, LimitReached, NotFound, TooLarge, Unavailable

BODY_BYTES_MAX = (8 << 20) - 4096  # the embedded server's
MESSAGE_BYTES = 32  # counted for each message beside its body and subject
LISTEN_MAX = 1000
TICK_S = 1e-6  # less than this is no time: a clock that stands still would never end it


@dataclass(slots=True)
class _Kept:
    message: Message
    at_s: float


@dataclass(slots=True)
class _Stream:
    spec: StreamSpec
    kept: list[_Kept] = field(default_factory=list)
    last: int = 0
    byte_count: int = 0
    known: dict[str, tuple[int, float]] = field(default_factory=dict)  # dedup key: its sequence and time


@dataclass(slots=True, eq=False)
class _Listener:
    pattern: re.Pattern[str]
    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=LISTEN_MAX))
    news: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryBus:
    """A bus that lives as long as the object.

    Args:
        clock: Of ages and waits; with a `VirtualClock` a wait ends when the clock is moved or something comes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._buckets: dict[str, dict[str, Stored]] = {}
        self._revisions: dict[str, int] = {}
        self._objects: dict[tuple[str, str], bytes] = {}
        self._listeners: list[_Listener] = []
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came
        self._closed = False

    body_bytes_max = BODY_BYTES_MAX

    async def declare(self, stream: StreamSpec) -> None:
        """Make the stream, or bring its limits to these."""
        if known := self._streams.get(stream.name):
            known.spec = stream
        else:
            self._streams[stream.name] = _Stream(stream)

    async def publish(self, subject: str, body: bytes, *, dedup_key: str) -> int:
        """Store the message, then return its sequence."""
        self._need_open()
        if len(body) > BODY_BYTES_MAX:
            raise TooLarge(f"A message of {len(body)} bytes is over the bus's {BODY_BYTES_MAX}.", "Send less at once.")
        stream = self._stream_of(subject)
        self._expire(stream)
        if first := stream.known.get(dedup_key):
            return first[0]
        size = _size(subject, body)
        if stream.byte_count + size > stream.spec.bytes_max:
            raise LimitReached(f"The stream {stream.spec.name} is full.", "Slow down and send again.")
        stream.last += 1
        stream.byte_count += size
        stream.kept.append(_Kept(Message(subject, bytes(body), stream.last), self._clock.monotonic_s()))
        stream.known[dedup_key] = (stream.last, self._clock.monotonic_s())
        self._wake()
        return stream.last

    async def read(
        self, stream: str, *, after: int, count_max: int, bytes_max: int, wait_s: float, subject: str = ""
    ) -> Sequence[Message]:
        """The next messages after `after`, at least one unless `wait_s` passes."""
        self._need_open()
        pattern = _pattern(subject or ">")
        until_s = self._clock.monotonic_s() + wait_s
        while True:
            found = self._after(self._stream(stream), after, count_max, bytes_max, pattern)
            left_s = until_s - self._clock.monotonic_s()
            if found or left_s <= 0:
                return found
            if left_s < TICK_S:  # time must go on, or who asks until an hour that is not quite here asks for ever
                await self._clock.sleep(TICK_S)
                return found
            await self._news(left_s)
            self._need_open()

    async def trim(self, stream: str, *, upto: int) -> None:
        """Drop every message with a sequence of at most `upto`."""
        self._drop(self._stream(stream), upto)

    async def state(self, stream: str) -> StreamState:
        """How full the stream is now."""
        known = self._stream(stream)
        self._expire(known)
        first = known.kept[0].message.sequence if known.kept else known.last + 1
        return StreamState(first, known.last, known.byte_count, known.spec.bytes_max)

    async def get(self, bucket: str, key: str) -> Stored | None:
        """The value of the key."""
        self._need_open()
        return self._buckets.get(bucket, {}).get(key)

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Store the value and return its revision; revisions count up over the whole bucket."""
        self._need_open()
        known = self._buckets.setdefault(bucket, {})
        found = known.get(key)
        if revision is not None and revision != (found.revision if found else 0):
            raise Conflict(f"Someone else has written to {bucket}/{key}.")
        self._revisions[bucket] = self._revisions.get(bucket, 0) + 1
        known[key] = Stored(bytes(value), self._revisions[bucket])
        return self._revisions[bucket]

    async def keys(self, bucket: str) -> Sequence[str]:
        """Every key of the bucket, sorted."""
        return sorted(self._buckets.get(bucket, {}))

    async def put_object(self, bucket: str, name: str, body: bytes) -> None:
        """Store a body of any size."""
        self._need_open()
        self._objects[bucket, name] = bytes(body)

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        """The last body stored under the name."""
        self._need_open()
        return self._objects.get((bucket, name))

    async def broadcast(self, subject: str, body: bytes) -> None:
        """Tell whoever listens now."""
        self._need_open()
        for listener in self._listeners:
            if listener.pattern.fullmatch(subject):
                listener.waiting.append(Message(subject, bytes(body), 0))
                listener.news.set()

    def listen(self, subject: str) -> AsyncIterator[Message]:
        """Broadcasts from now on."""
        listener = _Listener(_pattern(subject))
        self._listeners.append(listener)
        return self._heard(listener)

    async def close(self) -> None:
        """Whoever waits is told; calls from now on fail."""
        self._closed = True
        self._wake()

    async def _heard(self, listener: _Listener) -> AsyncGenerator[Message, None]:
        try:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                listener.news.clear()
                await listener.news.wait()
        finally:
            self._listeners.remove(listener)

    def _after(
        self, stream: _Stream, after: int, count_max: int, bytes_max: int, pattern: re.Pattern[str]
    ) -> list[Message]:
        self._expire(stream)
        found: list[Message] = []
        total = 0
        start = bisect.bisect_right(stream.kept, after, key=lambda kept: kept.message.sequence)
        for kept in stream.kept[start:]:
            if not pattern.fullmatch(kept.message.subject):
                continue
            total += len(kept.message.body)
            if len(found) == count_max or (found and total > bytes_max):
                break
            found.append(kept.message)
        return found

    def _expire(self, stream: _Stream) -> None:
        now_s = self._clock.monotonic_s()
        old = [kept.message.sequence for kept in stream.kept if kept.at_s <= now_s - stream.spec.age_s_max]
        if old:
            self._drop(stream, old[-1])
        stream.known = {k: seen for k, seen in stream.known.items() if seen[1] > now_s - stream.spec.dedup_s}

    def _drop(self, stream: _Stream, upto: int) -> None:
        stays = bisect.bisect_right(stream.kept, upto, key=lambda kept: kept.message.sequence)
        stream.byte_count -= sum(_size(kept.message.subject, kept.message.body) for kept in stream.kept[:stays])
        del stream.kept[:stays]

    async def _news(self, wait_s: float) -> None:
        """Return when something was published, or when the time is up."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = asyncio.ensure_future(self._clock.sleep(wait_s))
        self._waiting[news] = None
        try:
            await asyncio.wait({news, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[news]
            alarm.cancel()
            news.cancel()

    def _wake(self) -> None:
        for news in list(self._waiting):
            if not news.done():
                news.set_result(None)

    def _stream(self, name: str) -> _Stream:
        self._need_open()
        if name not in self._streams:
            raise NotFound(f"There is no stream {name}.")
        return self._streams[name]

    def _stream_of(self, subject: str) -> _Stream:
        for stream in self._streams.values():
            if any(_pattern(each).fullmatch(subject) for each in stream.spec.subjects):
                return stream
        raise Unavailable(f"No stream takes {subject}.")

    def _need_open(self) -> None:
        if self._closed:
            raise Unavailable("This connection to the bus has been closed.")


def _pattern(subject: str) -> re.Pattern[str]:
    """`*` is one word, a last `>` one or more."""
    words = [r"[^.]+" if word == "*" else ".+" if word == ">" else re.escape(word) for word in subject.split(".")]
    return re.compile(r"\.".join(words))


def _size(subject: str, body: bytes) -> int:
    return len(body) + len(subject) + MESSAGE_BYTES
