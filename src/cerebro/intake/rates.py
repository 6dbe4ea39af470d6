"""How many requests a second one credential may make: a bucket of tokens each."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

BUCKETS_MAX = 10_000  # credentials remembered; whoever was not seen for longest starts with a full bucket


@dataclass(slots=True)
class Rates:
    """Takes a token for every request; a bucket holds `burst_s` seconds' worth and fills steadily.

    Args:
        per_s: Requests a second that may go on for ever.
        burst_s: Seconds' worth that may come at once.

    >>> rates = Rates(per_s=1, burst_s=2)
    >>> [rates.wait_s("key", now_s=0.0) for _ in range(3)]
    [0.0, 0.0, 1.0]
    """

    per_s: float
    burst_s: float = 2.0
    _buckets: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """0 when the request may go on; otherwise how long to wait, seconds, and no token is taken."""
        full = max(1.0, self.per_s * self.burst_s)
        tokens, at_s = self._buckets.pop(key, (full, now_s))
        tokens = min(full, tokens + (now_s - at_s) * self.per_s)
        allowed = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if allowed else tokens, now_s)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self.per_s
