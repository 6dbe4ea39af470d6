"""What alarms are worth: events found in time, and Numenta's benchmark score.

Sources: the events and their delay follow the AIOps Challenge 2018 (at most 7 samples late), but a stretch counts
once, found or missed, and never sample by sample; A. Lavin and S. Ahmad, Evaluating Real-Time Anomaly Detection
Algorithms - the Numenta Anomaly Benchmark, ICMLA 2015, and the rules of its sweeper in NAB v1.1 (standard profile).
"""

from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.native import native
from cerebro.algorithms.volume import ranges_of

FALSE_WEIGHT = 0.11  # of the standard profile; a window found or missed weighs 1
PROBATION, PROBATION_MAX = 0.15, 750.0
OUTSIDE, PROBATIONARY = -1, -2


@dataclass(frozen=True, slots=True)
class Events:
    """Stretches found in time and missed, and alarms in no stretch."""

    found: int
    missed: int
    false: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall.

        >>> Events(found=3, missed=1, false=1).f1
        0.75
        """
        return 2.0 * self.found / max(2.0 * self.found + self.missed + self.false, 1.0)

    def __add__(self, other: "Events") -> "Events":
        return Events(self.found + other.found, self.missed + other.missed, self.false + other.false)


def held(score: NDArray[np.float64], *, opens: float, calm: float, hold: int) -> NDArray[np.bool_]:
    """Alarms as they stand: each from `opens` on until the score has been under `calm` for `hold` samples, (n,).

    So a trouble that flickers about the threshold is one alarm, as an episode in life is one finding.

    >>> held(np.array([0.0, 5, 3, 1, 5, 1, 1, 5]), opens=4.0, calm=2.0, hold=2).astype(int).tolist()
    [0, 1, 1, 1, 1, 1, 0, 1]
    """
    return np.asarray(_held(score, opens, calm, hold))


@native
def _held(score: Any, opens: float, calm: float, hold: int) -> Any:
    alarm = np.zeros(len(score), np.bool_)
    left = 0
    for k in range(len(score)):
        if score[k] >= opens or (left > 0 and score[k] >= calm):
            left = hold
        elif left > 0:
            left -= 1
        alarm[k] = left > 0
    return alarm


def count_events(label: NDArray[Any], alarm: NDArray[np.bool_], delay_max: int) -> Events:
    """Compare alarms with labelled stretches.

    A stretch is found by an alarm on one of its first samples, at most `delay_max` after the first. Alarms in a row
    count as one; one that touches no stretch is false, one that comes too late is neither.

    >>> label, alarm = np.zeros(50), np.zeros(50, bool)
    >>> label[10:30] = 1; alarm[[17, 40]] = True
    >>> count_events(label, alarm, 7), count_events(label, alarm, 6)
    (Events(found=1, missed=0, false=1), Events(found=0, missed=1, false=1))
    """
    before = np.concatenate([[0], np.cumsum(alarm)])
    marked = np.concatenate([[0], np.cumsum(np.asarray(label) > 0)])
    ranges, runs = ranges_of(label), ranges_of(alarm)
    in_time = np.minimum(ranges[:, 1], ranges[:, 0] + delay_max) + 1
    found = int((before[in_time] > before[ranges[:, 0]]).sum())
    false = int((marked[runs[:, 1] + 1] == marked[runs[:, 0]]).sum())
    return Events(found, len(ranges) - found, false)


@dataclass(frozen=True, slots=True)
class Swept:
    """One file made ready for NAB's sweep: of each sample, what an alarm there is worth, and which window it is in."""

    score: NDArray[np.float64]
    worth: NDArray[np.float64]
    window: NDArray[np.int64]  # number within the file, `OUTSIDE` or `PROBATIONARY`
    window_count: int


def sweep(score: NDArray[np.float64], windows: NDArray[np.int64]) -> Swept:
    """What an alarm at each sample is worth, as NAB's `Sweeper.calcSweepScore` has it.

    Args:
        score: The larger the stranger, (n,).
        windows: First and last index of each window, in order, int64, (window, 2).
    """
    n = len(score)
    place = np.full(n, 3.0)  # relative to the window before
    window = np.full(n, OUTSIDE, np.int64)
    for number, (start, end) in enumerate(windows):
        width = float(end - start + 1)
        place[start : end + 1] = -(end - np.arange(start, end + 1) + 1) / width
        window[start : end + 1] = number
        place[end + 1 :] = (np.arange(end + 1, n) - end) / max(width - 1.0, 1.0)
    worth = np.where(place >= 3.0, -1.0, 2.0 / (1.0 + np.exp(np.minimum(5.0 * place, 500.0))) - 1.0)
    best = 2.0 / (1.0 + exp(-5.0)) - 1.0
    worth = np.where(window >= 0, worth / best, worth * FALSE_WEIGHT)
    window[: int(np.ceil(min(np.floor(PROBATION * n), PROBATION_MAX)))] = PROBATIONARY
    return Swept(np.asarray(score, np.float64), worth, window, len(np.unique(window[window >= 0])))


def sweep_best(files: list[Swept]) -> tuple[float, float]:
    """The threshold that serves all files best, and the score there: 0 for silence, 100 for perfection."""
    shift = np.cumsum([0, *(file.window_count for file in files)])
    first = [int(file.window[file.window >= 0].min(initial=1 << 30)) for file in files]
    window = np.concatenate(
        [
            np.where(f.window >= 0, f.window - low + at, f.window)
            for f, low, at in zip(files, first, shift, strict=False)
        ]
    )
    score, worth = np.concatenate([f.score for f in files]), np.concatenate([f.worth for f in files])
    kept = window != PROBATIONARY
    order = np.argsort(-score[kept], kind="stable")
    threshold, best = _sweep(score[kept][order], worth[kept][order], window[kept][order], int(shift[-1]))
    return threshold, normal(best, int(shift[-1]))


def worth_at(file: Swept, threshold: float) -> float:
    """The file's part of the score when everything at or above the threshold is an alarm, not normalised."""
    alarm = file.score >= threshold
    total = float(file.worth[alarm & (file.window == OUTSIDE)].sum())
    for number in np.unique(file.window[file.window >= 0]):
        mine = alarm & (file.window == number)
        total += float(file.worth[mine].max()) if mine.any() else -1.0
    return total


def normal(worth: float, window_count: int) -> float:
    """The worth on a scale from 0, where nothing is ever said, to 100, where all is said at once and nothing else."""
    return 100.0 * (worth + window_count) / max(2.0 * window_count, 1.0)


@native
def _sweep(score: Any, worth: Any, window: Any, window_count: int) -> Any:
    """Lower the threshold sample by sample and keep the best total; samples of one score come in together."""
    inside = np.full(window_count, -1.0)
    total = -float(window_count)
    best, threshold = total, np.inf
    for k in range(len(score)):
        at = window[k]
        if at < 0:
            total += worth[k]
        elif worth[k] > inside[at]:
            total += worth[k] - inside[at]
            inside[at] = worth[k]
        if (k + 1 == len(score) or score[k + 1] != score[k]) and total > best:
            best, threshold = total, score[k]
    return threshold, best
