"""Users, tokens, keys and the guard on the real PostgreSQL."""

import asyncio
import base64
import json
import time

import jwt
import pytest

from cerebro.kernel.access.gate import Gate
from cerebro.kernel.access.limits import TooManyRequests
from cerebro.kernel.access.model import API_KEYS, REFRESH_TOKENS
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.records.migrate import migrate
from cerebro.kernel.records.port import Search
from cerebro.kernel.records.postgres import PostgresRecords, PostgresTransaction
from cerebro.kernel.settings import AccessSettings
from cerebro.spine.errors import Conflict, Forbidden, Invalid, LimitReached, NotFound, Unauthenticated, Unavailable
from cerebro.spine.identity import TenantId

KEY = "k" * 43
PASSWORD = "four quiet brown horses"
HOME = "10.0.0.1"


@pytest.fixture
async def records(postgres_url):
    await migrate(postgres_url)
    driver = PostgresRecords(postgres_url)
    yield driver
    await driver.close()


@pytest.fixture
def clock(tenant):
    """A chance of its own for each test: prefixes of keys are unique in the whole database."""
    return VirtualClock(seed=int(tenant[1:], 16))


@pytest.fixture
def gate(records, clock):
    return Gate(records, clock, AccessSettings(), KEY)


@pytest.fixture
async def ann(gate, tenant):
    return await gate.users.make(tenant, "ann", "admin", PASSWORD, actor="test")


async def actions(gate, tenant) -> list[str]:
    page = await gate.audit.page(tenant, Search({}, "seq"))
    return [record.value.action for record in page.records]


async def test_the_first_admin_is_made_once(gate, tenant):
    """His password is told to one, however many ask at once."""
    told = await asyncio.gather(*(gate.users.ensure_first_admin(tenant) for _ in range(4)))
    password = next(word for word in told if word)

    assert sum(word is not None for word in told) == 1
    assert (await gate.logins.login(tenant, "admin", password, address=HOME)).user.role == "admin"
    assert await gate.users.ensure_first_admin(tenant) is None
    assert (await gate.audit.verify(tenant)).intact


async def test_a_login_gives_a_token_that_the_guard_knows(gate, tenant, ann):
    """Its owner may do what his role says; the login's letters may be large."""
    granted = await gate.logins.login(tenant, " Ann ", PASSWORD, address=HOME)
    principal = await gate.guard.authenticate(f"bearer  {granted.access_token}")

    assert (principal.tenant, principal.name, principal.kind) == (tenant, "ann", "user")
    assert principal.permissions == {"ingest", "read", "respond", "operate", "admin"}
    assert PASSWORD not in repr(granted) and granted.access_token not in repr(granted)
    assert await actions(gate, tenant) == ["user_made", "login"]


@pytest.mark.parametrize(
    ("login", "password", "of_other"),
    [("ann", "another password", False), ("bob", PASSWORD, False), ("ann", PASSWORD, True), ("a\0b", PASSWORD, False)],
)
async def test_a_login_that_fails_says_nothing_of_why(gate, tenant, ann, login, password, of_other):
    """Another password, no such user, another tenant: one answer, and an entry where there is a tenant."""
    asked = TenantId("nobody-has-this") if of_other else tenant
    with pytest.raises(Unauthenticated, match="The login or the password is wrong"):
        await gate.logins.login(asked, login, password, address=HOME)

    is_told = not of_other and "\0" not in login
    assert (await actions(gate, tenant))[1:] == ["login_refused"] * is_told
    assert await actions(gate, TenantId("nobody-has-this")) == []


async def test_an_unknown_login_takes_as_long_as_a_known_one(gate, tenant, ann):
    """Or the logins could be told by the clock."""

    async def duration_s(login: str) -> float:
        start_s = time.process_time()  # of all threads; a busy machine does not change it
        with pytest.raises(Unauthenticated):
            await gate.logins.login(tenant, login, "a wrong password", address=HOME)
        return time.process_time() - start_s

    pairs = [(await duration_s("ann"), await duration_s(f"nobody{number}")) for number in range(5)]
    known, unknown = (min(durations) for durations in zip(*pairs, strict=True))

    assert 0.5 < unknown / known < 2
    assert known < 0.5


