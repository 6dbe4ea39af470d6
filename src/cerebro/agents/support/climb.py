"""What climbs, step by step, towards a limit of its own: told while there is time.

Memory, descriptors, a disk, a pool of connections: what leaks grows by little at a time, so that no single value is
strange before it is too late. But that one step after another is larger than any before has a chance that can be
counted without knowing how steps are distributed: of n + k steps in any order, the k newest are the k largest once in
C(n + k, k) times. By how much they are larger makes it rarer, as far as a heavy tail lets it (a power of one).

Told is only what has risen by `RISE_MIN` of the limit and at this pace meets it within `AHEAD_S`. How long work waits
in a queue, or a replica lags, has no limit of its own; `LATE_S` is one that few would bear.

Source: the rank argument is that of records, N. Glick, Breaking Records and Breaking Boards, American Mathematical
Monthly 85 (1978), 2-26.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import exp, lgamma, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import WEEK_S, SeriesName, Turn
from cerebro.algorithms.native import native
from cerebro.spine.telemetry import SeriesType

# A share of something that is used up, and is not given back by itself: no processor, and no share of requests.
USED_UP = re.compile(
    r"(memory|heap|file_?desc|fds|handles|connection|pool|session|disk|inode|paging|swap).*"
    r"(:limit_ratio|limit_utili[sz]ation)$|(filesystem|disk|inode|memory|heap|paging|swap)[\w.]*\.utili[sz]ation$"
)
# How far behind somebody is with its work, in seconds: what is put in faster than it is taken out waits ever longer.
BEHIND = re.compile(
    r"oldest_?(\w+_)?message[._]?age|age_?of_?(the_?)?oldest_?message|seconds_behind"
    r"|(consumer|queue|replica(tion)?|wal)(_?group)?(_group)?[._](max_)?(delay|lag|latency|wait)([._]|$)"
)
IN_SECONDS = re.compile(r"[._]seconds([._]|$)")
SECONDS, LATE_S = frozenset({"s", "seconds"}), 60.0
RISE_MIN = 0.08  # of the limit, since the climb began
# One message that is stuck grows older with every step: what lasts is some steps of much, or many.
BEHIND_RISE_MIN, BEHIND_RUN_MIN, BEHIND_RUN_LONG = 0.5, 3, 20
AHEAD_S = 1800.0
STEP_MIN = 0.002  # of the limit: smaller steps are the rounding of whoever sends them
COUNT_MIN = 40.0  # steps seen before
FULL = 1.0
SKIPS_MAX = 1  # steps within a climb that are none: memory that is collected now and then falls
LOST = 2  # steps that do not go up, and the climb is over
NONE = -1


@dataclass(frozen=True, slots=True)
class Climbing:
    """A series that climbs, or does no more.

    Args:
        start: Where the climb began, and `start_ms` when.
        ahead_s: Until the limit is met.
        weekly: Expected count a week of climbs as strange.
    """

    row: int
    turn: Turn
    at_ms: int
    value: float
    start: float
    start_ms: int
    ahead_s: float
    weekly: float


STATE = np.dtype(
    [
        ("last", "f8"), ("last_ms", "i8"), ("top", "f8"), ("count", "f8"), ("run", "i4"), ("peak", "f8"),
        ("start", "f8"), ("start_ms", "i8"), ("odds", "f8"), ("told", "u1"), ("lost", "i4"), ("skips", "i4"),
        ("limit", "f8"),
    ]
)  # fmt: skip


@dataclass(slots=True)
class Climbs:
    """The series of one tenant that have a limit, each with its steps."""

    enrolled: int = 0
    place: NDArray[np.int32] = field(default_factory=lambda: np.full(256, NONE, np.int32))  # by row of the watch
    state: NDArray[np.void] = field(default_factory=lambda: np.zeros(64, STATE))
    count: int = 0

    @property
    def rows(self) -> NDArray[np.int64]:
        """Those that have a limit, of the watch."""
        return np.flatnonzero(self.place != NONE)


def enrol(climbs: Climbs, names: Sequence[SeriesName]) -> None:
    """Look at the rows that are new."""
    if len(names) > len(climbs.place):
        more = np.full(max(len(climbs.place), len(names) - len(climbs.place)), NONE, np.int32)
        climbs.place = np.concatenate([climbs.place, more])
    for row in range(climbs.enrolled, len(names)):
        if limit := _limit_of(names[row]):
            if climbs.count == len(climbs.state):
                climbs.state = np.concatenate([climbs.state, np.zeros(climbs.count, STATE)])
            climbs.state["limit"][climbs.count] = limit
            climbs.place[row] = climbs.count
            climbs.count += 1
    climbs.enrolled = len(names)


def _limit_of(name: SeriesName) -> float:
    """What the series' values are to stay below; 0 for none."""
    if name.type != SeriesType.GAUGE:
        return 0.0
    if USED_UP.search(name.metric):
        return FULL
    metric = name.metric.lower()
    in_seconds = name.unit in SECONDS or IN_SECONDS.search(metric) or "seconds_behind" in metric
    return LATE_S if in_seconds and BEHIND.search(metric) else 0.0


