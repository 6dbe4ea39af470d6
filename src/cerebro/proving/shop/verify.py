"""Whether each kind of fault does to users what it says, is helped by what should help, and is gone when it is ended.

Tried on the running shop, not assumed. What counts is the users' own record, never what a fault says of itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from cerebro.kernel.clock import Clock
from cerebro.proving.model import CONTROL, Fault, Health, Injection, Operation
from cerebro.proving.shop.ground import Shop
from cerebro.proving.shop.operations import ACTS
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import CerebroError

# When users notice: so much more fails, or the slowest twentieth takes so much longer.
ERRORS_MORE, SLOWER_BY, SLOWER_MS = 0.02, 1.5, 20.0
WINDOW_S, POLL_S, RECOVERY_S_MAX = 4.0, 1.0, 30.0
BASELINE_S, LEAST_S = 6.0, 6.0  # before an injection; of it, also when it was noticed sooner
STEADY_COUNT = 2  # looks in a row that count as noticed, or as recovered
FRONT, BOTTLENECK = EntityKey("service", "gateway"), EntityKey("service", "catalogue")
HELP_S_MAX = 15.0  # for a remedy to be felt


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one injection did.

    Args:
        effect_s: From the injection to the first stretch in which users noticed; -1 for never.
        remedy: The operation that was tried while the fault was still injected; empty for none.
        helped_s: From the operation until users were served as before; -1 for not in time.
        recovery_s: From its end to the first stretch in which they noticed nothing; -1 for not in time.
        worst: The stretch in which it was worst.
    """

    fault: Fault
    target: str
    before: Health
    worst: Health
    effect_s: float
    remedy: str
    helped_s: float
    recovery_s: float

    @property
    def holds(self) -> bool:
        """A fault is noticed and passes; a control is not noticed."""
        felt = self.effect_s >= 0
        return self.recovery_s >= 0 and felt != (self.fault.cause_kind == CONTROL)

    @property
    def shows(self) -> str:
        """How it shows to users: what became worse."""
        if self.effect_s < 0:
            return "not at all"
        before, worst, words = self.before, self.worst, []
        if worst.error_share > before.error_share + ERRORS_MORE:
            words.append(f"{worst.error_share:.0%} of requests fail")
        if slower(before, worst):
            words.append(f"p95 {before.p95_ms:.0f} → {worst.p95_ms:.0f} ms")
        return ", ".join(words) or "fewer requests get through"


def slower(before: Health, now: Health) -> bool:
    """Whether the slowest twentieth takes so much longer that users feel it."""
    return now.p95_ms > before.p95_ms * SLOWER_BY + SLOWER_MS


def noticed(before: Health, now: Health) -> bool:
    """Whether users feel the difference."""
    if now.request_count < 5:
        return True  # users cannot even come
    return slower(before, now) or now.error_share > before.error_share + ERRORS_MORE


async def verify(shop: Shop, kinds: Sequence[str], clock: Clock, *, during_s: float) -> AsyncIterator[Verdict]:
    """Inject each kind, one after the other, and look at what users feel.

    Args:
        shop: Running.
        kinds: In this order.
        clock: For the pauses.
        during_s: How long each lasts at most before it is helped; once it was noticed, no longer than needed.
    """
    for kind in kinds:
        before = await _calm(shop, clock)
        yield await _one(shop, kind, before, clock, during_s)


async def _calm(shop: Shop, clock: Clock) -> Health:
    """What users feel when nothing is injected, once they are well again after what was there before."""
    await clock.sleep(BASELINE_S)
    until_s = clock.monotonic_s() + RECOVERY_S_MAX
    while (now := await _last(shop, clock, BASELINE_S)).error_share > ERRORS_MORE and clock.monotonic_s() < until_s:
        await clock.sleep(POLL_S)
    return now


async def _last(shop: Shop, clock: Clock, length_s: float) -> Health:
    now_ms = clock.now_ms()
    return await shop.health(now_ms - round(length_s * 1000), now_ms)


async def _one(shop: Shop, kind: str, before: Health, clock: Clock, during_s: float) -> Verdict:
    began_s = clock.monotonic_s()
    beginning = asyncio.create_task(shop.inject(kind, seed=1))
    worst, effect_s, times = before, -1.0, 0
    while (lasted_s := clock.monotonic_s() - began_s) < during_s or not beginning.done():
        if beginning.done() and times >= STEADY_COUNT and lasted_s >= LEAST_S:
            break
        await clock.sleep(POLL_S)
        now = await _last(shop, clock, min(WINDOW_S, clock.monotonic_s() - began_s))
        worst = max(worst, now, key=lambda health: (round(health.error_share, 2), health.p95_ms))
        times = times + 1 if noticed(before, now) else 0
        if times == STEADY_COUNT and effect_s < 0:
            effect_s = clock.monotonic_s() - began_s - POLL_S
    injection = await beginning
    remedy, helped_s = await _help(shop, injection, before, clock) if effect_s >= 0 else ("", -1.0)
    ended = await shop.end(injection)
    await shop.tidy()  # what the remedy left: another supplier, more replicas
    recovery_s = await _served(shop, before, clock, RECOVERY_S_MAX)
    return Verdict(ended.fault, ended.target.text, before, worst, effect_s, remedy, helped_s, recovery_s)


async def _help(shop: Shop, injection: Injection, before: Health, clock: Clock) -> tuple[str, float]:
    """Try what honestly helps, the best first, while the fault goes on; how soon it was felt."""
    remedy = next((name for name in injection.fault.remedies if name in ACTS), "")
    if not remedy or injection.fault.cause_kind == CONTROL:
        return "", -1.0
    began_s = clock.monotonic_s()
    try:
        await shop.operate(_operation(remedy, injection.target))
    except CerebroError:
        return remedy, -1.0
    took_s = clock.monotonic_s() - began_s
    served_s = await _served(shop, before, clock, HELP_S_MAX)
    return remedy, served_s if served_s < 0 else took_s + served_s


def _operation(remedy: str, target: EntityKey) -> Operation:
    """The remedy where it belongs: retries and pages are capped where they come from, users are served by more."""
    if remedy == "scale" and target == FRONT:
        return Operation(remedy, BOTTLENECK, {"replicas": "5"})
    return Operation(remedy, FRONT if remedy in ("limit_retries", "shed") else target)


async def _served(shop: Shop, before: Health, clock: Clock, within_s: float) -> float:
    """How long until users are served as before, twice in a row; -1 for not in time."""
    ended_s, times = clock.monotonic_s(), 0
    while clock.monotonic_s() - ended_s < within_s:
        await clock.sleep(POLL_S)
        times = 0 if noticed(before, await _last(shop, clock, POLL_S * 2)) else times + 1
        if times == STEADY_COUNT:
            return clock.monotonic_s() - ended_s
    return -1.0
