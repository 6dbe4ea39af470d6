"""An action from its proposal to its end: shown, approved, done once, verified, undone, escalated."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from msgspec import structs

from cerebro.casework.deeds import ACTIONS
from cerebro.casework.desk import Stale
from cerebro.casework.hands import propose
from cerebro.casework.hands.felt import Felt
from cerebro.casework.hands.store import Policy, keep_action
from cerebro.casework.life import closed
from cerebro.casework.playbooks.model import Probe
from cerebro.casework.store import NOTICES
from cerebro.kernel.audit import Audit
from cerebro.spine.actions import ActionState, Difference, Level, digest_of
from cerebro.spine.cases import CaseState, Cause, Entry, Mark
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT, SELF_TENANT

CART, WORKER = EntityKey("service", "cart"), EntityKey("service", "worker")


async def test_a_bad_deploy_is_rolled_back_verified_and_audited(bench):
    case_id = await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000

    await bench.rounds(12)

    (action,) = await bench.actions()
    assert (action.playbook, action.state) == ("rollback-deploy", ActionState.HELPED)
    assert bench.toy.value["version"] == "1"
    assert action.approved_digest == action.digest == digest_of(action)
    case = await bench.the_case(case_id)
    assert case.actions == (action.id,)
    assert case.state is CaseState.VERIFYING
    kinds = [entry.kind for entry in case.timeline if entry.kind.startswith("action")]
    assert kinds == ["action_proposed", "action_approved", "action_begun", "action_done", "action_helped"]
    assert (await Audit(bench.kernel.records, bench.clock).verify(DEFAULT_TENANT)).count == 5
    assert [reason.what for reason in action.reasons] == ["fit", "share", "record", "draw", "policy", "users"]


async def test_what_does_not_help_is_undone(bench):
    await bench.case(kind="capacity", text="more traffic", marks=("surged",))

    await bench.rounds(400)

    tried = await bench.actions()
    assert tried[0].state is ActionState.UNDONE
    assert bench.toy.value["replicas"] == "1"
    assert all(each.state is ActionState.UNDONE for each in tried)
    (step,) = tried[0].steps
    assert tried[0].started_ms <= step.begun_ms <= step.done_ms < step.undo_ms <= step.undone_ms


async def test_what_was_done_for_a_case_that_someone_closed_stays(bench):
    """The next trouble is not held against it: it is neither taken back nor learned from."""
    case_id = await bench.case(kind="capacity", text="more traffic", marks=("surged",))
    await bench.rounds(12)
    await bench.desk.change(DEFAULT_TENANT, case_id, lambda case: closed(case, "", "ann", bench.clock.now_ms()))

    await bench.rounds(400)

    (tried,) = await bench.actions()
    assert tried.state is ActionState.UNVERIFIED and "closed the case" in tried.outcome
    assert bench.toy.value["replicas"] == "2"


async def test_who_another_case_says_is_asked_more_is_not_restarted_unasked(bench):
    """One case sees a pool that is used up, another one why: its own share of the blame there does not matter."""
    await bench.case(kind="resource", text="held", marks=("held_pool", "no_connections"))
    other = await bench.case(kind="capacity", name="two", target=WORKER, about=WORKER)
    asked = Cause(CART, "capacity", 0.02, 2, "", marks=(Mark("surged", 9.0),))
    await bench.desk.change(DEFAULT_TENANT, other, lambda case: replace(case, causes=(*case.causes, asked)))

    await bench.rounds(12)

    (restart,) = [each for each in await bench.actions() if each.target == CART]
    assert restart.level is Level.ASK
    assert "more is asked of service/cart than usual" in restart.reasons[-1].text


@pytest.mark.parametrize(("worse_s", "state", "done"), [(10.0, ActionState.HELPED, 2), (400.0, ActionState.UNDONE, 1)])
async def test_the_first_replica_is_given_time_to_start(bench, worse_s, state, done):
    """The others carry its load meanwhile: what hurts for a moment is no harm, what stays is.

    A look takes all in that lies in its stretch, so a long one would hold the start against the replica.
    """
    bench.toy.replicas = ("0", "1")
    case = await bench.case(kind="resource", text="stuck", marks=("stuck",))
    sick, ill = bench.users.bad, Felt(1000, 900, 2000)
    while not bench.toy.done:
        await bench.rounds(1)
    begun_ms = bench.clock.now_ms()

    async def felt(tenant, names, start_ms, end_ms):
        if start_ms > begun_ms + worse_s * 1000:
            return {"service/cart": bench.users.good}
        return {
            "service/cart": ill if end_ms > begun_ms else sick if end_ms > bench.users.since_ms else bench.users.good
        }

    bench.users.felt = felt
    await bench.rounds(30)

    (action,) = [each for each in await bench.actions() if each.case == case][:1]
    assert (action.state, len(bench.toy.done), action.harmful) == (state, done, done == 1)


@pytest.mark.parametrize(("word", "waits_s"), [("busy_cpu", 20), ("no_files", 0)])
async def test_a_restart_waits_until_its_cause_is_steady_unless_it_is_named_outright(bench, word, waits_s):
    """A busy processor is what many troubles look like at first; a process without file descriptors has just that."""
    case_id = await bench.case(kind="resource", share=0.99, text=word, marks=(word,))
    named_ms = bench.clock.now_ms()
    line = Entry(named_ms, "cerebro", "cause_named", "Likely cause", reference=CART.text)
    await bench.desk.change(DEFAULT_TENANT, case_id, lambda case: replace(case, timeline=(*case.timeline, line)))

    await bench.rounds(8)

    (action, *_) = await bench.actions()
    assert action.playbook == "restart-service"
    assert action.made_ms - named_ms == waits_s * 1000


async def test_the_look_that_a_restart_waits_for_is_thought_over_at_once(bench):
    """Whoever is without their service does not wait for the next turn as well, though nothing else has changed."""
    case_id = await bench.case(kind="resource", share=0.99, text="busy_cpu", marks=("busy_cpu",))
    line = Entry(bench.clock.now_ms(), "cerebro", "cause_named", "Likely cause", reference=CART.text)
    await bench.desk.change(DEFAULT_TENANT, case_id, lambda case: replace(case, timeline=(*case.timeline, line)))
    await bench.rounds(23, step_s=1.0, looks=False)
    assert await bench.actions() == []

    await bench.rounds(1, step_s=1.0)

    assert [each.playbook for each in await bench.actions()] == ["restart-service"]


@pytest.mark.parametrize(("word", "acts"), [("deployed", True), ("busy", False)])
async def test_what_is_named_outright_need_not_be_the_likeliest_all_the_time(bench, word, acts):
    """Whom the looks hold for the likeliest beside it goes to and fro; it has been a cause from the first one on."""
    case_id = await bench.case(share=0.45, marks=(word,))
    begun_ms = bench.clock.now_ms()

    def turned(case):
        (mine, *_) = [replace(each, since_ms=begun_ms) for each in case.causes if each.entity == CART]
        first = WORKER if case.causes[0].entity == CART else CART
        other = Cause(WORKER, "data", 0.46, 1, "It is a little slower.", since_ms=begun_ms)
        line = Entry(bench.clock.now_ms(), "cerebro", "cause_named", "Likely cause", reference=first.text)
        both = (replace(mine, rank=1 + (first == WORKER)), replace(other, rank=1 + (first == CART)))
        return replace(case, causes=tuple(sorted(both, key=lambda each: each.rank)), timeline=(*case.timeline, line))

    for _ in range(8):
        await bench.desk.change(DEFAULT_TENANT, case_id, turned)
        await bench.rounds(1, step_s=6.0)

    done = [each for each in await bench.actions() if each.started_ms]
    assert [each.playbook for each in done] == (["rollback-deploy"] if acts else [])
    assert not done or 20_000 <= done[0].made_ms - begun_ms <= 30_000


async def test_tries_are_bounded_and_told(make_bench):
    bench = make_bench(tries_max=1)
    case_id = await bench.case()

    await bench.rounds(60)

    assert len(await bench.actions()) == 1
    assert bench.toy.value["version"] == "2"  # rolled forward again
    case = await bench.the_case(case_id)
    assert case.state is CaseState.ESCALATED
    assert "Roll back the last deploy: undone" in case.timeline[-1].text


async def test_nobody_is_called_for_what_has_helped(make_bench):
    """No more may be tried and a finding is still open, but users are well: until they suffer again."""
    bench = make_bench(tries_max=1)
    case_id = await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000

    await bench.rounds(60)

    assert [each.state for each in await bench.actions()] == [ActionState.HELPED]
    case = await bench.the_case(case_id)
    assert case.active_keys and case.state is CaseState.VERIFYING

    bench.users.until_ms = 1 << 60
    await bench.rounds(3)
    case = await bench.the_case(case_id)
    assert (case.state, case.timeline[-1].text[:33]) == (CaseState.ESCALATED, "Cerebro has tried what it may. Ro")


@pytest.mark.parametrize(
    ("since", "state"),
    [("goes on", CaseState.ESCALATED), ("users are well", CaseState.INVESTIGATING),
     ("came back", CaseState.INVESTIGATING), ("waits for another", CaseState.INVESTIGATING)],
)  # fmt: skip
async def test_a_person_is_called_when_nothing_else_fits(bench, since, state):
    """Fewer tries than are allowed, and no other playbook: the case must not lie there unseen."""
    case_id, change = await bench.case(), bench.desk.change
    tried = ()
    while not tried or not tried[0].ended_ms:
        await bench.rounds(1)
        tried = await bench.actions()
    assert [each.state for each in tried] == [ActionState.UNDONE]
    await bench.rounds(50)
    assert (await bench.the_case(case_id)).state is CaseState.INVESTIGATING
    if since == "users are well":
        bench.users.until_ms = bench.clock.now_ms()
    if since == "came back":
        await change(DEFAULT_TENANT, case_id, lambda case: replace(case, state=CaseState.RESOLVED))
        await bench.rounds(3)
        await change(DEFAULT_TENANT, case_id, lambda case: replace(case, state=CaseState.INVESTIGATING))
    if since == "waits for another":
        other = replace(tried[0], id="another", case="another", state=ActionState.VERIFYING, ended_ms=0)
        async with bench.kernel.records.transaction() as transaction:
            lease_ms = bench.clock.now_ms() + 3_600_000
            kept = replace(keep_action(other), owner="another brain", lease_ms=lease_ms, due_ms=lease_ms)
            await transaction.save(ACTIONS, DEFAULT_TENANT, kept.id, kept, version=0)

    await bench.rounds(20)

    case = await bench.the_case(case_id)
    told = "nothing else fits or may be done now. Roll back the last deploy: undone" in case.timeline[-1].text
    assert (case.state, told) == (state, state is CaseState.ESCALATED)


async def test_what_could_not_even_begin_is_nothing_that_was_done(bench):
    """Approved, but someone had done it by hand meanwhile: nobody is called for that."""
    bench.toy.level = None
    case_id = await bench.case()
    await bench.rounds(2)
    (action,) = await bench.actions()
    bench.toy.value["version"] = "1"
    engine = bench.hands.engine
    await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)

    await bench.rounds(100)

    assert [each.state for each in await bench.actions()] == [ActionState.FAILED]
    assert (await bench.the_case(case_id)).state is not CaseState.ESCALATED


async def test_a_case_that_ended_meanwhile_is_not_escalated(bench):
    case_id = await bench.case()
    case = await bench.the_case(case_id)
    await bench.desk.change(DEFAULT_TENANT, case_id, lambda case: replace(case, state=CaseState.RESOLVED))

    await bench.hands.engine.ledger.escalate(case, "Cerebro has tried what it may.")

    assert "escalated" not in {line.kind for line in (await bench.the_case(case_id)).timeline}


async def test_harm_is_undone_and_costs_the_playbook_its_freedom(bench):
    await bench.case()
    await bench.rounds(1)
    bench.users.bad = replace(bench.users.bad, failed=900)

    await bench.rounds(12)

    (action,) = await bench.actions()
    assert (action.state, action.harmful) == (ActionState.UNDONE, True)
    policy = (await bench.hands.engine.ledger.policy(DEFAULT_TENANT)).value
    assert policy.levels["rollback-deploy"] is Level.ASK


@pytest.mark.parametrize("level", [Level.ACT, Level.SILENT])
@pytest.mark.parametrize("helps", [True, False])
async def test_what_is_done_is_told_outside_unless_silently(make_bench, monkeypatch, level, helps):
    monkeypatch.setattr(propose, "level_of", lambda **_: (level, "its level says so"))
    bench = make_bench(webhook_url="https://pager.example/x")
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + (10_000 if helps else 1 << 50)
    await bench.rounds(60)

    told = [each.change for each in await bench.kept(NOTICES, SELF_TENANT) if each.change.startswith("action_")]
    ends = ["action_helped"] if helps else ["action_not_helped", "action_undone"]
    assert told == ([] if level is Level.SILENT else ["action_begun", *ends])


async def test_nothing_is_done_while_users_are_well(bench):
    bench.users.until_ms = 0
    await bench.case()

    await bench.rounds(20)

    assert await bench.actions() == []
    assert bench.toy.done == {}


async def test_two_cases_of_one_entity_ask_once(bench):
    """The second refers to what the first asks for; when the first ends unanswered, the second asks itself."""
    bench.toy.level = None
    first = await bench.case()
    await bench.rounds(4)
    second = await bench.case(name="two", about=EntityKey("service", "front"))
    assert second != first
    await bench.rounds(4)
    (action,) = await bench.actions()
    refers = await bench.the_case(second)

    assert (action.case, refers.actions) == (first, (action.id,))
    assert [line.kind for line in refers.timeline].count("action_shared") == 1
    assert [each.id for each in await bench.hands.engine.ledger.shared(DEFAULT_TENANT, second, ())] == [action.id]
    now_ms = bench.clock.now_ms()
    await bench.desk.change(DEFAULT_TENANT, first, lambda case: closed(case, "", "anna", now_ms))
    await bench.rounds(6)
    assert [(each.case, each.state) for each in await bench.actions()][-1] == (second, ActionState.AWAITING)


async def test_asking_waits_for_a_person_and_for_exactly_what_was_shown(bench):
    bench.toy.level = None
    await bench.case()
    await bench.rounds(2)
    (action,) = await bench.actions()
    assert (action.state, action.level, bench.toy.done) == (ActionState.AWAITING, Level.ASK, {})
    engine = bench.hands.engine

    with pytest.raises(Stale):
        await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", "another digest")
    await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)
    bench.toy.value["version"] = "3"  # someone deployed meanwhile: this is no longer what anna saw
    await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.AWAITING, {})
    await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)
    await bench.rounds(2)
    assert [operation for operation, _ in bench.toy.done.values()] == ["rollback"]


async def test_stop_and_freeze_hold(bench):
    ledger = bench.hands.engine.ledger
    await ledger.set_policy(DEFAULT_TENANT, Policy(frozen=True, frozen_by="anna"), 0, "anna", "frozen")
    await bench.case()

    await bench.rounds(5)

    assert bench.toy.done == {}


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_lost_answer_leads_to_one_call_that_happened(bench, dies):
    bench.toy.dies = dies
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000

    await bench.rounds(12)

    (action,) = await bench.actions()
    assert action.state is ActionState.HELPED
    assert len(bench.toy.done) == 1


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_killed_between_the_intent_and_the_end_it_goes_on_and_never_twice(bench, dies):
    """A brain that is killed in the middle of a call, and another that comes after it."""
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 60_000

    async def killed(call, *, key, timeout_s):
        if dies == "after":
            bench.toy.done[key] = (call.operation, {})
        raise asyncio.CancelledError

    honest, bench.toy.execute = bench.toy.execute, killed
    with pytest.raises(asyncio.CancelledError):
        await bench.rounds(1)
    bench.toy.execute = honest
    (action,) = await bench.actions()
    assert action.steps[0].state == "begun"

    heir = bench.brain()
    await bench.rounds(1, hands=heir)
    assert (await bench.actions())[0].steps[0].state == "begun"  # the lease of the dead one still runs
    await bench.clock.advance(40)
    await bench.rounds(20, hands=heir)

    (action,) = await bench.actions()
    assert action.state is ActionState.HELPED
    assert len(bench.toy.done) == 1


async def test_when_nobody_can_tell_whether_it_happened_a_person_is_called(bench):
    bench.toy.dies = "after"

    async def silent(call, *, key):
        return None

    bench.toy.happened = silent
    case_id = await bench.case()
    await bench.rounds(4)

    (action,) = await bench.actions()
    assert action.state is ActionState.ESCALATED
    assert (await bench.the_case(case_id)).state is CaseState.ESCALATED
    assert len(bench.toy.done) == 1


async def test_two_brains_do_it_once(bench):
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    brains = bench.hands, bench.brain()

    for _ in range(15):
        await asyncio.gather(*(each.round(DEFAULT_TENANT) for each in brains))
        await bench.clock.advance(5)

    actions = await bench.actions()
    assert [each.state for each in actions if each.started_ms] == [ActionState.HELPED]
    assert len(bench.toy.done) == 1


async def test_one_replica_goes_first_and_the_others_are_spared_when_it_makes_things_worse(bench):
    bench.toy.replicas = ("0", "1", "2")
    await bench.case(kind="resource", text="memory", marks=("full_memory",))
    await bench.rounds(1)
    bench.users.bad = replace(bench.users.bad, failed=900)

    await bench.rounds(6)

    (action,) = await bench.actions()
    assert [arguments for _, arguments in bench.toy.done.values()] == [{"replica": "0"}]
    assert action.harmful


@pytest.mark.parametrize(
    ("fresh", "seen_to"),
    [(Felt(200, 0, 10), ["0", "1"]), (Felt(200, 180, 10), ["0"]), (Felt(200, 0, 400), ["0"]), (Felt(2, 0, 0.1), ["0"])],
)
async def test_the_others_follow_when_the_first_replica_is_well_and_their_own_users_are_worse_off(
    bench, fresh, seen_to
):
    """While it started they had all its load, and they are still as ill as they were."""
    bench.toy.replicas = ("0", "1")
    await bench.case(kind="resource", text="starved", marks=("stuck",))
    await bench.rounds(1)
    bench.users.bad, bench.users.fresh = replace(bench.users.bad, failed=900), fresh

    await bench.rounds(8)

    assert [arguments["replica"] for _, arguments in bench.toy.done.values()] == seen_to


@pytest.mark.parametrize(("kind", "restarted"), [("resource", True), ("capacity", False)])
async def test_what_has_too_much_to_do_is_not_restarted(bench, kind, restarted):
    await bench.case(kind=kind, share=0.45, marks=("busy_cpu",))  # less than half the blame
    await bench.rounds(6)

    assert bool([each for each in await bench.actions() if each.playbook == "restart-service"]) is restarted


async def test_a_person_can_take_it_back(bench):
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    await bench.rounds(12)
    (action,) = await bench.actions()
    engine = bench.hands.engine

    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")
    await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.state, bench.toy.value["version"]) == (ActionState.UNDONE, "2")


async def test_who_never_answers_is_called_now_and_then_and_given_up(bench):
    async def dead(call, *, key, timeout_s):
        calls.append(bench.clock.now_ms())
        raise Unavailable("The line is dead.")

    calls, bench.toy.execute = [], dead
    await bench.case()

    await bench.rounds(40)

    action = (await bench.actions())[0]
    assert (action.state, action.outcome[:14]) == (ActionState.FAILED, "It was called ")
    assert len(calls) < 40 and min(after - before for before, after in pairwise(calls)) >= 5000


async def test_an_undo_that_is_never_answered_is_a_persons(bench):
    async def dead(call, *, key, timeout_s):
        raise Unavailable("The line is dead.")

    await bench.case(kind="capacity", text="more traffic", marks=("surged",))
    await bench.rounds(4)
    bench.toy.execute = dead

    await bench.rounds(80)

    assert (await bench.actions())[0].state is ActionState.ESCALATED


@pytest.mark.parametrize("fault", [Invalid("No such deployment.", ""), KeyError("memory")])
async def test_what_cannot_go_on_is_a_persons_and_the_others_go_on(bench, fault):
    """Be it a refusal where it is asked whether the call happened, or a fault of an executor's own."""

    async def broken(call, *, key):
        raise fault

    bench.toy.dies, bench.toy.happened = "before", broken
    case_id = await bench.case()

    await bench.rounds(4)

    (action,) = await bench.actions()
    assert action.state is ActionState.ESCALATED
    assert (await bench.the_case(case_id)).state is CaseState.ESCALATED


