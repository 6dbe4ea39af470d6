"""Which playbook first: how well it fits what is known of the cause, times what is known of its success.

A contextual bandit: the context is the kind of the cause, and what one kind has taught counts a part for the others.
Each time a success rate is drawn from what is known of it, so that what is hardly known is tried now and then.

Source: W. R. Thompson, On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of Two
Samples, Biometrika 25 (1933), 285-294; S. Agrawal and N. Goyal, Analysis of Thompson Sampling, COLT 2012.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from cerebro.algorithms.beta import beta_quantile
from cerebro.casework.cause.telling import changes_named
from cerebro.casework.cause.vocabulary import CLEAR, OCCUPIED, telling, worth
from cerebro.casework.hands.store import Past
from cerebro.casework.playbooks.model import Playbook, Probe
from cerebro.spine.actions import Level, Reason, Risk
from cerebro.spine.cases import Cause, Mark
from cerebro.spine.entities import EntityKey
from cerebro.spine.quote import unquoted

WORD_GAIN, WORDS_MAX = 0.35, 3
WORDS_CHARS_MAX = 20_000
THING = re.compile(r"\b[a-z_]+/[\w.-]+")
SHAPE_GAIN, PROBE_GAIN = 0.2, 0.8  # what is measured says more than what is said
NARROW_GAIN = 0.15  # for a playbook that is for this kind of thing alone
RISK_FACTOR = {Risk.READ: 1.0, Risk.SAFE: 1.0, Risk.GUARDED: 0.95, Risk.DANGEROUS: 0.7}
NO_UNDO_FACTOR = 0.97
ELSEWHERE = 0.3  # what an outcome against another kind of cause counts
PRIOR_HELPED, PRIOR_NOT = 2.0, 1.0
HARM_WEIGHT, VERDICT_WEIGHT = 4.0, 2.0
FLOOR_COUNT, FLOOR_RATE = 4, 0.2  # with so many outcomes, one that helps less often is left to people
PROMOTE_COUNT, PROMOTE_RATE, SURE = 5, 0.6, 0.1
NEXT = {Level.SUGGEST: Level.ASK, Level.ASK: Level.ACT, Level.ACT: Level.SILENT}


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a cause when a playbook is chosen.

    Args:
        nature: What the thing to blame is: database, cache, queue, external, or its kind.
        words: What proves the cause in Cerebro's own words, its marks among them, in lower case: what telemetry says
            stands in quotation marks there, and chooses nothing.
        objectives: That burn.
        shape: What those who use it feel; see `felt.shape_of`.
        gauges: Its gauges that playbooks probe, as they are now.
        named: The titles of the changes that came just before, and the target's replicas that the proof speaks of.
    """

    cause: Cause
    nature: str
    words: str
    objectives: frozenset[str] = frozenset()
    shape: str = ""
    gauges: Mapping[str, float] = field(default_factory=dict)
    named: str = ""


def words_of(cause: Cause) -> str:
    """What proves a cause, in lower case: Cerebro's own words, and nothing that telemetry says."""
    said = [mark.word.replace("_", " ") for mark in cause.marks]
    return " ".join((*map(unquoted, _proof(cause)), *said)).lower()[:WORDS_CHARS_MAX]


def named_in(cause: Cause) -> str:
    """What names a flag or a replica: titles of the changes that came just before, and replicas that are spoken of."""
    changes, mine = map(changes_named, _proof(cause)), f"/{cause.entity.name}-"
    things = (thing for text in _proof(cause) for thing in THING.findall(unquoted(text)))
    return " ".join((*changes, *(thing for thing in things if mine in thing)))[:WORDS_CHARS_MAX]


