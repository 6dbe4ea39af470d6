"""Strengths of evidence, in nats: how they are damped, and how several of them become one."""

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

SECOND = 0.4  # the weight of the next clue of a family, and of the next family, in parts of the one before
STRONG = 8.0  # nats: from here on more evidence of one family adds ever less
SURE = 2.0  # nats at which a callee's clue is taken to explain, on the scale 1 − exp(−nats / SURE)


def soft(nats: Real) -> Real:
    """As it is while small; ever less beyond `STRONG`, so that one shouting clue does not drown all others."""
    return np.where(nats <= STRONG, nats, STRONG * (1.0 + np.log(np.maximum(nats, STRONG) / STRONG)))


def ranks(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each within its run of equal groups."""
    if not len(group):
        return group
    start = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.asarray(np.arange(len(group)) - np.repeat(start, np.diff(np.append(start, len(group)))))


def combined(parts: Real) -> Real:
    """Nats (entity,) of several kinds of evidence: the strongest whole, each next at `SECOND` of the one before."""
    ordered = -np.sort(-parts, axis=1)
    return np.asarray(ordered @ SECOND ** np.arange(parts.shape[1]))
