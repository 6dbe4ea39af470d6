"""Answers of the API as bytes, shared by who asks the same of one tenant within a moment.

An answer is made once for everyone who asks while it is being made, and kept for at most `ttl_s`;
every change that this process makes or hears of forgets the tenant's answers, so that nobody reads
what they have just changed as it was before.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.responses import Response

from cerebro.casework import metrics
from cerebro.kernel.clock import Clock
from cerebro.spine.identity import TenantId

ANSWERS_MAX = 512
BYTES_MAX = 4 << 20  # a larger answer is made anew each time

Make = Callable[[], Awaitable[object]]


class Json(Response):
    """JSON that is encoded already."""

    media_type = "application/json"


def answer(value: object, status: int = 200) -> Json:
    """The value as an answer."""
    return Json(msgspec.json.encode(value), status)


@dataclass(slots=True)
class Kept:
    """One answer, being made or made, and until when it is good."""

    making: asyncio.Future[bytes]
    until_s: float


class Answers:
    """The answers of one process.

    Args:
        clock: That they grow old by.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[TenantId, str], Kept] = OrderedDict()

    async def get(self, tenant: TenantId, question: str, make: Make, *, ttl_s: float) -> Json:
        """The answer to the question, made by `make` unless one at most `ttl_s` old is at hand."""
        key = tenant, question
        kept = self._kept.get(key)
        if kept and self._clock.monotonic_s() < kept.until_s and not _failed(kept.making):
            metrics.ANSWERS.labels("kept").inc()
            return Json(kept.making.result() if kept.making.done() else await asyncio.shield(kept.making))
        metrics.ANSWERS.labels("made").inc()
        made = Kept(asyncio.ensure_future(_encoded(make)), self._clock.monotonic_s() + ttl_s)
        self._kept[key] = made
        while len(self._kept) > ANSWERS_MAX:
            self._kept.popitem(last=False)
        body = await asyncio.shield(made.making)
        if len(body) > BYTES_MAX and self._kept.get(key) is made:
            del self._kept[key]
        return Json(body)

    def forget(self, tenant: TenantId) -> None:
        """Something of the tenant has changed."""
        for key in [key for key in self._kept if key[0] == tenant]:
            del self._kept[key]


async def _encoded(make: Make) -> bytes:
    return msgspec.json.encode(await make())


def _failed(making: asyncio.Future[bytes]) -> bool:
    return making.done() and (making.cancelled() or making.exception() is not None)
