"""The noise budget of a tenant: which rarity is rare enough, and how the promise stands."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.spending import WEEK_MS, Spending, spend

STALE_MS = 3_600_000  # a series that has been quiet this long takes no part of the budget


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget as it stands, with what it admitted.

    Args:
        spending: Of expected false findings.
        unit: Expected false findings a week that a series of weight 1 may cause now.
        admitted_ms: When findings were admitted in the last seven days, in order.
        test_count: Samples judged since the start.
        watching_count: Series that are judged now.
        learning_count: Series that have not shown enough samples yet.
    """

    spending: Spending
    unit: float = 0.0
    admitted_ms: tuple[int, ...] = ()
    test_count: int = 0
    watching_count: int = 0
    learning_count: int = 0


def review(budget: Budget, rows: NDArray[np.void], now_ms: int, warmup_count: int) -> Budget:
    """The budget at `now_ms`, shared anew among the series that are alive.

    Series that still learn keep their part, so that a threshold does not jump when they begin to be judged.
    """
    alive = rows["last_ms"] > now_ms - STALE_MS
    weight = rows["weight"].astype(np.float64)
    ready = alive & (rows["count"] >= warmup_count)
    total, used = float(weight[alive].sum()), float(weight[ready].sum())
    spending = spend(budget.spending, now_ms, used / total if total > 0 else 0.0)
    recent = tuple(at for at in budget.admitted_ms if at > now_ms - WEEK_MS)
    return replace(
        budget,
        spending=spending,
        unit=spending.rate / total if total > 0 else 0.0,
        admitted_ms=recent,
        watching_count=int(ready.sum()),
        learning_count=int((alive & ~ready).sum()),
    )


def admitted(budget: Budget, at_ms: int, count: int) -> Budget:
    """The budget after `count` findings were admitted at `at_ms`."""
    return replace(budget, admitted_ms=(*budget.admitted_ms, *([at_ms] * count))) if count else budget


def status_of(budget: Budget) -> dict[str, object]:
    """The budget as the API and the console show it.

    `false_discovery_rate` is an estimate: what was spent over what was admitted, both in the last week.
    """
    spending, found = budget.spending, len(budget.admitted_ms)
    return {
        "per_week": spending.per_week,
        "spent_week": round(spending.spent, 4),
        "spent_total": round(spending.spent_total, 4),
        "saved": round(spending.saved, 4),
        "admitted_week": found,
        "false_discovery_rate": round(min(1.0, spending.spent / found), 4) if found else None,
        "threshold_per_week": budget.unit,
        "tests": budget.test_count,
        "watching": budget.watching_count,
        "learning": budget.learning_count,
        "updated_ms": spending.at_ms,
    }
