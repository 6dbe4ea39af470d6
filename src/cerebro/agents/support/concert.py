"""Several measures of one thing that leave their bands in the same moment, each by what matters.

One series of a young system has hardly a past, so only the gigantic can be told of it. But that the queue's depth, what
is taken from it, what its worker asks of the store and the worker's processor all leave their bands within one interval
hardly ever happens by chance, however young they are. So each entity has a score of the moment: its measures'
distances, in half-widths of their bands, as logarithms, added up *but for the furthest*, which alone would be a finding
of its own series. A measure is all series of one metric name, with whatever labels, and counts with its furthest one;
one that has moved by less than matters in practice (`nature`) counts nothing.

For a tail of the Pareto kind the logarithm of a distance is an exponential, so the sum is Fisher's combination of tail
chances. It is not compared with the distribution that independence would give, but with its own past peaks on all
entities of the tenant: an entity's tail is its own, and begins with what the others lend it.

Sources: R. A. Fisher, Statistical Methods for Research Workers (1932), section 21.1 (the combination); D. V. Zaykin et
al., Truncated Product Method for Combining P-Values, Genetic Epidemiology 22 (2002), 170-185 (only those beyond a
point count).
"""

from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import SeriesName, Turn
from cerebro.agents.support.nature import DETAIL_KINDS
from cerebro.agents.support.together import (
    AWAY_MS,
    CALIBRATED,
    CALM_ROUNDS,
    ENTITIES_MAX,
    WEEK_S,
    Strange,
    begin_episode,
    begun,
)
from cerebro.algorithms.native import native
from cerebro.algorithms.scale import backward
from cerebro.algorithms.tails import (
    COUNT,
    PRIOR_EXCESS,
    RATE,
    THRESHOLD,
    TOP,
    TOTAL,
    learn,
    paces,
    rate_beyond,
    teach,
)

MEASURES_MIN = 3  # of an entity: with two there is nothing beside the furthest but one
LOUDNESS_MAX = log(10.0)  # that one measure counts at most: what is told takes several
NEWEST_SHARE = 1.5  # of a round, within which measures belong together
READY_ROUNDS = 60  # of an entity
RATE_FIRST = 0.005  # clusters a round of an entity nobody knows
LEND_COUNT = 50.0  # peaks that the general prior weighs beside those of the tenant
LENT_MIN, LENT_MAX = 0.2, 2.0
SUFFIXES = ("_bucket", "_sum", "_count", "_total", ":mean", ":error_ratio", ":unserved_ratio", ":shift_ratio")

HEARD = np.dtype(
    [
        *CALIBRATED,
        ("level", "f4"),  # of the round in the making
        ("head", "i4"),  # its newest measure, from which the list begins
        ("measures", "u4"),
        ("count", "u4"),  # rounds
    ],
    align=True,
)
ROUND = np.dtype(
    [("at_ms", "i8"), ("onset_ms", "i8"), ("weekly", "f8"), ("effect", "f8"), ("slot", "i4"), ("turn", "u1")],
    align=True,
)
MEASURE = np.dtype([("at_ms", "i8"), ("loud", "f4"), ("next", "i4")], align=True)


@dataclass(slots=True)
class Concert:
    """State of entities, `HEARD`, and of their measures, `MEASURE`, each a list within its entity; changed in place."""

    heard: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, HEARD))
    measures: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, MEASURE))
    measure: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # of each series, -1 for none
    slot: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # the entity of each measure
    entities: list[tuple[str, str]] = field(default_factory=list)
    slots: dict[tuple[str, str], int] = field(default_factory=dict)
    places: dict[tuple[int, str], int] = field(default_factory=dict)  # of measures, by entity and name
    known: int = 0
    whole: int = 0  # entities with measures enough


def stem_of(metric: str) -> str:
    """The name of a measure, without what a histogram or a ratio adds to it.

    >>> stem_of("http.server.request.duration_bucket"), stem_of("http.server.request.duration:mean")
    ('http.server.request.duration', 'http.server.request.duration')
    """
    return next((metric.removesuffix(suffix) for suffix in SUFFIXES if metric.endswith(suffix)), metric)