async def test_too_many_failures_close_the_door_for_a_while(gate, tenant, ann, clock):
    """Even for the right password; then it opens again."""
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await gate.logins.login(tenant, "ann", "a wrong password", address=HOME)
    with pytest.raises(TooManyRequests):
        await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    await gate.logins.login(tenant, "ann", PASSWORD, address="10.0.0.2")
    await clock.advance(901)
    await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)


async def test_guessing_at_once_gives_no_more_guesses(gate, tenant, ann):
    """An attempt counts from its beginning: forty together are ten, and the rest are told to wait."""
    guesses = (gate.logins.login(tenant, "ann", f"guess number {n}", address=HOME) for n in range(40))
    ends = await asyncio.gather(*guesses, return_exceptions=True)

    assert sorted({(type(end), [type(e) for e in ends].count(type(end))) for end in ends}, key=str) == [
        (TooManyRequests, 30),
        (Unauthenticated, 10),
    ]


async def test_what_was_typed_as_a_login_is_kept_only_when_it_is_one(gate, tenant, ann):
    """It may have been a password in the wrong field."""
    for login in (PASSWORD, "hunter2hunter2", "ann"):
        with pytest.raises(Unauthenticated):
            await gate.logins.login(tenant, login, "x", address=HOME)
    page = await gate.audit.page(tenant, Search({"action": "login_refused"}, "seq"))

    assert {record.value.object for record in page.records} == {"user/?", "user/ann"}
    assert "hunter2" not in str(page)


async def test_an_access_token_ends_by_itself(gate, tenant, ann, clock):
    """After 15 minutes; the refresh token gives the next one."""
    first = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    await clock.advance(901)
    with pytest.raises(Unauthenticated, match="expired"):
        await gate.guard.authenticate(f"Bearer {first.access_token}")

    second = await gate.logins.refresh(first.refresh_token)
    assert (await gate.guard.authenticate(f"Bearer {second.access_token}")).name == "ann"


async def test_a_refresh_token_that_comes_back_ends_its_family(gate, tenant, ann, clock):
    """Thief and owner are both out, other logins are not, and it is in the audit log."""
    first = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    other = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    second = await gate.logins.refresh(first.refresh_token)
    await clock.advance(11)
    for spent in (first, second, first):
        with pytest.raises(Unauthenticated):
            await gate.logins.refresh(spent.refresh_token)

    await gate.logins.refresh(other.refresh_token)
    assert (await actions(gate, tenant)).count("refresh_token_reused") == 1


async def test_two_tabs_may_refresh_at_once(gate, tenant, ann):
    """Within seconds the same token gives both a next one; many at once do no harm."""
    first = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    both = await asyncio.gather(*(gate.logins.refresh(first.refresh_token) for _ in range(4)))

    assert len({granted.refresh_token for granted in both}) == 4
    await gate.logins.refresh(both[0].refresh_token)


@pytest.mark.parametrize(
    "text", ["", "cbf", "cbf..", "cbf.default.short", "cbf.DEFAULT." + "0" * 64, "cbf.t." + "\0" * 64]
)
async def test_what_is_no_refresh_token_is_refused(gate, text):
    """In whatever form."""
    with pytest.raises(Unauthenticated):
        await gate.logins.refresh(text)
    await gate.refreshes.end(text)


async def test_a_refresh_token_expires_and_is_swept(gate, records, tenant, ann, clock):
    """Unused for a week it is good no more, and forgotten."""
    granted = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    await clock.advance(7 * 86_400)
    with pytest.raises(Unauthenticated):
        await gate.logins.refresh(granted.refresh_token)

    assert await gate.refreshes.sweep(tenant) == 1
    async with records.transaction() as transaction:
        assert await transaction.count(REFRESH_TOKENS, tenant, {}) == 0


async def test_a_family_of_refresh_tokens_does_not_live_for_ever(gate, tenant, ann, clock):
    """After 30 days one logs in again."""
    granted = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    for _ in range(5):
        await clock.advance(6 * 86_400 - 60)
        granted = await gate.logins.refresh(granted.refresh_token)
    await clock.advance(600)
    with pytest.raises(Unauthenticated):
        await gate.logins.refresh(granted.refresh_token)


