"""From a picture to ranked causes: the whole of what decides. No model, nothing learned, nothing read or written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.changed import RECENT
from cerebro.casework.cause.clues import NATS_MIN, Clues, Family, clues, got_better
from cerebro.casework.cause.fuse import Fused, fuse
from cerebro.casework.cause.held import ENTITIES, literal
from cerebro.casework.cause.kinds import kind_of
from cerebro.casework.cause.marks import marks_of
from cerebro.casework.cause.picture import Picture, chosen_tallies, joined_tallies
from cerebro.casework.cause.queues import left_undone
from cerebro.casework.cause.telling import clue_line, sentence_of
from cerebro.casework.cause.testimony import GARBLED
from cerebro.casework.cause.view import View
from cerebro.casework.cause.vocabulary import CHANGED, CLEAR, OCCUPIED, telling, worth
from cerebro.casework.proof import digest as digest_of
from cerebro.spine.cases import Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence
from cerebro.spine.quote import quoted

NOBODY_KNOWN = EntityKey("unknown", "unknown")
CAUSES_MAX = 5
EVIDENCE_MAX = 4  # of one cause
# What speaks for "something that cannot be seen from here": a cause needs this many nats to be as likely as that.
UNKNOWN_NATS = 3.0
# Clues are not independent, and the more there are the more they repeat each other: a score counts by its logarithm
# from about eight nats on, and a difference of one is not odds of e. One map for everything, chosen once on the
# development halves of docs/reference/root-cause.md so that shares are right as often as they say.
BEND, TEMPERATURE = 8.0, 0.85
MARKED, MARKED_MAX, OUTRIGHT = 2.5, 12, 3  # nats that a mark adds which names a cause, of the top ones
GONE = {"refused", "silent"}  # nobody answers there, and nothing tells of it any more
FAILS_NATS = 3.0  # of calls, that clearly fail or wait more than usual
SHARE_MIN = 0.02  # a smaller share is not worth a line
OF_LOGS = ("log", "pair")
SAMPLE_POINTS = 60


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """What looked like a cause and is not, and why."""

    entity: EntityKey
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is likely, what was ruled out, and what could not be looked at."""

    causes: tuple[Cause, ...]
    dead_ends: tuple[DeadEnd, ...] = ()
    gaps: tuple[str, ...] = ()


def diagnose(picture: Picture) -> Diagnosis:
    """The likely causes, the likeliest first; their shares sum to at most 1, "unknown" among them.

    The order of entities, findings or rows in the picture changes nothing.
    """
    if not picture.entities:
        return Diagnosis((_unknown(1.0),), gaps=(*picture.gaps, "Nothing is known around this case."))
    view = _laid_on(_marked(_heard_out(_seen(picture))))
    fused = view.fused
    order = ranking(picture, fused)
    shares = _shares(fused.score)
    named = [_cause(view, k, float(shares[k])) for k in order[:CAUSES_MAX] if shares[k] >= SHARE_MIN]
    unknown = _unknown(float(shares[-1]))
    first = not named or unknown.share > named[0].share
    causes = [unknown, *named] if first else [*named, unknown]
    return Diagnosis(
        tuple(replace(cause, rank=rank) for rank, cause in enumerate(causes, 1)),
        tuple(_dead_ends(picture, fused, order)),
        (*picture.gaps, *_gaps(picture)),
    )


def _seen(picture: Picture) -> View:
    found = clues(picture)
    return View(picture, found, fuse(picture, found))


def _heard_out(view: View) -> View:
    """With what was doubted of suppliers, by those of whom nothing else is known that would make them fail."""
    doubted = view.picture.doubted
    named = {who: _names_more(view, who) for who in set(doubted.entity.tolist())}
    kept = np.array([not named[who] for who in doubted.entity.tolist()], np.bool_)
    if not kept.any():
        return view
    tallies = joined_tallies([view.picture.tallies, chosen_tallies(doubted, kept)])
    return _seen(replace(view.picture, tallies=tallies))


def _names_more(view: View, entity: int) -> bool:
    """Whether anything is told of it but that answers cannot be read, if only in lines."""
    return any(telling(mark.word) > 1 and mark.word != GARBLED for mark in marks_of(view, entity))


