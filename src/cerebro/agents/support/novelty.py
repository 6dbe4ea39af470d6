"""When something that has never been seen may be told: a chance for what has no past of its own.

A new template cannot be calibrated on its own past, since it has none. But that none of it came while its entity was
watched bounds how often it comes: at most three times in so long, at 95 % (the rule of three). How unlikely its first
two minutes are then, if nothing has changed, is Poisson's tail, made heavy as errors come in bursts. Times how often
grave templates appear for the first time, which is learned over the tenant from a prior of ten a week, that is an
expected count a week, and is told while it is within its part of the budget. So the odd line that was only rare is not
told, and a system that says something new every hour is not believed. Several at once, of one entity, count as one.

Sources: J. A. Hanley and A. Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 249 (1983), 1743-1745
(rule of three); Gamma-Poisson conjugacy for the rate; I. J. Good, The Population Frequencies of Species, Biometrika 40
(1953), 237-264, for estimating the chance of the unseen from how often the unseen came.
"""

from dataclasses import dataclass, field, replace
from math import exp, lgamma, log

WEEK_MS = 7 * 86_400_000.0
MINUTE_MS = 60_000.0
PRIOR_COUNT, PRIOR_WEEKS = 10.0, 1.0
TOGETHER_MS = 600_000
READY_MS = 900_000  # an entity shows first what it usually says
RARE_MS = 86_400_000
WINDOW_MS = 120_000  # a novelty shows in so long what it is
LINES_MIN = 5
PAUSE_MS = 30_000  # stays it away for so long, what comes again may be of another trouble
BURST = 3.0  # lines that come at once, as one request that fails makes several


@dataclass(frozen=True, slots=True)
class Novelty:
    """How often something new came.

    Args:
        since_ms: When watching began.
        told_ms: When an entity was last told of.
        sure_ms: When it was last told of by what its sender calls an error.
    """

    since_ms: int = 0
    count: float = 0.0
    told_ms: dict[tuple[str, str], int] = field(default_factory=dict)
    sure_ms: dict[tuple[str, str], int] = field(default_factory=dict)


def is_rare(before_ms: int, at_ms: int) -> bool:
    """Whether what was last seen then (0: never) has stayed away so long that it counts as new."""
    return before_ms == 0 or at_ms - before_ms >= RARE_MS


def begun_ms(before_ms: int, last_ms: int, at_ms: int) -> int:
    """When it began to come as it does now: a few of an earlier trouble do not make this one as old.

    >>> begun_ms(0, 10_000, 35_000), begun_ms(0, 10_000, 55_000)
    (0, 55000)
    """
    return at_ms if at_ms - last_ms > PAUSE_MS else before_ms


def came(novelty: Novelty) -> Novelty:
    """Something new came: one more."""
    return replace(novelty, count=novelty.count + 1.0)


def weekly_of(novelty: Novelty, count: int, watched_ms: float, at_ms: int) -> float:
    """Expected count a week of a novelty with as many lines in its first two minutes.

    >>> calm = Novelty(since_ms=1)
    >>> weekly_of(calm, 1, 3_600_000, 3_600_000) > 1.0 > weekly_of(calm, 20, 3_600_000, 3_600_000)
    True
    """
    weeks = max(0.0, (at_ms - novelty.since_ms) / WEEK_MS)
    rate = (PRIOR_COUNT + novelty.count) / (PRIOR_WEEKS + weeks)
    mean = 3.0 * WINDOW_MS / max(watched_ms, MINUTE_MS)
    return rate * _beyond(count / BURST, mean)


def admits(novelty: Novelty, entity: tuple[str, str], born_ms: int, at_ms: int, *, sure: bool = False) -> bool:
    """Whether the entity has been watched for long enough, and was not told of a moment ago.

    Args:
        sure: Whether its sender calls it an error: what only its words make grave cannot hold that back.
    """
    ready = at_ms - max(born_ms, novelty.since_ms) >= READY_MS
    before_ms = (novelty.sure_ms if sure else novelty.told_ms).get(entity, 0)
    return ready and at_ms - before_ms > TOGETHER_MS


def told(novelty: Novelty, entity: tuple[str, str], at_ms: int, *, sure: bool = False) -> Novelty:
    """The entity was told of."""
    sure_ms = novelty.sure_ms | {entity: at_ms} if sure else novelty.sure_ms
    return replace(novelty, told_ms=novelty.told_ms | {entity: at_ms}, sure_ms=sure_ms)


def _beyond(count: float, mean: float) -> float:
    """An upper bound of the chance that a Poisson number of that mean is at least `count`."""
    if count <= mean:
        return 1.0
    term = exp(-mean + count * log(mean) - lgamma(count + 1.0))
    return min(1.0, term / (1.0 - mean / (count + 1.0)))