def _proof(cause: Cause) -> list[str]:
    return [cause.explanation, *(each.sentence for each in cause.evidence)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A playbook on a target, with its score and what the score is made of."""

    playbook: Playbook
    target: EntityKey
    score: float
    reasons: tuple[Reason, ...]
    doubt: str  # why its record, or what the evidence names, speaks against doing it unasked; empty for no reason


LOUD_NATS = 10.0
OUTRIGHT, USED = 3, 2  # as `telling` has it
CLEARLY = 2.0  # times the share of any other, that one has which is clearly to blame
ASKED_MORE = "surged"  # a mark that names no trouble of the thing itself
RIVAL = 0.05  # of the blame, from where on what is said of another counts
NAMED_RIVAL = 0.02  # where nothing names a trouble of this one, and a mark names one of the other outright
SURE_AGAIN = 0.9  # of the blame, from where on something is done unasked after something else did not help


def is_outright(cause: Cause) -> bool:
    """Whether the evidence names outright what is wrong with it, whatever would be done about that."""
    return any(named_by(mark) >= OUTRIGHT for mark in cause.marks)


def answered(playbook: Playbook, cause: Cause) -> tuple[float, tuple[str, ...]]:
    """How much of what the evidence says the playbook answers, and to which words."""
    held = [mark for mark in cause.marks if mark.word in playbook.trigger.marks]
    values = [worth(mark) * (0.5 + 0.5 * min(mark.nats, LOUD_NATS) / LOUD_NATS) for mark in held]
    words = tuple(f"{mark.word} (in lines only)" if mark.claimed else mark.word for mark in held)
    return max(values, default=0.0), words


def is_answer(playbook: Playbook, cause: Cause) -> bool:
    """Whether it answers to the most telling of the marks, so that it may be done unasked.

    One that is only claimed may still be true, and holds back whatever answers to less.
    """
    most = max((telling(mark.word) for mark in cause.marks), default=0)
    held = [worth(mark) for mark in cause.marks if mark.word in playbook.trigger.marks]
    return most <= 1 or max(held, default=0) >= most


def is_unsaid(playbook: Playbook, cause: Cause) -> bool:
    """Whether it is no small thing, and the evidence says none of the words that it is for.

    Where it cannot be taken back, what names nothing outright must be more than barely beyond its bound.
    """
    if playbook.undoable and playbook.risk is Risk.SAFE:
        return False
    sure = (mark for mark in cause.marks if playbook.undoable or mark.nats > CLEAR or telling(mark.word) == OUTRIGHT)
    said = {mark.word for mark in sure if not mark.claimed}
    return bool(playbook.trigger.marks) and not said & set(playbook.trigger.marks)


def is_hasty(playbook: Playbook, cause: Cause) -> bool:
    """Whether it is left for when more is known: no small thing, not to be taken back, and no mark names why outright.

    What any trouble looks like is told at once; what tells one from another, often only seconds later, the more so by
    a program that is too busy to tell of itself.
    """
    if playbook.undoable or playbook.risk is Risk.SAFE:
        return False
    return _named(playbook, cause) < OUTRIGHT


def is_only_claimed(playbook: Playbook, cause: Cause) -> bool:
    """Whether it is chosen for what lines say and nothing else: text alone has nothing done unasked."""
    held = [mark for mark in cause.marks if mark.word in playbook.trigger.marks]
    by_kind = cause.kind in playbook.trigger.causes and not playbook.trigger.mark_needed
    return bool(held) and not by_kind and all(mark.claimed for mark in held)


def doubt_of(playbook: Playbook, cause: Cause, causes: Iterable[Cause], *, failed: bool) -> str:
    """Why it should not be done unasked although its share would do; empty for no reason.

    A share of the blame that another nearly has, too, is a guess at who it is; the wrong one can only be hurt. It does
    when the evidence names what is wrong with this one better than what is wrong with any other.

    Args:
        failed: Whether something was done for the case already, and did not help.
    """
    if is_only_claimed(playbook, cause):
        return "only lines say so, and nothing that is measured bears it out"
    if is_unsaid(playbook, cause):
        return "the evidence says nothing of what it is for"
    rivals = [each for each in causes if each.entity != cause.entity]
    named = _named(playbook, cause)
    theirs = max((_rivalry(each, named) for each in rivals), default=0)
    sure = named >= OUTRIGHT or (cause.share >= SURE_AGAIN and (named >= USED or playbook.undoable))
    if failed and not sure:
        return "what was done before did not help, and the evidence does not name what is wrong here"
    if named < theirs and theirs >= USED:
        return "the evidence names a trouble of another one better"
    most = max((each.share for each in rivals), default=0.0)
    if cause.share < CLEARLY * most and named <= max(1, theirs):
        return f"another has {most:.0%} of the blame, and the evidence names no trouble of this one better"
    return ""


def _named(playbook: Playbook, cause: Cause) -> int:
    """How directly the evidence names what the playbook is for."""
    return max((named_by(mark) for mark in cause.marks if mark.word in playbook.trigger.marks), default=0)


def _rivalry(rival: Cause, named: int) -> int:
    """How directly the evidence names a trouble of another, as far as it has enough of the blame to count.

    Args:
        named: How directly it names that of the one that something would be done to.
    """
    most = max((named_by(mark) for mark in rival.marks if mark.word != ASKED_MORE), default=0)
    outright = most >= OUTRIGHT and named < USED
    return most if rival.share >= (NAMED_RIVAL if outright else RIVAL) else 0


def named_by(mark: Mark) -> int:
    """How directly a mark names what is wrong, beside others; see `telling`.

    What is held while another is waited for names nothing then, and neither does what is barely beyond its bound.
    """
    return 1 if mark.word in OCCUPIED or mark.nats <= CLEAR else worth(mark)


def applies(playbook: Playbook, picture: Picture) -> bool:
    """Whether a playbook is for this: the thing, what the evidence says of it, what is felt and measured there."""
    trigger, cause = playbook.trigger, picture.cause
    kinds = {picture.nature, cause.entity.kind} if picture.nature == cause.entity.kind else {picture.nature}
    said = {mark.word for mark in cause.marks}
    by_kind = cause.kind in trigger.causes and not (trigger.marks and trigger.mark_needed)
    named = any(worth(mark) >= USED for mark in cause.marks if mark.word in trigger.marks)  # what is felt tells no more
    refusals = (
        not kinds & set(trigger.entities),
        cause.share < trigger.share_min,
        any(mark.word in trigger.without and not mark.claimed for mark in cause.marks),
        not said & set(trigger.marks) and not by_kind,
        bool(trigger.needs) and not any(word.lower() in picture.words for word in trigger.needs),
        bool(trigger.shapes and picture.shape) and picture.shape not in trigger.shapes and not named,
        not all(probe_holds(probe, picture.gauges) for probe in trigger.probes),
        bool(trigger.objectives) and not picture.objectives & set(trigger.objectives),
    )
    return not any(refusals)


def probe_holds(probe: Probe, gauges: Mapping[str, float]) -> bool:
    """Whether a gauge is as the playbook asks; one that tells nothing is not."""
    return gauges.get(probe.metric, float("-inf")) > probe.above


def fit(playbook: Playbook, picture: Picture) -> tuple[float, tuple[Reason, ...]]:
    """How well a playbook fits; 0 when it does not apply."""
    trigger, cause = playbook.trigger, picture.cause
    if not applies(playbook, picture):
        return 0.0, ()
    answer, spoken = answered(playbook, cause)
    hits = [word for word in (*trigger.needs, *trigger.words) if word.lower() in picture.words][:WORDS_MAX]
    value = 1.0 + answer + WORD_GAIN * len(hits) * (not spoken) + NARROW_GAIN * (len(trigger.causes) == 1)
    value += SHAPE_GAIN * bool(trigger.shapes and picture.shape) + PROBE_GAIN * len(trigger.probes)
    value *= RISK_FACTOR[playbook.risk] * (1.0 if playbook.undoable else NO_UNDO_FACTOR)
    text = f"It is for a {picture.nature} whose cause is {cause.kind}"
    text += f", and the proof speaks of {', '.join(hits)}." if hits else "."
    text += f" The evidence says: {', '.join(spoken)}." if spoken else ""
    text += f" Those who use it see: {picture.shape.replace('_', ' ')}." if picture.shape else ""
    text += "".join(f" {probe.metric} is {picture.gauges[probe.metric]:g}." for probe in trigger.probes)
    share = Reason("share", f"The cause has {cause.share:.0%} of the blame: {cause.explanation[:300]}", cause.share)
    return value, (Reason("fit", text, round(value, 3)), share)


def known(playbook: str, cause_kind: str, pasts: Iterable[Past]) -> tuple[float, float]:
    """What is known of a playbook's success against a kind of cause, as a Beta distribution."""
    helped, not_helped = PRIOR_HELPED, PRIOR_NOT
    for past in pasts:
        if past.playbook == playbook:
            weight = 1.0 if past.cause_kind == cause_kind else ELSEWHERE
            well, badly = past.labels(VERDICT_WEIGHT)
            helped += weight * well
            not_helped += weight * (badly + HARM_WEIGHT * past.harmful)
    return helped, not_helped


def is_trusted(helped: float, not_helped: float) -> bool:
    """The floor: whether it may be done unasked, by its record, without what was believed before there was any."""
    count = helped + not_helped - PRIOR_HELPED - PRIOR_NOT
    return count < FLOOR_COUNT or (helped - PRIOR_HELPED) / count >= FLOOR_RATE


def ranked(
    playbooks: Iterable[Playbook], picture: Picture, pasts: Sequence[Past], chance: Random
) -> tuple[Choice, ...]:
    """The playbooks that apply, the best first."""
    choices = []
    for playbook in sorted(playbooks, key=lambda each: each.name):
        value, reasons = fit(playbook, picture)
        if not value:
            continue
        helped, not_helped = known(playbook.name, picture.cause.kind, pasts)
        drawn = chance.betavariate(helped, not_helped)
        doubt = "" if is_trusted(helped, not_helped) else "its record here speaks against doing it unasked"
        if not is_answer(playbook, picture.cause):
            doubt = doubt or "it does not mend what the evidence names first"
        record = Reason("record", _record(playbook.name, pasts), round(helped / (helped + not_helped), 3))
        draw = Reason("draw", "Drawn from what is known of its success.", round(drawn, 3))
        score = value * value * (0.5 + drawn)
        choices.append(Choice(playbook, picture.cause.entity, round(score, 4), (*reasons, record, draw), doubt))
    return tuple(sorted(choices, key=lambda each: (-each.score, each.playbook.name)))


def moved_level(playbook: Playbook, level: Level, past: Past, *, harmed: bool, wished: bool = False) -> Level:
    """The level after an outcome: harm takes it down to asking at once, a good record raises it by one.

    Raised only up to the playbook's own `level_max`, and when its success rate is at least `PROMOTE_RATE` with 90 %
    certainty, without any harm, over at least `PROMOTE_COUNT` outcomes since it was last moved.

    Args:
        level: That it has now.
        past: Of the playbook against all kinds of causes together, this outcome included.
        harmed: Whether this outcome was harm.
        wished: Whether a person wanted it done: that says nothing of when Cerebro would do it, and raises no level.
    """
    if harmed:
        return Level.ASK if level in (Level.ACT, Level.SILENT) else Level.SUGGEST
    order = list(Level)
    after = NEXT.get(level, level)
    if (
        wished
        or past.since_moved < PROMOTE_COUNT
        or past.harmful
        or order.index(after) > order.index(playbook.level_max)
    ):
        return level
    well, badly = past.labels()
    sure = beta_quantile(SURE, 1.0 + well, 1.0 + badly)
    return after if sure >= PROMOTE_RATE else level


def _record(playbook: str, pasts: Iterable[Past]) -> str:
    own = [past for past in pasts if past.playbook == playbook]
    done, helped = sum(past.count for past in own), sum(past.helped for past in own)
    harmful = sum(past.harmful for past in own)
    if not done:
        return "It has not been done here before."
    return f"It was done {done} times before: {helped} helped, {harmful} harmed."


def summed(pasts: Iterable[Past]) -> Mapping[str, Past]:
    """By playbook, over every kind of cause."""
    found: dict[str, Past] = {}
    for past in pasts:
        old = found.get(past.playbook, Past(past.playbook, ""))
        found[past.playbook] = Past(
            past.playbook, "", old.helped + past.helped, old.not_helped + past.not_helped,
            old.harmful + past.harmful, old.good + past.good, old.bad + past.bad,
            old.since_moved + past.since_moved,
            old.judged_helped + past.judged_helped, old.judged_not + past.judged_not,
        )  # fmt: skip
    return found
