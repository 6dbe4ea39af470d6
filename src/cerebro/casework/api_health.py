"""The first page in one answer, and how Cerebro itself is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request

from cerebro.casework import health
from cerebro.casework.answers import Answers, Json, question, quick_route
from cerebro.casework.api_estate import Estate
from cerebro.casework.store import CASES
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.door import needs
from cerebro.spine.errors import CerebroError
from cerebro.spine.findings import Severity
from cerebro.spine.identity import SELF_TENANT, TenantId
from cerebro.spine.manifest import AgentManifest

Reader = Annotated[Principal, Depends(needs("read"))]
OVERVIEW_S = 3.0
ENGINES_S = 2.0
AGENTS_S = 10.0
BUDGET_BUCKET = "support"
ROLES = {"support": "detector"}  # the role that an agent runs as, where it is not its own name


@dataclass(frozen=True, slots=True)
class Ingest:
    """What came in: samples a minute, and how old the newest minute with samples is."""

    samples_per_s: float
    minutes: Sequence[tuple[int, int]]  # when it began, Unix milliseconds, and its samples
    lag: Mapping[str, int | None]  # messages that the slowest reader of each stream is behind


@dataclass(frozen=True, slots=True)
class Overview:
    """The console's first page. A part that could not be had is `None`, and `missing` says why."""

    open_cases: Mapping[str, int] | None  # by severity
    entities: Mapping[str, int] | None  # by health
    budget: Any
    ingest: Ingest | None
    agents: Sequence[str]
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AgentLine:
    """An agent, what it is for, and whether it reads."""

    name: str
    purpose: str
    healthy: bool  # it has taken its place in every stream that it reads
    behind: int | None  # messages it has not yet done with for good, which it says when it saves its state
    lag_s_max: float
    reads: Sequence[str]
    emits: Sequence[str]
    permissions: Sequence[str]
    pages: Sequence[Any]


@dataclass(frozen=True, slots=True)
class AgentPage:
    """Every agent that is installed."""

    items: Sequence[AgentLine]
    cursor: str


def router(kernel: Kernel, answers: Answers) -> APIRouter:
    """The routes."""
    routes, first = APIRouter(tags=["health"], route_class=quick_route(answers)), FirstPage(kernel)

    @routes.get("/overview", response_model=Overview)
    async def overview(request: Request, principal: Reader) -> Json:
        """Everything the first page shows."""

        async def make() -> Overview:
            return await first.of(principal.tenant)

        return await answers.get(principal.tenant, question(request), make, ttl_s=OVERVIEW_S)

    @routes.get("/engines", response_model=health.Engines)
    async def engines(_: Reader) -> Json:
        """Each engine, the streams between them, and the room on the disk."""

        async def make() -> health.Engines:
            return await health.engines(kernel)

        return await answers.get(SELF_TENANT, "engines", make, ttl_s=ENGINES_S)

    @routes.get("/agents", response_model=AgentPage)
    async def agents(_: Reader) -> Json:
        """The agents that are installed here."""

        async def make() -> AgentPage:
            lines = await health.stream_lines(kernel)
            return AgentPage([_agent_line(manifest, lines) for manifest in health.manifests()], "")

        return await answers.get(SELF_TENANT, "agents", make, ttl_s=AGENTS_S)

    return routes


class FirstPage:
    """Gathers the parts of the overview; one that an engine does not give leaves the others as they are."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._estate = Estate(kernel)
        self._arrivals = health.Arrivals(kernel)

    async def of(self, tenant: TenantId) -> Overview:
        """The page of one tenant."""
        missing: dict[str, str] = {}
        parts: dict[str, Any] = {}
        for name, part in (
            ("open_cases", self._open_cases),
            ("entities", self._entities),
            ("budget", self._budget),
            ("ingest", self._ingest),
        ):
            try:
                parts[name] = await part(tenant)
            except CerebroError as error:
                parts[name], missing[name] = None, error.detail
        return Overview(**parts, agents=[manifest.name for manifest in health.manifests()], missing=missing)

    async def _open_cases(self, tenant: TenantId) -> Mapping[str, int]:
        async with self._kernel.records.transaction() as transaction:
            return {
                severity.name.lower(): await transaction.count(CASES, tenant, {"live": True, "severity": int(severity)})
                for severity in reversed(Severity)
            }

    async def _entities(self, tenant: TenantId) -> Mapping[str, int]:
        lines, _ = await self._estate.lines(tenant)
        return Counter(line.health for line in lines)

    async def _budget(self, tenant: TenantId) -> Any:
        found = await self._kernel.bus.get(BUDGET_BUCKET, f"{tenant}.budget")
        return msgspec.json.decode(found.value) if found else None

    async def _ingest(self, tenant: TenantId) -> Ingest:
        minutes = await self._arrivals.minutes(tenant)
        whole = minutes[:-1][-3:]
        rate = sum(count for _, count in whole) / (60 * len(whole)) if whole else 0.0
        lag = {line.name: line.lag for line in await health.stream_lines(self._kernel)}
        return Ingest(round(rate, 2), minutes, lag)


def _agent_line(manifest: AgentManifest, lines: Sequence[health.StreamLine]) -> AgentLine:
    read = [line for line in lines if any(subject.endswith(f".{line.name}") for subject in manifest.reads)]
    role = ROLES.get(manifest.name, manifest.name)
    behind = [line.readers[role] for line in read if role in line.readers]
    return AgentLine(
        name=manifest.name,
        purpose=manifest.purpose,
        healthy=len(behind) == len(read),
        behind=max(behind, default=None),
        lag_s_max=manifest.lag_s_max,
        reads=sorted(manifest.reads),
        emits=sorted(manifest.emits),
        permissions=sorted(manifest.permissions),
        pages=manifest.pages,
    )
