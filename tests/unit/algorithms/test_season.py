"""A season learned an hour at a time."""

import numpy as np
import pytest

from cerebro.algorithms.season import HOUR_MS, factor, half, hour_number, learn_hour, whole


@pytest.fixture
def profile():
    return np.zeros(24, np.float32), np.zeros(24, np.uint8), np.zeros(168, np.uint16), np.zeros(168, np.uint8)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.25, 1e-12, 1e12, -7.7e20])
def test_sixteen_bits_hold_a_value_within_half_a_percent(value):
    assert whole(half(value)) == pytest.approx(value, rel=0.004)


def test_hour_zero_is_monday_midnight():
    monday = 1_704_067_200_000  # 2024-01-01 00:00 UTC

    assert hour_number(monday) % 168 == 0
    assert hour_number(monday + 5 * HOUR_MS - 1) % 168 == 4


def test_a_day_seen_often_is_believed(profile):
    """Twelve equal days bring the factor within a sixth of the truth; one day brings a third of it."""
    for day in range(12):
        learn_hour(*profile, day * 24 + 9, 6.0)

    assert factor(*profile, 24 * 20 + 9) == pytest.approx(6.0, rel=0.15)
    assert factor(*profile, 24 * 20 + 10) == 0.0


def test_one_odd_day_is_not_yet_a_season(profile):
    learn_hour(*profile, 9, 6.0)

    assert 0.0 < factor(*profile, 24 + 9) <= 2.01


def test_a_weekend_that_differs_is_learned(profile):
    """Busy at nine on workdays, idle on the weekend: after six weeks both are told apart."""
    for hour in range(6 * 168):
        weekday, of_day = hour % 168 // 24, hour % 24
        learn_hour(*profile, hour, 10.0 if of_day == 9 and weekday < 5 else 0.0)

    workday, weekend = factor(*profile, 6 * 168 + 24 + 9), factor(*profile, 6 * 168 + 5 * 24 + 9)
    assert workday > 7.0
    assert weekend < 4.0
