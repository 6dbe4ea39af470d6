"""What people do to the borders of cases: two made one, one made two. Values in, values out."""

from collections.abc import Collection
from dataclasses import replace

from cerebro.casework import life
from cerebro.casework.correlate import APART, Line
from cerebro.casework.decide import both
from cerebro.casework.life import Refusal
from cerebro.spine.cases import Case, CaseState, Spot
from cerebro.spine.identity import CaseId

APART_MAX = 50  # cases that one is kept apart from; the latest count


def merged_by(case: Case, other: Case, by: str, now_ms: int) -> tuple[Case, Case] | Refusal:
    """The case with all of the other, and the other, closed and pointing to it."""
    if CaseState.CLOSED in (case.state, other.state):
        return Refusal.CLOSED
    if case.id == other.id:
        return Refusal.EMPTY
    after, gone = both(case, other, now_ms)
    apart = [each for each in after.labels.get(APART, "").split() if each != other.id]
    after = replace(after, labels={**after.labels, APART: " ".join(apart)})
    said = f"{by} made it one case with “{other.title}”."
    return life.noted(after, said, by, now_ms, kind="merged", reference=other.id), gone


def split_by(case: Case, keys: Collection[str], new_id: CaseId, by: str, now_ms: int) -> tuple[Case, Case] | Refusal:
    """The case without these troubles, and a new one that holds them. Findings never bring the two together again."""
    if case.state is CaseState.CLOSED:
        return Refusal.CLOSED
    moved = [signal for signal in case.signals if signal.key in keys]
    left = [signal for signal in case.signals if signal.key not in keys]
    if not moved or not left:
        return Refusal.EMPTY
    taken = {signal.finding for signal in moved}
    new = Case(
        id=new_id,
        tenant=case.tenant,
        state=CaseState.OPEN,
        severity=case.severity,
        title="",
        opened_ms=now_ms,
        updated_ms=now_ms,
        entities=(),
        findings=(),
        finding_count=len(moved),
        assignee=case.assignee,
        labels=_apart({}, case.id),
    )
    new = life.holding(new, moved, [each for each in case.findings if each in taken] or taken)
    rest = life.holding(case, left, [each for each in case.findings if each not in taken])
    rest = replace(rest, finding_count=max(1, case.finding_count - len(moved)), labels=_apart(case.labels, new_id))
    rest, new = replace(rest, spots=_spots(rest)), replace(new, spots=_spots(new))
    said = f"{by} took {len(moved)} of {len(case.signals)} signals out into a case of their own: “{new.title}”."
    rest = life.noted(rest, said, by, now_ms, kind="split", reference=new_id)
    return rest, life.noted(new, f"{by} took it out of “{case.title}”.", by, now_ms, kind="opened", reference=case.id)


def _apart(labels: object, other: str) -> dict[str, str]:
    known = dict(labels) if isinstance(labels, dict) else {}
    return {**known, APART: " ".join([*known.get(APART, "").split(), other][-APART_MAX:])}


def _spots(case: Case) -> tuple[Spot, ...]:
    """Where the signals of the case show."""
    return tuple(Line.of(replace(case, spots=())).spots.values())
