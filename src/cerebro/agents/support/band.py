"""The band a series was expected in, found again by judging its stored samples anew."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import SeriesName, blank_rows
from cerebro.agents.support.nature import reach_of
from cerebro.agents.support.watch import no_priors, start_row
from cerebro.algorithms.scale import backward_all

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
    name: SeriesName,
    at_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    *,
    unit: float,
    warmup_count: int,
    wall_ms: NDArray[np.int64] | None = None,
) -> Band:
    """Judge the samples, in time order, as if the series had begun with the first; `wall_ms` is that of `detect`."""
    rows = blank_rows(1)
    start_row(rows, 0, name)
    row = np.zeros(len(at_ms), np.int32)
    judged = detect(rows, row, at_ms, value, unit=unit, priors=no_priors(), warmup_count=warmup_count, wall_ms=wall_ms)
    learning = np.arange(len(at_ms)) < warmup_count
    middle = np.where(learning, np.float32(np.nan), judged.predicted)
    expected, low, high = band_of(rows[0], middle, judged.band, judged.value)
    return Band(at_ms, judged.value, expected, low, high)


def cut(band: Band, start_ms: int, end_ms: int) -> Band:
    """The part of the band inside the window, thinned evenly to `POINTS_MAX` points.

    Of every run of points that becomes one, the one furthest from its expected value stays, so that a spike is not
    thinned away.
    """
    inside = np.flatnonzero((band.at_ms >= start_ms) & (band.at_ms < end_ms) & np.isfinite(band.value))
    if len(inside) > POINTS_MAX:
        away = np.abs(np.nan_to_num(band.value - band.expected))
        runs = np.array_split(inside, POINTS_MAX)
        inside = np.array([run[np.argmax(away[run])] for run in runs])
    return Band(band.at_ms[inside], band.value[inside], band.expected[inside], band.low[inside], band.high[inside])


def band_of(
    row: np.void, predicted: NDArray[np.float32], band: NDArray[np.float32], seen: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Expected value, lower and upper bound in the unit of the series, from columns on its scale.

    Args:
        row: Of the series.
        predicted: What was expected.
        band: Half-width.
        seen: Values of the series, which show what it can take beside what its nature says.
    """
    scale, offset = int(row["scale"]), float(row["offset"])
    parts = (backward_all(part, scale, offset) for part in (predicted, predicted - band, predicted + band))
    expected, low, high = (within(row, part, seen) for part in parts)
    return expected, low, high


def within(row: np.void, told: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is told of a series, held to what it can take: no rate is negative, no share more than the whole.

    A series that was seen further out can take that as well, such as a process that uses two cores.
    """
    low, high = reach_of(int(row["family"]))
    known = seen[np.isfinite(seen)]
    if len(known):
        low, high = min(low, float(known.min())), max(high, float(known.max()))
    return np.asarray(np.clip(told, low, high), np.float32)


def newest(row: np.void) -> tuple[float, float, float]:
    """Expected value and bounds of the newest sample."""
    predicted, band, seen = (np.array([row[name]], np.float32) for name in ("predicted", "band", "value"))
    expected, low, high = (float(part[0]) for part in band_of(row, predicted, band, seen))
    return expected, low, high
