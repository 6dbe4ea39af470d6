"""What the users of an estate feel: requests at its entries, and jobs that are done late."""

import numpy as np
from numpy.typing import NDArray

from cerebro.proving.estate.columns import BOUNDS_S, NODE_COUNT, Node
from cerebro.proving.estate.motion import Floats, Measured
from cerebro.proving.estate.topology import QUEUE, Topology
from cerebro.proving.model import Health

LATE_S = 60.0  # a job that waits longer counts as failed
_COLUMNS = (int(Node.COUNT), int(Node.FAILED_COUNT), *range(int(Node.BUCKET), NODE_COUNT))


class Users:
    """Remembers the counters of the entries and the queues, tick by tick."""

    def __init__(self, topology: Topology) -> None:
        self._entries = np.flatnonzero(topology.entry_share > 0.0)
        self._queues = np.flatnonzero(topology.kind == QUEUE)
        self._at_ms: list[NDArray[np.int64]] = []
        self._totals: list[Floats] = []
        self._jobs: list[Floats] = []
        self._last_consumed = np.zeros(len(self._queues))

    def note(self, measured: Measured) -> None:
        """Take in what was measured."""
        self._at_ms.append(measured.at_ms)
        self._totals.append(measured.node[:, self._entries][:, :, _COLUMNS].sum(axis=1))
        consumed = measured.node[:, self._queues, Node.CONSUMED]
        done = np.diff(consumed, axis=0, prepend=self._last_consumed[None])
        self._last_consumed = consumed[-1].copy()
        late = done * (measured.node[:, self._queues, Node.AGE_S] > LATE_S)
        self._jobs.append(np.stack([done.sum(axis=1), late.sum(axis=1)], axis=1))

    def health(self, start_ms: int, end_ms: int) -> Health:
        """What was felt after `start_ms`, up to `end_ms`."""
        if not self._at_ms:
            return Health(start_ms, end_ms, 0, 0.0, 0.0, 0.0)
        at_ms, totals, jobs = np.concatenate(self._at_ms), np.concatenate(self._totals), np.concatenate(self._jobs)
        first, last = (int(np.searchsorted(at_ms, edge, "right")) for edge in (start_ms, end_ms))
        if last <= max(first, 1):
            return Health(start_ms, end_ms, 0, 0.0, 0.0, 0.0)
        first = max(first, 1)  # counters of the first tick have nothing to be compared with
        gained = totals[last - 1] - totals[first - 1]
        done, late = jobs[first:last].sum(axis=0)
        count = gained[0] + gained[1] + done
        error_share = (gained[1] + late) / max(count, 1.0)
        return Health(
            start_ms,
            end_ms,
            int(count),
            float(error_share),
            quantile_ms(gained[2:], 0.5),
            quantile_ms(gained[2:], 0.95),
        )


def quantile_ms(cumulative: Floats, share: float) -> float:
    """The latency that a share of requests stays under, by its histogram; linear within a bucket.

    >>> round(quantile_ms(np.array([0, 0, 50, 100] + [100] * 8), 0.5), 1)
    25.0
    """
    total = cumulative[-1]
    if total <= 0:
        return 0.0
    place = int(np.searchsorted(cumulative, share * total))
    if place >= len(BOUNDS_S):
        return float(BOUNDS_S[-1] * 1000)
    low = BOUNDS_S[place - 1] if place else 0.0
    below = cumulative[place - 1] if place else 0.0
    part = (share * total - below) / max(cumulative[place] - below, 1e-9)
    return float((low + part * (BOUNDS_S[place] - low)) * 1000)
