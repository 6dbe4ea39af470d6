"""Clues on the map: who is accused, and by how much, once what others explain is taken away.

The rules, in the order they apply:

1. Clues of an entity itself (its resources, own time, own errors, lines, ways through its code) accuse it.
2. Slow or failing answers accuse it only for the part that what it needs does not explain. Excess is conserved along a
   call: the seconds (or failures) that a callee has too many arrive at its callers, so the part explained is
   measured, not guessed, where both tell the same signal.
3. What callers see of a callee (the wire, failed calls) accuses the callee, or the caller when all its callees seem so.
4. A thing that tells nothing of itself is accused by the callers that suffer and have no other reason.
5. A cause must be able to reach what was noticed, and what suffers above it speaks for it.
6. A change just before makes a cause likelier that is accused already, and accuses nobody by itself.

Sources: M. Kim et al., Root Cause Detection in a Service-Oriented Architecture (MonitorRank), SIGMETRICS 2013, and the
traversal of M. Hardt et al., The PetShop Dataset, CLeaR 2024 (rule 2's direction); M. Li et al., Causal Inference-Based
Root Cause Analysis (CIRCA), KDD 2022 (an effect given its parents is no cause); J. Pearl, Probabilistic Reasoning in
Intelligent Systems (1988), noisy-or (several explanations of one symptom).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.clues import NATS_MIN, SYMPTOMS, Clues, Family
from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.picture import NOBODY, Picture

Real = NDArray[np.float64]

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
SECOND = 0.4  # the weight of the next clue of a family, and of the next family, in parts of the one before
STRONG = 8.0  # nats: from here on more evidence of one family adds ever less
BESIDE = 0.4  # of a symptom of another kind than the one that was noticed
IMMATERIAL = 0.1  # what is left of a symptom that is far too small to be what was noticed
LIKENED = 0.8  # at most so much of a symptom is explained by what is of another unit
ALIKE = 0.4  # of a symptom that the old version of a thing shows as much as the new one
BORNE_OUT = 0.3  # of a slowness, in log units, that the slow tail of some own time must show
SURGED = 0.5  # of what is usual, that must come more at an entrance to be a surge
CARRIED = 0.5  # of the score of what a surge at the entrance has reached: it is overloaded, and not broken
DENIED = 0.25  # of a slowness that the entity's own spans do not know of
SELDOM = 0.5  # of a slowness of what hardly a traced request came to
TRACED_MIN = 500  # spans of all entities, from which on the traces are taken to show who is asked
SPANS_MIN = 10  # of one entity, from which on they are taken to tell
RENEWED = 0.3  # of what a thing uses up, when it was replaced just before: a young process uses other amounts
SURE = 2.0  # nats at which a callee's clue is taken to explain, on the scale 1 − exp(−nats / SURE)
DECAY, HOPS_MAX = 0.7, 4  # of what a symptom says of a cause one call further down
SUPPORT = 0.3  # weight of what suffers above
UNREACHED = 0.35  # of the score of what cannot reach what was noticed: the map may lack a relation, but seldom does
# Of all its callers' unexplained suffering that a silent thing is accused by: of one caller, less than the caller
# itself; of two, more than either, since two reasons at one moment are rarer than one.
SILENT_PART, SILENT_MOST = 0.7, 1.5
CHANGED = 1.5  # nats of prior for a change just before
CHANGE_WITHIN_MS = 30 * 60_000
EARLY = 0.5  # nats for beginning first, when that is sure


@dataclass(frozen=True, slots=True)
class Fused:
    """An entry an entity.

    Args:
        score: Nats for it being the cause.
        own: Of it, from the entity's own clues; `symptom`: unexplained suffering; `wire`: from its callers.
        explained: The part of its suffering that others explain, 0 … 1.
        explainer: Whom most of that is laid on; −1 for nobody.
        change: The change that counts for it, an index into the picture's; −1 for none.
        used: bool (clue,), whether a clue speaks for its entity or peer at all.
    """

    score: Real
    own: Real
    symptom: Real
    wire: Real
    silent: Real
    support: Real
    explained: Real
    explainer: NDArray[np.int64]
    suffering: Real
    change: NDArray[np.int64]
    reached: NDArray[np.bool_]


def fuse(picture: Picture, clues: Clues) -> Fused:
    """Weigh the clues of every entity against those of what it needs."""
    count = len(picture.entities)
    needs = _needs(picture)
    per_family = _by_family(clues, count)
    per_family[_renewed(picture), Family.RESOURCE] *= RENEWED
    surge, carried = _surge(clues, needs)
    per_family[:, Family.TRAFFIC] = np.maximum(per_family[:, Family.TRAFFIC], surge)
    per_family[:, Family.LATENCY] *= _borne_out(picture, clues, needs)
    total = _total(per_family)
    wire = _wire(clues, needs)
    weight = _to_the_point(picture)
    missing = np.maximum(per_family[:, Family.ABSENT], per_family[:, Family.OWN_ERRORS])
    felt, left, parts, explainers = [], [], [], []
    excesses = {family: _excess(picture, clues, family) for family in SYMPTOMS}
    material = {family: _material(picture, excesses[family], needs, family) for family in SYMPTOMS}
    # failing takes longer or shorter, but taking longer is not failing: who fails no more than ever is not behind it
    material[Family.LATENCY] = np.minimum(material[Family.LATENCY], material[Family.ERRORS])
    for family in SYMPTOMS:
        excess = excesses[family]
        mine = per_family[:, family] * weight[family]
        part, explainer = _explained(excess, needs, per_family[:, family], total + wire, missing)
        felt.append(mine)
        left.append(mine * (1.0 - part) * material[family] * _alike(clues, family, count))
        parts.append(part)
        explainers.append(explainer)
    worst = np.argmax(np.stack(felt), axis=0)
    rows = np.arange(count)
    suffering, symptom = np.stack(felt)[worst, rows], np.stack(left).max(axis=0)
    part, explainer = np.stack(parts)[worst, rows], np.stack(explainers)[worst, rows]
    softly = _softly(needs, total + wire)
    own = _own(per_family, softly)
    silent = _silent(picture, needs, symptom, own)
    support = _support(needs, suffering, part)
    reached = _reached(picture, needs)
    change = _changes(picture, own + symptom + wire + silent)
    score = _combined(np.stack([own, symptom, wire, silent], axis=1)) + SUPPORT * support
    score = score + np.where(change >= 0, CHANGED, 0.0)
    score = score * np.where(reached, 1.0, UNREACHED) * np.where(carried, CARRIED, 1.0) + np.where(
        surge > 0, surge, 0.0
    )
    return Fused(score, own, symptom, wire, silent, support, part, explainer, suffering, change, reached)


BELONGS = frozenset({"instance_of", "member_of", "owns", "exposes", "implements"})  # says what it is, not what it needs


def _needs(picture: Picture) -> NDArray[np.bool_]:
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


def _by_family(clues: Clues, count: int) -> Real:
    """Nats (entity, family): the strongest clue, and a little of the next ones."""
    found = np.zeros((count, len(Family)))
    nats = soft(np.where((clues.sign < 0) & _falls_by_itself(clues), FALLING_TRUST, 1.0) * clues.nats)
    kept = np.flatnonzero((nats >= NATS_MIN) & (clues.entity >= 0) & (clues.peer == NOBODY))
    order = kept[np.lexsort((-nats[kept], clues.family[kept], clues.entity[kept]))]
    group = clues.entity[order].astype(np.int64) * len(Family) + clues.family[order]
    rank = _ranks(group)
    weight = SECOND ** (rank + 1.0)
    weight[rank == 0] = 1.0
    near = rank < 4
    np.add.at(found.reshape(-1), group[near], (nats[order] * weight)[near])
    return np.asarray(found * np.array([TRUST[family] for family in Family]))


def _falls_by_itself(clues: Clues) -> NDArray[np.bool_]:
    return (clues.family <= Family.WAITING) | np.isin(
        clues.family, (Family.OWN_TIME, Family.WIRE, Family.CANARY, Family.CANARY_USE)
    )


def soft(nats: Real) -> Real:
    """As it is while small; ever less beyond `STRONG`, so that one shouting clue does not drown all others."""
    return np.where(nats <= STRONG, nats, STRONG * (1.0 + np.log(np.maximum(nats, STRONG) / STRONG)))


def _ranks(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each within its run of equal groups."""
    if not len(group):
        return group
    start = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.asarray(np.arange(len(group)) - np.repeat(start, np.diff(np.append(start, len(group)))))


