"""What climbs towards a limit of its own is told while there is time."""

import numpy as np
import pytest

from cerebro.agents.support.climb import (
    USED_UP,
    Climbs,
    climbing,
    enrol,
    frozen_climbs,
    note_told,
    thawed_climbs,
)
from cerebro.agents.support.model import SeriesName, Test, Turn
from cerebro.spine.telemetry import series_id

MEMORY = "k8s.container.memory_limit_utilization"


AGE = "messaging.queue.oldest_message.age"


def named(metric, unit="1"):
    return SeriesName(*series_id(metric, {}), metric, (), "gauge", unit, "service", "pay")


def told(values, weekly_max=1e-3, name=None, step_ms=15_000):
    """The turns of a series that takes these values, one every step, with the place of each."""
    climbs, found = Climbs(), []
    enrol(climbs, [name or named(MEMORY)])
    for k, value in enumerate(values):
        for each in climbing(climbs, np.zeros(1, np.int32), np.array([step_ms * (k + 1)]), np.array([value])):
            if each.turn is not Turn.OPENED:
                found.append((k, each.turn))
            elif each.weekly < weekly_max:
                note_told(climbs, 0)
                found.append((k, each.turn))
    return found


def wandering(count=120):
    chance = np.random.default_rng(1)
    return list(0.4 + 0.005 * chance.standard_normal(count))


def test_a_leak_is_told_after_a_few_steps_and_its_end_too():
    leak = [0.42 + 0.04 * k for k in range(1, 9)]
    found = told([*wandering(), *leak, 0.4, 0.4, 0.4])

    assert [turn for _, turn in found] == [Turn.OPENED, Turn.RETURNED]
    assert 120 < found[0][0] <= 125


def test_wandering_a_step_and_a_slow_walk_are_told_by_nobody():
    assert told([*wandering(), *(value + 0.3 for value in wandering(60))]) == []
    assert told(list(np.linspace(0.3, 0.5, 4000))) == []
    assert told([0.1 * k for k in range(10)]) == []  # nothing is known of it yet


def test_a_leak_and_a_climb_have_the_part_of_one_between_them(watch, play, name_of):
    limited = name_of(2, MEMORY)
    play(watch, [name_of(1), limited], np.full((60, 2), 0.4) + 0.01 * np.random.default_rng(1).standard_normal((60, 2)))
    price = watch.series.rows["price"][:2, Test.LEAK]

    assert price[1] == 0.5 * price[0]
    assert (watch.series.rows["price"][0, : Test.LEAK] == watch.series.rows["price"][1, : Test.LEAK]).all()


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("aws_sqs_approximate_age_of_oldest_message_maximum", "s"),
        ("pubsub_subscription_oldest_unacked_message_age", "s"),
        ("kafka_consumergroup_group_max_lag_seconds", ""),
        ("mysql_slave_status_seconds_behind_master", ""),
        ("pg_replication_lag_seconds", ""),
        ("messaging.consumer.delay", "s"),
    ],
)
def test_how_far_behind_by_the_names_that_exporters_give_it(metric, unit):
    climbs = Climbs()
    enrol(climbs, [named(metric, unit)])
    assert climbs.count == 1


def test_another_versions_snapshot_is_begun_anew():
    climbs = Climbs()
    enrol(climbs, names := [named(MEMORY), named(AGE, "s")])
    climbs.state["top"][:2] = 0.5
    assert thawed_climbs(names, frozen_climbs(climbs)).state["top"][0] == 0.5
    assert thawed_climbs([*names, named("system.disk.utilization")], frozen_climbs(climbs)).state["top"][0] == 0.0
    assert thawed_climbs(names[::-1], frozen_climbs(climbs)).state["top"][0] == 0.0


def test_only_what_is_used_up_has_an_end():
    assert USED_UP.search("process.open_file_descriptor.count:limit_ratio")
    assert USED_UP.search("system.filesystem.utilization")
    assert not USED_UP.search("process.cpu.utilization")
    assert not USED_UP.search("http.server.active_requests:limit_ratio")


def test_work_that_waits_ever_longer_is_told_within_a_minute_although_it_never_did():
    """No single value says anything of a queue that was empty for half an hour: it may fill now and then."""
    waits = [11.0 * k for k in range(1, 9)]
    assert told([*[0.0] * 120, *waits], name=named(AGE, "s")) == [(122, Turn.OPENED)]
    assert told([*[0.0] * 120, *waits], name=named("kafka_consumergroup_group_lag_seconds", "")) == [(122, Turn.OPENED)]
    assert told([*[0.0] * 120, *waits], name=named(AGE, "ms")) == []
    assert told([*[0.0] * 120, *waits], name=named("kafka_consumergroup_lag", "")) == []
    assert told([*[0.0] * 120, 8.0, 0.0, 0.0, 12.0, 0.0], name=named(AGE, "s")) == []
    slowly = [*[0.01] * 120, *(0.3 * k for k in range(1, 80))]
    assert told(slowly, name=named(AGE, "s"), step_ms=1000)[0][0] < 120 + 25
    assert told([*[0.0] * 120, 15.0, 30.0, 0.0, 0.0], name=named(AGE, "s")) == []  # one message, stuck for a moment


def test_a_nightly_batch_is_told_once():
    night = [*[0.0] * 200, *(11.0 * k for k in range(1, 9)), 0.0, 0.0, 0.0]
    turns = [turn for _, turn in told(night * 4, name=named(AGE, "s"))]
    assert turns == [Turn.OPENED, Turn.RETURNED]
