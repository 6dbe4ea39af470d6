"""What was done to things shortly before: reasons, and renewals."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.clues import NATS_MIN
from cerebro.casework.cause.held import INTERVAL_MS
from cerebro.casework.cause.picture import NOBODY, Change, Picture
from cerebro.casework.cause.strength import Real

CHANGE_WITHIN_MS = 30 * 60_000
# A fault that a change brings shows soon after it: what is later by so much is less likely by a nat, and a change that
# was so long before counts half. A leak that it brings shows within minutes: six are well on this side of it.
FADES_MS = 10 * 60_000
RECENT = 0.5  # of its force, down to which a change names a cause outright
GRACE_MS = 2 * INTERVAL_MS  # clocks differ, and what is sent at intervals tells of the one before
BACK_MS = 60_000  # after the onset, within which what is put back still ends what the change before it could do
TOO_LATE = 0.2  # of the score of what changed when the trouble was there already
REASONS = frozenset(
    {"deploy", "rollout", "release", "config", "flag", "feature_flag", "migration", "schedule", "certificate"}
)
# What puts back what was there while all was well is no reason itself, and ends what the change before it could do.
RESTORING = re.compile(
    r"\b(roll(ed|ing)?[ -]?back|revert(ed|s|ing)?|restor(ed|es|ing)|put back|taken back|undone|as before)\b", re.I
)
FLAGS = frozenset({"flag", "feature_flag"})
TURNED_ON = re.compile(r"\b((turned|switched|is) on|enabled)\b", re.I)
TURNED_OFF = re.compile(r"\b((turned|switched|is) off|disabled)\b", re.I)
AT_ONCE_MS = 2_000  # what is undone was done before: with it comes no undoing of it, but one more part of it
SCALED = "scale"
RENEWING = frozenset({"deploy", "rollout", "release", "restart", SCALED, "boot"})


def puts_back(change: Change) -> bool:
    """Whether the change says that it goes back to what was before another one."""
    return RESTORING.search(change.title) is not None


def renewed(picture: Picture) -> NDArray[np.bool_]:
    """The entities whose processes were replaced on purpose shortly before."""
    last = {
        change.entity
        for change in picture.changes
        if change.kind in RENEWING and picture.onset_ms - CHANGE_WITHIN_MS <= change.at_ms <= picture.end_ms
    }
    return np.array([key in last for key in picture.entities], np.bool_)


def changes_of(picture: Picture, evidence: Real) -> NDArray[np.int64]:
    """The newest change of each entity that is accused already, from shortly before the onset."""
    place = {key: k for k, key in enumerate(picture.entities)}
    found = np.full(len(place), NOBODY)
    order: Sequence[int] = sorted(
        range(len(picture.changes)), key=lambda k: (picture.changes[k].at_ms, picture.changes[k].title)
    )
    for k in order:
        change = picture.changes[k]
        entity = place.get(change.entity)
        if change.kind not in REASONS:
            continue  # what an autoscaler, a supervisor or we did about a trouble is no reason for it
        if entity is None or not _is_near(picture, change) or evidence[entity] < 2 * NATS_MIN:
            continue
        if not (puts_back(change) or _turns_off(change)):
            found[entity] = k
        elif found[entity] != NOBODY and _ends(change, picture.changes[found[entity]]):
            found[entity] = NOBODY
    return found


def force_of(picture: Picture, change: NDArray[np.int64]) -> Real:
    """float64 (entity,): how much the change counts that each had: all of it at the onset, the less the longer before.

    Args:
        change: int64 (entity,), as `changes_of` gives it.
    """
    before_ms = [picture.onset_ms - picture.changes[k].at_ms if k != NOBODY else np.inf for k in change.tolist()]
    return np.asarray(RECENT ** (np.maximum(np.array(before_ms, np.float64), 0.0) / FADES_MS))


def _is_near(picture: Picture, change: Change) -> bool:
    """Whether it came shortly before the onset, or so soon after it that nobody can tell."""
    grace_ms = BACK_MS if puts_back(change) or _turns_off(change) else GRACE_MS
    return -grace_ms <= picture.onset_ms - change.at_ms <= CHANGE_WITHIN_MS


def _turns_off(change: Change) -> bool:
    """Whether it takes a feature away again, so that there is nothing left to turn off."""
    return change.kind in FLAGS and TURNED_OFF.search(change.title) is not None


def _ends(change: Change, before: Change) -> bool:
    """Whether nothing of what was done before is left: a flag that is turned off ends its own turning on alone."""
    if puts_back(change):
        return change.at_ms - before.at_ms >= AT_ONCE_MS
    return before.kind in FLAGS and TURNED_OFF.sub("", change.title) == TURNED_ON.sub("", before.title)


def blamed(picture: Picture, score: Real) -> list[tuple[int, float]]:
    """Which change did it: every change that can be a reason, an index into the picture's with its nats, worst first.

    What comes before the trouble can have begun it, and rather did the shorter before it was; what comes after can
    not. Of several steps of one change on one thing, the last before the trouble counts.

    Args:
        score: (entity,), nats for each thing being the cause, whether it was changed or not.
    """
    place = {key: k for k, key in enumerate(picture.entities)}
    best: dict[int, tuple[float, int]] = {}
    for k, change in enumerate(picture.changes):
        entity = place.get(change.entity, NOBODY)
        if entity == NOBODY or change.kind not in REASONS or puts_back(change):
            continue
        before_ms = picture.onset_ms - change.at_ms
        nats = float(score[entity]) - max(before_ms, 0) / FADES_MS
        nats *= TOO_LATE if before_ms < 0 and nats > 0 else 1.0
        best[entity] = max(best.get(entity, (-np.inf, k)), (nats, k))
    return sorted(((k, nats) for nats, k in best.values()), key=lambda each: (-each[1], picture.changes[each[0]].title))
