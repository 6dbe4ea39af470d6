"""Refresh tokens: opaque, good for one exchange, and a trap for whoever stole one.

Source: RFC 9700, section 4.14.2: rotation, and the end of the whole family when a spent token comes back.
"""

import hashlib
from dataclasses import dataclass, field, replace

from cerebro.kernel.access.metrics import REFRESHES
from cerebro.kernel.access.model import REFRESH_TOKENS, TENANT, USERS, RefreshToken, User
from cerebro.kernel.audit import Audit
from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Collection, Record, Records, Search, Transaction
from cerebro.spine.errors import Unauthenticated
from cerebro.spine.identity import TenantId

log = get_log(__name__)
MARK = "cbf"
SECRET_BYTES = 32
SIBLING_MS = 10_000  # two tabs of one browser may exchange the same token at once: this late it is still no theft
FAMILY_MS_MAX = 30 * 86_400_000  # then one logs in again, however busy one was
SWEEP = 500


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Whose token it was, and the one that takes its place."""

    tenant: TenantId
    user: User
    text: str = field(repr=False)


class RefreshTokens:
    """Gives, exchanges and ends refresh tokens.

    Args:
        life_s: For how long a token may lie unused, seconds.
    """

    def __init__(self, records: Records, clock: Clock, life_s: int) -> None:
        self._records, self._clock, self._life_s = records, clock, life_s
        self._audit = Audit(records, clock)

    async def begin(self, transaction: Transaction, tenant: TenantId, user: User) -> str:
        """The first token of a new family."""
        now_ms = self._clock.now_ms()
        first = RefreshToken(user.login, self._clock.new_id(), user.generation, now_ms, now_ms + self._life_s * 1000)
        return await self._store(transaction, tenant, first)

    async def exchange(self, text: str) -> Exchanged:
        """The next token for this one, which is spent thereby.

        Raises:
            Unauthenticated: It is none, has expired, or was spent before: then all of its family end.
        """
        tenant, key = _place_of(text)
        async with self._records.transaction() as transaction:
            found = await transaction.load(REFRESH_TOKENS, tenant, key)
            fault = self._fault(found.value) if found else "unknown"
            if found and fault == "reused":
                await self._end_family(transaction, tenant, found.value)
            if found and not fault:
                user = await transaction.load(USERS, tenant, found.value.login, lock=False)
                if user and not user.value.disabled and user.value.generation == found.value.generation:
                    REFRESHES.labels("exchanged").inc()
                    return Exchanged(tenant, user.value, await self._next(transaction, tenant, found))
                fault = "user_gone"
        REFRESHES.labels(fault).inc()
        raise Unauthenticated("The refresh token is not valid any more.", "Log in.")

    async def end(self, text: str) -> bool:
        """End the family of this token: a logout. Whether there was one to end."""
        try:
            tenant, key = _place_of(text)
        except Unauthenticated:
            return False
        async with self._records.transaction() as transaction:
            found = await transaction.load(REFRESH_TOKENS, tenant, key)
            if found:
                await _delete_all(transaction, tenant, {"family": found.value.family})
        return found is not None

    async def end_all(self, transaction: Transaction, tenant: TenantId, login: str) -> None:
        """End every family of a user."""
        await _delete_all(transaction, tenant, {"login": login})

    async def sweep(self, tenant: TenantId) -> int:
        """Forget the tenant's expired tokens and return how many there were."""
        now_ms, count = self._clock.now_ms(), 0
        while True:
            async with self._records.transaction() as transaction:
                page = await transaction.find(REFRESH_TOKENS, tenant, Search({}, "expires_ms", limit=SWEEP))
                expired = [record for record in page.records if record.value.expires_ms <= now_ms]
                for record in expired:
                    await transaction.delete(REFRESH_TOKENS, tenant, record.key)
            count += len(expired)
            if len(expired) < SWEEP:
                return count

    def _fault(self, token: RefreshToken) -> str:
        now_ms = self._clock.now_ms()
        if token.spent_ms and now_ms - token.spent_ms > SIBLING_MS:
            return "reused"
        return "expired" if token.expires_ms <= now_ms else ""

    async def _next(self, transaction: Transaction, tenant: TenantId, found: Record[RefreshToken]) -> str:
        token, now_ms = found.value, self._clock.now_ms()
        spent = replace(token, spent_ms=token.spent_ms or now_ms)
        await transaction.save(REFRESH_TOKENS, tenant, found.key, spent, version=found.version)
        end_ms = min(now_ms + self._life_s * 1000, token.born_ms + FAMILY_MS_MAX)
        return await self._store(transaction, tenant, replace(token, expires_ms=end_ms, spent_ms=0))

    async def _store(self, transaction: Transaction, tenant: TenantId, token: RefreshToken) -> str:
        secret = self._clock.chance.randbytes(SECRET_BYTES).hex()
        await transaction.save(REFRESH_TOKENS, tenant, _digest(secret), token, version=0)
        return f"{MARK}.{tenant}.{secret}"

    async def _end_family(self, transaction: Transaction, tenant: TenantId, token: RefreshToken) -> None:
        await _delete_all(transaction, tenant, {"family": token.family})
        log.warning("refresh_token_reused", tenant=tenant, login=token.login, family=token.family)
        detail = {"family": token.family}
        await self._audit.append(
            tenant, token.login, "refresh_token_reused", f"user/{token.login}", detail, transaction=transaction
        )


def _place_of(text: str) -> tuple[TenantId, str]:
    mark, _, rest = text.partition(".")
    tenant, _, secret = rest.partition(".")
    if mark != MARK or not TENANT.fullmatch(tenant) or len(secret) != SECRET_BYTES * 2:
        raise Unauthenticated("That is no refresh token.", "Log in.")
    return TenantId(tenant), _digest(secret)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


async def _delete_all(transaction: Transaction, tenant: TenantId, where: dict[str, str]) -> None:
    collection: Collection[RefreshToken] = REFRESH_TOKENS
    while True:
        page = await transaction.find(collection, tenant, Search(where, limit=SWEEP))
        for record in page.records:
            await transaction.delete(collection, tenant, record.key)
        if not page.cursor:
            return
