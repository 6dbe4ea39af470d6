"""The one home of time and chance, so that any run can be replayed from its seed."""

import asyncio
import time
from random import Random, SystemRandom
from typing import Protocol

from cerebro.spine.identity import new_id


class Clock(Protocol):
    """Time as the program sees it, and the chance it draws from."""

    chance: Random

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        ...

    def now_ns(self) -> int:
        """Unix time, nanoseconds."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from some start; never goes back."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` of this clock's time."""
        ...

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        ...


class SystemClock:
    """The machine's time and the operating system's chance."""

    def __init__(self) -> None:
        self.chance: Random = SystemRandom()

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return time.time_ns() // 1_000_000

    def now_ns(self) -> int:
        """Unix time, nanoseconds."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds since the machine started, about."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Let others run for `duration_s`."""
        await asyncio.sleep(duration_s)

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        return new_id(self.now_ms(), self.chance)


class VirtualClock:
    """Time that stands still until someone moves it. Sleepers wake in order of their hour.

    Args:
        start_ms: Unix time at the start, milliseconds.
        seed: Of the chance that ids and jitter are drawn from.
    """

    def __init__(self, start_ms: int = 1_700_000_000_000, seed: int = 0) -> None:
        self.chance = Random(seed)  # noqa: S311  made to be repeatable; secrets come from `secrets`
        self._now_ns = start_ms * 1_000_000
        self._start_ns = self._now_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._slept_count = 0

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return self._now_ns // 1_000_000

    def now_ns(self) -> int:
        """Unix time, nanoseconds."""
        return self._now_ns

    def monotonic_s(self) -> float:
        """Seconds since this clock was made."""
        return (self._now_ns - self._start_ns) / 1e9

    async def sleep(self, duration_s: float) -> None:
        """Wait until `advance` has moved the clock by `duration_s`."""
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        waker = asyncio.get_running_loop().create_future()
        self._slept_count += 1
        self._sleepers.append((self._now_ns + round(duration_s * 1e9), self._slept_count, waker))
        await waker

    def new_id(self) -> str:
        """A fresh UUIDv7, the same one for the same seed and history."""
        return new_id(self.now_ms(), self.chance)

    async def advance(self, duration_s: float) -> None:
        """Move time on, waking each sleeper at its own moment and letting it run until it waits."""
        end_ns = self._now_ns + round(duration_s * 1e9)
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end_ns]:
            first = min(due, key=lambda sleeper: sleeper[:2])
            self._sleepers.remove(first)
            self._now_ns = max(self._now_ns, first[0])
            if not first[2].done():
                first[2].set_result(None)
            await _settle()
        self._now_ns = end_ns
        await _settle()


async def pause(clock: Clock, stop: asyncio.Event, duration_s: float) -> None:
    """Return after `duration_s` of this clock's time, or as soon as `stop` is set."""
    waits = {asyncio.ensure_future(clock.sleep(duration_s)), asyncio.ensure_future(stop.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


async def _settle() -> None:
    """Give every ready task its turns; 20 covers the deepest chain of awaits in the house."""
    for _ in range(20):
        await asyncio.sleep(0)
