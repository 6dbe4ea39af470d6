"""Replicas of a simulated estate: together they are their service, and the sick one is told from the others."""

import numpy as np
import pytest

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.columns import Node
from cerebro.proving.estate.estate import Estate
from cerebro.proving.estate.replicas import SHOWN_MAX, Replica


@pytest.fixture
def estate() -> Estate:
    return Estate(12, 4, VirtualClock())


def shown_whole(estate: Estate) -> int:
    """A service of which every replica is shown."""
    planned = estate.topology.replicas[estate.motion.replicas.node]
    return int(estate.motion.replicas.node[planned <= SHOWN_MAX][0])


def grown(estate: Estate, node: int, ticks: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """What a service and each of its replicas served over some ticks."""
    before = estate.motion._node[node, Node.COUNT]
    mine = estate.motion.replicas.node == node
    early = estate.motion.replicas._climbed[mine, 0].copy()
    estate.measure(ticks)
    return estate.motion._node[node, Node.COUNT] - before, estate.motion.replicas._climbed[mine, 0] - early


def test_replicas_add_up_to_their_service(estate):
    """And none does much more than another while nothing is wrong."""
    whole, each = grown(estate, shown_whole(estate))

    assert each.sum() == pytest.approx(whole, rel=0.06)
    assert each.max() < each.min() * 1.2


def test_a_hung_replica_serves_nothing_and_stays(estate):
    """The others serve on."""
    node = shown_whole(estate)
    estate.begin("hang", seed=1, target=estate.topology.entity(node))
    estate.measure(1)
    _, each = grown(estate, node)

    assert each[0] == 0.0
    assert each[-1] > 0.0


def test_a_flooded_replica_does_nearly_all_of_the_work(estate):
    node = shown_whole(estate)
    estate.begin("uneven_load", seed=1, target=estate.topology.entity(node))
    estate.measure(1)
    _, each = grown(estate, node)

    assert each[0] > 5 * each[1:].max()


def test_a_dead_replica_tells_nothing_and_comes_back(estate):
    node = shown_whole(estate)
    injection = estate.begin("crash_loop", seed=1, target=estate.topology.entity(node))
    mine = estate.motion.replicas.node == node
    during = estate.measure(8)[-1].replica[-1, mine]
    estate.finish(injection)
    after = estate.measure(8)[-1].replica[-1, mine]

    assert np.isnan(during[:, Replica.CPU]).any()
    assert not np.isnan(after).any()


def test_each_replica_has_series_of_its_own(estate):
    """Named by `service.instance.id`, beside those of the service."""
    estate.step(1)
    instances = {each.labels["service.instance.id"] for each in estate.book.named if each.table == 3}

    assert len(instances) == len(estate.motion.replicas.node)
    assert all("service.instance.id" not in each.labels for each in estate.book.named if each.table != 3)
