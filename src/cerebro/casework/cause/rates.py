"""Climbing series by the second, however seldom they are told, and whether as they stand or as what came on top."""

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.asked import Real
from cerebro.casework.cause.held import Held
from cerebro.spine.telemetry import INCREASES, SeriesType

CLIMBING = frozenset({SeriesType.COUNTER.value, SeriesType.HISTOGRAM.value}) | INCREASES
CARRIED_MS = 300_000  # between two samples, that one rate may stand for


def values_of(held: Held) -> tuple[Real, NDArray[np.bool_]]:
    """What each series is worth in each step, of climbing ones by the second; and in which steps it was told.

    Both (series, step). What is told less often than each step has its rate in the steps between, too, since what
    others tell in moments of their own is added to it.
    """
    climbing = _is_of(held, CLIMBING)
    values = np.where(np.isfinite(held.mean), held.mean, np.nan)  # a gauge may be told as endless
    if not climbing.any():
        return values, np.isfinite(values)
    last = _climbed(held, climbing)
    values[climbing] = by_the_second(last, held.grid.step_ms)
    told = np.isfinite(values)
    seldom = np.flatnonzero(climbing)[_is_seldom(last)]
    told[seldom] = np.isfinite(held.last[seldom])
    return values, told


def unread(held: Held) -> list[str]:
    """A sentence for each thing that has told a counter again and again, and never so that it gave a rate.

    What tells how much came on top says nothing while nothing comes: of such a one that is no gap.
    """
    climbing = np.flatnonzero(_is_of(held, CLIMBING - INCREASES))
    last = held.last[climbing]
    seldom = _is_seldom(last)
    if not seldom.any():
        return []
    rated = ~seldom
    rated[seldom] = np.isfinite(_spread(last[seldom], held.grid.step_ms)).any(axis=1)
    named = [(held.series[row].entity, held.series[row].metric) for row in climbing.tolist()]
    read = {name for name, fine in zip(named, rated.tolist(), strict=True) if fine}
    return [
        f"Counters of {entity.said} are told too seldom to say how fast they climb."
        for entity in sorted({entity for entity, metric in named if (entity, metric) not in read})
    ]


def by_the_second(last: Real, step_ms: int) -> Real:
    """Rates of what climbs; nothing where it was reset, or is told again only after twice its usual time.

    Args:
        last: float64 (series, step), as it stood when it was told last in each step; NaN for nothing told.

    >>> by_the_second(np.array([[0.0, 50.0, 150.0, 0.0, 10.0]]), 5_000).tolist()
    [[nan, 10.0, 20.0, nan, 2.0]]
    >>> by_the_second(np.array([[0.0, np.nan, 50.0, np.nan, 150.0, np.nan, np.nan]]), 5_000).tolist()
    [[nan, 5.0, 5.0, 10.0, 10.0, 10.0, 10.0]]
    """
    gone = np.diff(last, prepend=np.nan, axis=1) / (step_ms / 1000)
    rates = np.where(gone >= 0, gone, np.nan)
    seldom = _is_seldom(last)
    if seldom.any():
        rates[seldom] = _spread(last[seldom], step_ms)
    return rates


def _is_of(held: Held, types: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([series.type in types for series in held.series], np.bool_)


def _climbed(held: Held, climbing: NDArray[np.bool_]) -> Real:
    """The climbing series as they stood; what tells how much came on top is added up."""
    last = held.last[climbing]
    increases = _is_of(held, INCREASES)[climbing]
    if increases.any():
        more = last[increases]
        last[increases] = np.where(np.isfinite(more), np.nancumsum(more, axis=1), np.nan)
    return last


def _is_seldom(last: Real) -> NDArray[np.bool_]:
    """bool (series,): whether it is usually not told in each step."""
    told = np.isfinite(last)
    gaps, none = told.sum(axis=1) - 1, (told[:, 1:] & told[:, :-1]).sum(axis=1)
    return np.asarray((gaps >= 1) & (2 * none <= gaps))


def _spread(last: Real, step_ms: int) -> Real:
    """The rate between two samples in all steps since the first of them, and then until the next is overdue."""
    count, steps, told = len(last), np.arange(last.shape[1]), np.isfinite(last)
    newest = np.maximum.accumulate(np.where(told, steps, -1), axis=1)
    before = np.concatenate([np.full((count, 1), -1), newest[:, :-1]], axis=1)
    apart = np.where(told & (before >= 0), steps - before, 0)
    usual = np.array([np.ceil(np.median(row[row > 0])) for row in apart])[:, None]
    reach = np.minimum(2 * usual - 1, max(1, CARRIED_MS // step_ms))
    gone = (last - np.take_along_axis(last, np.maximum(before, 0), axis=1)) / (np.maximum(apart, 1) * step_ms / 1000)
    rates = np.where((apart > 0) & (apart <= reach) & (gone >= 0), gone, np.nan)
    following = np.where(told, steps, len(steps))
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    rates = np.concatenate([rates, np.full((count, 1), np.nan)], axis=1)
    since = np.take_along_axis(rates, following, axis=1)
    held_on = np.where(steps - newest < reach, np.take_along_axis(rates, newest, axis=1), np.nan)
    return np.where(np.isfinite(since), since, held_on)