@pytest.mark.parametrize("how", ["password", "disable", "remove", "remove_and_make"])
async def test_every_token_ends_with_its_reason(gate, tenant, ann, clock, how):
    """Another password, shut out, removed, even when the login is given to someone else."""
    await gate.users.make(tenant, "bob", "viewer", PASSWORD, actor="ann")
    granted = await gate.logins.login(tenant, "bob", PASSWORD, address=HOME)
    await gate.guard.authenticate(f"Bearer {granted.access_token}")
    await clock.advance(1)
    if how == "password":
        await gate.users.change(tenant, "bob", actor="ann", password="five loud green horses")
    elif how == "disable":
        await gate.users.change(tenant, "bob", actor="ann", disabled=True)
        with pytest.raises(Unauthenticated):
            await gate.logins.login(tenant, "bob", PASSWORD, address=HOME)
    else:
        await gate.users.remove(tenant, "bob", actor="ann")
        if how == "remove_and_make":
            await gate.users.make(tenant, "bob", "admin", PASSWORD, actor="ann")
    await clock.advance(3)

    with pytest.raises(Unauthenticated):
        await gate.guard.authenticate(f"Bearer {granted.access_token}")
    with pytest.raises(Unauthenticated):
        await gate.logins.refresh(granted.refresh_token)


async def test_a_new_login_is_known_at_once(gate, tenant, ann):
    """Though the guard remembers the user as he was before his password changed."""
    granted = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    await gate.guard.authenticate(f"Bearer {granted.access_token}")
    user = await gate.users.change(tenant, "ann", actor="ann", password="five loud green horses")
    fresh = await gate.logins.reissue(tenant, user)

    assert (await gate.guard.authenticate(f"Bearer {fresh.access_token}")).name == "ann"


async def test_a_demotion_holds_for_tokens_that_are_out(gate, tenant, ann, clock):
    """They say who, not what he may."""
    await gate.users.make(tenant, "bob", "admin", PASSWORD, actor="ann")
    granted = await gate.logins.login(tenant, "bob", PASSWORD, address=HOME)
    await gate.users.change(tenant, "bob", actor="ann", role="viewer")
    await clock.advance(3)
    principal = await gate.guard.authenticate(f"Bearer {granted.access_token}")

    assert principal.permissions == {"read"}
    with pytest.raises(Forbidden):
        principal.need("admin")


async def test_an_admin_always_stays(gate, tenant, ann):
    """Not removed, not demoted, not shut out; two who remove each other at once leave one."""
    for change in ({"role": "viewer"}, {"disabled": True}):
        with pytest.raises(Forbidden):
            await gate.users.change(tenant, "ann", actor="ann", **change)
    with pytest.raises(Forbidden):
        await gate.users.remove(tenant, "ann", actor="ann")

    await gate.users.make(tenant, "bob", "admin", PASSWORD, actor="ann")
    ends = await asyncio.gather(
        gate.users.remove(tenant, "ann", actor="bob"),
        gate.users.change(tenant, "bob", actor="ann", role="viewer"),
        return_exceptions=True,
    )
    assert [type(end) for end in ends].count(Forbidden) == 1


async def test_users_are_made_with_care(gate, tenant, ann):
    """One of a login, of a known role, with a good password."""
    with pytest.raises(Conflict):
        await gate.users.make(tenant, "ANN", "viewer", PASSWORD, actor="test")
    for login, role, password in (("b b", "viewer", PASSWORD), ("bob", "god", PASSWORD), ("bob", "viewer", "short")):
        with pytest.raises(Invalid):
            await gate.users.make(tenant, login, role, password, actor="test")
    with pytest.raises(NotFound):
        await gate.users.remove(tenant, "nobody", actor="test")


def forged(algorithm: str, key: str, **claims: object) -> str:
    said = {"iss": "cerebro", "sub": "ann", "ten": "t", "gen": 1, "iat": 1_700_000_000, "exp": 1_900_000_000} | claims
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, algorithm)


