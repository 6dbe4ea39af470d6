"""What the API asks the store of record, as values that can be encoded as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass
from typing import Any, get_type_hints

from cerebro.casework.lines import CaseLine, FindingLine, case_line, finding_line
from cerebro.casework.silence import Silence, about
from cerebro.casework.store import CASES, FINDINGS, SILENCES, KeptCase, KeptFinding, findings_of, running_silences
from cerebro.kernel.records.port import Record, Records, Scalar, Search
from cerebro.kernel.records.shape import make_cursor
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, NotFound
from cerebro.spine.findings import Severity
from cerebro.spine.identity import CaseId, TenantId

PAGE_MAX = 500
SCANNED_MAX = 2000  # cases looked through for a text by one question
FINDINGS_SHOWN = 200  # of one case, in full
ORDERS = {"opened": "-opened_ms", "updated": "-updated_ms", "severity": "-severity"}

Where = dict[str, Scalar | tuple[Scalar, ...]]


@dataclass(frozen=True, slots=True)
class CasePage:
    """One page of cases; `cursor` is empty on the last, and a page may be shorter than was asked for."""

    items: Sequence[CaseLine]
    cursor: str


@dataclass(frozen=True, slots=True)
class FindingPage:
    """One page of findings, the newest first."""

    items: Sequence[FindingLine]
    cursor: str


@dataclass(frozen=True, slots=True)
class SilencePage:
    """Silences, those that end soonest first."""

    items: Sequence[Silence]
    cursor: str


# A case with everything its page shows. `findings` are whole, the newest first, at most `FINDINGS_SHOWN`; `version`
# is to be named in a change that shall be refused when someone else was faster; `silences` run on its entities.
WholeCase = make_dataclass(
    "WholeCase",
    [
        *((name, kind) for name, kind in get_type_hints(KeptCase).items() if name != "findings"),
        ("findings", tuple[KeptFinding, ...]),
        ("version", int),
        ("silences", tuple[Silence, ...]),
    ],
    frozen=True,
)


async def list_cases(
    records: Records, tenant: TenantId, where: Where, *, text: str, order: str, cursor: str, limit: int
) -> CasePage:
    """Cases that match, and whose title, entities or id hold the text."""
    if order not in ORDERS:
        raise Invalid(f"There is no order {order!r}.", f"Choose one of: {', '.join(ORDERS)}.")
    words = text.lower().split()
    step = max(1, limit // 4) if words else limit
    found: list[CaseLine] = []
    scanned_count = 0
    async with records.transaction() as transaction:
        while True:
            search = Search(where, order=ORDERS[order], after=cursor, limit=step)
            page = await transaction.find(CASES, tenant, search)
            lines = [case_line(record.value) for record in page.records]
            found += [line for line in lines if _holds(line, words)]
            cursor, scanned_count = page.cursor, scanned_count + step
            if not cursor or len(found) + step > limit or scanned_count >= SCANNED_MAX:
                return CasePage(found, cursor)


async def whole_case(records: Records, tenant: TenantId, case_id: CaseId) -> dict[str, Any]:
    """The case with its findings, in the form of `WholeCase`.

    Raises:
        NotFound: The tenant has no such case.
    """
    async with records.transaction() as transaction:
        record = await transaction.load(CASES, tenant, case_id, lock=False)
        if record is None:
            raise NotFound(f"There is no case {case_id}.", "It may belong to another tenant.")
        found = await findings_of(transaction, tenant, case_id, FINDINGS_SHOWN)
        silences = await running_silences(transaction, tenant)
    return whole(record, found, silences)


def whole(record: Record[KeptCase], found: Sequence[KeptFinding], silences: Sequence[Silence]) -> dict[str, Any]:
    """A case in the form of `WholeCase`."""
    case = record.value
    values = {field.name: getattr(case, field.name) for field in fields(KeptCase)}
    concerning = [one for one in silences if one.entity and any(about(one, entity) for entity in case.entities)]
    return values | {"findings": found, "version": record.version, "silences": concerning}


async def list_findings(
    records: Records, tenant: TenantId, where: Where, *, since_ms: int, cursor: str, limit: int
) -> FindingPage:
    """Findings that match and were seen at `since_ms` or later."""
    async with records.transaction() as transaction:
        page = await transaction.find(FINDINGS, tenant, Search(where, order="-seen_ms", after=cursor, limit=limit))
    lines = [finding_line(record.value, record.value.case, record.value.silence) for record in page.records]
    kept = [line for line in lines if line.seen_ms >= since_ms]
    return FindingPage(kept, page.cursor if len(kept) == len(lines) else "")


async def one_finding(records: Records, tenant: TenantId, finding_id: str) -> KeptFinding:
    """The finding with its evidence.

    Raises:
        NotFound: The tenant has no such finding.
    """
    async with records.transaction() as transaction:
        record = await transaction.load(FINDINGS, tenant, finding_id, lock=False)
    if record is None:
        raise NotFound(f"There is no finding {finding_id}.", "It may belong to another tenant.")
    return record.value


async def list_silences(
    records: Records, tenant: TenantId, *, everything: bool, cursor: str, limit: int
) -> SilencePage:
    """Running silences; with `everything`, ended ones too."""
    where: Where = {} if everything else {"live": True}
    async with records.transaction() as transaction:
        page = await transaction.find(SILENCES, tenant, Search(where, order="ends_ms", after=cursor, limit=limit))
    return SilencePage([record.value for record in page.records], page.cursor)


async def worst_by_entity(records: Records, tenant: TenantId, at_ms: int = 0) -> Mapping[EntityKey, tuple[int, int]]:
    """Of each entity with a live case: the worst severity, and the count of its live cases.

    With `at_ms`, of the cases that were under way then, as bad as they ever were; the last `PAGE_MAX` opened by then.
    """
    where: Where = {} if at_ms else {"live": True}
    after = make_cursor("-opened_ms", at_ms + 1, "") if at_ms else ""
    async with records.transaction() as transaction:
        search = Search(where, order="-opened_ms", after=after, limit=PAGE_MAX)
        page = await transaction.find(CASES, tenant, search)
    found: dict[EntityKey, tuple[int, int]] = {}
    for record in page.records:
        case = record.value
        ended_ms = case.cleared_ms or case.resolved_ms or (case.updated_ms if case.state == CaseState.CLOSED else 0)
        if at_ms and ended_ms and ended_ms <= at_ms:
            continue
        active: dict[EntityKey, int] = dict.fromkeys(case.entities, 0)
        for signal in case.signals:
            if signal.at_ms <= at_ms if at_ms else not signal.cleared:
                active[signal.entity] = max(active.get(signal.entity, 0), signal.severity)
        for entity, severity in active.items():
            worst, count = found.get(entity, (0, 0))
            found[entity] = max(worst, severity), count + 1
    return found


def severities(least: str) -> tuple[int, ...]:
    """Every severity from this one on: a name or its number.

    >>> severities("major"), severities("4")
    ((3, 4), (4,))
    """
    names = {severity.name.lower(): int(severity) for severity in Severity}
    number = int(least) if least.isascii() and least.isdigit() else names.get(least.lower(), 0)
    if number not in names.values():
        raise Invalid(f"{least!r} is no severity.", f"Choose one of: {', '.join(names)}.")
    return tuple(range(number, max(names.values()) + 1))


def states(text: str) -> tuple[str, ...]:
    """States of cases, with commas between them."""
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [name for name in chosen if name not in set(CaseState)]:
        raise Invalid(f"{unknown[0]!r} is no state of a case.", f"Choose from: {', '.join(CaseState)}.")
    return chosen


def _holds(line: CaseLine, words: Sequence[str]) -> bool:
    if not words:
        return True
    text = " ".join((line.id, line.title, line.assignee, *(entity.text for entity in line.entities))).lower()
    return all(word in text for word in words)
