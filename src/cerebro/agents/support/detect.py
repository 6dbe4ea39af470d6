"""Judge samples against what their series usually do. One pass, in columns, O(1) a sample.

A sample is expected at *level + season + local*: a slow robust mean, the profile of the hour and of the weekday,
and what the last two hundred samples have added to both. Its residual, divided by the robust spread, is asked three
questions (`Test`); each answer's rarity comes from the tail that the same question left behind on this very series,
and a rarity that its part of the noise budget admits opens an episode. Nothing is learned during an episode, so that
the trouble does not become the usual; it ends when the series is back in its band for a while, or
has stayed away so long that this is its new usual self.

Sources: the tests are a Shewhart chart with a runs rule and an EWMA chart (Western Electric, Statistical Quality
Control Handbook, 1956; S. W. Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1 (1959),
239-250), but with limits from `algorithms.tails` instead of those of the normal distribution. A leak, which level and
local follow, is told by a bet that each hour ends on the side of the one before where those before it did: without a
trend that is the coin that the series has thrown so far, so the stake multiplies by e-values, and starting anew when
all is lost, M is reached at most once in M hours (J. Shin, A. Ramdas and A. Rinaldo, E-detectors, New England J. Stat.
Data Sci. 2 (2024), 229-260).
"""

from math import exp, isfinite, log, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import (
    CACHE_LINE_BYTES,
    NO_HOUR,
    SHARES,
    TAIL_COUNT,
    TEST_COUNT,
    THRESHOLDS_MIN,
    WEEK_S,
    Judged,
    Reading,
    Test,
    Turn,
)
from cerebro.agents.support.nature import BYTES, FAULTS, PERCENT, SECONDS, SHARE
from cerebro.algorithms.counters import rate
from cerebro.algorithms.native import native, prefetch
from cerebro.algorithms.robust import MAD_TO_SIGMA, clipped, spread, step
from cerebro.algorithms.scale import VALUE_MAX, backward, forward
from cerebro.algorithms.season import DAY_HOURS, HOUR_MS, WEEK_HOURS, factor, hour_number, learn_hour
from cerebro.algorithms.tails import (
    COUNT,
    PEAK,
    QUIET,
    RATE,
    RUN,
    THRESHOLD,
    TOP,
    TOTAL,
    chance_beyond,
    learn,
    paces,
    rate_beyond,
    teach,
)

LEAST_OVER = np.array([2.0, 2.0, 2.0, 2.0, 1.5])  # thresholds that a score must reach to be asked of the budget
LOCAL_MEMORY = 200.0  # samples
SPREAD_MEMORY = 1500.0
LEVEL_MEMORY_S = 2 * 86_400.0
LEVEL_MEMORY_MIN = 500.0
RESIDUAL_BOUND = 3.0  # spreads that one sample may move level and local by
SPREAD_BOUND = 10.0
SCORE_MAX = 1e5
UNEASY = 12  # first samples of a series, which tell of its sender's start: forgotten once they are over
SETTLING = 24  # samples before residuals mean anything
UNDECIDED = 3  # strange samples in a row after which they are learned, should no test have spoken
DRIFT_WEIGHT = 0.1
DRIFT_BOUND = 10.0
PRIOR_ACTIVE = 8.0  # moves after which the prior spread counts for half
CALM = 2.5  # standardised residuals under this are ordinary
BAND_MIN = 3.0  # half-width of the band, in spreads
BAND_SHARE = 1.2  # … and in thresholds of the spike test
HOLD_S, HOLD_MIN, HOLD_MAX = 40.0, 3.0, 8.0  # samples that must lie inside before an episode ends
SETTLED_MS = 2 * 3_600_000
SETTLED_COUNT = 60
GAP = 3.0  # intervals without a sample that count as a gap
GAP_NOTED = 1.5
SET_BACK_COUNT = 12  # late samples in a row, each an interval after the other: the clock was set back
EPISODE_KEEP = 0.5 ** (1 / 672)  # an hour: half in four weeks
TOP_KEEP = 0.5 ** (1 / 96)  # an hour: half in four days
QUICK_WEIGHT = 0.5  # 0.2 … 0.8 differ little
STEP_SHARE = 0.3  # of the spread: steps are never judged by less
RESTLESS_WEIGHT, RESTLESS_BOUND = 0.05, 6.0
LOUD_SHARE = 0.5  # how far the spread of an hour of the day is believed
LOUD_UNIT, LOUD_MAX, LOUD_DAYS = 80.0, 1.5, 10.0
FLAT_MIN = 10  # samples of one value before they are remarkable at all
FLAT_YOUNG = 200  # samples before it is known how often a series repeats itself
FLAT_SHARE_MAX = 0.1  # a series that repeats itself more often may stand still
FLAT_CHANCE = 0.5  # that a value is repeated by a sender that caches
UNEASE_MEMORY = 66.0  # usual intervals; a longer wait fades more
SECOND_SHARE = 0.1  # 0.1 … 0.3 differ little
NEWS_MIN = 3.2  # strangeness from which the next is no news for a while
NEWS_REST = 120.0  # usual intervals; 80 … 150 differ little
RARITY_MIN = 1e-30
LEAK_SAMPLES = 6.0  # an hour must hold, so that its end is a point of it
LEAK_MEMORY = 336.0  # bets, of an hour each
LEAK_ODDS_MIN, LEAK_ODDS_MAX = 1e-6, 30.0  # the cap, so that a trend that stops is soon known to have
LEAK_KEPT = 0.7  # of the evidence at which it was told: with less it stands still, or goes back
LEAK_HORIZON_H = 14 * 24.0
STRETCH = 3  # samples that a shift is told from
UNDER = 1.2  # strangeness just under the threshold of a tail, over which clusters are rarer than that
AHEAD = 8  # samples; 4 … 16 differ little
HOT_LINES = 6
LATE, REFUSED, RESET, JUDGED = range(4)

