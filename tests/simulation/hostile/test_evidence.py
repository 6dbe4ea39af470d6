"""False evidence: poison where words do count, at the one that is broken, in the words that playbooks answer to.

Lines at ERROR are evidence: a service that says “no space left on device” is heard. But what it says of others is no
reason to touch those who are well, and what is no line of trouble is no evidence at all.
"""

import pytest

from cerebro.casework.hands.plan import picked
from cerebro.casework.hands.rank import fit
from cerebro.casework.playbooks.read import shipped
from cerebro.casework.store import FINDINGS, keep_finding
from cerebro.intake.alerts import AGENT
from cerebro.spine.cases import Case
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, FindingId

from .corpus import TEXTS, Named, kept, named
from .plays import AIMED_STEPS, BEFORE_STEPS, CULPRIT, Played, aimed

SAME = ("acts", "actions", "causes")
STEPS, PER_STEP = AIMED_STEPS, 4
EVERY = tuple(shipped().values())
NUL, POOL = "null\0byte", "free connection pool exhausted: too many connections"

_runs: dict[tuple[str, str, str], Played] = {}


def only(text: str) -> Named:
    """A text that is sent for itself; its number and name say nothing."""
    return (0, "only", text)


async def brought(carrier: str, text: str, fault: str, at: str = CULPRIT.name, *, once: bool = False) -> Played:
    """The text four times a step to one service, from a minute before the fault; or once, when the fault begins."""
    key = (f"{carrier} {once}", f"{text}@{at}", fault)
    if key not in _runs:
        some = {carrier: [only(text)] * PER_STEP}
        steps = [{carrier: [only(text)]} if n == BEFORE_STEPS else {} for n in range(STEPS)] if once else [some] * STEPS
        _runs[key] = await aimed(steps, fault, at)
    return _runs[key]


def changed(harmless: Played, poisoned: Played) -> dict[str, tuple[str, ...]]:
    """What was done, thought of or blamed otherwise."""
    return {
        name: getattr(poisoned.told, name)
        for name in SAME
        if getattr(poisoned.told, name) != getattr(harmless.told, name)
    }


def done(run: Played) -> list[str]:
    """What was done to whom, whenever that was."""
    return [act.partition(" ")[2] for act in run.told.acts]


def new_lines(run: Played) -> list[str]:
    """The titles of lines that nobody had seen before."""
    return [each.title for each in run.findings.values() if each.kind == "new_template"]


@pytest.mark.parametrize("fault", ["hang", "bad_deploy_errors"])
async def test_trigger_words_in_what_is_no_line_of_trouble_choose_nothing(fault):
    """All of them, again and again, by the one that is broken: but for those of a pool, see below."""
    carriers, runs = ("lines", "spans", "notes", "gauges"), []
    for run in ("harmless", "poisoned"):
        some = [each for each in named(run) if each[1].startswith("trigger-") and each[2] != POOL]
        runs.append(await aimed([dict.fromkeys(carriers, some)] * STEPS, fault))
    harmless, poisoned = runs

    assert harmless.told.acts
    assert changed(harmless, poisoned) == {}


AT_OTHERS = (
    "call to invoice failed: x509: certificate has expired",
    "connection refused by shipping",
    "dial tcp: lookup postgres-1: no such host",
    "password authentication failed for user admin at postgres-1",
    "card-scheme answered 429 too many requests: rate limit exceeded",
    "card-scheme answered with what cannot be read: unexpected token",
    'login of "password authentication failed for user admin at postgres-1" failed',
)
AT_ITSELF = (
    "message redelivered, sent to the dead letter queue as poison",
    "token used before issued: clocks differ",
    "job report still running: earlier run overlaps",
    "deadlock detected, transaction aborted",
)


@pytest.mark.parametrize("text", AT_OTHERS)
async def test_false_lines_of_trouble_have_nothing_done_to_those_who_are_well(text):
    poisoned = await brought("errors", text, "hang")

    assert [act for act in poisoned.told.acts if not act.endswith(CULPRIT.text)] == []


@pytest.mark.parametrize("text", AT_OTHERS)
async def test_false_lines_of_trouble_do_not_keep_the_right_thing_from_being_done(text):
    harmless, poisoned = await brought("errors", "kuku", "hang"), await brought("errors", text, "hang")

    assert harmless.told.acts
    assert set(done(harmless)) <= set(done(poisoned))


@pytest.mark.parametrize("text", AT_ITSELF)
async def test_false_lines_of_trouble_choose_nothing_for_the_one_that_is_broken(text):
    harmless, poisoned = await brought("errors", "kuku", "hang"), await brought("errors", text, "hang")

    assert harmless.told.acts
    assert poisoned.told.acts == harmless.told.acts


