"""What is told of poisoned things, one carrier after the other: their words stand in quotation marks, and stay there.

Each text is put where a carrier's sentences have one, and the sentence is held against that of its harmless twin.
Without what stands in quotation marks the two must be the same, for then nothing from outside is in Cerebro's words. A
name of letters, digits, dots, colons, slashes, underscores and hyphens may stand without marks: it is no
sentence.
"""

import json
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np
import pytest

from cerebro.agents.support import describe, line_words, span_words
from cerebro.agents.support.band import Band
from cerebro.agents.support.model import SeriesName, Turn
from cerebro.agents.support.newcomers import News
from cerebro.casework.answers import answer
from cerebro.casework.cause import telling
from cerebro.casework.cause.clues import Family
from cerebro.casework.cause.lines import template
from cerebro.casework.cause.picture import Change
from cerebro.casework.deeds import KeptAction
from cerebro.casework.hands import chat
from cerebro.casework.phrases import LANGUAGES, Teller
from cerebro.casework.proof import Part
from cerebro.casework.russian import in_russian
from cerebro.casework.story import Material, changes_of, tell, titled
from cerebro.cli.hands import _told
from cerebro.cli.out import clean
from cerebro.intake.alerts import findings_of_alerts
from cerebro.intake.cloudevents import events_of
from cerebro.intake.entity import clean as as_name
from cerebro.spine import actions
from cerebro.spine.actions import ActionState, Call, Difference, Expectation, Level, Reason, Risk, Step
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, ActionId, CaseId
from cerebro.spine.quote import quoted

from .corpus import CHOSEN, TEXTS, kept
from .plays import ADDRESS, unquoted
from .sender import DEPLOY

REVIEW = EntityKey("service", "review")
TOKEN, PLAIN = "token", re.compile(r"[A-Za-z0-9_.:/-]{1,120}")
READABLE = [name for name, text in TEXTS.items() if kept(text) == text]
Say = Callable[[str], list[str]]  # everything that is said of a text by one carrier


def clue(family: Family, table: str, of: Callable[[str], str] = str) -> Say:
    """A clue of a diagnosis, as its evidence tells it."""

    def say(text: str) -> list[str]:
        one = {name: np.array([1]) for name in ("sign", "level", "change")} | {"entity": [0], "peer": [-1]}
        found = SimpleNamespace(**one, family=[family], table=[table], text=[of(text)])
        return [telling.clue_line(SimpleNamespace(picture=SimpleNamespace(entities=(REVIEW,)), found=found), 0)]

    return say


def of_finding(find: Callable[[str], Finding]) -> Say:
    """A finding, as the story tells it in each language."""

    def say(text: str) -> list[str]:
        found = find(text)
        return [titled(found, Teller(language, 1)) for language in LANGUAGES]

    return say


def new_line(text: str) -> Finding:
    """A line that nobody has seen before."""
    told = line_words.Told(("service", "review"), "0f", text, 9, (line_words.shown(text, 300),), DEFAULT_TENANT)
    return line_words.novel_finding(DEFAULT_TENANT, "new_template", told, 1, 2, 0.01)


def new_value(text: str) -> Finding:
    """A value that nobody has seen in its place."""
    told = line_words.Told(("service", "review"), "0f", "x", 9, (line_words.shown(text, 300),), DEFAULT_TENANT)
    return line_words.novel_finding(DEFAULT_TENANT, "parameter", told, 1, 2, 0.01)


def more_lines(text: str) -> Finding:
    """Lines that come more often."""
    told = line_words.Told(("service", "review"), "0f", text, 9, (), DEFAULT_TENANT)
    name = SeriesName(1, 2, "log.lines", (("of", "0f"),), "gauge", "1", "service", "review")
    found = line_words.translated(series(name), lambda key: told)
    assert found is not None
    return found


def new_operation(text: str) -> Finding:
    """An operation that nobody has seen before."""
    return span_words.newcomer_finding(
        DEFAULT_TENANT, News("new_operation", ("service", "review"), text, 1, 9, 0.01, "t"), 2
    )


def slow_operation(text: str) -> Finding:
    """An operation that takes longer."""
    name = SeriesName(1, 2, "span.duration", (("of", text),), "gauge", "s", "service", "review")
    found = span_words.translated(series(name))
    assert found is not None
    return found


def series(name: SeriesName) -> Finding:
    """A series that jumped."""
    moment = describe.Moment(0, 2000, 1000, 90.0, 1.0, 0, Turn.OPENED, 0.01, 9.0)
    at, one = np.array([1000, 2000]), np.array([1.0, 90.0], np.float32)
    return describe.opened(
        DEFAULT_TENANT, name, moment, Band(at, one, one, one, one), 0, describe.Allowed(1, 1, 1, 1, 1)
    )


