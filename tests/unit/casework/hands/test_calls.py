"""Calls and what takes them back, where something comes between: a stop, a crash, a door that is not there yet."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from cerebro.casework.executors.port import Preview
from cerebro.casework.hands import ledger as ledgers
from cerebro.casework.hands.engine import _is_next_replica
from cerebro.casework.hands.store import Policy
from cerebro.casework.hands.work import Hands
from cerebro.casework.life import closed
from cerebro.spine.actions import ActionState, Call, Difference, Level, Step
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT

CART = EntityKey("service", "cart")
SURGE = {"kind": "capacity", "text": "more traffic", "marks": ("surged",)}


@dataclass
class Doors:
    executors: list

    async def of(self, tenant):
        return self.executors


async def refuses(call, *, key, timeout_s):
    raise Invalid("It is not allowed.")


async def dead(call, *, key, timeout_s):
    raise Unavailable("The line is dead.")


async def scaled_and_wanted_back(bench):
    """A scale-out that was done, and that someone wants undone before it is known whether it helps."""
    await bench.case(**SURGE)
    await bench.rounds(4)
    (action,) = await bench.actions()
    engine = bench.hands.engine
    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    return engine


async def test_harm_that_cannot_be_taken_back_costs_the_playbook_its_freedom_too(bench):
    await bench.case()
    await bench.rounds(1)
    bench.users.bad = replace(bench.users.bad, failed=900)
    bench.toy.execute = refuses

    await bench.rounds(12)

    (action,) = await bench.actions()
    assert (action.state, action.harmful) == (ActionState.ESCALATED, True)
    ledger = bench.hands.engine.ledger
    assert (await ledger.policy(DEFAULT_TENANT)).value.levels["rollback-deploy"] is Level.ASK
    assert [(past.not_helped, past.harmful) for past in await ledger.pasts(DEFAULT_TENANT)] == [(1, 1)]


async def test_what_helped_and_is_taken_back_later_teaches_once_and_opens_no_case_again(bench):
    case_id = await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    await bench.rounds(12)
    (action,) = await bench.actions()
    await bench.desk.change(DEFAULT_TENANT, case_id, lambda case: replace(case, state=CaseState.RESOLVED))
    engine = bench.hands.engine

    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.state, action.outcome) == (ActionState.UNDONE, "It had helped. What it did is taken back.")
    assert [(past.helped, past.not_helped) for past in await engine.ledger.pasts(DEFAULT_TENANT)] == [(1, 0)]
    assert (await bench.the_case(case_id)).state is CaseState.RESOLVED


@pytest.mark.parametrize("by_person", [True, False])
async def test_a_fault_before_it_is_begun_ends_that_action_alone(bench, by_person):
    """Approved, or still waiting, it is no one's to look at half done: nothing was done."""
    bench.toy.level = None if by_person else Level.ACT
    honest, asked = bench.toy.dry_run, []

    async def broken(call):
        asked.append(call)
        if len(asked) > 1:
            raise KeyError("memory")
        return await honest(call)

    bench.toy.dry_run = broken
    await bench.case()
    await bench.rounds(1)
    (action,) = await bench.actions()
    engine = bench.hands.engine
    if by_person:
        await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)
        await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.FAILED, {})
    await engine.abandon(DEFAULT_TENANT, action.id, "It is over already.")


async def test_a_fault_while_one_waits_for_a_person_ends_it(bench):
    bench.toy.level = None
    await bench.case()
    await bench.rounds(1)
    (action,) = await bench.actions()

    await bench.hands.engine.abandon(DEFAULT_TENANT, action.id, "A fault.")

    assert (await bench.actions())[0].state is ActionState.EXPIRED


async def test_a_door_that_is_not_there_yet_is_waited_for(bench):
    """It has just been started anew, as Cerebro was: nothing is given up for that, neither a call nor an undo."""
    honest = bench.toy.reaches
    bench.toy.dies = "before"
    await bench.case(**SURGE)
    await bench.rounds(1)
    bench.toy.reaches = lambda target, operation: False
    await bench.rounds(2)
    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.EXECUTING, {})

    bench.toy.reaches = honest
    await bench.rounds(3)
    assert len(bench.toy.done) == 1
    engine = bench.hands.engine
    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    bench.toy.reaches = lambda target, operation: False
    await bench.rounds(3)
    assert (await bench.actions())[0].state is ActionState.UNDOING

    bench.toy.reaches = honest
    await bench.rounds(3)
    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


