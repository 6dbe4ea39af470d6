"""What may be done now: each row of a table is one bound, and what lifts it."""

from dataclasses import replace

import pytest

from cerebro.casework.hands.felt import Felt, feels_bad, is_failed, is_worse, shape_of
from cerebro.casework.hands.policy import Bar, Bounds, Recent, bars, bound_now, level_of
from cerebro.casework.hands.propose import asked_more, overloaded
from cerebro.casework.hands.rank import (
    Picture,
    doubt_of,
    fit,
    is_answer,
    is_hasty,
    is_trusted,
    known,
    moved_level,
    ranked,
)
from cerebro.casework.hands.store import Past, Policy, Rule
from cerebro.casework.playbooks.read import shipped
from cerebro.kernel.settings import HandsSettings
from cerebro.spine.actions import Level, Risk
from cerebro.spine.cases import Case, CaseState, Cause, Mark
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity

NOON = 1_700_049_600_000  # a Wednesday, 12:00 UTC
CART, DESK = EntityKey("service", "cart"), EntityKey("service", "desk")
BOUNDS = Bounds.of(HandsSettings(entity_per_hour_max=2, tenant_per_hour_max=3, under_way_max=2))
MINUTE = 60_000


def past(minutes, target=CART, playbook="other", *, under_way=False):
    return Recent(playbook, target, NOON - minutes * MINUTE, under_way)


@pytest.mark.parametrize(
    ("policy", "recent", "by_person", "expected"),
    [
        (Policy(stopped=True), [], True, Bar.STOPPED),
        (Policy(frozen=True), [], False, Bar.FROZEN),
        (Policy(frozen=True), [], True, None),
        (Policy(), [past(5, under_way=True)], True, Bar.BUSY),
        (Policy(), [past(5, DESK, under_way=True)], False, None),
        (Policy(), [past(5, playbook="scale-out")], False, Bar.COOLING),
        (Policy(), [past(5, playbook="scale-out")], True, None),
        (Policy(), [past(20, playbook="scale-out")], False, None),
        (Policy(), [past(5), past(6)], True, Bar.ENTITY_BUDGET),
        (Policy(), [past(61), past(62)], False, None),
        (Policy(), [past(n, EntityKey("service", f"s{n}")) for n in (5, 6, 7)], True, Bar.TENANT_BUDGET),
        (Policy(), [past(5, DESK, under_way=True), past(90, EntityKey("host", "h"), under_way=True)], False,
         Bar.TOO_MANY),
    ],
)  # fmt: skip
def test_what_keeps_an_action_from_being_begun(policy, recent, by_person, expected):
    found = bars(
        playbook="scale-out", cool_down_s=600, target=CART, policy=policy, recent=recent, bounds=BOUNDS, now_ms=NOON,
        by_person=by_person,
    )  # fmt: skip

    assert found == (() if expected is None else (expected,))


@pytest.mark.parametrize(
    ("risk", "change", "expected"),
    [
        (Risk.SAFE, {}, Level.ACT),
        (Risk.GUARDED, {}, Level.ASK),
        (Risk.DANGEROUS, {}, Level.SUGGEST),
        (Risk.GUARDED, {"door": Level.ACT}, Level.ACT),
        (Risk.DANGEROUS, {"door": Level.ACT, "level_max": Level.ASK}, Level.ASK),
        (Risk.GUARDED, {"policy": Policy(levels={"p": Level.SUGGEST}), "door": Level.ACT}, Level.SUGGEST),
        (Risk.SAFE, {"share": 1.0}, Level.ASK),
        (Risk.SAFE, {"policy": Policy(rules=(Rule(target="service/*", level_max=Level.SUGGEST),))}, Level.SUGGEST),
        (Risk.SAFE, {"policy": Policy(rules=(Rule(target="host/*"),))}, Level.ACT),
        (Risk.SAFE, {"policy": Policy(rules=(Rule(weekdays=(2,), from_hour=8, to_hour=18),))}, Level.ASK),
        (Risk.SAFE, {"policy": Policy(rules=(Rule(weekdays=(3,)),))}, Level.ACT),
        (Risk.SAFE, {"policy": Policy(rules=(Rule(from_hour=18, to_hour=8),))}, Level.ACT),
        (Risk.SAFE, {"policy": Policy(rules=(Rule(from_hour=11, to_hour=3),))}, Level.ASK),
    ],
)
def test_what_is_done_unasked(risk, change, expected):
    given = {
        "level_max": Level.ACT, "target": CART, "policy": Policy(), "door": None, "share": 0.0, "bounds": BOUNDS,
        "now_ms": NOON,
    } | change  # fmt: skip

    level, why = level_of(playbook="p", risk=risk, **given)

    assert level is expected, why


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), ""),
        ((Rule(level_max=Level.ACT),), ""),
        ((Rule(from_hour=18, to_hour=8, level_max=Level.SUGGEST),), ""),
        ((Rule(playbook="k8s-*", level_max=Level.SUGGEST),), ""),
        ((Rule(target="service/*", level_max=Level.ASK),), "service/*: ask"),
        ((Rule(), Rule(target="host/*", level_max=Level.SUGGEST, why="nights")), "host/*: suggest (nights)"),
        ((Rule(target="host/*", level_max=Level.SUGGEST), Rule()), "host/*: suggest"),
        ((Rule(why="always"), Rule(target="host/*")), "*: ask (always)"),
    ],
)
def test_the_lowest_of_the_rules_that_hold_now_is_told(rules, expected):
    assert bound_now(Policy(rules=rules), "p", Level.ACT, NOON) == expected


