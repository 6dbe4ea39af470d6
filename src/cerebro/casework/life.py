"""The life of a case: what findings, time and people do to it. Values in, values out.

What a case holds of a trouble, a `Signal`, is the latest of what was said of it, whatever the
order it was said in; severity, title and entities follow from the signals alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from cerebro.casework.correlate import Limits
from cerebro.kernel.access.model import OWN_NAME
from cerebro.spine.cases import LIVE, MOVES, Case, CaseState, Entry, Signal
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import ActionId, CaseId, FindingId

CEREBRO = OWN_NAME
FINDINGS_MAX = 500  # named by a case; the findings beyond carry the case's id, and are counted
SIGNALS_MAX = 500  # followed by a case, the worst ones; it resolves when these are quiet
SIGNAL_ENTRIES_MAX = 300  # lines that findings may add to a timeline; people and changes of state always may
TIMELINE_MAX = 2000
TEXT_CHARS_MAX = 4000
TITLE_CHARS_MAX = 300
CALM_REOPENINGS = 3  # from the next on, a flapping case must hold twice as long each time
OF_SIGNALS = frozenset({"finding_joined", "cleared", "returned"})


class Refusal(StrEnum):
    """Why a case stays as it is, in the words that its reader sees."""

    CLOSED = "The case is closed; a closed case stays as it is."
    ALREADY_ACKNOWLEDGED = "The case is acknowledged already."
    ALREADY_ASSIGNED = "The case is assigned to that person already."
    NOT_ENDED = "Only a resolved case can be reopened; this one is under way."
    EMPTY = "There is nothing in it."
    TIMELINE_FULL = "The case's timeline is full; open a new case."


def opened(case_id: CaseId, finding: Finding, reason: str, now_ms: int) -> Case:
    """A new case of one finding."""
    empty = Case(
        id=case_id,
        tenant=finding.tenant,
        state=CaseState.OPEN,
        severity=finding.severity,
        title="",
        opened_ms=now_ms,
        updated_ms=now_ms,
        entities=(),
        findings=(),
        began_ms=finding.at_ms,
        last_ms=finding.seen_ms,
    )
    case = _with_finding(empty, finding)
    return _noted(case, now_ms, CEREBRO, "opened", f"{case.title}. {reason}", reference=finding.id)


def joined(case: Case, finding: Finding, reason: str, now_ms: int) -> Case:
    """The case with the finding in it; one that was resolved is under investigation again."""
    if finding.id in case.findings:
        return case
    before = signal_of(case, finding.dedup_key)
    after = _with_finding(case, finding)
    kind = "finding_joined" if before is None or not before.cleared else "returned"
    after = _noted(after, now_ms, CEREBRO, kind, f"{_line(finding.title)}. {reason}", reference=finding.id)
    if case.state is CaseState.RESOLVED and after.active_keys:
        after = replace(moved(after, CaseState.INVESTIGATING), resolved_ms=0)
        after = _noted(after, now_ms, CEREBRO, "reopened", f"Reopened: {_line(finding.title)}.", reference=finding.id)
    if after.severity > case.severity:
        text = f"Severity rose from {case.severity.name.lower()} to {after.severity.name.lower()}."
        after = _noted(after, now_ms, CEREBRO, "severity_rose", text, reference=finding.id)
    return after


def cleared(case: Case, finding: Finding, now_ms: int) -> Case:
    """The case once a signal of it is back to its usual self."""
    signal = signal_of(case, finding.dedup_key)
    if signal is None or finding.seen_ms <= signal.cleared_ms or case.state is CaseState.CLOSED:
        return case
    told = replace(signal, cleared_ms=finding.seen_ms, cleared=0 < finding.seen_ms >= signal.raised_ms)
    after = _with_signals(case, [*(s for s in case.signals if s.key != signal.key), told])
    if not told.cleared or signal.cleared:
        return after
    left = len(after.active_keys)
    rest = (
        f"{left} more signal{'s are' if left > 1 else ' is'} still off."
        if left
        else "No signal of the case is off any more."
    )
    return _noted(after, now_ms, CEREBRO, "cleared", f"Over: {_line(finding.title)}. {rest}", reference=finding.id)


def merged(case: Case, other: Case, now_ms: int) -> tuple[Case, Case]:
    """The case with all of the other, and the other, closed and pointing to it."""
    findings = tuple(dict.fromkeys(case.findings + other.findings))[:FINDINGS_MAX]
    after = replace(
        case,
        findings=findings,
        finding_count=case.finding_count + other.finding_count,
        began_ms=min(case.began_ms, other.began_ms),
        last_ms=max(case.last_ms, other.last_ms),
        acknowledged_by=case.acknowledged_by or other.acknowledged_by,
        assignee=case.assignee or other.assignee,
        actions=case.actions + other.actions,
    )
    if case.state is CaseState.OPEN and other.acknowledged_by:
        after = moved(after, CaseState.INVESTIGATING)
    signals: Iterable[Signal] = case.signals
    for signal in other.signals:
        signals = _told(signals, signal)
    after = _with_signals(after, signals)
    lines = sorted(case.timeline + other.timeline, key=lambda entry: entry.at_ms)[: TIMELINE_MAX - 1]
    after = replace(after, timeline=tuple(lines))
    after = _noted(
        after, now_ms, CEREBRO, "merged", f"Merged with “{other.title}”: they are one story.", reference=other.id
    )
    gone = replace(moved(other, CaseState.CLOSED), labels={**other.labels, "merged_into": case.id})
    return after, _noted(gone, now_ms, CEREBRO, "merged", f"Merged into “{case.title}”.", reference=case.id)


def holding(case: Case, signals: Iterable[Signal], findings: Iterable[FindingId]) -> Case:
    """The case when it holds just these signals, of those that it or another held."""
    signals = tuple(signals)
    case = replace(case, findings=tuple(findings)[:FINDINGS_MAX])
    began_ms, last_ms = min(s.at_ms for s in signals), max(s.raised_ms for s in signals)
    return replace(_with_signals(case, signals), began_ms=began_ms, last_ms=last_ms)


def noted(case: Case, text: str, by: str, now_ms: int, *, kind: str, reference: str) -> Case:
    """The case with one more line in its timeline."""
    return _noted(case, now_ms, by, kind, text[:TEXT_CHARS_MAX], reference=reference)


def settled(case: Case, now_ms: int, limits: Limits) -> Case:
    """The case resolved, when every signal of it has been quiet for long enough; else as it was."""
    if not may_settle(case) or now_ms - case.cleared_ms < hold_ms(case, limits):
        return case
    after = replace(moved(case, CaseState.RESOLVED), resolved_ms=now_ms)
    quiet_s = (now_ms - case.cleared_ms) / 1000
    return _noted(
        after, now_ms, CEREBRO, "resolved", f"Resolved by itself: every signal has been quiet for {quiet_s:.0f} s."
    )


def may_settle(case: Case) -> bool:
    """Whether only time stands between the case and its resolution."""
    return case.state in LIVE and not case.active_keys and case.cleared_ms > 0


def hold_ms(case: Case, limits: Limits) -> int:
    """How long the case's signals must stay quiet. A case that flaps must hold longer each time, up to 32 times."""
    reopenings = sum(entry.kind == "reopened" for entry in case.timeline)
    return limits.hold_ms << min(max(reopenings - CALM_REOPENINGS, 0), 5)


