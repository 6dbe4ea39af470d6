"""What good means for an entity, and how much of the error budget is left."""

from dataclasses import dataclass

from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId


@dataclass(frozen=True, slots=True)
class Objective:
    """A service level objective over a sliding window."""

    tenant: TenantId
    name: str
    entity: EntityKey
    query: str  # the share of good events, 0 … 1
    target: float  # 0.999
    window_s: int
    budget_left: float = 1.0  # 1 untouched … 0 spent
    burn: float = 0.0  # budget spent per window at the present rate


def policy(budget_left: float) -> str:
    """What the error budget still allows: `features`, `standard`, `freeze` or `emergency`.

    >>> [policy(left) for left in (0.9, 0.6, 0.3, 0.1)]
    ['features', 'standard', 'freeze', 'emergency']
    """
    if budget_left > 0.8:
        return "features"
    if budget_left > 0.5:
        return "standard"
    return "freeze" if budget_left > 0.2 else "emergency"
