"""Whether each kind of fault does to users what it says, and is gone when it is ended: tried, not assumed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from cerebro.kernel.clock import Clock
from cerebro.proving.model import CONTROL, Fault, Health
from cerebro.proving.shop.ground import Shop

# When users notice: so much more fails, or the slowest twentieth takes so much longer.
ERRORS_MORE, SLOWER_BY, SLOWER_MS = 0.02, 1.5, 20.0
WINDOW_S, POLL_S, RECOVERY_S_MAX = 4.0, 1.0, 30.0
BASELINE_S, LEAST_S = 5.0, 6.0  # before an injection; of it, also when it was noticed sooner


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one injection did.

    Args:
        effect_s: From the injection to the first stretch in which users noticed; -1 for never.
        recovery_s: From its end to the first stretch in which they noticed nothing; -1 for not in time.
        worst: The stretch in which it was worst.
    """

    fault: Fault
    target: str
    before: Health
    worst: Health
    effect_s: float
    recovery_s: float

    @property
    def holds(self) -> bool:
        """A fault is noticed and passes; a control is not noticed."""
        noticed = self.effect_s >= 0
        return self.recovery_s >= 0 and noticed != (self.fault.cause_kind == CONTROL)


def noticed(before: Health, now: Health) -> bool:
    """Whether users feel the difference."""
    if now.request_count < 5:
        return True  # users cannot even come
    slower = now.p95_ms > before.p95_ms * SLOWER_BY + SLOWER_MS
    return slower or now.error_share > before.error_share + ERRORS_MORE


async def verify(shop: Shop, kinds: Sequence[str], clock: Clock, *, during_s: float) -> AsyncIterator[Verdict]:
    """Inject each kind, one after the other, and look at what users feel.

    Args:
        shop: Running.
        kinds: In this order.
        clock: For the pauses.
        during_s: How long each lasts at most; once it was noticed, no longer than needed.
    """
    for kind in kinds:
        before = await _calm(shop, clock)
        yield await _one(shop, kind, before, clock, during_s)


async def _calm(shop: Shop, clock: Clock) -> Health:
    """What users feel when nothing is injected."""
    await clock.sleep(BASELINE_S)
    return await _last(shop, clock, BASELINE_S)


async def _last(shop: Shop, clock: Clock, length_s: float) -> Health:
    now_ms = clock.now_ms()
    return await shop.health(now_ms - round(length_s * 1000), now_ms)


async def _one(shop: Shop, kind: str, before: Health, clock: Clock, during_s: float) -> Verdict:
    began_s = clock.monotonic_s()
    beginning = asyncio.create_task(shop.inject(kind, seed=1))
    worst, effect_s = before, -1.0
    while (lasted_s := clock.monotonic_s() - began_s) < during_s or not beginning.done():
        if beginning.done() and effect_s >= 0 and lasted_s >= LEAST_S:
            break
        await clock.sleep(POLL_S)
        now = await _last(shop, clock, min(WINDOW_S, clock.monotonic_s() - began_s))
        worst = max(worst, now, key=lambda health: (round(health.error_share, 2), health.p95_ms))
        if effect_s < 0 and clock.monotonic_s() - began_s >= 2 and noticed(before, now):
            effect_s = clock.monotonic_s() - began_s
    injection = await beginning
    ended = await shop.end(injection)
    recovery_s = await _recovery(shop, before, clock)
    return Verdict(ended.fault, ended.target.text, before, worst, effect_s, recovery_s)


async def _recovery(shop: Shop, before: Health, clock: Clock) -> float:
    ended_s = clock.monotonic_s()
    while clock.monotonic_s() - ended_s < RECOVERY_S_MAX:
        await clock.sleep(POLL_S)
        if not noticed(before, await _last(shop, clock, POLL_S * 2)):
            return clock.monotonic_s() - ended_s
    return -1.0