async def approved_while_it_cannot_be_looked_at(bench):
    """An action that Cerebro approved, and that waits since no fresh dry run can be had."""
    honest, asked = bench.toy.dry_run, []

    async def once(call):
        asked.append(call)
        if len(asked) > 1:
            raise Unavailable("No answer.")
        return await honest(call)

    bench.toy.dry_run = once
    await bench.case()
    await bench.rounds(4)
    bench.toy.dry_run = honest


async def test_nothing_is_begun_on_a_dry_run_of_long_ago(bench):
    await approved_while_it_cannot_be_looked_at(bench)
    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.APPROVED, {})

    await bench.rounds(2)

    assert [operation for operation, _ in bench.toy.done.values()] == ["rollback"]


async def test_who_may_no_longer_do_it_unasked_asks(bench):
    """The level is lowered between Cerebro's own approval and the beginning."""
    await approved_while_it_cannot_be_looked_at(bench)
    ledger = bench.hands.engine.ledger
    await ledger.set_policy(DEFAULT_TENANT, Policy(levels={"rollback-deploy": Level.SUGGEST}), 0, "anna", "levels")

    await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.state, action.level, bench.toy.done) == (ActionState.AWAITING, Level.SUGGEST, {})
    assert "It is asked for now" in action.story[-1].text


