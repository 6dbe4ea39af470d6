"""From a counter that only climbs to the rate at which it climbs."""

from math import nan

from cerebro.algorithms.native import native


@native
def rate(previous: float, value: float, elapsed_s: float) -> float:
    """Increase a second between two readings of a cumulative counter; NaN when it was reset between them.

    A fall means that the counter began again from an unknown point. What it counted before and after
    the restart is not known, so a reset gives no rate rather than a guessed one.

    Args:
        previous: The reading before.
        value: The reading now.
        elapsed_s: Between the two, seconds, above 0.

    >>> rate(100.0, 160.0, 30.0)
    2.0
    """
    if value < previous:
        return nan
    return (value - previous) / elapsed_s
