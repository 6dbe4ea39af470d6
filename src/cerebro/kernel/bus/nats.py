"""The bus on NATS JetStream.

Reading is stateless: batched direct gets by sequence (server 2.11 and later, ADR-31), so that a
reader's place is only ever its own and nothing has to be rebuilt when a server restarts. A reader
that has caught up is woken by a plain subscription. Publishing keeps any number of messages in flight.
"""

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from cerebro.kernel.bus import metrics
from cerebro.kernel.bus.buckets import Buckets
from cerebro.kernel.bus.jetstream import API, answer_of, stream_of, within
from cerebro.kernel.bus.mailbox import Letter, Mailbox, status_of
from cerebro.kernel.bus.objects import Objects
from cerebro.kernel.bus.port import Message, Stored, StreamSpec, StreamState
from cerebro.kernel.clock import Clock, SystemClock
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError, Conflict, LimitReached, NotFound, TooLarge, Unavailable

HEADER_BYTES_MAX = 4096  # what we leave for the headers of a message within the server's largest payload
LISTEN_MAX = 1000
BELL_S_MAX = 1.0  # a waiting reader looks by itself this often, should its bell be lost
AFTER_BELL_S = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)  # a message is heard before it is stored
DISK_LOOK_S = 1.0
RECONNECT_S = 0.2
CONNECT_S = 2
PING_S = 5  # two of them unanswered, and the connection is made anew

log = get_log(__name__)