async def test_the_global_stop_holds_the_next_replica(bench):
    bench.toy.replicas = ("0", "1")
    await bench.case(kind="resource", text="memory", marks=("full_memory",))
    await bench.rounds(1)
    ledger = bench.hands.engine.ledger
    await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "anna", "stopped")

    await bench.rounds(10)
    assert [arguments for _, arguments in bench.toy.done.values()] == [{"replica": "0"}]

    await ledger.set_policy(DEFAULT_TENANT, Policy(), 1, "anna", "goes on")
    await bench.rounds(1)
    assert [arguments for _, arguments in bench.toy.done.values()] == [{"replica": "0"}, {"replica": "1"}]


async def test_the_global_stop_holds_an_undo(bench):
    await bench.case(kind="capacity", text="more traffic", marks=("surged",))
    await bench.rounds(4)
    engine, ledger = bench.hands.engine, bench.hands.engine.ledger
    await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "anna", "stopped")
    (action,) = await bench.actions()
    await engine.take_back(await ledger.one(DEFAULT_TENANT, action.id), "anna")

    await bench.rounds(4)
    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDOING, "2")

    await ledger.set_policy(DEFAULT_TENANT, Policy(), 1, "anna", "goes on")
    await bench.rounds(1)
    assert ((await bench.actions())[0].state, bench.toy.value["replicas"]) == (ActionState.UNDONE, "1")