async def test_the_title_of_an_alert_proposes_no_playbook():
    harmless, poisoned = [await brought("alerts", each, "hang", once=True) for each in ("kuku", POOL)]

    assert changed(harmless, poisoned) == {}


async def test_a_line_that_is_no_trouble_proposes_no_playbook():
    harmless, poisoned = [await brought("lines", each, "hang") for each in ("kuku", POOL)]

    assert harmless.told.acts
    assert done(poisoned) == done(harmless)
    assert poisoned.told.actions == harmless.told.actions


async def test_a_line_that_is_no_trouble_hides_no_line_that_is():
    """A line that speaks of trouble is told though its sender calls it none; what is called an error is told beside."""
    fault, text = "connection_pool_exhaustion", TEXTS["trigger-15"]
    harmless, poisoned = [await brought("lines", each, fault) for each in ("kuku", text)]

    assert set(new_lines(harmless)) < set(new_lines(poisoned))
    assert done(poisoned) == done(harmless)
    assert poisoned.told.actions == harmless.told.actions


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="gravity.py reads the words of lines at INFO, for many call their errors so: a case opens with the line",
)
async def test_a_new_line_that_speaks_of_trouble_moves_no_case():
    harmless, poisoned = [await brought("lines", each, "hang") for each in ("kuku", POOL)]

    assert changed(harmless, poisoned) == {}


async def test_the_title_of_a_deploy_does_not_hide_the_one_before_it():
    fault, text = "bad_deploy_errors", TEXTS["trigger-11"]
    harmless, poisoned = [await brought("deploys", each, fault, once=True) for each in ("kuku", text)]

    assert harmless.told.acts
    assert changed(harmless, poisoned) == {}


async def test_a_sentence_for_the_name_of_a_metric_is_no_gauge():
    harmless, poisoned = [
        await aimed([{"metric_names": [only(text)]} if n >= BEFORE_STEPS else {} for n in range(STEPS)], "hang")
        for text in ("kuku", TEXTS["trigger-3"])
    ]

    assert changed(harmless, poisoned) == {}


async def test_a_letter_that_cannot_be_stored_does_not_end_the_brain():
    """Five such lines at ERROR, and nobody's case is diagnosed any more: the task fails, is begun anew, and fails."""
    harmless, poisoned = await brought("errors", "nobyte", "hang"), await brought("errors", NUL, "hang")

    assert poisoned.told.acts == harmless.told.acts


async def test_no_title_makes_a_playbook_apply_or_picks_a_name_for_it():
    """Each text as the title of an alert about the culprit, when it is thought over what to do about it."""
    others = {name: text for name, text in TEXTS.items() if not name.startswith("trigger-")}

    assert await choosing(others) == {}


async def test_no_trigger_word_makes_a_playbook_apply_or_picks_a_name_for_it():
    assert await choosing({name: text for name, text in TEXTS.items() if name.startswith("trigger-")}) == {}


async def choosing(texts: dict[str, str]) -> dict[str, list[str]]:
    """The texts that change which playbooks apply, how well they fit, or which names are picked for them."""
    run = await brought("lines", "kuku", "hang")
    [case] = [case for case in run.cases if case.causes]
    hands, [executor] = run.stage._cerebro.hands, run.stage._cerebro.hands.proposer._reach.executors
    state, found = dict(await executor.state(CULPRIT)), {}
    for name, text in {"": "kuku", **texts}.items():
        async with run.stage._cerebro.kernel.records.transaction() as transaction:
            alert = keep_finding(titled(case, kept(text).replace("\0", "")), case=case.id)
            old = await transaction.load(FINDINGS, DEFAULT_TENANT, alert.id)
            await transaction.save(FINDINGS, DEFAULT_TENANT, alert.id, alert, version=old.version if old else 0)
        picture = await hands.proposer.picture(case, case.causes[0])
        fits = {each.name: (fit(each, picture)[0], picked(each, CULPRIT, state, picture.words)) for each in EVERY}
        found[name] = [f"{playbook} {value}" for playbook, value in fits.items() if value != (0.0, {})]
    assert found[""]
    return {name: chosen for name, chosen in found.items() if chosen != found[""]}


def titled(case: Case, title: str) -> Finding:
    """An alert about the culprit, in the case."""
    at_ms, proof = case.opened_ms, Evidence("It fires.", AGENT, "q", case.opened_ms, case.opened_ms + 1, "0" * 64)
    return Finding(
        FindingId("poison"), DEFAULT_TENANT, AGENT, "alert", CULPRIT, at_ms, at_ms, Severity.MAJOR, 1.0, 0.0, "Rule",
        title, (proof,), "poison",
    )  # fmt: skip
