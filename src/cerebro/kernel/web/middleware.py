"""What happens to every request before and after its door: an id, a limit, headers, a log line, a measure.

Plain ASGI: a layer that wraps requests in tasks and streams would cost more than most answers.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import structlog

from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import span
from cerebro.kernel.web import metrics
from cerebro.kernel.web.problem import send_problem
from cerebro.spine.errors import TooLarge

log = get_log(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

API_BODY_BYTES_MAX = 1 << 20  # FastAPI reads a body before it asks who sent it
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}")
INTAKE = ("/v1/", "/api/v1/write", "/intake/")  # count their bodies themselves, and refuse in the sender's own form
QUIET = (*INTAKE, "/health", "/ready", "/metrics", "/static/")  # logged at debug when well
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CSP = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
NOT_KEPT = (b"cache-control", b"no-store")  # what only its reader may see stays in no cache
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Front:
    """The outermost layer of the listener.

    Args:
        app: What answers.
        clock: Of the ids and the measures.
        body_bytes_max: A larger body is answered with 413, and not read to its end; intake has limits of its own.
        tls: Whether the listener speaks TLS itself.
    """

    def __init__(self, app: Asgi, clock: Clock, *, body_bytes_max: int = API_BODY_BYTES_MAX, tls: bool = False) -> None:
        self._app, self._clock, self._body_bytes_max = app, clock, body_bytes_max
        self._headers = [(name.encode(), value.encode()) for name, value in SECURITY.items()] + [HSTS] * tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope, self._clock)
        noted: dict[str, Any] = scope.setdefault("cerebro", {})
        known = {"request_id": request_id, "method": scope.get("method", "WEBSOCKET"), "path": scope["path"]}
        start_s = self._clock.monotonic_s()
        headers = [*self._headers, (b"x-request-id", request_id.encode())]
        if scope["path"].startswith("/api/"):
            headers.append(NOT_KEPT)
        exchange = Exchange(receive, send, headers, self._body_bytes_max)
        with structlog.contextvars.bound_contextvars(user_id="", **known):
            try:
                await self._serve(scope, exchange)
            finally:
                self._report(scope, noted, exchange.status, self._clock.monotonic_s() - start_s)

    async def _serve(self, scope: Scope, exchange: "Exchange") -> None:
        if scope["type"] == "websocket" or scope["path"].startswith(INTAKE):
            await self._app(scope, exchange.receive_as_is, exchange.send)
        elif _length_of(scope) > self._body_bytes_max:
            await exchange.refuse()
        elif scope["path"].startswith(QUIET):
            await self._app(scope, exchange.receive, exchange.send)
        else:
            with span("request", method=scope["method"]):
                await self._app(scope, exchange.receive, exchange.send)

    def _report(self, scope: Scope, noted: Mapping[str, Any], status: int, duration_s: float) -> None:
        method = scope.get("method", "WEBSOCKET")
        if scope["type"] == "http":
            known_method = method if method in METHODS else "other"
            metrics.REQUEST_SECONDS.labels(known_method, route_of(scope), str(status)).observe(duration_s)
        tell = log.debug if status < 400 and scope["path"].startswith(QUIET) else log.info
        tell(
            "request_answered",
            user_id=noted.get("user_id", ""),
            status=status,
            duration_ms=round(duration_s * 1000, 3),
        )


class Exchange:
    """One request and its answer on the way through: counts the body, adds the headers, notes the status."""

    def __init__(self, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]], body_bytes_max: int) -> None:
        self._receive, self._send, self._headers = receive, send, headers
        self._left, self._max = body_bytes_max, body_bytes_max
        self._begun = self._refused = False
        self.status = 500  # unless it is answered

    async def receive_as_is(self) -> Message:
        """The next message, uncounted."""
        return await self._receive()

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            TooLarge: It is longer than it may be; whatever is then answered becomes a 413.
        """
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            await self.refuse()
            raise TooLarge(f"The body is larger than {self._max} bytes.", "Send less at once.")
        return message

    async def refuse(self) -> None:
        """Answer that the body is too large."""
        if not self._begun:
            metrics.BODIES_REFUSED.inc()
            await send_problem(TooLarge(f"The body is larger than {self._max} bytes.", "Send less at once."), self.send)
        self._refused = True

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; nothing more once it was refused."""
        if self._refused:
            return
        if message["type"] == "http.response.start":
            self.status, self._begun = message["status"], True
            given = {name.lower() for name, _ in message.get("headers", ())}
            added = [header for header in self._headers if header[0] not in given]  # what is inside knows better
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        elif message["type"] == "websocket.accept":
            self.status = 101
        elif message["type"] == "websocket.close" and self.status == 500:
            self.status = 403
        await self._send(message)


def _request_id(scope: Scope, clock: Clock) -> str:
    """The id that a proxy before us gave, when it has the form of one; else a fresh one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else clock.new_id()


def _length_of(scope: Scope) -> int:
    given = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(given) if given.isdigit() and len(given) < 20 else 0


def route_of(scope: Scope) -> str:
    """The template of the route, so that a metric has few values: what no route knows is one."""
    noted = scope.get("cerebro", {})
    return str(noted.get("route") or getattr(scope.get("route"), "path", "") or "other")
