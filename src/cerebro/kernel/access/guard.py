"""Who a request comes from: the one place where credentials become principals."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from cerebro.kernel.access.keys import PREFIX_BYTES, SECRET_BYTES, is_secret_of, split_key
from cerebro.kernel.access.metrics import REFUSED
from cerebro.kernel.access.model import API_KEYS, KEY_OWNERS, OWN_NAME, OWNERS_TENANT, USERS, ApiKey, User
from cerebro.kernel.access.permissions import PERMISSIONS
from cerebro.kernel.access.recent import Recent
from cerebro.kernel.access.tokens import Claims, Tokens
from cerebro.kernel.clock import Clock
from cerebro.kernel.records.port import Records, Search
from cerebro.spine.errors import Conflict, Forbidden, LimitReached, Unauthenticated, Unavailable
from cerebro.spine.identity import TenantId

FRESH_S = 3.0  # so long a revoked credential may still work
STALE_S = 60.0
USED_MS = 300_000  # how coarse a key's `last_used_ms` is
CREDENTIAL_CHARS_MAX = 4096
KEY_MARK = "key:"  # before the name of a key, where it is a principal's


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone or something that has proved who it is, and what it may do in its tenant."""

    tenant: TenantId
    name: str  # a login, or `key:NAME`: the actor in timelines and the audit log
    kind: str  # user | key
    permissions: frozenset[str]
    expires_ms: int = 0  # of the credential; 0: never

    @property
    def text(self) -> str:
        """One name for it in the whole installation."""
        return f"{self.tenant}/{self.name}"

    def need(self, permission: str) -> None:
        """Go on only with this permission; an empty one asks for nothing but to be known.

        Raises:
            Forbidden: It is not among this principal's.
        """
        if permission and permission not in self.permissions:
            raise Forbidden(
                f"{self.name} may not do this: it needs the permission {permission}.",
                "Ask an admin for a role that has it." if self.kind == "user" else "Use a key with this scope.",
            )


