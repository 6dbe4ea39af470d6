"""Each test of the detector finds its own kind of trouble, at once, and in nothing else."""

import numpy as np
import pytest

from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import KINDS, SERIES, SeriesName, blank_rows
from cerebro.agents.support.outlook import offset_ms, wall_ms
from cerebro.agents.support.watch import no_priors, start_row

START_MS = 1_704_067_200_000
QUIET_COUNT, AFTER_COUNT = 3000, 120
NAME = SeriesName(1, 1, "value", (), "gauge", "", "service", "s")


def judge(after, seed=1, unit=1.0, around=100.0):
    """Two days of noise by the minute, then `after`."""
    noise = around + np.random.default_rng(seed).normal(0.0, 5.0, QUIET_COUNT)
    value = np.concatenate([noise, after])
    rows = blank_rows(1)
    start_row(rows, 0, NAME)
    at_ms = START_MS + np.arange(len(value), dtype=np.int64) * 60_000
    return detect(rows, np.zeros(len(value), np.int32), at_ms, value, unit=unit, priors=no_priors(), warmup_count=36)


def noise(scale=5.0):
    return 100.0 + np.random.default_rng(2).normal(0.0, scale, AFTER_COUNT)


def kinds_of(judged):
    return [KINDS[judged.test[k]] for k in np.flatnonzero(judged.turn == 1)]


def test_a_spike_is_one():
    after = noise()
    after[20] = 400.0

    assert kinds_of(judge(after)) == ["spike"]


def test_a_new_level_is_one():
    found = kinds_of(judge(noise() + 60.0))

    assert found and set(found) <= {"level_shift", "spike", "drift"}


@pytest.mark.parametrize(("errors", "found"), [(1.0, []), (40.0, ["level_shift"])])
def test_three_in_a_row_of_what_comes_now_and_then_are_no_new_level(errors, found):
    """An error in some minutes, three minutes in a row at last: no rarer than chance makes them. Many at once are."""
    value = np.zeros(121)
    value[[5, 20, 34, 50, 64, 70, 80, 99, 105]] = [1, 1, 1, 1, 1, 2, 1, 1, 1]
    value[-3:] = errors
    rows = blank_rows(1)
    start_row(rows, 0, SeriesName(1, 1, "app.errors", (), "gauge", "", "service", "s"))
    at_ms = START_MS + np.arange(len(value), dtype=np.int64) * 60_000

    judged = detect(rows, np.zeros(len(value), np.int32), at_ms, value, unit=0.01, priors=no_priors(), warmup_count=36)

    assert kinds_of(judged) == found


def test_restlessness_is_a_change_of_variance():
    judged = judge(noise() + np.where(np.arange(AFTER_COUNT) % 2, 22.0, -22.0), unit=5.0)

    assert "variance" in kinds_of(judged)


def test_restlessness_that_is_no_matter_is_left_alone():
    """The same steps on a series a hundred times as large."""
    steps = np.where(np.arange(AFTER_COUNT) % 2, 22.0, -22.0)

    assert "variance" not in kinds_of(judge(9900.0 + noise() + steps, unit=5.0, around=10_000.0))


def test_a_series_that_always_moves_and_then_stands_still_is_flat():
    judged = judge(np.full(AFTER_COUNT, 101.0))

    assert kinds_of(judged) == ["flatline"]
    assert int(np.flatnonzero(judged.turn == 1)[0]) < QUIET_COUNT + 60


def test_a_series_that_often_stands_still_is_not_flat():
    steps = np.repeat(np.random.default_rng(5).integers(90, 110, 400), 10).astype(float)
    rows = blank_rows(1)
    start_row(rows, 0, NAME)
    value = np.concatenate([steps, np.full(120, 100.0)])
    at_ms = START_MS + np.arange(len(value), dtype=np.int64) * 60_000
    judged = detect(rows, np.zeros(len(value), np.int32), at_ms, value, unit=1.0, priors=no_priors(), warmup_count=36)

    assert "flatline" not in kinds_of(judged)


def test_nothing_is_strange_before_the_warm_up():
    judged = judge(noise())

    assert np.isnan(judged.strangeness[:35]).all()
    assert np.isfinite(judged.strangeness[36:]).all()


def test_unease_outlasts_strangeness_and_news_comes_once():
    after = noise()
    after[20] = after[60] = 400.0
    judged = judge(after)
    at = QUIET_COUNT + 20

    assert judged.unease[at + 5] == pytest.approx(judged.strangeness[at] * 0.985**5, rel=0.01)
    assert judged.news[at] > 3.2
    assert judged.news[at + 40] == 0.0


