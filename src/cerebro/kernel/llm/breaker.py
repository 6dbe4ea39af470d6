"""Whether a provider is asked at all: after some failures in a row it is left alone for a while, then tried once.

Source: M. T. Nygard, Release It!, Pragmatic Bookshelf (2007), chapter 5, "Circuit Breaker".
"""

from dataclasses import dataclass

from cerebro.kernel.clock import Clock


@dataclass(slots=True)
class Breaker:
    """The memory of one provider's failures.

    Args:
        failures_max: So many in a row open it.
        pause_s: Nobody is asked for so long; then one question may try.
    """

    clock: Clock
    failures_max: int
    pause_s: float
    _failures: int = 0
    _closed_at_s: float = 0.0

    def admits(self) -> bool:
        """Whether to ask now. While it is open, one question in `pause_s` is let through."""
        if self._failures < self.failures_max:
            return True
        now_s = self.clock.monotonic_s()
        if now_s < self._closed_at_s:
            return False
        self._closed_at_s = now_s + self.pause_s  # the others wait for what this one learns
        return True

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        self._closed_at_s = self.clock.monotonic_s() + self.pause_s
