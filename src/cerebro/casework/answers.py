"""Answers of the API as bytes, shared by who asks the same of one tenant within a moment.

An answer is made once for everyone who asks while it is being made, and kept for `ttl_s`; who asks just after that
gets it still, while a fresh one is made behind their back, so that nobody waits for what everybody reads. Every change
that this process makes forgets the tenant's answers, so that nobody reads what they have just changed as it was before.
A change that it hears of makes them old: they are given while fresh ones are made, until the change is told to the
pages a moment later, so that a page that is told reads it, and a storm of changes makes nobody wait.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from cerebro.casework import metrics
from cerebro.kernel.access.gate import Gate
from cerebro.kernel.clock import Clock
from cerebro.kernel.web.door import note_principal, permission_of
from cerebro.kernel.web.middleware import Asgi, Receive, Scope, Send, route_of
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import TenantId

ANSWERS_MAX = 512
BYTES_MAX = 4 << 20  # a larger answer is made anew each time
STALE = 2.0  # times `ttl_s`: so old an answer is given while a fresh one is made

Make = Callable[[], Awaitable[object]]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Json(Response):
    """JSON that is encoded already."""

    media_type = "application/json"


def answer(value: object, status: int = 200) -> Json:
    """The value as an answer."""
    return Json(msgspec.json.encode(value), status)


@dataclass(slots=True)
class Kept:
    """One answer, being made or made: since when, until when it is good, and until when it is better than waiting."""

    making: asyncio.Future[bytes]
    asked_s: float
    until_s: float
    stale_s: float
    renewing: asyncio.Future[None] | None = None


class Answers:
    """The answers of one process.

    Args:
        clock: That they grow old by.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[TenantId, str], Kept] = OrderedDict()
        self._changed_s: dict[TenantId, float] = {}  # when a change was last heard of
        self._routes: OrderedDict[str, str] = OrderedDict()  # by question

    def understood(self, question: str, route: str) -> None:
        """A route has answered the question: whoever may read may have the answer again while it is at hand."""
        self._routes[question] = route
        while len(self._routes) > ANSWERS_MAX:
            self._routes.popitem(last=False)

    def route_of(self, question: str) -> str:
        """The route that has understood the question, as a template; empty when none has lately."""
        return self._routes.get(question, "")

    def at_hand(self, tenant: TenantId, question: str) -> Json | None:
        """The answer, if it is made and still good."""
        kept = self._kept.get((tenant, question))
        if not kept or not kept.making.done() or _failed(kept.making):
            return None
        good_s = kept.stale_s if kept.renewing else kept.until_s
        is_old = not kept.renewing and kept.asked_s <= self._changed_s.get(tenant, -1.0)
        if is_old or self._clock.monotonic_s() >= good_s:
            return None
        metrics.ANSWERS.labels("kept").inc()
        return Json(kept.making.result())

    async def get(self, tenant: TenantId, question: str, make: Make, *, ttl_s: float) -> Json:
        """The answer to the question, made by `make` unless one at most `ttl_s` old is at hand or on its way."""
        if found := self.at_hand(tenant, question):
            return found
        key = tenant, question
        kept = self._kept.get(key)
        if kept and not kept.making.done():
            metrics.ANSWERS.labels("shared").inc()
            return Json(await asyncio.shield(kept.making))
        metrics.ANSWERS.labels("made").inc()
        if kept and not kept.renewing and not _failed(kept.making) and self._clock.monotonic_s() < kept.stale_s:
            kept.renewing = asyncio.ensure_future(self._renew(key, kept, make, ttl_s))
            return Json(kept.making.result())
        made = self._kept[key] = self._keeping(asyncio.ensure_future(_encoded(make)), self._clock.monotonic_s(), ttl_s)
        while len(self._kept) > ANSWERS_MAX:
            self._kept.popitem(last=False)
        body = await asyncio.shield(made.making)
        if len(body) > BYTES_MAX and self._kept.get(key) is made:
            del self._kept[key]
        return Json(body)

    async def _renew(self, key: tuple[TenantId, str], old: Kept, make: Make, ttl_s: float) -> None:
        """Make the answer anew, and keep it unless something has changed meanwhile; a failure is the next asker's."""
        asked_s, making = self._clock.monotonic_s(), asyncio.ensure_future(_encoded(make))
        await asyncio.wait({making})
        if self._kept.get(key) is not old:
            _failed(making)  # looked at, so that asyncio does not complain
        elif _failed(making) or len(making.result()) > BYTES_MAX:
            del self._kept[key]
        else:
            self._kept[key] = self._keeping(making, asked_s, ttl_s)

    def _keeping(self, making: asyncio.Future[bytes], asked_s: float, ttl_s: float) -> Kept:
        now_s = self._clock.monotonic_s()
        return Kept(making, asked_s, now_s + ttl_s, now_s + ttl_s * STALE)

    def hear(self, tenant: TenantId) -> None:
        """Something of the tenant has changed elsewhere; the pages are told soon."""
        self._changed_s[tenant] = self._clock.monotonic_s()

    def tell(self, tenant: TenantId, heard_s: float) -> None:
        """The pages are told of a change heard of at `heard_s`: no answer from before it is given any more."""
        self._drop(key for key, kept in self._kept.items() if key[0] == tenant and kept.asked_s <= heard_s)

    def forget(self, tenant: TenantId) -> None:
        """Something of the tenant has been changed here."""
        self._drop(key for key in self._kept if key[0] == tenant)

    def _drop(self, keys: Iterable[tuple[TenantId, str]]) -> None:
        for key in tuple(keys):
            del self._kept[key]


