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
    """The weight of the newest value: exponential forgetting once enough values are in, a growing window before.

    While it grows, a value's weight falls with the cube of how much has come since, so that an uneasy start (a
    program warming up) is soon forgotten.

    >>> step(1.0, 100.0), step(50.0, 100.0), step(5000.0, 100.0)
    (1.0, 0.06, 0.01)
    """
    return min(max(3.0 / max(count, 1.0), 1.0 / memory), 1.0)


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
