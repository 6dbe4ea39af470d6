"""Log lines of an estate: templated, at the rate that what was measured gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.proving.estate.columns import Edge, Node
from cerebro.proving.estate.motion import Floats, Measured
from cerebro.proving.estate.noise import uniform
from cerebro.proving.estate.topology import DATABASE, EXTERNAL, QUEUE, SERVICE, SYNC, WORKER, Topology
from cerebro.spine.telemetry import LOG_SCHEMA, STRINGS

INFO, WARNING, ERROR, FATAL = 9, 13, 17, 21
SEVERITY_TEXTS = {INFO: "INFO", WARNING: "WARN", ERROR: "ERROR", FATAL: "FATAL"}
LINES_MAX = 4  # of one template, node and tick: what a library's rate limit leaves
ACCESS_SHARE = 0.002  # of requests that leave an access line
_COUNT, _WHEN = 20, 21


@dataclass(frozen=True)
class _Template:
    """A line: words, a number, words; `{target}` and `{route}` are filled in for each node or edge."""

    before: str
    after: str
    severity: int


_ACCESS = _Template("GET {route} 200 in ", " ms", INFO)
_FAILED = _Template("request GET {route} failed after ", " ms: internal error", ERROR)
_POOL = _Template("connection pool exhausted, ", " requests waiting", WARNING)
_RESTART = _Template("container was terminated and started again, restart count ", "", ERROR)
_GC = _Template("garbage collection paused for ", " ms", WARNING)
_SLOW = _Template("duration: ", " ms  statement: SELECT * FROM items WHERE owner_id = $1", WARNING)
_DEADLOCK = _Template("deadlock detected, transaction ", " was cancelled", ERROR)
_FULL = _Template("could not write to file: No space left on device, ", " % used", ERROR)
_AGAIN = _Template("message was redelivered, ", " times so far", WARNING)
_JOB = _Template("job done in ", " ms", INFO)
_CODE = _Template("unhandled exception in GET {route} after ", " ms: TypeError: value is null", ERROR)
_FILES = _Template("accept failed: too many open files, ", " in use", ERROR)
_CLOCK = _Template("token refused ", " ms after it came: it was issued in the future, the clocks differ", WARNING)
_LOAD = _Template("request queue is full, ", " waiting: request rejected", WARNING)
_DENIAL = _Template("[", '] FATAL: password authentication failed for user "app"', FATAL)
_LOCKED = _Template("process ", " still waiting for ShareLock on relation items", WARNING)
_OVERLAP = _Template("scheduled job begins while earlier runs are under way: ", " running now", WARNING)
# The balancer before an entry; its lines are kept with those of what it balances.
_BALANCED: tuple[tuple[Node, _Template], ...] = tuple(
    (way, _Template("balancer: no answer to a request of {route} after ", f" ms: {words}", ERROR))
    for way, words in (
        (Node.BY_SILENCE, "upstream timed out while reading the response header"),
        (Node.BY_CUT, "upstream connection timed out while connecting"),
        (Node.BY_NAME, "upstream host could not be resolved: no such host"),
        (Node.BY_TRUST, "upstream certificate verify error: certificate has expired"),
        (Node.BY_ABSENCE, "connect to upstream: connection refused"),
    )
)
# What a client says of a call that failed, by the way in which it failed; of a callee that answered, by its kind.
_WAYS: tuple[tuple[Edge, str], ...] = (
    (Edge.LATE, "context deadline exceeded while awaiting headers"),
    (Edge.UNREACHED, "dial tcp: i/o timeout"),
    (Edge.UNNAMED, "dial tcp: lookup {target}: no such host"),
    (Edge.UNTRUSTED, "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"),
    (Edge.GONE, "dial tcp: connect: connection refused"),
    (Edge.CROWDED, "timed out while waiting for a free connection of the pool"),
)
_ANSWERED: tuple[tuple[Node, str], ...] = (
    (Node.BY_DENIAL, 'FATAL: password authentication failed for user "app"'),
    (Node.BY_LIMIT, "unexpected status 429 Too Many Requests"),
    (Node.BY_GARBLE, "invalid character '<' looking for beginning of value"),
    (Node.BY_LOAD, "unexpected status 503 Service Unavailable"),
)
_FAILING = "unexpected status 500 Internal Server Error"
_ENDS = (*(words for _, words in _WAYS), *(words for _, words in _ANSWERED), _FAILING)


_OWN = (
    _ACCESS, _FAILED, _POOL, _RESTART, _GC, _SLOW, _DEADLOCK, _FULL, _AGAIN, _JOB, _CODE, _FILES, _CLOCK, _LOAD,
    _DENIAL, _LOCKED, _OVERLAP,
)  # fmt: skip


class LogWriter:
    """Makes the log lines of an estate; a line's words are those of its template, its number is measured.

    Args:
        topology: The estate.
        seed: Of which requests leave a line, and when in their tick.
    """

    def __init__(self, topology: Topology, seed: int) -> None:
        self._topology, self._seed = topology, seed
        self._last_node = np.zeros((0, 0))
        self._last_edge = np.zeros((0, 0))
        self._heads: list[str] = []
        self._tails: list[str] = []
        self._severity: list[int] = []
        self._speaker: list[int] = []
        node_count = len(topology.names)
        own = (*_OWN, *(template for _, template in _BALANCED))
        self._node_words = {each: self._words(each, range(node_count), range(node_count)) for each in own}
        ends = topology.source.tolist(), topology.target.tolist()
        self._edge_words = [
            self._words(_Template("call to {target} failed after ", f" ms: {words}", ERROR), *ends) for words in _ENDS
        ]
        names = [topology.names[i] for i in self._speaker]
        self._service = pa.array(names, pa.string())
        self._resource = pa.array(
            [[("service.name", name), ("service.namespace", "estate")] for name in names], STRINGS
        )
        self._head, self._tail = pa.array(self._heads), pa.array(self._tails)
        self._levels = np.array(self._severity, np.uint8)
        self._level_text = pa.array([SEVERITY_TEXTS[level] for level in self._severity])
        self._speakers = np.array(self._speaker)

    def draw_anew(self, seed: int) -> None:
        """Go on with the chance of another seed."""
        self._seed = seed

    def _words(self, template: _Template, speakers: Sequence[int] | range, targets: Sequence[int] | range) -> int:
        """Fill the template for each speaker; where the first of its lines stands."""
        first = len(self._heads)
        for speaker, target in zip(speakers, targets, strict=True):
            route, name = self._topology.routes[target], self._topology.names[target]
            self._heads.append(template.before.replace("{route}", route).replace("{target}", name))
            self._tails.append(template.after.replace("{target}", name))
            self._severity.append(template.severity)
            self._speaker.append(int(speaker))
        return first

    def logs(self, measured: Measured, skew_s: Floats) -> pa.Table:
        """The lines of that stretch in order of ticks; `skew_s` is how far each node's clock is ahead."""
        lines = self._lines(measured)
        tick = np.concatenate([line[0] for line in lines])
        words = np.concatenate([line[1] for line in lines])
        number = np.concatenate([line[2] for line in lines])
        order = np.lexsort((words, tick))
        tick, words, number = tick[order], words[order], number[order]
        same = np.arange(len(tick)) - np.searchsorted(tick * 1_000_000 + words, tick * 1_000_000 + words)
        early = uniform(self._seed, _WHEN, measured.at_ms[tick], words, same)
        observed_ns = measured.at_ms[tick] * 1_000_000 - (early * 5e9).astype(np.int64)
        at_ns = observed_ns + (skew_s[self._speakers[words]] * 1e9).astype(np.int64)
        place, count = pa.array(words), len(words)
        figures = pa.array(np.round(number).astype(np.int64)).cast(pa.string())
        body = pc.binary_join_element_wise(self._head.take(place), figures, self._tail.take(place), "")
        none = pa.array(np.full(count, ""), pa.string())
        service = self._service.take(place)
        columns = [
            pa.array(at_ns), pa.array(observed_ns), pa.array(self._levels[words]), self._level_text.take(place), body,
            service, pa.array(np.full(count, "service"), pa.string()), service, none, none,
            pa.array(np.full(count, "estate"), pa.string()),
            pa.array([[]], STRINGS).take(pa.array(np.zeros(count, np.int64))), self._resource.take(place),
        ]  # fmt: skip
        return pa.Table.from_arrays(columns, schema=LOG_SCHEMA)

    def _lines(self, measured: Measured) -> list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
        """Tick, words and number of every line, template by template."""
        node, edge, kind = measured.node, measured.edge, self._topology.kind
        if not self._last_node.size:
            self._last_node, self._last_edge = node[0].copy(), edge[0].copy()
        gain = np.diff(node[:, :, : int(Node.BUCKET)], axis=0, prepend=self._last_node[None, :, : int(Node.BUCKET)])
        failed_calls = np.diff(edge[:, :, Edge.FAILED], axis=0, prepend=self._last_edge[None, :, Edge.FAILED])
        self._last_node, self._last_edge = node[-1].copy(), edge[-1].copy()
        answers, works = kind == SERVICE, np.isin(kind, (SERVICE, WORKER))
        mine = node[:, :, Node.PRESENT] > 0
        took_ms, own_ms = node[:, :, Node.TOTAL_S] * 1000, node[:, :, Node.OWN_S] * 1000

        def per(column: Node) -> Floats:
            """What one counter gained."""
            return gain[:, :, column]

        def part(column: Node) -> Floats:
            """Of its failures, those of that kind, 0 … 1."""
            share: Floats = np.minimum(1.0, node[:, :, column] / np.maximum(node[:, :, Node.ERROR], 1e-9))
            return share

        found = [
            (_ACCESS, per(Node.COUNT) * ACCESS_SHARE * answers, took_ms),
            (_JOB, per(Node.COUNT) * ACCESS_SHARE * 5 * (kind == WORKER), took_ms),
            (_FAILED, per(Node.FAILED_COUNT) * works, took_ms),
            (_CODE, per(Node.FAILED_COUNT) * part(Node.BY_CODE) * works, took_ms),
            (_FILES, per(Node.FAILED_COUNT) * part(Node.BY_FILES) * works, node[:, :, Node.FILES]),
            (_CLOCK, per(Node.FAILED_COUNT) * part(Node.BY_CLOCK) * works, took_ms),
            (_LOAD, per(Node.FAILED_COUNT) * part(Node.BY_LOAD) * works, node[:, :, Node.ACTIVE]),
            (_DENIAL, per(Node.FAILED_COUNT) * part(Node.BY_DENIAL) * (kind == DATABASE), node[:, :, Node.SESSIONS]),
            *((template, per(Node.FAILED_COUNT) * part(way), took_ms) for way, template in _BALANCED),
            (_LOCKED, (node[:, :, Node.LOCKS] > 5) * (kind == DATABASE) * 2, 1000 + node[:, :, Node.LOCKS]),
            (_OVERLAP, (node[:, :, Node.JOBS] >= 2) * 0.2, node[:, :, Node.JOBS]),
            (_POOL, (node[:, :, Node.POOL_WAITING] > 8) * works, node[:, :, Node.POOL_WAITING]),
            (_RESTART, per(Node.RESTARTS) * (kind != EXTERNAL), node[:, :, Node.RESTARTS]),
            (_GC, (per(Node.GC_S) > 0.3) * works, per(Node.GC_S) * 1000),
            (_SLOW, (own_ms > 40) * (kind == DATABASE) * 2, own_ms),
            (_DEADLOCK, per(Node.DEADLOCKS), node[:, :, Node.DEADLOCKS]),
            (_FULL, (node[:, :, Node.DISK_SHARE] > 0.985) * (kind == DATABASE) * 2, node[:, :, Node.DISK_SHARE] * 100),
            (_AGAIN, per(Node.REDELIVERED) * (kind == QUEUE), node[:, :, Node.REDELIVERED]),
        ]
        lines = [
            self._some(measured, share * mine, number, self._node_words[template]) for template, share, number in found
        ]
        heard = mine[:, self._topology.source] * (self._topology.mode == SYNC)
        waited_ms = edge[:, :, Edge.TIME_S] * 1000
        ways = zip(self._ways(measured), self._edge_words, strict=True)
        failed_calls = failed_calls * heard * 0.5
        return [*lines, *(self._some(measured, failed_calls * way, waited_ms, words) for way, words in ways)]

    def _ways(self, measured: Measured) -> list[Floats]:
        """Of the failed calls of each edge, how many failed in each way of `_ENDS`, each 0 … 1, (tick, edge)."""
        edge, callee = measured.edge, measured.node[:, self._topology.target]
        ways = [edge[:, :, column] for column, _ in _WAYS]
        answered = edge[:, :, Edge.ANSWERED]
        known = [np.minimum(answered, callee[:, :, column]) for column, _ in _ANSWERED]
        ways += [*known, np.maximum(answered - np.sum(known, axis=0), 0.0)]
        total = np.maximum(np.sum(ways, axis=0), 1e-9)
        return [way / total for way in ways]

    def _some(
        self, measured: Measured, expected: Floats, number: Floats, first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """As many lines as expected, rounded by chance and cut at `LINES_MAX`."""
        tick, row = np.nonzero(expected > 0)
        if not len(tick):  # most of what could be said is not
            return tick, row, np.zeros(0)
        wanted = expected[tick, row]
        chance = uniform(self._seed, _COUNT, measured.at_ms[tick], row + first)
        count = np.minimum(np.floor(wanted + chance), LINES_MAX).astype(np.int64)
        again = np.repeat(np.arange(len(tick)), count)
        return tick[again], row[again] + first, number[tick, row][again]
