"""The API of users, keys and logins as an attacker would use it: through the front, on records in memory."""

import json

import httpx
import pytest
import structlog
from fastapi import FastAPI
from structlog.testing import capture_logs

from cerebro.kernel.access.gate import Gate
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import AccessSettings
from cerebro.kernel.web.access_api import router
from cerebro.kernel.web.middleware import Front
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine.identity import DEFAULT_TENANT, TenantId

PASSWORD = "four quiet brown horses"
FRESH = "five loud green horses"
EVERYTHING = ("ingest", "read", "respond", "operate", "admin")


@pytest.fixture
def gate(clock) -> Gate:
    return Gate(MemoryRecords(), clock, AccessSettings(requests_per_s=50), "k" * 43)


@pytest.fixture
def open_client(gate, clock):
    """Someone at an address, without a credential."""
    app = FastAPI(openapi_url=None)
    app.state.guard, app.state.rates = gate.guard, gate.rates
    explain_problems(app)
    app.include_router(router(gate))

    def make(address: str = "10.0.0.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(Front(app, clock), client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://cerebro/api/v1")

    return make


@pytest.fixture
async def client(open_client):
    async with open_client() as made:
        yield made


@pytest.fixture
async def ann(gate):
    return await gate.users.make(DEFAULT_TENANT, "ann", "admin", PASSWORD, actor="test")


@pytest.fixture
def bearer_of(gate):
    """The header of a new key with some scopes."""

    async def make(*scopes: str, name: str = "", expires_ms: int = 0, of: TenantId = DEFAULT_TENANT) -> dict[str, str]:
        new = await gate.keys.make(of, name or "-".join(scopes), scopes, actor="test", expires_ms=expires_ms)
        return {"authorization": f"Bearer {new.text}"}

    return make


async def log_in(client: httpx.AsyncClient, **more: str) -> httpx.Response:
    return await client.post("/login", json={"login": "ann", "password": PASSWORD, **more})


BOB = {"login": "bob", "role": "viewer", "password": PASSWORD}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {**BOB, "generation": 0}),
        ("POST", "/users", {**BOB, "tenant": "other"}),
        ("POST", "/users", {**BOB, "password_hash": "$argon2id$"}),
        ("POST", "/users", {**BOB, "role": "root"}),
        ("PATCH", "/users/ann", {"login": "root"}),
        ("PATCH", "/users/ann", {"permissions": ["admin"]}),
        ("POST", "/keys", {"name": "x", "scopes": ["read"], "made_by": "someone"}),
        ("POST", "/keys", {"name": "x", "scopes": ["read"], "tenant": "other"}),
        ("POST", "/keys", {"name": "x", "scopes": ["read"], "prefix": "000000000000"}),
        ("POST", "/me/password", {"password": PASSWORD, "new_password": FRESH, "login": "bob"}),
        ("POST", "/login", {"login": "ann", "password": PASSWORD, "role": "admin"}),
    ],
)
async def test_nothing_is_set_that_is_not_asked_for(client, ann, bearer_of, method, path, body):
    """A field too many is refused, and not taken on or passed over."""
    answer = await client.request(method, path, json=body, headers=await bearer_of(*EVERYTHING))

    assert answer.status_code == 400


async def test_a_key_lets_nobody_in_who_may_do_more_than_it(client, gate, ann, bearer_of):
    """One that may only administrate makes no admin, takes over none and raises nobody; a whole key may."""
    weak, whole = await bearer_of("admin"), await bearer_of(*EVERYTHING)
    await gate.users.make(DEFAULT_TENANT, "eve", "viewer", PASSWORD, actor="test")
    for method, path, body in (
        ("POST", "/users", BOB | {"role": "admin"}),
        ("POST", "/users", BOB),
        ("PATCH", "/users/ann", {"password": FRESH}),
        ("PATCH", "/users/eve", {"role": "operator"}),
    ):
        assert (await client.request(method, path, json=body, headers=weak)).status_code == 403, path

    reading = await bearer_of("read", "admin")
    assert (await client.post("/users", json=BOB, headers=reading)).status_code == 201
    assert (await client.patch("/users/bob", json={"role": "admin"}, headers=reading)).status_code == 403
    assert (await client.patch("/users/bob", json={"role": "admin"}, headers=whole)).status_code == 200


