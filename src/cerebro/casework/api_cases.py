"""One case and what people do about it; silences. Every change is audited in its own transaction."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from cerebro.casework import life, questions
from cerebro.casework.answers import Answers, Json, answer, question, quick_route
from cerebro.casework.correlate import scene
from cerebro.casework.desk import Also, Desk, Verb
from cerebro.casework.silence import REASON_CHARS_MAX, Silence
from cerebro.casework.store import CASES, SILENCES
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Transaction
from cerebro.kernel.web.door import needs
from cerebro.spine.cases import Case
from cerebro.spine.errors import NotFound
from cerebro.spine.identity import CaseId

Reader = Annotated[Principal, Depends(needs("read"))]
Responder = Annotated[Principal, Depends(needs("respond"))]
Id = Annotated[str, Path(max_length=64)]
FRESH_S = 1.0


class Change(BaseModel):
    """What someone asks of a case."""

    model_config = ConfigDict(extra="forbid")
    version: int | None = Field(None, ge=1, description="Of the case as you saw it; another one is a conflict.")


class Said(Change):
    """A change with words."""

    text: str = Field("", max_length=life.TEXT_CHARS_MAX)


class Comment(Change):
    """Something to say."""

    text: str = Field(min_length=1, max_length=life.TEXT_CHARS_MAX)


class Assignment(Change):
    """Whose the case is to be."""

    assignee: str = Field(max_length=200, description="A login; empty for nobody.")


class Quiet(Change):
    """For how long, and why."""

    length_s: float = Field(gt=0, le=1e9, description="Seconds, at most `casework.silence_s_max`.")
    reason: str = Field("", max_length=REASON_CHARS_MAX)


class NewSilence(BaseModel):
    """What is to be quiet, for how long, and why."""

    model_config = ConfigDict(extra="forbid")
    entity: str = Field("", max_length=300, description="`kind/name`; a host with all that runs on it.")
    signal: str = Field("", max_length=300, description="The signal of findings, such as system.cpu.utilization.")
    length_s: float = Field(gt=0, le=1e9, description="Seconds, at most `casework.silence_s_max`.")
    reason: str = Field("", max_length=REASON_CHARS_MAX)


def router(kernel: Kernel, desk: Desk, answers: Answers) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["casework"], route_class=quick_route(answers))
    deeds = Deeds(kernel, desk, answers)
    now_ms = kernel.clock.now_ms

    @routes.get("/cases/{case_id}", response_model=questions.WholeCase)
    async def one(request: Request, principal: Reader, case_id: Id) -> Json:
        """One case with its timeline, and its newest findings with their evidence."""

        async def make() -> dict[str, Any]:
            return await questions.whole_case(kernel.records, principal.tenant, CaseId(case_id))

        return await answers.get(principal.tenant, question(request), make, ttl_s=FRESH_S)

    @routes.post("/cases/{case_id}/acknowledge", response_model=questions.WholeCase)
    async def acknowledge(principal: Responder, case_id: Id, asked: Change | None = None) -> Json:
        """Say that you look at it."""
        return await deeds.do(
            principal,
            case_id,
            asked,
            "case_acknowledged",
            lambda case: life.acknowledged(case, principal.name, now_ms()),
        )

    @routes.post("/cases/{case_id}/assign", response_model=questions.WholeCase)
    async def assign(principal: Responder, case_id: Id, asked: Assignment) -> Json:
        """Make it someone's, or nobody's."""
        assignee = asked.assignee.strip()

        def verb(case: Case) -> Case | life.Refusal:
            return life.assigned(case, assignee, principal.name, now_ms())

        return await deeds.do(principal, case_id, asked, "case_assigned", verb, detail={"assignee": assignee})

    @routes.post("/cases/{case_id}/comment", response_model=questions.WholeCase)
    async def comment(principal: Responder, case_id: Id, asked: Comment) -> Json:
        """Add to its timeline."""
        return await deeds.do(
            principal, case_id, asked, "case_commented",
            lambda case: life.commented(case, asked.text, principal.name, now_ms()),
        )  # fmt: skip

    @routes.post("/cases/{case_id}/close", response_model=questions.WholeCase)
    async def close(principal: Responder, case_id: Id, asked: Said | None = None) -> Json:
        """End it for good; what comes later opens another."""
        text = asked.text if asked else ""
        return await deeds.do(
            principal, case_id, asked, "case_closed", lambda case: life.closed(case, text, principal.name, now_ms())
        )

    @routes.post("/cases/{case_id}/reopen", response_model=questions.WholeCase)
    async def reopen(principal: Responder, case_id: Id, asked: Said | None = None) -> Json:
        """Look into a resolved case again."""
        text = asked.text if asked else ""
        return await deeds.do(
            principal, case_id, asked, "case_reopened", lambda case: life.reopened(case, text, principal.name, now_ms())
        )

    @routes.post("/cases/{case_id}/silence", response_model=questions.WholeCase)
    async def silence(principal: Responder, case_id: Id, asked: Quiet) -> Json:
        """Silence where the case's trouble shows, for a stated time; the case itself goes on."""
        return await deeds.silence(principal, case_id, asked)

    @routes.get("/silences", response_model=questions.SilencePage)
    async def silences(
        principal: Reader,
        everything: Annotated[bool, Query(description="Ended ones too.")] = False,
        cursor: Annotated[str, Query(max_length=1000)] = "",
        limit: Annotated[int, Query(ge=1, le=questions.PAGE_MAX)] = 100,
    ) -> Json:
        """Running silences, those that end soonest first."""
        page = await questions.list_silences(
            kernel.records, principal.tenant, everything=everything, cursor=cursor, limit=limit
        )
        return answer(page)

    @routes.post("/silences", response_model=Silence, status_code=201)
    async def make_silence(principal: Responder, asked: NewSilence) -> Json:
        """Keep findings of an entity or a signal from opening cases, for a stated time."""
        wanted = deeds.wanted(principal, asked.entity.strip(), asked.signal.strip(), asked.length_s, asked.reason)
        audited = deeds.audited(principal, "silence_made", f"silence/{wanted.id}", asked.model_dump())
        kept = await desk.silence(wanted, audited)
        answers.forget(principal.tenant)
        return answer(kept, 201)

    @routes.delete("/silences/{silence_id}", status_code=204, response_model=None)
    async def end_silence(principal: Responder, silence_id: Id) -> None:
        """End it now; what it held back and still stands is told."""
        audited = deeds.audited(principal, "silence_ended", f"silence/{silence_id}", {})
        await desk.end_silence(principal.tenant, silence_id, audited)
        answers.forget(principal.tenant)

    return routes