def climbing(
    climbs: Climbs, row: NDArray[np.int32], at_ms: NDArray[np.int64], value: NDArray[np.float64]
) -> Iterator[Climbing]:
    """Take samples in, in the order given; what climbs is asked for with each step, until it is told."""
    mine = np.flatnonzero(climbs.place[row] != NONE)
    if not len(mine):
        return
    place = climbs.place[row[mine]]
    limit = climbs.state["limit"][place]
    turn, weekly, ahead_s = np.zeros(len(mine), np.uint8), np.zeros(len(mine)), np.zeros(len(mine))
    _step(place, at_ms[mine], value[mine] / limit, climbs.state, turn, weekly, ahead_s)
    for k in np.flatnonzero(turn):
        state, at = climbs.state[place[k]], mine[k]
        yield Climbing(
            int(row[at]), Turn(int(turn[k])), int(at_ms[at]), float(value[at]), float(state["start"] * limit[k]),
            int(state["start_ms"]), float(ahead_s[k]), float(weekly[k]),
        )  # fmt: skip


def climbs_left(before: Climbs, names: Sequence[SeriesName], rows: NDArray[np.int64]) -> Climbs:
    """The steps of the series that stay: of each name now, the row that it had before."""
    after = Climbs()
    enrol(after, names)
    for row, former in enumerate(rows[rows < before.enrolled].tolist()):
        if after.place[row] != NONE:
            after.state[after.place[row]] = before.state[before.place[former]]
    return after


def frozen_climbs(climbs: Climbs) -> bytes:
    """The steps of all series, to be kept in a snapshot."""
    return climbs.state[: climbs.count].tobytes()


def thawed_climbs(names: Sequence[SeriesName], body: bytes) -> Climbs:
    """The steps as `frozen_climbs` left them; begun anew where another version wrote them."""
    climbs = Climbs()
    enrol(climbs, names)
    count, rest = divmod(len(body), STATE.itemsize)
    kept = np.zeros(0, STATE) if rest else np.frombuffer(body, STATE)
    if count != climbs.count or not np.array_equal(kept["limit"], climbs.state["limit"][:count]):
        return climbs
    climbs.state[:count] = kept
    return climbs


def note_told(climbs: Climbs, row: int) -> None:
    """The climb of this series is told: its end will be, too."""
    if climbs.place[row] != NONE:
        climbs.state["told"][climbs.place[row]] = 1


@native
def _is_much(s: Any, rise: float) -> bool:
    """Whether the climb is worth a word."""
    if s.limit == FULL:
        return bool(rise >= RISE_MIN)
    long_run = s.run >= BEHIND_RUN_LONG and rise >= RISE_MIN
    return bool(long_run or (s.run >= BEHIND_RUN_MIN and rise >= BEHIND_RISE_MIN))


@native
def _end(s: Any) -> None:
    """What is told of a queue is known of it from then on; a leak is told each time."""
    if s.limit != FULL:
        s.count += s.run + 1.0
        s.top = max(s.top, s.peak)
    s.told = s.lost = s.run = 0


@native
def _step(  # noqa: PLR0917  columns
    place: Any, at_ms: Any, value: Any, state: Any, turn: Any, weekly: Any, ahead_s: Any
) -> None:
    for k in range(len(place)):
        s = state[place[k]]
        v, t = value[k], at_ms[k]
        if not np.isfinite(v) or t <= s.last_ms:
            continue
        before, before_ms = s.last, s.last_ms
        s.last, s.last_ms = v, t
        if before_ms == 0:
            continue
        rise = v - before
        if s.told > 0:
            s.lost = 0 if rise > 0.0 else s.lost + 1
            s.peak = max(s.peak, rise)
            if s.lost >= LOST:
                _end(s)
                turn[k] = 2
            continue
        usual = max(s.top, STEP_MIN)
        if rise <= usual and s.run >= 2 and s.skips < SKIPS_MAX:
            s.skips += 1
            continue
        if rise <= usual:
            s.count += s.run + 1.0
            s.top = max(s.top, s.peak if s.run > 0 else rise)
            s.run = 0
            continue
        if s.run == 0:
            s.start, s.start_ms, s.odds, s.peak, s.skips = before, before_ms, 0.0, 0.0, 0
        s.run += 1
        s.odds += log(rise / usual)
        s.peak = max(s.peak, rise)
        if v <= s.start:
            continue
        ahead_s[k] = max(FULL - v, 0.0) / (v - s.start) * (t - s.start_ms) / 1000.0
        if s.count >= COUNT_MIN and _is_much(s, v - s.start) and ahead_s[k] <= AHEAD_S:
            ways = lgamma(s.count + s.run + 1.0) - lgamma(s.count + 1.0) - lgamma(s.run + 1.0)
            places = 1.0 + s.run if s.skips > 0 else 1.0  # where the step that is none may stand
            weekly[k] = WEEK_S / max((t - before_ms) / 1000.0, 0.01) * places * exp(-ways - s.odds)
            turn[k] = 1
