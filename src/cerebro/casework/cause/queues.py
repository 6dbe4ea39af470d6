"""Queues: what piles up in one although no more is put in is left there by those who take from it.

A queue works for both of its ends and seldom breaks by itself. When it does, those who ask it say so; and a message
that nobody can digest comes back again and again. Where neither is seen and what is put in is the usual, the depth, the
age and the undone share of a queue are signs of its consumers: conservation of messages, J. D. C. Little, A Proof for
the Queuing Formula L = lambda W, Operations Research 9 (1961), 383-387.
"""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.clues import NATS_MIN, Clues, Family
from cerebro.casework.cause.picture import NOBODY, Picture
from cerebro.casework.cause.strength import Real

CONSUMES = "consumes_from"
PUT = re.compile(r"publish|produced|enqueued|messages[._]in(_|$)")
BACK = re.compile(r"redeliver|requeue|nack")
DEEP = re.compile(r"queue[._](depth|length|size)|backlog|consumer(_?group)?[._]lag|messages_ready")
PILED = re.compile(DEEP.pattern + r"|consumer(_?group)?[._]delay|oldest_message|:unserved_ratio")
DRAINED = 0.7  # of the most that waited during the trouble
MORE = 1.25  # times what is usually put in
BACK_TIMES, BACK_STEP = 4.0, 0.1  # as for the mark of a poisonous message
NEWEST = 3  # steps, the middle of which says whether they come back: the trouble's first ones may not be of it
KEPT = 0.2  # of what waits in a queue, that still speaks of the queue


def handed_over(picture: Picture, clues: Clues, per_family: Real) -> Real:
    """Nats (entity, family), with what waits in queues laid on those who leave it there."""
    moved = per_family.copy()
    for queue, consumers in undrained(picture, clues).items():
        waiting = per_family[queue, Family.WAITING]
        moved[queue, Family.WAITING] = KEPT * waiting
        moved[consumers, Family.WAITING] = np.maximum(moved[consumers, Family.WAITING], waiting)
    return moved


def takers_of(picture: Picture) -> NDArray[np.bool_]:
    """bool (entity,): who takes work from a queue."""
    takers = {each.source for each in picture.relations if each.kind == CONSUMES}
    return np.array([key in takers for key in picture.entities], np.bool_)


def left_undone(picture: Picture, clues: Clues, entity: int) -> list[int]:
    """The clues of what waits in the queues that this one leaves undrained, the loudest first."""
    who = picture.entities[entity]
    names = {each.target for each in picture.relations if each.kind == CONSUMES and each.source == who}
    mine = [k for k, key in enumerate(picture.entities) if key in names] if names else []
    left = (queue for queue in mine if _is_left(picture, clues, queue) and not _is_drained(picture, clues, queue))
    rows = [row for queue in left for row in _piled(clues, queue)]
    return sorted(rows, key=lambda row: -float(clues.nats[row]))


def undrained(picture: Picture, clues: Clues) -> Mapping[int, NDArray[np.int64]]:
    """Who leaves what waits in each queue, by queue."""
    place = {key: k for k, key in enumerate(picture.entities)}
    takers: dict[int, set[int]] = {}
    for each in picture.relations:
        if each.kind == CONSUMES and each.source in place and each.target in place:
            takers.setdefault(place[each.target], set()).add(place[each.source])
    return {
        queue: np.array(sorted(by), np.int64) for queue, by in sorted(takers.items()) if _is_left(picture, clues, queue)
    }


def _is_left(picture: Picture, clues: Clues, queue: int) -> bool:
    return bool(_piled(clues, queue)) and not _is_flooded(picture, queue) and not _is_accused(clues, queue)


def _piled(clues: Clues, queue: int) -> list[int]:
    mine = np.flatnonzero(
        (clues.entity == queue) & (clues.peer == NOBODY) & (clues.sign > 0) & (clues.nats >= NATS_MIN)
    )
    return [row for row in mine.tolist() if clues.table[row] == "tracks" and PILED.search(clues.text[row].lower())]


def _is_flooded(picture: Picture, queue: int) -> bool:
    """Whether more is put in than usual, or nothing tells; or the same messages come back."""
    put = _rows(picture, queue, PUT)
    if not put or any(now > MORE * then for then, now in put):
        return True
    return any(now >= max(BACK_TIMES * then, BACK_STEP) for then, now in _rows(picture, queue, BACK, NEWEST))


def _is_drained(picture: Picture, clues: Clues, queue: int) -> bool:
    """Whether much less waits there now than did, of what has piled up: who takes from it does so again."""
    tracks = picture.tracks
    mine = [int(clues.row[k]) for k in _piled(clues, queue)]
    held = (tracks.during[row] for row in mine if DEEP.search(tracks.signal[row].lower()))
    told = [values[np.isfinite(values)] for values in held]
    return any(len(values) > 1 and values[-1] <= DRAINED * values.max() for values in told)


def _rows(picture: Picture, queue: int, words: re.Pattern[str], newest: int = 0) -> list[tuple[float, float]]:
    """What is usual and what is now, of each such series of the queue that tells both.

    Args:
        newest: Steps that are now; 0 for all of the trouble.
    """
    tracks = picture.tracks
    mine = np.flatnonzero((tracks.entity == queue) & (tracks.peer == NOBODY)).tolist()
    found = []
    for row in mine:
        before, during = (values[np.isfinite(values)] for values in (tracks.before[row], tracks.during[row]))
        if len(before) and len(during) and words.search(tracks.signal[row].lower()):
            found.append((float(np.median(before)), float(np.median(during[-newest:]))))
    return found


def _is_accused(clues: Clues, queue: int) -> bool:
    """Whether those who ask it say more than usual that it does not answer, or not well."""
    mine = np.flatnonzero((clues.peer == queue) & (clues.sign > 0) & (clues.nats >= NATS_MIN))
    return any(clues.table[row] == "tallies" for row in mine.tolist())