async def test_what_never_happened_is_not_taken_back(bench):
    """Killed between the intent and the call; a person wants it undone before the next brain comes."""

    async def killed(call, *, key, timeout_s):
        raise asyncio.CancelledError

    honest, bench.toy.execute = bench.toy.execute, killed
    await bench.case()
    with pytest.raises(asyncio.CancelledError):
        await bench.rounds(1)
    bench.toy.execute, heir = honest, bench.brain()
    (action,) = await bench.actions()
    await heir.engine.take_back(await heir.engine.ledger.one(DEFAULT_TENANT, action.id), "anna")

    await bench.rounds(1, hands=heir)
    assert (await bench.actions())[0].state is ActionState.UNDOING  # the lease of the dead one still runs
    await bench.clock.advance(40)
    await bench.rounds(1, hands=heir)

    assert ((await bench.actions())[0].state, bench.toy.done) == (ActionState.FAILED, {})


async def test_the_others_wait_for_who_tells_nothing_and_are_left_alone(bench):
    bench.toy.replicas = ("0", "1")
    await bench.case(kind="resource", text="memory", marks=("full_memory",))
    await bench.rounds(1)

    async def silent(tenant, names, start_ms, end_ms):
        return {}

    bench.users.felt = silent
    await bench.rounds(40)

    action = (await bench.actions())[0]
    assert [arguments for _, arguments in bench.toy.done.values()][:1] == [{"replica": "0"}]
    assert "Nothing tells what users feel" in " ".join(turn.text for turn in action.story)
    assert not [arguments for _, arguments in bench.toy.done.values() if arguments.get("replica") == "1"]