class NatsBus:
    """One connection. Make it with `connect`."""

    def __init__(self, link: "_Link", clock: Clock, replicas: int, room: "_Room") -> None:
        self._link, self._clock, self._replicas, self._room = link, clock, replicas, room
        self._buckets, self._objects = Buckets(link, replicas), Objects(link, clock, replicas)
        self._bells = _Bells(link)
        self._subjects: dict[str, tuple[str, ...]] = {}
        self._joining: set[asyncio.Task[Any]] = set()

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        clock: Clock | None = None,
        name: str = "cerebro",
        replicas: int = 1,
        publish_timeout_s: float = 5.0,
        disk: Path | None = None,
        disk_free_bytes_min: int = 0,
    ) -> "NatsBus":
        """Connect to a server or, with commas, to a cluster.

        Args:
            url: `nats://user:password@host:port`.
            clock: Whose time the driver tells; the machine's by default.
            name: By which the server knows this connection.
            replicas: Copies of each stream that is made here.
            publish_timeout_s: How long to wait for any answer.
            disk: A directory on the disk of an embedded server, whose free room is watched.
            disk_free_bytes_min: With less free room there, nothing is published: a stream that met
                the end of the disk refuses every write until its server is started again.

        Raises:
            Unavailable: Nobody answers there, or the password is wrong.
        """
        time = clock or SystemClock()
        link = _Link(url, time, name, publish_timeout_s)
        await link.connect()
        return cls(link, time, replicas, _Room(disk, disk_free_bytes_min, time))

    @property
    def body_bytes_max(self) -> int:
        """Largest body that one message may have."""
        return self._link.payload_bytes_max - HEADER_BYTES_MAX

    async def declare(self, stream: StreamSpec) -> None:
        """Make the stream, or bring its limits to these."""
        await self._link.make_stream(stream_of(stream, self._replicas))
        self._subjects[stream.name] = stream.subjects

    async def publish(self, subject: str, body: bytes, *, dedup_key: str) -> int:
        """Store the message, then return its sequence."""
        began_s = self._clock.monotonic_s()
        try:
            self._room.need()
            self._need_size(len(body))
            stored = await self._link.store(subject, body, {"Nats-Msg-Id": dedup_key})
        except CerebroError as error:
            metrics.REFUSED.labels(error.code).inc()
            raise
        metrics.PUBLISH_SECONDS.observe(self._clock.monotonic_s() - began_s)
        metrics.PUBLISHED.labels(stored["stream"]).inc()
        metrics.PUBLISHED_BYTES.labels(stored["stream"]).inc(len(body))
        return int(stored["seq"])

    async def read(
        self, stream: str, *, after: int, count_max: int, bytes_max: int, wait_s: float, subject: str = ""
    ) -> Sequence[Message]:
        """The next messages after `after`, at least one unless `wait_s` passes."""
        question = {"seq": after + 1, "batch": count_max, "max_bytes": bytes_max, "next_by_subj": subject or ">"}

        async def fetch() -> list[Message]:
            return within(bytes_max, await self._link.gather(stream, question))

        until_s = self._clock.monotonic_s() + wait_s
        found = await fetch()
        while not found and (left_s := until_s - self._clock.monotonic_s()) > 0:
            bells = [await self._bells.hang(each) for each in await self._bell_subjects(stream, subject)]
            found = await fetch()  # what came before the bell was hung up
            if not found and await _first(bells, min(left_s, BELL_S_MAX)):
                found = await _soon(fetch)
        metrics.READ.labels(stream).inc(len(found))
        return found

    async def trim(self, stream: str, *, upto: int) -> None:
        """Drop every message with a sequence of at most `upto`."""
        if upto > 0:
            await self._link.ask(f"STREAM.PURGE.{stream}", {"seq": upto + 1})

    async def state(self, stream: str) -> StreamState:
        """How full the stream is now."""
        answer = await self._link.ask(f"STREAM.INFO.{stream}", {})
        state = answer["state"]
        last = int(state["last_seq"])
        first = int(state["first_seq"]) if state["messages"] else last + 1
        metrics.STREAM_BYTES.labels(stream).set(state["bytes"])
        return StreamState(first, last, int(state["bytes"]), int(answer["config"]["max_bytes"]))

    async def get(self, bucket: str, key: str) -> Stored | None:
        """The value of the key."""
        return await self._buckets.get(bucket, key)

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Store the value and return its revision."""
        self._need_size(len(value))
        return await self._buckets.put(bucket, key, value, revision)

    async def keys(self, bucket: str) -> Sequence[str]:
        """Every key of the bucket, sorted."""
        return await self._buckets.keys(bucket)

    async def put_object(self, bucket: str, name: str, body: bytes) -> None:
        """Store a body of any size."""
        self._room.need()
        await self._objects.put(bucket, name, body)

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        """The last body stored under the name."""
        return await self._objects.get(bucket, name)

    async def broadcast(self, subject: str, body: bytes) -> None:
        """Tell whoever listens now."""
        if self._joining:  # a `listen` of ours that was called before must hear this
            await asyncio.wait(set(self._joining))
        await self._link.send(subject, body)

    def listen(self, subject: str) -> AsyncIterator[Message]:
        """Broadcasts from now on."""
        waiting: asyncio.Queue[Message] = asyncio.Queue(LISTEN_MAX)

        async def keep(letter: Letter) -> None:
            if waiting.full():
                waiting.get_nowait()
                metrics.BROADCASTS_DROPPED.inc()
            waiting.put_nowait(Message(letter.subject, letter.data, 0))

        joining = asyncio.get_running_loop().create_task(self._link.subscribe(subject, keep))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)
        return _drain(waiting, joining)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._link.close()

    def _need_size(self, size: int) -> None:
        if size > self.body_bytes_max:
            raise TooLarge(f"{size} bytes are over the {self.body_bytes_max} of a message.", "Send less at once.")

    async def _bell_subjects(self, stream: str, subject: str) -> tuple[str, ...]:
        if subject:
            return (subject,)
        if stream not in self._subjects:
            answer = await self._link.ask(f"STREAM.INFO.{stream}", {})
            self._subjects[stream] = tuple(answer["config"]["subjects"])
        return self._subjects[stream]


class _Link:
    """The connection and what is asked over it: the `JetStream` that the rest stands on."""

    def __init__(self, url: str, clock: Clock, name: str, timeout_s: float) -> None:
        self._servers = [each.strip() for each in url.split(",")]
        self._clock, self._name, self._timeout_s = clock, name, timeout_s
        self._client = Client()
        self._mail = Mailbox("")
        self._connecting = asyncio.Lock()
        self._closed = False
        self.connections_count = 0

    @property
    def payload_bytes_max(self) -> int:
        return int(self._client.max_payload)

    async def connect(self) -> None:
        """One try; whoever calls tries again. Once connected, the client reconnects by itself."""
        client, mail = Client(), Mailbox(f"_INBOX.{self._clock.new_id().replace('-', '')}")

        async def lost() -> None:
            mail.fail_all("The connection to the bus was lost.")
            if not self._closed:
                log.warning("bus_lost", name=self._name)

        async def back() -> None:
            metrics.RECONNECTED.inc()
            log.info("bus_reconnected", name=self._name)

        async def odd(error: Exception) -> None:
            log.debug("bus_error_reported", error=str(error))

        try:
            await client.connect(
                self._servers, name=self._name, error_cb=odd, disconnected_cb=lost, reconnected_cb=back, closed_cb=lost,
                connect_timeout=CONNECT_S, ping_interval=PING_S, allow_reconnect=False, max_reconnect_attempts=1,
                reconnect_time_wait=RECONNECT_S,  # type: ignore[arg-type]  # typed as whole seconds; used as a float
            )  # fmt: skip
            client.options |= {"allow_reconnect": True, "max_reconnect_attempts": -1}
            await client.subscribe(mail.subject, cb=mail.receive, pending_msgs_limit=0, pending_bytes_limit=0)
        except (NatsError, OSError, TimeoutError) as error:
            await client.close()
            raise Unavailable(f"The bus does not answer: {error}", "Is it running? See: cerebro status.") from error
        self._client, self._mail = client, mail
        self.connections_count += 1

    async def close(self) -> None:
        """Whoever waits is told; calls from now on fail."""
        if not self._closed:
            self._closed = True
            self._mail.fail_all("The connection to the bus was closed.")
            await self._client.close()

    async def store(self, subject: str, body: bytes, headers: dict[str, str] | None) -> dict[str, Any]:
        return answer_of(await self._request(subject, body, headers), f"the subject {subject}")

    async def ask(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        return answer_of(await self._request(f"{API}.{question}", json.dumps(body).encode()), question)

    async def gather(self, stream: str, question: dict[str, Any]) -> list[Letter]:
        letters: list[Letter] = []
        end = await self._request(f"{API}.DIRECT.GET.{stream}", json.dumps(question).encode(), None, letters)
        if status_of(end) not in (204, 404):  # the end of the batch, nothing there
            raise Unavailable(f"The bus has no stream {stream} now ({status_of(end)}).")
        return letters

    async def last(self, stream: str, subject: str) -> tuple[bytes, int] | None:
        try:
            answer = await self.ask(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        except NotFound:
            return None
        message = answer["message"]
        return base64.b64decode(message.get("data") or ""), int(message["seq"])

    async def make_stream(self, wanted: dict[str, Any]) -> None:
        try:
            await self.ask(f"STREAM.CREATE.{wanted['name']}", wanted)
        except Conflict:
            await self.ask(f"STREAM.UPDATE.{wanted['name']}", wanted)

    async def send(self, subject: str, body: bytes) -> None:
        """Publish without an answer."""
        client = await self._connected()
        with _translated():
            await client.publish(subject, body)

    async def subscribe(self, subject: str, hear: Callable[[Letter], Awaitable[None]]) -> Any:
        """Hear what passes from now on; without limits, which `hear` has to set."""
        client = await self._connected()
        with _translated():
            return await client.subscribe(subject, cb=hear, pending_msgs_limit=0, pending_bytes_limit=0)

    async def _request(
        self, subject: str, body: bytes, headers: dict[str, str] | None = None, parts: list[Letter] | None = None
    ) -> Letter:
        client = await self._connected()
        address, answer = self._mail.open(parts)
        try:
            with _translated():
                await client.publish(subject, body, reply=address, headers=headers)
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError as error:
            raise Unavailable(f"The bus did not answer in {self._timeout_s:g} s.") from error
        finally:
            answer.cancel()

    async def _connected(self) -> Client:
        """The client, when it has a connection now; one that the server closed for good is replaced."""
        if self._client.is_connected:
            return self._client
        if self._closed:
            raise Unavailable("This connection to the bus has been closed.")
        if self._client.is_closed:
            async with self._connecting:
                if self._client.is_closed:
                    await self.connect()
            return self._client
        raise Unavailable("The bus does not answer; reconnecting.")


class _Bells:
    """Bells that ring once, when a message for their subject passes: one subscription for all who wait for it."""

    def __init__(self, link: _Link) -> None:
        self._link = link
        self._hanging: dict[str, asyncio.Event] = {}
        self._connection = link.connections_count

    async def hang(self, subject: str) -> asyncio.Event:
        """The bell of the subject. Who lost the connection meanwhile is not woken, and has to look by himself."""
        if self._connection != self._link.connections_count:  # the bells of the last one ring no more
            self._connection = self._link.connections_count
            self._hanging.clear()
        if bell := self._hanging.get(subject):
            return bell
        bell = self._hanging[subject] = asyncio.Event()
        subscription: list[Any] = []

        async def take_down() -> None:
            for each in subscription:
                with contextlib.suppress(NatsError):
                    await each.unsubscribe()

        async def ring(_letter: Letter) -> None:
            if self._hanging.get(subject) is bell:
                del self._hanging[subject]
            bell.set()
            await take_down()

        try:
            subscription.append(await self._link.subscribe(subject, ring))
        except CerebroError:
            self._hanging.pop(subject, None)
            raise
        if bell.is_set():  # it rang before we knew what to take down
            await take_down()
        return bell


class _Room:
    """Whether there is room on the disk of an embedded server, looked at once a second."""

    def __init__(self, disk: Path | None, free_bytes_min: int, clock: Clock) -> None:
        self._disk, self._free_bytes_min, self._clock = disk, free_bytes_min, clock
        self._seen_s, self._full = -DISK_LOOK_S, False

    def need(self) -> None:
        if self._disk is None or self._free_bytes_min <= 0:
            return
        now_s = self._clock.monotonic_s()
        if now_s - self._seen_s >= DISK_LOOK_S:
            self._seen_s = now_s
            self._full = shutil.disk_usage(self._disk).free < self._free_bytes_min
        if self._full:
            raise LimitReached(
                f"Less than {self._free_bytes_min >> 20} MiB are free on the disk of the bus.", "Make room on it."
            )


async def _drain(waiting: asyncio.Queue[Message], joining: asyncio.Task[Any]) -> AsyncGenerator[Message, None]:
    subscription = await joining
    try:
        while True:
            yield await waiting.get()
    finally:
        with contextlib.suppress(NatsError):
            await subscription.unsubscribe()


async def _first(bells: Sequence[asyncio.Event], wait_s: float) -> bool:
    """Whether one of them rang in time."""
    waits = [asyncio.ensure_future(bell.wait()) for bell in bells]
    try:
        done, _ = await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for each in waits:
            each.cancel()


async def _soon(fetch: Callable[[], Awaitable[list[Message]]]) -> list[Message]:
    for pause_s in AFTER_BELL_S:
        await asyncio.sleep(pause_s)
        if found := await fetch():
            return found
    return []


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The client library's errors as ours."""
    try:
        yield
    except (NatsError, OSError) as error:
        raise Unavailable(f"The bus does not answer: {error}") from error
