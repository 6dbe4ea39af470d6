"""The map: what is on it at any moment, and what people draw on it. Every change is audited in its own transaction."""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from cerebro.casework import estate, questions
from cerebro.casework.answers import Answers, Json, answer, question, quick_route
from cerebro.casework.topology.atlas import Atlas
from cerebro.casework.topology.draw import thing, with_owner, with_relation, without_relation
from cerebro.casework.topology.kept import DRAWN, MAP_DRAWINGS, Drawn, DrawnRelation
from cerebro.casework.topology.view import NODES_MAX, Asked, MapPage, view, with_unmapped
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.door import needs
from cerebro.spine.entities import Entity, EntityKey
from cerebro.spine.identity import TenantId
from cerebro.spine.topology import Topology

Reader = Annotated[Principal, Depends(needs("read"))]
Operator = Annotated[Principal, Depends(needs("operate"))]
MAP_S = 2.0  # how old a map may be
NOW_MS = 60_000  # a moment this close to now is now
SILENT_MS = 15 * 60_000
HOPS_MAX = 5

Change = Callable[[Drawn, Topology], Drawn]


class WantedRelation(BaseModel):
    """A relation to draw."""

    model_config = ConfigDict(extra="forbid")
    source: str = Field(max_length=300, description="`kind/name` of what needs.")
    target: str = Field(max_length=300, description="`kind/name` of what is needed.")
    kind: str = Field("calls", max_length=80, description="calls, runs_on, stores_in, publishes_to …")


class WantedOwner(BaseModel):
    """Whose something is."""

    model_config = ConfigDict(extra="forbid")
    entity: str = Field(max_length=300, description="`kind/name`.")
    owner: str = Field("", max_length=200, description="A team or a person; empty leaves it to its attributes.")


def router(kernel: Kernel, answers: Answers) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["topology"], route_class=quick_route(answers))
    board = Board(kernel, answers)

    @routes.get("/topology", response_model=MapPage)
    async def topology(
        request: Request,
        principal: Reader,
        *,
        at_ms: Annotated[int, Query(ge=0, description="Unix time, milliseconds; 0 for now.")] = 0,
        focus: Annotated[str, Query(max_length=300, description="`kind/name`: only what is near it.")] = "",
        hops: Annotated[int, Query(ge=0, le=HOPS_MAX, description="How near.")] = 1,
        kinds: Annotated[str, Query(max_length=300, description="Only these kinds, with commas.")] = "",
        text: Annotated[str, Query(max_length=300, description="Words of its kind or name.")] = "",
        limit: Annotated[int, Query(ge=1, le=NODES_MAX, description="At most so many entities.")] = 1000,
    ) -> Json:
        """The map at a moment: the sickest first, with groups to draw many as few."""
        chosen = frozenset(part.strip() for part in kinds.split(",") if part.strip())
        asked = Asked(thing(focus) if focus else None, hops, chosen, text, limit)

        async def make() -> MapPage:
            return await board.page(principal.tenant, at_ms, asked)

        return await answers.get(principal.tenant, question(request), make, ttl_s=MAP_S)

    @routes.get("/topology/drawn", response_model=Drawn)
    async def drawn(principal: Reader) -> Json:
        """What people drew: relations, those taken away too, and owners."""
        return answer(await board.drawn(principal.tenant))

    @routes.put("/topology/relations", response_model=Drawn)
    async def draw(principal: Operator, wanted: WantedRelation) -> Json:
        """Draw a relation; one that closes a circle or cannot be is refused with what to mend."""
        source, target = thing(wanted.source), thing(wanted.target)
        relation = DrawnRelation(source, target, wanted.kind, principal.name, kernel.clock.now_ms())
        return await board.change(
            principal, "relation_drawn", wanted.model_dump(), lambda known, now: with_relation(known, relation, now)
        )

    @routes.delete("/topology/relations", response_model=Drawn)
    async def erase(
        principal: Operator,
        source: Annotated[str, Query(max_length=300)],
        target: Annotated[str, Query(max_length=300)],
        kind: Annotated[str, Query(max_length=80)] = "calls",
    ) -> Json:
        """Take a drawn relation away."""
        ends, now_ms = (thing(source), thing(target)), kernel.clock.now_ms()
        said = {"source": source, "target": target, "kind": kind}
        return await board.change(
            principal, "relation_erased", said, lambda known, _: without_relation(known, *ends, kind, now_ms)
        )

    @routes.put("/topology/owners", response_model=Drawn)
    async def own(principal: Operator, wanted: WantedOwner) -> Json:
        """Say whose something is."""
        entity = thing(wanted.entity)
        return await board.change(
            principal, "owner_set", wanted.model_dump(), lambda known, _: with_owner(known, entity, wanted.owner)
        )

    return routes


class Board:
    """The map as people see and change it."""

    def __init__(self, kernel: Kernel, answers: Answers) -> None:
        self._kernel, self._answers = kernel, answers
        self._atlas, self._audit = Atlas(kernel), Audit(kernel.records, kernel.clock)

    async def page(self, tenant: TenantId, at_ms: int, asked: Asked) -> MapPage:
        """What was asked of the map at a moment; of now, with what telemetry has that is not on it yet."""
        now_ms = self._kernel.clock.now_ms()
        is_now = not at_ms or at_ms >= now_ms - NOW_MS
        found = await self._atlas.at(tenant, now_ms if is_now else at_ms)
        series: Mapping[EntityKey, int] = {}
        if is_now:
            seen = await estate.entities(self._kernel.telemetry, tenant, now_ms)
            series = {one.key: one.series_count for one in seen}
            more = (Entity(tenant, o.key, {}, "", o.first_seen_ms, o.last_seen_ms) for o in seen)
            found = with_unmapped(found, more, estate.relations(tenant, seen))
        worst = await questions.worst_by_entity(self._kernel.records, tenant, 0 if is_now else at_ms)
        return view(found, worst, asked, silent_ms=SILENT_MS, series=series)

    async def drawn(self, tenant: TenantId) -> Drawn:
        """What people drew."""
        async with self._kernel.records.transaction() as transaction:
            record = await transaction.load(MAP_DRAWINGS, tenant, DRAWN, lock=False)
        return record.value if record else Drawn()

    async def change(self, principal: Principal, action: str, said: Mapping[str, object], change: Change) -> Json:
        """Draw, and audit, in one transaction."""
        tenant = principal.tenant
        topology = await self._atlas.at(tenant, self._kernel.clock.now_ms())
        async with self._kernel.records.transaction() as transaction:
            record = await transaction.load(MAP_DRAWINGS, tenant, DRAWN)
            after = change(record.value if record else Drawn(), topology)
            await transaction.save(MAP_DRAWINGS, tenant, DRAWN, after, version=record.version if record else 0)
            await self._audit.append(tenant, principal.name, action, "topology", said, transaction=transaction)
        self._atlas.forget(tenant)
        self._answers.forget(tenant)
        return answer(after)
