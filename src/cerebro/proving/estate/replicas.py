"""What single replicas of a service show: its load shared out, with the sick ones among them.

The kernel moves whole services. Which replica is dead, hung or flooded follows from what was turned on the service: the
first ones are hit. The sums over the replicas are those of the service, as far as all of them are shown.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cerebro.proving.estate.columns import Knob, Node
from cerebro.proving.estate.topology import SERVICE, Topology

Floats = NDArray[np.float64]
SHOWN_MAX = 4  # replicas of one service that are shown one by one; larger services show their first ones
IDLE_CPU = 0.01


class Replica(IntEnum):
    """What is measured of one replica; the first two climb."""

    COUNT, SUM_S, CPU, MEMORY, ACTIVE = range(5)


CLIMBING = (Replica.COUNT, Replica.SUM_S)


class Replicas:
    """The replicas of an estate's services, in columns.

    Attributes:
        node: int64, (replica,): whose replica each is.
        number: int64, (replica,): which one of it, from 0.
    """

    def __init__(self, topology: Topology, seed: int) -> None:
        several = [k for k in range(len(topology.names)) if topology.kind[k] == SERVICE and topology.replicas[k] >= 2]
        shown = [(node, number) for node in several for number in range(min(SHOWN_MAX, int(topology.replicas[node])))]
        self.node, self.number = (np.array(column, np.int64) for column in zip(*shown, strict=True))
        self._planned = topology.replicas[self.node]
        chance = np.random.default_rng([seed, 7])
        count = len(shown)
        self._weight = 1.0 + 0.02 * chance.standard_normal(count)  # no balancer is even
        self._thirst = 1.0 + 0.03 * chance.standard_normal(count)
        self._phase = chance.uniform(0.0, 1.0, (2, count))
        self._climbed = np.zeros((count, len(CLIMBING)))

    def follow(self, before: Floats, node: Floats, knobs: Floats, first_tick: int) -> Floats:
        """Share out what was measured, float64, (tick, replica, Replica); NaN for a replica that was not there.

        Args:
            before: The counters before the first tick, float64, (node, Node).
            node: What was measured of services, float64, (tick, node, Node).
            knobs: As they stood all the while, float64, (node, Knob).
            first_tick: Its number since the start of the estate, for what trembles from tick to tick.
        """
        mine = node[:, self.node]
        there, share = self._shares(mine, knobs[self.node])
        out = np.empty((len(node), len(self.node), len(Replica)))
        grown = np.diff(node[:, :, (Node.COUNT, Node.SUM)], axis=0, prepend=before[None, :, (Node.COUNT, Node.SUM)])
        climbed = np.concatenate((self._climbed[None], grown[:, self.node] * share[:, :, None])).cumsum(axis=0)
        self._climbed = climbed[-1]
        out[:, :, Replica.COUNT] = np.floor(climbed[1:, :, 0])
        out[:, :, Replica.SUM_S] = climbed[1:, :, 1]
        tremble = self._tremble(first_tick, len(node))
        busy = share * np.maximum(1.0, mine[:, :, Node.REPLICAS])
        out[:, :, Replica.CPU] = np.minimum(1.0, IDLE_CPU + mine[:, :, Node.CPU] * busy * (1.0 + 0.06 * tremble[0]))
        each = mine[:, :, Node.MEMORY] / np.maximum(1.0, mine[:, :, Node.REPLICAS])
        out[:, :, Replica.MEMORY] = each * self._thirst * (1.0 + 0.004 * tremble[1])
        stuck = (there & (share == 0.0)).astype(np.float64)
        held = np.where(stuck > 0.0, 0.5 / np.maximum(1.0, self._planned), share)
        out[:, :, Replica.ACTIVE] = np.floor(mine[:, :, Node.ACTIVE] * held + 0.5)
        out[~there] = np.nan
        return out

    def _shares(self, mine: Floats, knobs: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Which replicas are there, and each one's part of its service's work, both (tick, replica)."""
        gone = np.maximum(0.0, self._planned - mine[:, :, Node.REPLICAS])
        there = (self.number >= gone) & (mine[:, :, Node.PRESENT] > 0.0)
        share_hung = knobs[:, Knob.HANG]
        some = np.clip(np.round(share_hung * self._planned), 1.0, self._planned - 1.0)  # one at least, and not all
        hung = np.where(share_hung > 0.0, some, 0.0)
        uneven = np.minimum(1.0, knobs[:, Knob.UNEVEN])
        even = self._weight / np.maximum(1.0, np.maximum(self._planned, mine[:, :, Node.REPLICAS]) - gone)
        share = (1.0 - uneven) * even + uneven * (self.number == 0)
        works = there & (self.number >= hung)
        left = 1.0 / (1.0 - hung / self._planned)
        return there, np.where(works, np.minimum(1.0, share * left), 0.0)

    def _tremble(self, first_tick: int, tick_count: int) -> Floats:
        """Noise of mean 0 and spread 1 that follows from the tick's number alone, float64, (2, tick, replica)."""
        tick = (first_tick + np.arange(tick_count, dtype=np.float64))[None, :, None]
        drawn = np.modf(np.abs(np.sin(tick * 12.9898 + self._phase[:, None, :] * 78.233)) * 43758.5453)[0]
        noise: Floats = (drawn - 0.5) * np.sqrt(12.0)
        return noise
