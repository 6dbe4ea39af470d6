"""What an estate is made of: services in layers, the stores and queues they share, the hosts they run on.

Every part is a *node* with a queue before it. Nodes stand in calling order: an edge goes from a
lower place to a higher one, so that there is no cycle and one pass each way solves the graph.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid

SERVICES_MIN, SERVICES_MAX = 5, 500
SERVICE, WORKER, QUEUE, CACHE, DATABASE, EXTERNAL = range(6)
KIND_NAMES = ("service", "worker", "queue", "cache", "database", "external")
SYNC, ASYNC = 0, 1
CALLS_MAX = 1.8  # of other services, for one request of a service

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_ENTRY = ("gateway", "mobile-api", "partner-api", "admin-api")
_NOUNS = (
    "cart", "checkout", "catalogue", "payment", "account", "search", "recommendation", "inventory", "shipping",
    "pricing", "review", "loyalty", "invoice", "session", "profile", "order", "promotion", "media", "address", "tax",
    "fraud", "notification", "wishlist", "basket", "stock", "returns", "ledger", "coupon", "ranking", "feed",
)  # fmt: skip
_ROUTES = ("/", "/api/items", "/api/items/{id}", "/api/orders", "/api/search", "/api/me")
_OUTSIDE = ("card-scheme", "sms-supplier", "map-supplier", "tax-office")


@dataclass(frozen=True)
class Topology:
    """The parts and who calls whom; all columns of one kind have the same length."""

    names: tuple[str, ...]  # (node,)
    kind: Places
    layer: Places
    host: Places  # (node,), into `hosts`; -1 for what runs elsewhere
    hosts: tuple[str, ...]
    entry_share: Floats  # (node,): its part of the users' requests; sums to 1
    service_s: Floats  # seconds of a core for one request
    wait_s: Floats  # seconds of one request that need no core
    spread: Floats  # sigma of the lognormal time of one request
    cores: Floats  # of one replica
    threads: Floats  # of one replica
    replicas: Floats
    scales: Places  # 1 where an autoscaler watches over it
    memory_bytes: Floats  # limit of one replica
    memory_share: Floats  # of it used at rest
    hit_ratio: Floats  # of a cache
    source: Places  # (edge,)
    target: Places
    mode: Places  # SYNC or ASYNC
    calls: Floats  # of the target for one request of the source
    timeout_s: Floats
    retries: Floats
    pool: Floats  # connections of one replica of the source
    vital: Floats  # 1 where the source fails when the target does
    behind_cache: Places  # (edge,): the cache whose misses this edge carries, -1 for none
    users_per_s: float  # mean requests a second of all users
    routes: tuple[str, ...]  # (node,)
    code: tuple[str, ...]  # (node,): language of its runtime

    def entity(self, node: int) -> EntityKey:
        """The node as Cerebro knows it: whatever sends a `service.name` is a service, what is not ours is outside."""
        return EntityKey("external" if self.kind[node] == EXTERNAL else "service", self.names[node])

    def place(self, key: EntityKey) -> int:
        """The node of that name.

        Raises:
            Invalid: There is none.
        """
        if key.kind not in ("service", "external") or key.name not in self.names:
            known = ", ".join(f"service/{name}" for name in self.names[:20])
            raise Invalid(f"The estate has no {key.text!r}.", f"It has {known} …")
        return self.names.index(key.name)


def make_topology(service_count: int, seed: int) -> Topology:
    """An estate of that many services, with stores and hosts to match; the same for the same seed.

    Raises:
        Invalid: The count is out of bounds.
    """
    if not SERVICES_MIN <= service_count <= SERVICES_MAX:
        raise Invalid(
            f"An estate has {SERVICES_MIN} to {SERVICES_MAX} services, not {service_count}.", "Write --services 50."
        )
    chance = np.random.default_rng([seed, 1])
    return _Builder(service_count, chance).build()


class _Builder:
    """Draws the parts one after another; its chance is drawn from in a fixed order."""

    def __init__(self, service_count: int, chance: np.random.Generator) -> None:
        self.chance = chance
        self.layers = 3 if service_count < 12 else 4 if service_count < 60 else 5
        self.names: list[str] = []
        self.kinds: list[int] = []
        self.layer_of: list[int] = []
        self.edges: list[tuple[int, int, int, float, float, int, float, float, int]] = []
        self._add_nodes(service_count)
        self._add_edges()

    def _node(self, name: str, kind: int, layer: int) -> None:
        self.names.append(name)
        self.kinds.append(kind)
        self.layer_of.append(layer)

    def _add_nodes(self, service_count: int) -> None:
        """Entries, inner services by layer, queues, workers, caches, databases, outside suppliers: calling order."""
        chance = self.chance
        entry_count = 1 + (service_count >= 20) + (service_count >= 100)
        worker_count = max(1, service_count // 12)
        inner_count = service_count - entry_count - worker_count
        weights = np.array([2.0, 3.0, 2.5, 1.5][: self.layers - 1])
        edges = np.round(np.cumsum(weights) / weights.sum() * inner_count).astype(int)
        for k in range(entry_count):
            self._node(_ENTRY[k], SERVICE, 0)
        order = chance.permutation(len(_NOUNS))
        for k in range(inner_count):
            noun = _NOUNS[order[k % len(_NOUNS)]]
            name = noun if k < len(_NOUNS) else f"{noun}-{k // len(_NOUNS) + 1}"
            self._node(name, SERVICE, 1 + int(np.searchsorted(edges, k, side="right")))
        below = self.layers
        for k in range(worker_count):
            self._node(f"jobs-{k + 1}", QUEUE, below)
        for k in range(worker_count):
            self._node(f"worker-{k + 1}", WORKER, below + 1)
        for k in range(max(1, service_count // 10)):
            self._node(f"redis-{k + 1}", CACHE, below + 2)
        for k in range(max(1, service_count // 6)):
            self._node(f"postgres-{k + 1}", DATABASE, below + 3)
        for k in range(1 + (service_count >= 15) + (service_count >= 60) + (service_count >= 200)):
            self._node(_OUTSIDE[k], EXTERNAL, below + 4)

    def _of(self, kind: int) -> list[int]:
        return [node for node, each in enumerate(self.kinds) if each == kind]

    def _edge(
        self, source: int, target: int, calls: float, timeout_s: float, *,
        mode: int = SYNC, retries: int = 2, pool: float = 0.0, vital: float = 1.0, cache: int = -1,
    ) -> None:  # fmt: skip
        if all((source, target) != edge[:2] for edge in self.edges):
            self.edges.append((source, target, mode, calls, timeout_s, retries, pool, vital, cache))

    def _add_edges(self) -> None:
        """Every service is called by one in a layer above; busy ones are called by more (preferential attachment)."""
        chance = self.chance
        services = self._of(SERVICE)
        called = np.ones(len(self.names))
        for node in services:
            above = [k for k in services if self.layer_of[k] == self.layer_of[node] - 1]
            if above:
                self._call(above[int(chance.integers(len(above)))], node)
        for node in services:
            below = [k for k in services if self.layer_of[k] > self.layer_of[node]]
            for _ in range(min(len(below), int(chance.geometric(0.6)) - 1)):
                weights = called[below] / called[below].sum()
                target = below[int(chance.choice(len(below), p=weights))]
                called[target] += 1.0
                self._call(node, target)
        self._add_stores(services)
        self._add_queues(services)
        self._add_suppliers(services)

    def _call(self, source: int, target: int) -> None:
        chance = self.chance
        self._edge(
            source, target, float(chance.choice([0.3, 0.5, 0.8, 1.0, 1.3])),
            float(chance.choice([1.0, 2.0, 3.0])), retries=int(chance.choice([0, 1, 2], p=[0.3, 0.4, 0.3])),
            pool=float(chance.choice([32, 64, 128])), vital=float(chance.random() < 0.75),
        )  # fmt: skip

    def _add_stores(self, services: list[int]) -> None:
        """Two of three inner services keep something; stores are shared, and some are asked through a cache."""
        chance, stores, caches = self.chance, self._of(DATABASE), self._of(CACHE)
        users = [node for node in services if self.layer_of[node] > 0] + self._of(WORKER)
        for k, node in enumerate(users):
            if k >= len(stores) and chance.random() > 0.66:
                continue
            store = stores[k % len(stores)]
            cache = caches[int(chance.integers(len(caches)))] if k < len(caches) or chance.random() < 0.4 else -1
            calls = float(chance.choice([1.0, 1.5, 2.0, 3.0]))
            if cache >= 0:
                calls *= 3.0  # what is cached is asked for often
                self._edge(node, cache, calls, 0.25, retries=0, pool=32, vital=0.0)
            self._edge(node, store, calls, 2.0, retries=1, pool=float(chance.choice([10, 20, 30])), cache=cache)

    def _add_queues(self, services: list[int]) -> None:
        chance = self.chance
        senders = [node for node in services if self.layer_of[node] > 0]
        for queue, worker in zip(self._of(QUEUE), self._of(WORKER), strict=True):
            for node in chance.choice(senders, min(2, len(senders)), replace=False):
                self._edge(int(node), queue, float(chance.choice([0.2, 0.4])), 1.0, mode=ASYNC, vital=0.0)
            self._edge(queue, worker, 1.0, 30.0, mode=ASYNC, retries=0, vital=0.0)

    def _add_suppliers(self, services: list[int]) -> None:
        chance = self.chance
        inner = [node for node in services if self.layer_of[node] > 0]
        for supplier in self._of(EXTERNAL):
            for node in chance.choice(inner, min(1 + len(inner) // 40, len(inner)), replace=False):
                self._edge(int(node), supplier, 0.5, 5.0, retries=1, pool=32)

    def build(self) -> Topology:
        """Size every part for the load that reaches it: busy at a fifth to a third on a usual day."""
        chance, count = self.chance, len(self.names)
        kind, layer = np.array(self.kinds), np.array(self.layer_of)
        edges = sorted(self.edges)
        source, target, mode, calls, timeout_s, retries, pool, vital, cache = (
            np.array(column) for column in zip(*edges, strict=True)
        )
        calls = _bounded(calls, source, (kind[source] == SERVICE) & (kind[target] == SERVICE))
        entry_share = np.where((kind == SERVICE) & (layer == 0), chance.uniform(0.5, 1.5, count), 0.0)
        entry_share[0] += 2.0
        entry_share /= entry_share.sum()
        hit_ratio = np.where(kind == CACHE, chance.uniform(0.93, 0.98, count), 0.0)
        users_per_s = 40.0 + 4.0 * count**0.8
        load = _usual_load(entry_share * users_per_s, source, target, calls, cache, hit_ratio)

        def pick(values: list[float]) -> Floats:
            """One column, by kind."""
            column: Floats = np.array(values)[kind]
            return column

        service_s = pick([0.004, 0.02, 0.0001, 0.0001, 0.0012, 0.02]) * chance.lognormal(0.0, 0.4, count)
        wait_s = pick([0.004, 0.03, 0.0005, 0.0004, 0.0008, 0.12]) * chance.lognormal(0.0, 0.4, count)
        need = load * service_s / chance.uniform(0.18, 0.34, count)
        alone = np.isin(kind, (QUEUE, CACHE, DATABASE, EXTERNAL))
        replicas = np.where(alone, 1.0, np.maximum(2.0, np.ceil(need)))
        least = pick([0.1, 0.1, 0.5, 0.5, 0.25, 64.0])
        cores = np.maximum(least, np.ceil(need / replicas * 20.0) / 20.0)
        runs_here = kind != EXTERNAL
        host_count = max(3, int(np.ceil(runs_here.sum() / 8)))
        host = np.where(runs_here, chance.integers(0, host_count, count), -1)
        return Topology(
            names=tuple(self.names), kind=kind, layer=layer, host=host,
            hosts=tuple(f"node-{k + 1}" for k in range(host_count)), entry_share=entry_share,
            service_s=service_s, wait_s=wait_s, spread=chance.uniform(0.55, 0.95, count), cores=cores,
            threads=np.ceil(pick([48.0, 8.0, 400.0, 400.0, 100.0, 4000.0])
                            + np.where(alone, load * (service_s + wait_s) * 6, 0.0)),
            replicas=replicas, scales=((kind == SERVICE) & (chance.random(count) < 0.6)).astype(np.int64),
            memory_bytes=pick([1.0, 1.0, 4.0, 4.0, 16.0, 64.0]) * 2.0**30,
            memory_share=chance.uniform(0.3, 0.6, count), hit_ratio=hit_ratio,
            source=source, target=target, mode=mode, calls=calls, timeout_s=timeout_s,
            retries=retries.astype(np.float64), pool=pool, vital=vital, behind_cache=cache, users_per_s=users_per_s,
            routes=tuple(_ROUTES[k] for k in chance.integers(0, len(_ROUTES), count)),
            code=tuple(("java", "go", "python", "nodejs")[k] for k in chance.integers(0, 4, count)),
        )  # fmt: skip


def _bounded(calls: Floats, source: Places, inner: NDArray[np.bool_]) -> Floats:
    """The calls, none of a service's to others adding up to more than `CALLS_MAX`: a request's tree stays small."""
    total = np.bincount(source[inner], calls[inner], source.max() + 1)[source]
    return np.where(inner, calls * np.minimum(1.0, CALLS_MAX / np.maximum(total, 1e-9)), calls)


def _usual_load(  # noqa: PLR0917  columns of one topology
    entering: Floats, source: Places, target: Places, calls: Floats, cache: Places, hit_ratio: Floats
) -> Floats:
    """Requests a second that reach each node on a usual day, float64, (node,)."""
    load = entering.copy()
    for edge in range(len(source)):  # edges are sorted by source, and sources stand in calling order
        missed = 1.0 - hit_ratio[cache[edge]] if cache[edge] >= 0 else 1.0
        load[target[edge]] += load[source[edge]] * calls[edge] * missed
    return load
