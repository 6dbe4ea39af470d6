"""The story of a case over HTTP: sentences with the numbers of their proofs; on request, every proof asked again."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from cerebro.casework.answers import Answers, Json, answer, question, quick_route
from cerebro.casework.phrases import Teller
from cerebro.casework.proof import Sentence, proof_id
from cerebro.casework.reread import Reading, reread
from cerebro.casework.seal import Seal, seals_of
from cerebro.casework.store import CASES, FINDINGS
from cerebro.casework.story import Changes, Material, changes_of, changes_query, tell
from cerebro.casework.wording import Wording
from cerebro.casework.wording import worded as in_other_words
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Search
from cerebro.kernel.web.door import needs
from cerebro.spine.cases import Case
from cerebro.spine.errors import CerebroError, NotFound
from cerebro.spine.findings import Evidence
from cerebro.spine.identity import CaseId, TenantId

Reader = Annotated[Principal, Depends(needs("read"))]
FRESH_S = 1.0
SIGNALS_READ = 50  # findings that a story is made of at most, the worst
READINGS_AT_ONCE = 4
PROOFS_CHECKED_MAX = 100


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One proof, by the number that the sentences name.

    Args:
        id: Made of the question alone, so that it stays the same.
        verdict: Of asking again: same, changed, expired, drawn, unanswered; empty when nobody asked.
        found: The digest of what came back now.
        detail: Why there was no answer.
        sealed_ms: When the digest was taken of what the store answered; 0 where it is the one that came with the proof.
    """

    number: int
    id: str
    engine: str
    query: str
    start_ms: int
    end_ms: int
    digest: str
    sentence: str
    sample: Mapping[str, object]
    verdict: str = ""
    found: str = ""
    row_count: int = 0
    detail: str = ""
    sealed_ms: int = 0