async def test_it_has_not_helped_whose_users_have_fallen_silent(bench):
    """Whoever told before tells nothing now, though others are served well."""
    await bench.case()
    await bench.rounds(1)

    async def others(tenant, names, start_ms, end_ms):
        usual = {"service/cart": bench.users.good} if end_ms < bench.users.since_ms else {}
        return {"service/front": bench.users.good, **usual}

    bench.users.felt = others
    await bench.rounds(7)
    assert (await bench.actions())[0].state is ActionState.VERIFYING


async def test_what_its_playbook_goes_by_is_read_again(bench):
    """A gauge that was over its bound when it was proposed, and no longer is."""
    await approved_while_it_cannot_be_looked_at(bench)
    engine = bench.hands.engine
    (action,) = await bench.actions()
    playbook = await engine.library.one(DEFAULT_TENANT, action.playbook)
    probed = structs.replace(playbook, trigger=structs.replace(playbook.trigger, probes=[Probe("queue.depth", 10.0)]))

    async def one(tenant, name):
        return probed

    engine.library.one = one
    await bench.rounds(1)

    (action,) = [each for each in await bench.actions() if each.id == action.id]
    assert (action.state, bench.toy.done) == (ActionState.EXPIRED, {})
    assert action.outcome == "What its playbook goes by is no longer so."


