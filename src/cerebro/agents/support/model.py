"""What the agent knows: one row of state a series, and the plain values its verbs exchange."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.season import DAY_HOURS, WEEK_HOURS
from cerebro.algorithms.tails import TAIL_FIELDS

WEEK_S = 7 * 86_400.0


class Test(IntEnum):
    """The questions asked of every sample; the value is the place of its tail in the state."""

    SPIKE = 0  # this sample alone
    SHIFT = 1  # the last three, all to one side
    JUMP = 2  # this sample against the few before it, on the spread of such steps
    DRIFT = 3  # a mean of the last dozen
    VARIANCE = 4  # how large the steps have been of late
    FLATLINE = 5  # the same value again and again
    LEAK = 6  # hour after hour towards an end, slower than all the others see


TEST_COUNT = len(Test)
TAIL_COUNT = 5  # the first tests, whose tails are learned; those of a flat line and of a leak are known
SHARES = np.array([0.12, 0.4, 0.1, 0.11, 0.03, 0.02, 0.02])  # of a series' part of the budget; a fifth is for silence
SILENCE_SHARE = 0.2
THRESHOLDS_MIN = np.array([2.0, 1.0, 2.0, 0.5, 1.0])  # scores under these are never kept as peaks
KINDS = ("spike", "level_shift", "spike", "drift", "variance", "flatline", "leak")


class Reading(IntEnum):
    """How the values of a series become the numbers that are judged."""

    VALUE = 0
    RATE = 1  # of a cumulative counter
    ANSWER = 2  # 0 says that there is nothing to measure, like Prometheus' `up`


class Turn(IntEnum):
    """What a sample brought about."""

    NONE, OPENED, RETURNED, SETTLED = 0, 1, 2, 3


# One series: 992 bytes, the first six cache lines of which are all that an ordinary sample touches.
# Numbers of the scale (`algorithms.scale`) unless a unit stands in the name.
SERIES = np.dtype(
    [
        ("last_ms", "i8"),  # newest sample; 0 before the first
        ("onset_ms", "i8"),  # first of the strange samples that the newest belongs to; 0 when it is ordinary
        ("previous", "f8"),  # newest reading of a counter
        ("count", "u4"),  # samples taken in
        ("hour", "i4"),  # hour that is being summed up
        ("interval_s", "f4"),
        ("lag_s", "f4"),  # how long after `last_ms` something came last, by the clocks of all entities
        ("calm_s", "f4"),  # until a trouble of its entity and the aftermath are over, be it of another of its series
        ("offset", "f4"),  # nature: of the logarithmic scale
        ("floor", "f4"),  # nature: least spread
        ("floor_share", "f4"),  # nature: least spread as a share of the value
        ("prior", "f4"),  # nature: spread of a series that has never moved
        ("level", "f4"),
        ("local", "f4"),  # what the last hours added to level and season
        ("spread", "f4"),
        ("active_count", "f4"),  # samples that moved by more than the floor
        ("z_1", "f4"),  # standardised residual of the sample before, and of the one before that
        ("z_2", "f4"),
        ("drift", "f4"),  # running mean of the standardised residuals
        ("hour_sum", "f4"),
        ("hour_count", "f4"),
        ("hour_noise", "f4"),
        ("season_before", "f4"),
        ("season_after", "f4"),
        ("value", "f4"),  # the newest sample as judged, in its unit
        ("predicted", "f4"),
        ("band", "f4"),  # half-width
        ("told", "f4"),  # usual intervals until something can be news again
        ("unease", "f4"),  # highest strangeness of late, fading over an hour of samples
        ("quick", "f4"),  # mean of the last few residuals
        ("step_spread", "f4"),  # of what a residual adds to it
        ("restlessness", "f4"),  # running mean of the steps, in their spread
        ("loudness", "f4"),  # spread of this hour of the day, as a share of the usual
        ("same_value", "f4"),  # the value before, to notice a flat line
        ("repeat_count", "f4"),  # samples that repeated the one before
        ("same_count", "u2"),  # … in a row until now
        ("same_count_top", "u2"),  # … in a row at most
        ("season_hour_of_week", "u2"),  # whose two factors are kept above
        ("scale", "u1"),
        ("reading", "u1"),
        ("family", "u1"),  # series of one family lend each other what they know of tails
        ("episode", "u1"),  # 0, or 1 + the test that opened it
        ("odd_intervals", "u1"),
        ("late_count", "u1"),  # late samples in a row that went on in their own time
        ("ended", "u1"),  # its sender said that it is gone
        ("silent", "u1"),  # reported as silent
        ("hours_seen", "u1"),  # 1 once the season holds anything
        ("leaking", "u1"),  # evidence at which a leak was told that lasts; 0 without one
        ("tail", "f4", (TAIL_COUNT, TAIL_FIELDS)),
        ("weight", "f4"),  # nature: of its part of the budget
        ("repeat", "f4"),  # what its findings of late cost it, as a logarithm
        ("price", "f4", (len(Test),)),  # what its part is multiplied by now, for each test; see `admit`
        ("change_min", "f4"),  # nature: least change that matters, in the unit of the values
        ("change_share_min", "f4"),  # nature: the same as a share of the expected value
        ("first_ms", "i8"),
        ("opened_ms", "i8"),  # when the episode was admitted
        ("leak_odds", "f4"),  # logarithm of the evidence for a trend since it began; its sign says where to
        ("leak_start", "f4"),  # where the trend began
        ("leak_before", "f4"),  # where the hour before ended
        ("leak_hour", "i4"),  # hour of Unix time in which the trend began
        ("late_s", "f4"),  # how far behind `last_ms` the newest of these lay
        ("gap_count", "f4"),  # longer waits than usual, and the sum of their log-excesses
        ("gap_total", "f4"),
        ("episode_count", "f4"),  # findings of late, halved in four weeks
        ("peak_score", "f4"),  # of the episode
        ("peak_value", "f4"),
        ("new_level", "f4"),  # where the episode has taken the series
        ("new_spread", "f4"),
        ("inside_count", "u2"),
        ("outside_count", "u2"),
        ("daily", "f4", (DAY_HOURS,)),
        ("weekly", "u2", (WEEK_HOURS,)),  # bfloat16
        ("leak_usual", "u2"),  # share of bets on a trend that are won, over a half, in parts of 65535
        ("daily_count", "u1", (DAY_HOURS,)),
        ("weekly_counts", "u1", (WEEK_HOURS // 2,)),
        ("real", "u1"),  # 1 while the episode is known as a real trouble
        ("loud", "i1", (DAY_HOURS,)),  # logarithm of the spread of each hour of the day over the usual, in eightieths
    ],
    align=True,
)
CACHE_LINE_BYTES = 64
NO_HOUR = 0xFFFF


def blank_rows(count: int) -> NDArray[np.void]:
    """Rows of nothing, `SERIES, (count,)`, each beginning where a cache line does."""
    room = np.zeros(count * SERIES.itemsize + CACHE_LINE_BYTES, np.uint8)
    start = -room.ctypes.data % CACHE_LINE_BYTES
    rows: NDArray[np.void] = room[start : start + count * SERIES.itemsize].view(SERIES)
    rows["season_hour_of_week"] = NO_HOUR
    rows["price"] = 1.0
    rows["loudness"] = 1.0
    return rows


def heard_ms(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """When something last came of each series, by the clocks of all entities: a slow clock of its own is no silence."""
    return rows["last_ms"] + (1000.0 * rows["lag_s"]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class SeriesName:
    """What a row stands for, in the sender's words."""

    hi: int
    lo: int
    metric: str
    labels: tuple[tuple[str, str], ...]
    type: str
    unit: str
    entity_kind: str
    entity_name: str


