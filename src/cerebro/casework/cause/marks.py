"""Marks: what the evidence says of the *kind* of a thing's trouble, in a closed set of words, each with its loudness.

A rank among suspects comes from all evidence together (`fuse`); a kind comes from few facts that hardly anything else
brings about: what clients' errors say, a disk that is full, a lock that is held, a change just before. Each mark is
read from measured amounts, not from how unusual they are alone; texts from outside only choose among known words.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.answers import CEASED, FAILED, LOST, OWN_TIME, REQUESTS
from cerebro.casework.cause.assemble import CLOCK_AHEAD
from cerebro.casework.cause.changed import RECENT
from cerebro.casework.cause.facts import (
    LINES_MIN,
    LOST_MIN,
    MOST,
    asked_of,
    callers_of,
    is_lopsided,
    louder,
    nats_of,
    rows_of,
    work_of,
)
from cerebro.casework.cause.gauges import CPU, FAILS, LIMITED, OWN_CPU, gauges_of, is_beyond
from cerebro.casework.cause.homemade import GIVEN_UP
from cerebro.casework.cause.kinds import OUTSIDE
from cerebro.casework.cause.picture import NOBODY, Tracks
from cerebro.casework.cause.queues import CONSUMES, left_undone
from cerebro.casework.cause.reach import BELONGS
from cerebro.casework.cause.steps import lately, middle, most, newest, some, usual_of
from cerebro.casework.cause.testimony import HURT_MIN, is_borne_out
from cerebro.casework.cause.view import View
from cerebro.casework.cause.vocabulary import AWAY, CHANGED, CLEAR, HELD, OCCUPIED, telling
from cerebro.casework.cause.ways import farther, is_cut_off, longer_ways, travelled
from cerebro.casework.cause.words import OF_DATABASE, OF_SELF
from cerebro.spine.cases import Mark

ENDS_S = 900.0  # so far ahead it is looked whether the limit is met
CLIMBS, MISSED = 4, 1  # steps up, among so many more: memory that is collected now and then falls a little
CLIMB, CLIMB_TIMES = 0.04, 4.0  # by so much together, each so many times the usual step
RETRIES = re.compile(r"retries|retry")
BURNS, BURNS_MIN = 2.0, 0.2  # times what is usual for each request, and of the processors
STARVED, STARVED_S, STARVED_CPU = 3.0, 0.05, 1.3  # times and seconds of own time; times of the processor's
KEPT, KEPT_S = 2.0, 0.02  # times and seconds of own time, where one waits before its door as well
ANSWERS_FEW = 90.0  # percent that fail
MISSED_MIN = {**HURT_MIN, CEASED: 50.0}  # percent more than usual
ANSWERS_NOTHING = frozenset({"silent", "crashed", "stuck"})
# What a thing measures of itself where its own lines say such a word of it.
BORNE_OUT_BY: Mapping[str, frozenset[str]] = {
    "clock": frozenset({"clock"}),
    "no_space": frozenset({"full_disk", "filling_disk"}),
    "no_files": frozenset({"many_files", "filling", "held_pool"}),
    "no_memory": frozenset({"full_memory", "growing", "filling", "collecting", "crashed", "silent"}),
    "no_connections": frozenset({"held_pool", "waiting_pool", "starved", "many_files"}),
    "no_threads": frozenset({"stuck", "starved", "busy_cpu", "filling"}),
    "deadlock": frozenset({"deadlock", "locked"}),
    "locked": frozenset({"locked", "long_session", "deadlock"}),
    "poison": frozenset({"poison", "piling_up", "undrained"}),
    "overlap": frozenset({"overlap"}),
    "crashed": frozenset({"crashed", "silent", "growing", "filling"}),
}
SURGED, BURST = 1.6, 3.0  # times what is usually asked; in one step
HANDED_ON = 0.1  # of what is asked of a thing, that must be asked of its caller for it to be handed on
FLOODED = 0.7  # of its processors
SPILLED = 1.15  # times what is usually asked of what lies behind a cache
RETRIED = 0.4  # tries again for each request
RETRIED_EACH = 1.6  # tries again for a call that fails for good: once is what anyone does whose supplier is ill
TIRELESS = 4.0  # tries again that are too many, however ill a supplier is
ALL_BUT = 1e-3  # of the requests: none and all have no logarithm to go by
GIVEN_UP_MOST = 20.0  # percent of its calls that it gave up itself


def marks_of(view: View, entity: int) -> tuple[Mark, ...]:
    """What the evidence says of this one, the loudest first."""
    seen = _loudest((*_gauged(view, entity), *travelled(view, entity), *farther(view, entity), *_done(view, entity)))
    if "silent" in seen and not _is_missed(view, entity):  # only its telling has stopped, or it was scaled in
        seen.pop("silent")
    rows = _heard(view, entity)
    heard = _loudest(_spoken(view, rows))
    best = {word: max(seen.get(word, 0.0), heard.get(word, 0.0)) for word in (*seen, *heard)}
    claimed = {word for word in heard if not _is_borne_out(view, entity, word, seen.keys(), rows)}
    names_itself = any(telling(word) > 1 and word != "refused" for word in best.keys() - claimed)
    if not names_itself and is_cut_off(view, entity):
        best["unreachable"] = max(best.get("unreachable", 0.0), CLEAR)
    if "surged" in best:  # more work uses up more of everything
        best = {word: nats for word, nats in best.items() if word not in OCCUPIED | {"busy_cpu", "growing", "filling"}}
    if "silent" in best:  # who waits for it in vain is another witness, and knows nothing of its telling
        best["silent"] = round(best["silent"] + best.get("late", 0.0), 3)
    if best.keys() & AWAY:  # who is not there has nothing in it, and is not away for what it looks like inside
        best.pop("cold", None)
        best.pop("migrated", None)
    if "stuck" in best:  # who answers nothing leaves all of it to the others
        best.pop("uneven", None)
    if _lays_it_on_another(view, entity):
        best = {word: nats for word, nats in best.items() if word not in HELD}
    order = sorted(best.items(), key=lambda each: (-each[1], each[0]))
    return tuple(Mark(word, nats, claimed=word in claimed) for word, nats in order)


def _loudest(marks: Iterable[Mark]) -> dict[str, float]:
    """Each word that is clear, with the loudest of its marks."""
    best: dict[str, float] = {}
    for mark in marks:
        if mark.nats >= CLEAR:
            best[mark.word] = max(best.get(mark.word, 0.0), round(mark.nats, 3))
    return best


def _is_borne_out(view: View, entity: int, word: str, seen: Collection[str], heard: Collection[int]) -> bool:
    """Whether something that is measured agrees with what lines say: anyone may write a line.

    Of what it says of itself, a gauge; of what is said of it or of its calls, calls that suffer. These do so for many
    reasons: where nobody knows whether the word is new, they do not bear it out.

    Args:
        seen: The words that it is measured to deserve.
        heard: The rows of lines that speak of it.
    """
    picture, tallies = view.picture, view.picture.tallies
    if word in seen or not BORNE_OUT_BY.get(word, ANSWERS_NOTHING).isdisjoint(seen):
        return True
    if word == "clock" and any(picture.tracks.signal[row] == CLOCK_AHEAD for row in rows_of(picture.tracks, entity)):
        return True  # behind as well as ahead
    rows = [row for row in heard if tallies.text[row] == word]
    speakers = {int(tallies.entity[row]) for row in rows if tallies.kind[row] == "blames"}
    if not speakers and telling(word) == 1:
        return True  # what any trouble looks like chooses nothing
    if telling(word) > 1 and not _loudest(_spoken(view, (row for row in rows if tallies.of_before[row]))):
        return False
    if not speakers and word in OF_SELF - OF_DATABASE:
        return False
    if not speakers and word in OF_DATABASE:  # whoever waits for its locks is another witness
        speakers = {caller for caller, callee in picture.edges if callee == entity}
    return is_borne_out(picture, entity, word, speakers)


def _heard(view: View, entity: int) -> list[int]:
    """The rows of lines that speak of it: its own, of itself; and those of others, of it."""
    tallies = view.picture.tallies
    whose = {"said": tallies.entity, "blames": tallies.peer}
    return [row for row, kind in enumerate(tallies.kind) if kind in whose and whose[kind][row] == entity]


def _spoken(view: View, rows: Iterable[int]) -> Iterator[Mark]:
    """By such lines, where there are enough of them."""
    tallies = view.picture.tallies
    return (Mark(tallies.text[row], louder(view, row)) for row in rows if tallies.hits_during[row] >= LINES_MIN)


def _is_missed(view: View, entity: int) -> bool:
    """Whether someone suffers of its not telling: those who call it, or for want of work those whom it called."""
    tracks, tallies = view.picture.tracks, view.picture.tallies
    for row in range(len(tallies)):
        blamed = tallies.kind[row] == "blames" and tallies.peer[row] == entity
        if blamed and tallies.hits_during[row] >= LINES_MIN and louder(view, row) >= CLEAR:
            return True
    for row in rows_of(tracks, entity):
        least = MISSED_MIN.get(tracks.signal[row])
        if least and lately(tracks.during[row]) >= some(usual_of(tracks.before[row])) + least:
            return True
    return False


def _lays_it_on_another(view: View, entity: int) -> bool:
    """Whether its own lines blame what it calls, and nothing else that calls the same does worse than it.

    Where others call the same, they decide; several that nobody else calls fail it for one reason, which is its own.
    Who gave up what was answered as well as ever has nobody to lay it on, nor has who tries again without end.
    """
    tallies, tracks = view.picture.tallies, view.picture.tracks
    calls = (row for row in np.flatnonzero(tracks.entity == entity) if tracks.signal[row] == GIVEN_UP)
    if any(lately(tracks.during[row]) >= GIVEN_UP_MOST for row in calls):
        return False
    own = rows_of(tracks, entity)
    if any(tries >= TIRELESS for _, tries in _tried_again(view, own, asked_of(view, entity))):
        return False
    rows = [k for k in range(len(tallies)) if tallies.kind[k] == "blames" and tallies.hits_during[k] >= LINES_MIN]
    blamed = {int(tallies.peer[k]) for k in rows if tallies.entity[k] == entity and louder(view, k) >= CLEAR}
    shared = {callee for callee in blamed if len(callers_of(view, callee)) > 1}
    return any(_heard_by_all(view, callee, rows) for callee in shared) if shared else len(blamed) == 1


def _heard_by_all(view: View, callee: int, rows: Iterable[int]) -> bool:
    """Whether most of those that call it blame it: else it is the one caller's own trouble."""
    tallies, callers = view.picture.tallies, callers_of(view, callee)
    blaming = {int(tallies.entity[k]) for k in rows if tallies.peer[k] == callee and louder(view, k) >= CLEAR}
    return len(blaming) >= MOST * len(callers | blaming)