_SPIKE, _SHIFT, _DRIFT = int(Test.SPIKE), int(Test.SHIFT), int(Test.DRIFT)
_JUMP, _VARIANCE, _FLATLINE, _LEAK = int(Test.JUMP), int(Test.VARIANCE), int(Test.FLATLINE), int(Test.LEAK)
_OPENED, _RETURNED, _SETTLED = int(Turn.OPENED), int(Turn.RETURNED), int(Turn.SETTLED)
_VALUE, _RATE, _ANSWER = int(Reading.VALUE), int(Reading.RATE), int(Reading.ANSWER)


def detect(
    rows: NDArray[np.void],
    row: NDArray[np.int32],
    at_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    *,
    unit: float,
    priors: NDArray[np.float64],
    warmup_count: int,
    wall_ms: NDArray[np.int64] | None = None,
    reached_ms: int = 0,
) -> Judged:
    """Take samples in, in the order given, and say what they turned. Changes `rows` in place.

    Args:
        rows: `SERIES, (series,)`.
        row: The series of each sample, int32, (n,); each series' samples must come in time order.
        at_ms: Unix time, int64, (n,).
        value: As received, float64, (n,); NaN ends a counter's run and is counted.
        unit: Expected false findings a week that a series of weight 1 may cause now.
        priors: Mean log-excess of each family's peaks, float64, (family, test).
        warmup_count: Samples a series must have shown before it is judged.
        wall_ms: What the calendar and the clock on the wall say, int64, (n,), as of `outlook.wall_ms`; UTC if none.
        reached_ms: The hour that the clocks of all entities have reached: who lags behind it is not silent for that.
    """
    n = len(row)
    judged, predicted, band, effect, strangeness, unease, news = (np.full(n, np.nan, np.float32) for _ in range(7))
    turn, test, weekly = np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.zeros(n)
    set_back, counts = np.zeros(n, np.bool_), np.zeros(4, np.int64)
    _detect(
        rows, rows.ctypes.data, rows.itemsize, row, at_ms, value, at_ms if wall_ms is None else wall_ms,
        unit, priors, warmup_count, reached_ms,
        judged, predicted, band, effect, turn, test, weekly, strangeness, unease,
        news, set_back, counts,
    )  # fmt: skip
    return Judged(
        judged, predicted, band, turn, test, weekly, effect, strangeness, unease, news, set_back,
        int(counts[JUDGED]), int(counts[LATE]), int(counts[REFUSED]), int(counts[RESET]),
    )  # fmt: skip


