"""Entities, series and their points; SQL by operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from cerebro.casework import estate, questions
from cerebro.casework.answers import Answers, Json, answer, question, quick_route
from cerebro.casework.lines import CaseLine
from cerebro.casework.reread import readable
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.door import needs
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.errors import Invalid, NotFound
from cerebro.spine.identity import TenantId

Reader = Annotated[Principal, Depends(needs("read"))]
Operator = Annotated[Principal, Depends(needs("operate"))]
ESTATE_S = 5.0  # how old what telemetry says of entities may be
ROWS_MAX = 10_000
SILENT_MS = 15 * 60_000  # an entity that has said nothing for so long is not called healthy
WINDOW_MS_MAX = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class EntityLine:
    """A watched thing and how it is."""

    key: EntityKey
    health: str  # good | notice | minor | major | critical | unknown, which is: not heard of lately
    severity: int  # the worst active one of its live cases; 0 for none
    open_cases: int
    series_count: int
    first_seen_ms: int
    last_seen_ms: int
    owner: str = ""


@dataclass(frozen=True, slots=True)
class EntityPage:
    """Entities, the sickest first."""

    items: Sequence[EntityLine]
    cursor: str


@dataclass(frozen=True, slots=True)
class WholeEntity(EntityLine):
    """One entity with its series, its relations and its live cases."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    series: Sequence[estate.SeriesLine] = ()
    relations: Sequence[Relation] = ()
    cases: Sequence[CaseLine] = ()


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Series, by metric."""

    items: Sequence[estate.SeriesLine]
    cursor: str


@dataclass(frozen=True, slots=True)
class Rows:
    """What a SELECT answered; `truncated` when there was more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    truncated: bool


class Sql(BaseModel):
    """A question in ClickHouse's SQL."""

    model_config = ConfigDict(extra="forbid")
    query: str = Field("", max_length=64_000, description="One SELECT over your tenant's telemetry.")
    sql: str = Field("", max_length=64_000, description="The same, by its other name.")


