"""What one finding does to the cases of its scene: the whole decision, as a value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cerebro.casework import life
from cerebro.casework.correlate import Limits, correlate
from cerebro.spine.cases import LIVE, Case
from cerebro.spine.findings import Finding
from cerebro.spine.identity import CaseId


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the finding went, and every case that is another than before.

    Args:
        case: Empty when the finding concerns no case.
        changed: New and changed cases, the finding's own first.
        claimed: Clearings that had come before what they clear, and now belong to the case.
    """

    case: CaseId
    changed: tuple[Case, ...] = ()
    claimed: tuple[Finding, ...] = ()


NOWHERE = Decision(CaseId(""))


def decide(
    finding: Finding,
    cases: Sequence[Case],
    waiting: Sequence[Finding],
    limits: Limits,
    *,
    now_ms: int,
    new_id: Callable[[], str],
) -> Decision:
    """What the finding changes.

    Args:
        finding: Not seen before.
        cases: Of the finding's scene: every live one, and those that resolved a short time ago.
        waiting: Cleared findings of the same dedup key that found no case.
        limits: How near is near.
        now_ms: Written into timelines; decides nothing.
        new_id: Called when a case is opened.
    """
    if finding.cleared:
        return _clear(finding, cases, now_ms)

    joining = correlate(finding, cases, limits)
    gone: list[Case] = []
    if joining.cases:
        case = joining.cases[0]
        for other in joining.cases[1:]:
            case, closed = life.merged(case, other, now_ms)
            gone.append(closed)
        case = life.joined(case, finding, joining.reason, now_ms)
    else:
        case = life.opened(CaseId(new_id()), finding, joining.reason, now_ms)

    for clearing in waiting:
        case = life.cleared(case, clearing, now_ms)
    return Decision(case.id, (case, *gone), tuple(waiting))


def _clear(finding: Finding, cases: Sequence[Case], now_ms: int) -> Decision:
    concerned = [case for case in cases if life.signal_of(case, finding.dedup_key)]
    if not concerned:
        return NOWHERE
    case = max(concerned, key=lambda case: (case.state in LIVE, case.opened_ms, case.id))
    return Decision(case.id, (life.cleared(case, finding, now_ms),))