GOOD = Felt(1000, 0, 50)


@pytest.mark.parametrize(
    ("now", "bad", "worse", "shape"),
    [
        (Felt(1000, 0, 55), False, False, "calm"),
        (Felt(1000, 10, 50), False, False, "calm"),
        (Felt(30, 1, 1.5), False, False, "calm"),  # one alone may be chance, be it one of ten
        (Felt(8, 1, 0.4), False, False, "calm"),
        (Felt(8, 2, 0.4), True, True, "fast_errors"),
        (Felt(1000, 300, 40), True, True, "fast_errors"),
        (Felt(1000, 0, 500), True, True, "slow"),
        (Felt(1000, 300, 500), True, True, "slow_errors"),
        (Felt(1000, 990, 5000), True, True, "lost"),
        (Felt(0, 0, 0), True, True, "calm"),
        (Felt(3, 3, 9), False, False, "lost"),
    ],
)
def test_what_users_feel(now, bad, worse, shape):
    assert feels_bad(GOOD, now) is bad
    assert is_worse(GOOD, now) is worse
    assert shape_of(CART, {CART.text: GOOD}, {CART.text: now}) == shape


def test_a_request_that_was_the_callers_own_fault_does_not_count():
    assert is_failed({"error.type": "500", "http.response.status_code": "500"})
    assert is_failed({"status": "503"})
    assert not is_failed({"error.type": "404", "http.response.status_code": "404"})
    assert not is_failed({"http.response.status_code": "401"})
    assert is_failed({"http.response.status_code": "401"}, asked=True)
    assert not is_failed({"http.response.status_code": "200"})


def picture(kind="resource", nature="service", words="", **more):
    return Picture(Cause(CART, kind, 0.9, 1, ""), nature, words, **more)


def test_words_of_telemetry_make_nothing_apply_by_themselves():
    """However loudly a log line asks for it: kind of cause and nature of the thing decide."""
    shout = "flag feature restart purge drain failover rollback disk certificate password index rm -rf / ${target}"
    for each in shipped().values():
        if "code" not in each.trigger.causes:
            assert fit(each, picture("code", words=shout))[0] == 0.0
        assert fit(each, picture(nature="printer", words=shout))[0] == 0.0


def test_probes_and_shapes_must_hold():
    disk, restart = shipped()["free-disk"], shipped()["restart-service"]
    full = {"system.filesystem.utilization": 0.97}

    assert not fit(disk, picture(nature="database"))[0]
    assert not fit(disk, picture(nature="database", gauges={"system.filesystem.utilization": 0.5}))[0]
    assert fit(disk, picture(nature="database", gauges=full))[0]
    assert fit(restart, picture(shape="slow"))[0]
    assert not fit(restart, picture(shape="fast_errors"))[0]