@native
def _detect(  # noqa: PLR0912, PLR0915, PLR0917  one loop over columns; its parts are the functions below
    rows: Any, first_row: int, row_bytes: int, row: Any, at_ms: Any, value: Any, wall_ms: Any,
    unit: float, priors: Any, warmup_count: int, reached_ms: int,
    judged: Any, predicted: Any, band: Any, effect: Any, turn: Any, test: Any, weekly: Any, strangeness: Any,
    unease: Any, news: Any, set_back: Any, counts: Any,
) -> None:  # fmt: skip
    scores = np.zeros(TEST_COUNT)
    for k in range(len(row)):
        if k + AHEAD < len(row):  # rows lie scattered in memory: asking early halves the time of a sample
            place = first_row + row[k + AHEAD] * row_bytes
            for line in range(HOT_LINES):
                prefetch(place + line * CACHE_LINE_BYTES)
        s = rows[row[k]]
        t = at_ms[k]
        reading = value[k]
        if np.isnan(reading):
            counts[REFUSED] += 1
            s.ended = 1
            continue
        if s.reading == _ANSWER and reading == 0.0:
            continue
        if t <= s.last_ms:
            counts[LATE] += 1
            s.lag_s = max(s.lag_s, (reached_ms - s.last_ms) / 1000.0)
            set_back[k] = _is_set_back(s, t, reading)
            continue
        s.late_count = 0
        s.lag_s = max(0.0, (reached_ms - t) / 1000.0)
        elapsed_s = _arrive(s, t)
        s.calm_s = max(0.0, s.calm_s - elapsed_s)
        number = _read(s, reading, elapsed_s, counts)
        if not isfinite(number):
            continue
        number = clipped(number, VALUE_MAX)
        y = forward(number, s.scale, s.offset)
        s.count += 1
        if s.count == 1 or s.count == UNEASY + 1:
            s.level = y
            s.local = s.spread = s.active_count = 0.0
        if s.interval_s > 0.0 and elapsed_s > GAP * s.interval_s:
            s.local *= exp(-elapsed_s / s.interval_s / LOCAL_MEMORY)
            s.z_1 = s.z_2 = s.drift = 0.0
        season = _season(s, wall_ms[k])
        middle = s.level + season + s.local
        residual = y - middle
        floor = s.floor + s.floor_share * abs(middle)
        width = _width(s, floor, middle, y)
        _note_repeat(s, number)
        z = clipped(residual / width, SCORE_MAX)
        reach = max(BAND_MIN, BAND_SHARE * s.tail[_SPIKE, THRESHOLD]) * width
        _score(s, z, scores)
        _score_step(s, residual, width, scores)

        s.value, s.predicted, s.band = number, middle, reach
        judged[k], predicted[k], band[k] = number, middle, reach
        if s.count >= warmup_count:
            strange, stretch = _strangeness(s, scores, priors), _strange_stretch(s, scores, priors)
            s.unease = max(s.unease / (1.0 + elapsed_s / (UNEASE_MEMORY * max(s.interval_s, 0.01))), strange)
            strangeness[k], unease[k], news[k] = strange, s.unease, _news(s, max(strange, stretch), elapsed_s)
        if abs(z) < CALM:
            s.onset_ms = 0
        elif s.onset_ms == 0:
            s.onset_ms = t

        if s.episode > 0:
            test[k] = s.episode - 1
            effect[k] = abs(residual) / reach
            inside = s.same_count == 0 if s.episode - 1 == _FLATLINE else abs(residual) <= reach
            turn[k] = _follow(s, t, y - season, number, inside, scores)
            continue
        if s.count > SETTLING:
            chosen, rarity = _weigh(s, scores, priors, unit)
            if s.count >= warmup_count:
                counts[JUDGED] += 1
                if chosen >= 0 and (chosen > _VARIANCE or _matters(s, number, middle, chosen)):
                    _open(s, t, y - season, number, scores[chosen], chosen)
                    turn[k], test[k], weekly[k] = _OPENED, chosen, rarity
                    effect[k] = abs(residual) / reach
                    continue
            if s.calm_s == 0.0:
                _learn_tails(s, scores)
            else:
                _drop_clusters(s)
            if _undecided(s, t, z) or _of_the_trouble(s, t, z):
                continue
        if _learn(s, wall_ms[k], y, season, residual, width, floor) and s.count >= warmup_count:
            leak, rarity = _follow_leak(s, t, number, unit)
            if leak > 0:
                turn[k], test[k], weekly[k] = leak, _LEAK, rarity
                effect[k] = abs(s.leak_before - s.leak_start) / reach


