"""How many series a tenant may have, and which ones it has.

A tenant at its limit keeps the series it has; new ones are refused one by one. What it has is
what this process took on, what other processes and earlier lives left in the store, less what
nobody has sent for a day. Reading the store takes a while after a start: until then a tenant may
have twice its limit, so that a series which only looks new is not refused.
"""

from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cerebro.intake.decode.known import KnownSeries

IDLE_HOURS = 24  # a series nobody sent for this long counts no more
SWEEP_INTERVAL_MS = 60_000  # at the limit, how often we look for idle series
UNLOADED_FACTOR = 2
METRIC_NAMES_MAX = (
    10_000  # remembered of one tenant, for messages about series known so well that their text is not read
)
HOUR_MS = 3_600_000

Ids: TypeAlias = NDArray[np.uint64]


@dataclass(slots=True)
class Catalogue:
    """The series of one tenant, as one process knows them. Threads may share it.

    Args:
        series_max: The limit.
    """

    series_max: int
    loaded: bool = False
    named: KnownSeries = field(default_factory=KnownSeries)  # those the bus has the labels of, from us
    metric_names: dict[int, str] = field(default_factory=dict)
    _admitted: KnownSeries = field(default_factory=KnownSeries)
    _stored: tuple[Ids, Ids] | None = None
    _stored_hour: int = 0
    _seen_hour: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(1 << 12, np.uint32))  # by slot of `named`
    _swept_ms: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __len__(self) -> int:
        return len(self._admitted)

    @property
    def bound(self) -> int:
        """How many series there may be now."""
        return self.series_max * (1 if self.loaded else UNLOADED_FACTOR)

    def admit(self, hi: Ids, lo: Ids, now_ms: int) -> NDArray[np.bool_]:
        """Take on series that are not named yet, each once, in their order; which of them are in, `bool, (n,)`."""
        with self._lock:
            taken = self._admitted.find(hi, lo) >= 0
            fresh = np.flatnonzero(~taken)
            if len(fresh) > self.bound - len(self._admitted):
                self._sweep(now_ms)
            first = fresh[: max(0, self.bound - len(self._admitted))]
            self._admitted.add(hi[first], lo[first])
            taken[first] = True
            return taken

    def has(self, hi: Ids, lo: Ids) -> NDArray[np.bool_]:
        """Which series were admitted, `bool, (n,)`."""
        return self._admitted.find(hi, lo) >= 0

    def confirm(self, hi: Ids, lo: Ids, now_ms: int) -> None:
        """The bus has the labels of these series."""
        with self._lock:
            slots = self.named.add(hi, lo)
            self._mark(slots, now_ms)

    def saw(self, named: KnownSeries, slots: NDArray[np.int64], now_ms: int) -> None:
        """Series that were named before were sent again; `named` is the set that gave the slots."""
        with self._lock:
            if named is self.named:
                self._mark(slots[slots >= 0], now_ms)

    def load(self, hi: Ids, lo: Ids, now_ms: int) -> None:
        """What the store has of this tenant; from now on the limit holds."""
        with self._lock:
            self._stored, self._stored_hour = (hi, lo), now_ms // HOUR_MS
            self._admitted.add(hi, lo)
            self.loaded = True

    def remember(self, hi: Ids, names: list[str]) -> None:
        """Keep the metrics' names for messages."""
        if len(self.metric_names) < METRIC_NAMES_MAX:
            self.metric_names.update(zip(hi.tolist(), names, strict=True))

    def _mark(self, slots: NDArray[np.int64], now_ms: int) -> None:
        if len(self.named) > len(self._seen_hour):
            self._seen_hour = np.concatenate((self._seen_hour, np.zeros(len(self.named), np.uint32)))
        self._seen_hour[slots] = now_ms // HOUR_MS

    def _sweep(self, now_ms: int) -> None:
        """Forget idle series. What is on its way just now is admitted again when it comes again."""
        if now_ms - self._swept_ms < SWEEP_INTERVAL_MS:
            return
        self._swept_ms = now_ms
        since = now_ms // HOUR_MS - IDLE_HOURS
        entries = self.named.table[self.named.table[:, 2] != 0]
        seen = self._seen_hour[entries[:, 2].astype(np.int64) - 1]
        live = seen > since
        if self._stored is not None and self._stored_hour <= since:
            self._stored = None
        elif live.all():
            return
        kept, kept_seen = entries[live], seen[live]
        named, admitted = KnownSeries(len(kept)), KnownSeries(len(kept))
        named.families = self.named.families
        slots = named.add(kept[:, 0].copy(), kept[:, 1].copy())
        admitted.add(kept[:, 0].copy(), kept[:, 1].copy())
        if self._stored is not None:
            admitted.add(*self._stored)
        self._seen_hour = np.zeros(max(1 << 12, 2 * len(kept)), np.uint32)
        self._seen_hour[slots] = kept_seen
        self.named, self._admitted = named, admitted
