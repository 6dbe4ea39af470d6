"""Every route of the application, those outside its description too, against every credential that must not open it."""

import re

import httpx
import pytest
from fastapi import FastAPI

from cerebro.app.front import api, gate_of
from cerebro.app.roles import agents
from cerebro.casework.answers import Answers
from cerebro.kernel.access.gate import Gate
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.telemetry.memory import MemoryTelemetry
from cerebro.kernel.web.door import Door, doors_of
from cerebro.kernel.web.live import Live
from cerebro.spine.identity import TenantId

SCOPES = ("ingest", "read", "respond", "operate", "admin")
PASSWORD = "four quiet brown horses"


@pytest.fixture
def kernel(make_settings, clock) -> Kernel:
    return Kernel(make_settings(), clock, MemoryBus(clock), MemoryTelemetry(), MemoryRecords())


@pytest.fixture
def gate(kernel) -> Gate:
    return gate_of(kernel)


@pytest.fixture
def app(kernel, gate) -> FastAPI:
    return api(
        kernel, gate, Live(kernel.bus, kernel.clock), agents(), Answers(kernel.clock)
    )  # the application under test: swap it here


@pytest.fixture
def guarded(app) -> list[Door]:
    return [door for door in doors_of(app) if not door.is_public]


@pytest.fixture
async def client(app):
    app.state.rates = None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cerebro") as client:
        yield client


def filled(door: Door) -> str:
    return re.sub(r"\{[^}]+\}", "nobody", door.path)


async def opened(client: httpx.AsyncClient, doors: list[Door], authorization: str, allowed: set[int]) -> list[str]:
    """The doors that answered something else than they must."""
    headers = {"authorization": authorization} if authorization else {}
    wrong = []
    for door in doors:
        if door.method != "WEBSOCKET":
            answer = await client.request(door.method, filled(door), headers=headers)
            if answer.status_code not in allowed or answer.json()["status"] != answer.status_code:
                wrong.append(f"{door.method} {door.path}: {answer.status_code}")
    return wrong


def test_every_route_says_what_it_needs(app):
    """A route without a permission is one of the few that may have none."""
    doors = doors_of(app)

    assert len(doors) > 40
    assert [door for door in doors if door.permission is None and not door.is_public] == []
    assert [door for door in doors if door.permission and door.permission not in SCOPES] == []


async def login(gate: Gate, tenant: str, role: str) -> str:
    await gate.users.make(TenantId(tenant), "ann", role, PASSWORD, actor="test")
    return (await gate.logins.login(TenantId(tenant), "ann", PASSWORD, address="")).access_token


@pytest.mark.parametrize("kind", ["none", "wrong", "forged", "expired", "revoked", "other_signature", "basic"])
async def test_nobody_comes_in_with_a_bad_credential(client, guarded, gate, clock: VirtualClock, kernel, kind):
    """401 on every door, before anything else is looked at."""
    key = await gate.keys.make(TenantId("default"), "x", SCOPES, actor="test")
    token = await login(gate, "default", "admin")
    other = Gate(kernel.records, clock, kernel.settings.access, "o" * 43)
    elsewhere = await other.logins.login(TenantId("default"), "ann", PASSWORD, address="")
    if kind == "revoked":
        await gate.keys.revoke(TenantId("default"), key.key.prefix, actor="test")
    if kind == "expired":
        await clock.advance(901)
    authorization = {
        "none": "",
        "wrong": f"Bearer cbr_{key.key.prefix}_{'0' * 64}",
        "forged": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
        "expired": f"Bearer {token}",
        "revoked": f"Bearer {key.text}",
        "other_signature": f"Bearer {elsewhere.access_token}",
        "basic": "Basic YW5uOmZvdXIgcXVpZXQgYnJvd24gaG9yc2Vz",
    }[kind]

    assert await opened(client, guarded, authorization, {401}) == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_credential_opens_only_what_it_is_for(client, guarded, gate, scope):
    """403 on every door that needs another permission."""
    key = await gate.keys.make(TenantId("default"), scope, [scope], actor="test")
    others = [door for door in guarded if door.permission and door.permission != scope]

    assert await opened(client, others, f"Bearer {key.text}", {403}) == []


async def test_another_tenant_sees_nothing_of_ours(client, app, gate):
    """Its admin lists, finds and changes nothing that is ours, by whatever name."""
    ours, theirs = await login(gate, "default", "admin"), await login(gate, "other", "admin")
    await gate.users.make(TenantId("default"), "carl", "viewer", PASSWORD, actor="test")
    key = await gate.keys.make(TenantId("default"), "ours", ["read"], actor="test")
    headers = {"authorization": f"Bearer {theirs}"}

    for path in ("/api/v1/users", "/api/v1/keys", "/api/v1/audit"):
        assert "carl" not in (await client.get(path, headers=headers)).text
        assert "ours" not in (await client.get(path, headers=headers)).text
    for method, path in (
        ("GET", "/api/v1/users/carl"),
        ("PATCH", "/api/v1/users/carl"),
        ("DELETE", "/api/v1/users/carl"),
        ("DELETE", f"/api/v1/keys/{key.key.prefix}"),
    ):
        body = {"role": "admin"} if method == "PATCH" else None
        assert (await client.request(method, path, headers=headers, json=body)).status_code == 404
    assert (await client.get("/api/v1/users/carl", headers={"authorization": f"Bearer {ours}"})).status_code == 200


