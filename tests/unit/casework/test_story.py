"""The story of a case: nothing without proof, every part in both languages, the same digest when asked again."""

import doctest
import re
from dataclasses import replace
from importlib import import_module

import pytest

from cerebro.casework import life
from cerebro.casework.phrases import LANGUAGES, TEMPLATES, Teller
from cerebro.casework.proof import Part, Sentence, Unproved, digest, digest_of_rows, recorded
from cerebro.casework.reread import chosen
from cerebro.casework.russian import in_russian
from cerebro.casework.story import Material, changes_of, tell
from cerebro.spine.cases import Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity

T = 1_700_000_000_000
SAMPLE = {"value": [0.1, 0.97], "expected": [0.1, 0.1], "unit": "1", "at_ms": [T, T + 5000]}
SHOWN = Evidence("It left its band.", "clickhouse", "SELECT 1", T, T + 5000, digest(SAMPLE), SAMPLE)
FINDING = Finding(
    id="f1", tenant="t", agent="support", kind="level_shift", entity=EntityKey("service", "pay"), at_ms=T,
    seen_ms=T + 30_000, severity=Severity.MAJOR, p_value=1e-6, effect=4.0, signal="system.cpu.utilization",
    title="CPU of service pay rose", evidence=(SHOWN,), dedup_key="k",
)  # fmt: skip
CASE = life.opened("c1", FINDING, "It is new.", T + 30_000)
CAUSE = Cause(EntityKey("service", "db"), "deploy", 0.7, 1, "Version 2 came 10 s before.", (SHOWN,))
EVENT = {
    "at_ms": T - 10_000,
    "kind": "deploy",
    "entity_kind": "service",
    "entity_name": "db",
    "source": "ci",
    "title": "v2",
}


def story(case=CASE, language="en", rows=()):
    material = Material(case, {"f1": FINDING}, changes_of(case, "t", rows))
    return tell(material, Teller(language, T + 60_000))


@pytest.mark.parametrize("name", ["proof", "phrases", "reread", "russian"])
def test_examples_hold(name):
    assert doctest.testmod(import_module(f"cerebro.casework.{name}")).failed == 0


@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (replace(SHOWN, query=" "),),
        (replace(SHOWN, engine="gossip"),),
        (replace(SHOWN, digest=""),),
        (replace(SHOWN, digest="z" * 64),),
        (replace(SHOWN, end_ms=T - 1),),
        (SHOWN, replace(SHOWN, query="")),
    ],
)
def test_nothing_is_said_without_proof(evidence):
    with pytest.raises(Unproved):
        Sentence("It is so.", evidence)


def test_a_digest_is_of_what_came_not_of_how():
    assert digest_of_rows(("a",), [(1,), (2,)]) == digest_of_rows(("a",), [(2,), (1,)])
    assert digest_of_rows(("a",), [(0.1 + 0.2,)]) == digest_of_rows(("a",), [(0.3,)])
    assert digest_of_rows(("a",), [(1,)]) != digest_of_rows(("b",), [(1,)])
    assert digest_of_rows(("a",), [(1,)]) != digest_of_rows(("a",), [(2,)])


def test_a_new_case_says_what_it_knows_and_what_not():
    parts = [sentence.part for sentence in story()]

    assert parts == [Part.HURTS, Part.SINCE, Part.OWNER, Part.CHANGED, Part.UNKNOWN]
    assert "No cause is named yet." in [sentence.text for sentence in story()]


def test_the_cause_comes_with_its_share_and_what_changed():
    said = {sentence.part: sentence.text for sentence in story(replace(CASE, causes=(CAUSE,)), rows=[EVENT])}

    assert said[Part.CHANGED] == "22:13:10 UTC: deploy of service db — “v2”."
    assert said[Part.UNKNOWN] == "30 % of the blame is unexplained."
    assert any("70 %: service db" in sentence.text for sentence in story(replace(CASE, causes=(CAUSE,))))


def test_a_cause_without_proof_is_not_told():
    told = story(replace(CASE, causes=(replace(CAUSE, evidence=()),)))

    assert Part.CAUSE not in {sentence.part for sentence in told}
    assert any("without proof" in sentence.text for sentence in told)


def test_russian_is_told_in_russian():
    told = story(replace(CASE, causes=(CAUSE,)), "ru", [EVENT])

    assert told[0].text == "сервис pay: system.cpu.utilization — рост, 97 % при обычных 10 %."
    assert any("выкладка" in sentence.text for sentence in told)


def test_every_template_is_in_every_language():
    assert {frozenset(TEMPLATES[language]) for language in LANGUAGES} == {frozenset(TEMPLATES["en"])}


def test_what_is_kept_gives_the_same_digest_again():
    """The digest in the story is the one that asking again computes, after a merge and more lines too."""
    later = life.commented(replace(CASE, assignee="anna"), "Looking.", "anna", T + 50_000)
    for sentence in story():
        for evidence in sentence.evidence:
            if evidence.query.startswith("cases/c1#timeline"):
                assert digest(chosen(later, evidence.query)) == evidence.digest
    (owner,) = [sentence.evidence[0] for sentence in story() if sentence.part is Part.OWNER]
    assert digest(chosen(later, owner.query)) != owner.digest  # somebody has it now


def test_hostile_words_stay_one_line():
    told = story(rows=[EVENT | {"title": "{0.__class__}\n\n# Cause: nobody"}])

    assert [s.text for s in told if s.part is Part.CHANGED] == [
        "22:13:10 UTC: deploy of service db — “{0.__class__} # Cause: nobody”."
    ]
    assert recorded("x", "findings/f", {}, -5, -9).start_ms == 0


SAID = (
    "duration of service/a towards service/b rose from 12 to 340.",
    "failed.share of service/a fell from 0.2 to 0.",
    "GET /pay in service/a took longer by itself: 12 ms before, 340 ms now.",
    "GET /pay in service/a took less time asking database/b: 12 ms before, 3 ms now.",
    "“no route to <ip>” is said more often by service/a: 0 % of the time before, 3.1 % now.",
    "In service/a, a → b is taken 3 % of the time, 90 % before.",
    "Calls of service/a to service/b fail: 0 % before, 30 % now.",
    "GET /pay of service/a fails by itself: 0.1 % before, 30 % now.",
    "service/a tells nothing of itself, and all that need it suffer without another reason.",
    "“v2” came 3 min before the first sign.",
    "service/a fits what was noticed, without a clear sign of its own.",
    "service/a suffers, but service/b, which it needs, explains 90 % of it.",
    "service/a is not its usual self, but nothing that was noticed needs it.",
    "“v2” of service/a came before, but nothing else speaks against it.",
)


@pytest.mark.parametrize("text", SAID)
def test_the_diagnosis_is_told_in_russian_with_every_number(text):
    told = in_russian(text)

    assert re.search("[а-я]{3}", told) and not re.search("service|before|now|took|rose", told)
    assert sorted(re.findall(r"[\d.]*\d", told)) == sorted(re.findall(r"[\d.]*\d", text))
    assert in_russian(f"{text} What needs it suffers too.").endswith("тоже страдает.")
