"""How findings become cases, as people steer it: rules, their preview, splitting and merging by hand; changes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from cerebro.casework import questions
from cerebro.casework.answers import Answers, Json, answer, question, quick_route
from cerebro.casework.correlate import Limits
from cerebro.casework.desk import Desk
from cerebro.casework.preview import WouldJoin, replayed
from cerebro.casework.rules import DEFAULT_TEXT, TEXT_BYTES_MAX, Rules, read_rules
from cerebro.casework.store import CASES, FINDINGS, RULES, RULES_KEY, KeptRules
from cerebro.casework.ties import MapTies
from cerebro.casework.topology.atlas import Atlas
from cerebro.casework.topology.draw import thing
from cerebro.casework.tying import Tying
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Search, Transaction
from cerebro.kernel.web.door import needs
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding
from cerebro.spine.identity import CaseId, TenantId

Reader = Annotated[Principal, Depends(needs("read"))]
Responder = Annotated[Principal, Depends(needs("respond"))]
Operator = Annotated[Principal, Depends(needs("operate"))]
Id = Annotated[str, Path(max_length=64)]
WEEK_MS = 7 * 86_400_000
PREVIEWED_MAX = 5000  # findings of one preview, the latest
PAGE = 500
KEYS_MAX = 500
CHANGES_S = 2.0
CHANGES = """
SELECT toUnixTimestamp64Milli(e.at) AS at_ms, e.id AS id, e.kind AS kind, e.source AS source,
    e.entity_kind AS entity_kind, e.entity_name AS entity_name, e.title AS title, e.body AS body
FROM events AS e
WHERE e.tenant = {tenant:String}
    AND e.at >= fromUnixTimestamp64Milli({since:Int64}) AND e.at < fromUnixTimestamp64Milli({until:Int64})
    AND (empty({entities:Array(String)}) OR has({entities:Array(String)}, concat(e.entity_kind, '/', e.entity_name)))
ORDER BY e.at DESC, e.id
LIMIT 1 BY e.id
LIMIT {limit:UInt32}
"""


class RulesText(BaseModel):
    """Rules of correlation as YAML."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=TEXT_BYTES_MAX, description="See docs/concepts/cases.md.")


class Merge(BaseModel):
    """The case that goes into this one."""

    model_config = ConfigDict(extra="forbid")
    other: str = Field(max_length=64, description="Its id; it is closed and points here.")


class Split(BaseModel):
    """The troubles that make a case of their own."""

    model_config = ConfigDict(extra="forbid")
    keys: list[str] = Field([], max_length=KEYS_MAX, description="Keys of signals.")
    entities: list[str] = Field([], max_length=KEYS_MAX, description="`kind/name`: all signals of these.")


@dataclass(frozen=True, slots=True)
class Noise:
    """How much less there is to read: of the latest cases of a week, at most 500."""

    finding_count: int
    case_count: int
    findings_per_case: float
    reduction: float  # 1 - cases / findings


@dataclass(frozen=True, slots=True)
class Correlation:
    """The rules that count, and what they save."""

    text: str
    rules: Rules
    by: str
    at_ms: int
    noise: Noise


