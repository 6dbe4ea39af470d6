"""Different rows of integers, as one number each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
CODES_MAX = 2**62


class Different(NamedTuple):
    """The different columns of an array.

    Args:
        columns: int64, (row, different), in lexicographic order.
        first: int64, (different,): where each comes first.
        inverse: int64, (column,): which of them each column is.
        counts: int64, (different,).
    """

    columns: Whole
    first: Whole
    inverse: Whole
    counts: Whole


def different(*rows: NDArray[np.integer]) -> Different:
    """The different columns of rows that are of one length; as `numpy.unique` with an axis, a tenth of its time.

    Each column becomes one number in mixed radix. Where the ranges of all rows together need more than 62 bits, numpy
    sorts the columns themselves.

    >>> found = different(np.array([2, 1, 2]), np.array([-5, 0, -5]))
    >>> found.columns.tolist(), found.inverse.tolist(), found.counts.tolist()
    ([[1, 2], [0, -5]], [1, 0, 1], [1, 2])
    """
    every = np.stack([np.asarray(row, np.int64) for row in rows])
    if not every.shape[1]:
        return Different(every, *(np.zeros(0, np.int64) for _ in range(3)))
    low = every.min(axis=1)
    sizes = [int(high) - int(least) + 1 for high, least in zip(every.max(axis=1), low, strict=True)]
    total = 1
    for size in sizes:
        total *= size
    if total > CODES_MAX:
        found = np.unique(every, axis=1, return_index=True, return_inverse=True, return_counts=True)
        return Different(found[0], found[1], found[2].ravel(), found[3])
    code = np.zeros(every.shape[1], np.int64)
    for row, least, size in zip(every, low, sizes, strict=True):
        code = code * size + (row - least)
    _, first, inverse, counts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    return Different(every[:, first], first, inverse, counts)
