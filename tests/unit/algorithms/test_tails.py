"""The chance of a peak: exact for few, right for many, fit for clusters."""

import numpy as np
import pytest

from cerebro.algorithms.tails import (
    COUNT,
    RATE,
    TAIL_FIELDS,
    THRESHOLD,
    TOP,
    TOTAL,
    add_peak,
    begin,
    chance_beyond,
    learn,
    paces,
    rate_beyond,
    teach,
)


@pytest.mark.parametrize("count", [2, 5, 40])
def test_the_chance_is_exact_for_exponential_excesses(count):
    """Over many trials the next peak exceeds its own bound as often as the chance says, also with two peaks."""
    chance = np.random.default_rng(count)
    past = chance.exponential(0.3, (200_000, count)).sum(axis=1)
    new = chance.exponential(0.3, 200_000)

    said = (1.0 + new / past) ** -count

    for p in (0.1, 0.01, 0.001):
        assert np.mean(said <= p) == pytest.approx(p, rel=0.2)
    assert chance_beyond(float(new[0]), float(count), float(past[0])) == pytest.approx(said[0])


def test_few_peaks_make_a_heavy_tail():
    """The same mean excess, but a hundred times the evidence: only then is something far out rare."""
    assert chance_beyond(3.0, 5.0, 1.25) > 1e-3
    assert chance_beyond(3.0, 500.0, 125.0) < 1e-5


def test_the_threshold_settles_where_three_percent_lie_above():
    tail = np.zeros(TAIL_FIELDS, np.float32)
    begin(tail, 0.5)
    scores = np.abs(np.random.default_rng(1).standard_normal(40_000))
    for seen, score in enumerate(scores):
        learn(tail, np.log(score / tail[THRESHOLD]), *paces(float(seen)), 0.5)

    assert tail[THRESHOLD] == pytest.approx(2.17, rel=0.1)  # the normal's 97 % point on both sides
    assert 0.015 < tail[RATE] < 0.03


def test_a_cluster_counts_once():
    """Ten strange samples in a row are one peak, not ten."""
    tail = np.zeros(TAIL_FIELDS, np.float32)
    begin(tail, 1.0)
    for _ in range(5):
        for score in [3.0] * 10 + [0.1] * 20:
            learn(tail, np.log(score), 0.001, 0.0, 1.0)

    assert tail[COUNT] == 5
    assert tail[TOTAL] == pytest.approx(5 * np.log(3.0), rel=1e-5)


def test_old_peaks_fade():
    tail = np.zeros(TAIL_FIELDS, np.float32)
    begin(tail, 1.0)
    for _ in range(400):
        add_peak(tail, 2.0)
    for _ in range(9000):
        add_peak(tail, 0.1)

    assert tail[TOTAL] / tail[COUNT] == pytest.approx(0.1, rel=0.05)


def test_a_heavier_class_lends_a_heavier_tail():
    tail = np.zeros(TAIL_FIELDS, np.float32)
    begin(tail, 1.0)

    assert rate_beyond(tail, 3.0, 0.6) > 20 * rate_beyond(tail, 3.0, 0.2)


def test_what_is_told_teaches_little_once_all_twice_and_is_the_nature_of_the_stream_the_third_time():
    tail = np.zeros(TAIL_FIELDS, np.float32)
    begin(tail, 2.0)
    for _ in range(30):
        add_peak(tail, 0.25)
    rarity = [rate_beyond(tail, 3.0, 0.25)]
    for told in (1.0, 1.99, 2.98):
        teach(tail, 3.0, told)
        rarity.append(rate_beyond(tail, 3.0, 0.25))
        assert (tail[TOP] >= 3.0) == (told > 2.0)

    assert rarity[1] < 2.0 * rarity[0]
    assert rarity[2] > 2.0 * rarity[1]
    assert rarity[3] > 10.0 * rarity[0]
