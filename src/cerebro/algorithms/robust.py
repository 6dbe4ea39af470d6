"""Level and spread of a stream, which one wild value cannot move."""

from cerebro.algorithms.native import native

MAD_TO_SIGMA = 1.2533  # of a normal distribution: standard deviation over mean absolute deviation


@native
def clipped(residual: float, bound: float) -> float:
    """The residual, cut at `bound` on both sides: Huber's psi.

    Source: P. J. Huber, Robust Estimation of a Location Parameter, Ann. Math. Stat. 35 (1964), 73-101.

    >>> clipped(5.0, 3.0), clipped(-1.0, 3.0)
    (3.0, -1.0)
    """
    return min(max(residual, -bound), bound)


@native
def step(count: float, memory: float) -> float:
    """The weight of the newest value: a plain mean at first, exponential forgetting once `memory` values are in.

    >>> step(1.0, 100.0), step(50.0, 100.0), step(5000.0, 100.0)
    (1.0, 0.02, 0.01)
    """
    return max(1.0 / max(count, 1.0), 1.0 / memory)


@native
def spread(before: float, residual: float, weight: float, bound: float) -> float:
    """The spread (as a standard deviation) after one more residual, from the mean absolute residual.

    Args:
        before: The spread until now.
        residual: Of the newest value.
        weight: Of the newest value, 0 … 1.
        bound: How many spreads a single residual may count for.
    """
    size = abs(residual) * MAD_TO_SIGMA
    if before > 0.0:
        size = min(size, bound * before)
    return before + weight * (size - before)