def _combined(parts: Real) -> Real:
    """Nats (entity,) of several kinds of evidence: the strongest whole, each next at `SECOND` of the one before."""
    ordered = -np.sort(-parts, axis=1)
    return np.asarray(ordered @ SECOND ** np.arange(parts.shape[1]))


def _total(per_family: Real) -> Real:
    direct = [family for family in Family if family not in (Family.TRAFFIC,)]
    return _combined(per_family[:, direct])


def _wire(clues: Clues, needs: NDArray[np.bool_]) -> Real:
    """What callers see of a callee accuses it by how many of its callers see it, and them by how many they see so."""
    count = len(needs)
    found = np.zeros((count, count))
    mine = np.flatnonzero((clues.peer >= 0) & (clues.sign > 0) & (clues.nats >= NATS_MIN))
    if not len(mine):
        return np.zeros(count)
    np.maximum.at(found, (clues.entity[mine], clues.peer[mine]), soft(clues.nats[mine]))
    seen = found > 0
    told = np.zeros((count, count), np.bool_)
    every = clues.peer >= 0
    told[clues.entity[every], clues.peer[every]] = True
    told |= seen
    of_callers = seen.sum(0) / np.maximum(told.sum(0), 1)
    of_callees = seen.sum(1) / np.maximum(told.sum(1), 1)
    rival = 0.5 * (of_callees * (told.sum(1) > 1))[:, None]  # an entity with one callee cannot be told apart by this
    blame = of_callers[None, :] / np.maximum(of_callers[None, :] + rival, 1e-9)
    callee = _combined((found * blame).T) if count else np.zeros(0)
    several = seen.sum(1) > 1
    caller = np.where(several, _combined(found * (1.0 - blame)), 0.0)
    return np.maximum(callee, caller) + SECOND * np.minimum(callee, caller)


