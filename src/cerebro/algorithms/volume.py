"""VUS-PR: how well a score finds labelled stretches, whatever the threshold and however loosely the labels sit.

The labels are widened at both ends by up to half a window, with weights that fall off; for each window from 0 to the
longest the area under precision and range recall is taken over 250 thresholds, and the mean of these areas is the
answer.
A random score reaches about the share of labelled samples; nothing is point-adjusted.

Sources: J. Paparrizos et al., Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly
Detection, PVLDB 15 (2022), 2774-2787; Q. Liu and J. Paparrizos, The Elephant in the Room: Towards A Reliable
Time-Series Anomaly Detection Benchmark, NeurIPS 2024, whose TSB-AD computes it so, thresholds and window included.
"""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.native import native

THRESHOLD_COUNT = 250
LAG_FIRST, LAG_COUNT = 3, 400
SAMPLES_MAX = 20_000
WINDOW_UNKNOWN = 125
WINDOW_MAX = 300


def ranges_of(label: NDArray[Any]) -> NDArray[np.int64]:
    """First and last index of each labelled stretch, int64, (stretch, 2).

    >>> ranges_of(np.array([0, 1, 1, 0, 1])).tolist()
    [[1, 2], [4, 4]]
    """
    edges = np.diff(np.concatenate([[0], (np.asarray(label) > 0).astype(np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1], axis=1)


def season_window(value: NDArray[np.float64]) -> int:
    """The window for VUS: the lag of the highest peak of the autocorrelation, as TSB-AD chooses it.

    >>> season_window(np.sin(np.arange(2000) * 2 * np.pi / 50))
    50
    """
    series = np.asarray(value[:SAMPLES_MAX], np.float64)
    series = series - series.mean()
    size = 1 << (2 * len(series) - 1).bit_length()
    spectrum = np.fft.rfft(series, size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), size)[: LAG_COUNT + 1]
    if covariance[0] <= 0.0:
        return WINDOW_UNKNOWN
    after = (covariance / covariance[0])[LAG_FIRST:]
    peaks = np.flatnonzero((after[1:-1] > after[:-2]) & (after[1:-1] > after[2:])) + 1
    if not len(peaks):
        return WINDOW_UNKNOWN
    best = int(peaks[np.argmax(after[peaks])])
    return best + LAG_FIRST if LAG_FIRST <= best <= WINDOW_MAX else WINDOW_UNKNOWN


def vus_pr(label: NDArray[Any], score: NDArray[np.float64], window: int) -> float:
    """Volume under the precision-recall surface, 0 … 1; NaN where nothing is labelled.

    Args:
        label: Above 0 where strange, (n,).
        score: The larger the stranger, finite, (n,).
        window: The longest buffer, in samples, of which half lies on each side of a stretch.

    >>> truth = np.zeros(1000); truth[500:520] = 1
    >>> round(vus_pr(truth, truth + 0.0, 0), 3)
    1.0
    """
    ranges = ranges_of(label)
    if not len(ranges):
        return float("nan")
    down = -np.sort(-score)
    thresholds = down[np.linspace(0, len(score) - 1, THRESHOLD_COUNT).astype(np.int64)]
    first = np.searchsorted(-thresholds, -np.asarray(score), side="left")  # the highest threshold that is reached
    reached = np.searchsorted(-down, -thresholds, side="right").astype(np.float64)
    return float(_volume(ranges, first.astype(np.int64), reached, window, THRESHOLD_COUNT))


@native
def _volume(ranges: Any, first: Any, reached: Any, window_max: int, threshold_count: int) -> float:
    """Mean over windows of the area under precision and range recall.

    `first` is the index of the highest threshold that each sample reaches; `reached` how many samples reach each.
    """
    n = len(first)
    inside = np.zeros(n, np.bool_)
    core = np.zeros(threshold_count + 1)
    labelled = 0.0
    for k in range(len(ranges)):
        for at in range(ranges[k, 0], ranges[k, 1] + 1):
            inside[at] = True
            core[first[at]] += 1.0
            labelled += 1.0
    weight = np.zeros(n)
    total = 0.0
    for window in range(window_max + 1):
        half = window // 2
        buffer = np.zeros(threshold_count + 1)
        for k in range(len(ranges)):
            start, end = ranges[k, 0], ranges[k, 1]
            for at in range(end + 1, min(end + half + 1, n)):
                weight[at] += sqrt(1.0 - (at - end) / window)
            for at in range(max(start - half, 0), start):
                weight[at] += sqrt(1.0 - (start - at) / window)
        for k in range(len(ranges)):  # each sample once: its weight is taken away when it has been counted
            start, end = ranges[k, 0], ranges[k, 1]
            for at in range(max(start - half, 0), min(end + half + 1, n)):
                if weight[at] > 0.0:
                    if not inside[at]:
                        buffer[first[at]] += min(weight[at], 1.0)
                    weight[at] = 0.0
        total += _area(core, buffer, _found(ranges, first, half, threshold_count), reached, labelled)
    return total / (window_max + 1)


@native
def _found(ranges: Any, first: Any, half: int, threshold_count: int) -> Any:
    """The share of widened stretches in which each threshold is reached; those that touch are one."""
    counts = np.zeros(threshold_count + 1)
    stretches = 0.0
    k = 0
    while k < len(ranges):
        start, end = max(ranges[k, 0] - half, 0), ranges[k, 1] + half
        while k + 1 < len(ranges) and end >= ranges[k + 1, 0] - half:
            k += 1
            end = ranges[k, 1] + half
        best = threshold_count
        for at in range(start, min(end + 1, len(first))):
            best = min(best, first[at])
        counts[best] += 1.0
        stretches += 1.0
        k += 1
    return np.cumsum(counts)[:threshold_count] / stretches


@native
def _area(core: Any, buffer: Any, found: Any, reached: Any, labelled: float) -> float:
    """Area under precision and recall at one window; what a buffer adds to the labels is what was foretold in it."""
    area, recall_before, true, widened = 0.0, 0.0, 0.0, 0.0
    for j in range(len(found)):
        true += core[j] + buffer[j]
        widened += buffer[j]
        recall = min(true / (labelled + 0.5 * widened), 1.0) * found[j]
        area += (recall - recall_before) * true / reached[j]
        recall_before = recall
    return area
