"""From a run as it was seen to what counts; where two readings are possible, the one that is worse for the watcher."""

from dataclasses import replace

import pytest

from cerebro.proving.count import counted, felt_by_users, is_felt, quiet_cases, suffered_until, usual_of
from cerebro.proving.faults import fault_of
from cerebro.proving.model import CYCLE, Health, Injection, Look, Operation
from cerebro.proving.record import Blamed, CaseTold, Felt, Record
from cerebro.proving.watch import Act
from cerebro.spine.entities import EntityKey

CART, CATALOGUE = EntityKey("service", "cart"), EntityKey("service", "catalogue")
START, STEP = 1_000_000, 10_000


def injection(kind="crash", length_ms=60_000, **parameters):
    return Injection("one", fault_of(kind), CART, START, START + length_ms, 1, parameters)


def health(error_share=0.0, p95_ms=20.0, count=100):
    return Health(0, 0, count, error_share, 10.0, p95_ms)


def looks(shapes):
    """A look each ten seconds: `b` hurts, `g` does not."""
    of = {"b": health(error_share=0.5), "g": health()}
    return [Look(STEP * k, of[shape]) for k, shape in enumerate(shapes, 1)]


def record(during="bbggggg", after="gg", acts=(), cases=(), **more):
    """A run of looks while the drill had not ended the fault, and of looks after that."""
    seen = looks(during + after)
    felt = Felt(
        tuple(look.end_ms for look in seen),
        tuple(look.health.request_count for look in seen),
        tuple(look.health.error_share for look in seen),
        tuple(look.health.p95_ms for look in seen),
    )
    return Record("1", health(), felt, STEP * len(during), acts=tuple(acts), cases=tuple(cases), **more)


def act(at_ms=9000, name="restart", target=CART, **more):
    return Act(at_ms, Operation(name, target), **more)


def case(number, opened_ms, *causes, named=(), merged_into=""):
    blamed = tuple(Blamed(entity, "code", rank, 0.5) for rank, entity in enumerate(causes, 1))
    return CaseTold(number, opened_ms, blamed, tuple(named), merged_into)


@pytest.mark.parametrize(
    ("now", "felt"),
    [
        (health(), False),
        (health(error_share=0.01), False),  # under the least share that anyone notices
        (health(error_share=0.03), True),
        (health(p95_ms=35.0), False),  # half as slow again, and still quick
        (health(p95_ms=45.0), True),
        (health(count=0), True),  # nobody is served at all
    ],
)
def test_what_users_notice(now, felt):
    assert is_felt(health(), now) is felt


def test_recovered_is_for_good():
    """A short calm between two troubles is no recovery."""
    bad, good = health(error_share=0.5), health()

    def told(*shapes):
        return felt_by_users(health(), [Look(10_000 * k, shape) for k, shape in enumerate(shapes, 1)])

    assert told(good, bad, good, good, bad, good, good) == (20_000, 50_000)
    assert told(good, bad, good) == (20_000, -1)
    assert told(good, good) == (-1, -1)


def test_the_usual_is_the_middle_of_the_later_half():
    looks = [Look(k, health(p95_ms=900.0 if k < 5 else 20.0 + k)) for k in range(10)]

    assert usual_of(looks).p95_ms == 27.0


@pytest.mark.parametrize(
    ("shapes", "until_s"), [("bbgg", 20), ("bbg", -1), ("gggg", -1), ("bggbggg", 40), ("bggb", -1), ("", -1)]
)
def test_users_are_served_as_before_once_a_stretch_ends_with_calm_looks(shapes, until_s):
    """One calm look before the drill ends its fault says nothing: the next could have been bad."""
    assert suffered_until(health(), looks(shapes)) == (until_s * 1000 if until_s > 0 else -1)


def test_a_lull_of_a_trouble_that_comes_and_goes_is_no_end():
    """A watch that ends in a lull has seen nothing mended; one that was calm for a whole turn has."""
    assert suffered_until(health(), looks("bbggbbgg"), cycle_s=40.0) == -1
    assert suffered_until(health(), looks("bbgggggg"), cycle_s=40.0) == 20_000

    lull = record("bbggbbgg", acts=[act(55_000)])
    assert counted(lull, injection()).resolved_unaided
    assert not counted(lull, injection(**{CYCLE: "40"})).resolved_unaided


def test_only_what_came_after_the_start_counts_for_the_fault():
    told = counted(record(cases=[case("a", -1), case("b", 7000), case("c", 9000)]), injection())

    assert (told.case_ms, told.case_count, told.effect_ms) == (7000, 2, 10_000)
    assert (told.cause_rank, told.cause_ms, told.resolved_unaided, told.finding_ms) == (0, -1, False, -1)
    assert quiet_cases(record(cases=[case("a", -1), case("b", 7000)])) == 1