def test_after_a_rest_the_same_is_news_again():
    after = noise()
    after[5] = 400.0
    judged = judge(np.concatenate([after, noise(), noise(), after]))
    told = QUIET_COUNT + np.array([5, 5 + 3 * AFTER_COUNT])

    assert (judged.news[told] > 3.2).all()
    assert (np.delete(judged.news, told)[QUIET_COUNT:] < 4.0).all()


def test_a_spike_that_stands_alone_is_stranger_than_one_of_its_height_on_a_hill():
    alone, hill = noise(), noise() + np.minimum(np.arange(AFTER_COUNT), 40.0)
    alone[100], hill[100] = 200.0, 200.0

    assert judge(alone).strangeness[QUIET_COUNT + 100] > judge(hill).strangeness[QUIET_COUNT + 100]


def grow(slope_a_day, noise=0.001, days=9, seed=3):
    """A share that is level for five days and then grows, by the minute, with a day of its own."""
    chance = np.random.default_rng(seed)
    t = np.arange(days * 1440) / 1440
    value = 0.3 + 0.01 * np.sin(2 * np.pi * t) + chance.normal(0.0, noise, len(t)) + slope_a_day * np.maximum(t - 5, 0)
    rows = blank_rows(1)
    start_row(rows, 0, SeriesName(1, 1, "system.memory.utilization", (), "gauge", "1", "host", "h"))
    at_ms = START_MS + np.arange(len(value), dtype=np.int64) * 60_000
    row = np.zeros(len(value), np.int32)
    return detect(rows, row, at_ms, value, unit=0.01, priors=no_priors(), warmup_count=36)


def test_a_slow_way_to_the_bound_is_a_leak():
    judged = grow(0.1)
    first = [int(k) for k in np.flatnonzero(judged.turn == 1) if KINDS[judged.test[k]] == "leak"]

    assert len(first) == 1
    assert 5 * 1440 < first[0] < 8 * 1440


def test_what_stays_is_no_leak():
    assert "leak" not in kinds_of(grow(0.0))


@pytest.mark.parametrize("metric", ["walk_bytes", "walk", "walk_percent"])
def test_a_walk_without_a_level_is_no_leak(metric):
    rows, count = blank_rows(12), 14 * 1440
    for at in range(12):
        start_row(rows, at, SeriesName(1, at, metric, (), "gauge", "", "service", "s"))
    value = 50.0 + np.abs(np.cumsum(np.random.default_rng(7).normal(0.0, 0.3, (12, count)), axis=1))
    at_ms = np.tile(START_MS + np.arange(count, dtype=np.int64) * 60_000, 12)
    row = np.repeat(np.arange(12, dtype=np.int32), count)
    judged = detect(rows, row, at_ms, value.ravel(), unit=0.01, priors=no_priors(), warmup_count=36)

    assert "leak" not in kinds_of(judged)


def test_a_series_costs_at_most_a_kilobyte():
    assert SERIES.itemsize <= 1024


def test_the_hour_on_the_wall_follows_daylight_saving():
    winter, summer = 1_704_067_200_000, 1_719_792_000_000  # 1 January and 1 July 2024

    assert offset_ms("Europe/Berlin", winter) == 3_600_000
    assert offset_ms("Europe/Berlin", summer) == 2 * 3_600_000
    assert offset_ms("UTC", summer) == 0
    assert offset_ms("Europe/Berlin", 1 << 62) == 3_600_000  # a sender's clock may say anything
    assert offset_ms("Europe/Berlin", -(1 << 62)) == 3_600_000


def test_each_sample_of_a_batch_has_its_own_hour_and_a_holiday_is_a_sunday():
    change = 1_711_846_800_000  # 31 March 2024 01:00 UTC, when Berlin's clocks go on
    at_ms = np.array([change - 1, change])
    assert (wall_ms(at_ms, "Europe/Berlin") - at_ms).tolist() == [3_600_000, 7_200_000]

    labour_day, sunday = 1_714_557_600_000, 1_714_903_200_000  # Wednesday 1 May and 5 May 2024, 10:00 UTC
    assert wall_ms(np.array([labour_day]), "UTC", "DE").tolist() == [sunday]
    assert wall_ms(np.array([labour_day, sunday]), "UTC", "DE").tolist() == [sunday, sunday]
