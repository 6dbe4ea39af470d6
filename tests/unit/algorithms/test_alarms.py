"""Numenta's score at its corners."""

import numpy as np
import pytest

from cerebro.algorithms.alarms import normal, sweep, sweep_best, worth_at

WINDOWS = np.array([[400, 499], [800, 899]])


def scored(*alarms):
    score = np.zeros(1000)
    score[list(alarms)] = 1.0
    return sweep(score, WINDOWS)


def test_all_at_once_and_nothing_else_is_a_hundred():
    file = scored(400, 800)

    threshold, score = sweep_best([file])

    assert (threshold, score) == (1.0, pytest.approx(100.0))
    assert normal(worth_at(file, threshold), 2) == pytest.approx(score)


def test_silence_is_nothing():
    assert sweep_best([sweep(np.zeros(1000), WINDOWS)])[1] == 0.0


def test_a_false_alarm_costs_eleven_hundredths_and_the_middle_of_a_window_is_worth_less():
    late = (2 / (1 + np.exp(-2.5)) - 1) / (2 / (1 + np.exp(-5.0)) - 1)

    assert worth_at(scored(300, 450, 800), 0.5) == pytest.approx(-0.11 + 1.0 + late, abs=0.01)


def test_what_happens_while_a_detector_still_learns_does_not_count():
    assert worth_at(scored(0, 149, 400, 800), 0.5) == pytest.approx(2.0)


def test_the_threshold_is_one_for_all_files():
    loud = sweep(np.where(np.arange(1000) == 400, 5.0, 0.0) + np.where(np.arange(1000) == 800, 5.0, 0.0), WINDOWS)

    threshold, score = sweep_best([loud, scored(400, 800)])

    assert (threshold, score) == (1.0, pytest.approx(100.0))
