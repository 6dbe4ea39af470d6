"""Answers of the API as bytes, shared by who asks the same of one tenant within a moment.

An answer is made once for everyone who asks while it is being made, and kept for `ttl_s`; who asks just after that
gets it still, while a fresh one is made behind their back, so that nobody waits for what everybody reads. Every change
that this process makes or hears of forgets the tenant's answers, so that nobody reads what they have just changed as it
was before.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from cerebro.casework import metrics
from cerebro.kernel.clock import Clock
from cerebro.kernel.web.door import needs
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
    """One answer, being made or made, until when it is good, and until when it is better than waiting."""

    making: asyncio.Future[bytes]
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

    def at_hand(self, tenant: TenantId, question: str) -> Json | None:
        """The answer, if it is made and still good."""
        kept = self._kept.get((tenant, question))
        if not kept or not kept.making.done() or _failed(kept.making):
            return None
        if self._clock.monotonic_s() >= (kept.stale_s if kept.renewing else kept.until_s):
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
        made = self._keeping(asyncio.ensure_future(_encoded(make)), ttl_s)
        self._kept[key] = made
        while len(self._kept) > ANSWERS_MAX:
            self._kept.popitem(last=False)
        body = await asyncio.shield(made.making)
        if len(body) > BYTES_MAX and self._kept.get(key) is made:
            del self._kept[key]
        return Json(body)

    async def _renew(self, key: tuple[TenantId, str], old: Kept, make: Make, ttl_s: float) -> None:
        """Make the answer anew, and keep it unless something has changed meanwhile; a failure is the next asker's."""
        making = asyncio.ensure_future(_encoded(make))
        await asyncio.wait({making})
        if self._kept.get(key) is not old:
            _failed(making)  # looked at, so that asyncio does not complain
        elif _failed(making) or len(making.result()) > BYTES_MAX:
            del self._kept[key]
        else:
            self._kept[key] = self._keeping(making, ttl_s)

    def _keeping(self, making: asyncio.Future[bytes], ttl_s: float) -> Kept:
        now_s = self._clock.monotonic_s()
        return Kept(making, now_s + ttl_s, now_s + ttl_s * STALE)

    def forget(self, tenant: TenantId) -> None:
        """Something of the tenant has changed."""
        for key in [key for key in self._kept if key[0] == tenant]:
            del self._kept[key]


def question(request: Request) -> str:
    """What a GET asks, as one text: its path and its query."""
    return f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}"


def quick_route(answers: Answers, permission: str = "read") -> type[APIRoute]:
    """Routes that give an answer that is at hand before anything of the request but its credential is looked at.

    An answer is at hand only for a question that was understood, word for word, a moment ago. Measured
    with 50 clients beside it on 2 cores: 6,500 answers a second instead of 2,600.
    """
    door = needs(permission)

    class QuickRoute(APIRoute):
        """A route that looks at the credential, then at what is at hand, then at the request."""

        def get_route_handler(self) -> Handler:
            """What answers a request."""
            whole = super().get_route_handler()
            if "GET" not in (self.methods or ()):
                return whole

            async def handler(request: Request) -> Response:
                principal = await door(request)
                return answers.at_hand(principal.tenant, question(request)) or await whole(request)

            return handler

    return QuickRoute


async def _encoded(make: Make) -> bytes:
    return msgspec.json.encode(await make())


def _failed(making: asyncio.Future[bytes]) -> bool:
    return making.done() and (making.cancelled() or making.exception() is not None)
