"""Scales on which the noise of a series is about as large at its crest as in its trough."""

from math import exp, log

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.native import native

LINEAR, LOG = 0, 1
VALUE_MAX = 1e30  # larger values say no more than "very large" and would overflow what is built on them


@native
def forward(value: float, scale: int, offset: float) -> float:
    """The value on its scale: as it is, or `log(1 + value / offset)`, mirrored at 0.

    The logarithm makes a doubling the same step everywhere, which suits what grows by factors
    (bytes, requests, waiting times), and tames bursts out of silence. `offset` is where
    "next to nothing" ends, in the unit of the value.

    Source: G. E. P. Box and D. R. Cox, An Analysis of Transformations, J. R. Stat. Soc. B 26 (1964), 211-252.

    >>> round(forward(0.0, LOG, 1.0), 3), round(forward(99.0, LOG, 1.0), 3), forward(-2.0, LINEAR, 1.0)
    (0.0, 4.605, -2.0)
    """
    bounded = min(max(value, -VALUE_MAX), VALUE_MAX)
    if scale == LINEAR:
        return bounded
    return log(1.0 + bounded / offset) if bounded >= 0.0 else -log(1.0 - bounded / offset)


@native
def backward(level: float, scale: int, offset: float) -> float:
    """The value that lies at `level` of its scale: the inverse of `forward`.

    >>> round(backward(forward(42.0, LOG, 3.0), LOG, 3.0), 6)
    42.0
    """
    if scale == LINEAR:
        return level
    bounded = min(max(level, -80.0), 80.0)
    return offset * (exp(bounded) - 1.0) if bounded >= 0.0 else -offset * (exp(-bounded) - 1.0)


def backward_all(level: NDArray[np.float32], scale: int, offset: float) -> NDArray[np.float32]:
    """`backward` of a column of one series; NaN stays NaN."""
    if scale == LINEAR:
        return level
    size = offset * np.expm1(np.minimum(np.abs(level), 80.0))
    return np.asarray(np.copysign(size, level), np.float32)
