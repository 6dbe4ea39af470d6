"""A daily and a weekly profile, learned online an hour at a time, in under 650 bytes a series.

The profile says how far above or below its level a series usually is at this hour. The day is learned
first; the week holds what each of its 168 hours adds to that. Both are shrunk towards nothing
until they have been seen often enough, so that one odd Tuesday is not yet a season.

Source: additive seasonal factors after P. R. Winters, Forecasting Sales by Exponentially Weighted Moving
Averages, Management Science 6 (1960), 324-342; shrinkage of the factors after D. M. Miller and D. Williams,
Shrinkage Estimators of Time Series Seasonal Factors, Int. J. Forecasting 19 (2003), 669-684.
"""

from typing import Any

import numpy as np

from cerebro.algorithms.native import native

HOUR_MS = 3_600_000
DAY_HOURS = 24
WEEK_HOURS = 168
DOUBT = 2.0  # a bin seen this often counts for half; found on simulated weeks, 1 … 3 differ little
MEMORY_MAX = 12  # the newest day or week counts for at least 1/13
EPOCH_WEEKDAY_HOURS = 72  # 1970-01-01 was a Thursday; hour 0 of the week is Monday 00:00


@native
def half(value: float) -> Any:
    """The value in 16 bits (bfloat16: 8 bits of exponent, 7 of mantissa, so within 0.4 %), as uint16."""
    return np.uint16((np.float32(value).view(np.uint32) + np.uint32(0x8000)) >> np.uint32(16))


@native
def whole(stored: Any) -> float:
    """The value of `half`."""
    return float(np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32))


@native
def hour_number(local_ms: int) -> int:
    """Hours since a Monday 00:00 in local time."""
    return local_ms // HOUR_MS + EPOCH_WEEKDAY_HOURS


@native
def factor(daily: Any, daily_count: Any, weekly: Any, weekly_count: Any, hour: int) -> float:
    """What the profile adds at an hour, shrunk by how little it has been seen.

    Args:
        daily: float32, (24,); mean deviation of each hour of the day.
        daily_count: uint8, (24,); how often each was seen, up to `MEMORY_MAX`.
        weekly: uint16 as `half` makes it, (168,); what each hour of the week adds to its hour of the day.
        weekly_count: uint8, (84,); two counts of up to `MEMORY_MAX` in each, the even hour's in the lower half.
        hour: Of `hour_number`.
    """
    day, week = hour % DAY_HOURS, hour % WEEK_HOURS
    days, weeks = float(daily_count[day]), float(_count(weekly_count, week))
    answer = float(daily[day]) * days / (days + DOUBT)
    if weeks > 0.0:
        answer += whole(weekly[week]) * weeks / (weeks + DOUBT)
    return answer


@native
def learn_hour(  # noqa: PLR0917
    daily: Any, daily_count: Any, weekly: Any, weekly_count: Any, hour: int, deviation: float
) -> None:
    """Take in one finished hour whose mean lay `deviation` above the level. Changes the profile in place."""
    day, week = hour % DAY_HOURS, hour % WEEK_HOURS
    days, weeks = daily_count[day], _count(weekly_count, week)
    before = whole(weekly[week]) if weeks > 0 else 0.0
    rest = deviation - daily[day] if days > 0 else 0.0  # what the day did not know; nothing while it knows nothing
    daily[day] += (deviation - daily[day]) / (days + 1.0)
    weekly[week] = half(before + (rest - before) / (weeks + 1.0))
    daily_count[day] = min(days + 1, MEMORY_MAX)
    if weeks < MEMORY_MAX:
        weekly_count[week // 2] += 1 << (4 * (week % 2))


@native
def _count(weekly_count: Any, week: int) -> int:
    count: int = (int(weekly_count[week // 2]) >> (4 * (week % 2))) & 15
    return count
