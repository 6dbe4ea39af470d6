"""The newest judged samples of a tenant in a ring, so that a finding can show what led to it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINT = np.dtype([("at_ms", "i8"), ("row", "i4"), ("value", "f4"), ("predicted", "f4"), ("band", "f4")])
POINTS_FIRST = 1 << 14
POINTS_MAX = 1 << 18
POINTS_PER_SERIES = 150


@dataclass(slots=True)
class Recent:
    """A ring, `POINT, (capacity,)`. `written` counts all points ever written, so that `written % capacity` is next."""

    ring: NDArray[np.void]
    written: int = 0

    def write(self, points: NDArray[np.void], series_count: int) -> None:
        """Add points, the oldest giving way; the ring grows with the number of series, up to `POINTS_MAX`."""
        wanted = min(max(POINTS_FIRST, series_count * POINTS_PER_SERIES), POINTS_MAX)
        if wanted > len(self.ring):
            self._grow(1 << (wanted - 1).bit_length())
        capacity = len(self.ring)
        kept = points[-capacity:]
        skipped = self.written + len(points) - len(kept)
        self.ring[(skipped + np.arange(len(kept))) % capacity] = kept
        self.written += len(points)

    def of(self, row: int, count_max: int) -> NDArray[np.void]:
        """The newest points of a series, in the order of their times."""
        points = self.ordered()
        mine = points[np.flatnonzero(points["row"] == row)]
        newest: NDArray[np.void] = mine[np.argsort(mine["at_ms"], kind="stable")][-count_max:]
        return newest

    def ordered(self) -> NDArray[np.void]:
        """All points, oldest first."""
        capacity = len(self.ring)
        if self.written <= capacity:
            return self.ring[: self.written]
        at = self.written % capacity
        return np.concatenate([self.ring[at:], self.ring[:at]])

    def _grow(self, capacity: int) -> None:
        kept = self.ordered()
        self.ring = np.zeros(capacity, POINT)
        self.ring[: len(kept)] = kept
        self.written = len(kept)


def no_points() -> Recent:
    """An empty ring."""
    return Recent(np.zeros(POINTS_FIRST, POINT))


def from_points(points: NDArray[np.void], capacity: int) -> Recent:
    """The ring that `ordered` and the length of `ring` describe."""
    ring = np.zeros(capacity, POINT)
    ring[: len(points)] = points
    return Recent(ring, len(points))
