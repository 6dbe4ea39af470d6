"""What lines say of others, and whether anything that is measured bears it out: anyone may write a line."""

from collections.abc import Collection, Mapping

import numpy as np

from cerebro.casework.cause.answers import DURATION, FAILED, LOST
from cerebro.casework.cause.edges import towards
from cerebro.casework.cause.picture import NOBODY, Calls, Picture, Tallies, chosen_tallies
from cerebro.casework.cause.steps import highest, some, usual_of

GARBLED = "garbled"
HURT_MIN, HURT_TIMES = {FAILED: 2.0, LOST: 20.0}, 1.5  # percent more than usual, and times as long
SLOW_TOO = frozenset({"late", "busy", "locked", "deadlock"})  # where calls that take longer bear a word out, too


def believed(tallies: Tallies, edges: Mapping[tuple[int, int], Calls]) -> Tallies:
    """The tallies without lines that blame one whose calls are measured to be well.

    Those of the speaker itself decide; of who was never seen to call it, those of all others.
    """
    rows = zip(tallies.kind, tallies.entity.tolist(), tallies.peer.tolist(), strict=True)
    kept = np.array([kind != "blames" or not _is_well(edges, who, peer) for kind, who, peer in rows], np.bool_)
    return tallies if kept.all() else chosen_tallies(tallies, kept)


def doubted(tallies: Tallies, edges: Mapping[tuple[int, int], Calls], outside: Collection[int]) -> Tallies:
    """The lines that say of a supplier's answers that they cannot be read, though calls to it are measured to be well.

    Who counts calls does not read what is answered. They may be true where the speaker fails its own users meanwhile,
    and of all that it calls nothing else is ill.

    Args:
        outside: The suppliers: what is ours tells of itself.
    """
    rows = zip(tallies.kind, tallies.text, tallies.entity.tolist(), tallies.peer.tolist(), strict=True)
    may_be = [
        kind == "blames" and text == GARBLED and peer in outside
        and _looks_well(edges, who, peer) and not _is_failed_by_another(edges, who)
        for kind, text, who, peer in rows
    ]  # fmt: skip
    return chosen_tallies(tallies, np.array(may_be, np.bool_))


def _looks_well(edges: Mapping[tuple[int, int], Calls], speaker: int, peer: int) -> bool:
    """Whether the speaker's own calls to it are well, and its own answers are not."""
    calls, answers = edges.get((speaker, peer)), edges.get((speaker, NOBODY))
    return calls is not None and calls.well and answers is not None and answers.failing


def _is_failed_by_another(edges: Mapping[tuple[int, int], Calls], speaker: int) -> bool:
    return any(who == speaker and peer != NOBODY and (each.failing or each.slow) for (who, peer), each in edges.items())


def _is_well(edges: Mapping[tuple[int, int], Calls], speaker: int, peer: int) -> bool:
    own = edges.get((speaker, peer))
    if own is not None:
        return own.well
    others = towards(edges, peer)
    return any(calls.well for calls in others) and not any(calls.failing or calls.slow for calls in others)


def is_borne_out(picture: Picture, entity: int, word: str, speakers: Collection[int]) -> bool:
    """Whether calls suffer as the word has it: the speakers' calls to it, or all that is asked of it.

    Args:
        speakers: Who says it of the entity; empty where it says so itself, of whom it does not name.
    """
    edges, slow_too = picture.edges, word in SLOW_TOO
    if speakers:
        calls = [(who, edges[who, entity]) for who in speakers if (who, entity) in edges]
    else:
        calls = [(who, each) for (who, peer), each in edges.items() if who == entity and peer != NOBODY]
    if any(each.failing or (slow_too and each.slow) for _, each in calls):
        return True
    if word == GARBLED and any(who != entity and _looks_well(edges, who, entity) for who, _ in calls):
        return True  # of these, only lines are heard that were doubted and found to be true
    if any(each.ceased and (who, NOBODY) in edges and edges[who, NOBODY].failing for who, each in calls):
        return True  # who answers that it cannot, and asks no more, has not got through
    return _suffers(picture, entity, slow_too=slow_too)


def _suffers(picture: Picture, entity: int, *, slow_too: bool) -> bool:
    """Whether what is asked of it fails or never comes of late, or takes longer, as far as it is measured."""
    tracks = picture.tracks
    for row in np.flatnonzero((tracks.entity == entity) & (tracks.peer == NOBODY)).tolist():
        then, now = some(usual_of(tracks.before[row])), highest(tracks.during[row])
        least = HURT_MIN.get(tracks.signal[row])
        if least and now >= then + least:
            return True
        if slow_too and tracks.signal[row] == DURATION and now >= HURT_TIMES * then > 0:
            return True
    return False