async def test_a_key_that_expires_leaves_nobody_behind(client, ann, clock, bearer_of):
    """Neither a key nor a user that outlasts it."""
    short = await bearer_of(*EVERYTHING, expires_ms=clock.now_ms() + 60_000)

    assert (await client.post("/users", json=BOB, headers=short)).status_code == 403
    assert (await client.patch("/users/ann", json={"password": FRESH}, headers=short)).status_code == 403
    assert (await client.post("/keys", json={"name": "x", "scopes": ["read"]}, headers=short)).status_code == 403


async def test_a_key_has_no_password_to_change(client, ann, bearer_of):
    """Not even one that is named like a user."""
    own = await bearer_of(*EVERYTHING, name="ann")
    answer = await client.post("/me/password", json={"password": PASSWORD, "new_password": FRESH}, headers=own)

    assert answer.status_code == 403


async def test_the_cookie_is_for_tls_alone_where_there_is_tls(client, ann):
    """Here, or at the proxy before us; over plain loopback it must still arrive."""
    plain = (await log_in(client)).headers["set-cookie"]
    proxied = await client.post(
        "/login", json={"login": "ann", "password": PASSWORD}, headers={"x-forwarded-proto": "https"}
    )

    assert "Secure" not in plain
    for part in ("Secure", "HttpOnly", "SameSite=strict", "Path=/api/v1", "Max-Age=604800"):
        assert part in proxied.headers["set-cookie"]
    assert "Domain" not in proxied.headers["set-cookie"]


async def test_the_cookie_alone_moves_nothing(client, ann):
    """Another site's page can make a browser send it, but not our header with it."""
    granted = await log_in(client)
    bearer = {"authorization": f"Bearer {granted.json()['access_token']}"}
    assert "cerebro_refresh" in client.cookies

    for headers in ({}, {"origin": "https://evil.example"}, {"content-type": "text/plain"}):
        assert (await client.post("/token/refresh", headers=headers)).status_code == 401
    assert (await client.post("/logout", headers=bearer)).status_code == 204  # without the page's header: no family
    client.cookies.set("cerebro_refresh", granted.json()["refresh_token"], domain="cerebro.local", path="/api/v1")
    again = {"refresh_token": granted.json()["refresh_token"]}
    assert (await client.post("/token/refresh", json=again)).status_code == 200


async def test_a_logout_ends_the_login_and_is_told_once(client, gate, ann):
    """One that ended nothing is not in the audit log: anyone could fill it."""
    granted = (await log_in(client)).json()
    bearer = {"authorization": f"Bearer {granted['access_token']}"}
    own = {"refresh_token": granted["refresh_token"]}
    for body in (own, own, {}, {"refresh_token": "cbf.default." + "0" * 64}):
        assert (await client.post("/logout", json=body, headers=bearer)).status_code == 204
    told = (await client.get("/audit?action=logout", headers=bearer)).json()["items"]

    assert len(told) == 1
    assert (await client.post("/token/refresh", json=own)).status_code == 401


async def test_a_login_that_is_not_there_is_refused_like_one_that_is(client, ann):
    """The same words, byte for byte but for the request's id."""
    answers = [
        (await client.post("/login", json={"login": login, "password": "wrong password", "tenant": tenant})).json()
        for login, tenant in (("ann", "default"), ("nobody", "default"), ("ann", "elsewhere"), ("' OR 1", "_owners"))
    ]

    assert len({json.dumps(answer | {"instance": ""}) for answer in answers}) == 1


async def test_who_has_no_credential_yet_is_limited_by_address(open_client, ann):
    """Guessing refresh tokens keeps no database busy; others go on."""
    guess = {"refresh_token": "cbf.default." + "0" * 64}
    async with open_client("10.0.0.66") as eve, open_client("10.0.0.7") as other:
        answers = [await eve.post("/token/refresh", json=guess) for _ in range(120)]
        assert [answer.status_code for answer in answers] == [401] * 100 + [429] * 20
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].json()["code"] == "too_many_requests"
        assert (await log_in(other)).status_code == 200


async def test_a_credential_that_comes_too_often_is_told_to_wait(client, ann, clock, bearer_of):
    """429 with the time to wait, whatever its permissions; then it goes on, and others never stopped."""
    busy, calm = await bearer_of("read", name="busy"), await bearer_of("read", name="calm")
    answers = [(await client.get("/me", headers=busy)).status_code for _ in range(101)]

    assert answers == [200] * 100 + [429]
    assert (await client.get("/users", headers=busy)).status_code == 429
    assert (await client.get("/me", headers=calm)).status_code == 200
    await clock.advance(1)
    assert (await client.get("/me", headers=busy)).status_code == 200


