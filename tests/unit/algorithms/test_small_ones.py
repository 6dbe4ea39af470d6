"""Rates, scales, spreads, the index, gaps and spending: each against a known answer."""

import math

import numpy as np
import pytest

from cerebro.algorithms.counters import rate
from cerebro.algorithms.gaps import weekly_gaps
from cerebro.algorithms.index import EMPTY, SeriesIndex
from cerebro.algorithms.robust import spread, step
from cerebro.algorithms.scale import LINEAR, LOG, backward, backward_all, forward
from cerebro.algorithms.spending import DAY_MS, WEEK_MS, Spending, spend


def test_a_reset_gives_no_rate():
    assert rate(100.0, 160.0, 30.0) == 2.0
    assert math.isnan(rate(100.0, 4.0, 30.0))
    assert rate(2.0**53, 2.0**53 + 2, 1.0) == 2.0


@pytest.mark.parametrize("value", [0.0, 1.0, -5.0, 1e-9, 1e15, -1e15])
def test_scales_turn_back(value):
    for scale, offset in ((LINEAR, 1.0), (LOG, 4096.0)):
        there = forward(value, scale, offset)
        assert backward(there, scale, offset) == pytest.approx(value, rel=1e-6, abs=1e-9)
        assert backward_all(np.array([there], np.float32), scale, offset)[0] == pytest.approx(value, rel=1e-3, abs=1e-3)


def test_what_is_huge_stays_finite():
    for value in (1e300, -1e300, 1.7e308):
        for scale in (LINEAR, LOG):
            assert math.isfinite(np.float32(forward(value, scale, 1.0)))


def test_one_wild_value_cannot_move_the_spread():
    before = 1.0
    after = spread(before, 1e12, 0.01, 10.0)

    assert 1.0 < after < 1.1


def test_a_normal_stream_shows_its_standard_deviation():
    now = 0.0
    for seen, residual in enumerate(np.random.default_rng(3).normal(0.0, 5.0, 20_000)):
        now = spread(now, residual, step(seen + 1.0, 2000.0), 10.0)

    assert now == pytest.approx(5.0, rel=0.1)


def test_the_index_gives_each_name_one_row():
    chance = np.random.default_rng(5)
    hi, lo = (chance.integers(0, 1 << 64, 20_000, np.uint64) for _ in range(2))
    hi[:10_000] = 7  # one metric with many series
    index = SeriesIndex.empty()

    first = index.add(hi, lo)
    again = index.add(hi[::-1].copy(), lo[::-1].copy())

    assert (np.sort(first) == np.arange(20_000)).all()
    assert (again[::-1] == first).all()
    assert (index.find(hi, lo) == first).all()
    assert index.find(lo, hi)[0] == EMPTY


def test_a_name_given_twice_in_one_column_has_one_row():
    names = np.array([4, 4, 5], np.uint64)

    assert SeriesIndex.empty().add(names, names).tolist() == [0, 0, 1]


def test_a_punctual_stream_is_missed_soon_and_a_ragged_one_late():
    wait, interval, seen = np.array([60.0, 60.0]), np.array([5.0, 5.0]), np.array([10_000.0, 10_000.0])
    gaps, total = np.array([0.0, 500.0]), np.array([0.0, 500.0])

    punctual, ragged = weekly_gaps(wait, interval, seen, gaps, total)

    assert punctual < 0.01
    assert ragged > 100.0


def test_a_week_spends_the_weeks_budget():
    """In steps of any size, with everything judged, a week costs exactly what it may."""
    now = spend(Spending(5.0), 1, 1.0)
    for at in np.linspace(1, WEEK_MS + 1, 1013).astype(int).tolist():
        now = spend(now, at, 1.0)

    assert now.spent_total == pytest.approx(5.0, rel=1e-6)
    assert now.saved == 0.0


def test_what_is_saved_is_spent_over_the_next_day_and_never_more_than_a_days_worth():
    now = spend(spend(Spending(7.0), 1, 0.0), 1 + 5 * DAY_MS, 0.0)
    assert now.saved == pytest.approx(1.0)
    assert now.rate == pytest.approx(14.0)

    for hour in range(24 * 10):
        now = spend(now, 1 + 5 * DAY_MS + hour * DAY_MS // 24, 1.0)

    assert now.spent_total == pytest.approx(10.0 + 1.0 - 1 / 24, rel=0.02)


def test_a_clock_that_goes_back_spends_nothing():
    now = spend(spend(Spending(7.0), DAY_MS, 1.0), 2 * DAY_MS, 1.0)

    assert spend(now, DAY_MS, 1.0) == now
