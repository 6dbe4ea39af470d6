"""The post-mortem of a case over HTTP: drafted from its record, edited by people, as Markdown or PDF."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from cerebro.casework import life
from cerebro.casework.answers import Answers, Json, answer
from cerebro.casework.api_story import gather
from cerebro.casework.desk import Desk, Stale
from cerebro.casework.hands.ledger import Ledger
from cerebro.casework.phrases import Teller
from cerebro.casework.postmortem.draft import Record, draft
from cerebro.casework.postmortem.store import POST_MORTEMS, KeptPostMortem
from cerebro.casework.postmortem.timing import is_parted
from cerebro.casework.postmortem.typeset import to_pdf
from cerebro.casework.seal import seals_of
from cerebro.casework.store import FINDINGS
from cerebro.casework.story import tell
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Search, Transaction
from cerebro.kernel.web.door import needs
from cerebro.spine.actions import Action
from cerebro.spine.cases import Case
from cerebro.spine.identity import CaseId, TenantId

Reader = Annotated[Principal, Depends(needs("read"))]
Responder = Annotated[Principal, Depends(needs("respond"))]
Id = Annotated[str, Path(max_length=64)]
Language = Annotated[str, Query(pattern="^(en|ru)$", description="Of a draft.")]
MARKDOWN_CHARS_MAX = 300_000


class Edited(BaseModel):
    """A post-mortem as someone wants it."""

    model_config = ConfigDict(extra="forbid")
    markdown: str = Field(min_length=1, max_length=MARKDOWN_CHARS_MAX)
    version: int = Field(ge=0, description="That you saw; 0 when it was a draft. Another one is a conflict.")


@dataclass(frozen=True, slots=True)
class PostMortem:
    """A post-mortem.

    Args:
        version: To be named in an edit; 0 while it is a draft.
        by: Who wrote in it last; empty for a draft.
        page: Of its case in the console.
    """

    case: CaseId
    markdown: str
    version: int
    by: str
    saved_ms: int
    page: str


def router(kernel: Kernel, answers: Answers) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["casework"])
    desk, audit = Desk(kernel), Audit(kernel.records, kernel.clock)

    @routes.get("/cases/{case_id}/post-mortem", response_model=PostMortem)
    async def read(request: Request, principal: Reader, case_id: Id, language: Language = "en") -> Json:
        """As someone left it, or else drafted from the record of the case as it is now."""
        return answer(await post_mortem(kernel, principal.tenant, CaseId(case_id), language, root_of(request)))

    @routes.get("/cases/{case_id}/post-mortem.md", response_class=Response)
    async def as_markdown(request: Request, principal: Reader, case_id: Id, language: Language = "en") -> Response:
        """The same as a file."""
        found = await post_mortem(kernel, principal.tenant, CaseId(case_id), language, root_of(request))
        return _file(found.markdown.encode(), "text/markdown; charset=utf-8", f"post-mortem-{found.case}.md")

    @routes.get("/cases/{case_id}/post-mortem.pdf", response_class=Response)
    async def as_pdf(request: Request, principal: Reader, case_id: Id, language: Language = "en") -> Response:
        """The same as a PDF."""
        found = await post_mortem(kernel, principal.tenant, CaseId(case_id), language, root_of(request))
        made = await asyncio.to_thread(to_pdf, found.markdown)
        return _file(made, "application/pdf", f"post-mortem-{found.case}.pdf")

    @routes.put("/cases/{case_id}/post-mortem", response_model=PostMortem)
    async def write(request: Request, principal: Responder, case_id: Id, edited: Edited) -> Json:
        """Keep it as you have edited it; the case's timeline says so."""
        tenant, now_ms = principal.tenant, kernel.clock.now_ms()
        kept = KeptPostMortem(CaseId(case_id), edited.markdown, principal.name, now_ms)

        async def keep(transaction: Transaction) -> None:
            found = await transaction.load(POST_MORTEMS, tenant, case_id)
            if (found.version if found else 0) != edited.version:
                raise Stale("Someone else wrote in this post-mortem first.", "Load it again, and write in that.")
            await transaction.save(POST_MORTEMS, tenant, case_id, kept, version=edited.version)
            thing = f"case/{case_id}/post-mortem"
            await audit.append(
                tenant, principal.name, "post_mortem_written", thing, {"chars": len(kept.markdown)},
                transaction=transaction,
            )  # fmt: skip

        def noted(case: Case) -> Case | life.Refusal:
            return life.noted_post_mortem(case, principal.name, now_ms)

        await desk.change(tenant, CaseId(case_id), noted, also=keep)
        answers.forget(tenant)
        page = f"{root_of(request)}/cases/{case_id}"
        return answer(PostMortem(kept.case, kept.markdown, edited.version + 1, kept.by, now_ms, page))

    return routes


async def post_mortem(kernel: Kernel, tenant: TenantId, case_id: CaseId, language: str, root: str) -> PostMortem:
    """The post-mortem of a case.

    Raises:
        NotFound: The tenant has no such case.
    """
    page = f"{root}/cases/{case_id}"
    async with kernel.records.transaction() as transaction:
        kept = await transaction.load(POST_MORTEMS, tenant, case_id, lock=False)
    if kept:
        return PostMortem(case_id, kept.value.markdown, kept.version, kept.value.by, kept.value.saved_ms, page)
    material = await gather(kernel, tenant, case_id)
    teller = Teller(language, kernel.clock.now_ms(), 0)
    sentences = tell(material, teller)
    record = Record(
        material.case,
        sentences,
        await _actions(kernel, tenant, case_id),
        page,
        await seals_of(kernel, tenant, [each for sentence in sentences for each in sentence.evidence]),
        await _first_seen_ms(kernel, material.case) if is_parted(material.case) else 0,
    )
    return PostMortem(case_id, draft(record, teller), 0, "", 0, page)


async def _actions(kernel: Kernel, tenant: TenantId, case_id: CaseId) -> Sequence[Action]:
    """What was done for the case, also what another case had asked for already."""
    ledger = Ledger(kernel)
    own = await ledger.of_story(tenant, case_id)
    return [*own, *await ledger.shared(tenant, case_id, [each.id for each in own])]


async def _first_seen_ms(kernel: Kernel, case: Case) -> int:
    """When the first finding that belongs to the case now was seen; 0 where none is kept."""
    search = Search({"case": case.id, "cleared": False}, order="seen_ms", limit=1)
    async with kernel.records.transaction() as transaction:
        page = await transaction.find(FINDINGS, case.tenant, search)
    return page.records[0].value.seen_ms if page.records else 0


def root_of(request: Request) -> str:
    """The address that the caller knows us by."""
    return str(request.base_url).rstrip("/")


def _file(body: bytes, media_type: str, name: str) -> Response:
    return Response(body, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