@pytest.mark.parametrize(
    "token",
    [
        forged("HS256", "x" * 43),
        forged("HS512", KEY * 2),
        forged("none", ""),
        forged("HS256", KEY, exp=None),
        forged("HS256", KEY, iss="other"),
        forged("HS256", KEY, exp=1_600_000_000),
        forged("HS256", KEY, gen="many"),
        forged("HS256", KEY)[:-4],
        forged("HS256", KEY).replace(".", "..", 1),
        forged("HS256", KEY) + "." + forged("HS256", KEY),
        base64.urlsafe_b64encode(b"[" * 1400).decode() + ".e30.AA",
        jwt.encode({"sub": "ann"}, KEY, "HS256", headers={"kid": "../../secrets.json", "jku": "http://evil"}),
        "a.b.c",
        "é",
        "",
        "x" * 5000,
    ],
)
async def test_a_token_that_we_did_not_sign_is_refused(gate, token):
    """Another key, another algorithm, none at all, cut, expired, or of another kind."""
    with pytest.raises(Unauthenticated):
        await gate.guard.authenticate(f"Bearer {token}")


async def test_a_token_of_a_tenant_that_its_user_is_not_in_is_refused(gate, tenant, ann):
    """Even with our signature: the user is looked up in the tenant it names."""
    with pytest.raises(Unauthenticated):
        await gate.guard.authenticate(f"Bearer {forged('HS256', KEY, ten='elsewhere', gen=ann.generation)}")


async def test_a_key_is_shown_once_and_known_by_its_digest(gate, records, tenant):
    """As a bearer, and as the password of Basic; nothing that is kept would let anyone in."""
    new = await gate.keys.make(tenant, "prometheus", ["ingest", "read"], actor="ann")
    basic = base64.b64encode(f"anyone:{new.text}".encode()).decode()
    async with records.transaction() as transaction:
        kept = await transaction.load(API_KEYS, tenant, new.key.prefix)

    for header in (f"Bearer {new.text}", f"Basic {basic}"):
        principal = await gate.guard.authenticate(header)
        assert (principal.tenant, principal.name, principal.kind) == (tenant, "key:prometheus", "key")
        assert principal.permissions == {"ingest", "read"}
    assert kept is not None and new.text.split("_")[2] not in json.dumps(kept.value.__repr__())
    assert new.text not in repr(new)


async def test_the_last_use_of_a_key_is_known_to_within_minutes(gate, tenant, clock):
    """And costs a write in as many."""
    new = await gate.keys.make(tenant, "x", ["read"], actor="ann")
    for _ in range(3):
        await gate.guard.authenticate(f"Bearer {new.text}")
        await clock.advance(10)

    assert (await gate.keys.load(tenant, new.key.prefix)).last_used_ms == new.key.made_ms


async def test_a_key_is_good_while_its_use_cannot_be_noted(gate, records, tenant, monkeypatch):
    """A full disk must not shut out who wants to look what fills it."""
    new = await gate.keys.make(tenant, "x", ["read"], actor="ann")

    async def full(*_arguments, **_named):
        raise LimitReached("The database has no room on its disk.")

    monkeypatch.setattr(PostgresTransaction, "save", full)
    principal = await gate.guard.authenticate(f"Bearer {new.text}")

    assert principal.name == "key:x"


async def test_what_cannot_be_a_key_is_not_looked_up(gate, records, monkeypatch):
    """Or anyone could keep the database busy with nonsense."""
    monkeypatch.setattr(records, "transaction", None)
    for text in ("cbr_x_y", f"cbr_{'0' * 12}_{'0' * 63}", f"cbr_{'0' * 13}_{'0' * 64}", f"cbr_{'x' * 1000}_y"):
        with pytest.raises(Unauthenticated):
            await gate.guard.authenticate(f"Bearer {text}")


async def test_no_secret_shows_when_what_is_kept_is_printed(gate, tenant, ann):
    """As in a traceback or a log line."""
    new = await gate.keys.make(tenant, "x", ["read"], actor="ann")
    granted = await gate.logins.login(tenant, "ann", PASSWORD, address=HOME)
    exchanged = await gate.refreshes.exchange(granted.refresh_token)
    shown = repr((ann, new, new.key, granted, exchanged))

    for secret in (ann.password_hash, new.text, new.key.digest, granted.access_token, "cbf.", "argon2"):
        assert secret not in shown