@dataclass(frozen=True, slots=True)
class SentenceLine:
    """One sentence: hurts, since, owner, cause, changed, tried or unknown; and its proofs' numbers."""

    part: str
    text: str
    proofs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How someone wants a story."""

    language: str = "en"
    offset_min: int = 0
    check: bool = False
    worded: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """The whole story of a case.

    Args:
        worded_by: The model whose words were accepted; empty when the templates stand.
        not_worded: Why they stand although a model was asked for.
        can_word: Whether a model is configured.
    """

    case: CaseId
    title: str
    language: str
    told_ms: int
    sentences: Sequence[SentenceLine]
    proofs: Sequence[ProofLine]
    worded_by: str = ""
    not_worded: str = ""
    can_word: bool = False


def router(kernel: Kernel, answers: Answers) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["casework"], route_class=quick_route(answers))

    @routes.get("/cases/{case_id}/story", response_model=Story)
    async def story(
        request: Request,
        principal: Reader,
        case_id: Annotated[str, Path(max_length=64)],
        *,
        language: Annotated[str, Query(pattern="^(en|ru)$")] = "en",
        offset_min: Annotated[int, Query(ge=-840, le=840, description="Your clock's distance from UTC, minutes.")] = 0,
        check: Annotated[bool, Query(description="Ask every proof again, and tell what came back.")] = False,
        worded: Annotated[bool, Query(description="In the words of a model, where one is configured.")] = False,
    ) -> Json:
        """What hurts, since when, whose it is, why, what changed, what was tried, what is not known: each proved."""
        tenant, wanted = principal.tenant, Wanted(language, offset_min, check=check, worded=worded)

        async def make() -> Story:
            return await told(kernel, tenant, CaseId(case_id), wanted)

        if check:
            return answer(await make())
        return await answers.get(tenant, question(request), make, ttl_s=FRESH_S)

    return routes


async def told(kernel: Kernel, tenant: TenantId, case_id: CaseId, wanted: Wanted) -> Story:
    """The story of a case as it is wanted.

    Raises:
        NotFound: The tenant has no such case.
    """
    material = await gather(kernel, tenant, case_id)
    now_ms = kernel.clock.now_ms()
    wording = Wording(tell(material, Teller(wanted.language, now_ms, wanted.offset_min)))
    if wanted.worded:
        wording = await in_other_words(kernel.models, case_id, wording.sentences)
    lines, proofs = numbered(wording.sentences)
    seals = await seals_of(kernel, tenant, proofs)
    readings = await check_all(kernel, tenant, proofs, seals) if wanted.check else [None] * len(proofs)
    shown = [
        _shown(number, evidence, reading, seals.get(proof_id(evidence)))
        for number, (evidence, reading) in enumerate(zip(proofs, readings, strict=True), 1)
    ]
    return Story(
        case_id, material.case.title, wanted.language, now_ms, lines, shown,
        worded_by=wording.model, not_worded=wording.reason, can_word=kernel.models is not None,
    )  # fmt: skip


async def gather(kernel: Kernel, tenant: TenantId, case_id: CaseId) -> Material:
    """What the story of a case is made of.

    Raises:
        NotFound: The tenant has no such case.
    """
    async with kernel.records.transaction() as transaction:
        record = await transaction.load(CASES, tenant, case_id, lock=False)
        if record is None:
            raise NotFound(f"There is no case {case_id}.", "It may belong to another tenant.")
        case = record.value
        worst = sorted(case.signals, key=lambda each: (each.cleared, -each.severity, each.at_ms))[:SIGNALS_READ]
        first = min(case.signals, key=lambda each: (each.at_ms, each.key), default=None)
        ids = tuple({signal.finding for signal in [*worst, *([first] if first else [])]})
        page = await transaction.find(FINDINGS, tenant, Search({"key": ids}, limit=len(ids) or 1)) if ids else None
    findings = {record.value.id: record.value for record in page.records} if page else {}
    return Material(case, findings, await _changes(kernel, tenant, case))


async def _changes(kernel: Kernel, tenant: TenantId, case: Case) -> Changes | None:
    sql, _, _ = changes_query(case, tenant)
    try:
        table = await kernel.telemetry.query(sql)
    except CerebroError:
        return None  # a story with a part missing is better than none
    return changes_of(case, tenant, table.to_pylist())


def numbered(sentences: Sequence[Sentence]) -> tuple[list[SentenceLine], list[Evidence]]:
    """The sentences with their proofs as numbers from 1, and the proofs in that order, each once."""
    numbers: dict[str, int] = {}
    proofs: list[Evidence] = []
    lines = []
    for sentence in sentences:
        own = []
        for evidence in sentence.evidence:
            name = proof_id(evidence)
            if name not in numbers:
                proofs.append(evidence)
                numbers[name] = len(proofs)
            own.append(numbers[name])
        lines.append(SentenceLine(sentence.part.value, sentence.text, tuple(dict.fromkeys(own))))
    return lines, proofs


async def check_all(
    kernel: Kernel, tenant: TenantId, proofs: Sequence[Evidence], seals: Mapping[str, Seal]
) -> list[Reading | None]:
    """Every proof asked again, a few at a time; those beyond `PROOFS_CHECKED_MAX` are not."""
    few = asyncio.Semaphore(READINGS_AT_ONCE)

    async def one(evidence: Evidence) -> Reading:
        async with few:
            seal = seals.get(proof_id(evidence))
            return await reread(kernel, tenant, evidence, seal.digest if seal else "")

    read = await asyncio.gather(*(one(evidence) for evidence in proofs[:PROOFS_CHECKED_MAX]))
    return [*read, *[None] * (len(proofs) - len(read))]


def _shown(number: int, evidence: Evidence, reading: Reading | None, seal: Seal | None) -> ProofLine:
    return ProofLine(
        number=number,
        id=proof_id(evidence),
        engine=evidence.engine,
        query=evidence.query,
        start_ms=evidence.start_ms,
        end_ms=evidence.end_ms,
        digest=seal.digest if seal else evidence.digest,
        sealed_ms=seal.sealed_ms if seal else 0,
        sentence=evidence.sentence,
        sample=evidence.sample,
        verdict=reading.verdict.value if reading else "",
        found=reading.digest if reading else "",
        row_count=reading.row_count if reading else 0,
        detail=reading.detail if reading else "",
    )