def metric(text: str) -> Finding:
    """A series whose metric has the text for its name."""
    return series(SeriesName(1, 2, text, (), "gauge", "1", "service", "review"))


def label(text: str) -> Finding:
    """A series with the text for the value of a label."""
    return series(SeriesName(1, 2, "queue.depth", (("note", text),), "gauge", "1", "service", "review"))


def unit(text: str) -> Finding:
    """A series that is counted in the text."""
    return series(SeriesName(1, 2, "queue.depth", (), "gauge", text, "service", "review"))


def thing(text: str) -> Finding:
    """A series of a service that has the text for its name."""
    return series(SeriesName(1, 2, "queue.depth", (), "gauge", "1", "service", text))


def alert(text: str) -> Finding:
    """An alert whose summary is the text."""
    told = {"labels": {"alertname": "Rule", "service": "review"}, "annotations": {"summary": text or "-"}}
    [found] = findings_of_alerts(json.dumps({"alerts": [told]}).encode(), DEFAULT_TENANT, 1, past_ms=1)
    return found


def change(text: str) -> list[str]:
    """A deploy whose title is the text, as the story tells of it."""
    event = {"specversion": "1.0", "id": "1", "source": "ci", "type": DEPLOY, "subject": "service/review"}
    body = json.dumps(event | {"data": {"title": text, "version": "1"}}).encode()
    rows = [row | {"at_ms": 1} for row in events_of(body, "application/cloudevents+json", {}, 1).to_pylist()]
    case = Case(
        CaseId("c"), DEFAULT_TENANT, CaseState.OPEN, Severity.MINOR, "t", 1, 1, (REVIEW,), (), began_ms=1, last_ms=1
    )
    material = Material(case, {}, changes_of(case, DEFAULT_TENANT, rows))
    told = [each for language in LANGUAGES for each in tell(material, Teller(language, 1))]
    return [each.text for each in told if each.part is Part.CHANGED]


def in_a_diagnosis(text: str) -> list[str]:
    """A change that came before the first sign, as a cause is explained by it."""
    done = Change(REVIEW, 1000, "deploy", text)
    picture = SimpleNamespace(entities=(REVIEW,), changes=(done,), onset_ms=6000)
    view = SimpleNamespace(picture=picture, fused=SimpleNamespace(silent=[0.0], change=[0], support=[9.0]))
    said = telling.sentence_of(view, 0, ())
    return [said, in_russian(said)]


CARRIERS = (
    pytest.param(change, id="the title of a change"),
    pytest.param(in_a_diagnosis, id="a change in a diagnosis"),
    pytest.param(clue(Family.LOGS, "tallies", template), id="a template in a diagnosis"),
    pytest.param(clue(Family.FLOW, "tallies", "{0} → {0}".format), id="a way through the code in a diagnosis"),
    pytest.param(clue(Family.OWN_ERRORS, "tallies"), id="a failing operation in a diagnosis"),
    pytest.param(clue(Family.OWN_TIME, "times"), id="a slow operation in a diagnosis"),
    pytest.param(clue(Family.RESOURCE, "tracks"), id="a metric in a diagnosis"),
    pytest.param(of_finding(new_line), id="a new line"),
    pytest.param(of_finding(new_value), id="a new value in a line"),
    pytest.param(of_finding(more_lines), id="lines that come more often"),
    pytest.param(of_finding(new_operation), id="a new operation"),
    pytest.param(of_finding(slow_operation), id="a slow operation"),
    pytest.param(of_finding(metric), id="the name of a metric"),
    pytest.param(of_finding(label), id="the value of a label"),
    pytest.param(of_finding(unit), id="a unit"),
    pytest.param(of_finding(thing), id="the name of a thing"),
    pytest.param(of_finding(alert), id="the title of an alert"),
)


@pytest.mark.parametrize("say", CARRIERS)
def test_no_word_from_outside_is_told_as_one_of_ours(say):
    told = {name: (ours(say, CHOSEN["harmless"][name]), ours(say, TEXTS[name])) for name in READABLE}

    assert {name: poisoned for name, (harmless, poisoned) in told.items() if harmless != poisoned} == {}


def ours(say: Say, text: str) -> list[str]:
    """What is said of the text without the text, where it stands in marks or is a plain name."""
    said, text = (
        unquoted(say(text)),
        text[1:-1] if re.fullmatch(r"{[\w./-]+}", text) else text,
    )  # units may be in braces
    words = text.replace("_", " ").replace(".", " ").strip()
    if words and PLAIN.fullmatch(text[:40]):
        spelled = "|".join(re.escape(each) for each in (text, words, text.replace("_", " "), text[:40]))
        said = [re.sub(rf"(?i)(?<![A-Za-z0-9])({spelled})(?![A-Za-z0-9])", "“…”", line) for line in said]
    return said


