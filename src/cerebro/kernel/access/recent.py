"""What was looked up a moment ago, so that a busy credential asks the database once in seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from cerebro.kernel.access.metrics import STALE
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import Unavailable

V = TypeVar("V")


class Recent(Generic[V]):
    """Answers by name, each fetched by one at a time.

    Args:
        fresh_s: For how long an answer is given again without asking.
        stale_s: For how long it is given while the database does not answer: nothing can be
            revoked in it then either, and senders of telemetry go on.
        names_max: Remembered at once.
    """

    def __init__(self, clock: Clock, *, fresh_s: float, stale_s: float, names_max: int = 10_000) -> None:
        self._clock, self._fresh_s, self._stale_s, self._max = clock, fresh_s, stale_s, names_max
        self._known: dict[str, tuple[float, V]] = {}
        self._asked: dict[str, asyncio.Task[V]] = {}

    async def get(self, name: str, fetch: Callable[[], Awaitable[V]]) -> V:
        """The answer, from memory or from `fetch`.

        Raises:
            Unavailable: The database does not answer, and neither does memory.
        """
        known = self._known.get(name)
        age_s = self._clock.monotonic_s() - known[0] if known else 0.0
        if known and age_s < self._fresh_s:
            return known[1]
        try:
            return await asyncio.shield(self._asking(name, fetch))
        except Unavailable:
            if known is None or age_s >= self._stale_s:
                raise
            STALE.inc()
            return known[1]

    def _asking(self, name: str, fetch: Callable[[], Awaitable[V]]) -> "asyncio.Task[V]":
        task = self._asked.get(name)
        if task is None:
            task = self._asked[name] = asyncio.create_task(self._ask(name, fetch))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waited is told
        return task

    async def _ask(self, name: str, fetch: Callable[[], Awaitable[V]]) -> V:
        try:
            asked_s = self._clock.monotonic_s()
            value = await fetch()
            self._known.pop(name, None)
            if len(self._known) >= self._max:
                del self._known[next(iter(self._known))]
            self._known[name] = (asked_s, value)
            return value
        finally:
            del self._asked[name]
