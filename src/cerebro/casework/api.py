"""The API of cases, findings, silences, entities and telemetry: every route under `/api/v1`, in one router.

Reads answer bytes that were encoded straight from what is kept; the models stand in the OpenAPI
description only. A read may be as old as twice `FRESH_S`, but never older than a change that its
process made, or that the pages were told of.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from cerebro.casework import (
    api_cases,
    api_correlation,
    api_estate,
    api_health,
    api_post_mortem,
    api_story,
    api_topology,
    questions,
)
from cerebro.casework.answers import Answers, Json, question, quick_route
from cerebro.casework.desk import Desk
from cerebro.casework.hands import api as hands
from cerebro.casework.store import KeptFinding
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.door import needs
from cerebro.kernel.web.live import Live

FRESH_S = 1.0
Reader = Annotated[Principal, Depends(needs("read"))]
Limit = Annotated[int, Query(ge=1, le=questions.PAGE_MAX, description="At most so many items.")]
Cursor = Annotated[str, Query(max_length=1000, description="The `cursor` of the page before.")]
Text = Annotated[str, Query(max_length=300)]


def router(kernel: Kernel, answers: Answers, live: Live | None = None) -> APIRouter:
    """Every route of casework.

    Args:
        kernel: Of the process that serves them.
        answers: Those that are at hand, shared by every route.
        live: The live door of the same process; it also tells when an answer has grown old.
    """
    desk = Desk(kernel)
    routes = APIRouter(prefix="/api/v1")
    routes.include_router(_reads(kernel, answers))
    routes.include_router(api_cases.router(kernel, desk, answers))
    routes.include_router(api_story.router(kernel, answers))
    routes.include_router(api_post_mortem.router(kernel, answers))
    routes.include_router(api_correlation.router(kernel, desk, answers))
    routes.include_router(api_estate.router(kernel, answers))
    routes.include_router(api_topology.router(kernel, answers))
    routes.include_router(api_health.router(kernel, answers))
    routes.include_router(hands.router(kernel))
    if live:
        live.watch(answers.hear, answers.tell)
        routes.add_api_websocket_route("/live", live.serve)
    return routes


def _reads(kernel: Kernel, answers: Answers) -> APIRouter:
    routes, records = APIRouter(tags=["casework"], route_class=quick_route(answers)), kernel.records

    @routes.get("/cases", response_model=questions.CasePage)
    async def cases(
        request: Request,
        principal: Reader,
        *,
        state: Annotated[str, Query(max_length=200, description="One state, or several with commas.")] = "",
        severity: Annotated[str, Query(max_length=10, description="This severity or worse.")] = "",
        entity: Annotated[str, Query(max_length=300, description="`kind/name`.")] = "",
        assignee: Text = "",
        text: Annotated[str, Query(max_length=300, description="Words of title, entities or id.")] = "",
        live: Annotated[
            bool | None, Query(description="Only those neither resolved nor closed; or only those.")
        ] = None,
        order: Annotated[
            str, Query(max_length=10, description="opened, updated or severity: the most first.")
        ] = "opened",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Json:
        """Cases, the newest first."""
        where: questions.Where = {"entities": entity, "assignee": assignee}
        where = {name: value for name, value in where.items() if value}
        if state:
            where["state"] = questions.states(state)
        if severity:
            where["severity"] = questions.severities(severity)
        if live is not None:
            where["live"] = live

        async def make() -> questions.CasePage:
            return await questions.list_cases(
                records, principal.tenant, where, text=text, order=order, cursor=cursor, limit=limit
            )

        return await answers.get(principal.tenant, question(request), make, ttl_s=FRESH_S)

    @routes.get("/findings", response_model=questions.FindingPage)
    async def findings(
        request: Request,
        principal: Reader,
        *,
        entity: Annotated[str, Query(max_length=300, description="`kind/name`.")] = "",
        agent: Text = "",
        kind: Text = "",
        case: Annotated[str, Query(max_length=64, description="Only those of this case.")] = "",
        severity: Annotated[str, Query(max_length=10, description="This severity or worse.")] = "",
        since: Annotated[int, Query(ge=0, description="Seen at this Unix time, milliseconds, or later.")] = 0,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Json:
        """Findings of every agent, the newest first, without their evidence."""
        where: questions.Where = {"entity": entity, "agent": agent, "kind": kind, "case": case}
        where = {name: value for name, value in where.items() if value}
        if severity:
            where["severity"] = questions.severities(severity)

        async def make() -> questions.FindingPage:
            return await questions.list_findings(
                records, principal.tenant, where, since_ms=since, cursor=cursor, limit=limit
            )

        return await answers.get(principal.tenant, question(request), make, ttl_s=FRESH_S)

    @routes.get("/findings/{finding_id}", response_model=KeptFinding)
    async def finding(request: Request, principal: Reader, finding_id: Annotated[str, Path(max_length=64)]) -> Json:
        """One finding with its evidence."""

        async def make() -> KeptFinding:
            return await questions.one_finding(records, principal.tenant, finding_id)

        return await answers.get(principal.tenant, question(request), make, ttl_s=FRESH_S)

    return routes
