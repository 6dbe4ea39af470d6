"""A playbook tried on past cases: which of them count, which of their causes, and over what time."""

from dataclasses import replace

import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.deeds import ACTIONS
from cerebro.casework.hands.backtest import PastCase, backtest, past_cases, pictures
from cerebro.casework.hands.counter import Counter
from cerebro.casework.hands.propose import Scene, considered
from cerebro.casework.hands.rank import Picture
from cerebro.casework.hands.store import Policy, keep_action
from cerebro.casework.playbooks.read import shipped
from cerebro.casework.store import CASES, keep_case
from cerebro.kernel.settings import Settings
from cerebro.spine.actions import Action, ActionState, Call, Expectation, Level, Risk, Step
from cerebro.spine.cases import Case, CaseState, Cause, Mark
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import DEFAULT_TENANT

CART, DESK = EntityKey("service", "cart"), EntityKey("service", "desk")
PLAYBOOK = shipped()["rollback-deploy"]
DEPLOYED = (Mark("deployed", 8.0),)
UNKNOWN = Cause(DESK, "unknown", 0.5, 1, "")
DEPLOY = Cause(CART, "deploy", 0.4, 2, "Version 2 came first.", marks=DEPLOYED)


def case(number, causes=(UNKNOWN, DEPLOY), **more):
    return Case(
        f"c{number}", DEFAULT_TENANT, CaseState.CLOSED, Severity.MAJOR, "t", 1000 + number, 2000, (CART,), (),
        causes=causes, **more,
    )  # fmt: skip


def action(number, of, learned="helped", state=ActionState.HELPED, **more):
    step = Step(Call("process", PLAYBOOK.steps[0].operation, CART), (), "k")
    return keep_action(
        Action(
            f"a{number}", DEFAULT_TENANT, of, PLAYBOOK.name, 1, "Roll back", CART, "deploy", Risk.GUARDED, Level.ASK,
            state, {}, (step,), "It helps.", Expectation(), "d", 1, 1, 1, learned=learned, **more,
        )
    )  # fmt: skip


class Everything:
    """Can do all that there is."""

    name, label = "process", ""

    def reaches(self, target, operation):
        return True


EVERYTHING = Everything()


class Named:
    """Things that are what they are called."""

    async def natures(self, tenant, entities):
        return {each: each.kind for each in entities}


async def tried(kernel, since_ms=0, executors=(EVERYTHING,)):
    cases, done = await past_cases(kernel.records, DEFAULT_TENANT, since_ms)
    known = await pictures(PLAYBOOK, cases, Named(), DEFAULT_TENANT)
    return backtest(PLAYBOOK, known, done, 1, executors)


@pytest.fixture
async def kernel(clock):
    """Four cases: one became part of another, two share an action, one is older."""
    kernel = simulated_kernel(Settings(), clock)
    cases = [
        case(1, actions=("a1",)), case(2, actions=("a1",)), case(3, labels={"merged_into": "c2"}),
        case(-900, actions=("a2",)),
    ]  # fmt: skip
    actions = [action(1, "c1"), action(2, "c-900", "not_helped", ActionState.UNDONE)]
    async with kernel.records.transaction() as transaction:
        await transaction.create(CASES, DEFAULT_TENANT, {each.id: keep_case(each) for each in cases})
        await transaction.create(ACTIONS, DEFAULT_TENANT, {each.id: each for each in actions})
    return kernel


async def test_each_case_counts_once_and_what_it_shares_counts_for_it(kernel):
    found = await tried(kernel)

    assert (found.case_count, found.ran, found.helped, found.not_helped, found.untried) == (3, 3, 2, 1, 0)
    assert (found.from_ms, found.to_ms) == (100, 1002)


