"""What a process of the shop tells of itself: CPU, memory, descriptors, and how late its loop comes to its work."""

import os
import resource
import time
from pathlib import Path

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.telling import Telling

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """The gauges of one process; each reading covers the time since the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used_s, self._at_s = time.process_time(), clock.monotonic_s()
        self._late_s = 0.0

    def tell(self, telling: Telling) -> None:
        """Show them whenever metrics are sent."""
        telling.gauge("process.memory.usage", "By", resident_bytes)
        telling.gauge("process.cpu.utilization", "1", self._busy_share)
        telling.gauge("process.open_file_descriptor.count", "{file_descriptor}", descriptor_count)
        telling.gauge("process.open_file_descriptor.limit", "{file_descriptor}", descriptor_limit)
        telling.gauge("process.loop.lag", "s", self._lag_s)

    def woke(self, late_s: float) -> None:
        """The loop came so much later to something that was due."""
        self._late_s = max(self._late_s, late_s)

    def _busy_share(self) -> float:
        """Of one core."""
        used_s, at_s = time.process_time(), self._clock.monotonic_s()
        share = (used_s - self._used_s) / max(at_s - self._at_s, 1e-3)
        self._used_s, self._at_s = used_s, at_s
        return share

    def _lag_s(self) -> float:
        late_s, self._late_s = self._late_s, 0.0
        return late_s


def resident_bytes() -> int:
    """Memory that this process holds; 0 when there is no descriptor left to ask with."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def descriptor_count() -> int:
    """Files and sockets that this process has open; its limit when there is none left to ask with."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return os.sysconf("SC_OPEN_MAX")


def descriptor_limit() -> int:
    """As many as it may have open; 0 for no limit."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0 if limit == resource.RLIM_INFINITY else limit
