"""Alpha spending at a steady rate: how many false alarms a week may be expected, and where they may come from.

The budget is an *expected count*: over any week the sum, over all tests, of the chance that the test alarms by
mistake. By linearity of expectation this bounds the expected number of false alarms under any dependence between the
tests. It is spent at `per_week` evenly in time. What the tests of a stretch could not use, since their streams
were still learning, is saved and spent over the following day; the saving never exceeds a day's worth.

Sources: K. K. G. Lan and D. L. DeMets, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70 (1983),
659-663 (spending over time); D. P. Foster and R. A. Stine, Alpha-Investing, J. R. Stat. Soc. B 70 (2008), 429-444
(saved wealth); C. R. Genovese, K. Roeder and L. Wasserman, False Discovery Control with p-Value Weighting,
Biometrika 93 (2006), 509-524 (weights).
"""

from dataclasses import dataclass, replace

WEEK_MS = 7 * 86_400_000
DAY_MS = 86_400_000


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