def _marked(view: View) -> View:
    """What is accused and of which the evidence names a trouble outright is accused the more, as by a change."""
    score = view.fused.score.copy()
    for entity in ranking(view.picture, view.fused)[:MARKED_MAX]:
        done = view.fused.force[entity] >= RECENT
        outright = any(worth(mark) == OUTRIGHT for mark in marks_of(view, entity))
        if outright and score[entity] >= NATS_MIN and not done:
            score[entity] = BEND * ((1.0 + score[entity] / BEND) * np.exp(MARKED * TEMPERATURE / BEND) - 1.0)
    return replace(view, fused=replace(view.fused, score=score))


def _laid_on(view: View) -> View:
    """What suffers most, and of which the evidence names nothing, changes its place with what it needs and fails it.

    As far as the evidence names a trouble of that one outright, or that it is not there. Whoever waits for a lock of a
    store has requests that wait in turn, for a thread or a connection of its own: they never come to ask the store, and
    fail "by themselves".
    """
    score, picture = view.fused.score.copy(), view.picture
    order = ranking(picture, view.fused)
    if not order or score[order[0]] < NATS_MIN or _named(view, order[0]):
        return view
    failing = _failing(view.found, order[0])
    needed = [k for k in order[1:MARKED_MAX] if k in failing and score[k] >= NATS_MIN]
    named = ((k, _named(view, k)) for k in needed)
    culprit = next((k for k, words in named if words >= GONE or any(telling(word) == OUTRIGHT for word in words)), None)
    if culprit is None:
        return view
    score[[order[0], culprit]] = score[[culprit, order[0]]]
    return replace(view, fused=replace(view.fused, score=score))


def _named(view: View, entity: int) -> set[str]:
    """The marks that name what is wrong with it: no such as any trouble has, and no change alone."""
    clear = {mark.word for mark in marks_of(view, entity) if mark.nats > CLEAR and worth(mark) > 1}
    return clear - OCCUPIED - set(CHANGED.values())


def _failing(found: Clues, entity: int) -> set[int]:
    """Those whom it calls, and whose calls fail it now."""
    told = (found.entity == entity) & (found.peer >= 0) & (found.family == Family.WIRE) & (found.sign > 0)
    return set(found.peer[told & (found.nats >= FAILS_NATS)].tolist())


def ranking(picture: Picture, fused: Fused) -> list[int]:
    """Every entity, the most accused first; ties go by name."""
    keys = picture.entities
    return sorted(range(len(keys)), key=lambda k: (-round(float(fused.score[k]), 6), keys[k]))