STEERING = (
    pytest.param(change, id="the title of a change"),
    pytest.param(of_finding(new_line), id="a new line"),
    pytest.param(of_finding(new_operation), id="a new operation"),
    pytest.param(of_finding(alert), id="the title of an alert"),
    pytest.param(clue(Family.LOGS, "tallies", template), id="a template in a diagnosis"),
    pytest.param(clue(Family.OWN_TIME, "times"), id="a slow operation in a diagnosis"),
    pytest.param(clue(Family.RESOURCE, "tracks"), id="a metric in a diagnosis"),
)


@pytest.mark.parametrize("say", STEERING)
def test_what_is_told_is_one_line_without_a_letter_that_steers(say):
    told = {name: [line for line in say(TEXTS[name]) if not line.isprintable()] for name in READABLE}

    assert {name: lines for name, lines in told.items() if lines} == {}


def action(text: str) -> KeptAction:
    """An action that has the text wherever something from outside may stand."""
    target = EntityKey("service", as_name(text) or "unknown")  # a door takes from names what steers
    call = Call("process", "restart", target, {"replica": text})
    step = Step(call, (Difference(text, text, text),), "k", (call,), said=text)
    explained = clue(Family.LOGS, "tallies", template)(text)[0]  # as a cause is explained
    reasons = (Reason("share", f"The cause has 90% of the blame: {explained[:300]}", 0.9), Reason("policy", text))
    return KeptAction(
        ActionId("a"), DEFAULT_TENANT, CaseId("c"), "restart-service", 1, "Restart a service", target, "resource",
        Risk.GUARDED, Level.ASK, ActionState.AWAITING, {"replica": text}, (step,), "It starts afresh.", Expectation(),
        "d", 1, 1, 1, outcome=text, reasons=reasons,
        story=(actions.Turn(1, text, ActionState.AWAITING, text),),
    )  # fmt: skip


def messages(text: str) -> list[Mapping[str, object]]:
    """All that a chat is told of such an action."""
    shown = action(text)
    return [chat.asked(shown, TOKEN, ADDRESS), chat.asked(shown, "", ""), chat.over(shown), chat.answered(shown, text)]


def parts_of(message: Mapping[str, object]) -> list[tuple[str, str]]:
    """Every text of a message, after how it is read."""
    found = []
    for block in message["blocks"]:
        for part in block.get("elements", [block]):
            inner = part["text"] if isinstance(part["text"], dict) else part
            found.append((inner["type"], inner["text"]))
    return found


@pytest.mark.parametrize("name", READABLE)
def test_a_chat_is_told_nothing_from_outside_but_text(name):
    """No markup but our own link; nothing that calls anyone or links anywhere; buttons that carry our token alone."""
    for message in messages(TEXTS[name]):
        parts = parts_of(message)
        assert {text for kind, text in parts if kind != "plain_text"} <= {f"<{ADDRESS}|Open the case>"}
        assert not set("<>") & set(message["text"])
        assert all(letter.isprintable() or letter == "\n" for _, text in parts for letter in text)
        buttons = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
        assert {(each["action_id"], each["value"]) for each in buttons} <= {("approve", TOKEN), ("refuse", TOKEN)}
        assert json.loads(json.dumps(message)) == message


def breaks_of(text: str) -> list[list[int]]:
    """Line breaks in each part of each message."""
    return [[part.count("\n") for _, part in parts_of(message)] for message in messages(text)]


def test_nothing_from_outside_makes_a_line_of_its_own_in_a_chat():
    """Part by part; a message that has no room for all of it has other parts, and no more breaks than the whole one."""
    forged = {}
    for name in READABLE:
        for usual, now in zip(*(breaks_of(CHOSEN[run][name]) for run in ("harmless", "poisoned")), strict=True):
            alike = len(usual) == len(now)
            more = any(b > a for a, b in zip(usual, now, strict=True)) if alike else sum(now) > sum(usual)
            forged |= {name: (usual, now)} if more else {}
    assert forged == {}


@pytest.mark.parametrize("name", READABLE)
def test_a_terminal_is_told_nothing_from_outside_but_text(name):
    """As many lines as of a harmless one, and no letter that moves a cursor, changes a colour or turns the reading."""
    harmless, poisoned = [
        [clean(line) for line in _told(json.loads(answer(action(CHOSEN[run][name])).body))]
        for run in ("harmless", "poisoned")
    ]

    assert len(poisoned) == len(harmless)
    assert all(line.isprintable() for line in poisoned)


@pytest.mark.parametrize("name", READABLE)
def test_a_quotation_ends_where_ours_ends(name):
    """Whatever it holds: one pair of marks, the outer ones; one line; bounded."""
    shown = quoted(TEXTS[name])

    assert shown[0] == "“" and shown[-1] == "”"
    assert not set("“”") & set(shown[1:-1])
    assert shown.isprintable() and len(shown) <= 122
