"""The bus on NATS JetStream.

Reading is stateless: batched direct gets by sequence (server 2.11 and later, ADR-31), so that a
reader's place is only ever its own and nothing has to be rebuilt when a server restarts. A reader
that has caught up is woken by a plain subscription. Publishing keeps any number of messages in flight.
"""

import asyncio
import base64
import contextlib
import json
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from cerebro.kernel.bus import metrics
from cerebro.kernel.bus.mailbox import Letter, Mailbox, status_of
from cerebro.kernel.bus.port import Message, Stored, StreamSpec, StreamState
from cerebro.kernel.clock import Clock, SystemClock
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError, Conflict, Invalid, LimitReached, NotFound, TooLarge, Unavailable

API = "$JS.API"
HEADER_BYTES_MAX = 4096  # what we leave for the headers of a message within the server's largest payload
OBJECT_PART_BYTES = 1 << 20
OBJECT_PARTS_IN_FLIGHT = 16
OBJECT_READ_BYTES = 32 << 20
LISTEN_MAX = 1000
BELL_S_MAX = 1.0  # a waiting reader looks by itself this often, should its bell be lost
AFTER_BELL_S = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)  # a message is heard before it is stored
DISK_LOOK_S = 1.0
RECONNECT_S = 0.2
KEY = re.compile(r"[-/_=.a-zA-Z0-9]+")
NAME = re.compile(r"[-_a-zA-Z0-9]+")

# The server's stable error codes, from its errors.json.
NO_MESSAGE, NO_STREAM, STREAM_EXISTS, WRONG_SEQUENCE = 10037, 10059, 10058, 10071
STORE_FAILED, NO_STORAGE, NO_RESOURCES, MESSAGE_TOO_LARGE = 10077, 10047, 10023, 10054
SWITCHED_OFF = {10008, 10039, 10074, 10076}

log = get_log(__name__)


class _NobodyThere(Unavailable):
    """No stream takes the subject, or its servers are choosing a leader."""


@dataclass(slots=True)
class _Bell:
    """Rings once, when a message for its subject passes."""

    rung: asyncio.Event
    subscription: Any


