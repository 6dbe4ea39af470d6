"""Alpha spending at a steady rate: how many false alarms a week may be expected, and where they may come from.

The budget is an *expected count*: over any week the sum, over all tests, of the chance that the test alarms by
mistake. By linearity of expectation this bounds the expected number of false alarms under any dependence between the
tests. It is spent at `per_week` evenly in time. What the tests of a stretch could not use, since their streams
were still learning, is saved and spent over the following day; the saving never exceeds a day's worth.

Sources: K. K. G. Lan and D. L. DeMets, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70 (1983),
659-663 (spending over time); D. P. Foster and R. A. Stine, Alpha-Investing, J. R. Stat. Soc. B 70 (2008), 429-444
(saved wealth); C. R. Genovese, K. Roeder and L. Wasserman, False Discovery Control with p-Value Weighting,
Biometrika 93 (2006), 509-524 (weights); I. Gibbs and E. Candès, Adaptive Conformal Inference Under Distribution Shift,
NeurIPS 2021, and A. Angelopoulos et al., Conformal PID Control for Time Series Prediction, NeurIPS 2023 (`Ease`: a
threshold steered by what it let through keeps its rate whatever the distribution does).
"""

from dataclasses import dataclass, replace
from math import exp, log

WEEK_MS = 7 * 86_400_000
DAY_MS = 86_400_000
EASE_PER_WEEK = log(4.0)  # a week without findings makes thresholds four times easier; a week's worth of them undoes it
EASE_MAX, EASE_MIN = log(64.0), log(0.5)
REPEAT_COST = log(4.0)  # a stream that has just spoken needs this much more to speak again; see `fade`
REPEAT_MAX = log(4096.0)


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget of expected false alarms, part of the way through time.

    Args:
        per_week: False alarms that may be expected in a week.
        at_ms: Until when it has been spent; 0 before the start.
        saved: Not spent so far, at most a day's worth.
        spent: Spent within the last week or so: fades with a time constant of a week.
        spent_total: Spent since the start.
    """

    per_week: float
    at_ms: int = 0
    saved: float = 0.0
    spent: float = 0.0
    spent_total: float = 0.0

    @property
    def rate(self) -> float:
        """Expected false alarms a week that may be spent now, the saving included."""
        return self.per_week + self.saved * WEEK_MS / DAY_MS


def spend(spending: Spending, now_ms: int, used_share: float) -> Spending:
    """The budget once time has moved on to `now_ms`.

    Args:
        spending: The budget before.
        now_ms: Unix time; an earlier one than before changes nothing.
        used_share: Part of the streams' weight that was judged in the meantime, 0 … 1.

    >>> fresh = spend(Spending(per_week=7.0), 1, 0.0)
    >>> idle = spend(fresh, 1 + DAY_MS // 2, 0.0)
    >>> round(idle.saved, 3), round(idle.rate, 3), idle.spent
    (0.5, 10.5, 0.0)
    """
    if spending.at_ms == 0:
        return replace(spending, at_ms=now_ms)
    elapsed = now_ms - spending.at_ms
    if elapsed <= 0:
        return spending
    steady = spending.per_week * elapsed / WEEK_MS
    drawn = spending.saved * min(1.0, elapsed / DAY_MS) * used_share
    spent = steady * used_share + drawn
    saved = min(spending.saved - drawn + steady * (1.0 - used_share), spending.per_week / 7.0)
    faded = spending.spent * max(0.0, 1.0 - elapsed / WEEK_MS)
    return Spending(spending.per_week, now_ms, saved, faded + spent, spending.spent_total + spent)


@dataclass(frozen=True, slots=True)
class Ease:
    """How much easier than its plain share a threshold has become, in logarithms, steered by what it let through.

    Whatever the calibration is worth, findings come at `per_week` in the long run unless the ease stands at one of
    its bounds: between two moments their number differs from the budget by at most what moves the ease from one
    bound to the other, `per_week * (EASE_MAX - EASE_MIN) / EASE_PER_WEEK`.
    """

    level: float = 0.0

    @property
    def factor(self) -> float:
        """What the plain share is multiplied by."""
        return exp(self.level)


def relax(ease: Ease, elapsed_ms: int, used_share: float) -> Ease:
    """The ease after a stretch without findings; only the part of the streams that was judged counts.

    >>> round(relax(Ease(), WEEK_MS, 1.0).factor, 3), round(relax(Ease(), 52 * WEEK_MS, 1.0).factor, 3)
    (4.0, 64.0)
    """
    if elapsed_ms <= 0:
        return ease
    return Ease(min(ease.level + EASE_PER_WEEK * used_share * elapsed_ms / WEEK_MS, EASE_MAX))


def fade(elapsed_ms: int, per_week: float) -> float:
    """How much of what speaking cost a stream has faded: all of it in the time in which the budget bears one finding.

    >>> round(fade(WEEK_MS, 1.0) / REPEAT_COST, 3), round(fade(WEEK_MS, 20.0) / REPEAT_COST, 3)
    (1.0, 20.0)
    """
    return REPEAT_COST * per_week * max(elapsed_ms, 0) / WEEK_MS


def tighten(ease: Ease, count: float, per_week: float) -> Ease:
    """The ease after `count` findings; a negative count gives back what findings had cost.

    >>> round(tighten(Ease(), 2.5, 5.0).factor, 3), round(tighten(Ease(), 100, 5.0).factor, 3)
    (0.5, 0.5)
    """
    return Ease(min(max(ease.level - EASE_PER_WEEK * count / max(per_week, 1e-9), EASE_MIN), EASE_MAX))