def _explained(
    excess: "_Excess", needs: NDArray[np.bool_], suffering: Real, total: Real, missing: Real
) -> tuple[Real, NDArray[np.int64]]:
    """How much of each entity's suffering what it needs explains, and who most."""
    count = len(needs)
    part = np.zeros((count, count))
    for entity in np.flatnonzero(suffering >= NATS_MIN):
        for callee in np.flatnonzero(needs[entity]):
            found = _part(excess, suffering, total, int(entity), int(callee))
            part[entity, callee] = max(found, _likened(missing[callee], suffering[entity]))
    explained = 1.0 - np.prod(1.0 - part, axis=1)
    return explained, np.where(part.any(1), part.argmax(1), NOBODY)


@dataclass(frozen=True, slots=True)
class _Excess:
    """By entity: the signal that suffers most, and by signal what is too much of it."""

    chosen: dict[int, str]
    amount: dict[tuple[int, str], tuple[float, float]]  # change and nats
    summed: frozenset[str]  # the signals that add up along calls


MEANS = ("avg", "average", "mean")


def _excess(picture: Picture, clues: Clues, family: Family) -> _Excess:
    """Means and shares are weighted by the requests they are of, so that callers and callees can be compared."""
    weight = _requests(picture)
    chosen: dict[int, tuple[float, str]] = {}
    amount: dict[tuple[int, str], tuple[float, float]] = {}
    summed: set[str] = set()
    for row in np.flatnonzero((clues.family == family) & (clues.peer == NOBODY)):
        entity, signal, nats = int(clues.entity[row]), clues.text[row], float(clues.nats[row])
        change = float(max(clues.change[row], 0.0))
        if family == Family.ERRORS or any(word in signal.lower() for word in MEANS):
            change *= weight.get(entity, 1.0)
            if entity in weight:
                summed.add(signal)
        if (entity, signal) not in amount or nats > amount[entity, signal][1]:
            amount[entity, signal] = change, nats
        if clues.sign[row] > 0 and (nats, signal) > chosen.get(entity, (0.0, "")):
            chosen[entity] = nats, signal
    return _Excess({entity: signal for entity, (_, signal) in chosen.items()}, amount, frozenset(summed))


def _noticed(picture: Picture) -> frozenset[int]:
    """The families of symptoms that were noticed; none when the signs do not tell."""
    roles = {int(role_of(sign.signal)) for sign in picture.signs}
    return frozenset(roles & set(SYMPTOMS))


def _to_the_point(picture: Picture) -> dict[Family, float]:
    """Suffering of the kind that was noticed counts whole, of another kind in part: slow answers are not failures."""
    noticed = _noticed(picture)
    return {family: 1.0 if not noticed or family in noticed else BESIDE for family in SYMPTOMS}


