"""An estate in motion: its columns, moved tick by tick by the kernel, and what every tick measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.proving.estate import kernel
from cerebro.proving.estate.columns import NODE_COUNT, REST, Edge, Host, HostState, Node, State
from cerebro.proving.estate.replicas import Replicas
from cerebro.proving.estate.topology import CACHE, Topology
from cerebro.proving.estate.traffic import demand

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What a stretch of ticks measured; counters climb from the start of the estate on.

    Args:
        at_ms: When each tick ended, int64, (tick,).
        node: float64, (tick, node, Node); the histogram's buckets follow its last named column.
        edge: float64, (tick, edge, Edge).
        host: float64, (tick, host, Host).
        replica: float64, (tick, replica, Replica); NaN for a replica that was not there.
    """

    at_ms: NDArray[np.int64]
    node: Floats
    edge: Floats
    host: Floats
    replica: Floats


class Motion:
    """The state of a simulated estate. Whoever turns a knob writes into `knobs` or `foreign` between two ticks.

    Args:
        topology: What it is made of.
        seed: Of its chance; the same seed and the same turns give the same bytes, however the ticks are grouped.
        start_ms: Unix time at the start.
        interval_s: Length of a tick, and of the interval between samples.
    """

    def __init__(self, topology: Topology, seed: int, start_ms: int, interval_s: float) -> None:
        self.topology, self.seed, self.interval_s, self.now_ms = topology, seed, interval_s, start_ms
        node_count, host_count = len(topology.names), len(topology.hosts)
        self.knobs = np.tile(REST, (node_count, 1))
        self.state = np.zeros((node_count, len(State)))
        self.state[:, State.MEMORY] = topology.memory_share
        self.state[:, State.REPLICAS] = topology.replicas
        self.state[:, State.HOLD_S] = topology.service_s + topology.wait_s
        self.state[:, (State.WARM, State.SERVED)] = 1.0
        self.state[:, State.DISK] = np.random.default_rng([seed, 3]).uniform(0.2, 0.6, node_count)
        self.machine = self._machines(host_count)
        self._node = np.zeros((node_count, NODE_COUNT))
        self._edge = np.zeros((len(topology.source), len(Edge)))
        self._host = np.zeros((host_count, len(Host)))
        self.replicas = Replicas(topology, seed)
        self._ticks = 0
        self._first = np.searchsorted(topology.source, np.arange(node_count + 1))
        self._chance = _chance_of(seed)
        self.run(20)  # so that the first tick shown is a settled one
        self.now_ms = start_ms
        for column in (Node.SUM, Node.COUNT, Node.FAILED_SUM, Node.FAILED_COUNT):
            self._node[:, column] = np.floor(self._node[:, column])

    def draw_anew(self, seed: int) -> None:
        """Go on with the chance of another seed."""
        self._chance = _chance_of(seed)

    def _machines(self, host_count: int) -> Floats:
        """Each machine is sized for what runs on it on a usual day."""
        machine = np.zeros((host_count, len(HostState)))
        t = self.topology
        used = np.bincount(np.maximum(t.host, 0), np.where(t.host >= 0, t.cores * t.replicas, 0.0), host_count)
        machine[:, HostState.CORES] = np.maximum(4.0, np.ceil(used))
        machine[:, HostState.SPEED] = machine[:, HostState.DISK_SLOW] = 1.0
        machine[:, HostState.DISK] = np.random.default_rng([self.seed, 4]).uniform(0.3, 0.6, host_count)
        return machine

    def run(self, tick_count: int) -> Measured:
        """Play that many ticks."""
        t, interval_ms = self.topology, round(self.interval_s * 1000)
        at_ms = self.now_ms + interval_ms * np.arange(1, tick_count + 1, dtype=np.int64)
        node = np.empty((tick_count, *self._node.shape))
        edge = np.empty((tick_count, *self._edge.shape))
        host = np.empty((tick_count, *self._host.shape))
        before = self._node.copy()
        kernel.run(
            self.interval_s, demand(at_ms / 1000.0, self.seed), self._chance,
            t.kind, t.host, t.entry_share, t.service_s, t.wait_s, t.spread, t.cores, t.threads, t.replicas,
            t.scales, t.memory_bytes, t.memory_share, t.hit_ratio,
            self._first, t.source, t.target, t.mode, t.calls, t.timeout_s, t.retries, t.pool, t.vital,
            t.behind_cache, t.users_per_s,
            self.knobs, self.state, self._node, self._edge, self.machine, self._host, node, edge, host,
        )  # fmt: skip
        self.now_ms = int(at_ms[-1])
        replica = self.replicas.follow(before, node, self.knobs, self._ticks)
        self._ticks += tick_count
        return Measured(at_ms, node, edge, host, replica)

    def take_down(self, place: int, share: float, duration_s: float) -> None:
        """A share of its replicas is gone for a while; what a process remembers is gone with it."""
        state = self.state[place]
        state[State.DOWN_S], state[State.DOWN_SHARE] = duration_s, share
        state[State.MEMORY] = self.topology.memory_share[place]
        state[State.FILES] = state[State.POOL] = state[State.BACKLOG] = 0.0
        if self.topology.kind[place] == CACHE:
            state[State.WARM] = 0.0

    def give_up(self, place: int) -> None:
        """What the node was still trying again, it tries no more, and what waits at those it calls is dropped."""
        edges = self.topology.source == place
        self._edge[edges, Edge.FAIL_SHARE] = 0.0
        reached = self.topology.target[edges]
        self.state[reached, State.BACKLOG] = self.state[reached, State.ERROR] = self.state[reached, State.TIMED_OUT] = (
            0.0
        )
        self.state[reached, State.HOLD_S] = self.topology.service_s[reached] + self.topology.wait_s[reached]
        self.state[place, State.BACKLOG] = 0.0


def _chance_of(seed: int) -> NDArray[np.uint64]:
    """The state that a seed's numbers are drawn from."""
    return np.array([seed * 0x9E3779B9 + 0x243F6A88], np.uint64)
