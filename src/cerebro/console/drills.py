"""The drill that runs, for those who watch it in the console: who plays it tells it here, look by look.

It names the fault while Cerebro is still searching, so it is kept where nothing that searches looks: in a bucket of
the bus's shared state that this module alone names, above every package that detects, diagnoses or acts (the floors of
`.importlinter`). It is no change event, no telemetry and no record.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.door import needs
from cerebro.spine.errors import Conflict
from cerebro.spine.identity import TenantId

BUCKET = "drills"
KEPT_MAX = 5
STEPS_MAX, LOOKS_MAX, SUMMARY_MAX = 150, 300, 10
SILENT_MS = 30_000  # it is told every few seconds: one that falls silent was killed

Reader = Annotated[Principal, Depends(needs("read"))]
Operator = Annotated[Principal, Depends(needs("operate"))]
Id = Annotated[str, Path(max_length=64, pattern=r"^[\w-]+$")]
Moment = Annotated[int, Field(ge=0)]
Phase = Literal["quiet", "fault", "after", "over", "stopped"]
ENDED = ("over", "stopped")


class Told(BaseModel):
    """A body; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Step(Told):
    """One thing that was seen: the fault, what users feel, a finding, a case, a cause, an action, its end."""

    at_ms: Moment
    what: str = Field(max_length=32, pattern=r"^[a-z_]+$")
    text: str = Field("", max_length=600)
    finding: str = Field("", max_length=64)
    case: str = Field("", max_length=64)


class Felt(Told):
    """What users felt over one look."""

    at_ms: Moment
    error_share: float = Field(ge=0, le=1)
    p95_ms: float = Field(ge=0)


class Drill(Told):
    """A drill as far as it has come.

    Args:
        kind: Of the fault; empty, as its title, before it is injected.
        entity: What it was injected into, `service/cart`.
        fault_ms: When it was injected; 0 before that.
        until_ms: When the present phase is expected to end.
        summary: What it came to, a sentence a line.
    """

    kind: str = Field("", max_length=64)
    title: str = Field("", max_length=300)
    symptom: str = Field("", max_length=600)
    entity: str = Field("", max_length=300)
    phase: Phase
    began_ms: Moment
    fault_ms: Moment = 0
    until_ms: Moment = 0
    steps: list[Step] = Field(default_factory=list, max_length=STEPS_MAX)
    felt: list[Felt] = Field(default_factory=list, max_length=LOOKS_MAX)
    summary: list[Annotated[str, Field(max_length=600)]] = Field(default_factory=list, max_length=SUMMARY_MAX)


class KeptDrill(Drill):
    """A drill with when it was last heard of."""

    id: str
    heard_ms: Moment


class DrillLine(KeptDrill):
    """A drill as it is shown; `running` while it is told of."""

    running: bool


class DrillPage(BaseModel):
    """The last few drills, the newest first."""

    items: list[DrillLine]


class Kept(BaseModel):
    """What is stored of a tenant."""

    drills: list[KeptDrill] = Field(default_factory=list)


def router(kernel: Kernel) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/v1", tags=["drills"])

    @routes.get("/drills")
    async def drills(principal: Reader) -> DrillPage:
        """The last drills, with what was seen when. A running one names its fault: nothing that searches reads this."""
        kept, _ = await _load(kernel, principal.tenant)
        now_ms = kernel.clock.now_ms()
        return DrillPage(items=[_line(each, now_ms) for each in kept.drills])

    @routes.put("/drills/{drill_id}", status_code=204, response_model=None)
    async def tell(principal: Operator, drill_id: Id, told: Drill) -> None:
        """Tell a drill as far as it has come; what was told of it before is replaced."""
        drill = KeptDrill(**told.model_dump(), id=drill_id, heard_ms=kernel.clock.now_ms())
        await _keep(kernel, principal.tenant, drill)
        await kernel.bus.broadcast(f"live.{principal.tenant}.drill", b'{"id":"%s"}' % drill_id.encode())

    return routes


def _line(drill: KeptDrill, now_ms: int) -> DrillLine:
    running = drill.phase not in ENDED and now_ms - drill.heard_ms < SILENT_MS
    return DrillLine(**drill.model_dump(), running=running)


async def _keep(kernel: Kernel, tenant: TenantId, drill: KeptDrill) -> None:
    while True:
        kept, revision = await _load(kernel, tenant)
        others = [each for each in kept.drills if each.id != drill.id]
        newest = sorted([drill, *others], key=lambda each: -each.began_ms)[:KEPT_MAX]
        try:
            body = Kept(drills=newest).model_dump_json().encode()
            await kernel.bus.put(BUCKET, tenant, body, revision=revision)
        except Conflict:  # another drill was told this moment
            continue
        return


async def _load(kernel: Kernel, tenant: TenantId) -> tuple[Kept, int]:
    found = await kernel.bus.get(BUCKET, tenant)
    if found is None:
        return Kept(), 0
    return Kept.model_validate_json(found.value), found.revision
