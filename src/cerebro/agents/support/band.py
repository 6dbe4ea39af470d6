"""The band a series was expected in, found again by judging its stored samples anew."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import SERIES, SeriesName
from cerebro.agents.support.watch import no_priors, start_row

LEAD_MS = 6 * 3_600_000  # of samples before the window, so that the band is learned when it begins
POINTS_MAX = 600


@dataclass(frozen=True, slots=True)
class Band:
    """Points for a chart, in columns of one length; NaN where nothing was expected yet."""

    at_ms: NDArray[np.int64]
    value: NDArray[np.float32]
    expected: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def replay(
    name: SeriesName, at_ms: NDArray[np.int64], value: NDArray[np.float64], *, unit: float, warmup_count: int
) -> Band:
    """Judge the samples, in time order, as if the series had begun with the first of them."""
    rows = np.zeros(1, SERIES)
    start_row(rows, 0, name)
    row = np.zeros(len(at_ms), np.int32)
    judged = detect(rows, row, at_ms, value, unit=unit, priors=no_priors(), warmup_count=warmup_count)
    learning = np.arange(len(at_ms)) < warmup_count
    expected, low, high = (np.where(learning, np.nan, part) for part in (judged.expected, judged.low, judged.high))
    return Band(at_ms, judged.value, expected.astype(np.float32), low.astype(np.float32), high.astype(np.float32))


def cut(band: Band, start_ms: int, end_ms: int) -> Band:
    """The part of the band inside the window, thinned evenly to `POINTS_MAX` points.

    Of every run of points that becomes one, the one furthest from its expected value stays: a spike is not thinned away.
    """
    inside = np.flatnonzero((band.at_ms >= start_ms) & (band.at_ms < end_ms) & np.isfinite(band.value))
    if len(inside) > POINTS_MAX:
        away = np.abs(np.nan_to_num(band.value - band.expected))
        runs = np.array_split(inside, POINTS_MAX)
        inside = np.array([run[np.argmax(away[run])] for run in runs])
    return Band(band.at_ms[inside], band.value[inside], band.expected[inside], band.low[inside], band.high[inside])
