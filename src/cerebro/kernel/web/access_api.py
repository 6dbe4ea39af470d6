"""The routes of access: logging in and out, users, keys, the audit log."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Body, Cookie, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cerebro.kernel.access.gate import Gate
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.access.limits import network_of
from cerebro.kernel.access.logins import Pass
from cerebro.kernel.access.model import ApiKey, User
from cerebro.kernel.access.permissions import PERMISSIONS, Permission, Role
from cerebro.kernel.audit import AuditEntry
from cerebro.kernel.records.port import Page, Search
from cerebro.kernel.web.door import needs
from cerebro.spine.errors import Forbidden, Unauthenticated
from cerebro.spine.identity import DEFAULT_TENANT, TenantId

T = TypeVar("T")
COOKIE = "cerebro_refresh"
COOKIE_PATH = "/api/v1"
OWN_PAGE = "x-cerebro-console"  # a header that another site's page cannot send without asking first

Known = Annotated[Principal, Depends(needs(""))]
Operator = Annotated[Principal, Depends(needs("operate"))]
Admin = Annotated[Principal, Depends(needs("admin"))]
Cursor = Annotated[str, Query(max_length=1024, description="The `cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Refresh = Annotated[str, Cookie(alias=COOKIE, max_length=512)]


class Asked(BaseModel):
    """A body; unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class LoginAsked(Asked):
    """Who wants in."""

    login: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)
    tenant: str = Field(DEFAULT_TENANT, max_length=63)


class RefreshAsked(Asked):
    """A refresh token, by who does not keep it in a cookie."""

    refresh_token: str = Field("", max_length=512)


class PasswordAsked(Asked):
    """One's own new password, with the present one."""

    password: str = Field(max_length=256)
    new_password: str = Field(max_length=256)


class UserAsked(Asked):
    """Who is to be let in."""

    login: str = Field(max_length=64)
    role: Role
    password: str = Field(max_length=256)


class UserChangeAsked(Asked):
    """What is to be different about a user; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None
    password: str | None = Field(None, max_length=256)


class KeyAsked(Asked):
    """A key to be made."""

    name: str = Field(max_length=64)
    scopes: list[Permission] = Field(min_length=1, max_length=len(Permission))
    expires_ms: int = Field(0, ge=0, le=1 << 52)


class AuditAsked(Asked):
    """Which changes."""

    actor: str = Field("", max_length=100)
    action: str = Field("", max_length=100)
    object: str = Field("", max_length=300)
    cursor: str = Field("", max_length=1024)
    limit: int = Field(100, ge=1, le=1000)


def router(gate: Gate) -> APIRouter:
    """The routes under `/api/v1`."""
    routes = APIRouter(prefix="/api/v1", tags=["access"])
    _add_logins(routes, gate)
    _add_own(routes, gate)
    _add_users(routes, gate)
    _add_keys(routes, gate)
    _add_audit(routes, gate)
    return routes


def _add_logins(routes: APIRouter, gate: Gate) -> None:
    @routes.post("/login")
    async def login(asked: LoginAsked, request: Request, response: Response) -> dict[str, Any]:
        """An access token for 15 minutes; the refresh token comes as a cookie that scripts cannot read."""
        address = _take_turn(request, gate)
        granted = await gate.logins.login(TenantId(asked.tenant), asked.login, asked.password, address=address)
        return _give(granted, request, response, gate)

    @routes.post("/token/refresh")
    async def refresh(
        request: Request,
        response: Response,
        asked: Annotated[RefreshAsked | None, Body()] = None,
        cookie: Refresh = "",
        console: Annotated[str, Header(alias=OWN_PAGE)] = "",
    ) -> dict[str, Any]:
        """The next access token, for the refresh token in the body, or in the cookie with the console's header."""
        text = _refresh_token(asked, cookie, console)
        if not text:
            raise Unauthenticated("There is no refresh token.", "Log in.")
        _take_turn(request, gate)
        granted = await gate.logins.refresh(text)
        return _give(granted, request, response, gate)

    @routes.post("/logout", status_code=204)
    async def logout(
        principal: Known,
        response: Response,
        asked: Annotated[RefreshAsked | None, Body()] = None,
        cookie: Refresh = "",
        console: Annotated[str, Header(alias=OWN_PAGE)] = "",
    ) -> None:
        """End this login: its refresh tokens are good no more."""
        await gate.logins.logout(principal.tenant, principal.name, _refresh_token(asked, cookie, console))
        response.delete_cookie(COOKIE, COOKIE_PATH, httponly=True, samesite="strict")