async def first_answer(app: FastAPI, path: str, protocols: list[str]) -> str:
    """What a WebSocket is told first."""
    told: list[str] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect" if not told else "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, object]) -> None:
        told.append(str(message["type"]))

    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "headers": [], "query_string": b""}
    await app({**scope, "subprotocols": protocols, "scheme": "ws", "root_path": ""}, receive, send)
    return told[0]


@pytest.mark.parametrize("protocols", [[], ["cerebro.v1"], ["cerebro.v1", "bearer.wrong"]])
async def test_no_websocket_without_a_credential(app, guarded, protocols):
    """Refused before it is accepted."""
    sockets = [filled(door) for door in guarded if door.method == "WEBSOCKET"]

    assert sockets
    assert {await first_answer(app, path, protocols) for path in sockets} == {"websocket.close"}


async def test_the_console_keeps_its_refresh_token_where_no_script_sees_it(client, gate):
    """A cookie for our own page alone: HttpOnly, SameSite, and nothing without the page's own header."""
    await gate.users.make(TenantId("default"), "ann", "viewer", PASSWORD, actor="test")
    own = {"x-cerebro-console": "1"}
    answer = await client.post("/api/v1/login", json={"login": "ann", "password": PASSWORD}, headers=own)
    cookie = answer.headers["set-cookie"]

    assert "refresh_token" not in answer.json()
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/api/v1"))
    assert (await client.get("/api/v1/me")).status_code == 401  # the cookie alone opens nothing
    assert (await client.post("/api/v1/token/refresh")).status_code == 401  # another site could send this much
    fresh = await client.post("/api/v1/token/refresh", headers=own)
    bearer = {"authorization": f"Bearer {fresh.json()['access_token']}"}
    assert (await client.get("/api/v1/me", headers=bearer)).json()["name"] == "ann"
    assert (await client.post("/api/v1/logout", headers={**own, **bearer})).status_code == 204
    assert (await client.post("/api/v1/token/refresh", headers=own)).status_code == 401


async def test_nobody_gives_more_than_he_has(client, gate):
    """An operator's keys: no admin's, not one that is revoked by him; a key's keys end before it does."""
    token = await login(gate, "default", "operator")
    bearer = {"authorization": f"Bearer {token}"}
    admins = await gate.keys.make(TenantId("default"), "admins", SCOPES, actor="test")

    async def make(headers: dict[str, str], **asked: object) -> int:
        return (await client.post("/api/v1/keys", json=asked, headers=headers)).status_code

    assert await make(bearer, name="a", scopes=["admin"]) == 403
    assert await make(bearer, name="b", scopes=["ingest", "read"]) == 201
    assert await make(bearer, name="b", scopes=["read"]) == 409
    assert await make(bearer, name="c", scopes=["fly"]) == 400
    assert (await client.delete(f"/api/v1/keys/{admins.key.prefix}", headers=bearer)).status_code == 403
    short = await gate.keys.make(TenantId("default"), "s", SCOPES, actor="t", expires_ms=1_700_000_900_000)
    of_key = {"authorization": f"Bearer {short.text}"}
    assert await make(of_key, name="d", scopes=["read"]) == 403
    assert await make(of_key, name="d", scopes=["read"], expires_ms=1_700_000_800_000) == 201


async def test_people_and_their_passwords_through_the_api(client, gate):
    """Made, changed, shut out; one's own password with the present one; every step in the audit log."""
    bearer = {"authorization": f"Bearer {await login(gate, 'default', 'admin')}"}
    bob = {"login": "bob", "role": "viewer", "password": PASSWORD}
    assert (await client.post("/api/v1/users", json=bob, headers=bearer)).status_code == 201
    assert (await client.patch("/api/v1/users/bob", json={"password": "short"}, headers=bearer)).status_code == 400
    changed = await client.patch("/api/v1/users/bob", json={"role": "operator"}, headers=bearer)
    assert (changed.json()["role"], changed.json()["disabled"]) == ("operator", False)
    assert (await client.delete("/api/v1/users/ann", headers=bearer)).status_code == 403
    wrong = {"password": "not my password", "new_password": "five loud green horses"}
    assert (await client.post("/api/v1/me/password", json=wrong, headers=bearer)).status_code == 401
    right = wrong | {"password": PASSWORD}
    fresh = await client.post("/api/v1/me/password", json=right, headers=bearer)
    bearer = {"authorization": f"Bearer {fresh.json()['access_token']}"}
    page = (await client.get("/api/v1/audit", params={"limit": 2}, headers=bearer)).json()
    rest = (await client.get("/api/v1/audit", params={"cursor": page["cursor"]}, headers=bearer)).json()

    told = [item["action"] for item in (*page["items"], *rest["items"])]
    assert told == ["user_changed", "login_refused", "user_changed", "user_made", "login", "user_made"]
    assert (await client.get("/api/v1/audit/verify", headers=bearer)).json()["intact"]
    assert PASSWORD not in str(rest)