def acknowledged(case: Case, by: str, now_ms: int) -> Case | Refusal:
    """Someone looks at the case."""
    if case.state is CaseState.CLOSED:
        return Refusal.CLOSED
    if case.acknowledged_by:
        return Refusal.ALREADY_ACKNOWLEDGED
    after = replace(case, acknowledged_by=by)
    if case.state is CaseState.OPEN:
        after = moved(after, CaseState.INVESTIGATING)
    return _noted(after, now_ms, by, "acknowledged", f"{by} looks at it.")


def assigned(case: Case, assignee: str, by: str, now_ms: int) -> Case | Refusal:
    """The case is someone's; an empty assignee makes it nobody's."""
    if case.state is CaseState.CLOSED:
        return Refusal.CLOSED
    if case.assignee == assignee:
        return Refusal.ALREADY_ASSIGNED
    text = f"Assigned to {assignee}." if assignee else f"No longer assigned to {case.assignee}."
    return _noted(replace(case, assignee=assignee), now_ms, by, "assigned", text)


def commented(case: Case, text: str, by: str, now_ms: int) -> Case | Refusal:
    """What someone has to say; closed cases too can be commented on."""
    if not text.strip():
        return Refusal.EMPTY
    if len(case.timeline) >= TIMELINE_MAX:
        return Refusal.TIMELINE_FULL
    return _noted(case, now_ms, by, "commented", text.strip()[:TEXT_CHARS_MAX])


