"""Laws of the simulated estate, whatever it is made of."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.columns import NODE_COUNT, Node
from cerebro.proving.estate.effects import EFFECTS
from cerebro.proving.estate.estate import Emission, Estate
from cerebro.proving.model import Operation

COUNTERS = [Node.COUNT, Node.FAILED_COUNT, Node.CPU_S, Node.RESTARTS, Node.RETRIES, Node.TIMEOUTS, Node.PUBLISHED]
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def digest(emissions: list[Emission]) -> str:
    """One number of every row of every signal, whatever batches the rows came in."""
    found = hashlib.sha256()
    for name in ("hi", "lo", "at_ms", "value"):
        found.update(np.concatenate([getattr(each.samples, name) for each in emissions]).tobytes())
    for name in ("logs", "spans", "events"):
        table = pa.concat_tables([getattr(each, name) for each in emissions]).combine_chunks()
        found.update(repr(table.to_pylist()).encode())
    return found.hexdigest()


async def story(seed: int, steps: tuple[int, ...]) -> str:
    """An hour with a fault and an operation in it, told in steps of so many ticks."""
    estate = Estate(8, seed, VirtualClock())
    emissions = []
    half = sum(steps) // 2
    played = 0
    for step in steps:
        emissions.append(estate.step(step))
        played += step
        if played == half:
            injection = estate.begin("slow_query", seed=seed)
            await estate.operate(Operation("restart", estate.topology.entity(0)))
    estate.finish(injection)
    return digest([*emissions, estate.step(8)])


async def test_the_same_seed_gives_the_same_bytes():
    """Samples, log lines, spans and events, faults and operations among them."""
    assert await story(4, (40, 40)) == await story(4, (40, 40))
    assert await story(4, (40, 40)) != await story(5, (40, 40))


async def test_the_grouping_of_ticks_changes_nothing():
    """One tick at a time, as a clock gives them, or an hour at once."""
    assert await story(6, (40, 40)) == await story(6, (13, 27, 1, 39))


@FEW
@given(st.integers(5, 60), st.integers(0, 10_000), st.sampled_from(sorted(EFFECTS)))
def test_what_is_measured_could_have_been(service_count, seed, kind):
    """Counters climb, shares lie in 0 … 1, buckets add up, nothing is infinite: under any fault, in any estate."""
    estate = Estate(service_count, seed, VirtualClock())
    estate.begin(kind, seed=seed)
    node = np.concatenate([part.node for part in estate.measure(60)])

    assert np.isfinite(node).all()
    assert (np.diff(node[:, :, COUNTERS], axis=0) >= 0).all()
    assert (node[:, :, [Node.ERROR, Node.CPU, Node.MEMORY_SHARE, Node.DISK_SHARE]] >= 0).all()
    assert (node[:, :, [Node.ERROR, Node.CPU, Node.MEMORY_SHARE, Node.DISK_SHARE]] <= 1).all()
    buckets = node[:, :, Node.BUCKET : NODE_COUNT]
    assert (np.diff(buckets, axis=2) >= 0).all()
    assert (np.diff(buckets[:, :, -1], axis=0) == np.diff(node[:, :, Node.COUNT], axis=0)).all()


@FEW
@given(st.integers(5, 500), st.integers(0, 10_000))
def test_calls_go_one_way(service_count, seed):
    """No cycle; everything but the entries is called; the users' shares add up."""
    topology = Estate(service_count, seed, VirtualClock()).topology if service_count < 40 else None
    if topology is None:
        from cerebro.proving.estate.topology import make_topology

        topology = make_topology(service_count, seed)

    assert (topology.source < topology.target).all()
    assert topology.entry_share.sum() == pytest.approx(1.0)
    assert len(set(topology.names)) == len(topology.names)
    called = set(topology.target.tolist())
    assert all(i in called or topology.entry_share[i] > 0 or topology.kind[i] == 3 for i in range(len(topology.names)))
