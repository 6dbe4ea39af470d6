"""What casework keeps in the store of record, and the questions it asks there."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from cerebro.casework.life import may_settle
from cerebro.casework.silence import Silence
from cerebro.kernel.records.port import Collection, Record, Search, Transaction
from cerebro.spine.cases import LIVE, Case
from cerebro.spine.findings import Finding
from cerebro.spine.identity import SELF_TENANT, CaseId, TenantId

SILENCES_MAX = 1000  # running at one time, a tenant
PAGE = 500

NO_CASE = CaseId("")
JOINABLE = "joinable"  # the one key of `SCENES`
RULES_KEY, HISTORY_KEY = "rules", "history"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeptFinding(Finding):
    """A finding, and what became of it."""

    case: CaseId = NO_CASE  # empty when it opened and joined none
    silence: str = ""  # the silence that kept it from that
    mark: str = ""  # see `mark`


@dataclass(frozen=True, slots=True)
class KeptCase(Case):
    """A case, with what it is looked for by."""

    live: bool = True
    settling: bool = False  # only time stands between it and its resolution


@dataclass(frozen=True, slots=True)
class Scene:
    """The cases of a tenant that a finding can join. Locked by who decides, so that two never open one each."""

    cases: tuple[CaseId, ...]


@dataclass(frozen=True, slots=True)
class KeptRules:
    """The rules of correlation as a person wrote them."""

    text: str
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """How often troubles of entities came, and came together; by text, pairs with a line feed between."""

    alone: Mapping[str, int] = field(default_factory=dict)
    together: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """A change of a case that is to be told to someone outside, and how far that has come."""

    id: str
    tenant: TenantId
    case: CaseId
    change: str
    body: str  # JSON, as it is sent
    made_ms: int
    due_ms: int
    state: str = "due"  # due | sent | dead
    attempt_count: int = 0
    error: str = ""  # of the last attempt


@dataclass(frozen=True, slots=True)
class Known:
    """A tenant that has cases."""

    tenant: TenantId


FINDINGS = Collection(
    "findings",
    KeptFinding,
    ("entity", "agent", "kind", "severity", "seen_ms", "dedup_key", "case", "silence", "mark", "cleared"),
    (("mark",),),
)
CASES = Collection(
    "cases", KeptCase, ("state", "severity", "assignee", "entities", "opened_ms", "updated_ms", "live", "settling")
)
SILENCES = Collection("silences", Silence, ("live", "ends_ms", "entity", "signal"))
SCENES = Collection("scenes", Scene)
RULES = Collection("map_drawings", KeptRules)  # beside what else people say of the map, under `RULES_KEY`
HISTORIES = Collection("scenes", History)  # beside `JOINABLE`, under `HISTORY_KEY`
NOTICES = Collection("notices", Notice, ("state", "due_ms", "case"))  # all under SELF_TENANT: one queue
TENANTS = Collection("case_tenants", Known)  # under SELF_TENANT


def mark(finding: Finding) -> str:
    """What two deliveries of one finding share, even when an agent that lost its memory names it anew."""
    said = f"{finding.dedup_key}\0{finding.cleared}\0{finding.seen_ms}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def keep_finding(finding: Finding, case: CaseId = NO_CASE, silence: str = "") -> KeptFinding:
    """The finding as it is kept."""
    return KeptFinding(**_values(finding, Finding), case=case, silence=silence, mark=mark(finding))


def keep_case(case: Case) -> KeptCase:
    """The case as it is kept."""
    return KeptCase(**_values(case, Case), live=case.state in LIVE, settling=may_settle(case))


async def running_silences(transaction: Transaction, tenant: TenantId) -> list[Silence]:
    """Every silence whose end has not been acted on."""
    page = await transaction.find(SILENCES, tenant, Search({"live": True}, order="ends_ms", limit=SILENCES_MAX))
    return [record.value for record in page.records]


async def findings_of(transaction: Transaction, tenant: TenantId, case: CaseId, limit: int) -> list[KeptFinding]:
    """The findings of a case, the newest first."""
    page = await transaction.find(FINDINGS, tenant, Search({"case": case}, order="-seen_ms", limit=limit))
    return [record.value for record in page.records]


async def known_tenants(transaction: Transaction) -> list[TenantId]:
    """Every tenant that has had a finding."""
    return [TenantId(record.key) async for record in every(transaction, TENANTS, SELF_TENANT)]


async def every(
    transaction: Transaction, collection: Collection[T], tenant: TenantId, search: Search | None = None
) -> AsyncIterator[Record[T]]:
    """Every record that matches, page after page."""
    search = search or Search({}, limit=PAGE)
    while True:
        page = await transaction.find(collection, tenant, search)
        for record in page.records:
            yield record
        if not page.cursor:
            return
        search = replace(search, after=page.cursor)


def _values(value: object, kind: type[Any]) -> dict[str, Any]:
    """The fields of `kind` that the value holds; deep values are shared, not copied."""
    return {field.name: getattr(value, field.name) for field in fields(kind)}
