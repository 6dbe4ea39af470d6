"""What speaks against the usual, from every column of a picture, in one measure: nats."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.shift import excess_of_counts, medians, shifts
from cerebro.casework.cause.grid import falls
from cerebro.casework.cause.picture import NOBODY, Picture, Role, Tallies, Times, Tracks


class Family(IntEnum):
    """Where a clue is from. Clues of one family say much the same thing: the strongest counts, the others little."""

    RESOURCE, LATENCY, ERRORS, TRAFFIC, OTHER, WAITING = 0, 1, 2, 3, 4, 5  # as Role
    OWN_TIME, OWN_ERRORS, LOGS, FLOW, WIRE, ABSENT, FINDING = 6, 7, 8, 9, 10, 11, 12
    CANARY, CANARY_USE = 13, 14  # answers of a new version beside the old one's; and what it uses up


SYMPTOMS = (Family.LATENCY, Family.ERRORS)  # a callee may be behind them
OF_TALLY = {
    "log": Family.LOGS,
    "pair": Family.LOGS,
    "branch": Family.FLOW,
    "error": Family.OWN_ERRORS,
    "call": Family.WIRE,
    "absent": Family.ABSENT,
    "said": Family.LOGS,
    "blames": Family.WIRE,
}
LOG_DOUBT, FLOW_DOUBT, ERROR_DOUBT = 0.3, 0.1, 0.1  # how far shares of such things wander by themselves, relative
WAY = 0.1  # of the times that a way through the code is taken: a smaller change of it is seldom a fault
POINT = 0.5  # percentage points of failures that wander by themselves
TIME_DOUBT = 0.15  # an operation's own time wanders by so much from hour to hour, in log units
NATS_MIN = 1.0  # weaker clues are chance
FAILING = (Family.ERRORS, Family.OWN_ERRORS)


@dataclass(frozen=True, slots=True)
class Clues:
    """A row each; see `Family`.

    Args:
        nats: How strongly it speaks, at least 0.
        sign: +1 when there is more of it than usual.
        change: In the unit of its series or its share.
        onset_ms: When it seems to have begun; 0 when it cannot tell.
        doubt_ms: How uncertain that is.
        table: `tracks`, `tallies` or `times`, and `row` there.
    """

    entity: NDArray[np.int32]
    peer: NDArray[np.int32]
    family: NDArray[np.int8]
    nats: NDArray[np.float64]
    sign: NDArray[np.float64]
    change: NDArray[np.float64]
    level: NDArray[np.float64]
    onset_ms: NDArray[np.float64]
    doubt_ms: NDArray[np.float64]
    text: tuple[str, ...]
    table: tuple[str, ...]
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.text)


def got_better(found: Clues) -> NDArray[np.bool_]:
    """bool (clue,): what fails less than before; it accuses nobody."""
    told = np.array([table == "tallies" for table in found.table], np.bool_)
    failures = np.isin(found.family, FAILING) | ((found.family == Family.WIRE) & told)
    return np.asarray(failures & (found.sign < 0))


def clues(picture: Picture) -> Clues:
    """Everything in the picture that speaks, whatever it is worth."""
    parts = [_of_tracks(picture.tracks), _of_tallies(picture.tallies), _of_times(picture.times)]
    return _joined([part for part in parts if len(part)] or parts[:1])


def _of_tracks(tracks: Tracks) -> Clues:
    before, during, flipped = _as_trouble(tracks)
    shares = flipped | np.array([signal.endswith("share") for signal in tracks.signal], bool)
    found = shifts(before, during, np.where(shares, POINT, 0.0))
    family = tracks.role.astype(np.int8).copy()
    answers = np.isin(tracks.role, (Role.LATENCY, Role.ERRORS))
    family[tracks.parallel] = np.where(answers, Family.CANARY, Family.CANARY_USE)[tracks.parallel]
    at = tracks.at_ms.astype(np.float64)
    step_ms = float(at[1] - at[0]) if len(at) > 1 else 60_000.0
    onset = np.where(found.onset >= 0, at[np.clip(found.onset, 0, None)] if len(at) else 0.0, 0.0)
    count = len(tracks)
    return Clues(
        tracks.entity,
        tracks.peer,
        family,
        np.where(shares, found.nats, _ceiling(found.nats, before)),
        np.sign(found.change),
        found.change,
        np.where(flipped, 0.0, found.level),
        onset,
        found.spread * step_ms,
        tracks.signal,
        ("tracks",) * count,
        np.arange(count),
    )


def _as_trouble(tracks: Tracks) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """The series with availability and the like turned round into what is missing of it, so that more is worse."""
    flipped = tracks.role == Role.ERRORS
    flipped[flipped] = [falls(tracks.signal[row]) for row in np.flatnonzero(flipped).tolist()]
    if not flipped.any():
        return tracks.before, tracks.during, flipped
    before, during = tracks.before.copy(), tracks.during.copy()
    for row in np.flatnonzero(flipped):
        values = np.concatenate([before[row], during[row]])
        values = values[np.isfinite(values)]
        whole = 100.0 if len(values) and values.max() > 1.5 else 1.0
        before[row], during[row] = (whole - before[row]) * 100 / whole, (whole - during[row]) * 100 / whole
    return before, during, flipped


def _ceiling(nats: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """A series without natural bounds that never moved cannot say how far it may.

    Its clue is worth no more than its history is long.

    A rare value among n others has at best a chance of one in n + 1.
    """
    if not before.size:
        return nats
    finite = np.isfinite(before)
    count = finite.sum(1)
    first = medians(before)
    still = (np.isclose(before, first[:, None]) & finite).sum(1) >= 0.9 * np.maximum(count, 1)
    return np.where(still, np.minimum(nats, np.log1p(count)), nats)


def _of_tallies(tallies: Tallies) -> Clues:
    family = np.array([OF_TALLY[kind] for kind in tallies.kind], np.int8)
    doubt = np.where(family == Family.LOGS, LOG_DOUBT, np.where(family == Family.FLOW, FLOW_DOUBT, ERROR_DOUBT))
    nats = np.zeros(len(tallies))
    for each in np.unique(doubt):
        mine = doubt == each
        nats[mine] = excess_of_counts(
            tallies.hits_before[mine],
            tallies.of_before[mine],
            tallies.hits_during[mine],
            tallies.of_during[mine],
            float(each),
        )
    level = tallies.hits_before / np.maximum(tallies.of_before, 1)
    share = tallies.hits_during / np.maximum(tallies.of_during, 1) - level
    ways = np.isin(np.array(tallies.kind, str), ("pair", "branch"))
    size = np.where(ways, 1.0 - np.exp(-np.abs(share) / WAY), 1.0)
    none = np.zeros(len(tallies))
    return Clues(
        tallies.entity,
        tallies.peer,
        family,
        np.abs(nats) * size,
        np.sign(nats),
        share,
        level,
        none,
        none,
        tallies.text,
        ("tallies",) * len(tallies),
        np.arange(len(tallies)),
    )


def _of_times(times: Times) -> Clues:
    """Welch's statistic of the mean log time, with a doubt that no count removes, under the same heavy tail."""
    error = np.sqrt(
        TIME_DOUBT**2
        + times.spread_before**2 / np.maximum(times.count_before, 1)
        + times.spread_during**2 / np.maximum(times.count_during, 1)
    )
    change = times.mean_during - times.mean_before
    known = (times.count_before >= 3) & (times.count_during >= 2)
    score = np.where(known, change / error, 0.0)
    family = np.where(times.peer == NOBODY, Family.OWN_TIME, Family.WIRE).astype(np.int8)
    none = np.zeros(len(times))
    return Clues(
        times.entity,
        times.peer,
        family,
        2.0 * np.log1p(score**2 / 4.0),
        np.sign(score),
        np.where(known, np.exp(times.mean_during) - np.exp(times.mean_before), 0.0),
        np.exp(times.mean_before),
        none,
        none,
        times.operation,
        ("times",) * len(times),
        np.arange(len(times)),
    )


def _joined(parts: Sequence[Clues]) -> Clues:
    def column(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Clues(
        column("entity").astype(np.int32),
        column("peer").astype(np.int32),
        column("family").astype(np.int8),
        column("nats"),
        column("sign"),
        column("change"),
        column("level"),
        column("onset_ms"),
        column("doubt_ms"),
        tuple(text for part in parts for text in part.text),
        tuple(table for part in parts for table in part.table),
        column("row").astype(np.int64),
    )
