"""Intervals hold what they promise, a bound is foreseen, and no series is too odd."""

import numpy as np
import pytest

from cerebro.algorithms.forecast import SUNDAY_HOUR, foresee, hours_of_week

HOURS = np.arange(24 * 7 * 10) * 3_600_000


def weekly(seed, count=24 * 7 * 8, noise=5.0):
    """Eight weeks of a busy shop, quiet at night and on Sundays, with noise."""
    keys = hours_of_week(HOURS[:count])
    shape = 100 + 60 * np.sin(2 * np.pi * (keys % 24) / 24) - 40 * (keys >= SUNDAY_HOUR)
    return shape + noise * np.random.default_rng(seed).standard_t(4, count)


def test_intervals_of_80_percent_hold_80_percent():
    held = []
    for seed in range(8):
        values = weekly(seed)
        known, came = values[: 24 * 7 * 7], values[24 * 7 * 7 :]
        outlook = foresee(known, hours_of_week(HOURS[: len(values)]), steps_a_day=24)
        held.append(((came >= outlook.values[1]) & (came <= outlook.values[3])).mean())
        assert np.abs(outlook.median - came).mean() < 12  # half of what the noise and the season would cost
    assert 0.7 < np.mean(held) < 0.95


def test_a_disk_that_fills_is_foreseen():
    used = 0.5 + 0.001 * np.arange(300) + 0.002 * np.random.default_rng(1).standard_normal(300)
    outlook = foresee(used, hours_of_week(HOURS[:600]), steps_a_day=24, high=1.0)
    earliest, likely, latest = outlook.reaches(0.95, rising=True)
    assert 110 < earliest <= likely <= latest < 180  # at 0.001 an hour, 0.15 are 150 hours
    assert outlook.values.max() <= 1.0


def test_what_does_not_move_is_not_foreseen_to():
    flat = foresee(np.full(200, 7.0), hours_of_week(HOURS[:250]), steps_a_day=24)
    assert np.allclose(flat.values, 7.0)
    assert flat.reaches(8.0, rising=True) == (-1, -1, -1)


def test_a_holiday_is_another_sunday():
    monday = hours_of_week(np.array([4 * 86_400_000 + 3_600_000]))  # 1970-01-05 01:00
    assert monday[0] == 1
    assert hours_of_week(np.array([4 * 86_400_000 + 3_600_000]), np.array([True]))[0] == SUNDAY_HOUR + 1


@pytest.mark.parametrize(
    "values",
    [
        np.full(60, np.nan),
        np.zeros(10),
        np.r_[np.full(50, 1e300), np.full(50, -1e300)],
        np.r_[np.full(40, np.nan), np.arange(60.0)],
        np.r_[np.arange(60.0), [np.inf, -np.inf] * 20],
        np.full(100, 5e-324),
    ],
)
def test_no_series_is_too_odd(values):
    with np.errstate(all="ignore"):
        outlook = foresee(values, hours_of_week(HOURS[: len(values) + 30]), steps_a_day=24)
    assert outlook is None or not np.isnan(outlook.values).any()
    if outlook:
        assert (np.diff(outlook.values, axis=0) >= 0).all()
