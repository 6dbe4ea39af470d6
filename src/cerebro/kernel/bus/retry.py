"""Trying again, for callers: a driver tries once."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cerebro.kernel.bus.port import Bus
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import Unavailable

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
FAILOVER_S = 8.0  # a cluster of three chooses a new leader in 5 to 7 s: docs/concepts/data-plane.md

T = TypeVar("T")


async def retrying(call: Callable[[], Awaitable[T]], clock: Clock, *, within_s: float = FAILOVER_S) -> T:
    """What `call` answers, called again while it is `Unavailable`, with growing pauses, for at most about `within_s`.

    Raises:
        Unavailable: The last failure, once the time is up. Anything else at once.
    """
    until_s = clock.monotonic_s() + within_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except Unavailable:
            if clock.monotonic_s() + pause_s > until_s:
                raise
        await clock.sleep(pause_s * clock.chance.uniform(0.5, 1.0))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


async def publish_until(
    bus: Bus, clock: Clock, subject: str, body: bytes, *, dedup_key: str, within_s: float = FAILOVER_S
) -> int:
    """Publish through a failover: the same key each time, so that the message is stored once.

    Raises:
        LimitReached: The stream is full; at once, for the sender has to slow down.
        Unavailable: Still no answer after `within_s`. It may be stored or not: the same key is safe.
    """
    return await retrying(lambda: bus.publish(subject, body, dedup_key=dedup_key), clock, within_s=within_s)
