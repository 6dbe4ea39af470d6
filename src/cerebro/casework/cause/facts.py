"""What is known of one thing in a picture, and asked again and again where its marks are told."""

from collections.abc import Iterable

import numpy as np

from cerebro.algorithms.shift import excess_of_counts
from cerebro.casework.cause.answers import REQUESTS, SILENT, UNEVEN
from cerebro.casework.cause.gauges import CPU, RUNS_SHORT
from cerebro.casework.cause.picture import NOBODY, Tracks
from cerebro.casework.cause.replicas import IN_FLIGHT, WAITING_THERE
from cerebro.casework.cause.steps import NEWEST, highest, lately, newest, some, usual_of
from cerebro.casework.cause.view import View
from cerebro.casework.cause.vocabulary import CLEAR, telling

LINES_MIN = 3.0  # of trouble, that speak of it
NEW_SHARE = 0.05  # of all lines, that something never said before must make up to be clear
MOST = 0.6  # of the ways to a thing
LOST_MIN = 20.0  # percent of the calls, that never come
HELD_MORE = 2.0  # times as many requests as usual, from which on someone has its hands full
WORKS, WORKS_STEP = 1.25, 0.03  # times what its processors usually do; and of them, so much more
SHORT, SHORT_TIMES = 0.5, 2.0  # of its limit, and times what is usual: it is being used up
LOPSIDED = 0.7


def rows_of(tracks: Tracks, entity: int) -> list[int]:
    """The rows of what it measures of itself."""
    rows: list[int] = np.flatnonzero((tracks.entity == entity) & (tracks.peer == NOBODY)).tolist()
    return rows


def nats_of(view: View, row: int) -> float:
    """How unusual a track is; of one that is beyond its bound, at least clear. Clues of tracks stand before others."""
    found = view.found
    known = row < len(found) and found.table[row] == "tracks" and found.row[row] == row
    return max(CLEAR, float(found.nats[row]) if known else 0.0)


def asked_of(view: View, entity: int, *, usually: bool = False) -> float:
    """Requests a second that come to it now, or usually; 0 where nothing tells."""
    tracks = view.picture.tracks
    rows = rows_of(tracks, entity)
    mine = [k for k in rows if tracks.signal[k] == REQUESTS]
    found = [usual_of(tracks.before[k]) if usually else lately(tracks.during[k]) for k in mine]
    return max((each for each in found if np.isfinite(each)), default=0.0)


def work_of(tracks: Tracks, rows: Iterable[int]) -> float:
    """How many times what is usual is asked, at least once: so much more of everything is used by that alone."""
    for row in rows:
        if tracks.signal[row] == REQUESTS:
            then, now = usual_of(tracks.before[row]), tracks.during[row]
            now = now[np.isfinite(now)][-NEWEST:]  # what came late may be missing yet
            if then > 0 and len(now):
                return max(1.0, float(now.max()) / then)
    return 1.0


def works_more(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether its processors have more to do than usual: then what is asked of it arrives."""
    mine = [row for row in rows if CPU.search(tracks.signal[row].lower())]
    usual = ((row, some(usual_of(tracks.before[row]))) for row in mine)
    return any(lately(tracks.during[row]) > max(WORKS * then, then + WORKS_STEP) for row, then in usual)


def has_its_hands_full(tracks: Tracks, rows: Iterable[int], *, unknown: bool) -> bool:
    """Whether far more requests are being worked than usual; `unknown` where nothing tells of it.

    Once of late is enough: what is being worked has come, and is counted as answered only later. Who works a few at a
    time lets the others wait before it begins with them: they have come, too.
    """
    told = [(row, tracks.signal[row].lower()) for row in rows]
    held = [row for row, signal in told if IN_FLIGHT.search(signal)]
    waiting = [row for row, signal in told if WAITING_THERE.search(signal)]
    before, during = (np.nan_to_num(part[waiting]).sum(axis=0) for part in (tracks.before, tracks.during))
    more = (
        highest(tracks.during[row] + during) > HELD_MORE * some(usual_of(tracks.before[row] + before)) + 1
        for row in held
    )
    return any(more) if held else unknown


def runs_short(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether something of its own is being used up by now: without it nothing is let in, however whole the way is.

    Its newest step is enough, since its lines and the next step may come late for the same reason.
    """
    limited = (row for row in rows if RUNS_SHORT.search(tracks.signal[row].lower()))
    told = ((some(usual_of(tracks.before[row])), some(newest(tracks.during[row]))) for row in limited)
    return any(now >= max(SHORT, SHORT_TIMES * then) for then, now in told)


def fell_silent(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether a replica of it has ceased to tell since the trouble began: then it is that one that answers nothing."""
    silent = (tracks.during[row] for row in rows if tracks.signal[row] == SILENT)
    return any(bool((values >= 1.0).any()) for values in silent)


def is_lopsided(tracks: Tracks, rows: Iterable[int]) -> bool:
    """Whether one replica has by far the most of the work."""
    shares = (row for row in rows if tracks.signal[row] == UNEVEN)
    return any(newest(tracks.during[row]) >= max(LOPSIDED, 1.2 * some(usual_of(tracks.before[row]))) for row in shares)


def callers_of(view: View, callee: int) -> set[int]:
    """Who calls it, as far as calls are told of."""
    tracks = view.picture.tracks
    return {int(tracks.entity[k]) for k in np.flatnonzero(tracks.peer == callee)}


def louder(view: View, row: int) -> float:
    """How strongly a word is said more than usual; what was never said before and is said often now is clear."""
    tallies = view.picture.tallies
    one = slice(row, row + 1)
    nats = excess_of_counts(
        tallies.hits_before[one], tallies.of_before[one], tallies.hits_during[one], tallies.of_during[one], 0.3
    )
    often = tallies.hits_during[row] >= max(LINES_MIN, NEW_SHARE * tallies.of_during[row])
    return max(float(nats[0]), CLEAR if often and not tallies.hits_before[row] else 0.0)


def names_its_own(view: View, entity: int) -> bool:
    """Whether its own lines name what is wrong with itself: then what it says of others is no testimony."""
    tallies = view.picture.tallies
    return any(
        tallies.kind[row] == "said" and tallies.entity[row] == entity and telling(tallies.text[row]) > 1
        and tallies.hits_during[row] >= LINES_MIN and louder(view, row) >= CLEAR
        for row in range(len(tallies))
    )  # fmt: skip