def question(request: Request) -> str:
    """What a GET asks, as one text: its path and its query."""
    return asked_in(request.scope)


def asked_in(scope: Scope) -> str:
    """The same, of a request that is no object yet."""
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


def quick_route(answers: Answers) -> type[APIRoute]:
    """Routes whose answers `Quick` may give again: each notes what it was asked, and as which route."""

    class QuickRoute(APIRoute):
        """A route that remembers the questions it has understood."""

        def get_route_handler(self) -> Handler:
            """What answers a request."""
            whole = super().get_route_handler()
            if "GET" not in (self.methods or ()) or permission_of(self.dependant) != "read":
                return whole

            async def handler(request: Request) -> Response:
                answered = await whole(request)
                answers.understood(question(request), route_of(request.scope))
                return answered

            return handler

    return QuickRoute


class Quick:
    """Gives the answer that is at hand before anything of a request but its credential is looked at.

    An answer is at hand only for a question that was understood, word for word, a moment ago, by a route that asks
    for no more than `read`. Whatever cannot be answered so, refusals too, is left to the application.

    Args:
        app: The application.
        answers: Of its quick routes.
        gate: Who may come in, and how often.
    """

    def __init__(self, app: Asgi, answers: Answers, gate: Gate) -> None:
        self._app, self._answers, self._gate = app, answers, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "GET":
            asked = asked_in(scope)
            route = self._answers.route_of(asked)
            found = await self._found(scope, asked) if route else None
            if found:
                scope["cerebro"]["route"] = route
                await found(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _found(self, scope: Scope, asked: str) -> Json | None:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        with suppress(CerebroError):
            principal = await self._gate.guard.authenticate(given.decode("latin-1"))
            found = self._answers.at_hand(principal.tenant, asked) if "read" in principal.permissions else None
            if found:
                self._gate.rates.take(principal.text)
                note_principal(scope, principal)
            return found
        return None


async def _encoded(make: Make) -> bytes:
    return msgspec.json.encode(await make())


def _failed(making: asyncio.Future[bytes]) -> bool:
    return making.done() and (making.cancelled() or making.exception() is not None)
