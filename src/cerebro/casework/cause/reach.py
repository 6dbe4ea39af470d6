"""Who needs whom, how far it reaches, and what is heard along the way."""

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.picture import Picture, Role
from cerebro.casework.cause.strength import SURE, Real, soft

ANSWERS = frozenset({Role.LATENCY, Role.ERRORS})
DECAY, HOPS_MAX = 0.7, 4  # of what a symptom says of a cause one call further down
BELONGS = frozenset({"instance_of", "member_of", "owns", "exposes", "implements"})  # says what it is, not what it needs


def needs_of(picture: Picture) -> NDArray[np.bool_]:
    """bool (entity, entity): whether the first needs the second."""
    place = {key: k for k, key in enumerate(picture.entities)}
    needs = np.zeros((len(place), len(place)), np.bool_)
    for each in picture.relations:
        if each.kind in BELONGS:
            continue
        source, target = place.get(each.source), place.get(each.target)
        if source is not None and target is not None and source != target:
            needs[source, target] = True
    return needs


def softly_of(needs: NDArray[np.bool_], strength: Real) -> Real:
    """0 … 1 an entity: whether something it needs is at least as loud, so that its clues may be echoes."""
    if not len(needs):
        return np.zeros(0)
    loudest = np.where(needs, strength[None, :], 0.0).max(axis=1)
    # by their logarithms: more spans or lines make a clue louder, and no likelier to be the origin
    alike = np.minimum(1.0, np.log1p(loudest / SURE) / np.maximum(np.log1p(strength / SURE), 1e-9))
    return np.asarray((1.0 - np.exp(-loudest / SURE)) * alike)


def support_of(needs: NDArray[np.bool_], suffering: Real) -> Real:
    """What suffers above an entity, nearest first, less with each call between."""
    count = len(needs)
    heard, frontier, weight = np.zeros(count), np.eye(count, dtype=np.bool_), 1.0
    seen = frontier.copy()
    above = soft(suffering)
    for _ in range(HOPS_MAX):
        frontier = ((frontier.astype(np.float32) @ needs.T.astype(np.float32)) > 0) & ~seen
        if not frontier.any():
            break
        seen |= frontier
        weight *= DECAY
        heard = np.maximum(heard, weight * np.where(frontier, above[None, :], 0.0).max(axis=1))
    return np.asarray(heard)


def reached_from(picture: Picture, needs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether what was noticed needs it, at whatever distance; true for all when that is not known."""
    place = {key: k for k, key in enumerate(picture.entities)}
    noticed = [place[key] for key in picture.alarmed if key in place]
    if not noticed or not needs[noticed].any():
        return np.ones(len(place), np.bool_)
    reached = np.zeros(len(place), np.bool_)
    reached[noticed] = True
    # what is seen inside of a thing, its sessions or its work, is also what those who use it do to it
    answers = {place[sign.entity] for sign in picture.signs if sign.entity in place and role_of(sign.signal) in ANSWERS}
    told = {place[sign.entity] for sign in picture.signs if sign.entity in place and sign.signal}
    inside = [entity for entity in noticed if entity not in answers and (entity in told or not picture.signs)]
    reached |= needs[:, inside].any(axis=1)
    while True:
        wider = reached | needs[reached].any(axis=0)
        if (wider == reached).all():
            return reached
        reached = wider
