"""Which lines of a case's timeline a post-mortem tells: all of them, or, of a storm, those that are not its signals."""

from collections.abc import Sequence
from dataclasses import dataclass

from cerebro.casework.life import OF_SIGNALS
from cerebro.spine.cases import Entry

LINES_TOLD = 100
SIGNALS_TOLD = 20  # of signals at the least: the first ten and the last ten


@dataclass(frozen=True, slots=True)
class Told:
    """Lines in their order.

    Args:
        left_count: Lines that are not among them.
        left_signal_count: Those of them that only say that a signal came or went.
    """

    lines: tuple[Entry, ...]
    left_count: int
    left_signal_count: int


def told(timeline: Sequence[Entry]) -> Told:
    """At most `LINES_TOLD` lines: those of signals are left out first, and always from the middle."""
    lines = sorted(timeline, key=lambda entry: entry.at_ms)
    of_signals = [place for place, entry in enumerate(lines) if entry.kind in OF_SIGNALS]
    left = set(_middle(of_signals, min(len(lines) - LINES_TOLD, len(of_signals) - SIGNALS_TOLD)))
    others = [place for place in range(len(lines)) if place not in left]
    left.update(_middle(others, len(others) - LINES_TOLD))
    kept = tuple(entry for place, entry in enumerate(lines) if place not in left)
    return Told(kept, len(left), len(left.intersection(of_signals)))


def _middle(places: Sequence[int], count: int) -> Sequence[int]:
    """So many of the places, as far from both ends as can be; none where the count is not above 0.

    >>> _middle([1, 2, 3, 4, 5], 2), _middle([1, 2], -1)
    ([3, 4], [])
    """
    first = (len(places) - count + 1) // 2
    return places[first : first + count] if count > 0 else places[:0]
