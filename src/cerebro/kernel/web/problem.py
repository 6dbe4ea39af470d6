"""Failures as RFC 9457 problem documents, the same for every door of ours."""

import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from cerebro.kernel.access.limits import TooManyRequests
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import (
    CerebroError,
    Conflict,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

log = get_log(__name__)
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MEDIA_TYPE = "application/problem+json"
# Basic is read but not asked for: a browser would ask its user for a password, and then send it with
# every request, those that another site's page makes too.
CHALLENGE = 'Bearer realm="cerebro"'
STATUS: Mapping[type[CerebroError], int] = {
    Invalid: 400,
    TooLarge: 413,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooManyRequests: 429,
    LimitReached: 503,  # a full stream or disk; what one sender alone exceeds is `TooManyRequests`
    Unavailable: 503,
    CerebroError: 500,
}
CODES: Mapping[int, str] = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "media_type"}
RETRY_S = 1.0
FAULTS_MAX = 20
FIELD_CHARS_MAX = 100  # the name of a field that does not exist is the sender's own
REASON_BYTES_MAX = 123  # RFC 6455, section 5.5: a control frame has 125 bytes, two of them the code
WS_UNAUTHENTICATED, WS_FORBIDDEN, WS_INVALID, WS_LATER, WS_BUG = 4401, 4403, 4400, 1013, 1011


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure as it is answered."""

    status: int
    code: str  # stable; clients decide by it
    detail: str
    mend: str = ""
    retry_after_s: float = 0.0
    allow: str = ""  # methods, for 405
    errors: Sequence[Mapping[str, str]] = ()  # which field, and what is wrong with it

    def body(self) -> bytes:
        """The document."""
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        document: dict[str, object] = {
            "type": f"urn:cerebro:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "mend": self.mend,
        }
        if request_id:
            document["instance"] = f"urn:cerebro:request:{request_id}"
        if self.errors:
            document["errors"] = self.errors
        return msgspec.json.encode(document)

    def headers(self) -> dict[str, str]:
        """The headers that belong to its status."""
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
        if self.status in (429, 503):
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s or RETRY_S)))
        if self.status == 401:
            headers["www-authenticate"] = CHALLENGE
        if self.allow:
            headers["allow"] = self.allow
        return headers


def problem_of(error: CerebroError) -> Problem:
    """The problem that a failure of ours is to a client."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    retry_after_s = float(getattr(error, "retry_after_s", 0.0))
    return Problem(status, error.code, error.detail, error.mend, retry_after_s)


async def send_problem(problem: Problem | CerebroError, send: Send) -> None:
    """Answer a raw ASGI request with a problem."""
    problem = problem_of(problem) if isinstance(problem, CerebroError) else problem
    body = problem.body()
    headers = [(name.encode(), value.encode()) for name, value in problem.headers().items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def explain_problems(app: FastAPI) -> None:
    """Let every failure of a FastAPI application be answered as a problem."""
    for kind, explain in EXPLAIN.items():

        async def answer(
            connection: HTTPConnection, error: Exception, explain: Callable[[Any], Problem] = explain
        ) -> Response | None:
            return await _answer(connection, explain(error))

        app.add_exception_handler(kind, cast("Any", answer))


async def _answer(connection: HTTPConnection, problem: Problem) -> Response | None:
    if isinstance(connection, WebSocket):
        reason = problem.detail.encode(errors="replace")[:REASON_BYTES_MAX].decode(errors="ignore")
        await connection.close(_close_code(problem.status), reason)
        return None
    return Response(problem.body(), problem.status, problem.headers())


def _close_code(status: int) -> int:
    codes = {401: WS_UNAUTHENTICATED, 403: WS_FORBIDDEN, 429: WS_LATER, 503: WS_LATER}
    return codes.get(status, WS_BUG if status >= 500 else WS_INVALID)


def _of_validation(error: RequestValidationError | WebSocketRequestValidationError) -> Problem:
    """Which fields do not fit. What was sent is not repeated: it may be a password."""
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"])[:FIELD_CHARS_MAX], "message": str(fault["msg"])}
        for fault in error.errors()[:FAULTS_MAX]
    ]
    named = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return Problem(400, Invalid.code, f"The request does not fit: {named}.", "See /openapi.json.", errors=faults)


def _of_http(error: HTTPException) -> Problem:
    """Starlette's own refusals: no such route, another method, a body that is not JSON."""
    detail = {404: "There is nothing here.", 405: "This cannot be done here with this method."}
    allow = (error.headers or {}).get("Allow", "")
    code = CODES.get(error.status_code, Invalid.code if error.status_code < 500 else CerebroError.code)
    return Problem(error.status_code, code, detail.get(error.status_code, str(error.detail)), allow=allow)


def _of_bug(error: Exception) -> Problem:
    log.error("request_failed", exc_info=error)
    return Problem(500, CerebroError.code, "Cerebro has made a mistake.", "It is in the log under this request's id.")


EXPLAIN: Mapping[type[Exception], Callable[[Any], Problem]] = {
    CerebroError: problem_of,
    RequestValidationError: _of_validation,
    WebSocketRequestValidationError: _of_validation,
    HTTPException: _of_http,
    Exception: _of_bug,
}