@native
def _undecided(s: Any, t: int, z: float) -> bool:
    """Whether the sample may be the beginning of an episode: it must not yet widen the spread it is judged by."""
    return bool(abs(z) >= BAND_MIN and t - s.onset_ms < (UNDECIDED - 0.5) * 1000.0 * s.interval_s)


@native
def _of_the_trouble(s: Any, t: int, z: float) -> bool:
    """Whether the sample is strange in a trouble of its entity or its aftermath: that is learned by none of its series.

    What stays so for as long as an episode may last is the new normal.
    """
    return bool(s.calm_s > 0.0 and abs(z) >= CALM and t - s.onset_ms < SETTLED_MS)


@native
def _matters(s: Any, number: float, middle: float, chosen: int) -> bool:
    """Whether the change is large enough to be of practical significance; of a variance, the steps of late."""
    expected = backward(middle, s.scale, s.offset)
    if chosen == _VARIANCE:
        number = backward(middle + s.restlessness * s.step_spread, s.scale, s.offset)
    return bool(abs(number - expected) >= max(s.change_min, s.change_share_min * abs(expected)))


@native
def _arrive(s: Any, t: int) -> float:
    """Note the arrival; answers the seconds since the sample before, 0 for the first."""
    before = s.last_ms
    s.last_ms = t
    s.ended = 0
    if before == 0:
        s.first_ms = t
        return 0.0
    elapsed_s: float = (t - before) / 1000.0
    if s.interval_s == 0.0:
        s.interval_s = elapsed_s
        return elapsed_s
    ratio = elapsed_s / s.interval_s
    if ratio > GAP or ratio < 1.0 / GAP:
        s.odd_intervals += 1
        if s.odd_intervals >= 5:  # not a gap: its sender was told another interval
            s.interval_s = elapsed_s
            s.odd_intervals = 0
            s.gap_count = s.gap_total = 0.0
            return elapsed_s
    else:
        s.odd_intervals = 0
        s.interval_s += max(0.05, 1.0 / (s.count + 1.0)) * (elapsed_s - s.interval_s)
    if ratio > GAP_NOTED:
        s.gap_count += 1.0
        s.gap_total += log(ratio / GAP_NOTED)
    return elapsed_s


@native
def _is_set_back(s: Any, t: int, reading: float) -> bool:
    """Whether late samples have gone on in their own time for so long that the clock was set back; if so, go on there.

    A backlog that comes again after what is new looks the same: so much of it is judged twice.
    """
    behind_s = (s.last_ms - t) / 1000.0
    waited_s = s.late_s - behind_s
    went_on = s.late_count > 0 and s.interval_s / GAP <= waited_s <= GAP * s.interval_s
    s.late_count = s.late_count + 1 if went_on else 1
    s.late_s = behind_s
    if s.late_count < SET_BACK_COUNT or not isfinite(reading):
        return False
    s.lag_s += behind_s
    s.late_count = 0
    s.last_ms, s.previous = t, reading
    s.first_ms, s.opened_ms, s.onset_ms = min(s.first_ms, t), min(s.opened_ms, t), min(s.onset_ms, t)
    s.z_1 = s.z_2 = s.drift = 0.0
    return True


@native
def _read(s: Any, reading: float, elapsed_s: float, counts: Any) -> float:
    """The number to judge; NaN when this reading gives none."""
    if s.reading != _RATE:
        return reading if isfinite(reading) else float(np.sign(reading)) * VALUE_MAX
    if not isfinite(reading):
        counts[REFUSED] += 1
        return np.nan
    before = s.previous
    s.previous = reading
    if elapsed_s == 0.0:
        return np.nan
    number = rate(before, reading, elapsed_s)
    if np.isnan(number):
        counts[RESET] += 1
        s.z_1 = s.z_2 = s.drift = 0.0
    return number


@native
def _season(s: Any, local_ms: int) -> float:
    """What the profile adds now: between the middles of two hours a straight line, whose ends are kept in the row."""
    if s.hours_seen == 0:
        return 0.0
    shifted = local_ms - HOUR_MS // 2
    hour = hour_number(shifted)
    if hour % WEEK_HOURS != s.season_hour_of_week:
        s.season_hour_of_week = hour % WEEK_HOURS
        s.season_before = factor(s.daily, s.daily_count, s.weekly, s.weekly_counts, hour)
        s.season_after = factor(s.daily, s.daily_count, s.weekly, s.weekly_counts, hour + 1)
    share: float = (shifted % HOUR_MS) / HOUR_MS
    return s.season_before + share * (s.season_after - s.season_before)  # type: ignore[no-any-return]


