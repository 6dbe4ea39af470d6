"""How strange the series of one thing are together: a distance that knows which of them usually move with which.

Each series is standardised by its own slow mean and spread; the squared Mahalanobis distance of the whole round from
the usual, under a running covariance, is large when one series is far out, and also when each is ordinary but two that
always move together do not (a broken correlation). The score is a geometric mean of the last rounds, so that trouble
that lasts outweighs one odd sample. A round costs O(WIDTH^2), however many series there are: beyond `WIDTH` of them
they share axes with random signs (a count sketch, which keeps distances on average). A round that is far out moves the
covariance little.

For one thing with all its history, use `joint_scores`, which is streaming too: the score of a moment depends on
nothing that comes after. In life `put` and `close_round` do the same, one sample at a time.

Sources: P. C. Mahalanobis, On the Generalised Distance in Statistics, Proc. Nat. Inst. Sci. India 2 (1936), 49-55;
N. D. Tracy et al., Multivariate Control Charts for Individual Observations, J. Quality Technology 24 (1992), 88-95 (the
distance as a control chart); O. Ledoit and M. Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance
Matrices, J. Multivariate Analysis 88 (2004), 365-411 (a ridge keeps it invertible); M. Charikar et al., Finding
Frequent Items in Data Streams, ICALP 2002 (count sketch).
"""

from math import exp, isfinite, log1p, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.native import native

WIDTH = 40
HALF = WIDTH * (WIDTH + 1) // 2
MEMORY = 20_000.0  # rounds; two weeks of minutes
BOUND = 20.0  # spreads that one series may be away
RIDGE = 1e-3  # 0.0003 … 0.01 differ little on three public sets of servers
USUAL = 30.0  # a mean square per axis beyond which a round moves the covariance less
FACTOR_ROUNDS = 20  # between two factorings of the covariance
SETTLING = 60  # rounds before the score means anything
SMOOTHING = 8.0  # rounds
EARLY = 200  # rounds that are learned without bound

ENTITY_FIELDS: list[Any] = [
    ("count", "u4"),  # rounds
    ("axes", "u2"),  # axes in use: the highest ever filled, plus one
    ("filled", "u2"),  # samples of the round in the making, and of the round before
    ("filled_before", "u2"),
    ("smooth", "f4"),  # running mean of log(1 + distance)
    ("now", "f4", (WIDTH,)),  # the round in the making
    ("seen", "u1", (WIDTH,)),
    ("mean", "f4", (WIDTH,)),
    ("variance", "f4", (WIDTH,)),
    ("covariance", "f4", (HALF,)),  # lower triangle, row by row
    ("factor", "f4", (HALF,)),  # its Cholesky factor, of some rounds ago
]
ENTITY = np.dtype(ENTITY_FIELDS, align=True)


