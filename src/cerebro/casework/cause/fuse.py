"""Clues on the map: who is accused, and by how much, once what others explain is taken away.

The rules, in the order they apply:

1. Clues of an entity itself (its resources, own time, own errors, lines, ways through its code) accuse it.
2. Slow or failing answers accuse it only for the part that what it needs does not explain. Excess is conserved along a
   call: the seconds (or failures) that a callee has too many arrive at its callers, so the part explained is
   measured, not guessed, where both tell the same signal.
3. What callers see of a callee (the wire, failed calls) accuses the callee, or the caller when all its callees seem so.
4. A thing that tells nothing of itself is accused by the callers that suffer and have no other reason.
5. A cause must be able to reach what was noticed, and what suffers above it speaks for it.
6. What waits in a queue, with no more put in than usual, accuses those who take from it.
7. A change just before makes a cause likelier that is accused already, the less the longer before it was, and accuses
   nobody by itself.

Sources: M. Kim et al., Root Cause Detection in a Service-Oriented Architecture (MonitorRank), SIGMETRICS 2013, and the
traversal of M. Hardt et al., The PetShop Dataset, CLeaR 2024 (rule 2's direction); M. Li et al., Causal Inference-Based
Root Cause Analysis (CIRCA), KDD 2022 (an effect given its parents is no cause); J. Pearl, Probabilistic Reasoning in
Intelligent Systems (1988), noisy-or (several explanations of one symptom).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.callers import silent_of, wire_of
from cerebro.casework.cause.changed import changes_of, force_of, renewed
from cerebro.casework.cause.clues import NATS_MIN, SYMPTOMS, Clues, Family, got_better
from cerebro.casework.cause.excess import alike, excess_of, explained_by, material_part, to_the_point
from cerebro.casework.cause.load import load_of
from cerebro.casework.cause.picture import NOBODY, Picture
from cerebro.casework.cause.places import HURT, places_of
from cerebro.casework.cause.queues import handed_over, takers_of
from cerebro.casework.cause.reach import needs_of, reached_from, softly_of, support_of
from cerebro.casework.cause.strength import SECOND, Real, combined, ranks, soft
from cerebro.casework.cause.traced import borne_out

# How far a clue of a family is trusted to be of the cause and not of a consequence. A fault always shows in the first
# ones; load that others shift moves the last ones.
TRUST = {
    Family.RESOURCE: 1.0,
    Family.LATENCY: 1.0,
    Family.ERRORS: 1.0,
    Family.TRAFFIC: 0.2,
    Family.OTHER: 0.5,
    Family.WAITING: 0.8,
    Family.OWN_TIME: 1.0,
    Family.OWN_ERRORS: 1.0,
    Family.LOGS: 1.0,
    Family.FLOW: 0.6,
    Family.CANARY: 1.0,
    Family.CANARY_USE: 0.2,  # a process that has just begun uses other amounts of everything
    Family.WIRE: 1.0,
    Family.ABSENT: 1.0,
    Family.FINDING: 0.5,
}
FALLING_TRUST = 0.3  # of resources, latency and the like that fell: mostly less work, a consequence
# How much of a family's clues a callee with clues of its own can explain: its callers take other ways through their
# code and log other lines, but do not burn their own processor for it.
EXPLAINABLE = {
    Family.LOGS: 0.7,
    Family.FLOW: 0.7,
    Family.OWN_ERRORS: 0.8,
    Family.TRAFFIC: 0.8,
    Family.OTHER: 0.5,
    Family.WAITING: 0.9,
    Family.OWN_TIME: 0.2,
    Family.RESOURCE: 0.2,
}
CARRIED = 0.5  # of the score of what a surge at the entrance has reached: it is overloaded, and not broken
RENEWED = 0.3  # of what a thing uses up, when it was replaced just before: a young process uses other amounts
SUPPORT = 0.3  # weight of what suffers above
UNREACHED = 0.35  # of the score of what cannot reach what was noticed: the map may lack a relation, but seldom does
CHANGED = 1.5  # nats of prior for a change just before, of full force


@dataclass(frozen=True, slots=True)
class Fused:
    """An entry an entity.

    Args:
        score: Nats for it being the cause; `unchanged`: the same as if nothing had been changed.
        own: Of it, from the entity's own clues; `symptom`: unexplained suffering; `wire`: from its callers.
        explained: The part of its suffering that others explain, 0 … 1.
        explainer: Whom most of that is laid on; −1 for nobody.
        change: The change that counts for it, an index into the picture's; −1 for none.
        force: How much that change counts: 1 for one at the onset, the less the longer before, 0 for none.
        used: bool (clue,), whether a clue speaks for its entity or peer at all.
    """

    score: Real
    unchanged: Real
    own: Real
    symptom: Real
    wire: Real
    silent: Real
    support: Real
    explained: Real
    explainer: NDArray[np.int64]
    suffering: Real
    change: NDArray[np.int64]
    force: Real
    reached: NDArray[np.bool_]


def fuse(picture: Picture, clues: Clues) -> Fused:
    """Weigh the clues of every entity against those of what it needs."""
    needs = needs_of(picture)
    per_family = _by_family(clues, len(picture.entities))
    per_family[renewed(picture), Family.RESOURCE] *= RENEWED
    load = load_of(clues, needs, takers_of(picture))
    per_family[:, Family.TRAFFIC] = np.maximum(per_family[:, Family.TRAFFIC], load.begun)
    per_family[:, Family.LATENCY] *= borne_out(picture, clues, needs)
    places = places_of(picture, clues, per_family)
    per_family = per_family * places.weight[:, None]
    per_family[:, HURT] *= (1.0 - places.excused)[:, None]
    per_family = handed_over(picture, clues, per_family)
    wire = wire_of(clues, len(needs))
    total = _total(per_family) + wire
    symptoms = _symptoms(picture, clues, needs, per_family, total)
    wire = wire_of(clues, len(needs), (*symptoms.handed_on, places.excused))
    own = _own(per_family, softly_of(needs, total))
    silent = silent_of(picture, needs, symptoms.left, own)
    support = support_of(needs, symptoms.felt)
    reached = reached_from(picture, needs) | places.unplaced
    carried = load.carried | (places.on & load.carried[:, None]).any(axis=0)
    change = changes_of(picture, own + symptoms.left + wire + silent)
    force = force_of(picture, change)
    evidence = combined(np.stack([own, symptoms.left, wire, silent], axis=1)) + SUPPORT * support
    weight = np.where(reached, 1.0, UNREACHED) * np.where(carried, CARRIED, 1.0)
    return Fused(
        (evidence + CHANGED * force) * weight + load.begun,
        evidence * weight + load.begun,
        own,
        symptoms.left,
        wire,
        silent,
        support,
        symptoms.explained,
        symptoms.explainer,
        symptoms.felt,
        change,
        force,
        reached,
    )


@dataclass(frozen=True, slots=True)
class _Symptoms:
    """Slow or failing answers, an entry an entity: what is felt, what nothing explains, and who explains the rest.

    Args:
        handed_on: The part of its slowness, and of its failing, that what it needs explains.
    """

    felt: Real
    left: Real
    explained: Real
    explainer: NDArray[np.int64]
    handed_on: tuple[Real, Real]


def _symptoms(picture: Picture, clues: Clues, needs: NDArray[np.bool_], per_family: Real, total: Real) -> _Symptoms:
    """Rule 2: what is left of each symptom, the worst of them counting."""
    count = len(needs)
    weight = to_the_point(picture)
    missing = np.maximum(per_family[:, Family.ABSENT], per_family[:, Family.OWN_ERRORS])
    felt, left, parts, explainers = [], [], [], []
    excesses = {family: excess_of(picture, clues, family) for family in SYMPTOMS}
    material = {family: material_part(picture, excesses[family], needs, family) for family in SYMPTOMS}
    # failing takes longer or shorter, but taking longer is not failing: who fails no more than ever is not behind it
    material[Family.LATENCY] = np.minimum(material[Family.LATENCY], material[Family.ERRORS])
    for family in SYMPTOMS:
        mine = per_family[:, family] * weight[family]
        # a call that fails is waited for or tried again: failing is slowness for those who call, and not the reverse
        behind = np.maximum(missing, per_family[:, Family.ERRORS]) if family == Family.LATENCY else missing
        part, explainer = explained_by(excesses[family], needs, per_family[:, family], total, behind)
        felt.append(mine)
        left.append(mine * (1.0 - part) * material[family] * alike(clues, family, count))
        parts.append(part)
        explainers.append(explainer)
    worst, rows = np.argmax(np.stack(felt), axis=0), np.arange(count)
    return _Symptoms(
        np.stack(felt)[worst, rows],
        np.stack(left).max(axis=0),
        np.stack(parts)[worst, rows],
        np.stack(explainers)[worst, rows],
        (parts[0], parts[1]),
    )


def _by_family(clues: Clues, count: int) -> Real:
    """Nats (entity, family): the strongest clue, and a little of the next ones."""
    found = np.zeros((count, len(Family)))
    nats = soft(np.where((clues.sign < 0) & _falls_by_itself(clues), FALLING_TRUST, 1.0) * clues.nats)
    nats[got_better(clues)] = 0.0
    kept = np.flatnonzero((nats >= NATS_MIN) & (clues.entity >= 0) & (clues.peer == NOBODY))
    order = kept[np.lexsort((-nats[kept], clues.family[kept], clues.entity[kept]))]
    group = clues.entity[order].astype(np.int64) * len(Family) + clues.family[order]
    rank = ranks(group)
    weight = SECOND ** (rank + 1.0)
    weight[rank == 0] = 1.0
    near = rank < 4
    np.add.at(found.reshape(-1), group[near], (nats[order] * weight)[near])
    return np.asarray(found * np.array([TRUST[family] for family in Family]))


def _falls_by_itself(clues: Clues) -> NDArray[np.bool_]:
    return (clues.family <= Family.WAITING) | np.isin(
        clues.family, (Family.OWN_TIME, Family.WIRE, Family.CANARY, Family.CANARY_USE)
    )


def _total(per_family: Real) -> Real:
    direct = [family for family in Family if family not in (Family.TRAFFIC,)]
    return combined(per_family[:, direct])


def _own(per_family: Real, softly: Real) -> Real:
    families = [family for family in Family if family not in SYMPTOMS]
    left = [per_family[:, family] * (1.0 - EXPLAINABLE.get(family, 0.0) * softly) for family in families]
    return combined(np.stack(left, axis=1))