@native
def _width(s: Any, floor: float, predicted: float, y: float) -> float:
    """The spread to divide by: as seen, but not under the floor, nor under the prior while little has moved."""
    prior = s.prior
    if s.floor_share > 0.0:
        prior *= max(abs(predicted), abs(y))
    unknown = PRIOR_ACTIVE / (PRIOR_ACTIVE + s.active_count)
    width: float = max(s.spread * s.loudness, floor, prior * unknown, 1e-12)
    return width


@native
def _score(s: Any, z: float, scores: Any) -> None:
    """Answer the three questions, and move their memories on."""
    s.drift += DRIFT_WEIGHT * (clipped(z, DRIFT_BOUND) - s.drift)
    side = 1.0 if z > 0.0 else -1.0
    scores[_SPIKE] = abs(z)
    scores[_SHIFT] = max(0.0, min(z * side, s.z_1 * side, s.z_2 * side))
    scores[_DRIFT] = abs(s.drift)
    s.z_2 = s.z_1
    s.z_1 = z


@native
def _score_step(s: Any, residual: float, width: float, scores: Any) -> None:
    """The same for the step that the sample makes from the few before it."""
    taken = residual - s.quick
    usual = max(s.step_spread, STEP_SHARE * width)
    size = abs(taken) / usual
    scores[_JUMP] = min(size, SCORE_MAX)
    s.restlessness += RESTLESS_WEIGHT * (min(size, RESTLESS_BOUND) - s.restlessness)
    scores[_VARIANCE] = s.restlessness
    scores[_FLATLINE] = float(s.same_count)
    s.quick += QUICK_WEIGHT * clipped(taken, DRIFT_BOUND * width)
    if s.episode == 0:
        s.step_spread = spread(s.step_spread, taken, step(float(s.count), SPREAD_MEMORY), SPREAD_BOUND)


@native
def _note_repeat(s: Any, number: float) -> None:
    """Count how often, and how often in a row, the series repeats itself."""
    if np.float32(number) != s.same_value:
        if s.episode == 0:
            s.same_count_top = max(int(s.same_count_top), int(s.same_count))
        s.same_value = number
        s.same_count = 0
        return
    s.same_count = min(int(s.same_count) + 1, 60_000)
    if s.episode == 0:
        s.repeat_count += 1.0


@native
def _flat_rate(s: Any) -> float:
    """Expected runs a sample that are as long as this one, of a series that hardly ever repeats itself."""
    moving = s.count - s.same_count
    if s.same_count < max(FLAT_MIN, 2 * int(s.same_count_top)) or moving < FLAT_YOUNG:
        return 1.0
    if s.repeat_count - s.same_count > FLAT_SHARE_MAX * moving:
        return 1.0
    expected: float = FLAT_CHANCE ** float(s.same_count)
    return max(expected, RARITY_MIN)


@native
def _weigh(s: Any, scores: Any, priors: Any, unit: float) -> Any:
    """The test whose answer the budget admits with most to spare, or -1; and its expected count a week."""
    chosen, rarity, least = -1, 0.0, 1.0
    a_week = WEEK_S / max(s.interval_s, 0.01)
    if s.same_count >= FLAT_MIN:
        count = _flat_rate(s) * a_week
        if s.same_count_top >= FLAT_MIN:  # it has stood still before, so that is no rarer than once in what was watched
            count = max(count, a_week / s.count)
        share = count / (unit * s.weight * s.price[_FLATLINE] * SHARES[_FLATLINE])
        if share < least:
            chosen, rarity, least = _FLATLINE, count, share
    for j in range(TAIL_COUNT):
        tail = s.tail[j]
        if scores[j] <= LEAST_OVER[j] * tail[THRESHOLD]:
            continue
        excess = log(scores[j] / tail[THRESHOLD])
        prior = priors[s.family, j] if j != _JUMP else max(priors[s.family, _SPIKE], priors[s.family, j])
        count = rate_beyond(tail, excess, prior) * a_week
        if excess <= tail[TOP]:  # as strange has been seen, so it is no rarer than once in what was watched
            count = max(count, a_week / s.count)
        if j == _SHIFT:
            count = max(count, _by_chance(s, scores[j], priors) * a_week)
        share = count / (unit * s.weight * s.price[j] * SHARES[j])
        if share < least:
            chosen, rarity, least = j, count, share
    return chosen, rarity


