"""Numbers that say what a series is like, whatever it measures: its tail, its bursts, its memory, its day.

Sources: B. M. Hill, A simple general approach to inference about the tail of a distribution, Annals of Statistics 3
(1975), 1163-1174; the strength of a season after X. Wang, K. Smith, R. Hyndman, Characteristic-based clustering for
time series data, Data Mining and Knowledge Discovery 13 (2006), 335-364; U. Fano, Physical Review 72 (1947), 26-29.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400.0
POINTS_MIN = 200
TAIL_SHARE = 0.02
Floats = NDArray[np.float64]
MEASURES = ("tail index", "burst ratio", "variation", "memory of one step", "memory of one hour", "strength of the day")


@dataclass(frozen=True)
class Group:
    """Series of one thing at equal times: float64, (time, series); `counts` marks those that count events."""

    interval_s: float
    values: Floats
    counts: NDArray[np.bool_]


@dataclass(frozen=True)
class Likeness:
    """Each measure over all series of a set; `together` and `fano` have lengths of their own."""

    measures: Mapping[str, Floats]
    together: Floats
    fano: Floats
    series_count: int


def likeness(groups: Sequence[Group]) -> Likeness:
    """Measure every series that moves at all."""
    rows, together, fano = [], [], []
    for group in groups:
        moving = [column for column in range(group.values.shape[1]) if _moves(group.values[:, column])]
        rows += [_measures(_filled(group.values[:, column]), group.interval_s) for column in moving]
        fano += [_fano(_filled(group.values[:, column])) for column in moving if group.counts[column]]
        together += _correlations(np.stack([_filled(group.values[:, k]) for k in moving], 1)) if len(moving) > 1 else []
    table = np.array(rows).reshape(-1, len(MEASURES))
    return Likeness(
        {name: table[:, k] for k, name in enumerate(MEASURES)}, np.array(together), np.array(fano), len(rows)
    )


def _moves(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(known) >= POINTS_MIN and len(known) >= 0.7 * len(values) and len(np.unique(known)) > 10


def _filled(values: Floats) -> Floats:
    known = np.isfinite(values)
    return values if known.all() else np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])


def _measures(values: Floats, interval_s: float) -> list[float]:
    steps = np.abs(np.diff(values))
    moved = steps[steps > 0]
    bursts = np.quantile(moved, 0.999) / max(float(np.median(moved)), 1e-300) if len(moved) > 20 else np.nan
    mean = abs(float(values.mean()))
    hour = max(1, round(3600 / interval_s))
    return [
        tail_index(values), float(bursts), float(values.std() / mean) if mean > 0 else np.nan,
        _memory(values, 1), _memory(values, hour) if hour < len(values) / 4 else np.nan,
        season_strength(values, interval_s),
    ]  # fmt: skip


def tail_index(values: Floats) -> float:
    """Hill's index of the distances from the median: 2 is very heavy, 5 and more is light.

    >>> pareto = (np.arange(1, 10_001) / 10_001) ** (-1 / 3)
    >>> round(tail_index(pareto), 0)
    3.0
    """
    far = np.sort(np.abs(values - np.median(values)))
    count = max(20, int(TAIL_SHARE * len(far)))
    edge = far[-count - 1]
    return float(1.0 / max(float(np.mean(np.log(far[-count:] / edge))), 1e-9)) if edge > 0 else float("nan")


def season_strength(values: Floats, interval_s: float) -> float:
    """The share of variance that the hour of the day explains; NaN under three days."""
    per_day = round(DAY_S / interval_s)
    days = len(values) // per_day
    if days < 3:
        return float("nan")
    table = values[: days * per_day].reshape(days, per_day)
    table = table - table.mean(axis=1, keepdims=True)  # days differ in level: that is the week, not the day
    # By the hour: finer, and noise would count as a day's own shape.
    slots = table[:, : per_day // 24 * 24].reshape(days, 24, -1).mean(axis=2)
    profile = np.repeat(slots.mean(axis=0), per_day // 24)
    rest = table[:, : len(profile)] - profile
    whole = float(table.var())
    return max(0.0, 1.0 - float(rest.var()) / whole) if whole > 0 else float("nan")


def _memory(values: Floats, lag: int) -> float:
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).sum() / max(float((centred * centred).sum()), 1e-300))


def _fano(values: Floats) -> float:
    """Variance over mean of the counts about their slow course (an hour's mean either way)."""
    slow = np.convolve(values, np.full(13, 1 / 13), "valid")
    rest = values[6:-6] - slow
    return float(rest.var() / max(float(values.mean()), 1e-9))


def _correlations(values: Floats) -> list[float]:
    matrix = np.asarray(np.corrcoef(values.T))
    found: list[float] = np.abs(matrix[np.triu_indices(values.shape[1], 1)]).tolist()
    return found