@pytest.mark.parametrize("change", ["secret", "prefix", "cut", "empty"])
async def test_a_wrong_key_is_refused(gate, tenant, change):
    """Whichever part of it is wrong."""
    text = (await gate.keys.make(tenant, "x", ["read"], actor="ann")).text
    mark, prefix, secret = text.split("_")
    wrong = {"secret": f"{mark}_{prefix}_{'0' * 64}", "prefix": f"{mark}_{'0' * 12}_{secret}", "cut": text[:-1]}

    with pytest.raises(Unauthenticated):
        await gate.guard.authenticate(f"Bearer {wrong.get(change, f'{mark}_{prefix}_')}")


async def test_a_revoked_or_expired_key_is_refused_within_seconds(gate, tenant, clock):
    """Three of them; an expiry holds to the second."""
    revoked = await gate.keys.make(tenant, "revoked", ["read"], actor="ann")
    expiring = await gate.keys.make(tenant, "expiring", ["read"], actor="ann", expires_ms=clock.now_ms() + 1000)
    for key in (revoked, expiring):
        await gate.guard.authenticate(f"Bearer {key.text}")
    await gate.keys.revoke(tenant, revoked.key.prefix, actor="ann")
    await clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired"):
        await gate.guard.authenticate(f"Bearer {expiring.text}")
    await clock.advance(2)
    with pytest.raises(Unauthenticated):
        await gate.guard.authenticate(f"Bearer {revoked.text}")

    assert await actions(gate, tenant) == ["key_made", "key_made", "key_revoked"]


async def test_keys_are_made_with_care(gate, tenant):
    """One of a name, with known scopes, not of the past; another tenant's is not there."""
    new = await gate.keys.make(tenant, "x", ["read"], actor="ann")
    with pytest.raises(Conflict):
        await gate.keys.make(tenant, "x", ["read"], actor="ann")
    for name, scopes, expires_ms in (("", ["read"], 0), ("y", [], 0), ("y", ["fly"], 0), ("y", ["read"], 1)):
        with pytest.raises(Invalid):
            await gate.keys.make(tenant, name, scopes, actor="ann", expires_ms=expires_ms)
    with pytest.raises(NotFound):
        await gate.keys.revoke(TenantId("elsewhere"), new.key.prefix, actor="eve")
    renewed = await gate.keys.renew(tenant, "x", ["ingest"], actor="cerebro")

    assert (await gate.guard.authenticate(f"Bearer {renewed.text}")).permissions == {"ingest"}
    with pytest.raises(Unauthenticated):
        await gate.guard.authenticate(f"Bearer {new.text}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Digest x",
        "Basic",
        "Basic %%%",
        "Basic YTpi",
        "Basic /w==",
        "cbr_a_b",
        "Bearer " + "x" * 9000,
    ],
)
async def test_a_header_in_another_form_is_refused(gate, header):
    """With a word on what is read."""
    with pytest.raises(Unauthenticated) as refused:
        await gate.guard.authenticate(header)
    assert refused.value.mend


async def test_senders_go_on_while_the_database_is_away(postgres_url, clock, tenant):
    """A key seen lately is known for a minute; one never seen is not, and that is no 401."""
    driver = PostgresRecords(postgres_url, wait_s=0.2)
    gate = Gate(driver, clock, AccessSettings(), KEY)
    seen = await gate.keys.make(tenant, "seen", ["ingest"], actor="ann")
    unseen = await gate.keys.make(tenant, "unseen", ["ingest"], actor="ann")
    await gate.guard.authenticate(f"Bearer {seen.text}")

    def away():
        raise Unavailable("The database does not answer.")

    driver.transaction = away  # type: ignore[method-assign]
    await clock.advance(30)
    assert (await gate.guard.authenticate(f"Bearer {seen.text}")).name == "key:seen"
    with pytest.raises(Unavailable):
        await gate.guard.authenticate(f"Bearer {unseen.text}")
    await driver.close()
