"""What a load balancer, an orchestrator and a Prometheus ask of every listener."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from cerebro.casework.health import readiness
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.metrics import expose
from cerebro.kernel.web.door import needs


def router(kernel: Kernel) -> APIRouter:
    """`/health`, `/ready`, `/metrics`."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @routes.get("/ready")
    async def ready() -> JSONResponse:
        """Each engine by name; 503 while one does not answer."""
        states = await readiness(kernel)
        fine = all(state == "ok" for state in states.values())
        return JSONResponse({"status": "ready" if fine else "not ready", "engines": states}, 200 if fine else 503)

    @routes.get("/metrics")
    async def metrics(request: Request, _: Annotated[Principal, Depends(needs("read"))]) -> Response:
        """This process in OpenMetrics."""
        body, media_type = expose(request.headers.get("accept", ""))
        return Response(body, media_type=media_type)

    return routes