def enrol_measures(concert: Concert, names: list[SeriesName]) -> None:
    """Give the series that are new since the last call their measure; the order of `names` never changes."""
    fresh = names[concert.known :]
    if not fresh:
        return
    before = len(concert.places)
    found = np.array([_measure_of(concert, name) for name in fresh], np.int32)
    concert.known = len(names)
    concert.measure = np.concatenate([concert.measure, found])
    owners = np.array([slot for slot, _ in list(concert.places)[before:]], np.int32)
    concert.slot = np.concatenate([concert.slot, owners])
    concert.heard = begun(concert.heard, len(concert.entities), HEARD, 1.0)
    concert.heard["tail"][concert.heard["count"] == 0, RATE] = RATE_FIRST
    concert.heard["head"][concert.heard["measures"] == 0] = -1
    concert.measures = np.concatenate([concert.measures, np.zeros(len(owners), MEASURE)])
    for at, slot in enumerate(owners.tolist(), start=before):
        concert.measures["next"][at] = concert.heard["head"][slot]
        concert.heard["head"][slot] = at
        concert.heard["measures"][slot] += 1
    concert.whole = int((concert.heard["measures"] >= MEASURES_MIN).sum())


def _measure_of(concert: Concert, name: SeriesName) -> int:
    entity = (name.entity_kind, name.entity_name)
    if entity not in concert.slots:
        if name.entity_kind in DETAIL_KINDS or len(concert.entities) >= ENTITIES_MAX:
            return -1
        concert.slots[entity] = len(concert.entities)
        concert.entities.append(entity)
    return concert.places.setdefault((concert.slots[entity], stem_of(name.metric)), len(concert.places))


def loudness_of(  # noqa: PLR0917
    rows: NDArray[np.void], row: NDArray[np.int32], value: NDArray[Any], predicted: NDArray[Any],
    away: NDArray[np.float64], warmup_count: int,
) -> NDArray[np.float64]:  # fmt: skip
    """What each sample adds to its entity's score: 0 within the band, or where it is no matter; NaN if not taken in.

    Args:
        rows: Of all series.
        row: The series of each sample.
        value: As judged.
        predicted: On the scale of the series.
        away: Distance in half-widths of the band.
        warmup_count: Samples a series must have shown before it counts.
    """
    loudness = np.empty(len(row))
    _loudness(rows, row, value, predicted, away, warmup_count, loudness)
    return loudness


@native
def _loudness(  # noqa: PLR0917
    rows: Any, row: Any, value: Any, predicted: Any, away: Any, warmup_count: int, loudness: Any
) -> None:
    for k in range(len(row)):
        size = abs(away[k])
        loudness[k] = size if np.isnan(size) else 0.0
        if not size > 1.0:
            continue
        s = rows[row[k]]
        expected = backward(float(predicted[k]), s.scale, s.offset)
        least = max(s.change_min, s.change_share_min * abs(expected))
        if abs(value[k] - expected) >= least and s.count >= warmup_count:
            loudness[k] = min(log(size), LOUDNESS_MAX)


def judge_concert(
    concert: Concert, row: NDArray[np.int32], at_ms: NDArray[np.int64], loudness: NDArray[np.float64], unit: float
) -> list[Strange]:
    """Take in a batch, in time order; what entities turned. A round is judged as far as the batch shows it.

    Args:
        concert: Changed in place; every row is enrolled.
        row: The series of each sample.
        at_ms: Its time.
        loudness: As of `loudness_of`.
        unit: Expected false findings a week that all entities together may cause.
    """
    rounds = np.zeros(len(row) + len(concert.entities), ROUND)
    count = _judge_batch(
        concert.heard, concert.measures, concert.measure, concert.slot, row, at_ms, loudness,
        unit / max(concert.whole, 1), lent(concert), rounds,
    )  # fmt: skip
    return [
        Strange(int(each["slot"]), int(each["at_ms"]), int(each["onset_ms"]), Turn(int(each["turn"])),
                float(each["weekly"]), float(each["effect"]))
        for each in rounds[:count]
    ]  # fmt: skip


def lent(concert: Concert) -> float:
    """Mean excess of the peaks of all entities, held near the general prior while they are few."""
    tail = concert.heard["tail"]
    count, total = float(tail[:, COUNT].sum()), float(tail[:, TOTAL].sum())
    return min(max((LEND_COUNT * PRIOR_EXCESS + total) / (LEND_COUNT + count), LENT_MIN), LENT_MAX)


