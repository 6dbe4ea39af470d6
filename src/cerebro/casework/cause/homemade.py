"""Calls that fail or wait by their caller's own doing: they tell nothing of the callee."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.asked import Answered, Asked, Edge, Line, Real, ratio_of
from cerebro.casework.cause.picture import Role
from cerebro.spine.entities import EntityKey

WIRES = re.compile(r"(^|[_.])(net|tcp|network|rtt)([_.]|$)")  # what a path between two has, and not one end of it
GIVEN_UP = "calls.abandoned.share"  # by a caller, of what the callee has answered as well and as soon as ever
GIVEN_UP_MIN = 0.05  # of the calls, more than usual
SOONER = 1.1  # times what calls usually take: who waits for longer than that has reason to give up
ANSWERED = 0.3  # of the failures that a caller sees, at most so many the callee knows of
NEVER_CAME, WANDERS = 0.5, 0.02  # of the failures, that are missing over there; and of the calls, that may be any day
CROWDED = "calls.crowded"  # they wait for a connection of their caller's own
LIMIT_RATIO, POOLS, FULL_POOL = ":limit_ratio", re.compile(r"connection|pool"), 0.9
SLOWER, WAITED = 1.5, 2.0  # times what is usual
PATH_TIMES, PATH_STEP = 5.0, 0.01  # of what a way is measured by: seconds, or segments sent again


@dataclass(frozen=True, slots=True)
class _Total:
    """What was asked over a stretch, the share of it that failed, and how long it took in the middle."""

    count: float
    failing: float
    mean: float

    @classmethod
    def of(cls, answered: Answered, steps: slice | NDArray[np.int64]) -> "_Total":
        """Of some steps."""
        parts = {name: float(np.nansum(values[steps])) for name, values in answered.parts.items()}
        count = max(parts.get("count", 0.0), 1e-9)
        return cls(count, min(parts.get("failed", 0.0) / count, 1.0), parts.get("sum", 0.0) / count)


def homemade_of(asked: Asked, found: Sequence[Line], split: int) -> dict[Edge, Line]:
    """The calls whose failing or waiting is their caller's own doing, each pair with a track of it.

    Requests are conserved: what the callee has answered and the caller counts as failed, the caller gave up. Where the
    answer, or the way of it, took longer, the calls take longer, too; what was refused or lost did not arrive. And who
    waits for a connection of its own, all of which are held, waits neither for the way nor for the answer.
    """
    full = _full_pools(found, split)
    calm = _calm_paths(found, split)
    every: dict[EntityKey, Answered] = {}
    for (_, peer), answered in asked.items():
        if peer and "count" in answered.parts:
            into = every.setdefault(peer, Answered())
            into.more("count", answered.parts["count"])
            if "failed" in answered.parts:
                into.more("failed", answered.unanswered)
    made = {}
    for (entity, peer), answered in asked.items():
        told = asked.get((peer, None)) if peer else None
        if peer is None or told is None or not {"count", "failed", "sum"} <= answered.parts.keys():
            continue
        count = answered.parts["count"]
        if _is_given_up(answered, told, every[peer], split):
            values = 100.0 * np.minimum(ratio_of(answered.unanswered, count), 1.0)
            made[entity, peer] = Line(entity, peer, Role.ERRORS, GIVEN_UP, values)
        elif entity in full and (entity, peer) in calm and _is_waited_for(answered, told, split):
            values = ratio_of(answered.parts["sum"], count)
            made[entity, peer] = Line(entity, peer, Role.LATENCY, CROWDED, values)
    return made


def _is_given_up(answered: Answered, told: Answered, every: Answered, split: int) -> bool:
    """Whether calls fail that arrive and are answered, after no longer than calls usually take.

    Of the steps in which they fail: those before would say of what is refused since that it arrives.
    """
    before = slice(None, split)
    then = _Total.of(answered, before)
    failing = ratio_of(answered.unanswered, answered.parts["count"]) >= then.failing + GIVEN_UP_MIN
    during = split + np.flatnonzero(failing[split:])
    during = during[1:] if len(during) > 1 else during  # the first one begins before it
    now = _Total.of(answered, during)
    there_then, there = _Total.of(told, before), _Total.of(told, during)
    more = now.failing - then.failing
    all_then, all_now = _Total.of(every, before), _Total.of(every, during)
    missing = 1.0 - (there.count / all_now.count) / max(there_then.count / all_then.count, 1e-9)
    return (
        more >= GIVEN_UP_MIN
        and there.failing - there_then.failing <= ANSWERED * more
        and now.mean <= SOONER * then.mean
        and there_then.count > 0
        and missing <= max(NEVER_CAME * (all_now.failing - all_then.failing), WANDERS)
    )


def _is_waited_for(answered: Answered, told: Answered, split: int) -> bool:
    """Whether calls take much longer while the callee answers what comes as well and as soon as ever."""
    before, during = slice(None, split), slice(split, None)
    then, now = _Total.of(answered, before), _Total.of(answered, during)
    there_then, there = _Total.of(told, before), _Total.of(told, during)
    better = there.failing - there_then.failing <= ANSWERED * (now.failing - then.failing) + GIVEN_UP_MIN
    return better and there.mean <= SLOWER * there_then.mean and now.mean - there.mean >= WAITED * then.mean


def _full_pools(found: Sequence[Line], split: int) -> set[EntityKey]:
    """Who holds all the connections that it may, and did not before."""
    return {
        line.entity
        for line in found
        if line.signal.endswith(LIMIT_RATIO) and POOLS.search(line.signal)
        and _late(line.values) >= FULL_POOL and np.nanmedian(line.values[:split]) < FULL_POOL / 2
    }  # fmt: skip


def _calm_paths(found: Sequence[Line], split: int) -> set[Edge]:
    """The pairs whose ways are measured, and as they were."""
    calm: set[Edge] = set()
    torn: set[Edge] = set()
    for line in found:
        if line.peer and WIRES.search(line.signal) and np.isfinite(line.values[:split]).any():
            usual, now = float(np.nanmedian(line.values[:split])), _late(line.values)
            (torn if now > max(PATH_TIMES * usual, usual + PATH_STEP) else calm).add((line.entity, line.peer))
    return calm - torn


def _late(values: Real) -> float:
    values = values[np.isfinite(values)][-2:]
    return float(values.min()) if len(values) else float("nan")
