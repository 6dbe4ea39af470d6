"""Everything about who may come in, built once from the drivers and the settings."""

from cerebro.kernel.access.guard import Guard
from cerebro.kernel.access.keys import Keys
from cerebro.kernel.access.limits import LoginAttempts, RateLimit
from cerebro.kernel.access.logins import Logins
from cerebro.kernel.access.passwords import Passwords
from cerebro.kernel.access.refresh import RefreshTokens
from cerebro.kernel.access.tokens import Tokens
from cerebro.kernel.access.users import Users
from cerebro.kernel.audit import Audit
from cerebro.kernel.clock import Clock
from cerebro.kernel.records.port import Records
from cerebro.kernel.settings import AccessSettings


class Gate:
    """The parts of access that share their drivers.

    Args:
        token_key: That access tokens are signed with; `Secrets.token_key`.
    """

    def __init__(self, records: Records, clock: Clock, settings: AccessSettings, token_key: str) -> None:
        tokens = Tokens(token_key, settings.token_s, clock)
        self.passwords = Passwords(clock)
        self.audit = Audit(records, clock)
        self.keys = Keys(records, clock)
        self.refreshes = RefreshTokens(records, clock, settings.refresh_s)
        self.users = Users(records, clock, self.passwords, self.refreshes)
        self.guard = Guard(records, clock, tokens)
        self.rates = RateLimit(settings.requests_per_s, clock)
        self.settings = settings
        self.logins = Logins(
            records,
            clock,
            passwords=self.passwords,
            tokens=tokens,
            refreshes=self.refreshes,
            attempts=LoginAttempts(settings.login_attempts_max, clock),
        )