def test_the_cause_is_that_of_the_case_that_was_opened_first():
    """Whoever is called looks at that, not at the best of several."""
    named = ((8000, CATALOGUE.text), (9000, CART.text), (12_000, CATALOGUE.text))
    first = case("a", 7000, CATALOGUE, CART, named=named)
    told = counted(record(cases=[case("b", 8000, CART), first]), injection())

    assert (told.cause_rank, told.cause_ms) == (2, 9000)


def test_a_case_that_became_part_of_another_has_been_seen_and_blames_nobody():
    """The one that it became a part of does."""
    cases = [case("a", 5000, CART, merged_into="b"), case("b", 6000, CATALOGUE, CART)]
    told = counted(record(cases=cases), injection())

    assert (told.case_ms, told.case_count, told.cause_rank) == (5000, 2, 2)


@pytest.mark.parametrize(
    ("kind", "operation", "harmful"),
    [("crash", "restart", 0), ("crash", "rollback", 1), ("nothing", "restart", 1)],
)
def test_an_action_that_does_not_mend_is_harmful(kind, operation, harmful):
    """And against a control, every action is."""
    assert counted(record(acts=[act(name=operation)]), injection(kind)).harmful_count == harmful


@pytest.mark.parametrize(
    ("kind", "operation", "harmful"),
    [
        ("crash", "restart", 1), ("outside_api_slow", "failover", 1), ("bad_config", "restore_config", 1),
        ("traffic_surge", "scale", 1), ("retry_storm", "shed", 0),
    ],
)  # fmt: skip
def test_what_mends_one_is_harmful_done_to_another(kind, operation, harmful):
    """Unless it can help from elsewhere."""
    done = act(name=operation, target=EntityKey("service", "another"))

    assert counted(record(acts=[done]), injection(kind)).harmful_count == harmful


def test_what_follows_elsewhere_is_mended_there():
    """And what helps against the one is harm at the other."""
    disk = Injection("two", fault_of("slow_disk"), CATALOGUE, START + 5, 0, 2)
    both = replace(injection(), followers=(disk,))

    assert counted(record(acts=[act(name="move_disk", target=CATALOGUE)]), both).harmful_count == 0
    assert counted(record(acts=[act(name="move_disk")]), both).harmful_count == 1
    assert counted(record(acts=[act(target=CATALOGUE)]), both).harmful_count == 1


def test_an_action_of_several_calls_is_one():
    """On one ground a restart is a call, on another a call for each replica."""
    acts = [act(-5000, action="a"), act(5000, action="b"), act(6000, action="b"), act(7000)]
    told = counted(record(acts=acts), injection())

    assert (told.action_count, told.harmful_count) == (3, 1)


def test_what_is_done_after_the_drill_has_ended_the_fault_is_harm_once_users_are_well():
    """What was begun while they still suffered is not."""
    late = record("bbbb", "bgggg", acts=[act(85_000)])
    assert counted(late, injection()).harmful_count == 1
    assert counted(replace(late, acts=(act(52_000),)), injection()).harmful_count == 0
    assert counted(record("bbggg", "ggg", acts=[act(45_000)]), injection()).harmful_count == 0


def test_resolved_unaided_needs_an_act_and_a_recovery_before_the_end():
    assert counted(record(acts=[act()]), injection()).resolved_unaided
    assert not counted(record("bbbbbb", "ggg", acts=[act()]), injection()).resolved_unaided  # the drill ended it
    assert not counted(record(), injection()).resolved_unaided  # it passed by itself
    assert not counted(record(acts=[act(25_000)]), injection()).resolved_unaided  # users were well before
    assert counted(record(after="bbb", acts=[act()]), injection()).resolved_unaided  # its own end disturbed them anew


@pytest.mark.parametrize("deed", [act(by="anna"), act(done=False), act(name="rollback"), act(target=CATALOGUE)])
def test_what_others_approved_what_failed_and_what_cannot_help_resolves_nothing(deed):
    assert not counted(record(acts=[deed]), injection()).resolved_unaided


def test_a_fault_that_an_act_has_ended_before_anyone_felt_it_is_resolved_too():
    ended, calm = injection(length_ms=20_000), "gggggg"
    told = counted(record(calm, acts=[act(20_000)]), ended)
    assert (told.resolved_unaided, told.effect_ms) == (True, -1)
    assert not counted(record(calm), ended).resolved_unaided  # it ended by itself
    assert not counted(record(calm, acts=[act(40_000)]), ended).resolved_unaided
    assert not counted(record(calm, acts=[act(20_000)]), injection()).resolved_unaided