def _gauged(view: View, entity: int) -> Iterator[Mark]:
    """By what it measures of itself."""
    tracks = view.picture.tracks
    rows = rows_of(tracks, entity)
    asked, brought = 0.0, _is_asked_on(view, entity)  # load that callers hand on is theirs
    work, work_known = work_of(tracks, rows), any(tracks.signal[row] == REQUESTS for row in rows)
    for row in rows:
        signal = tracks.signal[row].lower()
        then, now = usual_of(tracks.before[row]), lately(tracks.during[row])
        if not np.isfinite(now):
            continue
        known = work_known and bool(np.isfinite(then))
        then = then if np.isfinite(then) else 0.0
        if signal == REQUESTS:
            asked = now
            if then > 0 and not brought and _is_surged(tracks.during[row], then):
                yield Mark("surged", nats_of(view, row))
        for gauge in gauges_of(signal):
            times = work if gauge.of_work else 1.0
            held = most(tracks, row, gauge.within_s) if gauge.within_s else now
            held = max(held, middle(tracks.during[row])) if gauge.lulls else held
            beyond = is_beyond(gauge, then, held, times) and (known or not gauge.known)
            if beyond and (gauge.mark != "cold" or _falls_on_others(view, entity)):
                yield Mark(gauge.mark, nats_of(view, row))
    yield from _fails_its_callers(view, entity, rows)
    yield from _running_out(view, rows)
    yield from _starved(view, entity, rows)
    yield from _burning(view, rows)
    for clue in left_undone(view.picture, view.found, entity)[:1]:
        yield Mark("undrained", max(CLEAR, float(view.found.nats[clue])))
    for again, tries in _tried_again(view, rows, asked):
        if tries >= RETRIED_EACH:
            yield Mark("retrying", nats_of(view, again))


