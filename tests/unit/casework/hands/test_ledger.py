"""What was done about a case is found under it, also when the case became part of another."""

from dataclasses import replace

import pytest

from cerebro.casework.desk import Stale
from cerebro.casework.executors.port import Fixed
from cerebro.casework.hands.answers import Wish
from cerebro.casework.hands.counter import Counter
from cerebro.casework.hands.ledger import Entry, Ledger
from cerebro.casework.hands.store import Policy, Rule
from cerebro.casework.life import closed, moved
from cerebro.casework.playbooks.read import read, shipped_text
from cerebro.kernel.access.guard import Principal
from cerebro.spine.actions import ActionState, Level, Reason
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import DEFAULT_TENANT

CART = EntityKey("service", "cart")
ANNA = Principal(DEFAULT_TENANT, "anna", "user", frozenset({"operate"}))


async def test_actions_come_along_when_cases_are_merged(bench):
    first = await bench.case()
    await bench.rounds(1)
    second = await bench.case(name="two", target=EntityKey("host", "elsewhere"), kind="unknown")
    await bench.desk.merge(DEFAULT_TENANT, second, first, "anna")
    (action,) = await bench.actions()
    ledger = Ledger(bench.kernel)

    assert await ledger.of_case(DEFAULT_TENANT, second) == []
    assert [each.id for each in await ledger.of_story(DEFAULT_TENANT, second)] == [action.id]
    assert [each.id for each in await ledger.of_story(DEFAULT_TENANT, first)] == [action.id]


def outcome(kind, *, harmful=False, wished=False):
    """What a record of an action says that helped or harmed against a kind of cause."""
    return kind, harmful, wished


@pytest.mark.parametrize(
    ("outcomes", "set_before_last", "level"),
    [
        ([outcome("deploy")] * 9, None, Level.ACT),
        ([outcome("deploy")] * 5 + [outcome("code")] * 4, None, Level.ACT),  # the level is of all kinds of causes
        ([outcome("deploy")] * 9 + [outcome("code", harmful=True)] + [outcome("deploy")] * 9, None, Level.ASK),
        ([outcome("deploy", wished=True)] * 9, None, None),  # when people want it says nothing of when Cerebro would
        ([outcome("deploy")] * 9, Level.ASK, Level.ASK),  # someone's own word is not moved by what was before it
        ([outcome("deploy", harmful=True)], Level.ACT, Level.ASK),
    ],
)
async def test_a_level_is_moved_by_the_whole_record_of_its_playbook(bench, outcomes, set_before_last, level):
    bench.toy.level = None
    await bench.case()
    await bench.rounds(2)
    ledger = bench.hands.engine.ledger
    (waiting,) = await bench.actions()
    playbook = await bench.hands.engine.library.one(DEFAULT_TENANT, waiting.playbook)
    for number, (kind, harmful, wished) in enumerate(outcomes):
        if set_before_last and number == len(outcomes) - 1:
            version = (await ledger.policy(DEFAULT_TENANT)).version
            levels = Policy(levels={playbook.name: set_before_last})
            await ledger.set_policy(DEFAULT_TENANT, levels, version, "anna", "levels")
        state = ActionState.UNDONE if harmful else ActionState.HELPED
        before = ActionState.UNDOING if harmful else ActionState.VERIFYING
        reasons = (Reason("person", "anna wants it."),) if wished else waiting.reasons
        action = replace(waiting, id=f"a{number}", cause_kind=kind, state=before, reasons=reasons, harmful=harmful)
        record = await ledger.put(None, action, Entry("action_begun", "Begun."))
        await ledger.put_learned(record, replace(record.value, state=state), Entry("action_ended", "Over."), playbook)

    assert (await ledger.policy(DEFAULT_TENANT)).value.levels.get(playbook.name) is level


@pytest.mark.parametrize(
    ("old", "new", "is_forgotten"),
    [
        ("risk: guarded", "risk: dangerous", True),
        ("hold_s: 20", "hold_s: 2", True),
        ("steps:", "parameters:\n  - {name: x, about: Y.}\nsteps:", True),
        ("cool_down_s: 900", "cool_down_s: 61", False),
    ],
)
async def test_a_playbook_that_does_something_else_begins_anew(bench, old, new, is_forgotten):
    """Its name had earned a freedom, and a record: what stands behind it now has not."""
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    await bench.rounds(12)
    ledger, library = bench.hands.engine.ledger, bench.hands.engine.library
    levels = Policy(levels={"rollback-deploy": Level.ACT, "scale-out": Level.ASK})
    await ledger.set_policy(DEFAULT_TENANT, levels, 0, "anna", "levels")
    text = shipped_text("rollback-deploy").replace(old, new)
    assert text != shipped_text("rollback-deploy")

    await library.keep(DEFAULT_TENANT, read(text), text, "anna")

    assert ("rollback-deploy" in (await ledger.policy(DEFAULT_TENANT)).value.levels) is not is_forgotten
    assert "scale-out" in (await ledger.policy(DEFAULT_TENANT)).value.levels
    assert [past.count for past in await ledger.pasts(DEFAULT_TENANT)] == [0 if is_forgotten else 1]


