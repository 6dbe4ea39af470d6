"""What one finding does to the cases it belongs to: the whole decision, as a value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cerebro.casework import life
from cerebro.casework.correlate import spot_of, spotted, with_spot
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
    reason: str,
    waiting: Sequence[Finding],
    *,
    now_ms: int,
    new_id: Callable[[], str],
) -> Decision:
    """What the finding changes.

    Args:
        finding: Not seen before.
        cases: That it joins and shows to be one, the oldest first; none when it opens its own. For one that clears:
            those that follow its trouble.
        reason: Why it joins the first of them.
        waiting: Cleared findings of the same dedup key that found no case.
        now_ms: Written into timelines; decides nothing.
        new_id: Called when a case is opened.
    """
    if finding.cleared:
        return _clear(finding, cases, now_ms)

    gone: list[Case] = []
    if cases:
        case = cases[0]
        for other in cases[1:]:
            case, closed = both(case, other, now_ms)
            gone.append(closed)
        case = life.joined(case, finding, reason, now_ms)
    else:
        case = life.opened(CaseId(new_id()), finding, reason, now_ms)
    if (spots := with_spot(case.spots, spot_of(finding))) is not case.spots:
        case = replace(case, spots=spots)

    for clearing in waiting:
        case = life.cleared(case, clearing, now_ms)
    return Decision(case.id, (case, *gone), tuple(waiting))


def both(case: Case, other: Case, now_ms: int) -> tuple[Case, Case]:
    """The case with all of the other, and the other, closed and pointing to it."""
    after, closed = life.merged(case, other, now_ms)
    return replace(after, spots=spotted(case.spots, other.spots)), closed


def _clear(finding: Finding, cases: Sequence[Case], now_ms: int) -> Decision:
    concerned = [case for case in cases if life.signal_of(case, finding.dedup_key)]
    if not concerned:
        return NOWHERE
    case = max(concerned, key=lambda case: (case.state in LIVE, case.opened_ms, case.id))
    return Decision(case.id, (life.cleared(case, finding, now_ms),))