@native
def _judge_batch(  # noqa: PLR0917
    heard: Any, measures: Any, measure: Any, slot: Any, row: Any, at_ms: Any, loudness: Any, unit: float, prior: float,
    rounds: Any,
) -> int:  # fmt: skip
    """Keep the furthest of each measure at its newest moment; judge each entity at the end of each of its rounds."""
    newest = np.zeros(len(heard), np.int64)  # of the round in the making, 0 where nothing came
    count = 0
    for k in range(len(row)):
        at = measure[row[k]]
        if at < 0 or np.isnan(loudness[k]) or at_ms[k] < measures[at].at_ms:
            continue
        whose = slot[at]
        if newest[whose] > 0 and at_ms[k] > newest[whose] + 500.0 * heard[whose].interval_s:
            count += _judge(heard[whose], measures, whose, newest[whose], unit, prior, rounds[count])
        newest[whose] = max(newest[whose], at_ms[k])
        m = measures[at]
        m.loud = max(m.loud, loudness[k]) if at_ms[k] == m.at_ms else loudness[k]
        m.at_ms = at_ms[k]
    for whose in range(len(heard)):
        if newest[whose] > 0:
            count += _judge(heard[whose], measures, whose, newest[whose], unit, prior, rounds[count])
    return count


@native
def _judge(s: Any, measures: Any, whose: int, newest: int, unit: float, prior: float, told: Any) -> int:  # noqa: PLR0917
    """Judge one entity now; whether it turned, as `told` then says."""
    if s.measures < MEASURES_MIN:
        return 0
    turn = 0
    if newest > s.last_ms:
        if s.last_ms > 0:
            turn = _end_round(s, newest)
        s.last_ms, s.level = newest, 0.0
        s.count += 1
    s.level = max(s.level, _score(s, measures, newest))
    if s.episode == 0 and turn == 0 and s.count >= READY_ROUNDS:
        turn = _speak(s, unit, prior, told)
    told.slot, told.at_ms, told.onset_ms, told.turn = whose, s.last_ms, s.onset_ms, turn
    return 1 if turn > 0 else 0


@native
def _end_round(s: Any, newest: int) -> int:
    """Learn the round that is over, or see whether the episode is; answers a `Turn`."""
    waited_s = (newest - s.last_ms) / 1000.0
    s.interval_s += (waited_s - s.interval_s) * max(0.1, 1.0 / s.count)
    excess = s.level - log(s.tail[THRESHOLD])
    if s.episode > 0:
        s.calm = s.calm + 1 if excess <= 0.0 else 0
        s.peak = max(s.peak, excess)
        if s.calm < CALM_ROUNDS and newest - s.onset_ms <= AWAY_MS:
            return 0
        s.episode = 0
        teach(s.tail, s.peak, s.told)
        return 2
    weight, gain = paces(float(s.count))
    learn(s.tail, excess, weight, gain, 1.0)
    return 0


@native
def _speak(s: Any, unit: float, prior: float, told: Any) -> int:
    """Whether the round in the making is rare enough; answers a `Turn`."""
    tail = s.tail
    excess = s.level - log(tail[THRESHOLD])
    if excess <= 0.0:
        return 0
    a_week = WEEK_S / max(s.interval_s, 0.01)
    count = rate_beyond(tail, excess, prior) * a_week
    if excess <= tail[TOP]:  # as strange has been seen
        count = max(count, a_week / s.count)
    if count > unit * np.exp(-s.repeat):
        return 0
    told.weekly, told.effect = count, np.exp(min(s.level, 50.0))
    begin_episode(s, s.last_ms, excess)
    return 1


@native
def _score(s: Any, measures: Any, newest: int) -> float:
    """The sum of what its measures add now, but for the furthest."""
    total, furthest = 0.0, 0.0
    at = s.head
    while at >= 0:
        m = measures[at]
        if m.at_ms >= newest - 1000.0 * NEWEST_SHARE * s.interval_s:
            total += m.loud
            furthest = max(furthest, m.loud)
        at = m.next
    return float(total - furthest)