@pytest.mark.parametrize(
    ("share", "marks", "theirs", "failed", "certain"),
    [
        (0.6, (), (), False, False),  # of two of whom either may be it, nobody is done anything to unasked
        (0.7, (), (), False, True),
        (0.5, ("crashed",), (), False, True),  # what is wrong with it is named, and nothing of the other
        (0.5, ("crashed",), ("crashed",), False, False),
        (0.5, ("crashed",), ("locked",), False, False),
        (0.5, ("crashed",), ("surged",), False, True),  # who is only asked more is no rival
        (0.5, ("busy",), (), False, False),  # any trouble looks like that, and the playbook is for something else
        (0.8, ("crashed",), (), True, False),  # one guess that did not help is enough
        (0.95, (), (), True, True),
    ],
)
def test_a_guess_at_who_it_is_is_left_to_people(share, marks, theirs, failed, certain):
    mine = Cause(CART, "code", share, 1, "", marks=tuple(Mark(word, 9.0) for word in marks))
    other = Cause(DESK, "code", 0.3 if share > 0.6 else 0.4, 2, "", marks=tuple(Mark(word, 9.0) for word in theirs))
    causes = (mine, other) if share < 0.9 else (mine,)
    playbook = shipped()["restart-service" if marks else "scale-out"]

    assert (doubt_of(playbook, mine, causes, failed=failed) == "") is certain


def test_what_the_evidence_names_outright_is_tried_after_something_that_did_not_help():
    mine = Cause(CART, "network", 0.6, 1, "", marks=(Mark("losing", 9.0),))
    assert doubt_of(shipped()["reroute"], mine, (mine,), failed=True) == ""


def test_what_cannot_be_taken_back_is_asked_for_without_a_word_that_it_is_for():
    restart, scale = shipped()["restart-service"], shipped()["scale-out"]
    nothing = Cause(CART, "code", 0.9, 1, "")
    stuck = replace(nothing, marks=(Mark("stuck", 5.0),))

    assert "says nothing" in doubt_of(restart, nothing, (nothing,), failed=False)
    assert "says nothing" in doubt_of(shipped()["create-index"], nothing, (nothing,), failed=False)
    assert doubt_of(restart, stuck, (stuck,), failed=False) == ""
    assert doubt_of(scale, nothing, (nothing,), failed=False) == ""  # it is a small thing, and can be taken back


@pytest.mark.parametrize(
    ("playbook", "word", "nats", "claimed", "hasty"),
    [
        ("restart-service", "busy_cpu", 9.0, False, True),  # of a job that runs into the next that is told first, too
        ("restart-service", "crashed", 9.0, False, True),
        ("restart-service", "stuck", 9.0, False, True),  # whose database is locked is stuck, too
        ("restart-service", "filling", 9.0, False, False),
        ("restart-service", "filling", 3.0, False, True),  # barely beyond its bound
        ("restart-worker", "undrained", 9.0, False, True),
        ("stop-job", "overlap", 9.0, False, False),
        ("stop-job", "overlap", 9.0, True, True),  # lines alone name nothing
        ("end-long-queries", "locked", 9.0, False, False),
        ("set-clock", "busy_cpu", 9.0, False, False),  # a small thing
        ("scale-out", "busy_cpu", 9.0, False, False),  # it can be taken back
    ],
)
def test_what_cannot_be_taken_back_waits_for_a_word_that_names_the_trouble(playbook, word, nats, claimed, hasty):
    mine = Cause(CART, "code", 0.99, 1, "", marks=(Mark(word, nats, claimed=claimed),))

    assert is_hasty(shipped()[playbook], mine) is hasty


@pytest.mark.parametrize(
    ("word", "nats", "share", "theirs", "certain"),
    [
        ("crashed", 9.0, 0.9, ("refused",), True),
        ("held_pool", 9.0, 0.9, ("refused",), False),  # who waits for another holds its connections, too
        ("starved", 20.0, 0.9, ("refused",), False),
        ("starved", 20.0, 0.9, ("busy",), True),
        ("crashed", 3.0, 0.9, ("refused",), False),  # barely beyond its bound
        ("starved", 20.0, 0.97, ("refused",), True),  # of whom hardly anything speaks, that is no rival
        ("starved", 20.0, 0.97, ("locked",), False),  # unless a word names it that nothing else brings about
        ("starved", 20.0, 0.99, ("locked",), True),
        ("crashed", 9.0, 0.97, ("locked",), True),
    ],
)
def test_who_is_named_less_well_than_another_is_left_alone(word, nats, share, theirs, certain):
    mine = Cause(CART, "code", share, 1, "", marks=(Mark(word, nats),))
    other = Cause(DESK, "code", 1.0 - share, 2, "", marks=tuple(Mark(each, 9.0) for each in theirs))

    assert (doubt_of(shipped()["restart-service"], mine, (mine, other), failed=False) == "") is certain


