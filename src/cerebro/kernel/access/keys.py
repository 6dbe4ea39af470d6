"""API keys: credentials of machines. The secret is shown once, and only its digest is kept."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from cerebro.kernel.access.model import API_KEYS, KEY_NAME, KEY_OWNERS, OWNERS_TENANT, ApiKey, KeyOwner, check_tenant
from cerebro.kernel.access.permissions import Permission
from cerebro.kernel.audit import Audit
from cerebro.kernel.clock import Clock
from cerebro.kernel.records.port import Page, Records, Search, Transaction
from cerebro.spine.errors import Conflict, Invalid, NotFound
from cerebro.spine.identity import TenantId

MARK = "cbr"  # so that scanners for leaked secrets can know one
PREFIX_BYTES, SECRET_BYTES = 6, 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown once."""

    key: ApiKey
    text: str  # cbr_<prefix>_<secret>

    def __repr__(self) -> str:
        """Nothing that a log could keep."""
        return f"NewKey({self.key.prefix})"


class Keys:
    """Makes, lists and ends the keys of each tenant."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records, self._clock, self._audit = records, clock, Audit(records, clock)

    async def make(
        self, tenant: TenantId, name: str, scopes: Iterable[str], *, actor: str, expires_ms: int = 0
    ) -> NewKey:
        """A new key of the tenant.

        Raises:
            Invalid: The name or a scope is none, or it would have expired already.
            Conflict: The tenant has a key of that name.
        """
        new = self._new(check_tenant(tenant), name, scopes, actor, expires_ms)
        async with self._records.transaction() as transaction:
            await self._store(transaction, tenant, new)
        return new

    async def renew(self, tenant: TenantId, name: str, scopes: Iterable[str], *, actor: str) -> NewKey:
        """A new key in place of the one of that name, if there is one: for a credential that Cerebro keeps itself."""
        new = self._new(check_tenant(tenant), name, scopes, actor, 0)
        async with self._records.transaction() as transaction:
            old = await transaction.find(API_KEYS, tenant, Search({"name": name}, limit=1))
            for record in old.records:
                await _forget(transaction, tenant, record.key)
            await self._store(transaction, tenant, new)
        return new

    async def load(self, tenant: TenantId, prefix: str) -> ApiKey:
        """The key of that prefix.

        Raises:
            NotFound: The tenant has none.
        """
        async with self._records.transaction() as transaction:
            found = await transaction.load(API_KEYS, tenant, prefix, lock=False)
        if found is None:
            raise NotFound(f"No key has the prefix {prefix}.")
        return found.value

    async def revoke(self, tenant: TenantId, prefix: str, *, actor: str) -> None:
        """End the key; every process refuses it within seconds.

        Raises:
            NotFound: The tenant has none of that prefix.
        """
        async with self._records.transaction() as transaction:
            found = await transaction.load(API_KEYS, tenant, prefix)
            if found is None:
                raise NotFound(f"No key has the prefix {prefix}.")
            await _forget(transaction, tenant, prefix)
            await self._audit.append(
                tenant, actor, "key_revoked", f"key/{prefix}", {"name": found.value.name}, transaction=transaction
            )

    async def page(self, tenant: TenantId, after: str, limit: int) -> Page[ApiKey]:
        """The tenant's keys by name."""
        async with self._records.transaction() as transaction:
            return await transaction.find(API_KEYS, tenant, Search({}, "name", after, limit))

    def _new(self, tenant: TenantId, name: str, scopes: Iterable[str], actor: str, expires_ms: int) -> NewKey:
        wanted = tuple(sorted(set(scopes)))
        if not KEY_NAME.fullmatch(name):
            raise Invalid(
                "A key's name has 1 to 64 letters, digits, blanks or ._@+/- and begins with a letter or digit."
            )
        if not wanted or (unknown := set(wanted) - set(Permission)):
            names = ", ".join(Permission)
            raise Invalid(f"Scopes are some of {names}{f'; not {min(unknown)}' if wanted else ''}.")
        now_ms = self._clock.now_ms()
        if expires_ms and expires_ms <= now_ms:
            raise Invalid("The key would have expired already.")
        prefix = self._clock.chance.randbytes(PREFIX_BYTES).hex()
        secret = self._clock.chance.randbytes(SECRET_BYTES).hex()
        key = ApiKey(name, prefix, digest_of(secret), wanted, actor, now_ms, expires_ms)
        return NewKey(key, f"{MARK}_{prefix}_{secret}")

    async def _store(self, transaction: Transaction, tenant: TenantId, new: NewKey) -> None:
        key = new.key
        try:
            await transaction.save(API_KEYS, tenant, key.prefix, key, version=0)
        except Conflict as error:
            raise Conflict(
                f"A key named {key.name} exists already.", "Take another name, or revoke it first."
            ) from error
        await transaction.save(KEY_OWNERS, OWNERS_TENANT, key.prefix, KeyOwner(tenant), version=0)
        detail = {"name": key.name, "scopes": key.scopes, "expires_ms": key.expires_ms}
        await self._audit.append(tenant, key.made_by, "key_made", f"key/{key.prefix}", detail, transaction=transaction)


def digest_of(secret: str) -> str:
    """What is kept of a secret of 256 random bits: guessing it is hopeless, so that a plain hash will do."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def split_key(text: str) -> tuple[str, str] | None:
    """The prefix and the secret of a key's text; `None` when it is no key's."""
    mark, _, rest = text.partition("_")
    prefix, _, secret = rest.partition("_")
    return (prefix, secret) if mark == MARK and prefix and secret else None


def is_secret_of(key: ApiKey, secret: str) -> bool:
    """Whether the secret belongs to the key, in the same time whatever it is."""
    return hmac.compare_digest(digest_of(secret), key.digest)


async def _forget(transaction: Transaction, tenant: TenantId, prefix: str) -> None:
    await transaction.delete(API_KEYS, tenant, prefix)
    await transaction.delete(KEY_OWNERS, OWNERS_TENANT, prefix)
