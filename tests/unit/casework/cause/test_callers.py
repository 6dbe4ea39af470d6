"""Whom callers accuse: what is seen faintly beside something that shouts is its echo."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause.answers import CEASED, DURATION, FAILED, REQUESTS, SILENT, STUCK, UNEVEN, read
from cerebro.casework.cause.callers import wire_of
from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.casework.cause.homemade import GIVEN_UP
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import EVENT_SCHEMA

FRONT, DEAD, OTHER = 0, 1, 2


def clues_of(*rows):
    """Rows of (entity, peer, family, nats, change, text)."""
    entity, peer, family, nats, change, text = zip(*rows, strict=True)
    none = np.zeros(len(rows))
    return Clues(
        np.array(entity, np.int32), np.array(peer, np.int32), np.array(family, np.int8), np.array(nats, float),
        np.ones(len(rows)), np.array(change, float), none, none, none, text, ("tallies",) * len(rows),
        np.arange(len(rows)),
    )  # fmt: skip


def test_a_dead_callee_is_accused_and_not_its_caller_though_another_way_is_a_little_longer():
    wire = wire_of(
        clues_of((FRONT, DEAD, Family.WIRE, 80.0, 0.5, "calls"), (FRONT, OTHER, Family.WIRE, 2.5, 0.1, "GET other")), 3
    )
    assert wire[DEAD] > 3 * max(wire[FRONT], wire[OTHER])


def test_a_caller_all_of_whose_calls_fail_alike_is_accused_itself():
    wire = wire_of(
        clues_of((FRONT, DEAD, Family.WIRE, 30.0, 0.5, "calls"), (FRONT, OTHER, Family.WIRE, 30.0, 0.5, "calls")), 3
    )
    assert wire[FRONT] > max(wire[DEAD], wire[OTHER])


@pytest.mark.parametrize(("slower_s", "counts"), [(0.0005, True), (1.0, False)])
def test_a_way_counts_by_how_much_of_its_callers_excess_it_is(slower_s, counts):
    rows = (FRONT, DEAD, Family.LATENCY, 6.0, 0.001, "wire.mean"), (FRONT, -1, Family.LATENCY, 9.0, slower_s, DURATION)
    assert (wire_of(clues_of(*rows), 3)[DEAD] > 3.0) == counts


@pytest.mark.parametrize(("word", "blamed"), [("unresolved", True), ("late", False)])
def test_who_says_that_its_calls_never_came_has_not_given_them_up(word, blamed):
    given_up = (FRONT, DEAD, Family.ERRORS, 9.0, 80.0, GIVEN_UP)
    said = (FRONT, DEAD, Family.WIRE, 9.0, 0.5, word)

    assert bool(wire_of(clues_of(given_up, said), 3)[DEAD] > 3.0) is blamed


def test_a_replica_that_tells_nothing_any_more_is_counted_silent():
    shop = EntityKey("service", "shop")
    values = np.ones((2, 60))
    values[1, 50:] = np.nan
    series = [Series(shop, "process.memory.usage", {"service.instance.id": str(n)}, "gauge") for n in range(2)]
    lines, _ = read(Held(Grid(0, 15_000, 60, 40), series, values, values), {})
    silent = next(line.values for line in lines if line.signal == SILENT)

    assert silent[:50].max() == 0
    assert silent[55] == 1


def silent_of(*spans, event="", at=0):
    """How many replicas count as silent, by step: each tells from one step until before another.

    Args:
        event: What someone did to their service, and `at` which step.
    """
    shop = EntityKey("service", "shop")
    values = np.full((len(spans), 80), np.nan)
    for row, (first, until) in enumerate(spans):
        values[row, first:until] = 1.0
    series = [Series(shop, "process.memory.usage", {"k8s.pod.name": str(row)}, "gauge") for row in range(len(spans))]
    done = {"at_ns": at * 15_000_000_000, "kind": event, "entity_kind": "service", "entity_name": "shop"}
    events = pa.Table.from_pylist(
        [{name: done.get(name, "") for name in EVENT_SCHEMA.names}] * bool(event), schema=EVENT_SCHEMA
    )
    lines, _ = read(Held(Grid(0, 15_000, 80, 40), series, values, values, events=events), {})
    return next(line.values for line in lines if line.signal == SILENT)


def test_replicas_whose_place_others_have_taken_are_not_silent():
    old, late = [(0, 50), (0, 52), (0, 54)], (48, 80)

    assert silent_of(*old, late, (51, 80), (56, 80)).max() == 0.0
    assert silent_of(*old, late, (51, 80)).max() == 1.0
    assert silent_of(*old[:2], (0, 80), late, (51, 53)).max() == 1.0  # one of the new ones has ceased itself
    assert silent_of(*old[:1], (0, 80), (30, 80))[55] == 1.0  # that one was there long before


@pytest.mark.parametrize(
    ("event", "at", "silent"),
    [
        ("", 0, {51: 1.0, 54: 1.0, 60: 1.0}),
        ("scale", 48, {51: 0.0, 54: 0.0, 60: 0.0}),
        ("restart", 48, {51: 0.0, 53: 0.0, 54: 1.0}),  # it does not come back
        ("deploy", 30, {51: 1.0}),
        ("config", 48, {51: 1.0}),
    ],
)
def test_who_was_taken_away_on_purpose_is_not_silent(event, at, silent):
    found = silent_of((0, 50), (0, 80), (0, 80), event=event, at=at)

    assert {step: found[step] for step in silent} == silent


def test_all_of_them_are_silent_whatever_was_done():
    assert silent_of((0, 50), (0, 50), event="scale", at=49)[[54, 79]].tolist() == [2.0, 2.0]


FRONT_DOOR = EntityKey("service", "front")
SHOP, ASKED, WORKED = EntityKey("service", "shop"), "http.server.request.duration_count", "http.server.active_requests"
CALLED = "http.client.request.duration_count"


def replicas(asked, held, waiting=()):
    """What is told of two replicas: how much each is asked a second, works on, and lets wait for its turn."""
    steps = np.arange(60) * 15.0
    rows = [(ASKED, "counter", code, n, steps * rate / 2) for code in ("200", "404") for n, rate in enumerate(asked)]
    rows += [(WORKED, "gauge", "", n, np.full(60, float(count))) for n, count in enumerate(held)]
    rows += [("http.server.waiting_requests", "gauge", "", n, np.full(60, float(c))) for n, c in enumerate(waiting)]
    series = [
        Series(SHOP, metric, {"service.instance.id": str(n), "http.response.status_code": code}, kind)
        for metric, kind, code, n, _ in rows
    ]
    values = np.stack([row for *_, row in rows])
    lines, _ = read(Held(Grid(0, 15_000, 60, 40), series, values, values), {})
    return {line.signal: float(line.values[50]) for line in lines if line.entity == SHOP}


def test_the_busiest_replica_is_the_one_that_is_asked_and_works_most():
    assert replicas((20.0, 2.0), (30.0, 1.0))[UNEVEN] > 0.9


@pytest.mark.parametrize(
    ("asked", "waiting", "uneven"),
    [
        ((20.0, 0.4), (9, 0), True),  # it works one request at a time, and the rest of the work waits before it
        ((10.0, 10.0), (9, 8), False),  # both wait for another: neither has the other's work
        ((20.0, 0.4), (0, 0), False),  # so few tell nothing
    ],
)
def test_what_waits_for_its_turn_is_held_by_the_replica_that_it_came_to(asked, waiting, uneven):
    found = replicas(asked, (1.0, 0.0) if asked[1] < 1.0 else (1.0, 1.0), waiting)

    assert bool(found[UNEVEN] >= 0.86) is uneven


def test_a_replica_that_hangs_holds_what_it_was_given_and_others_answer_the_rest():
    found = replicas((0.0, 20.0), (40.0, 1.0))

    assert found[UNEVEN] < 0.1
    assert found[STUCK] == 0.5


@pytest.mark.parametrize(
    ("labels", "failing"),
    [
        ({"rpc.grpc.status_code": "14"}, 50.0),
        ({"grpc_code": "DeadlineExceeded"}, 50.0),
        ({"grpc_response_status": "0"}, 0.0),
        ({"rpc.grpc.status_code": "5"}, 0.0),  # not found, as 404 is
        ({"response_code": "503"}, 50.0),
        ({"response_code": "200"}, 0.0),
    ],
)
def test_calls_fail_by_the_codes_of_grpc_and_of_a_mesh_too(labels, failing):
    steps = np.arange(60) * 15.0
    series = [Series(FRONT_DOOR, CALLED, {"server.address": "shop", **each}, "counter") for each in ({}, labels)]
    values = np.stack([steps * 8.0, np.where(steps < 600.0, 0.0, steps - 600.0) * 8.0])

    lines, calls = read(Held(Grid(0, 15_000, 60, 40), series, values, values), {"shop": SHOP})

    assert [line.values[-1] for line in lines if line.signal == FAILED] == ([failing] if failing else [])
    assert calls[FRONT_DOOR, SHOP].failing is bool(failing)


def test_of_several_disks_the_fullest_speaks():
    disks = [Series(SHOP, "system.filesystem.utilization", {"mountpoint": at}, "gauge") for at in ("/", "/data")]
    values = np.stack([np.full(60, 0.2), np.full(60, 0.98)])

    lines, _ = read(Held(Grid(0, 15_000, 60, 40), disks, values, values), {})

    assert [line.values[-1] for line in lines] == [0.98]


def test_who_tells_nothing_any_more_while_all_it_calls_have_nothing_to_do_is_gone():
    steps = np.arange(60) * 15.0
    series = [
        Series(FRONT_DOOR, "http.server.active_requests", {"service.instance.id": "1"}, "gauge"),
        Series(FRONT_DOOR, CALLED, {"server.address": "shop"}, "counter"),
        Series(SHOP, ASKED, {"service.instance.id": "1"}, "counter"),
    ]

    def ceased(falls):
        values = np.stack([np.ones(60), steps * 8.0, steps * 8.0])
        values[:2, 45:] = np.nan
        values[2, 45:] = values[2, 45] if falls else values[2, 45:]
        lines, _ = read(Held(Grid(0, 15_000, 60, 40), series, values, values), {"shop": SHOP})
        return {(line.entity, line.signal): line.values for line in lines}

    assert ceased(falls=True)[FRONT_DOOR, CEASED][[44, 50, 59]].tolist() == [0.0, 100.0, 100.0]
    assert ceased(falls=True)[FRONT_DOOR, SILENT][59] == 1
    assert ceased(falls=False)[FRONT_DOOR, CEASED].max() == 0.0


@pytest.mark.parametrize(
    ("answered", "silent"),
    [
        (0.8, 0.0),  # they are served: only what they tell of themselves is late
        (0.2, 2.0),
        (0.0, 2.0),
    ],
)
@pytest.mark.parametrize("told_until", [60, 52])
def test_who_still_answers_most_of_what_is_asked_is_not_silent(answered, silent, told_until):
    steps = np.arange(60) * 15.0
    failed = np.maximum(steps - 45 * 15.0, 0.0) * 8.0 * (1.0 - answered)
    rows = [(FRONT_DOOR, CALLED, {"server.address": "shop"}, steps * 8.0 - failed)]
    rows += [(FRONT_DOOR, CALLED, {"server.address": "shop", "error.type": "timeout"}, failed)]
    rows += [(SHOP, ASKED, {"service.instance.id": str(n)}, steps * 4.0) for n in range(2)]
    values = np.stack([row for *_, row in rows])
    values[2:, 48:] = np.nan
    values[:2, told_until:] = np.nan  # who asks may tell late, too
    series = [Series(entity, metric, labels, "counter") for entity, metric, labels, _ in rows]
    lines, _ = read(Held(Grid(0, 15_000, 60, 40), series, values, values), {"shop": SHOP})
    found = next(line.values for line in lines if (line.entity, line.signal) == (SHOP, SILENT))

    assert found[54] == silent


def asked_from_outside(by_caller, told=True, *, failing=0.0):
    """What is told of a shop whose unknown users ask four times as much from step 45 on, and wait longer then.

    Args:
        by_caller: Requests a second of a caller that tells of its calls, which take 10 ms.
        told: Whether the shop tells of itself to the end.
        failing: The part of that caller's calls that it waits for in vain from then on, a second each.
    """
    steps = np.arange(60) * 15.0
    since = np.maximum(steps - 45 * 15.0, 0.0)
    users = 100.0 * (steps + 3.0 * since)
    rows = [(FRONT_DOOR, CALLED, {"server.address": "shop"}, by_caller * (steps - failing * since))]
    spent = by_caller * (0.01 * steps + failing * since)
    rows += [(FRONT_DOOR, CALLED.replace("_count", "_sum"), {"server.address": "shop"}, spent)]
    rows += [(FRONT_DOOR, CALLED, {"server.address": "shop", "error.type": "timeout"}, by_caller * failing * since)]
    rows += [(SHOP, ASKED, {}, by_caller * (steps - failing * since) + users)]
    rows += [(SHOP, ASKED.replace("_count", "_sum"), {}, 0.01 * by_caller * steps + 0.05 * (users + 300.0 * since))]
    values = np.stack([row for *_, row in rows])
    values[3:, 45:] = values[3:, 45:] if told else np.nan
    held = Held(Grid(0, 15_000, 60, 40), [Series(*each[:3], "counter") for each in rows], values, values)
    lines, _ = read(held, {"shop": SHOP})
    return {line.signal: line.values for line in lines if line.entity == SHOP}


def test_what_callers_do_not_tell_of_is_counted_by_the_one_that_is_asked():
    few = asked_from_outside(2.0)
    assert few[REQUESTS][[40, 55]].tolist() == pytest.approx([102.0, 402.0])
    assert few[DURATION][[40, 55]].tolist() == pytest.approx([0.0492, 0.0871], abs=1e-3)

    most = asked_from_outside(900.0)
    assert most[REQUESTS][[40, 55]].tolist() == pytest.approx([900.0, 900.0])
    assert most[DURATION][[40, 55]].tolist() == pytest.approx([0.01, 0.01])


def test_failures_of_a_few_callers_are_weighed_by_all_that_is_asked():
    assert asked_from_outside(2.0, failing=0.5)[FAILED][55] == pytest.approx(100.0 / 401.0, abs=0.01)
    assert asked_from_outside(900.0, failing=0.5)[FAILED][55] == pytest.approx(50.0)


def test_who_tells_nothing_any_more_fails_by_what_its_few_callers_say():
    found = asked_from_outside(2.0, told=False, failing=1.0)

    assert found[FAILED][55] == pytest.approx(100.0)
    assert np.isnan(found[REQUESTS][55])


def test_answers_that_are_counted_twice_hide_no_callers():
    """By each replica and by all of them, or in a second library; and who collects garbage has answered nothing."""
    steps = np.arange(60) * 15.0
    rows = [(FRONT_DOOR, CALLED, {"server.address": "shop"}, 10.0), (SHOP, ASKED, {}, 10.0)]
    rows += [(SHOP, ASKED, {"service.instance.id": str(n)}, 5.0) for n in range(2)]
    rows += [(SHOP, "http_server_requests_seconds_count", {}, 10.0), (SHOP, "jvm.gc.duration_count", {}, 30.0)]
    rows += [(SHOP, "http.client.request.duration_count", {}, 90.0)]  # it does not say of whom
    values = np.stack([steps * rate for *_, rate in rows])
    held = Held(Grid(0, 15_000, 60, 40), [Series(*each[:3], "counter") for each in rows], values, values)

    lines, _ = read(held, {"shop": SHOP})

    assert [line.values[55] for line in lines if (line.entity, line.signal) == (SHOP, REQUESTS)] == [10.0]