@native
def _by_chance(s: Any, score: float, priors: Any) -> float:
    """Chance of a stretch as strange if its samples had nothing to do with each other: it is no rarer than that.

    A series that is mostly 0 and 1 now and then has three in a row sooner or later, though it never had them yet. Of
    what it has shown before its own peaks tell best: they may all be alike.

    Source: the runs rules are derived so (Western Electric, Statistical Quality Control Handbook, 1956).
    """
    tail = s.tail[_SPIKE]
    excess = max(0.0, log(score / tail[THRESHOLD]))
    single = rate_beyond(tail, excess, priors[s.family, _SPIKE])
    if excess <= tail[TOP] and tail[COUNT] > 0.0:
        single = max(single, tail[RATE] * chance_beyond(excess, tail[COUNT], tail[TOTAL]))
    return float(single**STRETCH)


@native
def _strangeness(s: Any, scores: Any, priors: Any) -> float:
    """-log10 of the chance, at one sample, of an answer as strange as this sample's own.

    Far from where it should be and far from the samples before it are two signs of one trouble: where both are seen,
    the lesser one adds to the greater.
    """
    spike, jump = _answer(s, scores, priors, _SPIKE), _answer(s, scores, priors, _JUMP)
    strangest: float = max(spike, jump) + SECOND_SHARE * min(spike, jump)
    if s.same_count >= FLAT_MIN:  # nothing is called rarer than what has been watched can tell
        strangest = max(strangest, -log10(max(_flat_rate(s), 0.1 / s.count)))
    return strangest


@native
def _strange_stretch(s: Any, scores: Any, priors: Any) -> float:
    """The same of what is asked of a stretch: of the last three samples, and of longer ones."""
    return max(
        _answer(s, scores, priors, _SHIFT), _answer(s, scores, priors, _DRIFT), _answer(s, scores, priors, _VARIANCE)
    )


@native
def _answer(s: Any, scores: Any, priors: Any, j: int) -> float:
    """-log10 of the chance of one test's answer."""
    tail = s.tail[j]
    if scores[j] <= tail[THRESHOLD]:  # under the threshold the chance falls from 1 to that of a cluster
        return float(UNDER * scores[j] / tail[THRESHOLD])
    excess = log(scores[j] / tail[THRESHOLD])
    return -log10(max(rate_beyond(tail, excess, priors[s.family, j]), RARITY_MIN))


@native
def _news(s: Any, strangeness: float, elapsed_s: float) -> float:
    """The strangeness, or nothing when it is told already: a change is news once, however long it lasts.

    Source: the rest after an alarm is that of V. Ishimtsev et al., Conformal k-NN Anomaly Detector for Univariate Data
    Streams, COPA 2017, 213-227.
    """
    s.told = max(s.told - elapsed_s / max(s.interval_s, 0.01), 0.0)
    if s.told > 0.0:
        return 0.0
    if strangeness >= NEWS_MIN:
        s.told = NEWS_REST
    return strangeness


@native
def _learn_tails(s: Any, scores: Any) -> None:
    seen = float(s.count - SETTLING)
    weight, gain = paces(seen)
    for j in range(TAIL_COUNT):
        tail = s.tail[j]
        excess = log(scores[j] / tail[THRESHOLD]) if scores[j] > tail[THRESHOLD] else -1.0
        learn(tail, excess, weight, gain, THRESHOLDS_MIN[j])


