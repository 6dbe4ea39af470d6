"""Counts by the minute as series, so that what is judged of metrics is judged of log lines and spans too.

Whoever counts adds to a minute; once the minute is over, every series that has ever counted has a value for it, 0 where
nothing came. A minute is over when telemetry is `GRACE_MS` past its end; what comes later counts in the oldest open.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from cerebro.agents.support.model import SeriesName
from cerebro.spine.telemetry import SampleBatch, SeriesType, no_series, series_id

MINUTE_MS = 60_000
GRACE_MS = 5_000
GAP_MINUTES_MAX = 10  # of silence that are told as zeros; after a longer one the counts begin again
SERIES_MAX = 20_000


@dataclass(slots=True)
class Minutes:
    """The series that count, and the minutes that are open. `add` and `closed` change it."""

    names: list[SeriesName] = field(default_factory=list)
    at: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    open: dict[int, dict[int, float]] = field(default_factory=dict)  # by minute, by series
    gauges: set[int] = field(default_factory=set)  # series that say nothing in a minute without a value
    done: int = 0  # the newest minute that is closed
    turned_away_count: int = 0


def series_of(
    minutes: Minutes, entity: tuple[str, str], metric: str, label: str, unit: str, *, is_gauge: bool = False
) -> int:
    """The row of a series, made at the first call; -1 when there is no room for another one."""
    key = (*entity, metric, label)
    if (row := minutes.at.get(key)) is not None:
        return row
    if len(minutes.names) >= SERIES_MAX:
        minutes.turned_away_count += 1
        return -1
    labels = {"entity": "/".join(entity), "of": label}
    hi, lo = series_id(metric, labels)
    row = minutes.at[key] = len(minutes.names)
    minutes.names.append(SeriesName(hi, lo, metric, (("of", label),), SeriesType.GAUGE, unit, *entity))
    if is_gauge:
        minutes.gauges.add(row)
    return row


def add(minutes: Minutes, at_ms: int, row: int, value: float) -> None:
    """Count in the minute of that time, or in the oldest that is open."""
    if row >= 0:
        minute = max(at_ms // MINUTE_MS, minutes.done + 1)
        counts = minutes.open.setdefault(minute, {})
        counts[row] = counts.get(row, 0.0) + value


def put(minutes: Minutes, at_ms: int, row: int, value: float) -> None:
    """Let the value be that of the minute: for what is measured and not counted."""
    if row >= 0:
        minutes.open.setdefault(max(at_ms // MINUTE_MS, minutes.done + 1), {})[row] = value


def closed(minutes: Minutes, now_ms: int) -> Iterator[SampleBatch]:
    """The minutes that are over at that time, oldest first, each with a value of every series that has one."""
    last = (now_ms - GRACE_MS) // MINUTE_MS - 1
    if minutes.done == 0:
        minutes.done = min(minutes.open, default=last + 1) - 1
    if last - minutes.done > GAP_MINUTES_MAX:
        minutes.done = max(minutes.done, min((each for each in minutes.open if each > minutes.done), default=last) - 1)
    while minutes.done < last:
        minutes.done += 1
        yield _batch(minutes, minutes.open.pop(minutes.done, {}))
        if not minutes.open and last - minutes.done > GAP_MINUTES_MAX:
            minutes.done = last


def _batch(minutes: Minutes, counts: dict[int, float]) -> SampleBatch:
    rows = [row for row in range(len(minutes.names)) if row in counts or row not in minutes.gauges]
    hi = np.array([minutes.names[row].hi for row in rows], np.uint64)
    lo = np.array([minutes.names[row].lo for row in rows], np.uint64)
    value = np.array([counts.get(row, 0.0) for row in rows])
    at_ms = np.full(len(rows), (minutes.done + 1) * MINUTE_MS, np.int64)
    return SampleBatch(hi, lo, at_ms, value, no_series())
