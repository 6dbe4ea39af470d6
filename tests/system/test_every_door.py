"""No door without a credential: driven by the route list, so that a new route cannot be forgotten."""

import re

import httpx
import pytest

PATHS = ("/api/v1/write", "/v1/metrics", "/v1/logs", "/v1/traces", "/intake/alertmanager", "/intake/events")
HOT = [("POST", path, "ingest") for path in PATHS]
PUBLIC = {"/health", "/ready", "/api/v1/login", "/api/v1/token/refresh", "/api/v1/approvals"}
SCOPES = ("ingest", "read", "respond", "operate", "admin")


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "nobody", path)


@pytest.fixture(scope="session")
def doors(admin) -> list[tuple[str, str, str | None]]:
    """Every documented route with the permission it needs, and the hot doors beside them."""
    described = admin.get("/openapi.json").json()
    routes = [
        (method.upper(), path, operation.get("x-permission"))
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(routes) > 30
    return [*routes, *HOT, ("GET", "/openapi.json", "read")]


@pytest.fixture(scope="session")
def keys(whole) -> dict[str, str]:
    """A key for each scope alone."""
    return {scope: whole.make_key(scope) for scope in SCOPES}


@pytest.fixture(scope="session")
def ask(whole):
    with httpx.Client(base_url=whole.url, timeout=30) as client:
        yield lambda method, path, key=None: client.request(
            method, filled(path), headers={"Authorization": f"Bearer {key}"} if key else {}
        )


def test_only_the_public_doors_ask_for_nothing(doors):
    """A route without a permission is one of the few that must have none."""
    assert {path for _, path, permission in doors if permission is None} <= PUBLIC


@pytest.mark.parametrize("key", [None, "cbr_000000000000_wrong", "eyJhbGciOiJub25lIn0.e30.", "x" * 5000])
def test_nobody_comes_in_without_a_good_credential(doors, ask, key):
    """No, a wrong, an unsigned and an absurd credential: 401 on every door."""
    answers = {(method, path): ask(method, path, key).status_code for method, path, _ in doors if path not in PUBLIC}

    assert {door: status for door, status in answers.items() if status != 401} == {}


def test_a_credential_opens_only_what_it_is_for(doors, ask, keys):
    """A key of any other single scope gets 403 on every door."""
    wrong = {}
    for method, path, permission in doors:
        for scope in SCOPES:
            if path in PUBLIC or not permission or scope == permission:
                continue
            status = ask(method, path, keys[scope]).status_code
            if status != 403:
                wrong[method, path, scope] = status

    assert wrong == {}


def test_a_revoked_key_is_refused_within_seconds(whole, admin, ask):
    """What was good a moment ago is 401 soon after."""
    import time

    key = whole.make_key("read")
    assert ask("GET", "/api/v1/cases", key).status_code == 200
    admin.delete(f"/api/v1/keys/{key.split('_')[1]}").raise_for_status()
    until_s = time.monotonic() + 6
    while ask("GET", "/api/v1/cases", key).status_code == 200 and time.monotonic() < until_s:
        time.sleep(0.2)

    assert ask("GET", "/api/v1/cases", key).status_code == 401


def test_one_tenants_key_does_not_see_another(whole, admin):
    """A key belongs to its tenant: what another tenant has is not there for it."""
    found = admin.post("/api/v1/sql", json={"query": "SELECT DISTINCT tenant FROM series"}).json()["rows"]

    assert {row[0] for row in found} <= {"default"}
