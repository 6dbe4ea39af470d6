"""Looks at what users feel around a target of a case, with what is usual there and who else is asked."""

from collections.abc import Sequence

from cerebro.casework.cause.reach import BELONGS
from cerebro.casework.hands.felt import REQUESTS_MIN
from cerebro.casework.hands.look import NOBODY, WIDER, Look, look
from cerebro.casework.hands.users import CACHE, Users
from cerebro.casework.quiet import Stretch, troubled_before
from cerebro.casework.topology.atlas import Atlas
from cerebro.kernel.kit import Kernel
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId

LATELY_MS = 16_000  # the newest part of a look: all that is told every fifteen seconds is told once in it
CASES_KEPT_MAX = 200


class Looks:
    """Looks around, and remembers what is usual for a case.

    Args:
        kernel: Its records hold the cases before.
        users: Where it is read what users feel.
    """

    def __init__(self, kernel: Kernel, users: Users) -> None:
        self._kernel, self._users, self._atlas = kernel, users, Atlas(kernel)
        self._clock, self._settings = kernel.clock, kernel.settings.hands
        self._earlier: dict[str, tuple[int, Sequence[Stretch]]] = {}

    async def since(self, case: Case, target: EntityKey, start_ms: int, *, by_operation: bool = False) -> Look:
        """What users feel around a target of the case since a moment."""
        now_ms, troubles = self._clock.now_ms(), await self._troubles(case)
        return await look(
            self._users, case, target, self._settings, troubles,
            start_ms=start_ms, now_ms=now_ms, askers=await self._askers(case.tenant, target, now_ms),
            by_operation=by_operation,
        )  # fmt: skip

    async def is_over(self, case: Case, target: EntityKey, seen: Look) -> bool:
        """Whether all who suffer in a look are served well in its newest part; not where that tells too little."""
        newest = await self.since(case, target, self._clock.now_ms() - LATELY_MS)
        told = all(newest.now.get(name, NOBODY).count >= REQUESTS_MIN for name in seen.suffering)
        return told and not set(seen.suffering) & set(newest.suffering)

    async def is_felt_by_some(self, case: Case, target: EntityKey) -> bool:
        """Whether some kind of requests around a target is answered badly now, though it is lost among the others."""
        for over_ms in (LATELY_MS, WIDER * round(self._settings.look_s * 1000)):
            seen = await self.since(case, target, self._clock.now_ms() - over_ms, by_operation=True)
            if not seen.blind:
                return any(name in seen.now for name in seen.suffering)
        return False

    async def _askers(self, tenant: TenantId, target: EntityKey, now_ms: int) -> Sequence[EntityKey]:
        """Who asks a cache: it answers as fast as ever when it has nothing to give, and they fetch it elsewhere."""
        if await self._users.nature(tenant, target) != CACHE:
            return ()
        relations = (await self._atlas.at(tenant, now_ms)).relations
        return sorted({each.source for each in relations if each.target == target and each.kind not in BELONGS})

    async def _troubles(self, case: Case) -> Sequence[Stretch]:
        """The times of other cases before this one; asked for once a case and beginning."""
        known = self._earlier.get(case.id)
        if known is None or known[0] != case.began_ms:
            known = self._earlier[case.id] = case.began_ms, await troubled_before(self._kernel, case)
            while len(self._earlier) > CASES_KEPT_MAX:
                self._earlier.pop(next(iter(self._earlier)))
        return known[1]
