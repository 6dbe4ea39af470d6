"""One reason in common is likelier than several: callers, caches, machines, changes."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.changed import blamed
from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.load import load_of
from cerebro.casework.cause.ours import ENDED_BY, Done, of_others, steps_of
from cerebro.casework.cause.picture import Change, Tallies
from cerebro.casework.cause.queues import takers_of
from cerebro.casework.cause.reach import needs_of
from cerebro.spine.actions import Action, ActionState, Call, Expectation, Level, Risk, Step
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import DEFAULT_TENANT, ActionId, CaseId, TenantId

ONSET_MS = 62 * 60_000


def key(name):
    return EntityKey("service", name)


def first(picture):
    return diagnose(picture).causes[0].entity.name


def calls(picture, failing):
    """Calls by pair: each fails half the time where it is told so."""
    place = {each.name: k for k, each in enumerate(picture.entities)}
    pairs = [(r.source.name, r.target.name) for r in picture.relations]
    count = len(pairs)
    return replace(
        picture,
        tallies=Tallies(
            np.array([place[a] for a, _ in pairs], np.int32),
            np.array([place[b] for _, b in pairs], np.int32),
            ("call",) * count,
            ("calls",) * count,
            np.zeros(count, np.int8),
            np.zeros(count),
            np.full(count, 200.0),
            np.array([100.0 if pair in failing else 0.0 for pair in pairs]),
            np.full(count, 200.0),
        ),
    )


MESH = (("front", "cart"), ("front", "stock"), ("cart", "one"), ("cart", "two"), ("cart", "three"), ("stock", "one"))
SERIES = tuple((name, "requests") for name in ("front", "cart", "stock", "one", "two", "three"))


def test_a_caller_whom_all_it_calls_fail_is_blamed(draw):
    picture = calls(draw(SERIES, MESH), {("cart", "one"), ("cart", "two"), ("cart", "three")})
    assert first(picture) == "cart"


def test_a_callee_that_fails_all_its_callers_is_blamed(draw):
    assert first(calls(draw(SERIES, MESH), {("cart", "one"), ("stock", "one")})) == "one"


def test_who_hands_on_the_failures_of_a_supplier_is_not_blamed_for_what_its_callers_see_of_it(draw):
    names, calls_of = ("front", "cart", "supplier"), (("front", "cart"), ("cart", "supplier"))
    series = [(name, signal) for name in names for signal in ("failed.share", "requests")]
    series += [("front", "duration.mean"), ("cart", "duration.mean")]
    ill = [("supplier", "failed.share", 70.0, 2), ("cart", "failed.share", 30.0, 2), ("front", "failed.share", 10.0, 2)]
    ill += [("front", "duration.mean", 4.0, 2), ("cart", "duration.mean", 4.0, 2)]  # failing calls are tried again
    picture = draw(series, calls_of, ill=ill, signal="duration.mean")
    seen = calls(picture, set(calls_of))  # and the callers of the cart say more of it than it does of the supplier
    hits = np.where(seen.tallies.peer == len(names) - 1, 12.0, seen.tallies.hits_during)
    assert first(replace(seen, tallies=replace(seen.tallies, hits_during=hits))) == "supplier"
    assert first(calls(draw(series, calls_of, ill=ill[1:], signal="duration.mean"), {calls_of[0]})) == "cart"


def test_a_cache_is_blamed_for_what_falls_on_the_store_behind_it(draw):
    series = [("cart", "duration.mean"), ("cache", "keyspace.misses"), ("store", "requests"), ("store", "cpu")]
    series += [("front", "duration.mean"), ("store", "duration.mean")]
    ill = [(*each, 40.0, 3) for each in series if each[1] != "requests"] + [("store", "requests", 35.0 + 100.0, 3)]
    picture = draw(series, (("front", "cart"), ("cart", "cache"), ("cart", "store")), ill=[])
    misses = draw(series, (("front", "cart"), ("cart", "cache"), ("cart", "store")), ill=ill)
    assert first(picture) == "unknown"
    assert first(misses) == "store"  # it is asked more than the cache misses more: the cache is not the reason
    ill = [*ill[:-1], ("cache", "keyspace.misses", 130.0, 3), ("store", "requests", 135.0, 3)]
    assert first(draw(series, (("front", "cart"), ("cart", "cache"), ("cart", "store")), ill=ill)) == "cache"


STORM = (("front", "cart"), ("front", "stock"), ("cart", "one"), ("cart", "two"), ("cart", "store"), ("stock", "store"))


@pytest.mark.parametrize(
    ("word", "more", "culprit"), [("refused", 90.0, "cache"), ("refused", 0.0, ""), ("late", 90.0, "")]
)
def test_what_refuses_its_callers_is_blamed_for_what_they_ask_elsewhere(draw, word, more, culprit):
    names = ("cache", "cart", "front", "store")
    series = [("cart", "requests"), ("store", "requests"), ("store", "cpu.utilization"), ("store", "duration.mean")]
    ill = [("store", "requests", more, 3), ("store", "cpu.utilization", 30.0, 3), ("store", "duration.mean", 30.0, 3)]
    picture = draw(series, (("front", "cart"), ("cart", "cache"), ("cart", "store")), ill=ill)
    one = np.ones(1)
    said = Tallies(
        np.array([names.index("cart")], np.int32), np.array([names.index("cache")], np.int32), ("blames",), (word,),
        np.array([17], np.int8), 0.0 * one, 50.0 * one, 40.0 * one, 50.0 * one,
    )  # fmt: skip
    drawn = replace(picture, tallies=said)
    found = clues(drawn)
    begun = load_of(found, needs_of(drawn), takers_of(drawn)).begun

    assert [names[k] for k in np.flatnonzero(begun)] == ([culprit] if culprit else [])


@pytest.mark.parametrize(("front", "more", "floods"), [(200.0, 1100.0, True), (900.0, 1100.0, False)])
def test_more_than_came_in_comes_by_the_queue(draw, front, more, floods):
    """Users that wait for it ask again, of the entrance."""
    series = [(name, signal) for name in ("front", "worker") for signal in ("requests", "duration.mean")]
    ill = [("front", "requests", front, 3), ("worker", "requests", more, 3), ("front", "duration.mean", 9.0, 3)]
    drawn = draw(series, (("load", "front"), ("worker", "store")), ill=ill)
    worker, jobs = (EntityKey("service", name) for name in ("worker", "jobs"))
    takes = Relation(TenantId("default"), worker, jobs, "consumes_from")
    drawn = replace(drawn, relations=(*drawn.relations, takes))
    begun = load_of(clues(drawn), needs_of(drawn), takers_of(drawn)).begun

    assert [drawn.entities[k].name for k in np.flatnonzero(begun)] == (["worker"] if floods else [])


def stormed(draw, pressed):
    """The cart tries again and again; `pressed` are asked as much more and are slow for it."""
    names = ("front", "cart", "stock", "one", "two", "store")
    series = [(name, signal) for name in names for signal in ("requests", "duration.mean")] + [("cart", "retries")]
    ill = [(name, "requests", 150.0, 3) for name in pressed] + [(name, "duration.mean", 30.0, 3) for name in pressed]
    ill += [("front", "duration.mean", 10.0, 3), ("cart", "duration.mean", 10.0, 3), ("cart", "retries", 400.0, 3)]
    return draw(series, STORM, ill=ill)


def test_who_tries_again_until_most_of_what_it_calls_is_overloaded_is_blamed(draw):
    assert first(stormed(draw, ("one", "two", "store"))) == "cart"


def test_who_tries_again_what_fails_it_is_not(draw):
    assert first(stormed(draw, ("one",))) == "one"


def on_host(picture, names, host="node-1"):
    """The picture with one of its entities made the machine that others run on."""
    machine = EntityKey("host", host)
    entities = tuple(machine if each.name == host else each for each in picture.entities)
    runs = tuple(Relation(TenantId("default"), key(name), machine, "runs_on") for name in names)
    return replace(picture, entities=entities, relations=(*picture.relations, *runs))


def machine(draw, ill):
    series = [(name, "cpu.time") for name in ("a", "b", "c")] + [("node-1", "cpu.percent"), ("front", "duration.mean")]
    ill = [(name, "cpu.time", 20.0, 2) for name in ill] + [("node-1", "cpu.percent", 85.0, 2)]
    picture = draw(
        series, tuple(("front", name) for name in ("a", "b", "c")), ill=[*ill, ("front", "duration.mean", 20.0, 2)]
    )
    return on_host(picture, ("a", "b", "c"))


def test_a_full_machine_is_blamed_for_what_all_on_it_suffer(draw):
    assert first(machine(draw, ("a", "b", "c"))) == "node-1"


def test_a_machine_that_one_of_those_on_it_keeps_busy_is_not(draw):
    assert first(machine(draw, ("b",))) == "b"


def test_a_change_after_the_first_sign_began_nothing(draw):
    picture = draw(SERIES, MESH, changes=[("cart", "deploy", 120_000, "late"), ("stock", "deploy", -60_000, "after")])
    score = np.array([1.0 if each.name == "cart" else 3.0 for each in picture.entities])
    assert [picture.changes[k].entity.name for k, _ in blamed(picture, score)] == ["cart", "stock"]


def test_what_we_did_ourselves_is_no_reason():
    ours, theirs = Change(key("cart"), 60_000, "flag", "notes turned off"), Change(key("cart"), 600_000, "deploy", "v2")
    back = Change(key("cart"), 60_000, "deploy", "rolled back")

    assert of_others([ours, theirs], [Done(key("cart"), 58_000, 61_000)]) == (theirs,)
    assert of_others([back], [Done(key("cart"), 58_000, 61_000)]) == (back,), "it ends what it takes back"


def test_a_change_right_after_ours_is_someone_elses():
    """A step is told once: whoever deploys a minute after we rolled back did that."""
    told, theirs = Change(key("cart"), 60_000, "deploy", "rolled back"), Change(key("cart"), 90_000, "deploy", "v3")

    assert of_others([theirs, told], [Done(key("cart"), 58_000, 61_000)]) == (theirs, told)


def test_another_kind_of_change_a_while_after_ours_is_someone_elses():
    """Processes take their time to start, a setting does not: half a minute after a scale-out it is another deed."""
    scaled, rollout = Change(key("cart"), 60_000, "scale", "5 replicas"), Change(key("cart"), 92_000, "rollout", "")
    theirs = Change(key("cart"), 93_000, "config", "reconfigured: retries 9")

    assert of_others([theirs, rollout, scaled], [Done(key("cart"), 58_000, 61_000)]) == (theirs,)


@pytest.mark.parametrize(
    ("operation", "state", "step_state", "is_over"),
    [
        ("flag_off", ActionState.UNVERIFIED, "done", True),
        ("flag_off", ActionState.UNDONE, "undone", False),
        ("flag_off", ActionState.UNVERIFIED, "begun", False),
        ("end_query", ActionState.HELPED, "done", True),
        ("end_query", ActionState.UNVERIFIED, "done", False),
        ("restart", ActionState.HELPED, "done", False),
    ],
)
def test_a_flag_that_is_off_is_over_and_a_migration_once_users_were_well(operation, state, step_state, is_over):
    step = Step(Call("process", operation, key("store")), (), "k", state=step_state, begun_ms=60_000, done_ms=61_000)
    action = Action(
        ActionId("a"), DEFAULT_TENANT, CaseId("case-1"), "p", 1, "", key("store"), "config", Risk.GUARDED,
        Level.ACT, state, {}, (step,), "", Expectation(), "", 0, 0, 0, started_ms=60_000,
    )  # fmt: skip
    changes = [Change(key("store"), 40_000, kind, "47") for kind in ("flag", "migration")]

    assert len(of_others(changes, steps_of(action), "case-2")) == (1 if is_over else 2)


def test_a_step_and_its_undo_are_two_deeds_each_at_its_own_time():
    step = Step(
        Call("process", "scale", key("store")), (), "k", state="undone",
        begun_ms=60_000, done_ms=61_000, undo_ms=300_000, undone_ms=301_000,
    )  # fmt: skip
    action = Action(
        ActionId("a"), DEFAULT_TENANT, CaseId("case-1"), "p", 1, "", key("store"), "capacity", Risk.SAFE,
        Level.ACT, ActionState.UNDONE, {}, (step,), "", Expectation(), "", 0, 0, 0, started_ms=59_000,
    )  # fmt: skip

    assert [(done.begun_ms, done.ended_ms) for done in steps_of(action)] == [(300_000, 301_000), (60_000, 61_000)]


@pytest.mark.parametrize(("kind", "operation"), [("migration", "end_query"), ("flag", "flag_off")])
def test_what_was_ended_for_another_case_is_over_and_a_deploy_stays(kind, operation):
    passing, deploy = Change(key("store"), 40_000, kind, "47"), Change(key("store"), 40_000, "deploy", "v2")
    again = Change(key("store"), 130_000, kind, "47")

    mended = Done(key("store"), 120_000, 121_000, ended="case-1", kinds=ENDED_BY[operation])

    assert of_others([passing, deploy], [mended], "case-2") == (deploy,)
    assert of_others([passing, deploy], [mended], "case-1") == (passing, deploy), "it is what the case is of"
    assert of_others([passing, deploy], [mended], "case-1", mended.begun_ms) == (passing, deploy)
    assert of_others([passing, deploy], [mended], "case-1", 600_000) == (deploy,), "the case has come again since"
    assert of_others([passing, deploy], [replace(mended, ended="")], "case-2") == (passing, deploy)
    assert again in of_others([passing, again], [replace(mended, begun_ms=60_000, ended_ms=61_000)], "case-2")