class Estate:
    """What is known of the entities of each tenant, asked of the store every few seconds at most."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def lines(self, tenant: TenantId) -> tuple[list[EntityLine], list[estate.Seen]]:
        """Every entity with its health, the sickest first; and what telemetry says of each."""
        now_ms = self._kernel.clock.now_ms()
        seen = await estate.entities(self._kernel.telemetry, tenant, now_ms)
        worst = await questions.worst_by_entity(self._kernel.records, tenant)
        known = {one.key for one in seen}
        unseen = [estate.Seen(key, 0, 0, 0, "") for key in worst if key not in known]  # of agents that need no series
        lines = [self._line(one, worst.get(one.key, (0, 0)), now_ms) for one in [*seen, *unseen]]
        return sorted(lines, key=lambda line: (-line.severity, line.key)), seen

    def _line(self, seen: estate.Seen, worst: tuple[int, int], now_ms: int) -> EntityLine:
        severity, open_cases = worst
        names = ("good", "notice", "minor", "major", "critical")
        heard = now_ms - seen.last_seen_ms < SILENT_MS
        return EntityLine(
            key=seen.key,
            health=names[severity] if severity or heard else "unknown",
            severity=severity,
            open_cases=open_cases,
            series_count=seen.series_count,
            first_seen_ms=seen.first_seen_ms,
            last_seen_ms=seen.last_seen_ms,
        )


def router(kernel: Kernel, answers: Answers) -> APIRouter:
    """The routes."""
    routes, known = APIRouter(tags=["estate"], route_class=quick_route(answers)), Estate(kernel)
    telemetry = kernel.telemetry

    @routes.get("/entities", response_model=EntityPage)
    async def entities(
        request: Request,
        principal: Reader,
        *,
        kind: Annotated[str, Query(max_length=100)] = "",
        text: Annotated[str, Query(max_length=300, description="Part of its name.")] = "",
        health: Annotated[str, Query(max_length=20)] = "",
        limit: Annotated[int, Query(ge=1, le=estate.ENTITIES_MAX)] = 1000,
    ) -> Json:
        """Watched things with their health, the sickest first."""

        async def make() -> EntityPage:
            lines, _ = await known.lines(principal.tenant)
            fits = [
                line
                for line in lines
                if kind in ("", line.key.kind) and health in ("", line.health) and text.lower() in line.key.text.lower()
            ]
            return EntityPage(fits[:limit], "")

        return await answers.get(principal.tenant, question(request), make, ttl_s=ESTATE_S)

    @routes.get("/entities/{kind}/{name:path}", response_model=WholeEntity)
    async def entity(
        request: Request,
        principal: Reader,
        kind: Annotated[str, Path(max_length=100)],
        name: Annotated[str, Path(max_length=300)],
    ) -> Json:
        """One entity: its series with their last two hours, what it runs on, its live cases."""
        key = EntityKey(kind, name)

        async def make() -> dict[str, Any]:
            return await _whole(kernel, known, principal.tenant, key)

        return await answers.get(principal.tenant, question(request), make, ttl_s=ESTATE_S)

    @routes.get("/series", response_model=SeriesPage)
    async def series(
        request: Request,
        principal: Reader,
        *,
        q: Annotated[str, Query(max_length=300, description="Words of its name and labels.")] = "",
        entity: Annotated[str, Query(max_length=300, description="`kind/name`.")] = "",
        metric: Annotated[str, Query(max_length=300, description="Its exact name.")] = "",
        limit: Annotated[int, Query(ge=1, le=estate.SERIES_MAX)] = 200,
    ) -> Json:
        """Series to draw."""

        async def make() -> SeriesPage:
            of = EntityKey.parse(entity) if entity else None
            found = await estate.search_series(
                telemetry, principal.tenant, entity=of, metric=metric, words=q.split(), limit=limit
            )
            return SeriesPage(found, "")

        return await answers.get(principal.tenant, question(request), make, ttl_s=ESTATE_S)

    @routes.get("/series/points", response_model=estate.Points)
    async def points(
        request: Request,
        principal: Reader,
        *,
        hi: Annotated[str, Query(pattern=r"^\d{1,20}$", description="Decimal.")],
        lo: Annotated[str, Query(pattern=r"^\d{1,20}$", description="Decimal.")],
        start_ms: Annotated[int, Query(ge=0)],
        end_ms: Annotated[int, Query(ge=0)],
        points: Annotated[int, Query(ge=2, le=estate.POINTS_MAX, description="About so many at most.")] = 600,
        points_max: Annotated[int | None, Query(ge=2, le=estate.POINTS_MAX, description="The same.")] = None,
    ) -> Json:
        """A stretch of a series, thinned out to what a chart can show."""
        if not 0 < end_ms - start_ms <= WINDOW_MS_MAX:
            raise Invalid(
                "The window is empty, or longer than 400 days.", "Ask for start_ms < end_ms, closer together."
            )
        if max(int(hi), int(lo)) >= 1 << 64:
            raise Invalid("hi and lo have 64 bits.", "Take them from /api/v1/series.")

        async def make() -> estate.Points:
            return await estate.points(
                telemetry, principal.tenant, int(hi), int(lo),
                start_ms=start_ms, end_ms=end_ms, points_max=points_max or points,
            )  # fmt: skip

        return await answers.get(principal.tenant, question(request), make, ttl_s=1.0)

    @routes.post("/sql", response_model=Rows)
    async def sql(principal: Operator, asked: Sql) -> Json:
        """Ask the telemetry store; only your tenant's rows are seen, and nothing can be written."""
        text = (asked.query or asked.sql).strip().rstrip(";")
        if not text:
            raise Invalid("There is no SQL in the request.", 'Send {"query": "SELECT 1"}.')
        bounded = f"SELECT * FROM (\n{text}\n) LIMIT {ROWS_MAX + 1}"  # noqa: S608  SQL is what is asked for here
        table = await telemetry.query(bounded, tenant=principal.tenant)
        rows = [[_plain(value) for value in row.values()] for row in readable(table.slice(0, ROWS_MAX)).to_pylist()]
        return answer(Rows(table.column_names, rows, table.num_rows > ROWS_MAX))

    return routes


async def _whole(kernel: Kernel, known: Estate, tenant: TenantId, key: EntityKey) -> dict[str, Any]:
    lines, seen = await known.lines(tenant)
    line = next((line for line in lines if line.key == key), None)
    if line is None:
        raise NotFound(f"There is no entity {key.text}.", "One appears with its first series or finding.")
    found = await estate.search_series(
        kernel.telemetry, tenant, entity=key, metric="", words=(), limit=estate.SERIES_MAX
    )
    sparks = await estate.sparks(kernel.telemetry, tenant, key, kernel.clock.now_ms())
    cases = await questions.list_cases(
        kernel.records, tenant, {"entities": key.text, "live": True}, text="", order="opened", cursor="", limit=50
    )
    related = [r for r in estate.relations(tenant, seen) if key in (r.source, r.target)]
    return {
        **{name: getattr(line, name) for name in EntityLine.__slots__},
        "attributes": _common([one.labels for one in found]),
        "series": [_with_spark(one, sparks.get((one.hi, one.lo))) for one in found],
        "relations": related,
        "cases": cases.items,
    }


def _with_spark(one: estate.SeriesLine, spark: Mapping[str, Any] | None) -> Mapping[str, Any]:
    values = {name: getattr(one, name) for name in estate.SeriesLine.__slots__}
    if spark is None:
        return values
    last = {"last_ms": spark["last_ms"], "last_value": spark["last_value"]}
    return values | last | {"spark": {"at_ms": spark["at_ms"], "value": spark["value"]}}


def _common(labels: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The labels that every series of the entity has alike."""
    if not labels:
        return {}
    first, *others = labels
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _plain(value: object) -> object:
    """A cell as JSON can hold it; whole numbers beyond what JavaScript counts exactly become texts."""
    if isinstance(value, int) and abs(value) > 1 << 53:
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