@native
def _learn(  # noqa: PLR0917
    s: Any, local_ms: int, y: float, season: float, residual: float, width: float, floor: float
) -> bool:
    """Let an ordinary sample move level, season, local and spread; answers whether a full hour has ended."""
    hour = hour_number(local_ms)
    bet = False
    if hour != s.hour:
        bet = s.hour_count >= LEAK_SAMPLES
        _turn_hour(s, local_ms, hour)
    bound = RESIDUAL_BOUND * width if s.count > SETTLING else 1e38
    memory = max(LEVEL_MEMORY_S / max(s.interval_s, 1.0), LEVEL_MEMORY_MIN)
    deviation = y - s.level
    s.hour_sum += clipped(deviation, 20.0 * width + abs(season))
    s.hour_count += 1.0
    s.hour_noise += min(abs(residual), SPREAD_BOUND * width)
    seen = float(s.count if s.count <= UNEASY else s.count - UNEASY)
    moved = step(seen, memory) * clipped(deviation - season, bound)
    s.level += moved
    s.local += clipped(residual - moved, bound) / LOCAL_MEMORY
    if seen > 1.0:
        s.spread = spread(s.spread, residual, step(seen - 1.0, SPREAD_MEMORY), SPREAD_BOUND)
        if abs(residual) > floor:
            s.active_count += 1.0
    return bet


@native
def _bet(s: Any, middle: float, season_step: float) -> None:
    """Stake on the next hour going the way of those before; `middle` is where the hour ended.

    It is won only if the hour went there both as it was and without the step of the season: a season that a walk
    only seems to have leans to one side. What is won and lost is fair for a series that goes on as often as this one
    usually does: many go the same way for hours, and that is no trend.
    """
    taken = middle - s.leak_before
    if taken == 0.0:
        return
    up = 1.0 if taken > 0.0 else -1.0
    side = 1.0 if s.leak_odds > 0.0 else -1.0
    won = 1.0 if up == side and (taken - season_step) * side > 0.0 else 0.0
    usual = 0.5 + 0.5 * s.leak_usual / 65535.0
    odds = abs(s.leak_odds) + log(max(1.0 + won - usual, 1e-9))
    s.leak_usual = round(max(usual + (won - usual) / LEAK_MEMORY - 0.5, 0.0) * 2.0 * 65535.0)
    if s.leak_odds == 0.0 or odds <= 0.0 or (middle - s.leak_start) * side <= 0.0:  # all lost, or back: begin anew
        s.leak_odds = up * LEAK_ODDS_MIN
        s.leak_start = s.leak_before
        s.leak_hour = s.last_ms // HOUR_MS - 1
    else:
        s.leak_odds = side * min(odds, LEAK_ODDS_MAX)


