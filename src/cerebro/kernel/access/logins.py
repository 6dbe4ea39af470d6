"""From a password to tokens, and from one refresh token to the next."""

from dataclasses import dataclass, replace

from cerebro.kernel.access.guard import refuse_own_name
from cerebro.kernel.access.limits import LoginAttempts
from cerebro.kernel.access.metrics import LOGINS
from cerebro.kernel.access.model import LOGIN, TENANT, USERS, User
from cerebro.kernel.access.passwords import LENGTH_MAX, Passwords
from cerebro.kernel.access.refresh import RefreshTokens
from cerebro.kernel.access.tokens import Tokens
from cerebro.kernel.audit import Audit
from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Records, Transaction
from cerebro.spine.errors import CerebroError, Unauthenticated
from cerebro.spine.identity import TenantId

log = get_log(__name__)
LOGIN_CHARS_MAX = 64
NOBODY = "?"  # stands for a login that is nobody's: what was typed may be a password in the wrong field
PASSWORD_CHARS_MAX = LENGTH_MAX + 1


@dataclass(frozen=True, slots=True)
class Pass:
    """What a login gives: an access token for 15 minutes and a refresh token for the next one."""

    tenant: TenantId
    user: User
    access_token: str
    expires_ms: int
    refresh_token: str

    def __repr__(self) -> str:
        """Nothing that a log could keep."""
        return f"Pass({self.tenant}/{self.user.login})"


class Logins:
    """Logs people in and out."""

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        passwords: Passwords,
        tokens: Tokens,
        refreshes: RefreshTokens,
        attempts: LoginAttempts,
    ) -> None:
        self._records, self._passwords = records, passwords
        self._tokens, self._refreshes, self._attempts = tokens, refreshes, attempts
        self._audit = Audit(records, clock)

    async def login(self, tenant: TenantId, login: str, password: str, *, address: str) -> Pass:
        """Check a password and let its owner in.

        The same work is done for a login that does not exist, and the refusal is the same.

        Raises:
            Unauthenticated: No such user, another password, the user is disabled, or has Cerebro's own name.
            TooManyRequests: Too many failed before.
        """
        user = await self.prove(tenant, login, password, address=address)
        return await self._let_in(tenant, user, password, address)

    async def prove(self, tenant: TenantId, login: str, password: str, *, address: str) -> User:
        """The user whose login and password these are.

        Raises:
            Unauthenticated: As `login` does.
            TooManyRequests: As `login` does.
        """
        login = login.strip().lower()[: LOGIN_CHARS_MAX + 1]
        name = f"{tenant}/{login}"
        self._attempts.begin(name, address)
        try:
            user, is_tenant = await self._look_up(tenant, login)
            right = await self._passwords.matches(password[:PASSWORD_CHARS_MAX], user.password_hash if user else None)
        except CerebroError:
            self._attempts.taken_back(name, address)
            raise
        if user is None or not right or user.disabled:
            reason = "disabled" if user and right else "wrong"
            await self._record_failure(tenant, user.login if user else NOBODY, address, is_tenant, reason)
            raise Unauthenticated("The login or the password is wrong.", "An admin can set a new password.")
        self._attempts.succeeded(name, address)
        refuse_own_name(user.login)
        return user

    async def refresh(self, text: str) -> Pass:
        """The next pass for a refresh token.

        Raises:
            Unauthenticated: The token is not valid any more.
        """
        exchanged = await self._refreshes.exchange(text)
        access, expires_ms = self._tokens.sign(exchanged.tenant, exchanged.user)
        return Pass(exchanged.tenant, exchanged.user, access, expires_ms, exchanged.text)

    async def logout(self, tenant: TenantId, actor: str, text: str) -> None:
        """End the login that this refresh token belongs to."""
        if await self._refreshes.end(text):
            await self._audit.append(tenant, actor, "logout", f"user/{actor}")

    async def reissue(self, tenant: TenantId, user: User) -> Pass:
        """A pass for who has just proved himself otherwise, as by changing his password."""
        async with self._records.transaction() as transaction:
            return await self._pass(transaction, tenant, user)

    async def _look_up(self, tenant: TenantId, login: str) -> tuple[User | None, bool]:
        if not (TENANT.fullmatch(tenant) and LOGIN.fullmatch(login)):
            return None, False
        async with self._records.transaction() as transaction:
            found = await transaction.load(USERS, tenant, login, lock=False)
            return (found.value if found else None), await transaction.count(USERS, tenant, {}) > 0

    async def _let_in(self, tenant: TenantId, user: User, password: str, address: str) -> Pass:
        known = await self._passwords.hash(password) if self._passwords.is_outdated(user.password_hash) else ""
        async with self._records.transaction() as transaction:
            found = await transaction.load(USERS, tenant, user.login)
            if found is None or found.value.generation != user.generation:
                raise Unauthenticated("The login or the password is wrong.", "An admin can set a new password.")
            if known:
                fresh = replace(found.value, password_hash=known)
                await transaction.save(USERS, tenant, user.login, fresh, version=found.version)
            granted = await self._pass(transaction, tenant, found.value)
            detail = {"address": address}
            await self._audit.append(tenant, user.login, "login", f"user/{user.login}", detail, transaction=transaction)
        LOGINS.labels("let_in").inc()
        return granted

    async def _pass(self, transaction: Transaction, tenant: TenantId, user: User) -> Pass:
        access, expires_ms = self._tokens.sign(tenant, user)
        return Pass(tenant, user, access, expires_ms, await self._refreshes.begin(transaction, tenant, user))

    async def _record_failure(self, tenant: TenantId, login: str, address: str, is_tenant: bool, reason: str) -> None:
        """In the audit log of the tenant, if there is one: a made-up name must not begin a chain."""
        LOGINS.labels(reason).inc()
        log.warning("login_refused", tenant=str(tenant)[:64], login=login, address=address, reason=reason)
        if is_tenant:
            detail = {"address": address, "reason": reason}
            await self._audit.append(tenant, login, "login_refused", f"user/{login}", detail)