async def test_a_persons_verdict_stands_in_the_place_of_what_was_seen(bench):
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    await bench.rounds(12)
    (action,) = await bench.actions()
    ledger = bench.hands.engine.ledger

    for verdict, labels in (("bad", (0, 1)), ("good", (1, 0)), ("bad", (0, 1))):
        await ledger.judge(DEFAULT_TENANT, action.id, verdict, "anna")
        (past,) = await ledger.pasts(DEFAULT_TENANT)
        assert (past.labels(), past.count) == (labels, 1)


async def test_a_verdict_before_it_is_taken_back_stands_in_the_place_of_that(bench):
    case_id = await bench.case(kind="capacity", text="more traffic", marks=("surged",))
    await bench.rounds(4)
    await bench.desk.change(DEFAULT_TENANT, case_id, lambda case: closed(case, "", "anna", bench.clock.now_ms()))
    await bench.rounds(2)
    engine, ledger = bench.hands.engine, bench.hands.engine.ledger
    (action,) = await bench.actions()
    await ledger.judge(DEFAULT_TENANT, action.id, "good", "anna")
    await engine.take_back(await ledger.one(DEFAULT_TENANT, action.id), "anna")

    await bench.rounds(2)

    (past,) = await ledger.pasts(DEFAULT_TENANT)
    assert (past.labels(), past.count) == ((1, 0), 1)


@pytest.mark.parametrize(
    ("end", "mend"),
    [
        (lambda case: moved(case, CaseState.RESOLVED), "Reopen the case first."),
        (lambda case: closed(case, "", "ann", 1), "Have it shown for a case that is under way."),
    ],
)
async def test_nothing_is_shown_for_a_case_that_has_ended(bench, end, mend):
    """It would be let go of within a round."""
    case_id = await bench.case()
    await bench.desk.change(DEFAULT_TENANT, case_id, end)
    counter = Counter(bench.kernel)
    counter._doors = Fixed((bench.toy,))

    with pytest.raises(Stale) as refused:
        await counter.wish(ANNA, Wish(case=case_id, playbook="rollback-deploy", target=CART.text))

    assert (refused.value.mend, await bench.actions()) == (mend, [])


@pytest.mark.parametrize("why", ["rule", "doubt", "person"])
@pytest.mark.parametrize(
    ("door", "own", "after"),
    [
        (Level.ACT, None, Level.ASK),  # by the door
        (None, Level.ACT, Level.ASK),  # set by someone
        (None, None, Level.SUGGEST),  # by the risk: ask
    ],
)
async def test_a_level_falls_from_the_playbooks_own_however_low_it_was_for_this_one(make_bench, why, door, own, after):
    """A rule, a doubt or a person's wish bound one action; what the playbook may do elsewhere is what harm costs."""
    bench = make_bench(**{"share_min_guarded": 0.99} if why == "doubt" else {})
    bench.toy.level = door
    engine, ledger = bench.hands.engine, bench.hands.engine.ledger
    rules = (Rule(target=CART.text, level_max=Level.SUGGEST),) if why == "rule" else ()
    levels = {"rollback-deploy": own} if own else {}
    frozen = why == "person"  # so that nothing is proposed before
    await ledger.set_policy(DEFAULT_TENANT, Policy(levels=levels, rules=rules, frozen=frozen), 0, "anna", "levels")
    case_id = await bench.case()
    if why == "person":
        counter = Counter(bench.kernel)
        counter._doors = Fixed((bench.toy,))
        await counter.wish(ANNA, Wish(case=case_id, playbook="rollback-deploy", target=CART.text))
    else:
        await bench.rounds(1)
    (action,) = await bench.actions()
    assert action.level is (Level.SUGGEST if why == "rule" else Level.ASK)
    await engine.approve(await ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)
    await bench.rounds(1)
    bench.users.bad = replace(bench.users.bad, failed=900)

    await bench.rounds(12)

    assert (await bench.actions())[0].harmful
    assert (await ledger.policy(DEFAULT_TENANT)).value.levels["rollback-deploy"] is after
