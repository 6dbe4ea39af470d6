"""Calls that fail or wait by their caller's own doing tell nothing of the callee."""

import numpy as np
import pytest

from cerebro.casework.cause.answers import FAILED, TURNED_AWAY, read
from cerebro.casework.cause.grid import falls
from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.casework.cause.homemade import CROWDED, GIVEN_UP
from cerebro.spine.entities import EntityKey

SHOP, STORE = EntityKey("service", "shop"), EntityKey("service", "store")
STEPS, SPLIT = 60, 40
TO_STORE = {"server.address": "store"}


def after(then, now):
    return np.where(np.arange(STEPS) < SPLIT, then, now)


def held(*, called_s, answered_s, failing, failing_there=0.0, arriving=100.0, pool=0.1, round_trip_s=0.001):
    """A shop that asks its store 100 times a step; what is given holds from the trouble on."""
    asked, came = np.full(STEPS, 100.0), after(100.0, arriving)
    rows = [
        (SHOP, "http.client.request.duration_count", TO_STORE, asked.cumsum()),
        (SHOP, "http.client.request.duration_sum", TO_STORE, (asked * after(0.01, called_s)).cumsum()),
        (SHOP, "http.client.request.failed", TO_STORE, (asked * after(0.0, failing)).cumsum()),
        (STORE, "db.server.operation.duration_count", {}, came.cumsum()),
        (STORE, "db.server.operation.duration_sum", {}, (came * after(0.01, answered_s)).cumsum()),
        (STORE, "db.server.operation.duration_count", {"error.type": "x"}, (came * after(0.0, failing_there)).cumsum()),
        (SHOP, "db.client.connection.count:limit_ratio", {}, after(0.1, pool)),
        (SHOP, "container_net_latency_seconds", {"destination": "store"}, after(0.001, round_trip_s)),
    ]
    kinds = ["counter"] * 6 + ["gauge"] * 2
    series = [Series(e, m, labels, kind) for (e, m, labels, _), kind in zip(rows, kinds, strict=True)]
    values = np.stack([row[3] for row in rows])
    return Held(Grid(0, 15_000, STEPS, SPLIT), series, values, values)


def said(**what):
    lines, _ = read(held(**what), {"store": STORE, "shop": SHOP})
    own = {line.signal for line in lines if line.peer == STORE and line.signal in (GIVEN_UP, CROWDED)}
    failed = next(line.values[-1] for line in lines if line.entity == STORE and line.signal == FAILED)
    return own, failed


def test_who_gives_up_sooner_than_ever_what_is_answered_as_ever_has_itself_to_blame():
    own, failed = said(called_s=0.008, answered_s=0.01, failing=0.4)
    assert own == {GIVEN_UP}
    assert failed == 0.0  # the store's own word counts


def test_who_waits_for_a_connection_of_its_own_does_not_wait_for_the_store():
    assert said(called_s=1.0, answered_s=0.01, failing=0.5, arriving=20.0, pool=0.98)[0] == {CROWDED}


@pytest.mark.parametrize(
    "trouble",
    [
        {"called_s": 0.5, "answered_s": 0.5, "failing": 0.4},  # the store is slow
        {"called_s": 0.5, "answered_s": 0.01, "failing": 0.4},  # the way is
        {"called_s": 0.001, "answered_s": 0.01, "failing": 0.9, "arriving": 10.0},  # refused: hardly any arrives
        {"called_s": 0.01, "answered_s": 0.01, "failing": 0.4, "failing_there": 0.4},  # the store fails
        {"called_s": 1.0, "answered_s": 0.01, "failing": 0.5, "pool": 0.98, "round_trip_s": 0.5},  # far, so held long
    ],
)
def test_other_troubles_are_the_callees(trouble):
    own, failed = said(**trouble)
    assert own == set()
    assert failed > 0


@pytest.mark.parametrize(
    ("called_s", "answered_s", "between_s"),
    [
        (2.3, 2.0, 0.0),  # ended for the store in the step before: a part of what it takes longer lies nowhere
        (3.0, 2.0, 0.5),
        (0.21, 0.01, 0.2),  # it answers as soon as ever: all of it is the way
    ],
)
def test_of_what_answers_take_longer_a_part_may_only_seem_to_lie_on_the_way(called_s, answered_s, between_s):
    lines, _ = read(held(called_s=called_s, answered_s=answered_s, failing=0.0), {"store": STORE, "shop": SHOP})
    way = next(line.values for line in lines if line.signal == "wire.mean")

    assert way[-1] == pytest.approx(between_s, abs=0.01)


@pytest.mark.parametrize("signal", [GIVEN_UP, CROWDED])
def test_more_of_it_is_worse(signal):
    """Words such as "up" say of a share that less of it is."""
    assert not falls(signal)


def test_what_is_told_as_endless_is_not_told():
    values = np.stack([np.where(np.arange(STEPS) == SPLIT, np.inf, 1.0)])
    lines, _ = read(Held(Grid(0, 15_000, STEPS, SPLIT), [Series(SHOP, "load", {}, "gauge")], values, values), {})

    assert np.flatnonzero(~np.isfinite(lines[0].values)).tolist() == [SPLIT]
    assert np.isnan(lines[0].values[SPLIT])


def test_what_a_callee_refuses_as_too_much_is_a_share_of_what_it_is_asked():
    asked, refused = after(100.0, 60.0).cumsum(), after(0.0, 40.0).cumsum()
    series = [
        Series(SHOP, "http.client.request.duration_count", TO_STORE, "counter"),
        Series(SHOP, "http.client.request.duration_count", {**TO_STORE, "http.response.status_code": "429"}, "counter"),
    ]
    lines, _ = read(
        Held(Grid(0, 15_000, STEPS, SPLIT), series, np.stack([asked, refused]), np.stack([asked, refused])),
        {"store": STORE},
    )

    share = next(line for line in lines if line.signal == TURNED_AWAY)
    assert (share.entity, share.values[SPLIT - 1], share.values[-1]) == (STORE, 0.0, pytest.approx(40.0))