async def test_a_fault_while_one_case_is_thought_over_keeps_no_other_from_its_action(bench):
    honest = bench.toy.dry_run

    async def broken(call):
        if call.target == WORKER:
            raise KeyError("memory")
        return await honest(call)

    bench.toy.dry_run = broken
    await bench.case(name="two", target=WORKER, about=WORKER)
    await bench.case()

    await bench.rounds(4)

    assert [each.target for each in await bench.actions()] == [CART]


@pytest.mark.parametrize(("lasts_s", "states"), [(12, []), (400, [ActionState.UNDONE])])
async def test_what_was_over_a_moment_ago_is_left_alone(bench, lasts_s, states):
    """A look takes half a minute in: the failures of a rollout lie in it when all is well again."""
    since_ms = bench.clock.now_ms()
    over_ms = since_ms + lasts_s * 1000

    async def felt(tenant, names, start_ms, end_ms):
        return {"service/cart": bench.users.bad if start_ms < over_ms and end_ms > since_ms else bench.users.good}

    bench.users.felt = felt
    await bench.case()
    await bench.clock.advance(29)

    await bench.rounds(60)

    assert [each.state for each in await bench.actions()][:1] == states


@pytest.mark.parametrize(("page", "done"), [(Felt(50, 0, 30), 1), (Felt(50, 0, 3), 0), (Felt(), 0)])
async def test_one_slow_page_of_many_is_mended_while_it_is_slow(bench, page, done):
    """All together are served as usual; a finding of the page holds, be it that the page is asked for no more."""
    bench.users.until_ms = 0  # as a whole nobody suffers
    since_ms = bench.clock.now_ms()

    async def felt_by_operation(tenant, names, start_ms, end_ms):
        one = page if end_ms > since_ms else Felt(500, 0, 30)
        return {"service/cart http.route=/home": Felt(900, 0, 45)} | (
            {"service/cart http.route=/pay": one} if one.count else {}
        )

    bench.users.felt_by_operation = felt_by_operation
    await bench.case(signal="http.server.request.duration:shift_ratio")

    await bench.rounds(3)

    assert len(bench.toy.done) == done