@pytest.mark.parametrize(
    ("learned", "state", "verdict", "end"),
    [
        ("helped", ActionState.HELPED, "", "helped"),
        ("helped", ActionState.UNDONE, "", "helped"),  # someone took it back later
        ("not_helped", ActionState.UNDONE, "", "not_helped"),
        ("not_helped", ActionState.ESCALATED, "", "not_helped"),  # it harmed, and could not be taken back
        ("", ActionState.ESCALATED, "", "untried"),
        ("", ActionState.UNVERIFIED, "", "untried"),
        ("", ActionState.UNVERIFIED, "good", "helped"),
        ("helped", ActionState.HELPED, "bad", "not_helped"),
        ("not_helped", ActionState.UNDONE, "good", "helped"),
        ("", ActionState.FAILED, "", "untried"),
    ],
)
async def test_what_came_of_it_is_what_was_learned_from_it_or_a_person_says(learned, state, verdict, end):
    known = await pictures(PLAYBOOK, [PastCase("c", 1, causes=(DEPLOY,))], Named(), DEFAULT_TENANT)
    done = {"c": [action(1, "c", learned, state, verdict=verdict)]}

    found = backtest(PLAYBOOK, known, done, 1, (EVERYTHING,))

    assert [name for name in ("helped", "not_helped", "untried") if getattr(found, name)] == [end]


async def test_only_cases_of_the_time_that_is_asked_for_count(kernel):
    found = await tried(kernel, since_ms=1000)

    assert (found.case_count, found.not_helped) == (2, 0)
    assert (found.from_ms, found.to_ms) == (1001, 1002)
    nothing = await tried(kernel, since_ms=5000)
    assert (nothing.case_count, nothing.from_ms, nothing.to_ms) == (0, 0, 0)


async def test_what_nothing_here_can_do_is_not_thought_of(kernel, bench):
    assert (await tried(kernel, executors=(bench.toy,))).ran == 3
    found = await tried(kernel, executors=())
    assert (found.ran, found.out_of_reach, found.helped, found.cases) == (0, 3, 0, ())


async def test_what_one_cause_does_not_fit_another_may():
    """As the proposer does: an unknown cause and a small one are passed over, the better named one goes first."""
    sure = replace(UNKNOWN, kind="code", share=0.5)
    for causes, ran in [((sure, DEPLOY), 1), ((UNKNOWN, replace(DEPLOY, share=0.19)), 0), ((UNKNOWN,), 0)]:
        known = await pictures(PLAYBOOK, [PastCase("c", 1, causes=causes)], Named(), DEFAULT_TENANT)
        assert backtest(PLAYBOOK, known, {}, 1, (EVERYTHING,)).ran == ran


@pytest.mark.parametrize(("days", "count", "reached"), [(30, 1, 10), (40, 2, 40), (366, 3, 100)])
async def test_the_time_is_as_long_as_was_asked_and_as_there_are_cases(clock, days, count, reached):
    """Of a hundred days with three cases: the days that are told are those that the cases reach back."""
    kernel, now_ms = simulated_kernel(Settings(), clock), clock.now_ms()
    cases = [replace(case(age), opened_ms=now_ms - age * 86_400_000 + 5000) for age in (10, 40, 100)]
    async with kernel.records.transaction() as transaction:
        await transaction.create(CASES, DEFAULT_TENANT, {each.id: keep_case(each) for each in cases})
    counter = Counter(kernel)
    counter._users = Named()
    found = await counter.past_of(DEFAULT_TENANT, PLAYBOOK, days)

    assert (found.case_count, found.days, found.out_of_reach) == (count, reached, count)
    assert (found.from_ms, found.to_ms) == (cases[count - 1].opened_ms, cases[0].opened_ms)


async def test_the_causes_are_those_that_the_proposer_looks_at(bench, monkeypatch):
    causes = (
        Cause(CART, "code", 0.35, 1, ""), UNKNOWN, replace(DEPLOY, share=0.3), Cause(DESK, "deploy", 0.9, 4, ""),
    )  # fmt: skip
    looked = []

    async def picture(case, cause):
        looked.append(cause)
        return Picture(cause, "printer", "")

    monkeypatch.setattr(bench.hands.proposer, "picture", picture)
    await bench.hands.proposer._offers(case(1, causes), Scene(Policy(), (), (), (bench.toy,)), set())

    assert looked == considered(causes) == [causes[2], causes[0]]