class Deeds:
    """What people do to cases: changed, audited, and read anew."""

    def __init__(self, kernel: Kernel, desk: Desk, answers: Answers) -> None:
        self._kernel, self._desk, self._answers = kernel, desk, answers
        self._audit = Audit(kernel.records, kernel.clock)

    async def do(
        self,
        principal: Principal,
        case_id: str,
        asked: Change | None,
        action: str,
        verb: Verb,
        *,
        detail: Mapping[str, object] | None = None,
        first: Also | None = None,
    ) -> Json:
        """Change the case, as it is or as the caller saw it, and answer with what it is now."""
        tenant = principal.tenant
        audited = self.audited(principal, action, f"case/{case_id}", detail or {}, first)
        version = asked.version if asked else None
        record = await self._desk.change(tenant, CaseId(case_id), verb, version=version, also=audited)
        self._answers.forget(tenant)
        return answer(questions.whole(record, (), ()))  # its findings have not changed: whoever shows them has them

    async def silence(self, principal: Principal, case_id: str, asked: Quiet) -> Json:
        """Silence the scene of the case, in the transaction that notes it in the case's timeline."""
        tenant = principal.tenant
        async with self._kernel.records.transaction() as transaction:
            found = await transaction.load(CASES, tenant, case_id, lock=False)
        if found is None:
            raise NotFound(f"There is no case {case_id}.")
        wanted = self.wanted(principal, scene(found.value.entities[0]), "", asked.length_s, asked.reason)
        kept = self._desk.checked(wanted)
        minutes = asked.length_s / 60

        def verb(case: Case) -> Case | life.Refusal:
            said = f"{kept.entity} is silenced for {minutes:.0f} min. {kept.reason}".strip()
            return life.silenced(case, said, principal.name, self._kernel.clock.now_ms(), kept.id)

        async def keep(transaction: Transaction) -> None:
            await transaction.save(SILENCES, tenant, kept.id, kept, version=0)

        detail = {"silence": kept.id, "entity": kept.entity, "length_s": asked.length_s, "reason": kept.reason}
        return await self.do(principal, case_id, asked, "case_silenced", verb, detail=detail, first=keep)

    def wanted(self, principal: Principal, entity: str, signal: str, length_s: float, reason: str) -> Silence:
        """A silence from now on."""
        now_ms = self._kernel.clock.now_ms()
        return Silence(
            id=self._kernel.clock.new_id(),
            tenant=principal.tenant,
            entity=entity,
            signal=signal,
            starts_ms=now_ms,
            ends_ms=now_ms + round(length_s * 1000),
            by=principal.name,
            reason=reason,
        )

    def audited(
        self, principal: Principal, action: str, thing: str, detail: Mapping[str, object], first: Also | None = None
    ) -> Also:
        """Writes the change into the audit log, last in the transaction that makes it."""

        async def also(transaction: Transaction) -> None:
            if first:
                await first(transaction)
            await self._audit.append(principal.tenant, principal.name, action, thing, detail, transaction=transaction)

        return also
