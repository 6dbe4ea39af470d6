"""Sampled traces: a few requests an interval, walked down the call graph with the times of their moment.

Each entry has one tree of calls, unrolled once. A traced request takes a branch as often as its edge is
called; its times are drawn around what the tick measured, all requests of a stretch at once, branch by branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.proving.estate.columns import Edge, Node
from cerebro.proving.estate.motion import Floats, Measured
from cerebro.proving.estate.noise import hashed, hexadecimal, normal, uniform
from cerebro.proving.estate.topology import CACHE, DATABASE, EXTERNAL, SYNC, Topology
from cerebro.spine.telemetry import SPAN_SCHEMA, STRINGS

BRANCHES_MAX = 40
SERVER, CLIENT = 2, 3
OK, FAILED, LOST = 0, 1, 2
_TRACE, _SECOND, _SPAN, _PICK, _TAKE, _TIME, _FAIL, _MISS, _PHASE, _MORE = range(10)


@dataclass(frozen=True)
class _Branch:
    node: int
    parent: int  # place in the tree, -1 for the root
    edge: int
    share: float


@dataclass
class _Walk:
    """What came of every traced request on every branch; arrays (request, branch)."""

    taken: NDArray[np.bool_]
    outcome: NDArray[np.int64]
    start_s: Floats
    duration_s: Floats


class SpanWriter:
    """Makes the spans of an estate.

    Args:
        topology: The estate.
        seed: Of which requests are traced and how long each took.
        traces_per_tick: On average.
    """

    def __init__(self, topology: Topology, seed: int, traces_per_tick: float) -> None:
        self._topology, self._seed, self._per_tick = topology, seed, traces_per_tick
        self._entries = [int(i) for i in np.flatnonzero(topology.entry_share > 0.0)]
        self._trees = [tuple(_unroll(topology, entry)) for entry in self._entries]
        self._told = [_Told(topology, tree) for tree in self._trees]
        self._shares = np.cumsum(topology.entry_share[self._entries])

    def draw_anew(self, seed: int) -> None:
        """Go on with the chance of another seed."""
        self._seed = seed

    def spans(self, measured: Measured, skew_s: Floats) -> pa.Table:
        """The spans of that stretch, in order of ticks; `skew_s` is how far each node's clock is ahead."""
        seed = self._seed
        moment = measured.at_ms // 1000
        counts = np.floor(self._per_tick + uniform(seed, _MORE, moment)).astype(np.int64)
        tick = np.repeat(np.arange(len(moment)), counts)
        which = np.arange(len(tick)) - np.repeat(np.cumsum(counts) - counts, counts)
        up = measured.node[tick][:, self._entries, Node.PRESENT].min(axis=1) > 0 if len(tick) else np.zeros(0, bool)
        tick, which = tick[up], which[up]
        entry = np.searchsorted(self._shares, uniform(seed, _PICK, moment[tick], which))
        entry = np.minimum(entry, len(self._entries) - 1)
        parts = []
        for place, tree in enumerate(self._trees):
            mine = entry == place
            if mine.any():
                parts.append(self._of_tree(tree, self._told[place], measured, tick[mine], which[mine], skew_s))
        if not parts:
            return SPAN_SCHEMA.empty_table()
        order = np.argsort(np.concatenate([keys for keys, _ in parts]), kind="stable")
        return pa.concat_tables([table for _, table in parts]).take(pa.array(order))

    def _of_tree(  # noqa: PLR0917  columns of the same requests
        self, tree: Sequence[_Branch], told: "_Told", measured: Measured, tick: NDArray[np.int64],
        which: NDArray[np.int64], skew_s: Floats,
    ) -> tuple[NDArray[np.int64], pa.Table]:  # fmt: skip
        seed, moment = self._seed, measured.at_ms[tick] // 1000
        walk = self._walk(tree, measured, tick, moment, which)
        request, branch = np.nonzero(walk.taken)
        interval_ms = 15_000 if len(measured.at_ms) < 2 else int(measured.at_ms[1] - measured.at_ms[0])
        early_s = uniform(seed, _PHASE, moment, which) * interval_ms / 1000
        outcome = walk.outcome[request, branch]
        begun_s = walk.start_s[request, branch] - early_s[request] + skew_s[told.speaker[branch, (outcome == LOST) * 1]]
        at_ns = measured.at_ms[tick[request]] * 1_000_000 + (begun_s * 1e9).astype(np.int64)
        keys = (moment[request], which[request])
        trace = hexadecimal(hashed(seed, _TRACE, *keys), hashed(seed, _SECOND, *keys))
        span = hashed(seed, _SPAN, *keys, branch)
        parent = hexadecimal(hashed(seed, _SPAN, *keys, told.parent[branch]))
        parent = pa.compute.if_else(pa.array(told.parent[branch] < 0), "", parent)
        state = pa.array(branch * 3 + outcome)
        empty = pa.array(np.full(len(request), "[]"), pa.string())
        failed = outcome != OK
        columns = [
            pa.array(at_ns), pa.array((walk.duration_s[request, branch] * 1e9).astype(np.int64)), trace,
            hexadecimal(span), parent, told.name.take(state), told.kind.take(state),
            pa.array(np.where(failed, 2, 0).astype(np.uint8)), told.message.take(state), told.service.take(state),
            told.entity_kind.take(state), told.service.take(state), told.scope.take(state),
            told.attributes.take(state), told.resource.take(state), empty, empty,
        ]  # fmt: skip
        order_key = tick[request] * 1_000_000 + which[request] * 1000 + branch
        return order_key, pa.Table.from_arrays(columns, schema=SPAN_SCHEMA)

    def _walk(
        self, tree: Sequence[_Branch], measured: Measured, tick: NDArray[np.int64], moment: NDArray[np.int64],
        which: NDArray[np.int64],
    ) -> _Walk:  # fmt: skip
        """Down: which branches are taken, and what fails. Up: how long each lasts. Down again: when each begins."""
        t, seed, shape = self._topology, self._seed, (len(tick), len(tree))
        walk = _Walk(np.zeros(shape, bool), np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape))
        spot = np.arange(len(tree))[None, :]
        draw = [uniform(seed, purpose, moment[:, None], which[:, None], spot) for purpose in (_TAKE, _FAIL, _MISS)]
        shake = normal(seed, _TIME, moment[:, None], which[:, None], spot)
        own_error = np.zeros(shape)
        for place, branch in enumerate(tree):
            error = measured.node[tick, branch.node, Node.ERROR]
            if branch.parent < 0:
                walk.taken[:, place] = True
            else:
                above = walk.taken[:, branch.parent] & (walk.outcome[:, branch.parent] != LOST)
                walk.taken[:, place] = above & (draw[0][:, place] < branch.share)
                lost = np.maximum(0.0, measured.edge[tick, branch.edge, Edge.FAIL_SHARE] - error)
                walk.outcome[:, place] = np.where(draw[2][:, place] < lost, LOST, OK)
            own_error[:, place] += error
            spread = float(t.spread[branch.node])
            own_s = measured.node[tick, branch.node, Node.OWN_S]
            walk.duration_s[:, place] = own_s * np.exp(spread * shake[:, place] - 0.5 * spread * spread)
            if branch.parent >= 0:  # what a callee does wrong is not the caller's own
                vital = t.vital[branch.edge] * branch.share
                own_error[:, branch.parent] -= vital * measured.edge[tick, branch.edge, Edge.FAIL_SHARE]
                gone = walk.outcome[:, place] == LOST
                waited = measured.edge[tick, branch.edge, Edge.TIME_S]
                walk.duration_s[:, place] = np.where(gone, waited, walk.duration_s[:, place])
        begun = walk.duration_s.copy()
        for place in range(len(tree) - 1, -1, -1):
            branch = tree[place]
            fails = (draw[1][:, place] < own_error[:, place]) & (walk.outcome[:, place] == OK)
            walk.outcome[fails, place] = FAILED
            if branch.parent >= 0:
                taken = walk.taken[:, place]
                walk.duration_s[:, branch.parent] += np.where(taken, walk.duration_s[:, place], 0.0)
                if t.vital[branch.edge] > 0:
                    hurt = taken & (walk.outcome[:, place] != OK) & (walk.outcome[:, branch.parent] == OK)
                    walk.outcome[hurt, branch.parent] = FAILED
        cursor = 0.4 * begun
        for place, branch in enumerate(tree):
            if branch.parent >= 0:
                walk.start_s[:, place] = walk.start_s[:, branch.parent] + cursor[:, branch.parent]
                cursor[:, branch.parent] += np.where(walk.taken[:, place], walk.duration_s[:, place], 0.0)
        return walk


