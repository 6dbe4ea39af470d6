"""Quantiles of a distribution in few numbers, each true to a known share of itself, and mergeable.

Source: C. Masson, J. Rim and H. Lee, DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
Guarantees, PVLDB 12 (2019), 2195-2205.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ACCURACY = 0.02  # of any quantile, relative
_GAMMA = (1.0 + ACCURACY) / (1.0 - ACCURACY)
_LOG = float(np.log(_GAMMA))


@dataclass(slots=True)
class Sketch:
    """Counts by bucket. `fill` changes it; two sketches add up bucket by bucket."""

    counts: dict[int, int] = field(default_factory=dict)


def buckets_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bucket of each value above 0; what is not above 0 counts as the smallest."""
    return np.asarray(np.ceil(np.log(np.maximum(values, 1e-12)) / _LOG), np.int64)


def fill(sketch: Sketch, bucket: int, count: int) -> None:
    """Count values of a bucket."""
    sketch.counts[bucket] = sketch.counts.get(bucket, 0) + count


def quantile(sketch: Sketch, share: float) -> float:
    """The value that `share` of the values do not exceed; NaN of an empty sketch.

    >>> one = Sketch()
    >>> for bucket in buckets_of(np.arange(1.0, 101.0)).tolist():
    ...     fill(one, bucket, 1)
    >>> abs(quantile(one, 0.95) - 95.0) < 2.5
    True
    """
    total = sum(sketch.counts.values())
    rank = share * (total - 1)
    seen = 0
    for bucket in sorted(sketch.counts):
        seen += sketch.counts[bucket]
        if seen > rank:
            return float(2.0 * _GAMMA**bucket / (_GAMMA + 1.0))
    return float("nan")
