"""Marks: what the evidence says of the *kind* of a thing's trouble, in a closed set of words, each with its loudness.

A rank among suspects comes from all evidence together (`fuse`); a kind comes from few facts that hardly anything else
brings about: what clients' errors say, a disk that is full, a lock that is held, a change just before. Each mark is
read from measured amounts, not from how unusual they are alone; texts from outside only choose among known words.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.shift import excess_of_counts
from cerebro.casework.cause.answers import (
    CEASED,
    COLD,
    FAILED,
    IN_FLIGHT,
    LOST,
    OWN_TIME,
    REQUESTS,
    SILENT,
    STUCK,
    TURNED_AWAY,
    UNEVEN,
)
from cerebro.casework.cause.assemble import CLOCK_AHEAD, CLOCK_S_MIN
from cerebro.casework.cause.grid import METRICS_KEPT
from cerebro.casework.cause.homemade import GIVEN_UP
from cerebro.casework.cause.kinds import OUTSIDE
from cerebro.casework.cause.picture import NOBODY, Tracks
from cerebro.casework.cause.queues import CONSUMES, DEEP, left_undone
from cerebro.casework.cause.reach import BELONGS
from cerebro.casework.cause.view import View
from cerebro.spine.cases import Mark

CLEAR = 3.0  # nats, from here on a mark is one
LINES_MIN = 3.0  # of trouble, that speak of it
NEW_SHARE = 0.05  # of all lines, that something never said before must make up to be clear
# How directly a mark names what is wrong. The first ones hardly anything else brings about; the next ones are used up
# by the trouble itself or by waiting for another; all the rest is what any trouble looks like.
OUTRIGHT = frozenset(
    {
        "untrusted",
        "unresolved",
        "clock",
        "denied",
        "limited",
        "garbled",
        "no_space",
        "full_disk",
        "no_files",
        "no_memory",
        "deadlock",
        "locked",
        "poison",
        "overlap",
        "unreachable",
        "losing",
        "far",
        "lagging",
        "scanning",
        "long_session",
        "foreign",
        "uneven",
        "stuck",
        "filling",
        "filling_disk",
        "cold",
        "deployed",
        "configured",
        "flagged",
        "migrated",
    }
)
USED_UP = frozenset(
    {
        "busy_cpu",
        "growing",
        "full_memory",
        "collecting",
        "many_files",
        "held_pool",
        "no_connections",
        "no_threads",
        "crashed",
        "slow_disk",
        "piling_up",
        "undrained",
        "retrying",
        "surged",
        "refused",
        "silent",
    }
)
CHANGED = {
    "deploy": "deployed", "rollout": "deployed", "release": "deployed", "config": "configured", "flag": "flagged",
    "feature_flag": "flagged", "migration": "migrated", "schedule": "scheduled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gauge:
    """A mark that a series of the thing itself gives.

    Args:
        level: That the values during the trouble reach; of a counter by the second.
        times: As many times what was usual.
        step: More than usual by so much.
        within_s: Whether once in so many seconds of late is enough, since it comes in jumps; `EVER` for all of the
            trouble.
        of_work: Whether twice the requests bring twice of it: then it is compared for each request.
        known: Whether what is usual must be known, of it and of the requests.
    """

    mark: str
    metric: re.Pattern[str]
    level: float = 0.0
    times: float = 1.0
    step: float = 0.0
    within_s: float = 0.0
    of_work: bool = False
    known: bool = False


def _gauge(
    mark: str, metric: str, *, level: float = 0.0, times: float = 1.0, step: float = 0.0, within_s: float = 0.0,
    of_work: bool = False, known: bool = False,
) -> Gauge:  # fmt: skip
    return Gauge(mark, re.compile(metric), level, times, step, within_s, of_work, known)


EVER = float("inf")
OWN_CPU = re.compile(r"process.{0,3}cpu.{0,3}utili[sz]ation")
# Bounds are those that operators' handbooks give for an alert, or plainly more than a usual day's swing.
GAUGES: Sequence[Gauge] = (
    _gauge("busy_cpu", r"cpu.{0,3}(utili[sz]ation|usage_ratio|percent)", level=0.7, times=1.4),
    _gauge("busy_cpu", OWN_CPU.pattern, level=0.2, times=5.0, of_work=True, known=True),
    _gauge("growing", r"memory.{0,3}(usage|used|bytes)|rss|heap.{0,6}used|working_set", times=1.35, within_s=EVER),
    _gauge("full_memory", r"memory.{0,3}(utili[sz]ation|percent)", level=0.9, times=1.2),
    _gauge("collecting", r"(^|[._])gc[._]", level=0.05, times=3.0, of_work=True),
    _gauge("clock", r"clock[._]offset|timex[._]offset", level=CLOCK_S_MIN),
    _gauge("many_files", r"(file_?desc|open_fds)(?!.*(limit|max))", times=2.0, step=200.0, of_work=True),
    _gauge("many_files", r"(file_?desc|fds).*:limit_ratio", level=0.9, times=1.05),
    _gauge("waiting_pool", r"(pool|connection).{0,12}(pending|waiting)", level=3.0, times=3.0, of_work=True),
    _gauge("held_pool", r"(client\.connection|pool).{0,8}(count|used|active)", times=1.6, step=5.0, of_work=True),
    _gauge("held_pool", r"(client\.connection|pool).{0,8}(count|used|active):limit_ratio", level=0.95, times=1.5),
    _gauge("full_disk", r"(filesystem|disk).{0,4}(utili[sz]ation|used_ratio|percent)", level=0.92),
    _gauge("slow_disk", r"disk.{0,12}(time|await|latency)", times=4.0, of_work=True),
    _gauge("lagging", r"(wal|replication|replica)[._]?(lag|delay)", level=10.0, times=4.0),
    _gauge(
        "locked",
        r"(^|[._])locks?$|blocked|(sessions|backends)[._]waiting|waiting[._](sessions|backends)",
        level=4.0,
        times=4.0,
    ),
    _gauge("scanning", r"seq(uential)?_(scan|rows|tup)|full_scan|select_scan", times=6.0, step=0.2, of_work=True),
    _gauge(
        "long_session",
        r"max_tx_duration|(oldest|longest).{0,6}(transaction|query)|transaction.{0,4}(oldest|longest)|long_running",
        level=15.0,
        times=5.0,
    ),
    _gauge("deadlock", r"deadlock", times=5.0, step=0.02, within_s=EVER),
    _gauge("overlap", r"active_jobs|jobs?[._](active|running)", level=1.2, times=1.5),
    _gauge("crashed", r"restarts?([._]count)?(_total)?$", step=0.005, times=3.0, within_s=EVER),
    _gauge("piling_up", DEEP.pattern, level=20.0, times=3.0),
    _gauge("poison", r"redeliver", times=4.0, step=0.1, within_s=45.0),
    _gauge("foreign", r"namedprocess.*cpu", level=0.8, times=3.0),
    _gauge("silent", SILENT.replace(".", r"\."), level=1.0, step=0.9),
    _gauge("uneven", UNEVEN.replace(".", r"\."), level=0.86, times=1.2),
    _gauge("stuck", STUCK.replace(".", r"\."), level=0.1, times=3.0),
    _gauge("cold", COLD.replace(".", r"\."), step=20.0, times=1.5),
    _gauge("limited", TURNED_AWAY.replace(".", r"\."), step=5.0, times=3.0),
    _gauge("clock", CLOCK_AHEAD.replace(".", r"\."), step=20.0),
)
PATHS: Sequence[Gauge] = (  # of the way to a peer
    _gauge("losing", r"retrans", times=6.0, step=0.1),
    _gauge("far", r"(latency|rtt|round_trip)", times=5.0, step=0.01),
)
# What can be used up, in parts of its limit: by the program itself, or by what it wrote.
LIMITED: Sequence[tuple[str, re.Pattern[str]]] = (
    ("filling_disk", re.compile(r"(filesystem|disk).{0,4}(utili[sz]ation|used_ratio)")),
    ("filling", re.compile(r"(memory|file_?desc|fds|heap).*(:limit_ratio|limit_utili[sz]ation)$")),
)
RUNS_SHORT = dict(LIMITED)["filling"]
FARTHER = _gauge("far", r"^wire\.mean$", times=5.0, step=0.05)  # of a call, what its two ends do not share
FAILS = _gauge("failing", "", step=20.0, times=2.0)  # percent of its calls
NEWEST = 3  # steps
SAME = 1.25  # times what is usual
ENDS_S = 900.0  # so far ahead it is looked whether the limit is met
CLIMBS, MISSED = 4, 1  # steps up, among so many more: memory that is collected now and then falls a little
CLIMB, CLIMB_TIMES = 0.04, 4.0  # by so much together, each so many times the usual step
RETRIES = re.compile(r"retries|retry")
CPU = re.compile(r"cpu.{0,3}(utili[sz]ation|usage_ratio|percent)")
BURNS, BURNS_MIN = 2.0, 0.2  # times what is usual for each request, and of the processors
STARVED, STARVED_S, STARVED_CPU = 3.0, 0.05, 1.3  # times and seconds of own time; times of the processor's
KEPT, KEPT_S = 2.0, 0.02  # times and seconds of own time, where one waits before its door as well
SHORT, SHORT_TIMES = 0.5, 2.0  # of its limit, and times what is usual: it is being used up
ANSWERS_FEW = 90.0  # percent that fail
LOPSIDED = 0.7
# What is held while one waits: where a thing itself says that another is the trouble, that is why.
HELD = frozenset(
    {
        "held_pool",
        "retrying",
        "waiting_pool",
        "no_connections",
        "no_threads",
        "many_files",
        "busy",
        "late",
        "failing",
        "thrown",
        "uneven",
        "starved",
    }
)
AWAY = frozenset({"refused", "crashed", "silent"})
MISSED_MIN = {FAILED: 2.0, LOST: 20.0, CEASED: 50.0}  # percent more than usual
OCCUPIED = HELD | {"stuck"}  # and what its requests look like meanwhile
MOST = 0.6  # of the ways to a thing
RESENT = 0.005  # segments sent again for each request: a path that loses some has many times that
LOST_MIN = 20.0  # percent of the calls, that never come
LOST_FEW = 5.0  # no more of them: one replica of many that hangs keeps its part
HELD_MORE = 2.0  # times as many requests as usual, from which on someone has its hands full
SURGED, BURST = 1.6, 3.0  # times what is usually asked; in one step
WORKS, WORKS_STEP = 1.25, 0.03  # times what its processors usually do; and of them, so much more
HANDED_ON = 0.1  # of what is asked of a thing, that must be asked of its caller for it to be handed on
FLOODED = 0.7  # of its processors
SPILLED = 1.15  # times what is usually asked of what lies behind a cache
RETRIED = 0.4  # tries again for each request
RETRIED_EACH = 1.6  # tries again for a call that fails for good: once is what anyone does whose supplier is ill
TIRELESS = 4.0  # tries again that are too many, however ill a supplier is
ALL_BUT = 1e-3  # of the requests: none and all have no logarithm to go by
GIVEN_UP_MOST = 20.0  # percent of its calls that it gave up itself


def telling(word: str) -> int:
    """3 for a mark that names a cause outright, 2 for one of something used up, 1 for any other."""
    return 3 if word in OUTRIGHT else 2 if word in USED_UP else 1


def marks_of(view: View, entity: int) -> tuple[Mark, ...]:
    """What the evidence says of this one, the loudest first."""
    best: dict[str, float] = {}
    for mark in (
        *_spoken(view, entity), *_gauged(view, entity), *_travelled(view, entity), *_farther(view, entity),
        *_done(view, entity),
    ):  # fmt: skip
        if mark.nats >= CLEAR:
            best[mark.word] = max(best.get(mark.word, 0.0), round(mark.nats, 3))
    names_itself = any(telling(word) > 1 and word != "refused" for word in best)
    if not names_itself and _is_cut_off(view, entity):
        best["unreachable"] = max(best.get("unreachable", 0.0), CLEAR)
    if "surged" in best:  # more work uses up more of everything
        best = {word: nats for word, nats in best.items() if word not in OCCUPIED | {"busy_cpu", "growing", "filling"}}
    if "silent" in best and not _is_missed(view, entity):  # only its telling has stopped, or it was scaled in
        best.pop("silent")
    if "silent" in best:  # who waits for it in vain is another witness, and knows nothing of its telling
        best["silent"] = round(best["silent"] + best.get("late", 0.0), 3)
    if best.keys() & AWAY:  # who is not there has nothing in it, and is not away for what it looks like inside
        best.pop("cold", None)
        best.pop("migrated", None)
    if "stuck" in best:  # who answers nothing leaves all of it to the others
        best.pop("uneven", None)
    if _lays_it_on_another(view, entity):
        best = {word: nats for word, nats in best.items() if word not in HELD}
    return tuple(Mark(word, nats) for word, nats in sorted(best.items(), key=lambda each: (-each[1], each[0])))


def _spoken(view: View, entity: int) -> Iterator[Mark]:
    """By lines: its own, of itself; and those of others, of it."""
    tallies = view.picture.tallies
    for row in range(len(tallies)):
        kind = tallies.kind[row]
        mine = (kind == "said" and tallies.entity[row] == entity) or (kind == "blames" and tallies.peer[row] == entity)
        if mine and tallies.hits_during[row] >= LINES_MIN:
            yield Mark(tallies.text[row], _louder(view, row))


def _is_cut_off(view: View, entity: int) -> bool:
    """Whether callers wait in vain for what never comes there, while it has nothing to do.

    Who hangs has its hands full, and who is down refuses at once.
    """
    tracks, tallies = view.picture.tracks, view.picture.tallies
    own = _own(tracks, entity)
    lost = [row for row in own if tracks.signal[row] == LOST]
    if not any(_lately(tracks.during[row]) >= max(LOST_MIN, 2 * _some(_usual(tracks.before[row]))) for row in lost):
        return False
    if _has_its_hands_full(tracks, own, unknown=True) or _works_more(tracks, own) or _fell_silent(tracks, own):
        return False
    if _fails_inside(view, entity) or _runs_short(tracks, own):
        return False
    said, witnesses = {"late": 0.0, "refused": 0.0, "busy": 0.0}, set[int]()
    for row in range(len(tallies)):
        if tallies.kind[row] == "blames" and tallies.peer[row] == entity and tallies.text[row] in said:
            said[tallies.text[row]] += float(tallies.hits_during[row])
            witnesses.add(int(tallies.entity[row]))
    if all(_names_its_own(view, each) or _runs_short(tracks, _own(tracks, each)) for each in witnesses):
        return False
    return said["late"] >= LINES_MIN and said["late"] > said["refused"] + said["busy"]  # these are answers


def _fails_inside(view: View, entity: int) -> bool:
    """Whether requests fail in it that nothing it needs has failed: then they arrive."""
    tallies = view.picture.tallies
    rows = (row for row in range(len(tallies)) if tallies.kind[row] == "error" and tallies.entity[row] == entity)
    return any(tallies.hits_during[row] >= LINES_MIN and _louder(view, row) >= CLEAR for row in rows)


def _fell_silent(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether a replica of it has ceased to tell since the trouble began: then it is that one that answers nothing."""
    silent = (tracks.during[row] for row in rows if tracks.signal[row] == SILENT)
    return any(bool((values >= 1.0).any()) for values in silent)


