"""Local users: made, changed and removed by admins, of whom one always stays."""

from dataclasses import replace
from typing import Any

from cerebro.kernel.access.model import USERS, User, check_login, check_tenant
from cerebro.kernel.access.passwords import Passwords, check_password
from cerebro.kernel.access.permissions import Role
from cerebro.kernel.access.refresh import RefreshTokens
from cerebro.kernel.audit import Audit
from cerebro.kernel.clock import Clock
from cerebro.kernel.records.port import Page, Record, Records, Search, Transaction
from cerebro.spine.errors import Conflict, Forbidden, Invalid, NotFound
from cerebro.spine.identity import TenantId

FIRST_ADMIN = "admin"
FIRST_PASSWORD_BYTES = 15  # 120 bits, 30 letters
ADMINS_MAX = 1000


class Users:
    """The users of every tenant."""

    def __init__(self, records: Records, clock: Clock, passwords: Passwords, refreshes: RefreshTokens) -> None:
        self._records, self._clock = records, clock
        self._passwords, self._refreshes = passwords, refreshes
        self._audit = Audit(records, clock)

    async def ensure_first_admin(self, tenant: TenantId, login: str = FIRST_ADMIN) -> str | None:
        """Make an admin for a tenant without users and return the password, this once; `None` when there are users."""
        async with self._records.transaction() as transaction:
            if await transaction.count(USERS, tenant, {}):
                return None
        letters = self._clock.chance.randbytes(FIRST_PASSWORD_BYTES).hex()
        password = "-".join(letters[start : start + 6] for start in range(0, len(letters), 6))
        try:
            await self.make(tenant, login, Role.ADMIN, password, actor="cerebro")
        except Conflict:
            return None  # another process was first
        return password

    async def make(self, tenant: TenantId, login: str, role: str, password: str, *, actor: str) -> User:
        """Let someone in.

        Raises:
            Invalid: The login, role or password is none.
            Conflict: The login is taken.
        """
        login, now_ms = check_login(login), self._clock.now_ms()
        check_password(password, login)
        user = User(login, read_role(role), await self._passwords.hash(password), now_ms, now_ms, changed_ms=now_ms)
        async with self._records.transaction() as transaction:
            try:
                await transaction.save(USERS, check_tenant(tenant), login, user, version=0)
            except Conflict as error:
                raise Conflict(f"A user named {login} exists already.", "Take another login.") from error
            await self._audit.append(
                tenant, actor, "user_made", f"user/{login}", {"role": user.role}, transaction=transaction
            )
        return user

    async def load(self, tenant: TenantId, login: str) -> User:
        """The user of that login.

        Raises:
            NotFound: The tenant has none.
        """
        async with self._records.transaction() as transaction:
            return (await _found(transaction, tenant, login, lock=False)).value

    async def page(self, tenant: TenantId, after: str, limit: int) -> Page[User]:
        """The tenant's users by login."""
        async with self._records.transaction() as transaction:
            return await transaction.find(USERS, tenant, Search({}, "key", after, limit))

    async def change(
        self,
        tenant: TenantId,
        login: str,
        *,
        actor: str,
        role: str | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> User:
        """Change what is given of a user. Shut out or with another password, every token he has ends.

        Raises:
            NotFound: The tenant has no such user.
            Invalid: The role is none, or the password would be guessed.
            Forbidden: Nobody would be left who may do this.
        """
        wanted: dict[str, Any] = {}
        if role is not None:
            wanted["role"] = read_role(role)
        if disabled is not None:
            wanted["disabled"] = disabled
        if password is not None:
            check_password(password, login)
            wanted |= {"password_hash": await self._passwords.hash(password), "changed_ms": self._clock.now_ms()}
        async with self._records.transaction() as transaction:
            admins = await _lock_admins(transaction, tenant)
            found = await _found(transaction, tenant, login)
            user = replace(found.value, **wanted)
            if user == found.value:
                return user
            if user.role is not Role.ADMIN or user.disabled:
                _refuse_last(admins, user.login)
            if password is not None or (user.disabled and not found.value.disabled):
                user = replace(user, generation=max(self._clock.now_ms(), user.generation + 1))
                await self._refreshes.end_all(transaction, tenant, user.login)
            await transaction.save(USERS, tenant, found.key, user, version=found.version)
            detail = {"role": user.role, "disabled": user.disabled, "password": password is not None}
            await self._audit.append(
                tenant, actor, "user_changed", f"user/{user.login}", detail, transaction=transaction
            )
        return user

    async def remove(self, tenant: TenantId, login: str, *, actor: str) -> None:
        """Let someone in no more; every token he has ends.

        Raises:
            NotFound: The tenant has no such user.
            Forbidden: Nobody would be left who may do this.
        """
        async with self._records.transaction() as transaction:
            admins = await _lock_admins(transaction, tenant)
            found = await _found(transaction, tenant, login)
            _refuse_last(admins, found.value.login)
            await transaction.delete(USERS, tenant, found.key)
            await self._refreshes.end_all(transaction, tenant, found.value.login)
            await self._audit.append(
                tenant, actor, "user_removed", f"user/{found.value.login}", transaction=transaction
            )


def read_role(role: str) -> Role:
    """The role of that name.

    Raises:
        Invalid: There is none.
    """
    try:
        return Role(role)
    except ValueError as error:
        raise Invalid(f"{role!r} is no role.", f"The roles are {', '.join(Role)}.") from error


async def _found(transaction: Transaction, tenant: TenantId, login: str, *, lock: bool = True) -> Record[User]:
    found = await transaction.load(USERS, tenant, login.strip().lower(), lock=lock)
    if found is None:
        raise NotFound(f"There is no user {login}.")
    return found


async def _lock_admins(transaction: Transaction, tenant: TenantId) -> frozenset[str]:
    """Who may administrate, locked in order of their logins: two who remove each other take turns."""
    page = await transaction.find(USERS, tenant, Search({"role": Role.ADMIN, "disabled": False}, limit=ADMINS_MAX))
    locked = [await transaction.load(USERS, tenant, record.key) for record in page.records]
    return frozenset(
        record.key for record in locked if record and record.value.role is Role.ADMIN and not record.value.disabled
    )


def _refuse_last(admins: frozenset[str], login: str) -> None:
    if admins == {login}:
        raise Forbidden(f"{login} is the last admin.", "Make another one first.")
