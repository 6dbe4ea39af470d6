"""How far series have left their usual selves, and since when: many series at once, in columns."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

MAD_TO_SIGMA = 1.4826  # of a normal distribution: standard deviation over median absolute deviation
IQR_TO_SIGMA = 0.7413  # … over interquartile range
MEAN_TO_SIGMA = 1.2533  # … over mean absolute deviation
FLAT = 0.01  # a spread below this part of the level is measurement grain, not behaviour
ALONE = 4.0  # times the next largest score is what a single sample may count for
RECENT = 5  # steps that are "just before"
Z_MAX = 1e4  # beyond it, one wild sample would decide alone
WEIGHT = 2.0  # nats a unit of log: a Student t of 3 degrees of freedom, heavier than telemetry's tails


@dataclass(frozen=True, slots=True)
class Shifts:
    """What `shifts` found, an entry a series; 0 where nothing can be said.

    Args:
        nats: How strongly it speaks against the usual, at least 0.
        change: Of the level, in the unit of the series; signed.
        level: That is usual.
        onset: The step of `during` at which the shift is clearest to begin; −1 for none.
        spread: How many steps the onset is uncertain by.
    """

    nats: Real
    change: Real
    level: Real
    onset: NDArray[np.int64]
    spread: Real


def shifts(before: Real, during: Real, grain: Real | float = 0.0) -> Shifts:
    """Compare each row of `during` with the same row of `before`.

    The spread is robust, so that a wild value in `before` hides nothing (RobustScorer of BARO); the statistic is a sum
    from the likeliest change-point on, so that a short fault in a long window counts as much as a long one; and it is
    held against what the same statistic reaches on stretches of `before` itself, so that a restless series must
    shout and a still one need not. What is left is read under a heavy tail.

    Args:
        before: (series, step), NaN for nothing.
        during: (series, step), NaN for nothing.
        grain: (series,) or one for all, a spread below which a series is never taken to lie.

    Source: L. Pham, H. Ha, H. Zhang, BARO: Robust Root Cause Analysis for Microservices, FSE 2024 (robust scores);
    E. S. Page, Continuous Inspection Schemes, Biometrika 41 (1954), 100-115 (change-point by cumulated sums).
    """
    count, length = during.shape
    if not count or not length or not before.shape[1]:
        return _nothing(count)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # rows that are all NaN
        before = np.where(np.isfinite(before), before, np.nan)
        during = np.where(np.isfinite(during), during, np.nan)
        level, spread = _usual(before)
        spread = np.maximum(spread, grain)
        peak, onset, doubt = _strongest(_scores(during, level, spread))
        fresh = _fresh(before, during, level, spread, onset)
        calm = _calm(_scores(before, level, spread), length)
        peak = _tamed(_scores(during, level, spread), onset, peak)
        ratio = np.where(fresh * peak > 0, np.minimum(np.abs(peak), np.abs(fresh)), 0.0) / np.maximum(calm, 1.0)
        change = _level_from(during, onset) - level
    known = np.isfinite(level) & np.isfinite(change) & (np.isfinite(before).sum(1) >= 3)
    nats = np.where(known, WEIGHT * np.log1p(ratio**2 / 4.0), 0.0)
    return Shifts(
        np.nan_to_num(nats),
        np.where(known, change, 0.0),
        np.where(known, level, 0.0),
        np.where(known, onset, -1),
        doubt,
    )


def medians(values: Real) -> Real:
    """Of each row, float64 (series, step), without its NaN; NaN where nothing is left."""
    return _quantiles(np.where(np.isfinite(values), values, np.nan), (0.5,))[0]


def _nothing(count: int) -> Shifts:
    none = np.zeros(count)
    return Shifts(none, none, none, np.full(count, -1), none)


def _usual(before: Real) -> tuple[Real, Real]:
    low, level, high = _quantiles(before, (0.25, 0.5, 0.75))
    away = np.abs(before - level[:, None])
    mad = _quantiles(away, (0.5,))[0] * MAD_TO_SIGMA
    spread = np.maximum(mad, (high - low) * IQR_TO_SIGMA)
    # what mostly has one value has no quantiles to speak of, and yet it moves now and then
    spread = np.where(spread > 0, spread, np.nanmean(away, axis=1) * MEAN_TO_SIGMA)
    return level, np.maximum(spread, np.maximum(FLAT * np.abs(level), 1e-9))


def _quantiles(values: Real, shares: tuple[float, ...]) -> list[Real]:
    """Of each row, without its NaN: they sort last. Numpy's own goes row by row, and takes ten times as long."""
    ordered = np.sort(values, axis=1)
    last = np.isfinite(ordered).sum(1) - 1
    rows = np.arange(len(values))
    found = []
    for share in shares:
        place = np.maximum(last, 0) * share
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(last, 0))
        value = ordered[rows, low] + (ordered[rows, high] - ordered[rows, low]) * (place - low)
        found.append(np.where(last >= 0, value, np.nan))
    return found


