"""What is asked of whom: sums over the series of one pair, and the tracks that become of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.picture import Role
from cerebro.casework.cause.words import PATIENCE, is_cancelled, word_of
from cerebro.spine.entities import EntityKey

Real = NDArray[np.float64]
TOO_MANY = "limited"  # the word for what is refused since it is more than was agreed


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

    def add(self, part: str, error: str, values: Real, *, refused: bool = False) -> None:
        """One more series: `sum`, `count` or `failed`, of requests that ended with this error, empty for none.

        Args:
            refused: Whether they were answered, with a code that says no.
        """
        self.more("failed_counted" if part == "failed" else part, values)
        if error and is_cancelled(error):
            self.more(f"cancelled_{part}", values)
        elif error and part == "count":
            self.more("failed", values)
            if refused:
                self.more("refused", values)
            if word_of(error) == TOO_MANY:
                self.more(TOO_MANY, values)

    @property
    def unanswered(self) -> Real:
        """Of those that failed, the ones that ended without any answer, as far as it is told."""
        failed = self.parts["failed"]
        return np.maximum(failed - np.nan_to_num(self.parts["refused"]), 0.0) if "refused" in self.parts else failed

    def settle(self, split: int, *, excused: bool) -> bool:
        """Count as failed what callers gave up after they had waited for longer than is usual.

        What they gave up sooner is their own impatience, and so is whatever was asked for it.

        Args:
            split: The step with which the trouble begins.
            excused: Whether that is known of what all this was asked for.

        Returns:
            Whether something was given up early.
        """
        if (counted := self.parts.pop("failed_counted", None)) is not None:  # the same ones, in a counter of their own
            self.parts["failed"] = np.fmax(counted, self.parts.get("failed", counted))
        count, spent = self.parts.pop("cancelled_count", None), self.parts.pop("cancelled_sum", None)
        if count is None or spent is None:
            return False
        usual = np.nansum(self.parts["sum"][:split]) / max(float(np.nansum(self.parts["count"][:split])), 1e-9)
        early = excused or bool(np.nansum(spent[split:]) <= PATIENCE * usual * np.nansum(count[split:]))
        if not early:
            self.more("failed", count)
        return early

    def more(self, part: str, values: Real) -> None:
        """So much more of one part; what is missing on one side counts as nothing."""
        before = self.parts.get(part)
        self.parts[part] = values if before is None else plus(before, values)


Edge = tuple[EntityKey, EntityKey]
Asked = Mapping[tuple[EntityKey, EntityKey | None], Answered]


def plus(first: Real, second: Real) -> Real:
    """The sum, taking what is missing on one side as nothing."""
    nothing, more = np.isnan(first), np.isnan(second)
    both = np.where(nothing, 0.0, first) + np.where(more, 0.0, second)
    return np.where(nothing & more, np.nan, both)


def ratio_of(part: Real, whole: Real) -> Real:
    """One by the other; NaN where there is nothing to share."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