class NatsBus:
    """One connection. Make it with `connect`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        name: str,
        replicas: int,
        publish_timeout_s: float,
        disk: Path | None,
        disk_free_bytes_min: int,
    ) -> None:
        self._url, self._name, self._clock, self._replicas = url, name, clock, replicas
        self._timeout_s = publish_timeout_s
        self._disk, self._free_min, self._disk_seen_s, self._disk_full = disk, disk_free_bytes_min, -DISK_LOOK_S, False
        self._client = Client()
        self._mail = Mailbox("")
        self._connecting = asyncio.Lock()
        self._closed = False
        self._subjects: dict[str, tuple[str, ...]] = {}
        self._bells: dict[str, _Bell] = {}
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
            replicas: Copies of each stream that `declare` makes.
            publish_timeout_s: How long to wait for any answer.
            disk: A directory on the disk of an embedded server, whose free room is watched.
            disk_free_bytes_min: With less free room there, nothing is published: the server gives
                up altogether on a disk that is really full.

        Raises:
            Unavailable: Nobody answers there, or the password is wrong.
        """
        bus = cls(
            url, clock=clock or SystemClock(), name=name, replicas=replicas, publish_timeout_s=publish_timeout_s,
            disk=disk, disk_free_bytes_min=disk_free_bytes_min,
        )  # fmt: skip
        await bus._connect()
        return bus

    @property
    def body_bytes_max(self) -> int:
        """Largest body that one message may have."""
        return int(self._client.max_payload) - HEADER_BYTES_MAX

    # Streams

    async def declare(self, stream: StreamSpec) -> None:
        """Make the stream, or bring its limits to these."""
        wanted = {
            "name": stream.name, "subjects": list(stream.subjects), "retention": "limits", "storage": "file",
            "discard": "new", "max_bytes": stream.bytes_max, "max_age": round(stream.age_s_max * 1e9),
            "duplicate_window": round(min(stream.dedup_s, stream.age_s_max) * 1e9), "allow_direct": True,
            "num_replicas": self._replicas, "max_consumers": -1, "max_msgs": -1, "max_msg_size": -1,
        }  # fmt: skip
        await self._make_stream(wanted)
        self._subjects[stream.name] = stream.subjects

    async def publish(self, subject: str, body: bytes, *, dedup_key: str) -> int:
        """Store the message, then return its sequence."""
        self._need_room()
        if len(body) > self.body_bytes_max:
            metrics.REFUSED.labels("too_large").inc()
            raise TooLarge(
                f"A message of {len(body)} bytes is over the bus's {self.body_bytes_max}.", "Send less at once."
            )
        began_s = self._clock.monotonic_s()
        try:
            stored = await self._store(subject, body, {"Nats-Msg-Id": dedup_key})
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
        want = (stream, after, count_max, bytes_max, subject)
        until_s = self._clock.monotonic_s() + wait_s
        found = await self._fetch(*want)
        while not found and (left_s := until_s - self._clock.monotonic_s()) > 0:
            bells = [await self._bell(each) for each in await self._bell_subjects(stream, subject)]
            found = await self._fetch(*want)  # what came before the bell was hung up
            if not found and await _first(bells, min(left_s, BELL_S_MAX)):
                found = await self._fetch_soon(want)
        metrics.READ.labels(stream).inc(len(found))
        return found

    async def trim(self, stream: str, *, upto: int) -> None:
        """Drop every message with a sequence of at most `upto`."""
        if upto > 0:
            await self._ask(f"STREAM.PURGE.{stream}", {"seq": upto + 1})

    async def state(self, stream: str) -> StreamState:
        """How full the stream is now."""
        answer = await self._ask(f"STREAM.INFO.{stream}", {})
        state = answer["state"]
        last = int(state["last_seq"])
        first = int(state["first_seq"]) if state["messages"] else last + 1
        metrics.STREAM_BYTES.labels(stream).set(state["bytes"])
        return StreamState(first, last, int(state["bytes"]), int(answer["config"]["max_bytes"]))

    # Shared state: the layout of NATS key-value buckets, so that its own tools can read it.

    async def get(self, bucket: str, key: str) -> Stored | None:
        """The value of the key, read from the bucket's leader, so that one's own writes are seen."""
        found = await self._last(f"KV_{_name(bucket)}", f"$KV.{bucket}.{_key(key)}")
        return found and Stored(found[0], found[1])

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Store the value and return its revision."""
        subject = f"$KV.{_name(bucket)}.{_key(key)}"
        headers = None if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if len(value) > self.body_bytes_max:
            raise TooLarge(
                f"A value of {len(value)} bytes is over the bus's {self.body_bytes_max}.", "Store an object."
            )
        try:
            return int((await self._store(subject, value, headers))["seq"])
        except _NobodyThere:
            await self._make_stream({
                "name": f"KV_{bucket}", "subjects": [f"$KV.{bucket}.>"], "storage": "file", "discard": "new",
                "max_msgs_per_subject": 1, "allow_direct": True, "allow_rollup_hdrs": True, "deny_delete": True,
                "num_replicas": self._replicas,
            })  # fmt: skip
            return int((await self._store(subject, value, headers))["seq"])

    async def keys(self, bucket: str) -> Sequence[str]:
        """Every key of the bucket, sorted."""
        head = f"$KV.{_name(bucket)}."
        found: list[str] = []
        while True:
            try:
                answer = await self._ask(
                    f"STREAM.INFO.KV_{bucket}", {"subjects_filter": f"{head}>", "offset": len(found)}
                )
            except NotFound:
                return ()
            page = answer["state"].get("subjects") or {}
            found += [subject[len(head) :] for subject in page]
            if not page or len(found) >= int(answer.get("total", 0)):
                return sorted(found)

    # Objects: parts under a subject of the object's own, then one message that names them.

    async def put_object(self, bucket: str, name: str, body: bytes) -> None:
        """Store a body of any size. Of two writers at once, one is as if the other had come later."""
        self._need_room()
        stream, tag = f"OBJ_{_name(bucket)}", _tag(name)
        try:
            before = await self._last(stream, f"$O.{bucket}.M.{tag}")
            await self._ask(f"STREAM.INFO.{stream}", {})
        except NotFound:
            before = None
            await self._make_stream({
                "name": stream, "subjects": [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"], "storage": "file",
                "discard": "new", "allow_direct": True, "allow_rollup_hdrs": True, "num_replicas": self._replicas,
            })  # fmt: skip
        parts = f"{tag}.{self._clock.new_id()}"
        sequences = await self._put_parts(f"$O.{bucket}.C.{parts}", body)
        about = {"name": name, "parts": parts, "size": len(body), "count": len(sequences), "version": 1}
        headers = {"Nats-Rollup": "sub", "Nats-Expected-Last-Subject-Sequence": str(before[1] if before else 0)}
        try:
            stored = await self._store(f"$O.{bucket}.M.{tag}", json.dumps(about).encode(), headers)
        except Conflict:  # someone was quicker: theirs stands, as if it had come after ours
            await self._ask(f"STREAM.PURGE.{stream}", {"filter": f"$O.{bucket}.C.{parts}"})
            return
        oldest = sequences[0] if sequences else int(stored["seq"])
        await self._ask(f"STREAM.PURGE.{stream}", {"filter": f"$O.{bucket}.C.{tag}.*", "seq": oldest})

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        """The last body stored under the name."""
        stream, subject = f"OBJ_{_name(bucket)}", f"$O.{bucket}.M.{_tag(name)}"
        while found := await self._last(stream, subject):
            about = json.loads(found[0])
            body = await self._get_parts(stream, f"$O.{bucket}.C.{about['parts']}", int(about["count"]))
            if body is not None and len(body) == about["size"]:
                return body
            again = await self._last(stream, subject)
            if again and again[1] == found[1]:
                raise Unavailable(f"The object {name} in {bucket} lacks some of its parts.", "Store it again.")
        return None

    # Broadcasts

    async def broadcast(self, subject: str, body: bytes) -> None:
        """Tell whoever listens now."""
        if self._joining:  # a `listen` of ours that was called before must hear this
            await asyncio.wait(set(self._joining))
        client = await self._connected()
        with _translated():
            await client.publish(subject, body)

    def listen(self, subject: str) -> AsyncIterator[Message]:
        """Broadcasts from now on."""
        waiting: asyncio.Queue[Message] = asyncio.Queue(LISTEN_MAX)
        joining = asyncio.get_running_loop().create_task(self._join(subject, waiting))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)
        return _drain(waiting, joining)

    async def close(self) -> None:
        """Let go of the connection."""
        if not self._closed:
            self._closed = True
            self._mail.fail_all("The connection to the bus was closed.")
            await self._client.close()

    # The connection

    async def _connect(self) -> None:
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
                [each.strip() for each in self._url.split(",")],
                name=self._name, error_cb=odd, disconnected_cb=lost, reconnected_cb=back, closed_cb=lost,
                max_reconnect_attempts=-1, reconnect_time_wait=RECONNECT_S,  # type: ignore[arg-type]  # typed as whole seconds; used as a float connect_timeout=2, ping_interval=10,
                allow_reconnect=False,
            )  # fmt: skip
            client.options["allow_reconnect"] = True  # the first time one try is enough; who calls tries again
            await client.subscribe(mail.subject, cb=mail.receive, pending_msgs_limit=0, pending_bytes_limit=0)
        except (NatsError, OSError, TimeoutError) as error:
            await client.close()
            raise Unavailable(f"The bus does not answer: {error}", "Is it running? See: cerebro status.") from error
        self._client, self._mail, self._bells = client, mail, {}

    async def _connected(self) -> Client:
        """The client, when it has a connection now; one that the server closed for good is replaced."""
        if self._client.is_connected:
            return self._client
        if self._closed:
            raise Unavailable("This connection to the bus has been closed.")
        if self._client.is_closed:
            async with self._connecting:
                if self._client.is_closed:
                    await self._connect()
            return self._client
        raise Unavailable("The bus does not answer; reconnecting.")

    async def _request(
        self, subject: str, body: bytes, headers: dict[str, str] | None, parts: list[Letter] | None = None
    ) -> Letter:
        client = await self._connected()
        address, answer = self._mail.open(parts)
        try:
            with _translated():
                await client.publish(subject, body, reply=address, headers=headers)
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError as error:
            raise Unavailable(f"The bus did not answer in {self._timeout_s:.0f} s.") from error
        finally:
            answer.cancel()

    async def _store(self, subject: str, body: bytes, headers: dict[str, str] | None) -> dict[str, Any]:
        """Publish into a stream; the server's acknowledgement."""
        return _answer_of(await self._request(subject, body, headers), f"the subject {subject}")

    async def _ask(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        return _answer_of(await self._request(f"{API}.{question}", json.dumps(body).encode(), None), question)

    async def _make_stream(self, wanted: dict[str, Any]) -> None:
        try:
            await self._ask(f"STREAM.CREATE.{wanted['name']}", wanted)
        except Conflict:
            await self._ask(f"STREAM.UPDATE.{wanted['name']}", wanted)

    async def _last(self, stream: str, subject: str) -> tuple[bytes, int] | None:
        """The newest message of a subject, as the stream's leader knows it, and its sequence."""
        try:
            answer = await self._ask(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        except NotFound:
            return None
        message = answer["message"]
        return base64.b64decode(message.get("data") or ""), int(message["seq"])

    # Reading

    async def _fetch(self, stream: str, after: int, count_max: int, bytes_max: int, subject: str) -> list[Message]:
        letters: list[Letter] = []
        question = {"seq": after + 1, "batch": count_max, "max_bytes": bytes_max, "next_by_subj": subject or ">"}
        end = await self._request(f"{API}.DIRECT.GET.{stream}", json.dumps(question).encode(), None, letters)
        if status_of(end) not in (204, 404):
            raise Unavailable(f"The bus has no stream {stream} now ({status_of(end)}).")
        return _within(bytes_max, letters)

    async def _fetch_soon(self, want: tuple[str, int, int, int, str]) -> list[Message]:
        for pause_s in AFTER_BELL_S:
            await asyncio.sleep(pause_s)
            if found := await self._fetch(*want):
                return found
        return []

    async def _bell_subjects(self, stream: str, subject: str) -> tuple[str, ...]:
        if subject:
            return (subject,)
        if stream not in self._subjects:
            answer = await self._ask(f"STREAM.INFO.{stream}", {})
            self._subjects[stream] = tuple(answer["config"]["subjects"])
        return self._subjects[stream]

    async def _bell(self, subject: str) -> asyncio.Event:
        """One subscription for all who wait for the subject; it ends with its first message."""
        if bell := self._bells.get(subject):
            return bell.rung
        client = await self._connected()
        bell = self._bells[subject] = _Bell(asyncio.Event(), None)

        async def ring(_letter: Letter) -> None:
            if self._bells.get(subject) is bell:
                del self._bells[subject]
            bell.rung.set()
            await take_down()

        async def take_down() -> None:
            if bell.subscription and not client.is_closed:
                with contextlib.suppress(NatsError):
                    await bell.subscription.unsubscribe()

        try:
            with _translated():
                bell.subscription = await client.subscribe(
                    subject, cb=ring, pending_msgs_limit=0, pending_bytes_limit=0
                )
        except CerebroError:
            self._bells.pop(subject, None)
            raise
        if bell.rung.is_set():  # it rang before we knew what to take down
            await take_down()
        return bell.rung

    # Objects

    async def _put_parts(self, subject: str, body: bytes) -> list[int]:
        gate = asyncio.Semaphore(OBJECT_PARTS_IN_FLIGHT)
        view = memoryview(body)

        async def put(start: int) -> int:
            async with gate:
                part = bytes(view[start : start + OBJECT_PART_BYTES])
                return int((await self._store(subject, part, {"Cerebro-Part": str(start)}))["seq"])

        return sorted(await asyncio.gather(*(put(start) for start in range(0, len(body), OBJECT_PART_BYTES))))

    async def _get_parts(self, stream: str, subject: str, count: int) -> bytes | None:
        """The parts in the order of their start; `None` when some are gone."""
        letters: list[Letter] = []
        after = 0
        while len(letters) < count:
            page: list[Letter] = []
            question = {"seq": after + 1, "batch": count, "max_bytes": OBJECT_READ_BYTES, "next_by_subj": subject}
            await self._request(f"{API}.DIRECT.GET.{stream}", json.dumps(question).encode(), None, page)
            if not page:
                return None
            letters += page
            after = _sequence(page[-1])
        return b"".join(
            letter.data for letter in sorted(letters, key=lambda each: int((each.headers or {})["Cerebro-Part"]))
        )

    async def _join(self, subject: str, waiting: asyncio.Queue[Message]) -> Any:
        async def keep(letter: Letter) -> None:
            if waiting.full():
                waiting.get_nowait()
                metrics.BROADCASTS_DROPPED.inc()
            waiting.put_nowait(Message(letter.subject, letter.data, 0))

        client = await self._connected()
        with _translated():
            return await client.subscribe(subject, cb=keep)

    def _need_room(self) -> None:
        """Refuse while the disk is nearly full: the server switches its streams off on a disk that is."""
        if self._disk is None or self._free_min <= 0:
            return
        now_s = self._clock.monotonic_s()
        if now_s - self._disk_seen_s >= DISK_LOOK_S:
            self._disk_seen_s = now_s
            self._disk_full = shutil.disk_usage(self._disk).free < self._free_min
        if self._disk_full:
            metrics.REFUSED.labels("disk_full").inc()
            raise LimitReached(
                f"Less than {self._free_min >> 20} MiB are free on the disk of the bus.", "Make room on it."
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


def _within(bytes_max: int, letters: Sequence[Letter]) -> list[Message]:
    """The server sends the message that goes over the limit too; only the first may do that here."""
    found: list[Message] = []
    total = 0
    for letter in letters:
        total += len(letter.data)
        if found and total > bytes_max:
            break
        found.append(Message((letter.headers or {})["Nats-Subject"], letter.data, _sequence(letter)))
    return found


def _sequence(letter: Letter) -> int:
    return int((letter.headers or {})["Nats-Sequence"])


def _answer_of(letter: Letter, what: str) -> dict[str, Any]:
    if status_of(letter) == 503:
        raise _NobodyThere(f"The bus has nobody for {what} now.", "If the server has just started, try again.")
    answer: dict[str, Any] = json.loads(letter.data)
    if "error" in answer:
        raise _refusal(answer["error"], what)
    return answer


def _refusal(error: dict[str, Any], what: str) -> CerebroError:
    """The server's refusal in our words."""
    code, said = int(error.get("err_code", 0)), str(error.get("description", ""))
    detail = f"{what}: {said} ({code})."
    if code in (WRONG_SEQUENCE, STREAM_EXISTS):
        return Conflict(detail)
    if code in (NO_MESSAGE, NO_STREAM):
        return NotFound(detail)
    if code == MESSAGE_TOO_LARGE:
        return TooLarge(detail, "Send less at once.")
    if code in (NO_STORAGE, NO_RESOURCES) or (code == STORE_FAILED and ("maximum" in said or "space" in said)):
        return LimitReached(f"The stream is full. {detail}", "Slow down and send again.")
    passing = code in SWITCHED_OFF or int(error.get("code", 0)) >= 500
    return Unavailable(detail) if passing else Invalid(detail)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The client library's errors as ours."""
    try:
        yield
    except (NatsError, OSError) as error:
        raise Unavailable(f"The bus does not answer: {error}") from error


def _name(bucket: str) -> str:
    if not NAME.fullmatch(bucket):
        raise Invalid(f"{bucket!r} is no name for a bucket: letters, digits, - and _.")
    return bucket


def _key(key: str) -> str:
    if not KEY.fullmatch(key) or key.startswith(".") or key.endswith(".") or ".." in key:
        raise Invalid(f"{key!r} is no key: letters, digits and - / _ = . are.")
    return key


def _tag(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()