def test_what_did_not_help_is_not_followed_by_something_for_what_any_trouble_looks_like():
    mine = Cause(CART, "code", 0.99, 1, "", marks=(Mark("starved", 20.0),))

    assert doubt_of(shipped()["restart-service"], mine, (mine,), failed=False) == ""
    assert "did not help" in doubt_of(shipped()["restart-service"], mine, (mine,), failed=True)


def test_more_is_asked_of_who_is_surged_and_has_part_of_the_blame():
    surged = Cause(CART, "resource", 0.3, 2, "", marks=(Mark("surged", 9.0),))
    ill = Cause(DESK, "resource", 0.6, 1, "", marks=(Mark("stuck", 9.0),))

    assert asked_more((ill, surged), 0.05) == {CART}
    assert asked_more((ill, surged), 0.5) == frozenset()


def test_what_another_case_finds_overloaded_is_not_broken_in_this_one():
    def of(kind, share):
        causes = (Cause(CART, kind, share, 1, ""), Cause(DESK, "capacity", 0.2, 2, ""))
        return Case("c", "default", CaseState.OPEN, Severity.MAJOR, "slow", NOON, NOON, (CART,), (), causes=causes)

    assert overloaded([of("capacity", 0.8)]) == {CART}
    assert overloaded([of("capacity", 0.4), of("resource", 0.9)]) == frozenset()


def test_what_helped_goes_first_and_what_never_helps_is_left_to_people(clock):
    pasts = [Past("restart-service", "resource", not_helped=20), Past("raise-pool", "resource", helped=20)]
    pool = Picture(Cause(CART, "resource", 0.9, 1, "", marks=(Mark("held_pool", 9.0),)), "service", "")

    choices = ranked(shipped().values(), pool, pasts, clock.chance)

    doubts = {each.playbook.name: each.doubt for each in choices}
    assert choices[0].playbook.name == "raise-pool"
    assert not doubts["raise-pool"]
    assert "record" in doubts["restart-service"]
    assert not is_trusted(*known("restart-service", "resource", pasts))
    assert not is_trusted(*known("restart-service", "resource", [Past("restart-service", "resource", not_helped=4)]))
    assert is_trusted(*known("scale-out", "resource", pasts))


def test_what_mends_something_else_than_the_evidence_names_first_is_asked_for_and_says_so(clock):
    of_a_name = picture()
    of_a_name = replace(
        of_a_name, cause=replace(of_a_name.cause, marks=(Mark("unresolved", 9.0), Mark("busy_cpu", 9.0)))
    )

    choices = ranked(shipped().values(), of_a_name, [], clock.chance)

    doubts = {each.playbook.name: each.doubt for each in choices}
    assert doubts["restart-service"] == "it does not mend what the evidence names first"


@pytest.mark.parametrize("claimed", [True, False])
def test_text_alone_has_nothing_done_unasked(claimed):
    """A mark that only lines give is as good as none: it neither chooses unasked nor keeps what is measured from it."""
    cause = Cause(CART, "resource", 0.95, 1, "", marks=(Mark("poison", 9.0, claimed=claimed), Mark("stuck", 9.0)))

    skips, restarts = shipped()["skip-poison-message"], shipped()["restart-service"]

    assert doubt_of(skips, cause, [cause], failed=False).startswith("only lines say so") is claimed
    assert not doubt_of(restarts, cause, [cause], failed=False)
    assert is_answer(restarts, cause)


@pytest.mark.parametrize(
    ("level", "past", "harmed", "expected"),
    [
        (Level.ASK, Past("p", "", helped=8, since_moved=8), False, Level.ACT),
        (Level.ASK, Past("p", "", helped=4, since_moved=4), False, Level.ASK),
        (Level.ASK, Past("p", "", helped=8, not_helped=6, since_moved=14), False, Level.ASK),
        (Level.ASK, Past("p", "", helped=30, harmful=1, since_moved=30), False, Level.ASK),
        (Level.ACT, Past("p", "", helped=30, since_moved=30), False, Level.ACT),  # its own `level_max`
        (Level.ACT, Past("p", "", helped=30, harmful=1), True, Level.ASK),
        (Level.ASK, Past("p", ""), True, Level.SUGGEST),
    ],
)
def test_autonomy_is_earned_and_lost(level, past, harmed, expected):
    assert moved_level(shipped()["scale-out"], level, past, harmed=harmed) is expected
