"""The odd one out among things that should be alike: how far each lies from the median of its group.

Source: F. R. Hampel, The Influence Curve and Its Role in Robust Estimation, J. Am. Stat. Assoc. 69 (1974), 383-393
(median and median absolute deviation).
"""

import numpy as np
from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826  # of a normal distribution
COUNT_MIN = 3  # of two, nobody can say which is odd


def odd_ones(group: NDArray[np.int32], value: NDArray[np.float64], spread_min: float) -> NDArray[np.float64]:
    """The distance of each value from the median of its group, in robust spreads of the group, float64, (n,).

    A group of fewer than three has no odd one: 0.

    Args:
        group: Of each value, int32, (n,), from 0.
        value: Finite, float64, (n,).
        spread_min: Least spread, in the unit of the values.

    >>> group, value = np.array([0, 0, 0, 0, 1, 1], np.int32), np.array([1.0, 1.1, 0.9, 9.0, 1.0, 5.0])
    >>> odd_ones(group, value, 0.1).round(1).tolist()
    [-0.3, 0.3, -1.0, 53.6, 0.0, 0.0]
    """
    count = np.bincount(group)
    middle = _medians(group, value, count)
    away = value - middle[group]
    spread = np.maximum(_medians(group, np.abs(away), count) * MAD_TO_SIGMA, spread_min)
    return np.where(count[group] >= COUNT_MIN, away / spread[group], 0.0)


def _medians(group: NDArray[np.int32], value: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of every group, 0 of an empty one."""
    ordered = value[np.lexsort((value, group))]
    first = np.cumsum(count) - count
    last = len(ordered) - 1
    low = ordered[np.minimum(first + np.maximum(count - 1, 0) // 2, last)]
    high = ordered[np.minimum(first + count // 2, last)]
    return np.asarray(np.where(count > 0, (low + high) / 2.0, 0.0))