class _Told:
    """What the span of each branch says, three times: when it went well, when it failed, when nobody answered."""

    def __init__(self, t: Topology, tree: Sequence[_Branch]) -> None:
        self.node = np.array([branch.node for branch in tree])
        self.parent = np.array([branch.parent for branch in tree])
        self.caller = np.array([tree[branch.parent].node if branch.parent >= 0 else branch.node for branch in tree])
        outside = np.isin(t.kind[self.node], (DATABASE, CACHE, EXTERNAL))
        self.speaker = np.stack([np.where(outside, self.caller, self.node), self.caller], axis=1)
        rows = [
            _words(t, int(self.node[place]), int(self.speaker[place, int(outcome == LOST)]), outcome)
            for place in range(len(tree))
            for outcome in (OK, FAILED, LOST)
        ]
        names, kinds, messages, services, attributes, resources = (list(column) for column in zip(*rows, strict=True))
        self.name, self.message = pa.array(names, pa.string()), pa.array(messages, pa.string())
        self.kind, self.service = pa.array(kinds, pa.uint8()), pa.array(services, pa.string())
        self.attributes, self.resource = pa.array(attributes, STRINGS), pa.array(resources, STRINGS)
        self.entity_kind = pa.array(["service"] * len(rows), pa.string())
        self.scope = pa.array(["estate"] * len(rows), pa.string())


