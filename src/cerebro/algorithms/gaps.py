"""How strange it is that nothing has come, from how long one had to wait before.

A wait longer than 1.5 usual intervals is a gap; the logarithm of its length over that is taken as exponential, with
the same exact small-sample tail as `algorithms.tails`, and gaps come as often as they did.
"""

import numpy as np
from numpy.typing import NDArray

NOTED = 1.5
PRIOR_COUNT = 10.0
PRIOR_EXCESS = 0.15


def weekly_gaps(
    wait_s: NDArray[np.float64],
    interval_s: NDArray[np.float64],
    sample_count: NDArray[np.float64],
    gap_count: NDArray[np.float64],
    gap_total: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Expected gaps a week at least as long as the wait, for streams in columns of one length.

    Args:
        wait_s: Since the newest sample.
        interval_s: Usual time between two, above 0.
        sample_count: Samples seen.
        gap_count: Gaps seen among them.
        gap_total: Sum of their log-excesses.

    >>> young, old = np.array([100.0]), np.array([100_000.0])
    >>> [float(weekly_gaps(np.array([60.0]), np.array([5.0]), n, n * 0, n * 0)[0].round(4)) for n in (young, old)]
    [0.2, 0.0002]
    """
    excess = np.log(np.maximum(wait_s / interval_s, NOTED) / NOTED)
    count, total = PRIOR_COUNT + gap_count, PRIOR_COUNT * PRIOR_EXCESS + gap_total
    chance = (1.0 + excess / total) ** -count
    a_sample = (gap_count + 1.0) / (sample_count + 1.0)
    return np.asarray(a_sample * chance * 7 * 86_400.0 / interval_s)
