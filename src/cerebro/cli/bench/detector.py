"""How many samples a second one core judges, and how many bytes a series costs.

The series have lived for two weeks before the clock runs, so that the weekly season is asked at every sample; they come
in random order, as they lie in real batches, and together they are far larger than the caches of the processor.
"""

from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import SERIES, SeriesName
from cerebro.agents.support.watch import Series, admit_series, no_priors, no_series
from cerebro.algorithms.scale import LINEAR
from cerebro.algorithms.season import DAY_HOURS, WEEK_HOURS
from cerebro.cli.bench.figure import Figure
from cerebro.spine.telemetry import SeriesType

START_MS = 1_700_000_000_000
INTERVAL_MS = 60_000
FLOOR, GOAL = 1_000_000.0, 5_000_000.0
BYTES_FLOOR, BYTES_GOAL = 1024.0, 1000.0
METRICS = (
    ("system.cpu.busy", SeriesType.GAUGE, "1"),
    ("http_requests_total", SeriesType.COUNTER, ""),
    ("process.memory.usage", SeriesType.GAUGE, "By"),
    ("queue.length", SeriesType.GAUGE, ""),
)


def run(series_count: int = 100_000, round_count: int = 20, seed: int = 1) -> list[Figure]:
    """Judge `round_count` samples of each series, one round of all of them a minute."""
    chance = np.random.default_rng(seed)
    base = chance.lognormal(3.0, 1.0, series_count)
    series = _grown_up(base, chance)
    seconds = []
    for minute in range(round_count + 3):
        order = chance.permutation(series_count).astype(np.int32)
        value = _values(order, base, minute, chance)
        at_ms = np.full(series_count, START_MS + minute * INTERVAL_MS, np.int64)
        hi, lo = series.index.name[order, 0].copy(), series.index.name[order, 1].copy()
        begun = perf_counter()
        row = series.index.find(hi, lo)
        detect(series.rows, row, at_ms, value, unit=1e-5, priors=no_priors(), warmup_count=3)
        seconds.append(perf_counter() - begun)
    rate = series_count / float(np.median(seconds[3:]))  # the first rounds compile and learn the interval
    return [
        Figure("detector_updates_per_core", round(rate), "1/s", FLOOR, GOAL),
        Figure("detector_bytes_per_series", float(series.byte_count_per_series), "By", BYTES_FLOOR, BYTES_GOAL),
    ]


def _grown_up(base: NDArray[np.float64], chance: np.random.Generator) -> Series:
    """Series with a learned level, spread and season, so that the samples to come are ordinary ones."""
    series, series_count = no_series(), len(base)
    hashes = chance.integers(1, 1 << 63, (series_count, 2), np.int64).tolist()
    names = []
    for k, (hi, lo) in enumerate(hashes):
        metric, kind, unit = METRICS[k % len(METRICS)]
        names.append(SeriesName(hi, lo, metric, (), kind, unit, "host", f"host-{k // 500}"))
    admit_series(series, names, series_count)
    rows = series.rows[:series_count]
    usual = np.where(np.arange(series_count) % len(METRICS) == 0, 0.2, base)
    offset = rows["offset"].astype(np.float64)
    rows["level"] = np.where(rows["scale"] == LINEAR, usual, np.log1p(usual / offset))
    rows["spread"] = np.where(rows["scale"] == LINEAR, 0.05 * usual, 0.05)
    rows["daily"] = chance.normal(0.0, 0.001, (series_count, DAY_HOURS))
    rows["daily_count"], rows["weekly_counts"] = 12, 0x22
    rows["weekly"] = chance.integers(0, 1 << 13, (series_count, WEEK_HOURS))  # as bfloat16: next to nothing
    rows["hours_seen"], rows["count"], rows["active_count"] = 1, 20_000, 10_000
    assert rows.dtype == SERIES
    return series


def _values(
    order: NDArray[np.int32], base: NDArray[np.float64], minute: int, chance: np.random.Generator
) -> NDArray[np.float64]:
    noise = chance.normal(1.0, 0.05, len(order))
    mine = base[order] * noise
    climbing = order % len(METRICS) == 1
    share = order % len(METRICS) == 0
    return np.where(climbing, base[order] * 60.0 * (minute + noise), np.where(share, 0.2 * noise, mine))