def moving(toy):
    """A dry run that is another at every look, as a count that grows."""
    honest, looks = toy.dry_run, []

    async def dry_run(call):
        looks.append(call)
        found = await honest(call)
        return replace(found, changes=(*found.changes, Difference("waiting", str(len(looks)), "0")))

    toy.dry_run = dry_run
    return looks


async def test_what_moves_on_is_done_unasked_as_it_was_shown_last(bench):
    looks = moving(bench.toy)
    await bench.case()

    await bench.rounds(2)

    (action,) = await bench.actions()
    assert (action.state, len(bench.toy.done)) == (ActionState.VERIFYING, 1)
    assert action.steps[0].changes[-1].before == str(len(looks))
    assert action.digest == action.approved_digest == digest_of(action)
    assert [turn.state for turn in action.story].count(
        ActionState.AWAITING
    ) == 2  # shown twice, the second time as done


async def test_what_moves_on_is_asked_for_anew_and_thought_of_again_after_a_minute(bench):
    moving(bench.toy)
    bench.toy.level = None
    await bench.case()
    engine = bench.hands.engine
    await bench.rounds(2)
    for _ in range(3):
        (action,) = await bench.actions()
        await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna", action.digest)
        await bench.rounds(1)
    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.FAILED, {})
    await bench.rounds(8)
    assert len(await bench.actions()) == 1

    await bench.rounds(8)

    assert [each.state for each in await bench.actions()] == [ActionState.FAILED, ActionState.AWAITING]
