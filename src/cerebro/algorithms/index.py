"""From 128-bit series names to row numbers: an open-addressing table in two arrays, filled and asked in columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.native import native

EMPTY = -1
SLOTS_FIRST = 1024


@dataclass(slots=True)
class SeriesIndex:
    """Rows by name. A name once given a row keeps it; rows count from 0 in the order of arrival.

    `name` is `uint64, (row, 2)`, hi and lo side by side, with room to grow; `slot` is `int32`, a power of two long, at
    most half full.
    """

    name: NDArray[np.uint64]
    slot: NDArray[np.int32]
    count: int = 0

    @classmethod
    def empty(cls) -> "SeriesIndex":
        """An index of nothing."""
        return cls(np.zeros((SLOTS_FIRST // 2, 2), np.uint64), np.full(SLOTS_FIRST, EMPTY, np.int32))

    @classmethod
    def of(cls, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> "SeriesIndex":
        """The index that gives these names, which must differ, the rows 0, 1, 2 …"""
        index = cls.empty()
        index.add(hi, lo)
        return index

    def find(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The row of each name, `int32, (n,)`; `EMPTY` where it has none."""
        rows: NDArray[np.int32] = _find(self.slot, self.name, hi, lo)
        return rows

    def add(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The row of each name, giving a new one to those that have none."""
        needed = self.count + len(hi)
        while needed * 2 > len(self.slot):
            self._grow()
        rows: NDArray[np.int32]
        rows, self.count = _add(self.slot, self.name, self.count, hi, lo)
        return rows

    def _grow(self) -> None:
        capacity = len(self.slot)
        self.name = np.concatenate([self.name, np.zeros((capacity - len(self.name), 2), np.uint64)])
        self.slot = np.full(capacity * 2, EMPTY, np.int32)
        _place(self.slot, self.name, self.count)


@native
def _start(hi: Any, lo: Any, mask: Any) -> Any:
    """Where a name's search begins; hi and lo are hashes already, mixed so that a metric's series scatter."""
    return (lo ^ (hi * np.uint64(0x9E3779B97F4A7C15))) & mask


@native
def _find(slot: Any, known: Any, hi: Any, lo: Any) -> Any:
    rows = np.empty(len(hi), np.int32)
    mask = np.uint64(len(slot) - 1)
    for k in range(len(hi)):
        at = _start(hi[k], lo[k], mask)
        while slot[at] != EMPTY and not (known[slot[at], 0] == hi[k] and known[slot[at], 1] == lo[k]):
            at = (at + np.uint64(1)) & mask
        rows[k] = slot[at]
    return rows


@native
def _add(slot: Any, known: Any, count: int, hi: Any, lo: Any) -> Any:
    rows = np.empty(len(hi), np.int32)
    mask = np.uint64(len(slot) - 1)
    for k in range(len(hi)):
        at = _start(hi[k], lo[k], mask)
        while slot[at] != EMPTY and not (known[slot[at], 0] == hi[k] and known[slot[at], 1] == lo[k]):
            at = (at + np.uint64(1)) & mask
        if slot[at] == EMPTY:
            slot[at] = count
            known[count, 0] = hi[k]
            known[count, 1] = lo[k]
            count += 1
        rows[k] = slot[at]
    return rows, count


@native
def _place(slot: Any, known: Any, count: int) -> None:
    mask = np.uint64(len(slot) - 1)
    for row in range(count):
        at = _start(known[row, 0], known[row, 1], mask)
        while slot[at] != EMPTY:
            at = (at + np.uint64(1)) & mask
        slot[at] = row
