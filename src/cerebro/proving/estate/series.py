"""Which series an estate shows: names of OpenTelemetry's semantic conventions and of its collector's receivers.

Each series is one column of what a tick measured. Histograms become `_bucket{le}`, `_sum` and `_count`, as the doors of
Cerebro write them down. Source of the names: OpenTelemetry semantic conventions 1.36 (http, db, process, system, k8s),
and the collector's receivers for PostgreSQL, Redis and Kubernetes; `container_net_*` are those of Coroot's node agent,
`pg_stat_activity_max_tx_duration` is the PostgreSQL exporter's, `namedprocess_*` the process exporter's;
`process.open_file_descriptor.limit` is called as `jvm.file_descriptor.limit` is, for every runtime;
`messaging.queue.*` is ours, since there is no convention.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.proving.estate.columns import BOUNDS_S, NODE_COUNT, Edge, Host, Node
from cerebro.proving.estate.motion import Measured
from cerebro.proving.estate.replicas import Replica, Replicas
from cerebro.proving.estate.topology import ASYNC, CACHE, DATABASE, EXTERNAL, QUEUE, SERVICE, SYNC, WORKER, Topology
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, SeriesType, no_series, series_id

GAUGE, COUNTER, HISTOGRAM = SeriesType.GAUGE, SeriesType.COUNTER, SeriesType.HISTOGRAM
Labels = dict[str, str]
BOUND_TEXTS = (*(f"{bound:g}" for bound in BOUNDS_S), "+Inf")

PROCESS = (
    (Node.CPU_S, "process.cpu.time", COUNTER, "s"),
    (Node.CPU, "process.cpu.utilization", GAUGE, "1"),
    (Node.MEMORY, "process.memory.usage", GAUGE, "By"),
    (Node.MEMORY_SHARE, "k8s.container.memory_limit_utilization", GAUGE, "1"),
    (Node.FILES, "process.open_file_descriptor.count", GAUGE, "{file_descriptor}"),
    (Node.FILES_MAX, "process.open_file_descriptor.limit", GAUGE, "{file_descriptor}"),
    (Node.THREADS, "process.thread.count", GAUGE, "{thread}"),
    (Node.REPLICAS, "k8s.deployment.available_pods", GAUGE, "{pod}"),
    (Node.RESTARTS, "k8s.container.restart.count", COUNTER, "{restart}"),
    (Node.RECEIVED, "process.network.io", COUNTER, "By"),
    (Node.GC_S, "process.runtime.gc.duration", COUNTER, "s"),
    (Node.JOBS, "k8s.cronjob.active_jobs", GAUGE, "{job}"),
)
CALLER = (
    (Node.ACTIVE, "http.server.active_requests", GAUGE, "{request}"),
    (Node.POOL_USED, "db.client.connection.count", GAUGE, "{connection}"),
    (Node.POOL_MAX, "db.client.connection.max", GAUGE, "{connection}"),
    (Node.POOL_WAITING, "db.client.connection.pending_requests", GAUGE, "{request}"),
    (Node.TIMEOUTS, "db.client.connection.timeouts", COUNTER, "{timeout}"),
    (Node.RETRIES, "http.client.request.retries", COUNTER, "{retry}"),
)
STORE = (
    (Node.SESSIONS, "postgresql.backends", GAUGE, "{connection}"),
    (Node.COMMITS, "postgresql.commits", COUNTER, "{commit}"),
    (Node.ROLLBACKS, "postgresql.rollbacks", COUNTER, "{rollback}"),
    (Node.DEADLOCKS, "postgresql.deadlocks", COUNTER, "{deadlock}"),
    (Node.LOCKS, "postgresql.database.locks", GAUGE, "{lock}"),
    (Node.ROWS, "postgresql.tup_fetched", COUNTER, "{tuple}"),
    (Node.LAG_S, "postgresql.wal.lag", GAUGE, "s"),
    (Node.SEQUENTIAL, "postgresql.sequential_scans", COUNTER, "{sequential_scan}"),
    (Node.OLDEST_S, "pg_stat_activity_max_tx_duration", GAUGE, "s"),
    (Node.JOBS, "k8s.cronjob.active_jobs", GAUGE, "{job}"),
    (Node.DISK_SHARE, "system.filesystem.utilization", GAUGE, "1"),
    (Node.DISK_S, "system.disk.operation_time", COUNTER, "s"),
    (Node.MEMORY_SHARE, "system.memory.utilization", GAUGE, "1"),
)
CACHED = (
    (Node.SESSIONS, "redis.clients.connected", GAUGE, "{client}"),
    (Node.HITS, "redis.keyspace.hits", COUNTER, "{hit}"),
    (Node.MISSES, "redis.keyspace.misses", COUNTER, "{miss}"),
    (Node.EVICTED, "redis.keys.evicted", COUNTER, "{key}"),
    (Node.MEMORY, "redis.memory.used", GAUGE, "By"),
)
QUEUED = (
    (Node.DEPTH, "messaging.queue.depth", GAUGE, "{message}"),
    (Node.AGE_S, "messaging.queue.oldest_message.age", GAUGE, "s"),
    (Node.PUBLISHED, "messaging.queue.published", COUNTER, "{message}"),
    (Node.CONSUMED, "messaging.queue.consumed", COUNTER, "{message}"),
    (Node.REDELIVERED, "messaging.queue.redelivered", COUNTER, "{message}"),
)
MACHINE = (
    (Host.CPU, "system.cpu.utilization", GAUGE, "1"),
    (Host.MEMORY, "system.memory.utilization", GAUGE, "1"),
    (Host.LOAD, "system.cpu.load_average.1m", GAUGE, "{thread}"),
    (Host.DISK_SHARE, "system.filesystem.utilization", GAUGE, "1"),
    (Host.DISK_S, "system.disk.operation_time", COUNTER, "s"),
    (Host.DISK_BYTES, "system.disk.io", COUNTER, "By"),
    (Host.RECEIVED, "system.network.io", COUNTER, "By"),
    (Host.SENT, "system.network.io.transmit", COUNTER, "By"),
    (Host.DROPPED, "system.network.packet.dropped", COUNTER, "{packet}"),
    (Host.FOREIGN_S, "namedprocess_namegroup_cpu_seconds_total", COUNTER, "s"),
)
CLIENT = (
    (Edge.SUM, "http.client.request.duration_sum", HISTOGRAM, "s"),
    (Edge.COUNT, "http.client.request.duration_count", HISTOGRAM, "{request}"),
    (Edge.FAILED, "http.client.request.failed", COUNTER, "{request}"),
)
WIRE = (  # of a watcher in the system's kernel, beside each process
    (Edge.RETRANSMITTED, "container_net_tcp_retransmits_total", COUNTER, "{segment}"),
    (Edge.ROUND_TRIP_S, "container_net_latency_seconds", GAUGE, "s"),
)
REPLICA = (
    (Replica.CPU, "process.cpu.utilization", GAUGE, "1"),
    (Replica.MEMORY, "process.memory.usage", GAUGE, "By"),
    (Replica.ACTIVE, "http.server.active_requests", GAUGE, "{request}"),
)


@dataclass(frozen=True)
class Named:
    """One series: where its values stand, and what it is called."""

    table: int  # 0 node, 1 edge, 2 host, 3 replica
    row: int
    column: int
    metric: str
    labels: Labels
    type: SeriesType
    unit: str
    entity: tuple[str, str]


class SeriesBook:
    """Every series of an estate in columns, and how samples are taken out of what was measured.

    Args:
        topology: The estate.
        replicas: Those of its services that are shown one by one.
        interval_s: Between two samples of one series; each node is looked at in its own moment of it.
        seed: Of those moments.
    """

    def __init__(self, topology: Topology, replicas: Replicas, interval_s: float, seed: int) -> None:
        self.named = (*_named(topology), *_of_replicas(topology, replicas))
        self.table = _series_table(self.named)
        self.hi = self.table.column("hi").to_numpy()
        self.lo = self.table.column("lo").to_numpy()
        counts = (len(topology.names), len(topology.source), len(topology.hosts), len(replicas.node))
        widths = (NODE_COUNT, len(Edge), len(Host), len(Replica))
        starts = np.cumsum([0, *(count * width for count, width in zip(counts, widths, strict=True))])
        self._place = np.array([starts[s.table] + s.row * widths[s.table] + s.column for s in self.named])
        chance = np.random.default_rng([seed, 5])
        late_ms = [chance.integers(0, round(interval_s * 1000), count) for count in counts]
        late_ms[1] = late_ms[0][topology.source]
        self._late_ms = np.array([late_ms[s.table][s.row] for s in self.named], np.int64)
        owner = [(s.row, topology.source[s.row] if s.table == 1 else -1, -1, -1)[s.table] for s in self.named]
        self._owner = np.array(owner, np.int64)
        self._told = False

    def values(self, measured: Measured) -> NDArray[np.float64]:
        """The value of each series at each tick, float64, (tick, series); NaN where none was sent."""
        ticks = len(measured.at_ms)
        tables = (measured.node, measured.edge, measured.host, measured.replica)
        flat = np.concatenate([table.reshape(ticks, -1) for table in tables], 1)
        value = flat[:, self._place]
        absent = measured.node[:, :, Node.PRESENT] == 0.0
        if absent.any():
            value[(self._owner >= 0) & absent[:, np.maximum(self._owner, 0)]] = np.nan
        return value

    def samples(self, measured: Measured) -> SampleBatch:
        """What the exporters sent: rows in time order of ticks; the first batch names every series."""
        value = self.values(measured)
        ticks, count = value.shape
        at_ms = measured.at_ms[:, None] - self._late_ms[None, :]
        hi, lo = (np.broadcast_to(column, (ticks, count)).reshape(-1) for column in (self.hi, self.lo))
        at_ms, value = at_ms.reshape(-1), value.reshape(-1)
        sent = ~np.isnan(value)
        if not sent.all():
            hi, lo, at_ms, value = hi[sent], lo[sent], at_ms[sent], value[sent]
        series, self._told = (no_series() if self._told else self.table), True
        return SampleBatch(hi, lo, at_ms, value, series)


def _named(topology: Topology) -> Iterator[Named]:
    for row, name in enumerate(topology.names):
        kind = topology.kind[row]
        if kind == EXTERNAL:
            continue  # what is not ours tells nothing of itself
        labels = {"service.name": name, "service.namespace": "estate"}
        if topology.host[row] >= 0:
            labels["host.name"] = topology.hosts[topology.host[row]]
        groups = {DATABASE: (STORE, PROCESS[:2]), CACHE: (CACHED, PROCESS[:2]), QUEUE: (QUEUED,)}.get(
            kind, (PROCESS, CALLER)
        )
        for column, metric, type_, unit in (each for group in groups for each in group):
            yield Named(0, row, int(column), metric, labels, type_, unit, ("service", name))
        if kind != QUEUE:
            yield from _histogram(row, kind, labels, _route(topology, row))
    for row in range(len(topology.source)):
        source, target = topology.source[row], topology.target[row]
        if topology.mode[row] == SYNC:
            own = {"service.name": topology.names[source], "service.namespace": "estate"}
            for group, address in ((CLIENT, "server.address"), (WIRE, "destination")):
                labels = own | {address: topology.names[target]}
                for edge_column, metric, type_, unit in group:
                    yield Named(1, row, int(edge_column), metric, labels, type_, unit, ("service", own["service.name"]))
    for row, name in enumerate(topology.hosts):
        for host_column, metric, type_, unit in MACHINE:
            labels = {"host.name": name} | ({"groupname": "other"} if host_column == Host.FOREIGN_S else {})
            yield Named(2, row, int(host_column), metric, labels, type_, unit, ("host", name))


def _of_replicas(topology: Topology, replicas: Replicas) -> Iterator[Named]:
    """What each replica shows under its own `service.instance.id`; latency as sum and count alone."""
    for row, (node, number) in enumerate(zip(replicas.node.tolist(), replicas.number.tolist(), strict=True)):
        name, entity = topology.names[node], ("service", topology.names[node])
        labels = {"service.name": name, "service.namespace": "estate", "service.instance.id": f"{name}-{number}"}
        for column, metric, type_, unit in REPLICA:
            yield Named(3, row, int(column), metric, labels, type_, unit, entity)
        metric, mark, _ = _latency_name(SERVICE, _route(topology, node))
        yield Named(3, row, int(Replica.SUM_S), f"{metric}_sum", labels | mark, HISTOGRAM, "s", entity)
        yield Named(3, row, int(Replica.COUNT), f"{metric}_count", labels | mark, HISTOGRAM, "{request}", entity)


def _route(topology: Topology, row: int) -> str:
    """What a thing serves: a path, or the queue that a worker takes from."""
    if topology.kind[row] != WORKER:
        return topology.routes[row]
    queue = int(topology.source[(topology.target == row) & (topology.mode == ASYNC)][0])
    return topology.names[queue]


def _histogram(row: int, kind: int, labels: Labels, route: str) -> Iterator[Named]:
    """The latency of what was served, with buckets; of what failed, sum and count alone."""
    entity = ("service", labels["service.name"])
    metric, mark, failed = _latency_name(kind, route)
    fine = labels | mark
    for place, bound in enumerate(BOUND_TEXTS):
        yield Named(
            0, row, Node.BUCKET + place, f"{metric}_bucket", fine | {"le": bound}, HISTOGRAM, "{request}", entity
        )
    yield Named(0, row, int(Node.SUM), f"{metric}_sum", fine, HISTOGRAM, "s", entity)
    yield Named(0, row, int(Node.COUNT), f"{metric}_count", fine, HISTOGRAM, "{request}", entity)
    yield Named(0, row, int(Node.FAILED_SUM), f"{metric}_sum", fine | failed, HISTOGRAM, "s", entity)
    yield Named(0, row, int(Node.FAILED_COUNT), f"{metric}_count", fine | failed, HISTOGRAM, "{request}", entity)


def _latency_name(kind: int, route: str) -> tuple[str, Labels, Labels]:
    if kind in (DATABASE, CACHE):
        return "db.server.operation.duration", {"db.system.name": "postgresql" if kind == DATABASE else "redis"}, {
            "error.type": "failed"
        }  # fmt: skip
    if kind == WORKER:
        fine = {"messaging.system": "nats", "messaging.destination.name": route}
        return "messaging.process.duration", fine, {"error.type": "failed"}
    fine = {"http.route": route, "http.response.status_code": "200"}
    return "http.server.request.duration", fine, {"http.response.status_code": "500", "error.type": "500"}


def _series_table(named: Sequence[Named]) -> pa.Table:
    ids = [series_id(each.metric, each.labels) for each in named]
    columns = (
        [hi for hi, _ in ids], [lo for _, lo in ids], [each.metric for each in named],
        [sorted(each.labels.items()) for each in named], [each.type.value for each in named],
        [each.unit for each in named], [each.entity[0] for each in named], [each.entity[1] for each in named],
    )  # fmt: skip
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SERIES_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SERIES_SCHEMA)