def _shares(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely each is, by Gibbs' measure at one temperature; the last is what cannot be seen."""
    logits = BEND * np.log1p(np.maximum(np.append(score, UNKNOWN_NATS), 0.0) / BEND) / TEMPERATURE
    weight = np.exp(logits - logits.max())
    return np.asarray(weight / weight.sum())


def _unknown(share: float) -> Cause:
    return Cause(NOBODY_KNOWN, "unknown", share, 1, "Something that cannot be seen from here.")


def _cause(view: View, entity: int, share: float) -> Cause:
    rows = _with_undone(telling_rows(view.found, entity), view, entity)
    evidence = tuple(_evidence(view, row) for row in rows[:EVIDENCE_MAX])
    text = sentence_of(view, entity, rows)
    marks = marks_of(view, entity)
    kind = kind_of(view, entity, rows, marks)
    return Cause(view.picture.entities[entity], kind, share, 1, text, evidence, marks)


def _with_undone(rows: list[int], view: View, entity: int) -> list[int]:
    """The clues with the loudest one of what it leaves undone in a queue, which speaks of it like its own."""
    nats = view.found.nats
    return sorted(
        [*rows, *left_undone(view.picture, view.found, entity)[:1]], key=lambda row: -round(float(nats[row]), 6)
    )


def telling_rows(found: Clues, entity: int) -> list[int]:
    """The clues that speak of an entity, the strongest first, at most two a family."""
    speaks = (found.nats >= NATS_MIN) & ~got_better(found)
    mine = np.flatnonzero(((found.entity == entity) | (found.peer == entity)) & speaks)
    kept: list[int] = []
    families: dict[int, int] = {}
    for row in sorted(mine.tolist(), key=lambda k: (-round(float(found.nats[k]), 6), found.text[k], found.table[k])):
        family = int(found.family[row])
        families[family] = families.get(family, 0) + 1
        if families[family] <= 2:
            kept.append(row)
    return kept


def _evidence(view: View, row: int) -> Evidence:
    """One clue as something that can be asked again: the query that filled its table, with the digest of its answer."""
    picture, table = view.picture, view.found.table[row]
    sample = _sample(picture, table, int(view.found.row[row]))
    sentence = clue_line(view, row)
    # the digest is of the numbers that the sentence was read from; the query gives them, and all that lies around
    digest = digest_of(sample)
    if proof := picture.proofs.get(_table_asked(view, row)):
        about = [k for k in (view.found.entity[row], view.found.peer[row]) if k >= 0]
        query = proof.query.replace(ENTITIES, f"({', '.join(literal(picture.entities[k]) for k in about)})")
        return replace(proof, sentence=sentence, query=query, sample=sample, digest=digest)
    return Evidence(sentence, picture.engine, "", picture.start_ms, picture.end_ms, digest, sample)


def _table_asked(view: View, row: int) -> str:
    """The question whose answer the clue was read from."""
    if view.found.table[row] == "tracks":
        return "tracks"
    of_logs = view.found.table[row] == "tallies" and view.picture.tallies.kind[int(view.found.row[row])] in OF_LOGS
    return "logs" if of_logs else "spans"


def _sample(picture: Picture, table: str, place: int) -> dict[str, object]:
    """The numbers that a clue was read from, as few as can be drawn."""
    if table == "tracks":
        values = np.concatenate([picture.tracks.before[place], picture.tracks.during[place]])[-SAMPLE_POINTS:]
        points = [None if not np.isfinite(value) else round(float(value), 6) for value in values]
        return {"values": points, "during": int(picture.tracks.during.shape[1])}
    if table == "tallies":
        tallies = picture.tallies
        names = ("hits_before", "of_before", "hits_during", "of_during")
        return {name: float(getattr(tallies, name)[place]) for name in names}
    names = ("mean_before", "count_before", "mean_during", "count_during")
    return {name: round(float(getattr(picture.times, name)[place]), 6) for name in names}


def _dead_ends(picture: Picture, fused: Fused, order: Sequence[int]) -> list[DeadEnd]:
    """What suffers and is explained, what cannot reach what was noticed, and changes that nothing speaks against."""
    ends = []
    for entity in order:
        who = picture.entities[entity]
        if fused.suffering[entity] >= 2 * NATS_MIN and fused.explained[entity] >= 0.5 and fused.explainer[entity] >= 0:
            by = picture.entities[fused.explainer[entity]]
            part = round(100 * float(fused.explained[entity]))
            ends.append(DeadEnd(who, f"{who.said} suffers, but {by.said}, which it needs, explains {part} % of it."))
        elif not fused.reached[entity] and fused.own[entity] + fused.symptom[entity] >= 2 * NATS_MIN:
            ends.append(DeadEnd(who, f"{who.said} is not its usual self, but nothing that was noticed needs it."))
    accused = {picture.entities[k] for k in range(len(picture.entities)) if fused.change[k] >= 0}
    for change in sorted(picture.changes, key=lambda each: (each.at_ms, each.entity, each.title)):
        if change.entity not in accused and change.at_ms <= picture.onset_ms:
            what = f"{quoted(change.title or change.kind)} of {change.entity.said}"
            why = f"{what} came before, but nothing else speaks against it."
            ends.append(DeadEnd(change.entity, why))
    return ends[:20]


def _gaps(picture: Picture) -> list[str]:
    gaps = []
    if not len(picture.tracks):
        gaps.append("There are no metrics around this case.")
    if not len(picture.times):
        gaps.append("There are no traces around this case: whose time it is can only be told from metrics.")
    if not any(kind == "log" for kind in picture.tallies.kind):
        gaps.append("There are no logs around this case.")
    if not picture.relations:
        gaps.append("Nothing is known of what needs what.")
    return gaps