@dataclass(frozen=True, slots=True)
class Preview:
    """What the rules would have done to the findings of the last week, beside those that count."""

    finding_count: int
    since_ms: int
    truncated: bool
    cases_now: int
    cases_then: int
    findings_per_case_now: float
    findings_per_case_then: float
    joins: Sequence[WouldJoin]


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """Something that was changed."""

    id: str
    at_ms: int
    kind: str
    source: str
    entity: EntityKey
    title: str
    body: str  # a JSON object


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes, the latest first."""

    items: Sequence[ChangeLine]
    cursor: str


def router(kernel: Kernel, desk: Desk, answers: Answers) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["correlation"], route_class=quick_route(answers))
    office = Office(kernel, desk, answers)

    @routes.get("/correlation", response_model=Correlation)
    async def correlation(principal: Reader) -> Json:
        """The rules that count, and how many findings a case stands for."""
        return answer(await office.correlation(principal.tenant))

    @routes.put("/correlation/rules", response_model=Correlation)
    async def keep_rules(principal: Operator, wanted: RulesText) -> Json:
        """Keep other rules; those that contradict or would never end are refused with line and mend."""
        read_rules(wanted.text)
        await office.keep_rules(principal, wanted.text)
        return answer(await office.correlation(principal.tenant))

    @routes.post("/correlation/preview", response_model=Preview)
    async def preview(principal: Reader, wanted: RulesText) -> Json:
        """What rules would have done with the findings of the last week."""
        return answer(await office.preview(principal.tenant, read_rules(wanted.text)))

    @routes.post("/cases/{case_id}/merge", response_model=questions.WholeCase)
    async def merge(principal: Responder, case_id: Id, wanted: Merge) -> Json:
        """Make two cases one."""
        audited = office.audited(principal, "case_merged", f"case/{case_id}", {"other": wanted.other})
        record = await desk.merge(principal.tenant, CaseId(case_id), CaseId(wanted.other), principal.name, also=audited)
        answers.forget(principal.tenant)
        return answer(questions.whole(record, (), ()))

    @routes.post("/cases/{case_id}/split", response_model=questions.WholeCase)
    async def split(principal: Responder, case_id: Id, wanted: Split) -> Json:
        """Make a case of some of its troubles; answers with the new one."""
        entities = frozenset(thing(text) for text in wanted.entities)
        audited = office.audited(principal, "case_split", f"case/{case_id}", wanted.model_dump())
        record = await desk.split(
            principal.tenant, CaseId(case_id), frozenset(wanted.keys), entities, principal.name, also=audited
        )
        answers.forget(principal.tenant)
        return answer(questions.whole(record, (), ()))

    @routes.get("/changes", response_model=ChangePage)
    async def changes(
        request: Request,
        principal: Reader,
        *,
        since_ms: Annotated[int, Query(ge=0, description="Unix time, milliseconds; 0 for a day ago.")] = 0,
        until_ms: Annotated[int, Query(ge=0, description="0 for now.")] = 0,
        entity: Annotated[str, Query(max_length=300, description="`kind/name`.")] = "",
        hops: Annotated[int, Query(ge=0, le=3, description="Also what is so near to it on the map.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Json:
        """Deploys, flags, restarts and other changes, the latest first."""
        about = thing(entity) if entity else None

        async def make() -> ChangePage:
            return await office.changes(principal.tenant, (since_ms, until_ms), about, hops, limit)

        return await answers.get(principal.tenant, question(request), make, ttl_s=CHANGES_S)

    return routes


class Office:
    """Rules, their preview, and changes."""

    def __init__(self, kernel: Kernel, desk: Desk, answers: Answers) -> None:
        self._kernel, self._desk, self._answers = kernel, desk, answers
        self._atlas, self._tying, self._audit = Atlas(kernel), Tying(kernel), Audit(kernel.records, kernel.clock)

    async def correlation(self, tenant: TenantId) -> Correlation:
        """The rules that count, and what they save."""
        since_ms = self._kernel.clock.now_ms() - WEEK_MS
        async with self._kernel.records.transaction() as transaction:
            kept = await transaction.load(RULES, tenant, RULES_KEY, lock=False)
            page = await transaction.find(CASES, tenant, Search({}, order="-opened_ms", limit=PAGE))
        cases = [record.value for record in page.records if record.value.opened_ms >= since_ms]
        counted = [case for case in cases if "merged_into" not in case.labels]
        told = sum(case.finding_count for case in counted)
        noise = Noise(
            told, len(counted), round(told / max(1, len(counted)), 2), round(1 - len(counted) / max(1, told), 4)
        )
        rules = kept.value if kept else KeptRules(DEFAULT_TEXT, "", 0)
        return Correlation(rules.text, read_rules(rules.text), rules.by, rules.at_ms, noise)

    async def keep_rules(self, principal: Principal, text: str) -> None:
        """These rules count from now on."""
        tenant, now_ms = principal.tenant, self._kernel.clock.now_ms()
        async with self._kernel.records.transaction() as transaction:
            kept = await transaction.load(RULES, tenant, RULES_KEY)
            after = KeptRules(text, principal.name, now_ms)
            await transaction.save(RULES, tenant, RULES_KEY, after, version=kept.version if kept else 0)
            await self._audit.append(
                tenant, principal.name, "rules_kept", "correlation", {"text": text}, transaction=transaction
            )
        self._answers.forget(tenant)

    async def preview(self, tenant: TenantId, rules: Rules) -> Preview:
        """What the rules would have done, and what those that count do, with the map of now."""
        since_ms = self._kernel.clock.now_ms() - WEEK_MS
        findings, truncated = await self._findings(tenant, since_ms)
        present = await self._tying.of(tenant)
        limits = Limits.of(self._kernel.settings.casework)
        wanted = MapTies(present.topology, rules, present.history)
        now = await asyncio.to_thread(replayed, findings, present, limits)
        then = await asyncio.to_thread(replayed, findings, wanted, limits)
        return Preview(
            finding_count=then.finding_count,
            since_ms=since_ms,
            truncated=truncated,
            cases_now=now.case_count,
            cases_then=then.case_count,
            findings_per_case_now=now.findings_per_case,
            findings_per_case_then=then.findings_per_case,
            joins=then.joins,
        )

    async def changes(
        self, tenant: TenantId, between_ms: tuple[int, int], about: EntityKey | None, hops: int, limit: int
    ) -> ChangePage:
        """Changes of a thing and of what is near it, or of everything."""
        now_ms = self._kernel.clock.now_ms()
        since_ms, until_ms = between_ms[0] or now_ms - WEEK_MS // 7, between_ms[1] or now_ms + 600_000
        near: set[EntityKey] = set()
        if about:
            near = {about, *(await self._atlas.at(tenant, min(until_ms, now_ms))).around(about, hops)}
        asked: Mapping[str, Any] = {
            "tenant": tenant, "since": since_ms, "until": until_ms, "limit": limit,
            "entities": sorted(each.text for each in near),
        }  # fmt: skip
        rows = (await self._kernel.telemetry.query(CHANGES, asked)).to_pylist()
        lines = [
            ChangeLine(
                row["id"], row["at_ms"], row["kind"], row["source"], EntityKey(row["entity_kind"], row["entity_name"]),
                row["title"], row["body"],
            )
            for row in rows
        ]  # fmt: skip
        return ChangePage(lines, "")

    def audited(self, principal: Principal, action: str, thing_text: str, detail: Mapping[str, object]) -> Any:
        """Writes the change into the audit log, last in the transaction that makes it."""

        async def also(transaction: Transaction) -> None:
            await self._audit.append(
                principal.tenant, principal.name, action, thing_text, detail, transaction=transaction
            )

        return also

    async def _findings(self, tenant: TenantId, since_ms: int) -> tuple[list[Finding], bool]:
        found: list[Finding] = []
        search = Search({"cleared": False}, order="-seen_ms", limit=PAGE)
        async with self._kernel.records.transaction() as transaction:
            while len(found) < PREVIEWED_MAX:
                page = await transaction.find(FINDINGS, tenant, search)
                found += [record.value for record in page.records if record.value.seen_ms >= since_ms]
                if not page.cursor or page.records[-1].value.seen_ms < since_ms:
                    return found, False
                search = Search(search.where, order=search.order, after=page.cursor, limit=PAGE)
        return found[:PREVIEWED_MAX], True
