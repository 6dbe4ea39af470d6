"""Single replicas of one thing: who has the work, who holds what it was given, and who has ceased to tell."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.asked import Real, plus

# Requests that a replica has taken: those that are being worked, and those that wait there for their turn. What it
# waits for itself, a connection or an answer, is called otherwise: pending, or a client's.
IN_FLIGHT = re.compile(r"active_requests|in_?flight")
WAITING_THERE = re.compile(r"(?<!client[._])(waiting|queued)_requests")
FEW_GAPS = 4  # between two of a replica's tellings, in which one takes another's place
LATELY_STEPS = 12  # a replica that has told nothing for longer is no more
HELD_MIN = 3.0  # requests in work, from which on it tells something who has them
ASKED_MIN = 0.5  # requests a second and replica, from which on one that answers none does not just wait for its turn


class Replicas:
    """What single replicas of one thing have to do."""

    def __init__(self) -> None:
        self._load: dict[str, dict[str, Real]] = {"asked": {}, "held": {}}
        self._told: dict[str, NDArray[np.bool_]] = {}

    def add(self, instance: str, metric: str, values: Real, told: NDArray[np.bool_]) -> None:
        """One more series of one of them, and in which steps it was told."""
        self._told[instance] = self._told.get(instance, np.zeros_like(told)) | told
        if metric.endswith("_count") and "duration" in metric and "client" not in metric:
            self._more("asked", instance, values)  # a series for each route and code
        elif (IN_FLIGHT.search(metric) or WAITING_THERE.search(metric)) and "client" not in metric:
            self._more("held", instance, values)

    def _more(self, part: str, instance: str, values: Real) -> None:
        before = self._load[part].get(instance)
        self._load[part][instance] = values if before is None else plus(before, values)

    def silent(self, renewals: Sequence[tuple[float, bool]] = ()) -> Real:
        """How many of them told something a little earlier, and tell nothing now, and were not taken away on purpose.

        Args:
            renewals: The steps at which someone exchanged some, or, where true, changed their number.
        """
        quiet, last, gap = self._quiet()
        steps, whole = np.arange(last.shape[1]), _all_of(quiet, last)
        # one that has been quiet for long was scaled in; all of them at once were not, however long ago that is
        until = np.where(whole, last.max(0), steps)
        silent = quiet & (until - last <= LATELY_STEPS * gap)
        for at, fewer in renewals:
            soon = steps - last <= FEW_GAPS * gap  # who was restarted comes back
            silent &= ~((np.abs(last - at) <= FEW_GAPS * gap) & (soon | (fewer & ~whole)))
        return np.asarray(np.maximum(silent.sum(0) - self._taken(silent, last, gap), 0), np.float64)

    def _taken(self, silent: NDArray[np.bool_], last: NDArray[np.int64], gap: NDArray[np.float64]) -> NDArray[np.int64]:
        """By step, how many others have begun to tell when some of these ceased: a rollout gives them new names."""
        first = (last >= 0).argmax(axis=1)
        taken = np.zeros(last.shape[1], np.int64)
        for each in np.flatnonzero(first > first.min() + 2 * gap.min()).tolist():
            near = silent & (np.abs(last - first[each]) <= FEW_GAPS * gap)
            near[each] = False  # who has ceased again takes nobody's place
            taken += near.any(axis=0)
        return taken

    def gone(self) -> NDArray[np.bool_]:
        """Whether none of those that ever told something does so any more."""
        quiet, last, _ = self._quiet()
        return _all_of(quiet, last)

    def _quiet(self) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
        """By replica and step: whether it has ceased to tell, when it told last, −1 for never; and its usual gap."""
        told = np.stack(list(self._told.values()))
        steps = np.arange(told.shape[1])
        last = np.maximum.accumulate(np.where(told, steps, -1), axis=1)
        gaps = [np.diff(np.flatnonzero(row)) for row in told]  # steps may be finer than anything is sent
        gap = np.array([np.ceil(np.median(each)) if len(each) else LATELY_STEPS for each in gaps])[:, None]
        return (last >= 0) & (steps - last >= 2 * gap - 1), last, gap

    def uneven(self) -> list[Real]:
        """The share that the busiest one has of what is asked, and of what is being worked, whichever is less.

        Both of one replica: one that hangs holds what it was given, while others answer all the rest.
        """
        both = sorted(self._load["asked"].keys() & self._load["held"].keys())
        if len(both) < 2:
            return []
        asked, held = (_parts([self._load[part][name] for name in both]) for part in ("asked", "held"))
        least = np.minimum(asked, held)
        enough = np.nansum([self._load["held"][name] for name in both], axis=0) >= HELD_MIN
        told = np.isfinite(least).any(0) & enough
        return [np.where(told, np.nan_to_num(least, nan=-1.0).max(0), np.nan)]

    def stuck(self) -> list[Real]:
        """The share of replicas that hold requests and answer none, while others do."""
        both = sorted(self._load["asked"].keys() & self._load["held"].keys())
        if len(both) < 2:
            return []
        asked, held = (np.stack([self._load[part][name] for name in both]) for part in ("asked", "held"))
        told = np.isfinite(asked) & np.isfinite(held)
        busy = np.nansum(asked, axis=0) >= ASKED_MIN * len(both)
        share = (told & (asked <= 0.0) & (held >= 1.0)).sum(0) / np.maximum(told.sum(0), 1)
        return [np.where(busy & (told.sum(0) >= 2), share, np.nan)]


def _all_of(quiet: NDArray[np.bool_], last: NDArray[np.int64]) -> NDArray[np.bool_]:
    """By step, whether all are quiet that ever told something."""
    return np.asarray(quiet.any(0) & (quiet | (last < 0)).all(0))


def _parts(rows: Sequence[Real]) -> Real:
    """What each has of the sum, over two steps: replicas are looked at in moments of their own."""
    stacked = np.stack(rows)
    stacked[:, 1:] = 0.5 * (stacked[:, 1:] + stacked[:, :-1])
    several, stacked = np.isfinite(stacked).sum(0) >= 2, np.nan_to_num(stacked)
    total = stacked.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(several & (total > 0), stacked / total, np.nan)