async def test_answers_with_secrets_stay_in_no_cache(client, ann, bearer_of):
    """Tokens, keys, and everything else that only its reader may see."""
    admin = await bearer_of(*EVERYTHING)
    made = await client.post("/keys", json={"name": "x", "scopes": ["read"]}, headers=admin)

    for answer in (made, await log_in(client), await client.get("/users", headers=admin)):
        assert answer.headers.get_list("cache-control") == ["no-store"]


async def test_lists_show_no_secret(client, ann, bearer_of):
    """Neither a hash of a password nor the digest of a key."""
    admin = await bearer_of(*EVERYTHING)
    users = (await client.get("/users", headers=admin)).text
    keys = (await client.get("/keys", headers=admin)).text
    audit = (await client.get("/audit", headers=admin)).text

    for text in (users, keys, audit):
        assert "argon2" not in text and "digest" not in text
        assert admin["authorization"].split("_")[2] not in text


async def test_the_log_holds_no_secret(client, ann, bearer_of):
    """Whatever was asked and however it ended: no password, token or key is in any line, nor in the audit log."""
    structlog.reset_defaults()
    admin = await bearer_of(*EVERYTHING)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        granted = (await log_in(client)).json()
        refreshed = (await client.post("/token/refresh", json={"refresh_token": granted["refresh_token"]})).json()
        made = (await client.post("/keys", json={"name": "x", "scopes": ["read"]}, headers=admin)).json()
        await client.post("/login", json={"login": PASSWORD, "password": "hunter2hunter2"})
        await client.get(f"/me?access_token={granted['access_token']}")
        await client.get("/me", headers={"authorization": f"Bearer {made['key']}x"})
        await client.post("/me/password", json={"password": PASSWORD, "new_password": FRESH}, headers=admin)
        await client.post("/users", json=BOB | {"password": "short"}, headers=admin)
        audit = (await client.get("/audit", headers=admin)).text
    kept = str(lines) + audit

    assert len(lines) >= 8
    for secret in (
        PASSWORD, FRESH, "hunter2", "short", granted["access_token"], granted["refresh_token"],
        refreshed["access_token"], made["key"], made["key"].split("_")[2], admin["authorization"],
    ):  # fmt: skip
        assert secret not in kept


async def test_every_answer_says_who_it_was_for_in_the_log(client, ann, bearer_of):
    """With the fields that logs are searched by; a refused one has nobody."""
    structlog.reset_defaults()
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await client.get("/me", headers=await bearer_of("read", name="prometheus"))
        await client.get("/me")
    answered = [line for line in lines if line["event"] == "request_answered"]

    assert [(line["user_id"], line["status"], line["path"]) for line in answered] == [
        ("default/key:prometheus", 200, "/api/v1/me"),
        ("", 401, "/api/v1/me"),
    ]
    assert all(line["request_id"] and line["duration_ms"] >= 0 for line in answered)


async def test_an_admin_of_one_tenant_is_nobody_in_another(client, gate, ann, bearer_of):
    """The tenant is the credential's: none that is named in a body, a path or a header counts."""
    theirs = await bearer_of(*EVERYTHING, name="theirs", of=TenantId("other"))
    made = await client.post("/users", json=BOB, headers={**theirs, "x-tenant": "default"})

    assert made.status_code == 201
    assert (await gate.users.load(TenantId("other"), "bob")).login == "bob"
    assert [user["login"] for user in (await client.get("/users", headers=theirs)).json()["items"]] == ["bob"]
    assert (await client.get("/audit", headers=theirs)).json()["items"][0]["actor"] == "key:theirs"
    assert (await log_in(client, login="bob")).status_code == 401
    assert (await log_in(client, login="bob", tenant="other")).json()["tenant"] == "other"


@pytest.mark.parametrize("role", ["viewer", "responder", "operator"])
async def test_nobody_below_an_admin_touches_people(client, gate, ann, role):
    """Nor the audit log; and nobody raises himself."""
    await gate.users.make(DEFAULT_TENANT, "bob", role, PASSWORD, actor="test")
    token = (await log_in(client, login="bob")).json()["access_token"]
    bob = {"authorization": f"Bearer {token}"}
    asked = [
        await client.get("/users", headers=bob),
        await client.post("/users", json=BOB, headers=bob),
        await client.patch("/users/bob", json={"role": "admin"}, headers=bob),
        await client.patch("/users/ann", json={"password": FRESH}, headers=bob),
        await client.delete("/users/ann", headers=bob),
        await client.get("/audit", headers=bob),
        await client.post("/keys", json={"name": "x", "scopes": ["admin"]}, headers=bob),
    ]

    assert {answer.status_code for answer in asked} == {403}
