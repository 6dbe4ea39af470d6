"""Which traces are kept when there are more than may be stored: the odd ones, and of the others a fair share.

Every trace gets a probability to be kept, from what it holds and never from its id; it is kept when the hash of its id,
spread evenly over 0 … 1, lies below. So every shard and every repetition decides the same, a trace stays whole, and a
kept span stands for `1 / probability` spans: sums with that weight are unbiased, whatever the probabilities are
(Horvitz-Thompson).

Traces that failed, those of watched entities, and the slowest of each operation are kept for certain while they take
no more than four fifths of what may be stored. Where they take more, each kind is thinned evenly. The others share the
rest: in half in proportion to how rare their rarest operation, or step from one operation to another, is; in half
alike, which keeps every weight within twice that of an even choice.

Sources: D. G. Horvitz and D. J. Thompson, A Generalization of Sampling Without Replacement From a Finite Universe, JASA
47 (1952), 663-685; J. Hájek, Asymptotic Theory of Rejective Sampling, Annals of Mathematical Statistics 35 (1964), for
Poisson sampling with unequal probabilities; T. Hesterberg, Weighted Average Importance Sampling and Defensive Mixture
Distributions, Technometrics 37 (1995), 185-194; N. Duffield, C. Lund and M. Thorup, Priority Sampling for Estimation of
Arbitrary Subset Sums, J. ACM 54 (2007); P. Las-Casas et al., Sifter: Scalable Sampling for Distributed Traces, without
Feature Engineering, SoCC 2019, for keeping what is rare.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

ODD_SHARE = 0.8  # of what may be stored: for odd traces; the rest is the ordinary ones'
PART_MIN = 0.05  # of what may be stored: for a kind of odd traces that finds the odd ones' share spent
EVEN = 0.5  # of the choice among ordinary traces that does not look at rarity
CHANCE_MIN = 1e-6  # nothing is impossible: what has no chance at all cannot be weighed
SLOW_COUNT_MIN = 20  # spans of an operation before one of them is its slowest
SLOW_ONE_IN = 500

Codes = NDArray[np.int64]
Reals = NDArray[np.float64]
Marks = NDArray[np.bool_]


class Why(IntEnum):
    """What decided a trace, the gravest first."""

    ERROR, WATCHED, SLOW, BEFORE, ORDINARY = range(5)


@dataclass(frozen=True, slots=True)
class Seen:
    """Spans of a window in columns.

    Args:
        trace: Numbers from 0, one for each trace.
        operation: Numbers from 0, one for each operation of an entity.
        parent: The row of the parent, -1 when it is not in the window.
        counted: Which spans are decided on now; the others came later and are evidence only.
    """

    trace: Codes
    operation: Codes
    parent: Codes
    duration_ns: Codes
    failed: Marks
    watched: Marks
    counted: Marks


def probabilities(seen: Seen, allowed: float, before: Reals) -> tuple[Reals, NDArray[np.int8]]:
    """The probability of each trace to be kept, always above 0, and what decided it.

    Args:
        allowed: Spans that may be kept, in expectation.
        before: The probability of each trace when a part of it was decided earlier; NaN when none was.
    """
    count = len(before)
    size = np.bincount(seen.trace[seen.counted], minlength=count).astype(np.float64)
    why = _reasons(seen, before)
    if size.sum() <= allowed:
        return np.where(np.isnan(before) | (why < Why.BEFORE), 1.0, before), why
    chance = np.where(np.isnan(before), 1.0, before)
    spent = float((chance * size)[why == Why.BEFORE].sum())
    for kind in (Why.ERROR, Why.WATCHED, Why.SLOW):
        mine = (why == kind) & (size > 0)
        wanted = float(size[mine].sum())
        free = max(ODD_SHARE * allowed - spent, PART_MIN * allowed)
        chance[mine] = min(1.0, free / wanted) if wanted else 1.0
        spent += min(wanted, free)
    mine = (why == Why.ORDINARY) & (size > 0)
    free = max(allowed - spent, (1.0 - ODD_SHARE) * allowed)
    chance[mine] = shares(_rarity(seen, count)[mine], size[mine], free)
    return chance, why


def shares(importance: Reals, size: Reals, allowed: float) -> Reals:
    """Probabilities, half by importance and half alike, at most 1, that keep `allowed` of the sizes in expectation.

    >>> shares(np.array([1.0, 1.0, 8.0]), np.ones(3), 2.0).round(2).tolist()
    [0.5, 0.5, 1.0]
    """
    total = float(size.sum())
    if total <= allowed:
        return np.ones(len(size))
    mean = float((importance * size).sum()) / total
    mixed = EVEN + (1.0 - EVEN) * importance / mean
    order = np.argsort(-mixed, kind="stable")
    whole = np.concatenate([[0.0], np.cumsum(size[order])[:-1]])  # sizes of those kept for certain, before each
    rest = np.cumsum((mixed * size)[order][::-1])[::-1]
    factor = (allowed - whole) / rest
    first = int(np.argmax(factor * mixed[order] < 1.0))  # from here on no one is certain
    chance: Reals = np.clip(mixed * factor[first], CHANCE_MIN, 1.0)
    return chance


def evenly(hashes: NDArray[np.uint64]) -> Reals:
    """64-bit hashes as numbers from 0 to less than 1: a trace whose number lies below its probability is kept."""
    numbers: Reals = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def _reasons(seen: Seen, before: Reals) -> NDArray[np.int8]:
    """What decides each trace: the gravest that any of its spans says."""
    why = np.where(np.isnan(before), Why.ORDINARY, Why.BEFORE).astype(np.int8)
    for marks, reason in ((_slowest(seen), Why.SLOW), (seen.watched, Why.WATCHED), (seen.failed, Why.ERROR)):
        why[seen.trace[marks]] = reason
    return why


def _slowest(seen: Seen) -> Marks:
    """The slowest span of each operation in the window, or the slowest 0.2 %; of those that come too rarely, none."""
    order = np.lexsort((seen.duration_ns, seen.operation))
    counts = np.bincount(seen.operation)
    ends = np.cumsum(counts)[seen.operation[order]]
    behind = ends - np.arange(len(order))  # 1 for the slowest of its operation
    of = counts[seen.operation[order]]
    marks = np.zeros(len(order), np.bool_)
    marks[order] = (of >= SLOW_COUNT_MIN) & (behind <= np.maximum(1, of // SLOW_ONE_IN))
    return marks


def _rarity(seen: Seen, count: int) -> Reals:
    """Of each trace: 1 through the number of traces that share its rarest operation, or step between two."""
    width = int(seen.operation.max(initial=0)) + 1
    has = seen.parent >= 0
    step = (seen.operation[seen.parent[has]] + 1) * width + seen.operation[has]
    rarity = np.zeros(count)
    for key, trace in ((seen.operation, seen.trace), (step, seen.trace[has])):
        if len(key):
            _, code = np.unique(key, return_inverse=True)
            pairs = np.unique(code.astype(np.int64) * count + trace)
            traces = np.bincount(pairs // count)
            np.maximum.at(rarity, pairs % count, 1.0 / traces[pairs // count])
    return rarity