def noted_post_mortem(case: Case, by: str, now_ms: int) -> Case | Refusal:
    """Someone has written the post-mortem; of an evening's edits the timeline keeps the first."""
    if len(case.timeline) >= TIMELINE_MAX:
        return Refusal.TIMELINE_FULL
    last = case.timeline[-1] if case.timeline else None
    if last and last.kind == "post_mortem_written" and last.actor == by:
        return case
    return _noted(case, now_ms, by, "post_mortem_written", "Wrote the post-mortem.")


def closed(case: Case, text: str, by: str, now_ms: int) -> Case | Refusal:
    """The case is over for good; findings that come later open another."""
    if case.state is CaseState.CLOSED:
        return Refusal.CLOSED
    said = text.strip()[:TEXT_CHARS_MAX]
    return _noted(moved(case, CaseState.CLOSED), now_ms, by, "closed", f"Closed: {said}" if said else "Closed.")


def reopened(case: Case, text: str, by: str, now_ms: int) -> Case | Refusal:
    """A resolved case is looked into again. It then waits for a person, or for a signal to come and go."""
    if case.state is CaseState.CLOSED:
        return Refusal.CLOSED
    if case.state is not CaseState.RESOLVED:
        return Refusal.NOT_ENDED
    said = text.strip()[:TEXT_CHARS_MAX]
    after = replace(moved(case, CaseState.INVESTIGATING), resolved_ms=0, cleared_ms=0)
    return _noted(after, now_ms, by, "reopened", f"Reopened: {said}" if said else "Reopened.")


def silenced(case: Case, text: str, by: str, now_ms: int, silence_id: str) -> Case | Refusal:
    """The timeline tells that the case's entities are silenced; the case itself goes on."""
    if case.state is CaseState.CLOSED:
        return Refusal.CLOSED
    return _noted(case, now_ms, by, "silenced", text, reference=silence_id)


def acted(
    case: Case,
    kind: str,
    text: str,
    now_ms: int,
    *,
    by: str = CEREBRO,
    action: str = "",
    state: CaseState | None = None,
) -> Case:
    """What an action has come to, in the timeline; a state that the case cannot go to from here is left out."""
    if action and action not in case.actions:
        case = replace(case, actions=(*case.actions, ActionId(action)))
    if state is not None and state in MOVES[case.state]:
        case = moved(case, state)
    return _noted(case, now_ms, by, kind, text[:TEXT_CHARS_MAX], reference=action)


def moved(case: Case, state: CaseState) -> Case:
    """The case in another state; only ever along `MOVES`."""
    assert state in MOVES[case.state], f"{case.state} does not lead to {state}"
    return replace(case, state=state)


def signal_of(case: Case, key: str) -> Signal | None:
    """What the case last heard of one trouble."""
    return next((signal for signal in case.signals if signal.key == key), None)


def _with_finding(case: Case, finding: Finding) -> Case:
    told = Signal(
        key=finding.dedup_key,
        finding=finding.id,
        entity=finding.entity,
        severity=finding.severity,
        title=_line(finding.title),
        at_ms=finding.at_ms,
        raised_ms=finding.seen_ms,
    )
    case = replace(
        case,
        findings=(*case.findings, finding.id) if len(case.findings) < FINDINGS_MAX else case.findings,
        finding_count=case.finding_count + 1,
        began_ms=min(case.began_ms, finding.at_ms),
        last_ms=max(case.last_ms, finding.seen_ms),
    )
    known = signal_of(case, told.key)
    if known is None and len(case.signals) >= SIGNALS_MAX and all(_rank(told) > _rank(each) for each in case.signals):
        return case  # it follows worse ones
    return _with_signals(case, _told(case.signals, told), _entities_still(case, known, told))


