"""Who is blamed, who is not, and what is said of it: on pictures small enough to judge by eye."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.diagnose import NOBODY_KNOWN, diagnose
from cerebro.casework.cause.picture import NOBODY, Picture, Tallies, Times
from cerebro.spine.entities import EntityKey

METRICS = ("duration.mean", "requests", "cpu.utilization")
CHAIN = (("front", "cart"), ("cart", "store"))
OF_CHAIN = [(name, metric) for name in ("front", "cart", "store") for metric in METRICS]
SLOW_CHAIN = (("front", "duration.mean", 30.0, 3), ("cart", "duration.mean", 30.0, 3))


def first(picture):
    return diagnose(picture).causes[0]


def test_a_callee_explains_the_callers_away(draw):
    ill = (*SLOW_CHAIN, ("store", "duration.mean", 30.0, 3))
    told = diagnose(draw(OF_CHAIN, CHAIN, ill=ill))

    assert told.causes[0].entity.name == "store"
    assert {end.entity.name for end in told.dead_ends} == {"front", "cart"}
    assert "which it needs, explains" in told.dead_ends[0].why


def test_the_caller_is_blamed_for_what_no_callee_explains(draw):
    """The store is a little slower too, but far too little to be what the users feel."""
    ill = (*SLOW_CHAIN, ("store", "duration.mean", 2.0, 3))

    assert first(draw(OF_CHAIN, CHAIN, ill=ill, signal="duration.mean")).entity.name == "cart"


def test_the_mean_of_all_routes_is_not_followed_along_calls_where_all_requests_are_told(draw):
    """One of five routes is slow by two seconds and hardly asked: five routes together seem slow by 400 ms."""
    routes = "http.server.request.duration:mean"
    series = [(name, metric) for name in ("front", "cart") for metric in (*METRICS, routes)]
    ill = [(name, "duration.mean", 3.0, 3) for name in ("front", "cart")]
    picture = draw(series, (("front", "cart"),), ill=[*ill, ("front", routes, 400.0, 3), ("cart", routes, 5.0, 3)])

    assert first(picture).entity.name == "cart"


def test_who_is_slower_is_not_blamed_for_failures_made_of_durations(draw):
    """What was noticed is the share of calls that fail, counted from a histogram of how long they take."""
    series = [(name, metric) for name in ("front", "cart", "store") for metric in (*METRICS, "failed.share")]
    ill = [("front", "failed.share", 40.0, 3), ("cart", "failed.share", 70.0, 3), ("store", "duration.mean", 4.0, 3)]
    picture = draw(series, CHAIN, ill=ill, signal="http.server.request.duration:error_ratio")

    told = diagnose(picture)

    assert told.causes[0].entity.name == "cart"
    assert told.causes[0].share > 0.8


def test_what_tells_nothing_of_itself_can_be_blamed(draw):
    calls = (("front", "mail"), ("front", "bill"), ("bill", "silent"), ("mail", "silent"))
    series = [(name, metric) for name in ("front", "mail", "bill") for metric in METRICS]
    ill = [(name, "duration.mean", 30.0, 3) for name in ("front", "mail", "bill")]

    cause = first(draw(series, calls, ill=ill, silent=("silent",)))

    assert cause.entity.name == "silent"
    assert cause.kind == "dependency"
    assert "tells nothing of itself" in cause.explanation


def test_a_late_onset_is_still_an_onset(draw):
    """The trouble shows in the last three of twelve steps only."""
    ill = [(name, "duration.mean", 30.0, 9) for name in ("front", "cart", "store")]

    assert first(draw(OF_CHAIN, CHAIN, ill=ill)).entity.name == "store"


def test_the_latest_deploy_is_no_cause_without_a_clue(draw):
    ill = [(name, "duration.mean", 30.0, 3) for name in ("front", "cart", "store")]
    told = diagnose(draw(OF_CHAIN, CHAIN, ill=ill, changes=[("front", "deploy", 30_000, "release 12")]))

    assert told.causes[0].entity.name == "store"

    decoy = diagnose(draw(OF_CHAIN, CHAIN, ill=ill[2:], changes=[("cart", "deploy", 30_000, "release 12")]))
    assert decoy.causes[0].entity.name == "store"
    assert any("release 12" in end.why for end in decoy.dead_ends)


def test_a_deploy_just_before_names_the_kind_of_what_is_blamed_anyway(draw):
    ill = [(name, "duration.mean", 30.0, 3) for name in ("front", "cart")]
    cause = first(draw(OF_CHAIN, CHAIN, ill=ill, changes=[("cart", "deploy", 120_000, "release 12")]))

    assert (cause.entity.name, cause.kind) == ("cart", "deploy")
    assert "release 12" in cause.explanation


def test_who_fails_less_than_before_is_not_accused_by_that(draw):
    ill = [(name, "duration.mean", 30.0, 3) for name in ("front", "cart")]
    picture = draw([*OF_CHAIN, ("cart", "failed.share")], CHAIN, ill=ill)
    picture.tracks.before[-1] += 28.0

    said = [each.sentence for cause in diagnose(picture).causes for each in cause.evidence]
    assert any("duration.mean" in each for each in said)
    assert not any("failed.share" in each for each in said)


def test_nothing_wrong_is_unknown(draw):
    cause = first(draw(OF_CHAIN, CHAIN))

    assert cause.entity == NOBODY_KNOWN
    assert cause.kind == "unknown"


def test_shares_sum_to_at_most_one_and_ranks_count_up(draw):
    told = diagnose(draw(OF_CHAIN, CHAIN, ill=SLOW_CHAIN))

    assert sum(cause.share for cause in told.causes) <= 1.0 + 1e-9
    assert [cause.rank for cause in told.causes] == list(range(1, len(told.causes) + 1))
    assert any(cause.kind == "unknown" for cause in told.causes)


def test_what_is_missing_is_said(draw):
    gaps = diagnose(draw(OF_CHAIN)).gaps

    assert any("no traces" in gap for gap in gaps)
    assert any("no logs" in gap for gap in gaps)
    assert any("what needs what" in gap for gap in gaps)
    assert diagnose(Picture(())).causes[0].kind == "unknown"


def test_relations_in_a_circle_end(draw):
    circle = (*CHAIN, ("store", "front"), ("store", "store"), ("cart", "front"))
    ill = [(name, "duration.mean", 30.0, 3) for name in ("front", "cart", "store")]

    assert diagnose(draw(OF_CHAIN, circle, ill=ill)).causes


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_none_change_nothing(draw, wild):
    picture = draw(OF_CHAIN, CHAIN, ill=[("store", "cpu.utilization", 30.0, 3)])
    during = picture.tracks.during.copy()
    during[0, :] = wild if not np.isfinite(wild) else during[0, :]
    during[1, 0] = wild
    before = picture.tracks.before.copy()
    before[2, 5] = wild

    told = diagnose(replace(picture, tracks=replace(picture.tracks, during=during, before=before)))

    assert told.causes[0].entity.name == "store"
    assert all(np.isfinite(cause.share) for cause in told.causes)


def test_its_own_time_tells_the_slow_one_from_the_waiting_one(draw):
    picture = draw([("front", "requests"), ("cart", "requests")], CHAIN, alarmed=("front",))
    place = {entity.name: k for k, entity in enumerate(picture.entities)}
    entity = np.array([place["front"], place["cart"], place["store"]], np.int32)
    ones, nobody = np.ones(3), np.full(3, NOBODY, np.int32)
    times = Times(
        entity, nobody, ("GET /", "POST /cart", "SELECT"), ones, 0.3 * ones, 100 * ones,
        np.array([1.02, 3.5, 1.0]), 0.3 * ones, 100 * ones,
    )  # fmt: skip

    cause = first(replace(picture, times=times))

    assert cause.entity.name == "cart"
    assert "“POST /cart” in service/cart took longer by itself" in cause.explanation


def test_a_new_line_of_a_callee_outweighs_the_callers_echo(draw):
    picture = draw([("front", "requests"), ("cart", "requests")], CHAIN)
    place = {entity.name: k for k, entity in enumerate(picture.entities)}
    owner = np.array([place["front"], place["cart"]], np.int32)
    tallies = Tallies(
        owner, np.full(2, NOBODY, np.int32), ("log", "log"), ("cart answered *", "cannot open * index"),
        np.full(2, 17, np.int8), np.zeros(2), np.full(2, 5000.0), np.array([90.0, 100.0]), np.full(2, 1000.0),
    )  # fmt: skip

    cause = first(replace(picture, tallies=tallies))

    assert cause.entity == EntityKey("service", "cart")
    assert cause.kind == "code"
    assert "cannot open" in cause.explanation


def test_what_was_rolled_back_is_no_reason_nor_is_the_rollback(draw):
    series = [("front", "duration.mean"), ("cart", "process.cpu.utilization"), ("cart", "duration.mean")]
    ill = (("front", "duration.mean", 30.0, 2), ("cart", "duration.mean", 30.0, 2))
    ill += (("cart", "process.cpu.utilization", 30.0, 2),)
    deployed = ("cart", "deploy", 120_000, "cart 1.5 deployed")
    back = ("cart", "deploy", 60_000, "cart rolled back to 1.4")

    one = diagnose(draw(series, (("front", "cart"),), ill=ill, changes=(deployed,))).causes[0]
    other = diagnose(draw(series, (("front", "cart"),), ill=ill, changes=(deployed, back))).causes[0]

    assert (one.entity.name, one.kind) == ("cart", "deploy")
    assert (other.entity.name, other.kind) == ("cart", "resource")


@pytest.mark.parametrize(("locks", "blamed"), [(40.0, "store"), (0.0, "cart")])
def test_who_fails_by_itself_while_a_store_that_fails_it_is_locked_is_not_to_blame(draw, locks, blamed):
    """Its requests wait for a connection that is held by those that wait for the lock, and never come to ask."""
    series = [(name, "duration.mean") for name in ("front", "cart", "store")]
    series += [("cart", "own.mean"), ("store", "postgresql.database.locks")]
    ill = (*SLOW_CHAIN, ("cart", "own.mean", 30.0, 3), ("store", "postgresql.database.locks", locks, 3))
    picture = draw(series, (*CHAIN, ("bill", "store"), ("mail", "store")), ill=ill)
    names = [key.name for key in picture.entities]
    said = (
        ("cart", "", "error", "GET /", 450.0), ("cart", "", "log", "no connection in time", 400.0),
        ("front", "cart", "blames", "late", 450.0), ("cart", "store", "call", "calls", 15.0),
        ("bill", "store", "call", "calls", 0.0), ("mail", "store", "call", "calls", 0.0),
    )  # fmt: skip
    speakers, peers, kinds, texts, hits = zip(*said, strict=True)
    tallies = Tallies(
        np.array([names.index(name) for name in speakers], np.int32),
        np.array([names.index(name) if name else NOBODY for name in peers], np.int32),
        kinds, texts, np.full(6, 17, np.int8), np.zeros(6), np.full(6, 500.0), np.array(hits), np.full(6, 500.0),
    )  # fmt: skip

    assert first(replace(picture, tallies=tallies)).entity.name == blamed