@dataclass(frozen=True, slots=True)
class Nature:
    """How a series is to be judged, told from its name, type and unit alone; see `nature.py`."""

    family: int
    reading: Reading
    scale: int
    offset: float
    floor: float
    floor_share: float
    prior: float
    change_min: float
    change_share_min: float
    weight: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What `detect` made of the samples, in columns of length `n`; NaN where a sample was not taken in."""

    value: NDArray[np.float32]  # as judged: of a counter, its rate
    predicted: NDArray[np.float32]  # on the scale of the series
    band: NDArray[np.float32]  # half-width of the band around it, on the scale
    turn: NDArray[np.uint8]  # a `Turn`
    test: NDArray[np.uint8]  # the `Test` that turned
    weekly: NDArray[np.float64]  # where it turned: expected count a week of something as strange
    effect: NDArray[np.float32]  # distance from the expected value, in half-widths of the band
    strangeness: NDArray[
        np.float32
    ]  # -log10 of the calibrated chance that one sample is as strange; two signs of it add up
    unease: NDArray[np.float32]  # the highest strangeness of late, fading by half in fifty samples
    news: NDArray[np.float32]  # strangeness of any test; 0 for a while after something strange
    set_back: NDArray[np.bool_]  # where it was seen that the sender's clock has been set back
    judged_count: int
    late_count: int
    refused_count: int  # not a number, or a counter that is not finite
    reset_count: int
