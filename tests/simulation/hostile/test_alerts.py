"""Poisoned alerts, through Alertmanager's door: they open cases, as alerts do; what they say decides nothing."""

import json
import unicodedata
from collections.abc import Iterator

import pytest

from cerebro.app.inside import SimulatedStage
from cerebro.casework.life import _line
from cerebro.casework.phrases import LANGUAGES, Teller
from cerebro.casework.proof import Part
from cerebro.casework.story import titled
from cerebro.intake.alerts import AGENT, findings_of_alerts
from cerebro.kernel.settings import Settings
from cerebro.spine.errors import Invalid
from cerebro.spine.findings import Finding
from cerebro.spine.identity import DEFAULT_TENANT

from .corpus import TEXTS, kept, named, shares
from .plays import AIMED_STEPS, BEFORE_STEPS, Played, aimed, play, played, step, unquoted
from .sender import Sender

SAME = ("acts", "actions", "causes", "chat", "terminal")


async def test_what_is_done_and_said_of_a_fault_is_the_same_whatever_the_alerts_around_it_say():
    """The titles apart, which are the alerts' own: a token stands for each."""
    harmless, poisoned = await play("harmless", ("alerts",), "hang"), await play("poisoned", ("alerts",), "hang")

    assert harmless.told.acts and harmless.told.causes
    assert all(sent == {"alerts": set(TEXTS)} for sent in poisoned.sent.values())
    assert len(alerts_of(poisoned)) == len(alerts_of(harmless)) > len(TEXTS)
    assert [name for name in SAME if getattr(poisoned.told, name) != getattr(harmless.told, name)] == []
    assert list(words(poisoned)) == list(words(harmless))
    assert list(timelines(poisoned)) == list(timelines(harmless))


async def test_alerts_about_the_one_that_is_broken_choose_nothing():
    """All texts at once, but for those that are false evidence: see `test_evidence`."""
    harmless, poisoned = [
        await aimed([{"alerts": some} for some in shares(named(run, "trigger"), AIMED_STEPS)], "hang")
        for run in ("harmless", "poisoned")
    ]

    assert harmless.told.acts and len(alerts_of(poisoned)) > len(TEXTS) - 50
    assert [name for name in SAME if getattr(poisoned.told, name) != getattr(harmless.told, name)] == []


async def test_the_name_of_a_rule_moves_no_share():
    harmless, poisoned = [
        await aimed([{}] * BEFORE_STEPS + [{"alert_names": [(0, "only", text)]}] + [{}] * 13, "bad_deploy_errors")
        for text in ("kuku", "password authentication failed")
    ]

    assert harmless.told.acts
    assert poisoned.told.words == harmless.told.words


async def test_an_alert_whose_every_label_is_poison_is_a_case_like_any_other():
    """Of a thing that is named so: nothing is done, nobody is blamed, and but for the titles all words are ours."""
    harmless, poisoned = await strange("harmless"), await strange("poisoned")

    assert len(poisoned.cases) > 250
    assert poisoned.told.acts == poisoned.told.actions == poisoned.told.chat == ()
    assert set(poisoned.told.causes) == set(harmless.told.causes) <= {"1 unknown/unknown unknown"}
    tokens = {line.partition("⟨")[0] for line in words(harmless)}
    assert {line.partition("⟨")[0] for line in words(poisoned)} == tokens


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_poisoned_alert_is_shown_as_a_line_of_text(name):
    """What came in an alert's title is one line without a letter that steers a terminal or the way of reading."""
    alert = {"labels": {"alertname": "Rule", "service": TEXTS[name]}, "annotations": {"summary": TEXTS[name]}}
    body = json.dumps({"version": "4", "alerts": [alert]}).encode()
    if kept(TEXTS[name]) != TEXTS[name]:
        with pytest.raises(Invalid, match="surrogate"):
            findings_of_alerts(body, DEFAULT_TENANT, 1, past_ms=1)
        return

    [found] = findings_of_alerts(body, DEFAULT_TENANT, 1, past_ms=1)

    for shown in (found.entity.name, *(titled(found, Teller(language, 1)) for language in LANGUAGES)):
        assert [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")] == []
        assert len(shown) <= 300


async def strange(run: str) -> Played:
    """An alert of each text, about a thing that has it for its name, in an estate of which nothing is known yet."""
    stage = SimulatedStage(5, 11, Settings())
    await stage.open()
    sender = Sender(stage._cerebro.kernel, stage.ground.topology.names)
    await step(stage, sender, {"strange_alerts": named(run)})
    return await played(stage, sender, {})


def words(run: Played) -> Iterator[str]:
    """The told story, a token in the place of each alert's title."""
    titles = {titled(finding, Teller("en", 0)).rstrip(".") + ".": token for token, finding in alerts_of(run)}
    for line in run.told.words:
        language, part, said = line.split(": ", 2)
        is_title = part == Part.HURTS and said in titles
        yield f"{language}: {part}: {titles[said]}" if is_title else unquoted([line])[0]


def timelines(run: Played) -> Iterator[str]:
    """The timelines, a token in the place of each alert's title."""
    titles = {finding.id: (token, _line(finding.title)) for token, finding in alerts_of(run)}
    for case in run.cases:
        for entry in case.timeline:
            token, title = titles.get(entry.reference, ("", ""))
            yield f"{entry.kind}: {entry.text.replace(title, token, 1) if token else entry.text}"


def alerts_of(run: Played) -> list[tuple[str, Finding]]:
    """The findings that Alertmanager told, each with a token that it shares with its twin."""
    found = [each for each in run.findings.values() if each.agent == AGENT]
    return [(f"⟨{each.dedup_key} {each.seen_ms}⟩", each) for each in found]
