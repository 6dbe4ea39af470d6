"""A post-mortem as Markdown, from what the case has kept: values in, text out.

Every sentence of the summary, of causes and of dead ends is one of the case's story, with the numbers of its proofs:
those by which `cerebro explain` names them.
What came from outside is text, never markup: whatever a log line or a label holds, it becomes no heading and no link.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cerebro.casework.api_story import numbered
from cerebro.casework.life import CEREBRO
from cerebro.casework.phrases import Teller
from cerebro.casework.postmortem.timeline import told
from cerebro.casework.postmortem.timing import ended_ms, merged_ms, noticed_ms, went_on_in
from cerebro.casework.postmortem.words import SEVERITIES, WORDS
from cerebro.casework.proof import Part, Sentence, proof_id
from cerebro.casework.seal import Seal
from cerebro.casework.story import proved, said_of
from cerebro.spine.actions import Action, ActionState
from cerebro.spine.cases import Case
from cerebro.spine.quote import one_line

MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&@$])")
LATE_MS = 300_000  # noticed later than this, and someone should ask why
PROOFS_TOLD = 60
DONE = frozenset(
    {ActionState.HELPED, ActionState.UNVERIFIED, ActionState.UNDONE, ActionState.FAILED, ActionState.ESCALATED}
)
USERS = "users"  # why something was done: what users felt
SUMMARY = (Part.HURTS, Part.SINCE)


@dataclass(frozen=True, slots=True)
class Record:
    """All that a post-mortem is made of.

    Args:
        sentences: The story of the case.
        actions: Its own, and those that it shares with other cases.
        address: Of the case in the console.
        seals: Of the story's proofs, by their names.
        seen_ms: When the first finding of the case was seen; 0 where that is not known.
    """

    case: Case
    sentences: Sequence[Sentence]
    actions: Sequence[Action]
    address: str
    seals: Mapping[str, Seal] = field(default_factory=dict)
    seen_ms: int = 0


def draft(record: Record, teller: Teller) -> str:
    """The whole post-mortem, as Markdown."""
    return "\n".join(Draft(record, teller).lines()) + "\n"


class Draft:
    """One draft being written."""

    def __init__(self, record: Record, teller: Teller) -> None:
        self._record, self._teller = record, teller
        self._words = WORDS[teller.language]
        self._sentences, self._proofs = numbered(record.sentences)
        self._noticed_ms = noticed_ms(record.case, record.seen_ms)

    def lines(self) -> Iterator[str]:
        """Line by line."""
        case = self._record.case
        yield f"# {self._say('title', title=plain(case.title))}"
        yield ""
        yield f"*{self._say('drafted')}*"
        yield ""
        yield from self._facts(case)
        yield from self._section("summary", self._told(SUMMARY))
        yield from self._section("impact", [plain(case.impact)] if case.impact else list(self._impact(case)))
        yield from self._section("timeline", list(self._timeline(case)))
        yield from self._section("causes", self._told((Part.CAUSE,)) or [f"- {self._say('fu.cause')}"])
        yield from self._section("changes", self._told((Part.CHANGED,)) or [self._say("none_known")])
        yield from self._section("actions", list(self._actions()) or [self._say("no_actions")])
        yield from self._section("dead_ends", self._told((Part.UNKNOWN,)) or [self._say("none_known")])
        yield from self._section("follow_ups", [f"- [ ] {each}" for each in self._follow_ups(case)])
        yield from self._section("proofs", list(self._proven(case)))

    def _facts(self, case: Case) -> Iterator[str]:
        span = self._teller.span(max(0, self._noticed_ms - case.began_ms))
        rows = {
            "case": f"[{case.id}]({self._record.address})",
            "severity": SEVERITIES[self._teller.language][case.severity],
            "state": case.state.value,
            "began": moment(case.began_ms or case.opened_ms),
            "noticed": self._say("noticed_after", at=moment(self._noticed_ms), span=span),
            "ended": self._ended(case),
            "owner": plain(case.assignee) or self._say("nobody"),
            "entities": ", ".join(plain(entity.text) for entity in case.entities[:20]),
        }
        yield "| | |"
        yield "|---|---|"
        for name, value in rows.items():
            yield f"| {self._say(name)} | {value} |"

    def _ended(self, case: Case) -> str:
        if other := went_on_in(case):
            beside = f"{self._record.address.rpartition('/')[0]}/{other}"
            return self._say("went_on", at=moment(merged_ms(case)), case=f"[{other}]({beside})")
        if over_ms := ended_ms(case):
            span = self._teller.span(max(0, over_ms - case.began_ms))
            return self._say("ended_after", at=moment(over_ms), span=span)
        return self._say("lasts")

    def _impact(self, case: Case) -> Iterator[str]:
        """What users felt, as it was read before the first thing that was done; people know the rest."""
        acted = sorted((each for each in self._record.actions if each.started_ms), key=lambda each: each.started_ms)
        felt = next((reason.text for each in acted for reason in each.reasons if reason.what == USERS), "")
        if not felt:
            yield self._say("impact_unknown")
            return
        if over_ms := ended_ms(case):
            span = self._teller.span(max(0, over_ms - case.began_ms))
            yield f"- {self._say('impact_span', span=span, began=moment(case.began_ms), ended=moment(over_ms))}"
        yield f"- {self._say('impact_felt', felt=plain(felt))}"
        yield ""
        yield self._say("impact_add")

    def _section(self, name: str, lines: Sequence[str]) -> Iterator[str]:
        yield ""
        yield f"## {self._say(name)}"
        yield ""
        yield from lines

    def _told(self, parts: Sequence[Part]) -> list[str]:
        """The sentences of these parts of the story, each with the numbers of its proofs."""
        return [
            f"- {plain(sentence.text)} \\[{', '.join(map(str, sentence.proofs))}\\]"
            for sentence in self._sentences
            if sentence.part in parts
        ]

    def _timeline(self, case: Case) -> Iterator[str]:
        chosen = told(case.timeline)
        if chosen.left_count:
            counts = {"count": len(case.timeline), "left": chosen.left_count, "signals": chosen.left_signal_count}
            yield self._say("timeline_cut", **counts)
            yield ""
        yield f"| {self._say('when')} | {self._say('who')} | {self._say('what')} |"
        yield "|---|---|---|"
        for entry in chosen.lines:
            yield f"| {moment(entry.at_ms)} | {plain(entry.actor)} | {plain(entry.text)} |"

    def _actions(self) -> Iterator[str]:
        for action in sorted(self._record.actions, key=lambda each: each.made_ms):
            who = self._say("approved_by", who=plain(action.approved_by)) if _by_person(action) else ""
            by = who or (self._say("by_itself") if action.state in DONE else action.state.value)
            yield f"- **{plain(action.title)}** ({plain(action.target.text)}, {by})"
            yield f"  - {self._say('expected')}: {plain(action.predicted)}"
            for step in action.steps:
                for change in step.changes:
                    yield f"  - {plain(change.what)}: {plain(change.before)} → {plain(change.after)}"
            if action.outcome:
                yield f"  - {self._say('outcome')}: {plain(action.outcome)}"

    def _follow_ups(self, case: Case) -> list[str]:
        """What a careful person would ask next, from what happened."""
        found = []
        causes = proved(case)
        if not causes:
            found.append(self._say("fu.cause"))
        elif f"fu.{causes[0].kind}" in self._words:
            found.append(self._say(f"fu.{causes[0].kind}", entity=plain(said_of(causes[0].entity, self._teller))))
        late_ms = self._noticed_ms - case.began_ms
        if case.began_ms and late_ms >= LATE_MS:
            found.append(self._say("fu.detect", span=self._teller.span(late_ms)))
        lessons = [(_lesson(action), action.title) for action in self._record.actions]
        found += [self._say(key, title=plain(title)) for key, title in lessons if key]
        if any(entry.kind == "reopened" for entry in case.timeline):
            found.append(self._say("fu.reopened"))
        if not case.assignee and case.entities:
            found.append(self._say("fu.owner", entity=plain(said_of(case.entities[0], self._teller))))
        return found or [self._say("fu.nothing")]

    def _proven(self, case: Case) -> Iterator[str]:
        yield self._say("proofs_say", case=case.id)
        yield ""
        if len(self._proofs) > PROOFS_TOLD:
            yield self._say("proofs_cut", count=PROOFS_TOLD, all=len(self._proofs))
            yield ""
        for number, evidence in enumerate(self._proofs[:PROOFS_TOLD], 1):
            seal = self._record.seals.get(proof_id(evidence))
            head = f"{number}. "
            inside = " " * len(head)  # less, and it would be read as text of its own
            yield f"{head}{evidence.engine}, {moment(evidence.start_ms)} – {moment(evidence.end_ms)}"
            yield ""
            yield from (f"{inside}    {line}" for line in evidence.query.replace("\t", " ").splitlines()[:40])
            yield ""
            yield f"{inside}SHA-256 {seal.digest if seal else evidence.digest}"
            yield ""

    def _say(self, key: str, **said: object) -> str:
        return self._words[key].format(**said)


def _lesson(action: Action) -> str:
    if action.harmful:
        return "fu.harm"
    if action.state is ActionState.UNDONE:
        return "fu.undone"
    if action.state is ActionState.FAILED:
        return "fu.failed"
    return "fu.by_hand" if action.state is ActionState.HELPED and _by_person(action) else ""


def _by_person(action: Action) -> bool:
    return action.approved_by not in ("", CEREBRO)


def plain(text: str) -> str:
    """Text from outside, on one line, with nothing that Markdown or HTML reads as more than text.

    >>> plain("a *b* [c](javascript:1)")
    'a \\\\*b\\\\* \\\\[c\\\\](javascript:1)'
    """

    return re.sub(r"(?i)\b(https?|ftp|javascript|data):", "\\1\\\\:", MARKUP.sub(r"\\\1", one_line(text)))


def moment(at_ms: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