def axis_of(place: int, number: int) -> tuple[int, float]:
    """The axis and sign of the series that is the `place`-th of its entity; `number` is any hash of its name.

    The first `WIDTH` have an axis to themselves.

    >>> axis_of(3, 99), axis_of(41, 7)
    ((3, 1.0), (7, -1.0))
    """
    if place < WIDTH:
        return place, 1.0
    return number % WIDTH, 1.0 if (number // WIDTH) % 2 else -1.0


def joint_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The joint score of each moment of one entity, float64, (time,); 0 while it learns, and never NaN.

    Higher is stranger. Compare the scores of one entity with one another only: each has its own scale.

    Args:
        values: float64, (time, series), in time order, in any units; NaN where a series said nothing.

    >>> quiet = np.random.default_rng(1).standard_normal((400, 2))
    >>> both = np.column_stack([quiet[:, 0], quiet[:, 0] + 0.1 * quiet[:, 1]])
    >>> both[300:310, 1] *= -1.0
    >>> int(joint_scores(both).argmax()) in range(300, 316)
    True
    """
    axes = [axis_of(place, place * 2_654_435_761 >> 7) for place in range(values.shape[1])]
    axis = np.array([axis for axis, _ in axes], np.int32)
    sign = np.array([sign for _, sign in axes])
    answer = np.zeros(len(values))
    entity = np.zeros(1, ENTITY)
    _scores(entity, np.ascontiguousarray(values, np.float64), axis, sign, answer)
    return answer


@native
def _scores(entities: Any, values: Any, axis: Any, sign: Any, answer: Any) -> None:
    s = entities[0]
    for t in range(values.shape[0]):
        for k in range(values.shape[1]):
            put(s, axis[k], sign[k] * values[t, k])
        answer[t] = close_round(s)


@native
def put(s: Any, axis: int, value: float) -> None:
    """Add one series' value to the round in the making; what is not finite is left out."""
    if not isfinite(value):
        return
    if s.seen[axis] == 0:
        s.seen[axis] = 1
        s.now[axis] = 0.0
    s.now[axis] += min(max(value, -1e18), 1e18)
    s.filled += 1
    if axis >= s.axes:
        s.axes = axis + 1


@native
def close_round(s: Any) -> float:
    """Score the round in the making, learn it and begin a new one; 0 while too little is known.

    Changes `s`, one record of `ENTITY`. The answer is the logarithm of the smoothed distance.
    """
    width = int(s.axes)
    s.count += 1
    weight = max(1.0 / MEMORY, min(1.0, 3.0 / float(s.count)))
    z = np.zeros(WIDTH)
    _standardise(s, z, width, weight)
    if s.count % FACTOR_ROUNDS == 1 or s.count < SETTLING:
        _factor(s, width)
    distance = _distance(s, z, width)
    _learn(s, z, width, weight, distance)
    s.smooth += (log1p(distance) - s.smooth) / SMOOTHING
    s.filled_before = s.filled
    s.filled = 0
    return float(s.smooth) if s.count > SETTLING else 0.0


@native
def _standardise(s: Any, z: Any, width: int, weight: float) -> None:
    """Every axis in spreads from its mean, 0 for one that said nothing; moves mean and variance on."""
    for k in range(width):
        if s.seen[k] == 0:
            continue
        s.seen[k] = 0
        away = s.now[k] - s.mean[k]
        spread = sqrt(s.variance[k])
        if spread > 1e-9:
            z[k] = min(max(away / spread, -BOUND), BOUND)
        elif abs(away) > 1e-9:
            z[k] = BOUND if away > 0.0 else -BOUND
        if s.count > EARLY:
            away = min(max(away, -BOUND * spread), BOUND * spread) if spread > 1e-9 else away
        s.mean[k] += weight * away
        s.variance[k] += weight * (away * away - s.variance[k])


@native
def _factor(s: Any, width: int) -> None:
    """Cholesky's factor of the covariance plus the ridge."""
    for i in range(width):
        row = i * (i + 1) // 2
        for j in range(i + 1):
            column = j * (j + 1) // 2
            rest = float(s.covariance[row + j])
            if i == j:
                rest += RIDGE
            for k in range(j):
                rest -= s.factor[row + k] * s.factor[column + k]
            s.factor[row + j] = sqrt(max(rest, 0.1 * RIDGE)) if i == j else rest / s.factor[column + j]


@native
def _distance(s: Any, z: Any, width: int) -> float:
    """The squared distance: of the solution of factor * solution = z."""
    solution = np.zeros(WIDTH)
    distance = 0.0
    for i in range(width):
        row = i * (i + 1) // 2
        rest = z[i]
        for j in range(i):
            rest -= s.factor[row + j] * solution[j]
        corner = s.factor[row + i]
        solution[i] = rest / corner if corner > 0.0 else 0.0
        distance += solution[i] * solution[i]
    return min(distance, 1e30)


@native
def _learn(s: Any, z: Any, width: int, weight: float, distance: float) -> None:
    usual = USUAL * max(width, 1)
    believed = 1.0 if distance <= usual else usual / distance
    for i in range(width):
        row = i * (i + 1) // 2
        for j in range(i + 1):
            s.covariance[row + j] += weight * (believed * z[i] * z[j] - s.covariance[row + j])


def distance_of(smooth: float) -> float:
    """The smoothed distance that a score stands for, in squared spreads."""
    return exp(smooth) - 1.0
