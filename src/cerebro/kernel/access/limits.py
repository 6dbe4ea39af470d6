"""How often one may ask. Counted in this process; several replicas each grant their own share."""

import ipaddress
from collections import deque

from cerebro.kernel.access.metrics import LIMITED
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import LimitReached

NAMES_MAX = 50_000  # remembered at once; beyond, those not seen for longest are forgotten
ATTEMPTS_S = 900.0
SPRAY_FACTOR = 5  # an address may fail for this many logins' worth, a login from this many addresses' worth


class TooManyRequests(LimitReached):
    """One asks too often: wait as long as it says."""

    code = "too_many_requests"

    def __init__(self, detail: str, mend: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(detail, mend)
        self.retry_after_s = retry_after_s


class RateLimit:
    """A token bucket for each name.

    Args:
        per_s: Requests a second that may go on for ever.
        burst_s: So many seconds' worth may come at once.

    Source: J. Turner, New Directions in Communications, IEEE Communications Magazine 24 (1986), 8-15.
    """

    def __init__(self, per_s: float, clock: Clock, *, burst_s: float = 2.0) -> None:
        self._per_s, self._clock = per_s, clock
        self._full = max(per_s * burst_s, 1.0)
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was so

    def take(self, name: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: The bucket is empty; it says when there will be one again.
        """
        now_s = self._clock.monotonic_s()
        left, at_s = self._buckets.pop(name, (self._full, now_s))
        left = min(self._full, left + (now_s - at_s) * self._per_s)
        if len(self._buckets) >= NAMES_MAX:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[name] = (left - 1 if left >= 1 else left, now_s)
        if left < 1:
            LIMITED.labels("rate").inc()
            raise TooManyRequests(
                f"More than {self._per_s:g} requests a second.",
                "Slow down.",
                retry_after_s=(1 - left) / self._per_s,
            )


class LoginAttempts:
    """Failed logins of the last 15 minutes: of a login from an address, of a login, of an address.

    An attempt counts as failed from its beginning, so that many at once are no more than many in turn. The
    limit of a login from anywhere is the looser one, so that a stranger cannot easily lock its owner out.

    Args:
        attempts_max: Failures of one login from one address; the other two may have five times as many.
    """

    def __init__(self, attempts_max: int, clock: Clock) -> None:
        self._max, self._clock = attempts_max, clock
        self._failures: dict[str, deque[float]] = {}

    def begin(self, login: str, address: str) -> None:
        """Let an attempt through, counted as a failure until it is `taken_back` or has `succeeded`; or not.

        Raises:
            TooManyRequests: It says when the oldest failure is forgotten.
        """
        now_s = self._clock.monotonic_s()
        for name, limit in self._names(login, address):
            failures = self._recent(name, now_s)
            if len(failures) >= limit:
                LIMITED.labels("login").inc()
                raise TooManyRequests(
                    "Too many failed logins.",
                    "Wait, then try again; an admin can set a new password.",
                    retry_after_s=failures[0] + ATTEMPTS_S - now_s,
                )
        self._count(login, address, now_s)

    def taken_back(self, login: str, address: str) -> None:
        """The attempt was neither right nor wrong: it could not be looked at."""
        for name, _ in self._names(login, address):
            if failures := self._failures.get(name):
                failures.pop()

    def succeeded(self, login: str, address: str) -> None:
        """Forget this attempt, and the failures of this login from this address."""
        self.taken_back(login, address)
        self._failures.pop(self._names(login, address)[0][0], None)

    def _count(self, login: str, address: str, now_s: float) -> None:
        for name, limit in self._names(login, address):
            failures = self._failures.pop(name, None) or deque(maxlen=limit)
            failures.append(now_s)
            if len(self._failures) >= NAMES_MAX:
                del self._failures[next(iter(self._failures))]
            self._failures[name] = failures

    def _recent(self, name: str, now_s: float) -> deque[float]:
        failures = self._failures.get(name) or deque()
        while failures and failures[0] <= now_s - ATTEMPTS_S:
            failures.popleft()
        return failures

    def _names(self, login: str, address: str) -> tuple[tuple[str, int], ...]:
        place = network_of(address)
        many = self._max * SPRAY_FACTOR
        return ((f"{login} {place}", self._max), (f"{login} *", many), (f"* {place}", many))


def network_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 that one subscriber has in IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
