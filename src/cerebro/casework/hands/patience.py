"""When a person is called to a case: something was done for it in vain, and for a while nothing else could be."""

from collections.abc import Collection, Sequence

from cerebro.casework.deeds import KeptAction
from cerebro.casework.hands.policy import STARTED
from cerebro.spine.actions import ActionState
from cerebro.spine.cases import Case
from cerebro.spine.identity import CaseId, TenantId


class Patience:
    """For how long each case has lain there with nothing that could be done.

    It is counted from what this process has seen: a new one begins anew, and so does a case that comes back.

    Args:
        limit_s: How long is enough.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_ms = round(limit_s * 1000)
        self._since_ms: dict[tuple[TenantId, CaseId], int] = {}

    def keep(self, tenant: TenantId, cases: Collection[CaseId]) -> None:
        """Forget the cases of the tenant that are not among these."""
        for key in [key for key in self._since_ms if key[0] == tenant and key[1] not in cases]:
            del self._since_ms[key]

    def renew(self, case: Case) -> None:
        """Something is done, waits for a person, or could be done."""
        self._since_ms.pop((case.tenant, case.id), None)

    def is_over(self, case: Case, now_ms: int) -> bool:
        """Whether nothing could be done for long enough, now included."""
        return now_ms - self._since_ms.setdefault((case.tenant, case.id), now_ms) >= self._limit_ms


def last_done(own: Sequence[KeptAction]) -> KeptAction | None:
    """The action that ended last, of those that count as tried; None when none does."""
    return max((each for each in own if each.state in STARTED), key=lambda each: each.ended_ms, default=None)


def in_vain(own: Sequence[KeptAction]) -> KeptAction | None:
    """The action that ended last, when it was begun and did not help; None when none was, or when that one helped."""
    last = last_done([each for each in own if each.started_ms])
    return None if last is None or last.state is ActionState.HELPED or last.learned == "helped" else last