async def test_what_was_approved_waits_for_a_door_that_is_not_there(bench):
    bench.toy.level = None
    await bench.case()
    await bench.rounds(1)
    (action,) = await bench.actions()
    honest, bench.toy.reaches = bench.toy.reaches, lambda target, operation: False
    engine = bench.hands.engine
    await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)

    await bench.rounds(3)
    assert (await bench.actions())[0].state is ActionState.APPROVED

    bench.toy.reaches = honest
    await bench.rounds(1)
    assert len(bench.toy.done) == 1


async def test_an_undo_that_happened_before_a_crash_is_done_however_long_ago(bench):
    engine = await scaled_and_wanted_back(bench)
    honest = bench.toy.execute

    async def killed(call, *, key, timeout_s):
        await honest(call, key=key, timeout_s=timeout_s)
        raise asyncio.CancelledError

    bench.toy.execute = killed
    with pytest.raises(asyncio.CancelledError):
        await engine.run(DEFAULT_TENANT, await engine.ledger.one(DEFAULT_TENANT, (await bench.actions())[0].id))
    await bench.clock.advance(600)
    bench.toy.execute = refuses

    await bench.rounds(2, hands=bench.brain())

    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


async def test_the_time_of_a_stop_is_not_held_against_an_undo(bench):
    await scaled_and_wanted_back(bench)
    ledger, honest = bench.hands.engine.ledger, bench.toy.execute
    bench.toy.execute = dead
    await bench.rounds(1)
    await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "anna", "stopped")
    await bench.clock.advance(600)
    await ledger.set_policy(DEFAULT_TENANT, Policy(), 1, "anna", "goes on")
    bench.toy.execute = honest

    await bench.rounds(2)

    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


async def test_an_undo_that_was_given_up_can_be_asked_for_again(bench):
    engine, honest = await scaled_and_wanted_back(bench), bench.toy.execute
    bench.toy.execute = refuses
    await bench.rounds(2)
    (action,) = await bench.actions()
    assert action.state is ActionState.ESCALATED
    bench.toy.execute = honest
    await bench.clock.advance(600)

    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    await bench.rounds(2)

    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


async def test_a_door_that_stays_away_makes_an_undo_a_persons(bench):
    await scaled_and_wanted_back(bench)

    async def away(call, *, key):
        raise Unavailable("No answer.")

    bench.toy.happened = away
    await bench.rounds(60)

    assert (await bench.actions())[0].state is ActionState.ESCALATED


async def test_where_nobody_can_tell_a_person_can_still_have_it_undone(bench):
    async def silent(call, *, key):
        return None

    bench.toy.dies, honest, bench.toy.happened = "after", bench.toy.happened, silent
    await bench.case(**SURGE)
    await bench.rounds(4)
    (action,) = await bench.actions()
    assert (action.state, bench.toy.value["replicas"]) == (ActionState.ESCALATED, "2")
    engine = bench.hands.engine

    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    await bench.rounds(2)

    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")
    bench.toy.happened = honest


async def test_who_holds_on_for_ever_is_given_up(make_bench):
    bench = make_bench(call_timeout_s=0.05)

    async def holds_on(call, *, key):
        await asyncio.Event().wait()

    bench.toy.dies, bench.toy.happened = "before", holds_on
    await bench.case()

    await asyncio.wait_for(bench.rounds(3), 10)

    assert (await bench.actions())[0].steps[0].state == "begun"


async def test_to_ask_who_there_is_takes_of_the_time_of_a_call(make_bench, monkeypatch):
    bench = make_bench(call_timeout_s=0.05)
    bench.toy.dies = "before"
    doors = Doors([bench.toy])
    bench.hands = Hands(bench.kernel, bench.users, doors)
    await bench.case()
    await bench.rounds(1)

    async def endless(tenant):
        await asyncio.Event().wait()

    monkeypatch.setattr(doors, "of", endless)
    await asyncio.wait_for(bench.hands.advance(DEFAULT_TENANT), 10)

    assert (await bench.actions())[0].steps[0].state == "begun"


async def test_what_nothing_here_can_take_back_is_not_proposed(bench):
    honest = bench.toy.reaches
    bench.toy.reaches = lambda target, operation: honest(target, operation) and operation != "deploy"
    await bench.case()

    await bench.rounds(3)

    assert [each for each in await bench.actions() if each.playbook == "rollback-deploy"] == []