def _fails_its_callers(view: View, entity: int, rows: Sequence[int]) -> Iterator[Mark]:
    """By what callers count, of a supplier outside: it tells nothing itself, and not everyone writes a line."""
    tracks = view.picture.tracks
    if view.picture.entities[entity].kind not in OUTSIDE:
        return
    for row in rows:
        if tracks.signal[row] == FAILED and is_beyond(FAILS, usual_of(tracks.before[row]), lately(tracks.during[row])):
            yield Mark(FAILS.mark, nats_of(view, row))


def _tried_again(view: View, rows: Sequence[int], asked: float) -> Iterator[tuple[int, float]]:
    """Where it tells of tries again, many more of them than usual: how often each call is tried."""
    tracks = view.picture.tracks
    failing = sum(some(lately(tracks.during[row])) for row in rows if tracks.signal[row] == FAILED) / 100.0
    for row in rows:
        if RETRIES.search(tracks.signal[row]) and asked > 0:
            then, now = usual_of(tracks.before[row]), lately(tracks.during[row])
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


def _is_asked_on(view: View, entity: int) -> bool:
    """Whether some of those who ask it are asked a lot themselves: who is not, and asks a lot, is where load begins.

    With who takes from a queue it never begins: there is who puts into it. A caller that is usually asked a lot counts,
    too: what it is asked now may be heard seconds later than what is asked of others, most of all in a surge.
    """
    place, relations = {key: k for k, key in enumerate(view.picture.entities)}, view.picture.relations
    if any(each.kind == CONSUMES and place.get(each.source) == entity for each in relations):
        return True
    needing = {
        place[each.source]
        for each in relations
        if each.kind not in BELONGS and each.source in place and place.get(each.target) == entity
    }
    least = HANDED_ON * asked_of(view, entity, usually=True)  # tries again make any caller look small
    callers = needing | callers_of(view, entity)
    asked = (max(asked_of(view, caller), asked_of(view, caller, usually=True)) for caller in callers)
    return any(each >= max(least, 1e-9) for each in asked)


