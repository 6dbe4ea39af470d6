"""HTTP/1.1 for the shop: a small server and a small client with connections kept and counted.

Both are protocols on asyncio's own loop: the shop runs beside what it is watched by, and a
framework would cost more than the shop does. Only what its own services send is understood.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

LOOPBACK = "127.0.0.1"
HEAD_BYTES_MAX, BODY_BYTES_MAX = 16_384, 1 << 20
REQUESTS_MAX = 40  # of one connection, so that a server that cannot accept is noticed
IDLE_MAX = 16  # connections kept to one port


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the caller got what it wanted."""
        return self.status < 400


Answerer = Callable[[Request], Awaitable[Answer]]


class Session(asyncio.Protocol):
    """One connection to the server; requests on it are answered in turn."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Someone has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone; nobody waits for the answer."""
        self._transport = None
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        self._buffer += data
        if self._task is None:
            self._next()

    def _next(self) -> None:
        split = self._buffer.find(b"\r\n\r\n")
        if split < 0:
            if len(self._buffer) > HEAD_BYTES_MAX:
                self._close()
            return
        start, headers = _head(bytes(self._buffer[:split]))
        end = split + 4 + int(headers.get("content-length", 0))
        if end > BODY_BYTES_MAX or len(start) < 2:
            self._close()
        elif len(self._buffer) >= end:
            body = bytes(self._buffer[split + 4 : end])
            del self._buffer[:end]
            path, _, query = start[1].partition("?")
            request = Request(start[0], path, dict(parse_qsl(query)), headers, body)
            self._task = asyncio.ensure_future(self._answer(request))
            self._task.add_done_callback(self._answered)

    async def _answer(self, request: Request) -> None:
        answer = await self._answerer(request)
        self._count += 1
        if self._transport:
            last = self._count >= REQUESTS_MAX
            self._transport.write(_encode_answer(answer, last))
            if last:
                self._close()

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled() or task.exception():
            self._close()  # a bug in a service: its caller is cut off, its supervisor's log has the traceback
            if not task.cancelled():
                task.get_loop().call_exception_handler({"message": "request failed", "exception": task.exception()})
        elif self._buffer and self._transport:
            self._next()

    def _close(self) -> None:
        if self._transport:
            self._transport.close()


async def serve(answerer: Answerer, port: int) -> asyncio.Server:
    """Listen on a loopback port."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Session(answerer), LOOPBACK, port, backlog=256)


class _Line(asyncio.Protocol):
    """One connection of the client; one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("the other side closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        split = self._buffer.find(b"\r\n\r\n")
        if split < 0 or self._waiter is None:
            return
        start, headers = _head(bytes(self._buffer[:split]))
        end = split + 4 + int(headers.get("content-length", 0))
        if len(self._buffer) >= end:
            answer = Answer(int(start[1]), bytes(self._buffer[split + 4 : end]), headers)
            del self._buffer[:end]
            if not self._waiter.done():
                self._waiter.set_result(answer)

    async def ask(self, words: bytes) -> Answer:
        if self.transport is None:
            raise ConnectionResetError("the other side closed the connection")
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(words)
        return await self._waiter


class Lines:
    """Connections to other services, kept by port."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Line]] = {}

    async def ask(
        self, port: int, method: str, target: str, *, body: bytes = b"", headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        """Ask, and wait for the answer.

        Raises:
            OSError: Nobody listens, or the connection broke.
            TimeoutError: No answer in time.
        """
        words = _encode_request(method, target, headers, body)
        line = None
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._take(port)
                answer = await line.ask(words)
        except (OSError, TimeoutError, asyncio.CancelledError):
            if line and line.transport:
                line.transport.abort()
            raise
        self._give_back(port, line, answer)
        return answer

    async def _take(self, port: int) -> _Line:
        idle = self._idle.get(port, [])
        while idle:
            line = idle.pop()
            if line.transport and not line.transport.is_closing():
                return line
        _, line = await asyncio.get_running_loop().create_connection(_Line, LOOPBACK, port)
        return line

    def _give_back(self, port: int, line: _Line, answer: Answer) -> None:
        idle = self._idle.setdefault(port, [])
        if answer.headers.get("connection") != "close" and len(idle) < IDLE_MAX:
            idle.append(line)
        elif line.transport:
            line.transport.close()

    def close(self) -> None:
        """Let every connection go."""
        for line in (line for idle in self._idle.values() for line in idle):
            if line.transport:
                line.transport.close()
        self._idle.clear()


def _head(head: bytes) -> tuple[list[str], dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    return lines[0].split(" "), {name.lower(): value.strip() for name, _, value in pairs}


def _encode_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\nhost: shop\r\n{extra}content-length: {len(body)}\r\n\r\n".encode() + body


def _encode_answer(answer: Answer, last: bool) -> bytes:
    phrase = HTTPStatus(answer.status).phrase
    ending = "connection: close\r\n" if last else ""
    head = f"HTTP/1.1 {answer.status} {phrase}\r\ncontent-type: application/json\r\n{ending}"
    return f"{head}content-length: {len(answer.body)}\r\n\r\n".encode() + answer.body
