"""The outermost layer: ids, limits, headers, the log line, and failures as problem documents."""

import logging
from typing import Annotated

import httpx
import pytest
import structlog
from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict
from structlog.testing import capture_logs

from cerebro.console.app import console_app
from cerebro.kernel.access.limits import TooManyRequests
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.web.middleware import Front
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine import errors


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(openapi_url=None)
    explain_problems(app)

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        if name == "TooManyRequests":
            raise TooManyRequests("Too often.", retry_after_s=2.2)
        if name == "bug":
            raise AssertionError("secret detail")
        raise getattr(errors, name)("It broke.", "Mend it.")

    @app.post("/body")
    async def body(wanted: Annotated[int, Body(embed=True)], password: Annotated[str, Body(max_length=3)] = "") -> int:
        return wanted

    @app.post("/strict")
    async def strict(asked: Strict) -> None:
        assert asked

    @app.get("/id")
    async def request_id() -> str:
        return str(structlog.contextvars.get_contextvars()["request_id"])

    return app


@pytest.fixture
async def client(app, clock):
    front = Front(app, clock, body_bytes_max=1000)
    transport = httpx.ASGITransport(front, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://cerebro") as client:
        yield client


@pytest.mark.parametrize(
    ("name", "status", "code", "header"),
    [
        ("Invalid", 400, "invalid", {}),
        ("TooLarge", 413, "too_large", {}),
        (
            "Unauthenticated",
            401,
            "unauthenticated",
            {"www-authenticate": 'Bearer realm="cerebro"'},
        ),
        ("Forbidden", 403, "forbidden", {}),
        ("NotFound", 404, "not_found", {}),
        ("Conflict", 409, "conflict", {}),
        ("TooManyRequests", 429, "too_many_requests", {"retry-after": "3"}),
        ("LimitReached", 503, "limit_reached", {"retry-after": "1"}),
        ("Unavailable", 503, "unavailable", {"retry-after": "1"}),
        ("CerebroError", 500, "internal", {}),
        ("bug", 500, "internal", {}),
    ],
)
async def test_every_failure_is_a_problem_document(client, name, status, code, header):
    """With a status, a stable code, and nothing of our insides."""
    answer = await client.get(f"/fail/{name}", headers={"x-request-id": "abcdefgh-1"})
    problem = answer.json()

    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert header.items() <= answer.headers.items()
    assert "secret" not in answer.text
    assert problem["instance"] == "urn:cerebro:request:abcdefgh-1"
    assert answer.headers["x-request-id"] == "abcdefgh-1"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/id", 405), ("GET", "/body", 405)]
)
async def test_what_no_route_knows_is_a_problem_too(client, method, path, status):
    """405 says what can be done here."""
    answer = await client.request(method, path)

    assert answer.status_code == answer.json()["status"] == status
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_body_that_does_not_fit_names_the_field_and_not_the_value(client):
    """It may have been a password."""
    answer = await client.post("/body", json={"wanted": "many", "password": "hunter2"})
    problem = answer.json()

    assert answer.status_code == 400
    assert [fault["field"] for fault in problem["errors"]] == ["body.wanted", "body.password"]
    assert "hunter2" not in answer.text
    assert (await client.post("/body", content=b"{", headers={"content-type": "application/json"})).status_code == 400


async def test_an_unknown_field_is_not_repeated_at_length(client):
    """Its name is the sender's: a small body must not be answered with a large one, in the log neither."""
    answer = await client.post("/strict", json={"x" * 900: 1})

    assert answer.status_code == 400
    assert len(answer.content) < 900


@pytest.mark.parametrize("told", [True, False])
async def test_too_large_a_body_is_refused(client, told):
    """Whether its length is told before or not."""

    async def parts():
        for _ in range(30):
            yield b"x" * 100

    content = b"x" * 3000 if told else parts()
    answer = await client.post("/body", content=content, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", ["/id", "/nowhere", "/fail/Conflict"])
async def test_every_answer_carries_the_security_headers(client, path):
    """Whatever it is."""
    answer = await client.get(path)

    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("given", ["short", "x" * 65, "a b c d e f g", "line\\nbreak", "<script>alert(1)</script>"])
async def test_an_id_of_another_form_is_replaced(client, given):
    """It stands in logs and answers."""
    answer = await client.get("/id", headers={"x-request-id": given})

    assert answer.headers["x-request-id"] == answer.json() != given


async def test_the_log_line_has_the_fields_of_the_house(client):
    """And says nothing of what was asked for in the query."""
    structlog.reset_defaults()
    logging.disable(logging.NOTSET)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await client.get("/id?token=secret")
    line = next(line for line in lines if line["event"] == "request_answered")

    assert {"request_id", "user_id", "method", "path", "status", "duration_ms"} <= line.keys()
    assert (line["method"], line["path"], line["status"]) == ("GET", "/id", 200)
    assert "secret" not in str(line)


async def test_a_bug_is_in_the_log_under_its_requests_id(client):
    """With its traceback, which the answer has not."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await client.get("/fail/bug", headers={"x-request-id": "abcdefgh-1"})
    line = next(line for line in lines if line["event"] == "request_failed")

    assert (line["request_id"], line["path"], line["log_level"]) == ("abcdefgh-1", "/fail/bug", "error")
    assert isinstance(line["exc_info"], AssertionError)
    assert "Traceback" not in answer.text and "secret detail" not in answer.text


async def test_the_consoles_own_headers_stand_alone():
    """It says what its pages may load more strictly than we do; a browser is told once, not twice."""
    front = Front(console_app(), VirtualClock())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://cerebro") as client:
        answer = await client.get("/cases")

    for name in ("content-security-policy", "x-frame-options", "referrer-policy", "x-content-type-options"):
        assert len(answer.headers.get_list(name)) == 1, name
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "x-request-id" in answer.headers


async def test_two_requests_do_not_share_their_context(client):
    """What one has bound is gone with it."""
    await client.get("/id")

    assert structlog.contextvars.get_contextvars() == {}
