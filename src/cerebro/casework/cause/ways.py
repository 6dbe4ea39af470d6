"""Marks that the ways to a thing tell of: they lose, are far, or lead to it no more."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from cerebro.casework.cause.answers import DURATION, LOST, OWN_TIME, SILENT, STUCK
from cerebro.casework.cause.facts import (
    LINES_MIN,
    LOST_MIN,
    MOST,
    asked_of,
    fell_silent,
    has_its_hands_full,
    louder,
    names_its_own,
    nats_of,
    rows_of,
    runs_short,
    works_more,
)
from cerebro.casework.cause.gauges import FARTHER, PATHS, Gauge, is_beyond
from cerebro.casework.cause.picture import NOBODY, Tracks
from cerebro.casework.cause.steps import lately, most, some, usual_of
from cerebro.casework.cause.view import View
from cerebro.casework.cause.vocabulary import CLEAR
from cerebro.spine.cases import Mark

SAME = 1.25  # times what is usual
LOST_FEW = 5.0  # no more of them: one replica of many that hangs keeps its part
WAITS, WAITED_S = 1.5, 30.0  # times what is usual, once in the newest seconds
RESENT = 0.005  # segments sent again for each request: a path that loses some has many times that


def travelled(view: View, entity: int) -> Iterator[Mark]:
    """By the ways to it and from it: as many of them as tell must show it, or it is another end's trouble."""
    tracks = view.picture.tracks
    for gauge in PATHS:
        rows = [
            row
            for row in np.flatnonzero(
                (tracks.peer != NOBODY) & ((tracks.entity == entity) | (tracks.peer == entity))
            ).tolist()
            if gauge.metric.search(tracks.signal[row]) and np.isfinite(lately(tracks.during[row]))
        ]
        shown = [row for row in rows if is_beyond(gauge, usual_of(tracks.before[row]), lately(tracks.during[row]))]
        if gauge.mark == "losing":  # who sends more sends more again: of all that is asked over there, enough must be
            shown = [
                row for row in shown if lately(tracks.during[row]) >= RESENT * asked_of(view, int(tracks.peer[row]))
            ]
        if shown and len(shown) >= MOST * len(rows) and not _ends_alike(tracks, gauge, shown, entity):
            yield Mark(gauge.mark, max(nats_of(view, int(row)) for row in shown))


def farther(view: View, entity: int) -> Iterator[Mark]:
    """The ways to it take far longer, while it answers what arrives as soon as ever, and nearly all of it arrives.

    Who is starved of its processor or of its loop is slower by itself, too; who hangs takes calls and answers none. A
    way that is measured by itself is as long as that says: calls last longer also where they are tried again.
    """
    tracks = view.picture.tracks
    if not (shown := longer_ways(view, entity)):
        return
    rows = rows_of(tracks, entity)
    own = {tracks.signal[row]: row for row in rows}
    if all(names_its_own(view, int(tracks.entity[row])) for row in shown):
        return
    if OWN_TIME not in own or has_its_hands_full(tracks, rows, unknown=False) or runs_short(tracks, rows):
        return
    if any(lately(tracks.during[own[name]]) > 0 for name in (SILENT, STUCK) if name in own):
        return
    then, now = usual_of(tracks.before[own[OWN_TIME]]), lately(tracks.during[own[OWN_TIME]])
    lost = some(lately(tracks.during[own[LOST]])) if LOST in own else 0.0
    if now <= SAME * then and lost <= LOST_FEW:
        yield Mark(FARTHER.mark, max(nats_of(view, row) for row in shown))


def longer_ways(view: View, entity: int) -> list[int]:
    """The ways to it that take far longer, as calls over them tell; none where most do not, or for another's sake."""
    tracks = view.picture.tracks
    ways = [row for row in np.flatnonzero(tracks.peer == entity).tolist() if FARTHER.metric.search(tracks.signal[row])]
    told = [row for row in ways if np.isfinite(lately(tracks.during[row]))]
    long = [row for row in told if is_beyond(FARTHER, usual_of(tracks.before[row]), lately(tracks.during[row]))]
    shown = [row for row in long if not _is_measured(tracks, row)]
    enough = bool(shown) and len(shown) >= MOST * len(told)
    return shown if enough and not _ends_alike(tracks, FARTHER, shown, entity) else []


def _is_measured(tracks: Tracks, way: int) -> bool:
    """Whether something tells of the way itself, beside the calls over it."""
    same = np.flatnonzero((tracks.entity == tracks.entity[way]) & (tracks.peer == tracks.peer[way])).tolist()
    return any(gauge.metric.search(tracks.signal[row]) for row in same for gauge in PATHS)


def _ends_alike(tracks: Tracks, gauge: Gauge, shown: Sequence[int], entity: int) -> bool:
    """Whether all of these ways have one other end, of which most of more ways show the same: then it is that one."""
    ends = {int(tracks.entity[row]) + int(tracks.peer[row]) - entity for row in shown}
    if len(ends) != 1:
        return False
    other = ends.pop()
    every = np.flatnonzero((tracks.peer != NOBODY) & ((tracks.entity == other) | (tracks.peer == other)))
    alike = [row for row in every if gauge.metric.search(tracks.signal[row])]
    count = sum(is_beyond(gauge, usual_of(tracks.before[row]), lately(tracks.during[row])) for row in alike)
    return count > len(shown) and count >= MOST * len(alike)


def is_cut_off(view: View, entity: int) -> bool:
    """Whether callers wait in vain for what never comes there, while it has nothing to do.

    Who hangs has its hands full, and who is down refuses at once.
    """
    tracks, tallies = view.picture.tracks, view.picture.tallies
    own = rows_of(tracks, entity)
    lost = [row for row in own if tracks.signal[row] == LOST]
    if not any(lately(tracks.during[row]) >= max(LOST_MIN, 2 * some(usual_of(tracks.before[row]))) for row in lost):
        return False
    if not _is_waited_for(tracks, own):
        return False
    if has_its_hands_full(tracks, own, unknown=True) or works_more(tracks, own) or fell_silent(tracks, own):
        return False
    if _fails_inside(view, entity) or runs_short(tracks, own):
        return False
    said, witnesses = {"late": 0.0, "refused": 0.0, "busy": 0.0}, set[int]()
    for row in range(len(tallies)):
        if tallies.kind[row] == "blames" and tallies.peer[row] == entity and tallies.text[row] in said:
            said[tallies.text[row]] += float(tallies.hits_during[row])
            witnesses.add(int(tallies.entity[row]))
    if all(names_its_own(view, each) or runs_short(tracks, rows_of(tracks, each)) for each in witnesses):
        return False
    return said["late"] >= LINES_MIN and said["late"] > said["refused"] + said["busy"]  # these are answers


def _is_waited_for(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether those who call it wait longer than usual; true where nothing tells.

    Who gives up sooner than an answer can come fails as fast as ever, whatever the way is like; and so does who is told
    at once that nobody is there.
    """
    asked = [row for row in rows if tracks.signal[row] == DURATION]
    told = ((usual_of(tracks.before[row]), most(tracks, row, WAITED_S)) for row in asked)
    known = [now >= WAITS * then for then, now in told if np.isfinite(then) and np.isfinite(now)]
    return any(known) if known else True


def _fails_inside(view: View, entity: int) -> bool:
    """Whether requests fail in it that nothing it needs has failed: then they arrive."""
    tallies = view.picture.tallies
    rows = (row for row in range(len(tallies)) if tallies.kind[row] == "error" and tallies.entity[row] == entity)
    return any(tallies.hits_during[row] >= LINES_MIN and louder(view, row) >= CLEAR for row in rows)