def _entities_still(case: Case, known: Signal | None, told: Signal) -> tuple[EntityKey, ...] | None:
    """The entities of the case when a signal changes none of their onsets; a storm asks this of every alert."""
    if known is not None:
        return case.entities if known.entity == told.entity and known.at_ms <= told.at_ms else None
    if len(case.signals) >= SIGNALS_MAX:
        return None
    earlier = any(each.at_ms <= told.at_ms and each.entity == told.entity for each in case.signals)
    return case.entities if earlier else None


def _with_signals(case: Case, signals: Iterable[Signal], entities: tuple[EntityKey, ...] | None = None) -> Case:
    """The case, with what follows from its signals brought up to them; `entities` where they are known already."""
    signals = tuple(sorted(_worst(signals), key=lambda signal: signal.key))
    active = tuple(signal for signal in signals if not signal.cleared)
    telling = active or signals
    lead = min(telling, key=lambda signal: (-signal.severity, signal.at_ms, signal.key))
    others = f" (and {len(telling) - 1} more)" if len(telling) > 1 else ""
    return replace(
        case,
        signals=signals,
        active_keys=tuple(signal.key for signal in active),
        severity=Severity(lead.severity),
        title=lead.title + others,
        entities=_by_onset(signals) if entities is None else entities,
        cleared_ms=0 if active else max(signal.cleared_ms for signal in signals),
    )


def _told(signals: Iterable[Signal], told: Signal) -> list[Signal]:
    """The signals with what was told of one of them."""
    others, known = [], None
    for signal in signals:
        if signal.key == told.key:
            known = signal
        else:
            others.append(signal)
    return [*others, _both(known, told) if known else told]


def _both(one: Signal, other: Signal) -> Signal:
    """What two tell of one trouble: the last raise, the last clearing, the earliest onset."""
    last = max(one, other, key=lambda signal: (signal.raised_ms, signal.finding))
    cleared_ms = max(one.cleared_ms, other.cleared_ms)
    return replace(
        last,
        at_ms=min(one.at_ms, other.at_ms),
        cleared_ms=cleared_ms,
        cleared=0 < cleared_ms >= last.raised_ms,
    )


def _worst(signals: Iterable[Signal]) -> list[Signal]:
    """As many as a case follows: those that are still off before those that are over, the worst first."""
    every = list(signals)
    if len(every) <= SIGNALS_MAX:
        return every
    return sorted(every, key=_rank)[:SIGNALS_MAX]


def _rank(signal: Signal) -> tuple[bool, int, int, str]:
    return signal.cleared, -signal.severity, signal.at_ms, signal.key


def _by_onset(signals: Iterable[Signal]) -> tuple[EntityKey, ...]:
    """The entities concerned, the one where it began first."""
    began: dict[EntityKey, int] = {}
    for signal in signals:
        began[signal.entity] = min(signal.at_ms, began.get(signal.entity, signal.at_ms))
    return tuple(sorted(began, key=lambda entity: (began[entity], entity)))


def _noted(case: Case, at_ms: int, actor: str, kind: str, text: str, *, reference: str = "") -> Case:
    case = replace(case, updated_ms=max(case.updated_ms, at_ms))
    may_be_full = kind in OF_SIGNALS and len(case.timeline) >= SIGNAL_ENTRIES_MAX
    of_signals = sum(entry.kind in OF_SIGNALS for entry in case.timeline) if may_be_full else 0
    if of_signals > SIGNAL_ENTRIES_MAX or len(case.timeline) >= TIMELINE_MAX:
        return case
    if of_signals == SIGNAL_ENTRIES_MAX:
        text = "Further findings belong to the case, but are no longer listed here one by one."
    entry = Entry(at_ms=at_ms, actor=actor, kind=kind, text=text, reference=reference)
    return replace(case, timeline=(*case.timeline, entry))


def _line(title: str) -> str:
    """A finding's title as one line of bounded length, without its full stop."""
    return " ".join(title.split())[:TITLE_CHARS_MAX].rstrip(".")