def _alike(clues: Clues, family: Family, count: int) -> Real:
    """Less than 1 where the old and the new version of a thing suffer alike: then neither of them is the reason.

    Source: G. Yu et al., ChangeRCA, FSE 2024 (the old version as a control of the new one).
    """
    main, beside = np.zeros(count), np.full(count, np.nan)
    for row in np.flatnonzero(clues.peer == NOBODY):
        entity = clues.entity[row]
        if clues.family[row] == family:
            main[entity] = max(main[entity], clues.nats[row])
        elif clues.family[row] == Family.CANARY and clues.change[row] != 0:
            beside[entity] = np.fmax(beside[entity], clues.nats[row])
    return np.where(np.isfinite(beside) & (np.nan_to_num(beside) < 0.5 * main), ALIKE, 1.0)


def _material(picture: Picture, excess: "_Excess", needs: NDArray[np.bool_], family: Family) -> Real:
    """Whether what an entity has too much of, beyond what it needs gives it, can amount to what was noticed.

    Where no series tells both, it is not asked.
    """
    count = len(needs)
    material = np.ones(count)
    place = {key: k for k, key in enumerate(picture.entities)}
    if family not in _noticed(picture):
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


def _requests(picture: Picture) -> dict[int, float]:
    """How much was asked of each entity during the trouble, where a series of requests tells."""
    tracks = picture.tracks
    found: dict[int, float] = {}
    for row in range(len(tracks)):
        if tracks.role[row] != Family.TRAFFIC or tracks.peer[row] != NOBODY:
            continue
        values = tracks.during[row]
        values = values[np.isfinite(values)]
        if len(values):
            entity = int(tracks.entity[row])
            found[entity] = max(found.get(entity, 0.0), float(values.mean()))
    return found


def _part(excess: _Excess, suffering: Real, total: Real, entity: int, callee: int) -> float:
    """The part of the entity's suffering that this callee explains."""
    signal = excess.chosen.get(entity)
    mine = excess.amount.get((entity, signal)) if signal else None
    theirs = excess.amount.get((callee, signal)) if signal else None
    if mine and theirs and mine[0] > 0:
        return min(1.0, theirs[0] / mine[0]) * (1.0 - float(np.exp(-theirs[1] / SURE)))
    return _likened(max(suffering[callee], total[callee]), suffering[entity])


def _likened(theirs: float, mine: float) -> float:
    """What clues that cannot be counted in one unit explain: by their strength, and never all."""
    if theirs < NATS_MIN:
        return 0.0
    return LIKENED * (1.0 - float(np.exp(-theirs / SURE))) * min(1.0, float(theirs) / max(float(mine), 1e-9))


def _surge(clues: Clues, needs: NDArray[np.bool_]) -> tuple[Real, NDArray[np.bool_]]:
    """How strongly more is asked of an entrance, which nobody here calls; and to whom that much more has come down.

    Load is the one cause that travels from callers to callees.
    """
    count = len(needs)
    more, nats = np.zeros(count), np.zeros(count)
    for row in np.flatnonzero((clues.family == Family.TRAFFIC) & (clues.sign > 0) & (clues.level > 0)):
        entity, rise = clues.entity[row], clues.change[row] / clues.level[row]
        if rise >= SURGED and clues.nats[row] > nats[entity]:
            more[entity], nats[entity] = rise, clues.nats[row]
    entrance = (needs.sum(0) == 0) & (needs.sum(1) > 0) & (nats >= SURE)
    surge = np.where(entrance, soft(nats), 0.0)
    if not entrance.any():
        return surge, np.zeros(count, np.bool_)
    least = 0.5 * more[entrance].max()
    carried, wave = np.zeros(count, np.bool_), entrance
    for _ in range(2 * HOPS_MAX):
        wave = needs[wave].any(axis=0) & (more >= least) & ~carried & ~entrance
        carried |= wave
    return surge, carried


def _softly(needs: NDArray[np.bool_], strength: Real) -> Real:
    """0 … 1 an entity: whether something it needs is at least as loud, so that its clues may be echoes."""
    if not len(needs):
        return np.zeros(0)
    loudest = np.where(needs, strength[None, :], 0.0).max(axis=1)
    # by their logarithms: more spans or lines make a clue louder, and no likelier to be the origin
    alike = np.minimum(1.0, np.log1p(loudest / SURE) / np.maximum(np.log1p(strength / SURE), 1e-9))
    return np.asarray((1.0 - np.exp(-loudest / SURE)) * alike)


def _own(per_family: Real, softly: Real) -> Real:
    families = [family for family in Family if family not in SYMPTOMS]
    left = [per_family[:, family] * (1.0 - EXPLAINABLE.get(family, 0.0) * softly) for family in families]
    return _combined(np.stack(left, axis=1))


