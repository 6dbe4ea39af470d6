"""The whole story of a case in proved sentences: what hurts, since when, the cause, what changed, what is not known.

Templates by hand, values in, sentences out; nothing here asks anyone. What cannot be proved is not told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cerebro.casework.phrases import ENTITY_KINDS_RU, MOVED_RU, Teller
from cerebro.casework.proof import CLICKHOUSE, Part, Sentence, digest_of_rows, fault_of, recorded
from cerebro.casework.reread import chosen, path_of
from cerebro.casework.russian import in_russian
from cerebro.spine.cases import LIVE, Case, Cause, Entry, Signal
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import ALERT, Evidence, Finding
from cerebro.spine.identity import FindingId, TenantId
from cerebro.spine.quote import named, one_line, quoted

SIGNALS_TOLD = 5
CAUSES_TOLD = 3
EVIDENCE_TOLD = 4  # of one cause, sentence by sentence
CHANGES_TOLD = 6
TRIED_TOLD = 12
BEFORE_MS = 3_600_000  # changes so long before the first sign may have to do with it
AFTER_MS = 60_000
CHANGE_COLUMNS = ("at_ms", "kind", "entity_kind", "entity_name", "source", "title")
UNKNOWN = "unknown"
TITLE_CHARS_MAX = 300
OF_ACTIONS = ("action_", "acted", "proposed", "approved", "refused", "executed", "verified", "undone", "escalated")
OF_GAPS = ("gap", "dead_end")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to the estate."""

    at_ms: int
    kind: str
    entity: EntityKey
    title: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What was done around the beginning of a case, with the question that shows it."""

    items: tuple[Change, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Material:
    """All that a story is made of.

    Args:
        findings: By id; those that the case's signals name.
        changes: `None` when nobody could be asked.
    """

    case: Case
    findings: Mapping[FindingId, Finding]
    changes: Changes | None = None


def tell(material: Material, teller: Teller) -> tuple[Sentence, ...]:
    """The story, in the order in which it is read at three in the morning."""
    parts = (_hurts, _since, _owner, _cause, _changed, _tried, _unknown)
    return tuple(sentence for part in parts for sentence in part(material, teller))


def changes_query(case: Case, tenant: TenantId) -> tuple[str, int, int]:
    """What to ask for the changes around the beginning of a case: the SQL, and its window."""
    start_ms = max(0, case.began_ms - BEFORE_MS)
    end_ms = max(case.opened_ms, case.began_ms) + AFTER_MS
    whose = tenant.replace("\\", "\\\\").replace("'", "\\'")
    sql = (
        "SELECT toUnixTimestamp64Milli(at) AS at_ms, kind, entity_kind, entity_name, source, title FROM events"  # noqa: S608  quoted
        f" WHERE tenant = '{whose}' AND at >= fromUnixTimestamp64Milli({start_ms})"
        f" AND at < fromUnixTimestamp64Milli({end_ms}) ORDER BY at, id LIMIT 200"
    )
    return sql, start_ms, end_ms


def changes_of(case: Case, tenant: TenantId, rows: Sequence[Mapping[str, object]]) -> Changes:
    """The rows that `changes_query` gave, as changes with their proof."""
    sql, start_ms, end_ms = changes_query(case, tenant)
    found = tuple(
        Change(
            int(str(row["at_ms"])),
            str(row["kind"]),
            EntityKey(str(row["entity_kind"]), str(row["entity_name"])),
            str(row["title"]),
        )
        for row in rows
    )
    whole = digest_of_rows(CHANGE_COLUMNS, [tuple(row[name] for name in CHANGE_COLUMNS) for row in rows])
    sample = {"rows": [dict(row) for row in rows[:CHANGES_TOLD]]}
    return Changes(found, Evidence("", CLICKHOUSE, sql, start_ms, end_ms, whole, sample))


def _hurts(material: Material, teller: Teller) -> Iterator[Sentence]:
    case = material.case
    active = [signal for signal in case.signals if not signal.cleared]
    told = sorted(active or case.signals, key=lambda each: (-each.severity, each.at_ms, each.key))
    if not active and case.cleared_ms:
        yield _of_case(case, "cleared_ms", Part.HURTS, teller.words("hurts.quiet", at=teller.at(case.cleared_ms)))
    if case.impact:
        yield _of_case(case, "impact", Part.HURTS, teller.words("hurts.impact", impact=case.impact))
    for signal in told[:SIGNALS_TOLD]:
        if finding := material.findings.get(signal.finding):
            text = teller.words("hurts.finding", title=titled(finding, teller).rstrip("."))
            yield Sentence(text, _proofs(finding), Part.HURTS)
    if len(told) > SIGNALS_TOLD:
        yield _of_case(case, "signals", Part.HURTS, teller.words("hurts.more", count=len(told) - SIGNALS_TOLD))


def _since(material: Material, teller: Teller) -> Iterator[Sentence]:
    case = material.case
    first = min(case.signals, key=lambda signal: (signal.at_ms, signal.key), default=None)
    opened = next((entry for entry in case.timeline if entry.kind == "opened"), None)
    proofs = _first_signs(material, first) if first else ()
    if opened:
        proofs = (*proofs, _line(case, opened))
    if proofs:
        ahead_ms = case.opened_ms - case.began_ms
        key = "since.began" if ahead_ms >= 1000 else "since.at_once"
        said = teller.words(key, began=teller.at(case.began_ms), span=teller.span(ahead_ms))
        yield Sentence(said, proofs, Part.SINCE)
    returns = [entry for entry in case.timeline if entry.kind == "reopened"]
    if returns:
        key = "since.reopened_once" if len(returns) == 1 else "since.reopened"
        yield Sentence(teller.words(key, count=len(returns)), (_line(case, returns[-1]),), Part.SINCE)
    if case.resolved_ms:
        said = teller.words(
            "since.resolved", at=teller.at(case.resolved_ms), span=teller.span(case.resolved_ms - case.began_ms)
        )
        yield _of_case(case, "resolved_ms", Part.SINCE, said)


def _owner(material: Material, teller: Teller) -> Iterator[Sentence]:
    case = material.case
    looks = next((entry for entry in case.timeline if entry.kind == "acknowledged"), None)
    if case.assignee:
        yield _of_case(case, "assignee", Part.OWNER, teller.words("owner.has", who=case.assignee))
    elif looks:
        said = teller.words("owner.looks", who=looks.actor, at=teller.at(looks.at_ms))
        yield Sentence(said, (_line(case, looks),), Part.OWNER)
    elif case.state in LIVE:
        yield _of_case(case, "assignee", Part.OWNER, teller.words("owner.nobody"))


def _cause(material: Material, teller: Teller) -> Iterator[Sentence]:
    for place, cause in enumerate(proved(material.case)[:CAUSES_TOLD]):
        key = "cause.first" if place == 0 else "cause.other"
        said = teller.words(
            key,
            share=teller.share(cause.share),
            entity=said_of(cause.entity, teller),
            kind=teller.cause_kind(cause.kind),
            explanation=_told(cause.explanation, teller),
        )
        yield Sentence(said.strip(), _good(cause.evidence), Part.CAUSE)
        if place == 0:
            for each in _good(cause.evidence)[:EVIDENCE_TOLD]:
                if each.sentence.strip() and each.sentence not in cause.explanation:
                    yield Sentence(
                        teller.words("cause.evidence", sentence=_told(each.sentence, teller)), (each,), Part.CAUSE
                    )


def _changed(material: Material, teller: Teller) -> Iterator[Sentence]:
    changes = material.changes
    if changes is None:
        return
    told = [change for change in changes.items if change.kind != "silence"]
    near = sorted(told, key=lambda change: abs(change.at_ms - material.case.began_ms))[:CHANGES_TOLD]
    for change in sorted(near, key=lambda change: change.at_ms):
        said = teller.words(
            "changed.event",
            at=teller.at(change.at_ms),
            kind=teller.change_kind(change.kind),
            entity=said_of(change.entity, teller),
            title=f" — {quoted(change.title)}" if change.title else "",
        )
        yield Sentence(said, (changes.evidence,), Part.CHANGED)
    if not told:
        start, end = teller.at(changes.evidence.start_ms), teller.at(changes.evidence.end_ms)
        yield Sentence(teller.words("changed.none", start=start, end=end), (changes.evidence,), Part.CHANGED)


def _tried(material: Material, teller: Teller) -> Iterator[Sentence]:
    case = material.case
    deeds = [entry for entry in case.timeline if entry.reference in case.actions or entry.kind.startswith(OF_ACTIONS)]
    for entry in deeds[-TRIED_TOLD:]:
        who = "Cerebro" if entry.actor == "cerebro" else entry.actor
        said = teller.words("tried.action", at=teller.at(entry.at_ms), who=who, text=one_line(entry.text))
        yield Sentence(said, (_line(case, entry),), Part.TRIED)


def _unknown(material: Material, teller: Teller) -> Iterator[Sentence]:
    case = material.case
    named_causes = [cause for cause in case.causes if cause.kind != UNKNOWN]
    if not named_causes:
        yield _of_case(case, "causes", Part.UNKNOWN, teller.words("unknown.no_cause"))
    unproved = len(named_causes) - len(proved(case))
    if unproved:
        yield _of_case(case, "causes", Part.UNKNOWN, teller.words("unknown.unproved", count=unproved))
    left = 1.0 - sum(cause.share for cause in named_causes)
    if named_causes and left >= 0.005:
        yield _of_case(case, "causes", Part.UNKNOWN, teller.words("unknown.share", share=teller.share(left)))
    gaps = {entry.text: entry for entry in case.timeline if entry.kind in OF_GAPS}  # the same one may be told again
    for entry in list(gaps.values())[-TRIED_TOLD:]:
        yield Sentence(
            teller.words("unknown.gap", text=_told(one_line(entry.text), teller)), (_line(case, entry),), Part.UNKNOWN
        )


def proved(case: Case) -> list[Cause]:
    """The causes that can be told: named ones with evidence that can be asked again, the likeliest first."""
    causes = [cause for cause in case.causes if cause.kind != UNKNOWN and _good(cause.evidence)]
    return sorted(causes, key=lambda cause: (cause.rank, -cause.share))


def titled(finding: Finding, teller: Teller) -> str:
    """What was found, as a title: the agent's own in English, one made of its facts in Russian."""
    if finding.kind == ALERT:
        return quoted(finding.title, TITLE_CHARS_MAX)
    if teller.language != "ru" or finding.kind not in MOVED_RU:
        return one_line(finding.title)
    if finding.kind == "silence":
        return f"{said_of(finding.entity, teller)}: {MOVED_RU[finding.kind][0]}"
    sample = finding.evidence[0].sample if finding.evidence else {}
    now, usual = _last(sample.get("value")), _last(sample.get("expected"))
    up = now is None or usual is None or now >= usual
    said = f"{said_of(finding.entity, teller)}: {_signal(finding.signal)} — {MOVED_RU[finding.kind][0 if up else 1]}"
    if now is None:
        return said
    unit, rate = str(sample.get("unit", "")), sample.get("reading") == "rate"
    said += f", {teller.amount(now, unit, finding.signal, rate=rate)}"
    return said + (f" при обычных {teller.amount(usual, unit, finding.signal, rate=rate)}" if usual is not None else "")