async def test_what_was_left_open_is_shown_and_done_as_the_dry_run_named_it(bench):
    async def names_it(call):
        named = replace(call, arguments={**call.arguments, "replicas": "7"})
        back = Call(call.executor, "scale", call.target, {"replicas": "1"})
        return Preview((Difference("replicas", "1", "7"),), dict(bench.toy.value), undo=(back,), call=named)

    bench.toy.dry_run = names_it
    await bench.case(**SURGE)

    await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.steps[0].call.arguments["replicas"], bench.toy.value["replicas"]) == ("7", "7")


async def test_many_that_wait_hold_up_none_that_was_approved(bench, monkeypatch):
    monkeypatch.setattr(ledgers, "RECENT_MAX", 3)
    bench.toy.level = None
    targets = [EntityKey("service", f"shop-{number}") for number in range(5)]
    for target in targets:
        await bench.case(name=target.name, target=target, about=target)
    await bench.rounds(1)
    last = (await bench.actions())[-1]
    engine = bench.hands.engine

    await bench.clock.advance(5)
    await engine.approve(await engine.ledger.one(DEFAULT_TENANT, last.id), "anna", last.digest)
    await bench.hands.advance(DEFAULT_TENANT)

    assert len(bench.toy.done) == 1


async def test_what_was_refused_stays_so_however_much_was_thought_of_since(bench, monkeypatch):
    monkeypatch.setattr(ledgers, "RECENT_MAX", 2)
    bench.toy.level = None
    await bench.case()
    await bench.rounds(1)
    (action,) = await bench.actions()
    engine = bench.hands.engine
    await engine.refuse(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", "")
    for number in range(4):
        other = EntityKey("service", f"shop-{number}")
        elsewhere = await bench.case(name=other.name, target=other, about=other)
        await bench.rounds(1)
        await bench.desk.change(DEFAULT_TENANT, elsewhere, lambda case: closed(case, "", "anna", bench.clock.now_ms()))
        await bench.rounds(1)

    await bench.rounds(6)

    assert [each.playbook for each in await bench.actions() if each.target == CART].count(action.playbook) == 1


async def test_a_door_that_comes_up_after_cerebro_is_waited_for_however_long_nobody_was_up(bench):
    bench.toy.dies = "before"
    await bench.case()
    await bench.rounds(1)
    honest, bench.toy.reaches = bench.toy.reaches, lambda target, operation: False
    await bench.clock.advance(600)
    heir = bench.brain()
    await bench.rounds(6, hands=heir)
    assert (await bench.actions())[0].state is ActionState.EXECUTING

    bench.toy.reaches = honest
    await bench.rounds(3, hands=heir)

    action = (await bench.actions())[0]
    assert (action.state, bench.toy.done) == (ActionState.FAILED, {})  # what it was decided by is long over


async def test_who_does_not_answer_holds_up_no_other_action(bench):
    """One look at an undo that nobody answers for, and it is the next one's turn, however slow the silence is."""
    engine, asked = await scaled_and_wanted_back(bench), []

    async def away(call, *, key):
        asked.append(bench.clock.now_ms())
        await bench.clock.advance(6)
        raise Unavailable("No answer.")

    bench.toy.happened = away
    (action,) = await bench.actions()

    await engine.run(DEFAULT_TENANT, await engine.ledger.one(DEFAULT_TENANT, action.id))

    assert len(asked) <= 2


@pytest.mark.parametrize(
    ("first", "second", "is_gated"),
    [
        (("restart", {"replica": "0"}), ("restart", {"replica": "1"}), True),
        (("cordon", {}), ("evict", {}), False),
        (("restore_config", {"replica": "0"}), ("warm_cache", {"replica": "0"}), False),
    ],
)
def test_only_the_next_replica_waits_for_how_the_one_before_it_does(waiting, first, second, is_gated):
    """What is done to a sick thing in two steps is not given up since it goes on being sick after the first."""
    steps = [Step(Call("process", name, CART, arguments), (), f"k{name}") for name, arguments in (first, second)]
    action = replace(waiting, steps=tuple(steps))

    assert [_is_next_replica(action, number) for number in (0, 1)] == [False, is_gated]


async def test_what_holds_an_approved_action_is_told_while_it_holds(bench):
    bench.toy.level = None
    await bench.case()
    await bench.rounds(1)
    engine, ledger = bench.hands.engine, bench.hands.engine.ledger
    (action,) = await bench.actions()
    assert (action.needs, action.expires_ms - action.made_ms, action.held) == ("operate", 1_800_000, "")
    await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "anna", "stopped")
    await engine.approve(await ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)

    await bench.rounds(2)
    assert "global stop" in (await bench.actions())[0].held

    await ledger.set_policy(DEFAULT_TENANT, Policy(), 1, "anna", "goes on")
    await bench.rounds(1)
    assert ((await bench.actions())[0].held, len(bench.toy.done)) == ("", 1)