def _is_missed(view: View, entity: int) -> bool:
    """Whether someone suffers of its not telling: those who call it, or for want of work those whom it called."""
    tracks, tallies = view.picture.tracks, view.picture.tallies
    for row in range(len(tallies)):
        blamed = tallies.kind[row] == "blames" and tallies.peer[row] == entity
        if blamed and tallies.hits_during[row] >= LINES_MIN and _louder(view, row) >= CLEAR:
            return True
    for row in _own(tracks, entity):
        least = MISSED_MIN.get(tracks.signal[row])
        if least and _lately(tracks.during[row]) >= _some(_usual(tracks.before[row])) + least:
            return True
    return False


def _works_more(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether its processors have more to do than usual: then what is asked of it arrives."""
    mine = [row for row in rows if CPU.search(tracks.signal[row].lower())]
    usual = ((row, _some(_usual(tracks.before[row]))) for row in mine)
    return any(_lately(tracks.during[row]) > max(WORKS * then, then + WORKS_STEP) for row, then in usual)


def _own(tracks: Tracks, entity: int) -> list[int]:
    """The rows of what it measures of itself."""
    rows: list[int] = np.flatnonzero((tracks.entity == entity) & (tracks.peer == NOBODY)).tolist()
    return rows


def _runs_short(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether something of its own is being used up by now: without it nothing is let in, however whole the way is.

    Its newest step is enough, since its lines and the next step may come late for the same reason.
    """
    limited = (row for row in rows if RUNS_SHORT.search(tracks.signal[row].lower()))
    told = ((_some(_usual(tracks.before[row])), _some(_newest(tracks.during[row]))) for row in limited)
    return any(now >= max(SHORT, SHORT_TIMES * then) for then, now in told)


def _names_its_own(view: View, entity: int) -> bool:
    """Whether its own lines name what is wrong with itself: then what it says of others is no testimony."""
    tallies = view.picture.tallies
    return any(
        tallies.kind[row] == "said" and tallies.entity[row] == entity and telling(tallies.text[row]) > 1
        and tallies.hits_during[row] >= LINES_MIN and _louder(view, row) >= CLEAR
        for row in range(len(tallies))
    )  # fmt: skip


def _has_its_hands_full(tracks: Tracks, rows: Iterable[int], *, unknown: bool) -> bool:
    """Whether far more requests are being worked than usual; `unknown` where nothing tells of it."""
    held = [row for row in rows if IN_FLIGHT.search(tracks.signal[row].lower())]
    more = (_lately(tracks.during[row]) > HELD_MORE * _some(_usual(tracks.before[row])) + 1 for row in held)
    return any(more) if held else unknown


def _some(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def _lays_it_on_another(view: View, entity: int) -> bool:
    """Whether its own lines blame what it calls, and nothing else that calls the same does worse than it.

    Where others call the same, they decide; several that nobody else calls fail it for one reason, which is its own.
    Who gave up what was answered as well as ever has nobody to lay it on, nor has who tries again without end.
    """
    tallies, tracks = view.picture.tallies, view.picture.tracks
    calls = (row for row in np.flatnonzero(tracks.entity == entity) if tracks.signal[row] == GIVEN_UP)
    if any(_lately(tracks.during[row]) >= GIVEN_UP_MOST for row in calls):
        return False
    own = _own(tracks, entity)
    if any(tries >= TIRELESS for _, tries in _tried_again(view, own, _asked(view, entity))):
        return False
    rows = [k for k in range(len(tallies)) if tallies.kind[k] == "blames" and tallies.hits_during[k] >= LINES_MIN]
    blamed = {int(tallies.peer[k]) for k in rows if tallies.entity[k] == entity and _louder(view, k) >= CLEAR}
    shared = {callee for callee in blamed if len(_callers(view, callee)) > 1}
    return any(_heard_by_all(view, callee, rows) for callee in shared) if shared else len(blamed) == 1


def _callers(view: View, callee: int) -> set[int]:
    tracks = view.picture.tracks
    return {int(tracks.entity[k]) for k in np.flatnonzero(tracks.peer == callee)}


def _heard_by_all(view: View, callee: int, rows: Iterable[int]) -> bool:
    """Whether most of those that call it blame it: else it is the one caller's own trouble."""
    tallies, callers = view.picture.tallies, _callers(view, callee)
    blaming = {int(tallies.entity[k]) for k in rows if tallies.peer[k] == callee and _louder(view, k) >= CLEAR}
    return len(blaming) >= MOST * len(callers | blaming)


def _louder(view: View, row: int) -> float:
    """How strongly a word is said more than usual; what was never said before and is said often now is clear."""
    tallies = view.picture.tallies
    one = slice(row, row + 1)
    nats = excess_of_counts(
        tallies.hits_before[one], tallies.of_before[one], tallies.hits_during[one], tallies.of_during[one], 0.3
    )
    often = tallies.hits_during[row] >= max(LINES_MIN, NEW_SHARE * tallies.of_during[row])
    return max(float(nats[0]), CLEAR if often and not tallies.hits_before[row] else 0.0)


def _gauged(view: View, entity: int) -> Iterator[Mark]:
    """By what it measures of itself."""
    tracks = view.picture.tracks
    rows = _own(tracks, entity)
    asked, brought = 0.0, _is_asked_on(view, entity)  # load that callers hand on is theirs
    work, work_known = _work(tracks, rows), any(tracks.signal[row] == REQUESTS for row in rows)
    for row in rows:
        signal = tracks.signal[row].lower()
        then, now = _usual(tracks.before[row]), _lately(tracks.during[row])
        if not np.isfinite(now):
            continue
        known = work_known and bool(np.isfinite(then))
        then = then if np.isfinite(then) else 0.0
        if signal == REQUESTS:
            asked = now
            if then > 0 and not brought and _is_surged(tracks.during[row], then):
                yield Mark("surged", _nats(view, row))
        for gauge in _gauges_of(signal):
            times = work if gauge.of_work else 1.0
            held = _most(tracks, row, gauge.within_s) if gauge.within_s else now
            beyond = _beyond(gauge, then, held, times) and (known or not gauge.known)
            if beyond and (gauge.mark != "cold" or _falls_on_others(view, entity)):
                yield Mark(gauge.mark, _nats(view, row))
    yield from _fails_its_callers(view, entity, rows)
    yield from _running_out(view, rows)
    yield from _starved(view, entity, rows)
    yield from _burning(view, rows)
    for clue in left_undone(view.picture, view.found, entity)[:1]:
        yield Mark("undrained", max(CLEAR, float(view.found.nats[clue])))
    for again, tries in _tried_again(view, rows, asked):
        if tries >= RETRIED_EACH:
            yield Mark("retrying", _nats(view, again))


def _fails_its_callers(view: View, entity: int, rows: Sequence[int]) -> Iterator[Mark]:
    """By what callers count, of a supplier outside: it tells nothing itself, and not everyone writes a line."""
    tracks = view.picture.tracks
    if view.picture.entities[entity].kind not in OUTSIDE:
        return
    for row in rows:
        if tracks.signal[row] == FAILED and _beyond(FAILS, _usual(tracks.before[row]), _lately(tracks.during[row])):
            yield Mark(FAILS.mark, _nats(view, row))


def _tried_again(view: View, rows: Sequence[int], asked: float) -> Iterator[tuple[int, float]]:
    """Where it tells of tries again, many more of them than usual: how often each call is tried."""
    tracks = view.picture.tracks
    failing = sum(_some(_lately(tracks.during[row])) for row in rows if tracks.signal[row] == FAILED) / 100.0
    for row in rows:
        if RETRIES.search(tracks.signal[row]) and asked > 0:
            then, now = _usual(tracks.before[row]), _lately(tracks.during[row])
            if now >= max(RETRIED * asked, 3.0 * then):
                yield row, _tries(now / asked, failing)


def _tries(again: float, failing: float) -> float:
    """How often a call that fails for good was tried again.

    Where each try fails with chance p, and r more are made, p + p² + … + p^r of all calls are made again and p^(r+1)
    fail for good: both are known, and have one p and one r. By tries again for each failure, those of a supplier that
    fails every other call would seem twice as many as they are.

    Args:
        again: Tries again for each request.
        failing: Share of the requests that fail for good.

    >>> round(_tries(0.5, 0.25), 2), round(_tries(4.0, 1.0), 1)
    (1.0, 4.0)
    """
    lasting = min(max(failing, ALL_BUT), 1.0 - ALL_BUT)
    return float(np.log(lasting) / np.log((again + lasting) / (again + 1.0))) - 1.0


@lru_cache(METRICS_KEPT)
def _gauges_of(signal: str) -> tuple[Gauge, ...]:
    return tuple(gauge for gauge in GAUGES if gauge.metric.search(signal))


def _is_asked_on(view: View, entity: int) -> bool:
    """Whether some of those who ask it are asked a lot themselves: who is not, and asks a lot, is where load begins.

    With who takes from a queue it never begins: there is who puts into it.
    """
    place, relations = {key: k for k, key in enumerate(view.picture.entities)}, view.picture.relations
    if any(each.kind == CONSUMES and place.get(each.source) == entity for each in relations):
        return True
    needing = {
        place[each.source]
        for each in relations
        if each.kind not in BELONGS and each.source in place and place.get(each.target) == entity
    }
    least = HANDED_ON * _asked(view, entity, usually=True)  # tries again make any caller look small
    return any(_asked(view, caller) >= max(least, 1e-9) for caller in needing | _callers(view, entity))


def _falls_on_others(view: View, cache: int) -> bool:
    """Whether what a cache does not answer falls on something behind it; true where nothing tells of that.

    Where askers fail before they have fetched what was missing, nothing is put in, and misses are their doing.
    """
    tracks, place = view.picture.tracks, {key: k for k, key in enumerate(view.picture.entities)}
    pairs = [(place.get(each.source, NOBODY), place.get(each.target, NOBODY)) for each in view.picture.relations]
    askers = {source for source, target in pairs if target == cache}
    behind = {target for source, target in pairs if source in askers} - askers - {cache}
    told = [
        (_usual(tracks.before[row]), _lately(tracks.during[row]))
        for row in range(len(tracks))
        if tracks.signal[row] == REQUESTS and tracks.peer[row] == NOBODY and int(tracks.entity[row]) in behind
    ]
    known = [(then, now) for then, now in told if np.isfinite(then) and np.isfinite(now)]
    if not known or any(now >= SPILLED * then for then, now in known):
        return True
    # what is flooded answers less than ever, and works all the more
    rows = [row for row in range(len(tracks)) if int(tracks.entity[row]) in behind and CPU.search(tracks.signal[row])]
    return any(_lately(tracks.during[row]) >= max(FLOODED, 2 * _some(_usual(tracks.before[row]))) for row in rows)


def _starved(view: View, entity: int, rows: Sequence[int]) -> Iterator[Mark]:
    """Much slower by itself, and its processor no busier: requests wait for something in it that is no work.

    Where a loop takes requests in and works them, too, many wait before its door while it is held: a part of the wait
    is on the way to it then, and the less inside.
    """
    tracks = view.picture.tracks
    told = [(row, tracks.signal[row].lower(), _usual(tracks.before[row]), _lately(tracks.during[row])) for row in rows]
    if _is_lopsided(tracks, rows):
        return  # the processor of all together does not tell of the one that has the work
    if any(tracks.signal[row] == LOST and _some(_lately(tracks.during[row])) >= LOST_MIN for row in rows):
        return  # what does not come is not waited for inside
    refusing = any(tracks.signal[row] == FAILED and _some(_lately(tracks.during[row])) >= ANSWERS_FEW for row in rows)
    if refusing and not any(mark.word == "busy" and mark.nats >= CLEAR for mark in _spoken(view, entity)):
        return  # who is starved answers late, and answers; or it, or those who ask it, say that its hands are full
    busy = [now >= max(STARVED_CPU * then, then + 0.05) for _, signal, then, now in told if CPU.search(signal)]
    if not busy or any(busy):
        return
    for row, signal, then, now in told:
        kept = now >= max(KEPT * then, then + KEPT_S)
        if signal == OWN_TIME and (_is_far_slower(tracks, row) or (kept and _longer_ways(view, entity))):
            yield Mark("starved", _nats(view, row))


def _burning(view: View, rows: Sequence[int]) -> Iterator[Mark]:
    """Each request takes far more of its own time, and of its processor: that one works at something else besides.

    More requests wait longer in it, too, but to each of them comes no more of the processor.
    """
    tracks = view.picture.tracks
    slower = (row for row in rows if tracks.signal[row] == OWN_TIME)
    if _is_lopsided(tracks, rows) or not any(_is_far_slower(tracks, row) for row in slower):
        return  # who has the work of others works more for each of its own requests
    work = _work(tracks, rows)
    for row in rows:
        then, now = _usual(tracks.before[row]), _lately(tracks.during[row])
        if OWN_CPU.search(tracks.signal[row].lower()) and now >= max(BURNS_MIN, BURNS * work * then):
            yield Mark("busy_cpu", _nats(view, row))


def _is_lopsided(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether one replica has by far the most of the work."""
    shares = (row for row in rows if tracks.signal[row] == UNEVEN)
    return any(_newest(tracks.during[row]) >= max(LOPSIDED, 1.2 * _some(_usual(tracks.before[row]))) for row in shares)


def _is_far_slower(tracks: Tracks, row: int) -> bool:
    then, now = _usual(tracks.before[row]), _lately(tracks.during[row])
    return now >= max(STARVED * then, then + STARVED_S)


def _running_out(view: View, rows: Sequence[int]) -> Iterator[Mark]:
    """What climbs step by step, and at that rate meets its limit soon.

    What fills in several things at once is work that piles up in all of them, and no leak of one.
    """
    tracks = view.picture.tracks
    step_s = float(np.diff(tracks.at_ms[:2])[0]) / 1000 if len(tracks.at_ms) > 1 else 60.0
    for word, metric in LIMITED:
        mine = [row for row in rows if _fills(tracks, row, metric, step_s)]
        if not mine:
            continue
        whose = view.picture.entities
        kind = whose[tracks.entity[mine[0]]].kind  # its host fills along with it
        ours = set(rows)
        others = [row for row in range(len(tracks)) if row not in ours and whose[tracks.entity[row]].kind == kind]
        if word != "filling" or not any(_fills(tracks, row, metric, step_s) for row in others):
            yield from (Mark(word, _nats(view, row)) for row in mine)


def _fills(tracks: Tracks, row: int, metric: re.Pattern[str], step_s: float) -> bool:
    return metric.search(tracks.signal[row].lower()) is not None and _climbs(
        tracks.before[row], tracks.during[row], step_s
    )


def _climbs(before: NDArray[np.float64], during: NDArray[np.float64], step_s: float) -> bool:
    now = during[np.isfinite(during)][-CLIMBS - MISSED - 1 :]
    if len(now) <= CLIMBS:
        return False
    steps, usual = np.diff(now), np.abs(np.diff(before[np.isfinite(before)]))
    least = max(CLIMB_TIMES * float(np.median(usual)) if len(usual) else 0.0, CLIMB / CLIMBS)
    ahead = now[-1] + float(np.median(steps)) / step_s * ENDS_S
    return bool((steps >= least).sum() >= CLIMBS and steps[-1] > 0 and now[-1] > now[0] and ahead >= 1.0)


def _work(tracks: Tracks, rows: Iterable[int]) -> float:
    """How many times what is usual is asked, at least once: so much more of everything is used by that alone."""
    for row in rows:
        if tracks.signal[row] == REQUESTS:
            then, now = _usual(tracks.before[row]), tracks.during[row]
            now = now[np.isfinite(now)][-NEWEST:]  # what came late may be missing yet
            if then > 0 and len(now):
                return max(1.0, float(now.max()) / then)
    return 1.0


def _travelled(view: View, entity: int) -> Iterator[Mark]:
    """By the ways to it and from it: as many of them as tell must show it, or it is another end's trouble."""
    tracks = view.picture.tracks
    for gauge in PATHS:
        rows = [
            row
            for row in np.flatnonzero(
                (tracks.peer != NOBODY) & ((tracks.entity == entity) | (tracks.peer == entity))
            ).tolist()
            if gauge.metric.search(tracks.signal[row]) and np.isfinite(_lately(tracks.during[row]))
        ]
        shown = [row for row in rows if _beyond(gauge, _usual(tracks.before[row]), _lately(tracks.during[row]))]
        if gauge.mark == "losing":  # who sends more sends more again: of all that is asked over there, enough must be
            shown = [
                row for row in shown if _lately(tracks.during[row]) >= RESENT * _asked(view, int(tracks.peer[row]))
            ]
        if shown and len(shown) >= MOST * len(rows) and not _ends_alike(tracks, gauge, shown, entity):
            yield Mark(gauge.mark, max(_nats(view, int(row)) for row in shown))


def _farther(view: View, entity: int) -> Iterator[Mark]:
    """The ways to it take far longer, while it answers what arrives as soon as ever, and nearly all of it arrives.

    Who is starved of its processor or of its loop is slower by itself, too; who hangs takes calls and answers none. A
    way that is measured by itself is as long as that says: calls last longer also where they are tried again.
    """
    tracks = view.picture.tracks
    if not (shown := _longer_ways(view, entity)):
        return
    rows = _own(tracks, entity)
    own = {tracks.signal[row]: row for row in rows}
    if all(_names_its_own(view, int(tracks.entity[row])) for row in shown):
        return
    if OWN_TIME not in own or _has_its_hands_full(tracks, rows, unknown=False) or _runs_short(tracks, rows):
        return
    if any(_lately(tracks.during[own[name]]) > 0 for name in (SILENT, STUCK) if name in own):
        return
    then, now = _usual(tracks.before[own[OWN_TIME]]), _lately(tracks.during[own[OWN_TIME]])
    lost = _some(_lately(tracks.during[own[LOST]])) if LOST in own else 0.0
    if now <= SAME * then and lost <= LOST_FEW:
        yield Mark(FARTHER.mark, max(_nats(view, row) for row in shown))


def _longer_ways(view: View, entity: int) -> list[int]:
    """The ways to it that take far longer, as calls over them tell; none where most do not, or for another's sake."""
    tracks = view.picture.tracks
    ways = [row for row in np.flatnonzero(tracks.peer == entity).tolist() if FARTHER.metric.search(tracks.signal[row])]
    told = [row for row in ways if np.isfinite(_lately(tracks.during[row]))]
    long = [row for row in told if _beyond(FARTHER, _usual(tracks.before[row]), _lately(tracks.during[row]))]
    shown = [row for row in long if not _is_measured(tracks, row)]
    enough = bool(shown) and len(shown) >= MOST * len(told)
    return shown if enough and not _ends_alike(tracks, FARTHER, shown, entity) else []


def _is_measured(tracks: Tracks, way: int) -> bool:
    """Whether something tells of the way itself, beside the calls over it."""
    same = np.flatnonzero((tracks.entity == tracks.entity[way]) & (tracks.peer == tracks.peer[way])).tolist()
    return any(gauge.metric.search(tracks.signal[row]) for row in same for gauge in PATHS)


def _asked(view: View, entity: int, *, usually: bool = False) -> float:
    """Requests a second that come to it now, or usually; 0 where nothing tells."""
    tracks = view.picture.tracks
    rows = _own(tracks, entity)
    mine = [k for k in rows if tracks.signal[k] == REQUESTS]
    found = [_usual(tracks.before[k]) if usually else _lately(tracks.during[k]) for k in mine]
    return max((each for each in found if np.isfinite(each)), default=0.0)


def _ends_alike(tracks: Tracks, gauge: Gauge, shown: Sequence[int], entity: int) -> bool:
    """Whether all of these ways have one other end, of which most of more ways show the same: then it is that one."""
    ends = {int(tracks.entity[row]) + int(tracks.peer[row]) - entity for row in shown}
    if len(ends) != 1:
        return False
    other = ends.pop()
    every = np.flatnonzero((tracks.peer != NOBODY) & ((tracks.entity == other) | (tracks.peer == other)))
    alike = [row for row in every if gauge.metric.search(tracks.signal[row])]
    count = sum(_beyond(gauge, _usual(tracks.before[row]), _lately(tracks.during[row])) for row in alike)
    return count > len(shown) and count >= MOST * len(alike)


def _beyond(gauge: Gauge, then: float, now: float, work: float = 1.0) -> bool:
    """Whether it is beyond the gauge's bounds, where so many times the usual work is done."""
    then = then if np.isfinite(then) else 0.0
    return now >= max(gauge.level, work * gauge.times * then, work * (then + gauge.step))


def _done(view: View, entity: int) -> Iterator[Mark]:
    """By what someone did to it just before."""
    change = view.fused.change[entity]
    if change >= 0 and (word := CHANGED.get(view.picture.changes[change].kind)):
        yield Mark(word, 2 * CLEAR)


def _nats(view: View, row: int) -> float:
    """How unusual a track is; of one that is beyond its bound, at least clear. Clues of tracks stand before others."""
    found = view.found
    known = row < len(found) and found.table[row] == "tracks" and found.row[row] == row
    return max(CLEAR, float(found.nats[row]) if known else 0.0)


def _usual(values: NDArray[np.float64]) -> float:
    ordered = np.sort(values[np.isfinite(values)])  # of so few numbers, ten times as fast as the library's median
    count = len(ordered)
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2.0 if count else float("nan")


def _newest(values: NDArray[np.float64]) -> float:
    values = values[np.isfinite(values)]
    return float(values[-1]) if len(values) else float("nan")


def _most(tracks: Tracks, row: int, within_s: float) -> float:
    """The most of the trouble's last seconds, and of its newest steps."""
    recent = tracks.at_ms > tracks.at_ms[-1] - within_s * 1000
    recent[-NEWEST:] = True
    values = tracks.during[row][recent]
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def _middle(values: NDArray[np.float64]) -> float:
    """The middle one of the newest: neither a lull among them says something, nor a peak."""
    return _usual(values[np.isfinite(values)][-NEWEST:])


def _is_surged(asked: NDArray[np.float64], usual: float) -> bool:
    """Whether far more is asked; of the newest step alone it takes more, since it may hold what came late."""
    return _middle(asked) >= SURGED * usual or _newest(asked) >= BURST * usual


def _lately(values: NDArray[np.float64]) -> float:
    """The less of the newest two, so that a single one says nothing."""
    values = values[np.isfinite(values)][-2:]
    return float(values.min()) if len(values) else float("nan")
