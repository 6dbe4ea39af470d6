"""A post-mortem as Markdown, from what the case has kept: values in, text out.

Every sentence of the summary, of causes and of dead ends is one of the case's story, with the numbers of its proofs.
What came from outside is text, never markup: whatever a log line or a label holds, it becomes no heading and no link.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.casework.life import CEREBRO
from cerebro.casework.phrases import Teller
from cerebro.casework.postmortem.words import SEVERITIES, WORDS
from cerebro.casework.proof import Part, Sentence, proof_id
from cerebro.casework.quote import one_line
from cerebro.casework.story import named, proved
from cerebro.spine.actions import Action, ActionState
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.findings import Evidence

MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&@$])")
LATE_MS = 300_000  # noticed later than this, and someone should ask why
TIMELINE_TOLD = 100
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
        address: Of the case in the console.
    """

    case: Case
    sentences: Sequence[Sentence]
    actions: Sequence[Action]
    address: str


def draft(record: Record, teller: Teller) -> str:
    """The whole post-mortem, as Markdown."""
    return "\n".join(Draft(record, teller).lines()) + "\n"


class Draft:
    """One draft being written."""

    def __init__(self, record: Record, teller: Teller) -> None:
        self._record, self._teller = record, teller
        self._words = WORDS[teller.language]
        self._proofs: dict[str, tuple[int, Evidence]] = {}

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
        yield from self._section("timeline", self._timeline(case))
        yield from self._section("causes", self._told((Part.CAUSE,)) or [f"- {self._say('fu.cause')}"])
        yield from self._section("changes", self._told((Part.CHANGED,)) or [self._say("none_known")])
        yield from self._section("actions", list(self._actions()) or [self._say("no_actions")])
        yield from self._section("dead_ends", self._told((Part.UNKNOWN,)) or [self._say("none_known")])
        yield from self._section("follow_ups", [f"- [ ] {each}" for each in self._follow_ups(case)])
        yield from self._section("proofs", list(self._proven(case)))

    def _facts(self, case: Case) -> Iterator[str]:
        noticed = self._say(
            "noticed_after", at=moment(case.opened_ms), span=self._teller.span(max(0, case.opened_ms - case.began_ms))
        )
        ended, over_ms = self._say("lasts"), ended_ms(case)
        if over_ms:
            span = self._teller.span(max(0, over_ms - case.began_ms))
            ended = self._say("ended_after", at=moment(over_ms), span=span)
        rows = {
            "case": f"[{case.id}]({self._record.address})",
            "severity": SEVERITIES[self._teller.language][case.severity],
            "state": case.state.value,
            "began": moment(case.began_ms or case.opened_ms),
            "noticed": noticed,
            "ended": ended,
            "owner": plain(case.assignee) or self._say("nobody"),
            "entities": ", ".join(plain(entity.text) for entity in case.entities[:20]),
        }
        yield "| | |"
        yield "|---|---|"
        for name, value in rows.items():
            yield f"| {self._say(name)} | {value} |"

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
            f"- {plain(sentence.text)} {self._numbers(sentence.evidence)}"
            for sentence in self._record.sentences
            if sentence.part in parts
        ]

    def _numbers(self, evidence: Sequence[Evidence]) -> str:
        found = []
        for each in evidence:
            number, _ = self._proofs.setdefault(proof_id(each), (len(self._proofs) + 1, each))
            found.append(number)
        return f"\\[{', '.join(map(str, dict.fromkeys(found)))}\\]"

    def _timeline(self, case: Case) -> list[str]:
        told = sorted(case.timeline, key=lambda entry: entry.at_ms)[:TIMELINE_TOLD]
        rows = [f"| {moment(entry.at_ms)} | {plain(entry.actor)} | {plain(entry.text)} |" for entry in told]
        return [f"| {self._say('when')} | {self._say('who')} | {self._say('what')} |", "|---|---|---|", *rows]

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
            found.append(self._say(f"fu.{causes[0].kind}", entity=plain(named(causes[0].entity, self._teller))))
        late_ms = case.opened_ms - case.began_ms
        if case.began_ms and late_ms >= LATE_MS:
            found.append(self._say("fu.detect", span=self._teller.span(late_ms)))
        lessons = [(_lesson(action), action.title) for action in self._record.actions]
        found += [self._say(key, title=plain(title)) for key, title in lessons if key]
        if any(entry.kind == "reopened" for entry in case.timeline):
            found.append(self._say("fu.reopened"))
        if not case.assignee and case.entities:
            found.append(self._say("fu.owner", entity=plain(named(case.entities[0], self._teller))))
        return found or [self._say("fu.nothing")]

    def _proven(self, case: Case) -> Iterator[str]:
        yield self._say("proofs_say", case=case.id)
        yield ""
        for number, evidence in list(self._proofs.values())[:PROOFS_TOLD]:
            head = f"{number}. "
            inside = " " * len(head)  # less, and it would be read as text of its own
            yield f"{head}{evidence.engine}, {moment(evidence.start_ms)} – {moment(evidence.end_ms)}"
            yield ""
            yield from (f"{inside}    {line}" for line in evidence.query.replace("\t", " ").splitlines()[:40])
            yield ""
            yield f"{inside}SHA-256 {evidence.digest}"
            yield ""

    def _say(self, key: str, **said: str) -> str:
        return self._words[key].format(**said)


def ended_ms(case: Case) -> int:
    """When nothing hurt any more as the record has it, or someone closed it all the same; 0 while it lasts."""
    if case.state is not CaseState.CLOSED:
        return case.resolved_ms
    shut_ms = max((entry.at_ms for entry in case.timeline if entry.kind == "closed"), default=case.updated_ms)
    return case.resolved_ms or case.cleared_ms or shut_ms


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
