"""What a thing has too much of, and how much of that what it needs has given it.

Excess is conserved along a call: the seconds, or failures, that a callee has too many arrive at its callers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.answers import DERIVED, DURATION, FAILED
from cerebro.casework.cause.clues import NATS_MIN, SYMPTOMS, Clues, Family
from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.picture import NOBODY, Picture
from cerebro.casework.cause.strength import SURE, Real

BESIDE = 0.4  # of a symptom of another kind than the one that was noticed
IMMATERIAL = 0.1  # what is left of a symptom that is far too small to be what was noticed
LIKENED = 0.8  # at most so much of a symptom is explained by what is of another unit
ALIKE = 0.4  # of a symptom that the old version of a thing shows as much as the new one
MEANS = ("avg", "average", "mean")


@dataclass(frozen=True, slots=True)
class Excess:
    """By entity: the signal that suffers most, and by signal what is too much of it."""

    chosen: dict[int, str]
    amount: dict[tuple[int, str], tuple[float, float]]  # change and nats
    summed: frozenset[str]  # the signals that add up along calls


def excess_of(picture: Picture, clues: Clues, family: Family) -> Excess:
    """Means and shares are weighted by the requests they are of, so that callers and callees can be compared.

    Where all answers of a thing are told, what was made of the same ones route by route is not counted beside them: how
    much is asked of each route is not in it, and one that hardly anybody asks would weigh as much as any.
    """
    weight, summed_up = _requests(picture), _summed_up(clues, family)
    chosen: dict[int, tuple[float, str]] = {}
    amount: dict[tuple[int, str], tuple[float, float]] = {}
    summed: set[str] = set()
    for row in np.flatnonzero((clues.family == family) & (clues.peer == NOBODY)):
        entity, signal, nats = int(clues.entity[row]), clues.text[row], float(clues.nats[row])
        if entity in summed_up and signal.endswith(DERIVED):
            continue
        change = float(max(clues.change[row], 0.0))
        if family == Family.ERRORS or any(word in signal.lower() for word in MEANS):
            change *= weight.get(entity, 1.0)
            if entity in weight:
                summed.add(signal)
        if (entity, signal) not in amount or nats > amount[entity, signal][1]:
            amount[entity, signal] = change, nats
        if clues.sign[row] > 0 and (nats, signal) > chosen.get(entity, (0.0, "")):
            chosen[entity] = nats, signal
    return Excess({entity: signal for entity, (_, signal) in chosen.items()}, amount, frozenset(summed))


def _summed_up(clues: Clues, family: Family) -> set[int]:
    """The entities of which one series tells of all that is asked of them."""
    whole = FAILED if family == Family.ERRORS else DURATION
    rows = np.flatnonzero((clues.family == family) & (clues.peer == NOBODY)).tolist()
    return {int(clues.entity[row]) for row in rows if clues.text[row] == whole}


def _requests(picture: Picture) -> dict[int, float]:
    """How much was asked of each entity during the trouble, where a series of requests tells."""
    tracks = picture.tracks
    found: dict[int, float] = {}
    for row in np.flatnonzero((tracks.role == Family.TRAFFIC) & (tracks.peer == NOBODY)).tolist():
        values = tracks.during[row]
        values = values[np.isfinite(values)]
        if len(values):
            entity = int(tracks.entity[row])
            found[entity] = max(found.get(entity, 0.0), float(values.mean()))
    return found


def explained_by(
    excess: Excess, needs: NDArray[np.bool_], suffering: Real, total: Real, missing: Real
) -> tuple[Real, NDArray[np.int64]]:
    """How much of each entity's suffering what it needs explains, and who most."""
    count = len(needs)
    part = np.zeros((count, count))
    for entity in np.flatnonzero(suffering >= NATS_MIN):
        for callee in np.flatnonzero(needs[entity]):
            found = _part(excess, suffering, total, int(entity), int(callee))
            part[entity, callee] = max(found, likened(missing[callee], suffering[entity]))
    explained = 1.0 - np.prod(1.0 - part, axis=1)
    return explained, np.where(part.any(1), part.argmax(1), NOBODY)


def _part(excess: Excess, suffering: Real, total: Real, entity: int, callee: int) -> float:
    """The part of the entity's suffering that this callee explains."""
    signal = excess.chosen.get(entity)
    mine = excess.amount.get((entity, signal)) if signal else None
    theirs = excess.amount.get((callee, signal)) if signal else None
    if mine and theirs and mine[0] > 0:
        return min(1.0, theirs[0] / mine[0]) * (1.0 - float(np.exp(-theirs[1] / SURE)))
    return likened(max(suffering[callee], total[callee]), suffering[entity])


def likened(theirs: float, mine: float) -> float:
    """What clues that cannot be counted in one unit explain: by their strength, and never all."""
    if theirs < NATS_MIN:
        return 0.0
    return LIKENED * (1.0 - float(np.exp(-theirs / SURE))) * min(1.0, float(theirs) / max(float(mine), 1e-9))


def noticed_in(picture: Picture) -> frozenset[int]:
    """The families of symptoms that were noticed; none when the signs do not tell."""
    roles = {int(role_of(sign.signal)) for sign in picture.signs}
    return frozenset(roles & set(SYMPTOMS))


def to_the_point(picture: Picture) -> dict[Family, float]:
    """Suffering of the kind that was noticed counts whole, of another kind in part: slow answers are not failures."""
    noticed = noticed_in(picture)
    return {family: 1.0 if not noticed or family in noticed else BESIDE for family in SYMPTOMS}


def alike(clues: Clues, family: Family, count: int) -> Real:
    """Less than 1 where the old and the new version of a thing suffer alike: then neither of them is the reason.

    Source: G. Yu et al., ChangeRCA, FSE 2024 (the old version as a control of the new one).
    """
    main, beside = np.zeros(count), np.full(count, np.nan)
    own = clues.peer == NOBODY
    suffers = own & (clues.family == family)
    differs = own & ~suffers & (clues.family == Family.CANARY) & (clues.change != 0)
    np.maximum.at(main, clues.entity[suffers], clues.nats[suffers])
    np.fmax.at(beside, clues.entity[differs], clues.nats[differs])
    return np.where(np.isfinite(beside) & (np.nan_to_num(beside) < 0.5 * main), ALIKE, 1.0)


def material_part(picture: Picture, excess: Excess, needs: NDArray[np.bool_], family: Family) -> Real:
    """Whether what an entity has too much of, beyond what it needs gives it, can amount to what was noticed.

    Where no series tells both, it is not asked.
    """
    count = len(needs)
    material = np.ones(count)
    place = {key: k for k, key in enumerate(picture.entities)}
    if family not in noticed_in(picture):
        return material
    asked: list[Real] = []
    for alarmed in sorted({place[key] for key in picture.alarmed if key in place}):
        signals = [
            signal
            for (entity, signal), (change, _) in excess.amount.items()
            if entity == alarmed and change > 0 and signal in excess.summed
        ]
        mine = np.ones(count)
        for signal in sorted(signals):
            amount = np.array([excess.amount.get((k, signal), (np.nan, 0.0))[0] for k in range(count)])
            given = np.where(needs, np.minimum(np.nan_to_num(amount)[None, :], np.nan_to_num(amount)[:, None]), 0.0)
            left = np.maximum(amount - given.sum(1), 0.0)
            share = np.clip(left / amount[alarmed], 0.0, 1.0)
            mine = np.where(np.isfinite(share), np.minimum(mine, IMMATERIAL + (1 - IMMATERIAL) * share), mine)
        asked += [mine] if signals else []
    if asked:
        material = np.stack(asked).max(axis=0)
    return material