def _falls_on_others(view: View, cache: int) -> bool:
    """Whether what a cache does not answer falls on something behind it; true where nothing tells of that.

    Where askers fail before they have fetched what was missing, nothing is put in, and misses are their doing.
    """
    tracks, place = view.picture.tracks, {key: k for k, key in enumerate(view.picture.entities)}
    pairs = [(place.get(each.source, NOBODY), place.get(each.target, NOBODY)) for each in view.picture.relations]
    askers = {source for source, target in pairs if target == cache}
    behind = {target for source, target in pairs if source in askers} - askers - {cache}
    told = [
        (usual_of(tracks.before[row]), lately(tracks.during[row]))
        for row in range(len(tracks))
        if tracks.signal[row] == REQUESTS and tracks.peer[row] == NOBODY and int(tracks.entity[row]) in behind
    ]
    known = [(then, now) for then, now in told if np.isfinite(then) and np.isfinite(now)]
    if not known or any(now >= SPILLED * then for then, now in known):
        return True
    # what is flooded answers less than ever, and works all the more
    rows = [row for row in range(len(tracks)) if int(tracks.entity[row]) in behind and CPU.search(tracks.signal[row])]
    return any(lately(tracks.during[row]) >= max(FLOODED, 2 * some(usual_of(tracks.before[row]))) for row in rows)


def _starved(view: View, entity: int, rows: Sequence[int]) -> Iterator[Mark]:
    """Much slower by itself, and its processor no busier: requests wait for something in it that is no work.

    Where a loop takes requests in and works them, too, many wait before its door while it is held: a part of the wait
    is on the way to it then, and the less inside.
    """
    tracks = view.picture.tracks
    told = [(row, tracks.signal[row].lower(), usual_of(tracks.before[row]), lately(tracks.during[row])) for row in rows]
    if is_lopsided(tracks, rows):
        return  # the processor of all together does not tell of the one that has the work
    if any(tracks.signal[row] == LOST and some(lately(tracks.during[row])) >= LOST_MIN for row in rows):
        return  # what does not come is not waited for inside
    refusing = any(tracks.signal[row] == FAILED and some(lately(tracks.during[row])) >= ANSWERS_FEW for row in rows)
    if refusing and not any(mark.word == "busy" and mark.nats >= CLEAR for mark in _spoken(view, _heard(view, entity))):
        return  # who is starved answers late, and answers; or it, or those who ask it, say that its hands are full
    busy = [now >= max(STARVED_CPU * then, then + 0.05) for _, signal, then, now in told if CPU.search(signal)]
    if not busy or any(busy):
        return
    for row, signal, then, now in told:
        kept = now >= max(KEPT * then, then + KEPT_S)
        if signal == OWN_TIME and (_is_far_slower(tracks, row) or (kept and longer_ways(view, entity))):
            yield Mark("starved", nats_of(view, row))


def _burning(view: View, rows: Sequence[int]) -> Iterator[Mark]:
    """Each request takes far more of its own time, and of its processor: that one works at something else besides.

    More requests wait longer in it, too, but to each of them comes no more of the processor.
    """
    tracks = view.picture.tracks
    slower = (row for row in rows if tracks.signal[row] == OWN_TIME)
    if is_lopsided(tracks, rows) or not any(_is_far_slower(tracks, row) for row in slower):
        return  # who has the work of others works more for each of its own requests
    work = work_of(tracks, rows)
    for row in rows:
        then, now = usual_of(tracks.before[row]), lately(tracks.during[row])
        if OWN_CPU.search(tracks.signal[row].lower()) and now >= max(BURNS_MIN, BURNS * work * then):
            yield Mark("busy_cpu", nats_of(view, row))


def _is_far_slower(tracks: Tracks, row: int) -> bool:
    then, now = usual_of(tracks.before[row]), lately(tracks.during[row])
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
            yield from (Mark(word, nats_of(view, row)) for row in mine)


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


def _done(view: View, entity: int) -> Iterator[Mark]:
    """By what someone did to it just before: of half the force and more, it is clear."""
    change = view.fused.change[entity]
    if change >= 0 and (word := CHANGED.get(view.picture.changes[change].kind)):
        yield Mark(word, CLEAR / RECENT * float(view.fused.force[entity]))


def _is_surged(asked: NDArray[np.float64], usual: float) -> bool:
    """Whether far more is asked; of the newest step alone it takes more, since it may hold what came late."""
    return middle(asked) >= SURGED * usual or newest(asked) >= BURST * usual