def _silent(picture: Picture, needs: NDArray[np.bool_], symptom: Real, own: Real) -> Real:
    """For what tells nothing of itself: what its callers suffer without another reason, when all of them do."""
    count = len(needs)
    tells = np.zeros(count, np.bool_)
    tells[picture.tracks.entity] = True
    tells[picture.times.entity[picture.times.peer == NOBODY]] = True
    found = np.zeros(count)
    for entity in np.flatnonzero(~tells):
        callers = np.flatnonzero(needs[:, entity])
        speaking = callers[tells[callers]]
        if not len(speaking) or (symptom[speaking] < NATS_MIN).any():
            continue
        rivals = (~tells & needs[speaking].any(0)).sum()  # other silent things that the same callers need
        unexplained = symptom[speaking] - 0.5 * np.minimum(own[speaking], symptom[speaking])
        found[entity] = min(SILENT_PART * float(unexplained.sum()), SILENT_MOST * float(unexplained.max()))
        found[entity] /= np.sqrt(max(rivals, 1))
    return found


def _support(needs: NDArray[np.bool_], suffering: Real, explained: Real) -> Real:
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


def _reached(picture: Picture, needs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether what was noticed needs it, at whatever distance; true for all when that is not known."""
    place = {key: k for k, key in enumerate(picture.entities)}
    noticed = [place[key] for key in picture.alarmed if key in place]
    if not noticed or not needs[noticed].any():
        return np.ones(len(place), np.bool_)
    reached = np.zeros(len(place), np.bool_)
    reached[noticed] = True
    while True:
        wider = reached | needs[reached].any(axis=0)
        if (wider == reached).all():
            return reached
        reached = wider


REASONS = frozenset(
    {"deploy", "rollout", "release", "config", "flag", "feature_flag", "migration", "schedule", "certificate"}
)
RENEWING = frozenset({"deploy", "rollout", "release", "restart", "scale", "boot"})


def _renewed(picture: Picture) -> NDArray[np.bool_]:
    """The entities whose processes were replaced on purpose shortly before."""
    last = {
        change.entity
        for change in picture.changes
        if change.kind in RENEWING and picture.onset_ms - CHANGE_WITHIN_MS <= change.at_ms <= picture.end_ms
    }
    return np.array([key in last for key in picture.entities], np.bool_)


def _borne_out(picture: Picture, clues: Clues, needs: NDArray[np.bool_]) -> Real:
    """Less than 1 where spans tell of an entity, and no own time, its own or of anything below it, has grown so.

    Quantiles of few requests are wild; the requests themselves are not.
    """
    count = len(needs)
    times = picture.times
    seen = (times.count_before >= SPANS_MIN) & (times.count_during >= SPANS_MIN)
    spans, grown = np.zeros(count), np.zeros(count)
    np.add.at(spans, times.entity[seen], np.minimum(times.count_during, times.count_before)[seen])
    tails = times.mean_during + 2 * times.spread_during - times.mean_before - 2 * times.spread_before
    np.maximum.at(grown, times.entity[seen], np.maximum(tails, times.mean_during - times.mean_before)[seen])
    for _ in range(HOPS_MAX):
        grown = np.maximum(grown, np.where(needs, grown[None, :], 0.0).max(axis=1, initial=0.0))
    claimed = np.zeros(count)
    rows = np.flatnonzero((clues.family == Family.LATENCY) & (clues.sign > 0) & (clues.level > 0))
    np.maximum.at(claimed, clues.entity[rows], np.log1p(clues.change[rows] / clues.level[rows]))
    traced = bool(spans.sum() >= TRACED_MIN)
    told = np.where(traced & (spans < SPANS_MIN), SELDOM, 1.0)
    return np.where((spans >= SPANS_MIN) & (grown < BORNE_OUT * claimed), DENIED, told)


def _changes(picture: Picture, evidence: Real) -> NDArray[np.int64]:
    """The newest change of each entity that is accused already, from shortly before the onset."""
    place = {key: k for k, key in enumerate(picture.entities)}
    found = np.full(len(place), NOBODY)
    order: Sequence[int] = sorted(
        range(len(picture.changes)), key=lambda k: (picture.changes[k].at_ms, picture.changes[k].title)
    )
    for k in order:
        change = picture.changes[k]
        entity = place.get(change.entity)
        before = picture.onset_ms - change.at_ms
        if change.kind not in REASONS:
            continue  # what an autoscaler, a supervisor or we did about a trouble is no reason for it
        if entity is not None and -60_000 <= before <= CHANGE_WITHIN_MS and evidence[entity] >= 2 * NATS_MIN:
            found[entity] = k
    return found