class Guard:
    """Reads credentials: access tokens, and API keys as a bearer or as the password of Basic.

    What it learns it keeps for 3 seconds: so long a revoked credential may still work.
    """

    def __init__(self, records: Records, clock: Clock, tokens: Tokens) -> None:
        self._records, self._clock, self._tokens = records, clock, tokens
        self._keys: Recent[tuple[TenantId, ApiKey] | None] = Recent(clock, fresh_s=FRESH_S, stale_s=STALE_S)
        self._users: Recent[User | None] = Recent(clock, fresh_s=FRESH_S, stale_s=STALE_S)

    async def authenticate(self, authorization: str) -> Principal:
        """Whose credential an `Authorization` header is.

        Raises:
            Unauthenticated: None, or one that is wrong, has expired or was revoked.
            Unavailable: The database does not answer, and the credential was not seen lately.
        """
        credential = credential_of(authorization)
        split = split_key(credential)
        return await (self._key(*split) if split else self._user(self._tokens.read(credential)))

    async def standing(self, tenant: TenantId, name: str) -> Principal:
        """What someone who proved a while ago who they are may do now, by the name of the principal that they were.

        Raises:
            Unauthenticated: Nobody of this name is let in any more.
        """
        async with self._records.transaction() as transaction:
            if name.startswith(KEY_MARK):
                keys = await transaction.find(API_KEYS, tenant, Search({"name": name.removeprefix(KEY_MARK)}, limit=1))
                for key in [record.value for record in keys.records]:
                    if not 0 < key.expires_ms <= self._clock.now_ms():
                        return Principal(tenant, name, "key", frozenset(key.scopes), key.expires_ms)
            else:
                refuse_own_name(name)
                user = await transaction.load(USERS, tenant, name, lock=False)
                if user and not user.value.disabled:
                    return Principal(tenant, name, "user", PERMISSIONS[user.value.role])
        raise Unauthenticated(f"{name} is not let in any more.", "Log in as someone who may.")

    async def _key(self, prefix: str, secret: str) -> Principal:
        is_formed = len(prefix) == PREFIX_BYTES * 2 and len(secret) == SECRET_BYTES * 2  # or the database is not asked
        found = await self._keys.get(prefix, self._fetching_key(prefix)) if is_formed else None
        if found is None or not is_secret_of(found[1], secret):
            raise _refused("key", "The API key is not valid.", "Make another: cerebro key add NAME.")
        tenant, key = found
        if 0 < key.expires_ms <= self._clock.now_ms():
            raise _refused("key_expired", "The API key has expired.", "Make another: cerebro key add NAME.")
        return Principal(tenant, f"{KEY_MARK}{key.name}", "key", frozenset(key.scopes), key.expires_ms)

    async def _user(self, claims: Claims) -> Principal:
        refuse_own_name(claims.login)
        name = f"{claims.tenant}/{claims.login}"
        user = await self._users.get(name, self._fetching_user(claims))
        if user is None or user.disabled or user.generation > claims.generation:
            raise _refused("token_ended", "The access token has been ended.", "Log in.")
        if user.generation < claims.generation:  # what we remember is from before the last change of password
            user = await self._fetching_user(claims)()
            if user is None or user.disabled or user.generation != claims.generation:
                raise _refused("token_ended", "The access token has been ended.", "Log in.")
        return Principal(claims.tenant, user.login, "user", PERMISSIONS[user.role], claims.expires_ms)

    def _fetching_user(self, claims: Claims) -> Callable[[], Awaitable[User | None]]:
        async def fetch() -> User | None:
            async with self._records.transaction() as transaction:
                found = await transaction.load(USERS, claims.tenant, claims.login, lock=False)
            return found.value if found else None

        return fetch

    def _fetching_key(self, prefix: str) -> Callable[[], Awaitable[tuple[TenantId, ApiKey] | None]]:
        async def fetch() -> tuple[TenantId, ApiKey] | None:
            async with self._records.transaction() as transaction:
                owner = await transaction.load(KEY_OWNERS, OWNERS_TENANT, prefix, lock=False)
                if owner is None:
                    return None
                tenant, now_ms = owner.value.owner, self._clock.now_ms()
                found = await transaction.load(API_KEYS, tenant, prefix, lock=False)
            if found is None:
                return None
            if now_ms - found.value.last_used_ms > USED_MS:
                await self._note_use(tenant, replace(found.value, last_used_ms=now_ms), found.version)
            return tenant, found.value

        return fetch

    async def _note_use(self, tenant: TenantId, key: ApiKey, version: int) -> None:
        """In a transaction of its own: another process may note it now, and a full disk must shut nobody out."""
        with suppress(Conflict, LimitReached, Unavailable):
            async with self._records.transaction() as transaction:
                await transaction.save(API_KEYS, tenant, key.prefix, key, version=version)


def refuse_own_name(login: str) -> None:
    """Go on with every login but Cerebro's own name, which a user may have from before it was one.

    Raises:
        Unauthenticated: It is: what its owner approved would count as Cerebro's own word.
    """
    if login == OWN_NAME:
        said = f"Nobody is let in as {OWN_NAME}: Cerebro's own deeds are kept under that name."
        raise _refused("own_name", said, "Have an admin make you another user: cerebro user add NAME.")


def credential_of(authorization: str) -> str:
    """The token or key in an `Authorization` header.

    Raises:
        Unauthenticated: There is none, or it is in a form we do not read.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    credential, scheme = rest.strip(), scheme.lower()
    if not credential or len(credential) > CREDENTIAL_CHARS_MAX:
        raise _refused("none", "This needs a credential.", "Send `Authorization: Bearer` with a token or an API key.")
    if scheme == "bearer":
        return credential
    if scheme == "basic":
        return _password_of(credential)
    raise _refused("scheme", f"Credentials of the form {scheme[:20]!r} are not read.", "Send Bearer or Basic.")


def _password_of(credential: str) -> str:
    try:
        text = base64.b64decode(credential, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _refused("scheme", "The Basic credential cannot be read.", "Its password is the API key.") from error
    password = text.partition(":")[2]
    if split_key(password) is None:
        raise _refused(
            "scheme", "The password of a Basic credential is not an API key.", "Make one: cerebro key add NAME."
        )
    return password


def _refused(reason: str, detail: str, mend: str) -> Unauthenticated:
    REFUSED.labels(reason).inc()
    return Unauthenticated(detail, mend)
