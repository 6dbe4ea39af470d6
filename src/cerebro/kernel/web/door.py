"""What a route asks of whoever comes: `Depends(needs("read"))`, on every one.

A route that asks for nothing must stand in `PUBLIC`; `doors_of` lists them all, so that a test
can try each with no, a wrong and too low a credential, and none can be forgotten.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, WebSocketRoute

from cerebro.kernel.access.guard import Guard, Principal
from cerebro.kernel.access.limits import RateLimit

PUBLIC = frozenset(
    {
        ("GET", "/health"),
        ("GET", "/ready"),
        ("POST", "/api/v1/login"),
        ("POST", "/api/v1/token/refresh"),
        ("POST", "/api/v1/approvals"),
    }
)
STATIC = frozenset({"", "/", "/static"})  # mounts whose files anyone may have: the console's program, no data
OWN_DOORKEEPER: Mapping[str, str] = {
    "/api/v1/live": "read"
}  # WebSockets that ask the guard themselves, again and again
PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "mend": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
CONVERTER = re.compile(r":\w+(?=})")  # `{name:path}` is `{name}` in OpenAPI
PROTOCOL = "cerebro.v1"  # of the WebSocket; a browser sends its token as a second one, `bearer.<token>`
TOKEN_MARK = "bearer."  # noqa: S105  a prefix


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency that lets a principal with one permission through; an empty one asks only to be known."""

    permission: str

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Who has come.

        Raises:
            Unauthenticated: Nobody we know.
            Forbidden: Someone who may not.
            TooManyRequests: Someone who comes too often.
        """
        guard: Guard = connection.app.state.guard
        principal = await guard.authenticate(authorization_of(connection))
        note_principal(connection.scope, principal)
        rates: RateLimit | None = getattr(connection.app.state, "rates", None)
        if rates is not None:
            rates.take(principal.text)
        principal.need(self.permission)
        return principal


def needs(permission: str) -> Needs:
    """The dependency of a route: `principal: Annotated[Principal, Depends(needs("read"))]`."""
    return Needs(permission)


def authorization_of(connection: HTTPConnection) -> str:
    """The credential as an `Authorization` header has it; of a browser's WebSocket, from its protocols.

    A long-lived connection keeps it and asks `guard.authenticate` again from time to time.
    """
    if (header := connection.headers.get("authorization")) or connection.scope["type"] != "websocket":
        return header or ""
    offered = connection.scope.get("subprotocols", [])
    tokens = [protocol.removeprefix(TOKEN_MARK) for protocol in offered if protocol.startswith(TOKEN_MARK)]
    return f"Bearer {tokens[0]}" if tokens else ""


def protocol_of(connection: HTTPConnection) -> str | None:
    """The protocol to accept a WebSocket with: never the one that holds the token."""
    return PROTOCOL if PROTOCOL in connection.scope.get("subprotocols", []) else None


def note_principal(scope: Any, principal: Principal) -> None:
    """Let the access log and every log line of this request say who it was."""
    scope.setdefault("cerebro", {})["user_id"] = principal.text
    structlog.contextvars.bind_contextvars(user_id=principal.text)


@dataclass(frozen=True, slots=True)
class Door:
    """One way in, and what it asks for; `None` when it asks for nothing."""

    method: str  # WEBSOCKET for a WebSocket, * for a mounted application
    path: str
    permission: str | None

    @property
    def is_public(self) -> bool:
        """Whether it may ask for nothing."""
        return (self.method, self.path) in PUBLIC or (self.method == "*" and self.path in STATIC)


def doors_of(app: FastAPI) -> tuple[Door, ...]:
    """Every way into an application, in the order of its routes."""
    return tuple(_doors(app.routes))


def document_doors(app: FastAPI) -> None:
    """Serve the OpenAPI description to whoever may read, with what each route needs.

    The application is made with `openapi_url=None`: FastAPI's own route would ask for nothing.
    """
    described: dict[str, Any] = {}

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(_: Annotated[Principal, Depends(needs("read"))]) -> JSONResponse:
        """What this Cerebro can be asked."""
        if not described:
            described.update(describe(app))
        return JSONResponse(described)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description: what each route needs, and that it answers problems."""
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    needed = {(door.method.lower(), CONVERTER.sub("", door.path)): door.permission for door in doors_of(app)}
    components = described.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An access token or an API key."}
    }
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            permission = needed.get((method, path))
            if permission is not None:
                operation["security"] = [{"bearer": []}]
                operation["x-permission"] = permission
            operation["responses"].pop("422", None)  # what does not fit is a problem with status 400
            operation["responses"]["default"] = {
                "description": "A problem (RFC 9457) with a stable `code`.",
                "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}},
            }
    return described


def _doors(routes: Sequence[BaseRoute]) -> Iterator[Door]:
    for route in iter_route_contexts(routes):
        kind, path = route.original_route, route.path or ""
        if isinstance(kind, Mount):
            yield from (
                (replace(door, path=path + door.path) for door in _doors(kind.routes))
                if kind.routes
                else (Door("*", path, None),)
            )
        elif isinstance(kind, WebSocketRoute):
            permission = permission_of(route.dependant) if isinstance(kind, APIWebSocketRoute) else None
            yield Door("WEBSOCKET", path, OWN_DOORKEEPER.get(path, "") or permission)
        else:
            permission = permission_of(route.dependant) if isinstance(kind, APIRoute) else None
            for method in sorted(route.methods or {"*"}):
                yield Door(method, path or type(kind).__name__, permission)


def permission_of(dependant: Dependant) -> str | None:
    """What the dependency tree of a route asks for; the first that is found, outermost first."""
    if isinstance(dependant.call, Needs):
        return dependant.call.permission
    found = (permission_of(inner) for inner in dependant.dependencies)
    return next((permission for permission in found if permission is not None), None)