@native
def _follow_leak(s: Any, t: int, number: float, unit: float) -> Any:
    """Whether a leak is to be told now, or the one told has ended; and its expected count a week."""
    odds = abs(s.leak_odds)
    if s.leaking > 0:
        if odds > LEAK_KEPT * s.leaking:
            return 0, 0.0
        s.leaking = 0
        return (_RETURNED if odds <= LEAK_ODDS_MIN else _SETTLED), 0.0
    rarity = exp(-odds) * WEEK_S * 1000.0 / HOUR_MS
    if rarity >= unit * s.weight * s.price[_LEAK] * SHARES[_LEAK]:
        return 0, 0.0
    start, hours = backward(s.leak_start, s.scale, s.offset), float(t // HOUR_MS - s.leak_hour)
    if not _ends_soon(s, start, number, hours) or abs(number - start) < max(
        s.change_min, s.change_share_min * abs(start)
    ):
        return 0, 0.0
    s.leaking = max(1, int(odds))
    return _OPENED, rarity


@native
def _ends_soon(s: Any, start: float, now: float, hours: float) -> bool:
    """Whether at this rate the bound of its nature is met within two weeks; or it doubles, where it has none above."""
    kind, grown = s.family // 2, now - start
    if s.reading != _VALUE or kind in (SECONDS, FAULTS) or hours <= 0.0 or grown * s.leak_odds <= 0.0:
        return False
    ahead = abs(grown) / hours * LEAK_HORIZON_H
    if grown < 0.0:  # used up, where nothing is left to be had under 0
        return bool(kind in (SHARE, PERCENT, BYTES) and now > 0.0 and now <= ahead)
    if kind in (SHARE, PERCENT):
        whole = s.offset * (100.0 if kind == PERCENT else 1.0)
        return bool(now < whole <= now + ahead)
    return bool(start > 0.0 and ahead >= start)


@native
def _turn_hour(s: Any, local_ms: int, hour: int) -> None:
    """Fold the hour that has ended into the season, and begin the new one."""
    before = _season(s, local_ms)
    ended = s.level + before + s.local + s.quick
    if s.hour_count >= LEAK_SAMPLES and s.hours_seen > 0:
        after = factor(s.daily, s.daily_count, s.weekly, s.weekly_counts, hour)
        _bet(s, ended, 0.5 * (after - factor(s.daily, s.daily_count, s.weekly, s.weekly_counts, hour - 2)))
    s.leak_before = ended
    if s.hour_count * s.interval_s > 0.25 * HOUR_MS / 1000.0:
        _learn_loudness(s)
        learn_hour(s.daily, s.daily_count, s.weekly, s.weekly_counts, s.hour, s.hour_sum / s.hour_count)
        s.hours_seen = 1
        s.season_hour_of_week = NO_HOUR
        s.local -= _season(s, local_ms) - before  # what the season now knows, the local part need not say again
    s.hour = hour
    s.hour_sum = s.hour_count = s.hour_noise = 0.0
    s.loudness = exp(LOUD_SHARE * s.loud[hour % DAY_HOURS] / LOUD_UNIT)
    s.episode_count *= EPISODE_KEEP
    for j in range(TAIL_COUNT):
        s.tail[j, TOP] *= TOP_KEEP


@native
def _learn_loudness(s: Any) -> None:
    """Fold in how large the residuals of the hour that has ended were, beside the usual spread."""
    if s.spread <= 0.0 or s.hour_noise <= 0.0:
        return
    day = s.hour % DAY_HOURS
    found = clipped(log(s.hour_noise / s.hour_count * MAD_TO_SIGMA / s.spread), LOUD_MAX)
    before = s.loud[day] / LOUD_UNIT
    weight = 1.0 / (min(float(s.daily_count[day]), LOUD_DAYS) + 2.0)
    s.loud[day] = round((before + weight * (found - before)) * LOUD_UNIT)


@native
def _open(  # noqa: PLR0917
    s: Any, t: int, level: float, number: float, score: float, chosen: int
) -> None:
    s.episode = chosen + 1
    s.real = 0
    s.opened_ms = t
    if s.onset_ms == 0:
        s.onset_ms = t
    s.peak_score = score
    s.peak_value = number
    s.new_level = level
    s.new_spread = 0.0
    s.inside_count = 0
    s.outside_count = 1
    _drop_clusters(s)


@native
def _drop_clusters(s: Any) -> None:
    """Forget the clusters in the making: they belong to the episode, or to the trouble of the entity."""
    for j in range(TAIL_COUNT):
        s.tail[j, PEAK] = 0.0
        s.tail[j, QUIET] = RUN


@native
def _follow(  # noqa: PLR0917
    s: Any, t: int, level: float, number: float, inside: bool, scores: Any
) -> int:
    """One more sample of an episode; says whether it has ended."""
    chosen = s.episode - 1
    if scores[chosen] > s.peak_score:
        s.peak_score = scores[chosen]
        s.peak_value = number
    if inside:
        s.inside_count += 1
    else:
        s.inside_count = max(0, int(s.inside_count) - 2)
        s.outside_count = min(int(s.outside_count) + 1, 60_000)
    away = level - s.new_level
    s.new_level += 0.05 * away
    s.new_spread += 0.05 * (abs(away) - s.new_spread)
    if s.inside_count >= min(max(HOLD_S / max(s.interval_s, 0.1), HOLD_MIN), HOLD_MAX):
        _end(s)
        return _RETURNED
    if t - s.opened_ms >= SETTLED_MS and s.outside_count >= SETTLED_COUNT:
        s.local = s.new_level - s.level
        s.spread = max(s.spread, s.new_spread)
        _end(s)
        return _SETTLED
    return 0


@native
def _end(s: Any) -> None:
    """Close the episode. The first of late teaches its tail little, the second all; the third is the series' nature.

    One that is known as a real trouble teaches nothing.
    """
    is_real = s.real > 0
    s.real = 0
    s.z_1 = s.z_2 = s.drift = 0.0
    if not is_real:
        s.episode_count += 1.0
        if s.episode - 1 == _FLATLINE:
            s.same_count_top = max(int(s.same_count_top), int(s.peak_score))
        else:
            tail = s.tail[s.episode - 1]
            peak = log(max(s.peak_score / tail[THRESHOLD], 1.0))
            teach(tail, peak, s.episode_count)
    s.episode = 0
    s.onset_ms = 0
