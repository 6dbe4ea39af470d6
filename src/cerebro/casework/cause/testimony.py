"""What lines say of others, and whether anything that is measured bears it out: anyone may write a line."""

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.answers import DURATION, FAILED, LOST
from cerebro.casework.cause.homemade import GIVEN_UP
from cerebro.casework.cause.picture import NOBODY, Picture, Tracks
from cerebro.casework.cause.steps import highest, some, usual_of

HURT_MIN, HURT_TIMES = {FAILED: 2.0, LOST: 20.0}, 1.5  # percent more than usual, and times as long


def is_hurt(tracks: Tracks, entity: int) -> bool:
    """Whether what is asked of it fails, never comes or takes longer than usual of late, as far as it is measured."""
    for row in np.flatnonzero((tracks.entity == entity) & (tracks.peer == NOBODY)).tolist():
        then, now = some(usual_of(tracks.before[row])), highest(tracks.during[row])
        least = HURT_MIN.get(tracks.signal[row])
        if (least and now >= then + least) or (tracks.signal[row] == DURATION and now >= HURT_TIMES * then > 0):
            return True
    given_up = (row for row in np.flatnonzero(tracks.peer == entity) if tracks.signal[row] == GIVEN_UP)
    return any(highest(tracks.during[row]) >= HURT_MIN[FAILED] for row in given_up)  # whoever's doing that is


def refuted(picture: Picture) -> NDArray[np.bool_]:
    """bool (tally,): lines that blame one of whom callers measure that nothing of it fails, is lost or late."""
    tallies, tracks = picture.tallies, picture.tracks
    measured = {int(tracks.entity[row]) for row in range(len(tracks)) if tracks.signal[row] == FAILED}
    blamed = {int(tallies.peer[row]) for row in range(len(tallies)) if tallies.kind[row] == "blames"}
    well = {entity for entity in blamed & measured if not is_hurt(tracks, entity)}
    rows = zip(tallies.kind, tallies.peer.tolist(), strict=True)
    return np.array([kind == "blames" and peer in well for kind, peer in rows], np.bool_)
