"""The series that this collector has named on the bus already."""

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from cerebro.intake.decode.compiled import kernel
from cerebro.spine.telemetry import SeriesType

UNSEEN = -1
FAMILIES_MAX = 100_000  # metric families of which the type is remembered; more are read by their name's suffix


class KnownSeries:
    """A set of series ids of one tenant, each with a slot: 0, 1, 2 … in the order of arrival.

    Asking takes no lock and may go on in other threads while one adds: a series added meanwhile may be
    answered as unseen, never the other way round. Holds about 48 bytes a series at a million.

    Args:
        capacity: Series to make room for at first; the set grows by itself.
    """

    def __init__(self, capacity: int = 1 << 12) -> None:
        room = 1 << max(4, (2 * capacity - 1).bit_length())
        self._table = np.zeros((room, 3), np.uint64)  # hi, lo, slot + 1 (0: empty)
        self._count = 0
        self._lock = Lock()
        self.families: dict[str, tuple[SeriesType, str]] = {}  # metric family -> type and unit, as its sender said

    def __len__(self) -> int:
        return self._count

    @property
    def table(self) -> NDArray[np.uint64]:
        """For kernels: `uint64, (room, 3)` of hi, lo and slot + 1, room a power of two; read it with `slot_of`."""
        return self._table

    def find(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The slot of each series, -1 for one not seen: `int64, (n,)`."""
        slots = np.empty(len(hi), np.int64)
        _find(self._table, np.ascontiguousarray(hi), np.ascontiguousarray(lo), slots)
        return slots

    def add(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Remember series and return their slots; one that is there keeps its slot."""
        with self._lock:
            room = len(self._table)
            while 2 * (self._count + len(hi)) > room:
                room *= 2
            if room > len(self._table):
                self._table = _moved(self._table, room)
            slots = np.empty(len(hi), np.int64)
            hi, lo = np.ascontiguousarray(hi), np.ascontiguousarray(lo)
            self._count = int(_add(self._table, hi, lo, slots, self._count))
            return slots

    def clear(self) -> None:
        """Forget every series: each is named again when it comes."""
        with self._lock:
            self._table, self._count = np.zeros((1 << 12, 3), np.uint64), 0


@kernel
def slot_of(table: NDArray[np.uint64], hi: np.uint64, lo: np.uint64) -> int:
    """The slot of one series or -1. Open addressing with linear probing; at most half of the table is full."""
    mask = np.int64(len(table) - 1)
    at = np.int64((lo ^ (hi >> np.uint64(7))) & np.uint64(mask))
    while table[at, 2] != 0:
        if table[at, 1] == lo and table[at, 0] == hi:
            return np.int64(table[at, 2]) - 1  # type: ignore[return-value]
        at = (at + 1) & mask
    return -1


@kernel
def _find(table: NDArray[np.uint64], hi: NDArray[np.uint64], lo: NDArray[np.uint64], slots: NDArray[np.int64]) -> None:
    for i in range(len(hi)):
        slots[i] = slot_of(table, hi[i], lo[i])


@kernel
def _add(
    table: NDArray[np.uint64], hi: NDArray[np.uint64], lo: NDArray[np.uint64], slots: NDArray[np.int64], count: int
) -> int:
    mask = np.int64(len(table) - 1)
    for i in range(len(hi)):
        slot = slot_of(table, hi[i], lo[i])
        if slot < 0:
            at = np.int64((lo[i] ^ (hi[i] >> np.uint64(7))) & np.uint64(mask))
            while table[at, 2] != 0:
                at = (at + 1) & mask
            slot = count
            count += 1
            table[at, 0] = hi[i]
            table[at, 1] = lo[i]
            table[at, 2] = slot + 1  # last: a reader beside us sees a whole entry or none
        slots[i] = slot
    return count


def _moved(table: NDArray[np.uint64], room: int) -> NDArray[np.uint64]:
    entries = table[table[:, 2] != 0]
    moved = np.zeros((room, 3), np.uint64)
    _place(moved, entries)
    return moved


@kernel
def _place(table: NDArray[np.uint64], entries: NDArray[np.uint64]) -> None:
    mask = np.int64(len(table) - 1)
    for i in range(len(entries)):
        at = np.int64((entries[i, 1] ^ (entries[i, 0] >> np.uint64(7))) & np.uint64(mask))
        while table[at, 2] != 0:
            at = (at + 1) & mask
        table[at] = entries[i]
