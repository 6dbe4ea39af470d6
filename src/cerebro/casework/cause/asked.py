"""What is asked of whom: sums over the series of one pair, and the tracks that become of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.picture import Role
from cerebro.spine.entities import EntityKey

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """One track to be: whose, towards whom, what, and its values on the grid."""

    entity: EntityKey
    peer: EntityKey | None
    role: Role
    signal: str
    values: Real


class Answered:
    """Sums over the series of one pair."""

    def __init__(self) -> None:
        self.parts: dict[str, Real] = {}

    def add(self, part: str, failed: bool, values: Real) -> None:
        """One more series."""
        self.more(part, values)
        if part == "count" and failed:
            self.more("failed", values)

    def more(self, part: str, values: Real) -> None:
        """So much more of one part; what is missing on one side counts as nothing."""
        before = self.parts.get(part)
        self.parts[part] = values if before is None else _plus(before, values)


Edge = tuple[EntityKey, EntityKey]
Asked = Mapping[tuple[EntityKey, EntityKey | None], Answered]


def _plus(first: Real, second: Real) -> Real:
    """The sum, taking what is missing on one side as nothing."""
    both = np.nan_to_num(first) + np.nan_to_num(second)
    return np.where(np.isfinite(first) | np.isfinite(second), both, np.nan)


def ratio_of(part: Real, whole: Real) -> Real:
    """One by the other; NaN where there is nothing to share."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
