"""What happens between an action's approval and its beginning, and between its calls: it is asked for again."""

from dataclasses import replace
from functools import partial

import pytest

from cerebro.casework.deeds import ACTIONS
from cerebro.casework.desk import Stale
from cerebro.casework.hands.ledger import CEREBRO
from cerebro.casework.hands.store import Policy, Rule, keep_action
from cerebro.spine.actions import ActionState, Level
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import DEFAULT_TENANT

HOURS_S = 3 * 3600
WORKER = EntityKey("service", "worker")


async def approve(bench, action, by="anna"):
    engine = bench.hands.engine
    return await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), by, action.digest)


async def test_an_approval_of_hours_ago_begins_nothing(bench, waiting):
    """Someone said yes at two, and nobody was up to do it until five."""
    await approve(bench, waiting)
    await bench.clock.advance(HOURS_S)

    await bench.rounds(1, hands=bench.brain())

    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.EXPIRED, {})
    assert action.outcome == "It was approved, and nobody was up to begin it in time."


async def test_what_was_held_for_too_long_tells_what_held_it(bench, waiting):
    ledger = bench.hands.engine.ledger
    await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "ben", "stopped")
    await approve(bench, waiting)
    await bench.rounds(2)
    await bench.clock.advance(HOURS_S)

    await bench.rounds(1)

    (action,) = await bench.actions()
    assert action.state is ActionState.EXPIRED
    assert action.outcome == "It could not be begun: Everything is stopped: the global stop is set."


@pytest.mark.parametrize("is_ended", [False, True])
async def test_what_has_expired_is_not_approved_and_it_is_said_how_it_can_be_done(bench, waiting, is_ended):
    """Be it that no brain was up that would have ended it, or that one has."""
    ledger = bench.hands.engine.ledger
    record = await ledger.one(DEFAULT_TENANT, waiting.id)
    await ledger.note(record, replace(record.value, parameters={"note": "a b", "version": "1"}))
    await bench.clock.advance(HOURS_S)
    if is_ended:
        await bench.rounds(1)

    with pytest.raises(Stale) as refused:
        await approve(bench, waiting)

    assert "It has expired: it cannot be approved any more." in refused.value.detail
    anew = f"cerebro actions propose {waiting.case} rollback-deploy service/cart 'note=a b' version=1"
    assert refused.value.mend == f"Have it shown anew: {anew}"
    (action, *_) = await bench.actions()
    assert action.state is (ActionState.EXPIRED if is_ended else ActionState.AWAITING)


@pytest.mark.parametrize("by", [CEREBRO, "anna"])
@pytest.mark.parametrize("meanwhile", ["escalated", "tried"])
async def test_what_nobody_asked_for_is_not_begun_where_a_person_was_called(bench, waiting, meanwhile, by):
    """Another brain's action for the case has harmed since this one was approved, or was the last that may be tried."""
    bench.toy.level = Level.ACT
    await approve(bench, waiting, by)
    if meanwhile == "escalated":
        escalated = CaseState.ESCALATED
        await bench.desk.change(DEFAULT_TENANT, waiting.case, lambda case: replace(case, state=escalated))
    for number in range(2 if meanwhile == "tried" else 0):
        other = replace(waiting, id=f"a{number}", state=ActionState.UNDONE, target=WORKER, started_ms=1, ended_ms=2)
        async with bench.kernel.records.transaction() as transaction:
            await transaction.save(ACTIONS, DEFAULT_TENANT, other.id, keep_action(other), version=0)

    await bench.hands.advance(DEFAULT_TENANT)

    (action,) = [each for each in await bench.actions() if each.id == waiting.id]
    assert (action.state is ActionState.EXPIRED, len(bench.toy.done)) == ((True, 0) if by == CEREBRO else (False, 1))


async def test_of_two_brains_that_think_of_a_case_at_once_one_proposes(bench):
    case = await bench.the_case(await bench.case())
    late = bench.brain().proposer
    scene = await late._scene(DEFAULT_TENANT, [case])
    await bench.hands.proposer.round(DEFAULT_TENANT)

    assert await late.consider(case, scene) is None

    assert [each.state for each in await bench.actions()] == [ActionState.APPROVED]
    assert [line.kind for line in (await bench.the_case(case.id)).timeline].count("action_proposed") == 1


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (Policy(frozen=True), ActionState.APPROVED),
        (Policy(stopped=True), ActionState.APPROVED),
        (Policy(levels={"rollback-deploy": Level.ASK}), ActionState.AWAITING),
        (Policy(rules=(Rule(target="service/cart", level_max=Level.SUGGEST),)), ActionState.AWAITING),
    ],
)
async def test_what_someone_says_during_the_last_dry_run_holds(bench, policy, state):
    honest, asked = bench.toy.dry_run, []

    async def slow(call):
        asked.append(call)
        if len(asked) == 2:  # the first one was to propose it
            await bench.hands.engine.ledger.set_policy(DEFAULT_TENANT, policy, 0, "anna", "said")
        return await honest(call)

    bench.toy.dry_run = slow
    await bench.case()

    await bench.rounds(1)

    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (state, {})


