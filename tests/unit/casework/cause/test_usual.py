"""The time before a trouble, without other troubles."""

import numpy as np

from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.casework.cause.usual import STEPS_MIN, without
from cerebro.spine.entities import EntityKey

GRID = Grid(start_ms=0, step_ms=1000, count=40, split=30)


def held() -> Held:
    values = np.arange(40, dtype=np.float64)[None, :]
    return Held(GRID, [Series(EntityKey("service", "a"), "m", {}, "gauge")], values, values)


def test_steps_of_other_troubles_are_left_out():
    """Only up to the onset: what goes on from there is what is looked at."""
    left = without(held(), [(5_500, 9_000), (31_000, 38_000)], onset_ms=33_000)
    assert np.flatnonzero(np.isnan(left.mean[0])).tolist() == [5, 6, 7, 8, 31, 32]
    assert np.isnan(left.last[0]).sum() == 6


def test_a_past_that_is_nearly_all_trouble_is_taken_as_it_was():
    """A picture without any past says nothing."""
    left = without(held(), [((STEPS_MIN - 1) * 1000, 30_000)], onset_ms=33_000)
    assert not np.isnan(left.mean).any()