def _scores(values: Real, level: Real, spread: Real) -> Real:
    return np.clip(np.nan_to_num((values - level[:, None]) / spread[:, None]), -Z_MAX, Z_MAX)


def _strongest(scores: Real) -> tuple[Real, NDArray[np.int64], Real]:
    """The sum from each step on, over the root of its length: the strongest, where it begins, how unsure that is."""
    length = scores.shape[1]
    tail = np.cumsum(scores[:, ::-1], axis=1)[:, ::-1] / np.sqrt(np.arange(length, 0, -1))
    onset = np.argmax(np.abs(tail), axis=1)
    rows = np.arange(len(scores))
    peak = tail[rows, onset]
    near = np.abs(tail) >= 0.9 * np.abs(peak)[:, None]
    return peak, onset, np.maximum(near.sum(1) / 2.0, 0.5)


def _tamed(scores: Real, onset: NDArray[np.int64], peak: Real) -> Real:
    """The peak with its largest score cut to `ALONE` times the second largest, where there is a second one.

    One wild sample among calm ones is a spike of the measurement; a fault that goes on shows in the next ones too.
    """
    size = np.where(np.arange(scores.shape[1])[None, :] >= onset[:, None], np.abs(scores), 0.0)
    length = scores.shape[1] - onset
    if scores.shape[1] < 2:
        return peak
    second, largest = np.partition(size, -2, axis=1)[:, -2:].T
    over = np.maximum(largest - ALONE * np.maximum(second, 1.0), 0.0) / np.sqrt(np.maximum(length, 1))
    return np.asarray(np.where(length > 1, np.sign(peak) * np.maximum(np.abs(peak) - over, 0.0), peak))


def _fresh(before: Real, during: Real, level: Real, spread: Real, onset: NDArray[np.int64]) -> Real:
    """The same sum, held against the newest of `before` in place of all of it.

    What was as unusual before the trouble began as it is now is no part of the trouble.
    """
    newest = before[:, -max(RECENT, during.shape[1]) :]
    recent = _quantiles(newest, (0.5,))[0]
    scores = _scores(during, np.where(np.isfinite(recent), recent, level), spread)
    kept = np.arange(during.shape[1])[None, :] >= onset[:, None]
    return np.asarray(np.where(kept, scores, 0.0).sum(1) / np.sqrt(np.maximum(kept.sum(1), 1)))


def _calm(usual: Real, length: int) -> Real:
    """What the strongest sum reaches on stretches of `before`: the larger end of it, without the largest tenth."""
    starts = np.arange(0, max(usual.shape[1] - length, 0) + 1, max(1, length // 2))[-40:]
    found = np.stack([np.abs(_strongest(usual[:, s : s + length])[0]) for s in starts], axis=1)
    return np.asarray(np.quantile(found, 0.9, axis=1))


def _level_from(during: Real, onset: NDArray[np.int64]) -> Real:
    kept = np.arange(during.shape[1])[None, :] >= onset[:, None]
    return np.asarray(np.nanmean(np.where(kept, during, np.nan), axis=1))


def excess_of_counts(hits_before: Real, of_before: Real, hits_during: Real, of_during: Real, doubt: float) -> Real:
    """How strongly the share of hits has changed, in nats with the sign of the change.

    The log-likelihood ratio of two shares against one, with the counts first shrunk so that no share is taken to be
    known better than a relative `doubt`: rates in production wander by themselves, and a million lines do not make a
    wander of one percent a sign.

    Source: T. Dunning, Accurate Methods for the Statistics of Surprise and Coincidence, Computational Linguistics 19
    (1993), 61-74.
    """
    n1, n2 = np.maximum(of_before, hits_before), np.maximum(of_during, hits_during)
    cap = 1.0 / doubt**2
    first = np.minimum(1.0, cap / np.maximum(np.maximum(hits_before, n1 * hits_during / np.maximum(n2, 1)), 1.0))
    second = np.minimum(1.0, cap / np.maximum(np.maximum(hits_during, n2 * hits_before / np.maximum(n1, 1)), 1.0))
    k1, k2, n1, n2 = hits_before * first, hits_during * second, n1 * first, n2 * second
    p1, p2 = k1 / np.maximum(n1, 1e-9), k2 / np.maximum(n2, 1e-9)
    both = (k1 + k2) / np.maximum(n1 + n2, 1e-9)
    nats = _binomial(k1, n1, p1) + _binomial(k2, n2, p2) - _binomial(k1, n1, both) - _binomial(k2, n2, both)
    known = (n1 > 0) & (n2 > 0)
    return np.where(known, np.sign(p2 - p1) * np.maximum(nats, 0.0), 0.0)


def _binomial(hits: Real, of: Real, share: Real) -> Real:
    share = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(hits * np.log(share) + (of - hits) * np.log1p(-share))
