"""What a few steps of one track say: numbers of the time before, and the newest ones."""

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.picture import Tracks

NEWEST = 3  # steps


def some(value: float) -> float:
    """0 where nothing is known."""
    return value if np.isfinite(value) else 0.0


def usual_of(values: NDArray[np.float64]) -> float:
    """Their median; NaN of nothing."""
    ordered = np.sort(values[np.isfinite(values)])  # of so few numbers, ten times as fast as the library's median
    count = len(ordered)
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2.0 if count else float("nan")


def lately(values: NDArray[np.float64]) -> float:
    """The less of the newest two, so that a single one says nothing."""
    values = values[np.isfinite(values)][-2:]
    return float(values.min()) if len(values) else float("nan")


def highest(values: NDArray[np.float64]) -> float:
    """The more of the newest two, so that a single one is enough."""
    values = values[np.isfinite(values)][-2:]
    return float(values.max()) if len(values) else float("nan")


def newest(values: NDArray[np.float64]) -> float:
    """The newest that is known; NaN of nothing."""
    values = values[np.isfinite(values)]
    return float(values[-1]) if len(values) else float("nan")


def middle(values: NDArray[np.float64]) -> float:
    """The middle one of the newest: neither a lull among them says something, nor a peak."""
    return usual_of(values[np.isfinite(values)][-NEWEST:])


def most(tracks: Tracks, row: int, within_s: float) -> float:
    """The most of the trouble's last seconds, and of its newest steps."""
    recent = tracks.at_ms > tracks.at_ms[-1] - within_s * 1000
    recent[-NEWEST:] = True
    values = tracks.during[row][recent]
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")
