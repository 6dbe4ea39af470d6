"""The one listener: the intake's hot doors first, then REST and WebSocket, then the console's files."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from cerebro import __version__
from cerebro.app.probes import router as probes
from cerebro.casework.answers import Answers, Quick
from cerebro.intake.doors import IntakeApp
from cerebro.kernel.access.gate import Gate
from cerebro.kernel.kit import Agent, Kernel, Task
from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.web.access_api import router as access
from cerebro.kernel.web.door import document_doors
from cerebro.kernel.web.live import Live
from cerebro.kernel.web.middleware import Front
from cerebro.kernel.web.problem import explain_problems
from cerebro.kernel.web.server import Asgi, HttpServer, Receive, Scope, Send

# `Front` makes the span and the measure of each request: a second of each would cost as much as most answers.
OWN_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False)


def front(kernel: Kernel, roles: Collection[str], agents: Mapping[str, Agent]) -> Sequence[Task]:
    """The tasks of the roles `collector` and `console`: a listener with the doors that they open."""
    gate = gate_of(kernel)
    live = Live(kernel.bus, kernel.clock)
    tasks: list[Task] = []
    whole = cast(Asgi, bare(kernel, gate))
    if "console" in roles:
        answers = Answers(kernel.clock)
        whole = Quick(cast(Asgi, api(kernel, gate, live, agents, answers)), answers, gate)
        tasks.append(live)
        tasks += scalers(kernel, gate)
    if "collector" in roles:
        intake = IntakeApp(kernel, gate.guard)
        tasks += intake.tasks()
        whole = _doors_first(intake, whole)
    http = kernel.settings.http
    return [*tasks, HttpServer(Front(whole, kernel.clock, tls=http.tls_certificate is not None), http)]


def scalers(kernel: Kernel, gate: Gate) -> Sequence[Task]:
    """The door of KEDA, where its port is set."""
    scaling, http = kernel.settings.scaling, kernel.settings.http
    if not scaling.keda_port:
        return ()
    from cerebro.agents.support.agent import AGENT
    from cerebro.kernel.scaling.keda import KedaScaler

    certificate = (http.tls_certificate, http.tls_key) if http.tls_certificate and http.tls_key else None
    return (KedaScaler(AGENT.keda_asks(kernel, gate.guard), scaling.keda_host, scaling.keda_port, certificate),)


def gate_of(kernel: Kernel) -> Gate:
    """Who may come in, by this installation's users, keys and signature."""
    key = kernel.settings.access.token_key or load_secrets(kernel.settings.data_dir).token_key
    return Gate(kernel.records, kernel.clock, kernel.settings.access, key)


def bare(kernel: Kernel, gate: Gate) -> FastAPI:
    """What every listener answers: whether it lives, whether it is ready, its metrics."""
    app = FastAPI(
        title="Cerebro", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, telemetry=OWN_TELEMETRY
    )
    app.state.guard, app.state.rates = gate.guard, gate.rates
    explain_problems(app)
    app.include_router(probes(kernel))
    return app


def api(kernel: Kernel, gate: Gate, live: Live, agents: Mapping[str, Agent], answers: Answers) -> FastAPI:
    """REST and WebSocket, then the console for every path that is left."""
    from cerebro.casework.api import router as casework
    from cerebro.console.app import console_app
    from cerebro.console.drills import router as drills
    from cerebro.intake.api import router as intake

    app = bare(kernel, gate)
    of_agents = [agent.router(kernel) for agent in agents.values()]
    for router in (access(gate), casework(kernel, answers, live), intake(kernel), drills(kernel), *of_agents):
        if router is not None:
            app.include_router(cast(APIRouter, router))
    document_doors(app)
    app.mount("/", console_app())
    return app


def _doors_first(intake: IntakeApp, inner: Asgi) -> Asgi:
    """Bodies of telemetry take the short way."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        hot = scope["type"] == "http" and intake.handles(scope["path"])
        await (intake if hot else inner)(scope, receive, send)

    return application