async def test_what_one_door_has_done_no_other_is_asked_to_take_back(bench):
    """Two supervisors with one scope: the other knows neither the call nor the state that the undo names."""
    first, other = replace(bench.toy, label="blue"), replace(bench.toy, label="green", done={})
    doors = Doors([first, other])
    bench.hands = Hands(bench.kernel, bench.users, doors)
    await scaled_and_wanted_back(bench)
    (action,) = await bench.actions()
    assert {call.door for step in action.steps for call in (step.call, *step.undo)} == {"blue"}
    doors.executors = [other]  # the first is silent

    await bench.rounds(4)

    (action,) = await bench.actions()
    assert (action.state, other.done) == (ActionState.UNDOING, {})
    doors.executors = [other, first]
    await bench.rounds(12)
    (action,) = await bench.actions()
    assert (action.state, other.done, len(first.done)) == (ActionState.UNDONE, {}, 2)


async def test_what_one_door_has_shown_no_other_is_asked_to_do(bench):
    bench.toy.level = None
    first, other = replace(bench.toy, label="blue"), replace(bench.toy, label="green", done={})
    doors = Doors([first, other])
    bench.hands = Hands(bench.kernel, bench.users, doors)
    await bench.case()
    await bench.rounds(2)
    (shown,) = await bench.actions()
    doors.executors = [other]
    engine = bench.hands.engine
    await engine.approve(await engine.ledger.one(DEFAULT_TENANT, shown.id), "anna", shown.digest)

    await bench.rounds(4)

    (action,) = await bench.actions()
    assert (action.state, action.digest, other.done) == (ActionState.APPROVED, shown.digest, {})
    doors.executors = [other, first]
    await bench.rounds(4)
    assert (other.done, len(first.done)) == ({}, 1)


async def test_what_someone_changed_since_is_not_taken_back(bench):
    """A person, or an autoscaler: the state before would be put over what they have done."""
    await scaled_and_wanted_back(bench)
    bench.toy.value["replicas"] = "5"

    await bench.rounds(4)

    (action,) = await bench.actions()
    assert (action.state, bench.toy.value["replicas"], len(bench.toy.done)) == (ActionState.ESCALATED, "5", 1)
    assert "replicas was left at 2, and is 5 now" in action.outcome
    assert action.steps[0].state == "done"


@pytest.mark.parametrize("there", ["1", ""])
async def test_what_is_as_before_or_not_told_is_taken_back_as_ever(bench, there):
    await scaled_and_wanted_back(bench)
    honest, bench.toy.value["replicas"] = bench.toy.state, there or "5"

    async def told(target):
        return await honest(target) if there else {}

    bench.toy.state = told
    await bench.rounds(4)

    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


@pytest.mark.parametrize("asked_again", [False, True])
async def test_an_undo_goes_on_after_a_kill_whatever_its_own_work_has_left(bench, asked_again):
    """Half of it is done: what is found is neither as it was nor as the step left it."""
    engine, honest = await scaled_and_wanted_back(bench), bench.toy.execute

    async def killed(call, *, key, timeout_s):
        bench.toy.value["replicas"] = "7"
        raise asyncio.CancelledError

    bench.toy.execute = killed
    (action,) = await bench.actions()
    with pytest.raises(asyncio.CancelledError):
        await engine.run(DEFAULT_TENANT, await engine.ledger.one(DEFAULT_TENANT, action.id))
    await bench.clock.advance(60)
    if asked_again:
        bench.toy.execute = refuses
        await bench.rounds(2, hands=bench.brain())
        assert (await bench.actions())[0].state is ActionState.ESCALATED
        await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    bench.toy.execute = honest

    await bench.rounds(2, hands=bench.brain())

    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


async def test_an_undo_waits_for_who_does_not_say_whether_someone_changed_it(bench):
    await scaled_and_wanted_back(bench)
    honest, bench.toy.value["replicas"] = bench.toy.state, "5"

    async def away(target):
        raise Unavailable("No answer.")

    bench.toy.state = away
    await bench.rounds(2)
    assert ((await bench.actions())[0].state, len(bench.toy.done)) == (ActionState.UNDOING, 1)

    bench.toy.state = honest
    await bench.rounds(2)
    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.ESCALATED, "5")