def _words(
    t: Topology, node: int, speaker: int, outcome: int
) -> tuple[str, int, str, str, list[tuple[str, str]], list[tuple[str, str]]]:
    """Name, kind, message, service, attributes and resource of one span."""
    resource = [
        ("service.name", t.names[speaker]), ("service.namespace", "estate"), ("telemetry.sdk.language", t.code[speaker])
    ]  # fmt: skip
    message = ("", "request failed", "no answer in time")[outcome]
    if t.kind[node] in (DATABASE, CACHE):
        system = "postgresql" if t.kind[node] == DATABASE else "redis"
        operation = "SELECT" if system == "postgresql" else "GET"
        facts = [("db.system.name", system), ("db.operation.name", operation), ("server.address", t.names[node])]
        return f"{operation} {t.names[node]}", CLIENT, message, t.names[speaker], facts, resource
    status = ("200", "500", "504")[outcome]
    facts = [("http.request.method", "GET"), ("http.response.status_code", status)]
    if speaker == node:
        facts.append(("http.route", t.routes[node]))
        return f"GET {t.routes[node]}", SERVER, message, t.names[node], facts, resource
    facts.append(("server.address", t.names[node]))
    return f"GET {t.names[node]}", CLIENT, message, t.names[speaker], facts, resource


def _unroll(t: Topology, entry: int) -> list[_Branch]:
    """The calls of one request as a tree, breadth first, cut at `BRANCHES_MAX`."""
    tree = [_Branch(entry, -1, -1, 1.0)]
    place = 0
    while place < len(tree):
        for edge in np.flatnonzero((t.source == tree[place].node) & (t.mode == SYNC)):
            if len(tree) < BRANCHES_MAX:
                share = min(1.0, float(t.calls[edge]))
                if t.behind_cache[edge] >= 0:
                    share *= 1.0 - float(t.hit_ratio[t.behind_cache[edge]])
                tree.append(_Branch(int(t.target[edge]), place, int(edge), share))
        place += 1
    return tree
