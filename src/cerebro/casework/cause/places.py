"""Machines and what runs on them: a full one slows all of them, and a busy one is mostly made busy by one of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.picture import NOBODY, Picture
from cerebro.casework.cause.strength import SURE, Real

RUNS_ON = "runs_on"
HOST = "host"
FULL = 0.85  # of a machine's share in use, from which on those who run there wait for one another
ILL = 3.0  # nats in what a full machine does to a thing, from which on it counts as hurt
HURT = (Family.OWN_TIME, Family.RESOURCE, Family.LATENCY, Family.WAITING)
EXCUSED = 0.8  # at most so much of what is seen of a thing is its machine's doing
WORKED = 0.2  # of what is seen of a machine that is busier because one of those on it works more
UNPLACED = 0.5  # of what is seen of a full machine of which nobody knows what runs there
STEPS = 3  # a service runs on a pod, which runs on a node


@dataclass(frozen=True, slots=True)
class Places:
    """An entry an entity.

    Args:
        weight: Of its own clues, 0 … 1: 1 for what is no machine.
        excused: The part of its clues that its machine explains, 0 … 1.
        unplaced: Whether it is a machine of which nobody knows what runs there.
        on: bool (entity, entity), whether the first runs on the second.
    """

    weight: Real
    excused: Real
    unplaced: NDArray[np.bool_]
    on: NDArray[np.bool_]


def places_of(picture: Picture, clues: Clues, per_family: Real) -> Places:
    """Which machines hurt what runs on them, and which are only worked harder."""
    count = len(picture.entities)
    on = _on(picture)
    hosts = np.array([key.kind == HOST for key in picture.entities], np.bool_)
    ill = per_family[:, HURT].max(axis=1) >= ILL
    full = _full(clues, count) & hosts
    on_count, ill_count = on.sum(0), (on & ill[:, None]).sum(0)
    # two things and more at one moment, and most of what runs there, have a reason in common
    crowded = np.where(full & (ill_count >= 2), ill_count / np.maximum(on_count, 1), 0.0)
    unplaced = hosts & (on_count == 0)
    weight = np.where(hosts, np.maximum(crowded, WORKED), 1.0)
    weight = np.where(unplaced, np.where(full, UNPLACED, WORKED), weight)
    sure = crowded * (1.0 - np.exp(-per_family[:, Family.RESOURCE] / SURE))
    excused = EXCUSED * np.where(on, sure[None, :], 0.0).max(axis=1, initial=0.0)
    return Places(weight, excused, unplaced, on)


def _on(picture: Picture) -> NDArray[np.bool_]:
    place = {key: k for k, key in enumerate(picture.entities)}
    on = np.zeros((len(place), len(place)), np.bool_)
    for each in picture.relations:
        source, target = place.get(each.source, NOBODY), place.get(each.target, NOBODY)
        if each.kind == RUNS_ON and min(source, target) >= 0 and source != target:
            on[source, target] = True
    for _ in range(STEPS - 1):
        on |= (on.astype(np.float32) @ on.astype(np.float32)) > 0
    np.fill_diagonal(on, val=False)
    return on


def _full(clues: Clues, count: int) -> NDArray[np.bool_]:
    """Whether the processors of a thing are used up, by a share that it tells of them."""
    full = np.zeros(count, np.bool_)
    rows = np.flatnonzero((clues.family == Family.RESOURCE) & (clues.sign > 0) & (clues.peer == NOBODY))
    for row in rows:
        name, now = clues.text[row].lower(), float(clues.level[row] + clues.change[row])
        if "cpu" in name and ("util" in name or "percent" in name or "usage" in name or "%" in name):
            full[clues.entity[row]] |= FULL <= now <= 1.5 or 100 * FULL <= now <= 150
    return full
