"""Who diagnoses which case, and when again: one owner a look, whoever is asked and however often.

What is known of the live cases of a tenant stands under one key; each change of it is a compare-and-set, so that of
two brains that want the same look one gets it. An owner that dies leaves a look that is open to others after
`LEASE_MS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from cerebro.casework.blame import blamed_since_ms, returned_ms
from cerebro.kernel.bus.port import Bus
from cerebro.kernel.bus.position import BUCKET
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.errors import Conflict
from cerebro.spine.identity import TenantId

LEASE_MS = 30_000
FIRST_MS = 3_000  # after a case opens: the first minute's telemetry is on its way
AGAIN_MS = (6_000, 10_000, 20_000, 40_000, 120_000, 300_000)  # at least so long after each look, if there is news
SOON_MS = (4_000, 5_000, 8_000, 12_000, 20_000, 30_000, 60_000)  # the same while no cause is likelier than not
LIKELY = 0.5
SETTLING_MS = 6_000  # at most between two looks until a cause has been the likeliest for a while


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one case.

    Args:
        owner: Who looks now; empty for nobody.
        until_ms: When the owner is taken for dead.
        count: Looks that were finished.
        at_ms: When the last one was over.
        findings: How many findings the case had then.
        begun_ms: When the last one was begun: what came after that is not in it.
    """

    owner: str = ""
    until_ms: int = 0
    count: int = 0
    at_ms: int = 0
    findings: int = 0
    begun_ms: int = 0


class Looks:
    """The looks of every tenant.

    Args:
        bus: Its key-value store holds them.
        owner: Who we are, different in each process.
        steady_ms: For so long a cause must have been the likeliest before some things are done about it.
    """

    def __init__(self, bus: Bus, owner: str, steady_ms: int = 0) -> None:
        self._bus, self._owner, self._steady_ms = bus, owner, steady_ms

    async def take(self, tenant: TenantId, cases: Sequence[Case], now_ms: int) -> list[Case]:
        """The cases that are ours to look at now; none when others are faster."""
        known, revision = await self._load(tenant)
        due = [case for case in cases if is_due(case, known.get(case.id, Look()), now_ms, self._steady_ms)]
        if not due:
            return []
        live = {case.id for case in cases}
        after = {name: look for name, look in known.items() if name in live}
        for case in due:
            look = after.get(case.id, Look())
            after[case.id] = replace(look, owner=self._owner, until_ms=now_ms + LEASE_MS)
        try:
            await self._bus.put(BUCKET, _key(tenant), msgspec.json.encode(after), revision=revision)
        except Conflict:
            return []
        return due

    async def finish(self, tenant: TenantId, case: Case, now_ms: int, begun_ms: int) -> bool:
        """The look is done; False when it is not ours any more."""
        while True:
            known, revision = await self._load(tenant)
            look = known.get(case.id, Look())
            if look.owner != self._owner:
                return False
            done = Look("", 0, look.count + 1, now_ms, case.finding_count, begun_ms)
            try:
                body = msgspec.json.encode({**known, case.id: done})
                await self._bus.put(BUCKET, _key(tenant), body, revision=revision)
            except Conflict:
                continue
            return True

    async def _load(self, tenant: TenantId) -> tuple[Mapping[str, Look], int]:
        found = await self._bus.get(BUCKET, _key(tenant))
        if found is None:
            return {}, 0
        return msgspec.json.decode(found.value, type=dict[str, Look]), found.revision


def is_due(case: Case, look: Look, now_ms: int, steady_ms: int = 0) -> bool:
    """Whether the case is to be looked at: soon after it opens or comes back, then as findings join or hold.

    While its cause is settling it is looked at often, and once when that is over: what is done then goes by that look.
    """
    since_ms = now_ms - look.at_ms
    if look.owner and now_ms < look.until_ms:
        return False
    if look.count == 0 or look.begun_ms < returned_ms(case):
        return now_ms - max(case.opened_ms, returned_ms(case)) >= FIRST_MS
    if (settled_ms := settled_at(case, steady_ms)) and look.begun_ms < settled_ms:
        return since_ms >= SETTLING_MS or now_ms >= settled_ms
    pauses_ms = AGAIN_MS if is_told(case) else SOON_MS
    is_news = case.finding_count > look.findings or look.count < len(pauses_ms) or bool(case.active_keys)
    return is_news and since_ms >= pauses_ms[min(look.count, len(pauses_ms)) - 1]


def settled_at(case: Case, steady_ms: int) -> int:
    """When its likeliest cause will have been that for so long; 0 where none is, or something is done about it."""
    blamed_ms, is_acted_on = blamed_since_ms(case), case.state in (CaseState.ACTING, CaseState.VERIFYING)
    return blamed_ms + steady_ms if steady_ms and blamed_ms and not is_acted_on else 0


def is_told(case: Case) -> bool:
    """Whether a cause is named that is likelier than all others together."""
    return any(cause.rank == 1 and cause.kind != "unknown" and cause.share >= LIKELY for cause in case.causes)


def _key(tenant: TenantId) -> str:
    return f"diagnose.{tenant}"