def _add_own(routes: APIRouter, gate: Gate) -> None:
    @routes.get("/me")
    async def me(principal: Known) -> dict[str, Any]:
        """Who you are, and what you may do."""
        return {
            "tenant": principal.tenant,
            "name": principal.name,
            "kind": principal.kind,
            "permissions": sorted(principal.permissions),
            "expires_ms": principal.expires_ms,
        }

    @routes.post("/me/password")
    async def change_own_password(
        principal: Known, asked: PasswordAsked, request: Request, response: Response
    ) -> dict[str, Any]:
        """Another password for yourself; every other login of yours ends."""
        if principal.kind != "user":
            raise Forbidden("A key has no password.", "Log in with a password.")
        address = request.client.host if request.client else ""
        await gate.logins.prove(principal.tenant, principal.name, asked.password, address=address)
        user = await gate.users.change(
            principal.tenant, principal.name, actor=principal.name, password=asked.new_password
        )
        return _give(await gate.logins.reissue(principal.tenant, user), request, response, gate)


def _add_users(routes: APIRouter, gate: Gate) -> None:
    @routes.get("/users")
    async def list_users(principal: Admin, cursor: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
        """Who may log in, by login."""
        return _listed(await gate.users.page(principal.tenant, cursor, limit), _user)

    @routes.post("/users", status_code=201)
    async def make_user(principal: Admin, asked: UserAsked) -> dict[str, Any]:
        """Let someone in."""
        _refuse_letting_in(principal, asked.role)
        made = await gate.users.make(principal.tenant, asked.login, asked.role, asked.password, actor=principal.name)
        return _user(made)

    @routes.get("/users/{login}")
    async def show_user(principal: Admin, login: str) -> dict[str, Any]:
        """One user."""
        return _user(await gate.users.load(principal.tenant, login))

    @routes.patch("/users/{login}")
    async def change_user(principal: Admin, login: str, asked: UserChangeAsked) -> dict[str, Any]:
        """Another role or password, or out, or in again. The last admin stays one."""
        if principal.kind == "key":
            _refuse_letting_in(principal, (await gate.users.load(principal.tenant, login)).role)
            _refuse_letting_in(principal, asked.role)
        changed = await gate.users.change(
            principal.tenant,
            login,
            actor=principal.name,
            role=asked.role,
            disabled=asked.disabled,
            password=asked.password,
        )
        return _user(changed)

    @routes.delete("/users/{login}", status_code=204)
    async def remove_user(principal: Admin, login: str) -> None:
        """Let someone in no more; every token he has ends. The last admin stays."""
        await gate.users.remove(principal.tenant, login, actor=principal.name)


def _add_keys(routes: APIRouter, gate: Gate) -> None:
    @routes.get("/keys")
    async def list_keys(principal: Operator, cursor: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
        """Every key by name, without its secret."""
        return _listed(await gate.keys.page(principal.tenant, cursor, limit), _key)

    @routes.post("/keys", status_code=201)
    async def make_key(principal: Operator, asked: KeyAsked) -> dict[str, Any]:
        """Make a key; `key` is shown this once."""
        _refuse_more(principal, asked.scopes)
        if principal.expires_ms and principal.kind == "key" and not 0 < asked.expires_ms <= principal.expires_ms:
            raise Forbidden("A key cannot make one that outlives it.", "Name an earlier expires_ms, or log in.")
        new = await gate.keys.make(
            principal.tenant, asked.name, asked.scopes, actor=principal.name, expires_ms=asked.expires_ms
        )
        return {**_key(new.key), "key": new.text}

    @routes.delete("/keys/{prefix}", status_code=204)
    async def revoke_key(principal: Operator, prefix: str) -> None:
        """End a key; it is refused within seconds."""
        _refuse_more(principal, (await gate.keys.load(principal.tenant, prefix)).scopes)
        await gate.keys.revoke(principal.tenant, prefix, actor=principal.name)


def _add_audit(routes: APIRouter, gate: Gate) -> None:
    @routes.get("/audit")
    async def list_audit(principal: Admin, asked: Annotated[AuditAsked, Query()]) -> dict[str, Any]:
        """Every change, newest first; who, what and to what can be asked for."""
        named = {"actor": asked.actor, "action": asked.action, "object": asked.object}
        where = {name: value for name, value in named.items() if value}
        search = Search(where, "-seq", asked.cursor, asked.limit)
        return _listed(await gate.audit.page(principal.tenant, search), _entry)

    @routes.get("/audit/verify")
    async def verify_audit(principal: Admin) -> dict[str, Any]:
        """Whether every entry still stands as it was written; the first that does not."""
        found = await gate.audit.verify(principal.tenant)
        return {
            "intact": found.intact,
            "count": found.count,
            "broken_at": found.broken_at,
            "reason": found.reason,
        }


def _refresh_token(asked: RefreshAsked | None, cookie: str, console: str) -> str:
    """The body's, or the cookie's when our own page asks: another site's could make a browser send the cookie alone."""
    if asked and asked.refresh_token:
        return asked.refresh_token
    return cookie if console else ""


def _give(granted: Pass, request: Request, response: Response, gate: Gate) -> dict[str, Any]:
    response.set_cookie(
        COOKIE,
        granted.refresh_token,
        max_age=gate.settings.refresh_s,
        path=COOKIE_PATH,
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
        httponly=True,
        samesite="strict",
    )
    response.headers["cache-control"] = "no-store"
    answer = {
        "access_token": granted.access_token,
        "token_type": "bearer",
        "expires_ms": granted.expires_ms,
        "tenant": granted.tenant,
        "login": granted.user.login,
        "role": granted.user.role,
    }
    # A page of ours never sees the refresh token, so that a script put into it cannot take it away.
    return answer if OWN_PAGE in request.headers else {**answer, "refresh_token": granted.refresh_token}


def _take_turn(request: Request, gate: Gate) -> str:
    """The address of who has no credential yet, counted so that it does not keep the database busy."""
    address = request.client.host if request.client else ""
    gate.rates.take(f"from {network_of(address)}")
    return address


def _refuse_letting_in(principal: Principal, role: Role | None) -> None:
    """A key lets nobody in who may do more than it, or for longer: it would be a way to keep what was lent."""
    if role is None:
        return
    if principal.kind == "key" and principal.expires_ms:
        raise Forbidden("A key that expires cannot let people in: they would outlast it.", "Log in to do this.")
    _refuse_more(principal, sorted(PERMISSIONS[role]))


def _refuse_more(principal: Principal, scopes: Sequence[str]) -> None:
    """Nobody gives or takes what he has not; to send telemetry is anyone's to give who may make keys."""
    if more := set(scopes) - principal.permissions - {Permission.INGEST}:
        raise Forbidden(f"You may not do this with the scope {min(more)}: you do not have it yourself.")


def _listed(page: Page[T], shown: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    return {"items": [shown(record.value) for record in page.records], "cursor": page.cursor}


def _user(user: User) -> dict[str, Any]:
    return {
        "login": user.login,
        "role": user.role,
        "disabled": user.disabled,
        "made_ms": user.made_ms,
        "password_changed_ms": user.changed_ms,
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "made_by": key.made_by,
        "made_ms": key.made_ms,
        "expires_ms": key.expires_ms,
        "last_used_ms": key.last_used_ms,
    }


def _entry(entry: AuditEntry) -> dict[str, Any]:
    detail: Mapping[str, object] = msgspec.json.decode(entry.detail)
    return {
        "seq": entry.seq,
        "at_ms": entry.at_ms,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": detail,
        "hash": entry.hash,
    }