async def test_the_global_stop_holds_the_next_call_of_an_undo(bench):
    await bench.case(kind="capacity", text="more traffic", marks=("surged",))
    await bench.rounds(4)
    engine, ledger, honest = bench.hands.engine, bench.hands.engine.ledger, bench.toy.execute
    (action,) = await bench.actions()
    step = replace(action.steps[0], undo=action.steps[0].undo * 2)
    record = await ledger.note(await ledger.one(DEFAULT_TENANT, action.id), replace(action, steps=(step,)))
    await engine.take_back(record, "anna")
    done = len(bench.toy.done)

    async def stops(call, *, key, timeout_s):
        said = await honest(call, key=key, timeout_s=timeout_s)
        await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "anna", "stopped")
        return said

    bench.toy.execute = stops
    await bench.rounds(3)
    assert ((await bench.actions())[0].state, len(bench.toy.done) - done) == (ActionState.UNDOING, 1)

    bench.toy.execute = honest
    await ledger.set_policy(DEFAULT_TENANT, Policy(), 1, "anna", "goes on")
    await bench.rounds(1)
    assert ((await bench.actions())[0].state, len(bench.toy.done) - done) == (ActionState.UNDONE, 2)


@pytest.mark.parametrize("resumed", [False, True])
async def test_the_global_stop_holds_a_call_while_it_is_looked_around(bench, resumed):
    """At how the first replica does, or at whether a call has happened that nobody answered."""
    ledger = bench.hands.engine.ledger
    bench.toy.replicas, bench.toy.dies = ("0", "1"), "before" if resumed else ""
    await bench.case(kind="resource", text="memory", marks=("full_memory",))
    await bench.rounds(1)
    felt, happened = bench.users.felt, bench.toy.happened

    async def stopping(honest, *values, **more):
        stopped = Policy(stopped=True)
        if not (await ledger.policy(DEFAULT_TENANT)).version:
            await ledger.set_policy(DEFAULT_TENANT, stopped, 0, "anna", "stopped")
        return await honest(*values, **more)

    bench.users.felt, bench.toy.happened = partial(stopping, felt), partial(stopping, happened)
    done = dict(bench.toy.done)

    await bench.rounds(6)

    assert (await ledger.policy(DEFAULT_TENANT)).value.stopped and bench.toy.done == done


async def ended(bench, action, how):
    """The action is over before it was begun."""
    engine = bench.hands.engine
    record = await engine.ledger.one(DEFAULT_TENANT, action.id)
    if how == "withdrawn":
        await engine.withdraw(action)
    elif how == "refused":
        await engine.refuse(record, "anna", "")
    elif how == "unanswered":
        await bench.clock.advance(HOURS_S)
        await engine.advance(record)
    else:
        record = await approve(bench, action, CEREBRO if how == "needless" else "anna")
        if how == "needless":
            bench.users.until_ms = 0
        else:
            await bench.clock.advance(HOURS_S)
        await engine.advance(record)
        bench.users.until_ms = 1 << 60


@pytest.mark.parametrize(
    ("how", "again"),
    [("withdrawn", True), ("needless", True), ("never begun", True), ("refused", False), ("unanswered", False)],
)
async def test_what_nobody_said_no_to_is_thought_of_again(bench, waiting, how, again):
    """After a minute; a person's no, and that nobody said anything, stand for the whole case."""
    await ended(bench, waiting, how)
    over = (await bench.actions())[0]
    assert (over.state in (ActionState.EXPIRED, ActionState.REFUSED), over.started_ms) == (True, 0)
    await bench.rounds(11)
    assert len(await bench.actions()) == 1

    await bench.rounds(6)

    anew = [each.state for each in (await bench.actions())[1:] if each.playbook == waiting.playbook]
    assert anew == ([ActionState.AWAITING] if again else [])