def _signal(signal: str) -> str:
    kind, _, of = signal.partition(":")
    return quoted(of) if kind == "span" else named(signal)


def said_of(entity: EntityKey, teller: Teller) -> str:
    """An entity as people say it: `service checkout`."""
    kind = ENTITY_KINDS_RU.get(entity.kind, entity.kind) if teller.language == "ru" else entity.kind
    return f"{kind} {named(entity.name)}"


def _told(text: str, teller: Teller) -> str:
    """What the diagnosis says, in the listener's language as far as it is known there."""
    return in_russian(text) if teller.language == "ru" else text


def _first_signs(material: Material, first: Signal) -> tuple[Evidence, ...]:
    finding = material.findings.get(first.finding)
    return (_kept(finding),) if finding else ()


def _proofs(finding: Finding) -> tuple[Evidence, ...]:
    return _good(finding.evidence) or (_kept(finding),)


def _good(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    return tuple(each for each in evidence if not fault_of(each))


def _kept(finding: Finding) -> Evidence:
    path = path_of("findings", finding.id)
    kept = recorded(one_line(finding.title), path, chosen(finding, path), finding.at_ms, finding.seen_ms)
    shown = {"id": finding.id, "agent": finding.agent, "at_ms": finding.at_ms, "seen_ms": finding.seen_ms}
    return replace(kept, sample=shown)


def _of_case(case: Case, field: str, part: Part, said: str) -> Sentence:
    path = path_of("cases", case.id, field)
    kept = recorded(said, path, chosen(case, path), case.began_ms, case.updated_ms)
    return Sentence(said, (replace(kept, sample={}) if field in ("signals", "causes") else kept,), part)


def _line(case: Case, entry: Entry) -> Evidence:
    path = path_of("cases", case.id, "timeline", kind=entry.kind, at_ms=entry.at_ms)
    return recorded(one_line(entry.text), path, chosen(case, path), entry.at_ms, entry.at_ms)


def _last(column: object) -> float | None:
    """The last number of a drawn column."""
    numbers = [each for each in column if isinstance(each, int | float)] if isinstance(column, list | tuple) else []
    return float(numbers[-1]) if numbers else None
