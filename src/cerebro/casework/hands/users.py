"""Where the hands look for what users feel: in the telemetry store, or among the samples of a simulation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.casework.hands.felt import (
    ADDRESS,
    LOOK_BACK_MS,
    METRICS,
    NO_SAMPLES,
    Felt,
    Measure,
    Samples,
    felt_of,
    replica_measures,
)
from cerebro.casework.playbooks.read import shipped
from cerebro.kernel.clock import Clock
from cerebro.kernel.telemetry.port import Telemetry, Window
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import SampleBatch

SERIES_MAX = 2000
EXTERNAL, CACHE = "external", "cache"
NATURES_MAX = 10_000  # that are kept, of all tenants; the one asked longest ago is then asked anew
NATURE_KEPT_S = 300.0
EXTERNAL_KEPT_S = 30.0  # who has told nothing of itself yet may do so in a moment
PROBED = frozenset(probe.metric for playbook in shipped().values() for probe in playbook.trigger.probes)
KEEP_MS = 1_200_000
Columns = tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]  # hi ^ lo, at_ms, value
# The first that fits: a program's own names go before what every store tells, a cache as well.
NATURES = (
    ("postgresql.", "database"), ("mysql.", "database"), ("pg_", "database"),
    ("redis.", CACHE), ("redis_", CACHE), ("memcached", CACHE), ("messaging.queue.", "queue"),
    ("rabbitmq", "queue"), ("db.server.", "database"),
)  # fmt: skip

MEASURES = """
SELECT hi, lo, metric, labels, type, entity_kind, entity_name
FROM (
    SELECT hi, lo, anyLast(metric) AS metric, anyLast(labels) AS labels, anyLast(type) AS type,
        anyLast(entity_kind) AS entity_kind, anyLast(entity_name) AS entity_name
    FROM series
    WHERE tenant = {tenant:String} AND has({metrics:Array(String)}, series.metric)
    GROUP BY hi, lo
)
WHERE has({names:Array(String)}, entity_name)
   OR has({names:Array(String)}, splitByChar(':', labels['server.address'])[1])
   OR has({names:Array(String)}, splitByChar(':', labels['server_address'])[1])
LIMIT {limit:UInt32}
"""

GAUGES = """
SELECT s.metric AS metric, max(v.value) AS value
FROM samples AS v
INNER JOIN (
    SELECT hi, lo, any(metric) AS metric FROM series
    WHERE tenant = {tenant:String} AND entity_kind = {kind:String} AND entity_name = {name:String}
      AND has({metrics:Array(String)}, series.metric)
    GROUP BY hi, lo
) AS s ON v.hi = s.hi AND v.lo = s.lo
WHERE v.tenant = {tenant:String} AND v.hour >= toStartOfHour(now() - INTERVAL 2 MINUTE)
  AND v.at >= now() - INTERVAL 2 MINUTE
GROUP BY s.metric
"""

# Of many entities, each in a time of its own.
GAUGES_THEN = """
SELECT w.place AS place, s.metric AS metric, max(v.value) AS value
FROM samples AS v
INNER JOIN (
    SELECT hi, lo, any(metric) AS metric, any(concat(entity_kind, '/', entity_name)) AS entity FROM series
    WHERE tenant = {tenant:String} AND has({metrics:Array(String)}, series.metric)
      AND has({entities:Array(String)}, concat(entity_kind, '/', entity_name))
    GROUP BY hi, lo
) AS s ON v.hi = s.hi AND v.lo = s.lo
INNER JOIN (
    SELECT each.1 AS place, each.2 AS entity, each.3 AS start_ms, each.4 AS end_ms
    FROM (SELECT arrayJoin(arrayZip({places:Array(UInt32)}, {entities:Array(String)}, {starts:Array(Int64)},
                                    {ends:Array(Int64)})) AS each)
) AS w ON w.entity = s.entity
WHERE v.tenant = {tenant:String}
  AND has(arrayMap(at -> toStartOfHour(fromUnixTimestamp64Milli(at)), arrayConcat({starts:Array(Int64)},
                                                                                {ends:Array(Int64)})), v.hour)
  AND toUnixTimestamp64Milli(v.at) BETWEEN w.start_ms AND w.end_ms
GROUP BY place, metric
"""

METRICS_OF_ALL = """
SELECT entity_kind, entity_name, groupUniqArray(500)(metric) AS metrics FROM series
WHERE tenant = {tenant:String} AND has({entities:Array(String)}, concat(entity_kind, '/', entity_name))
GROUP BY entity_kind, entity_name
"""

METRICS_OF = """
SELECT DISTINCT metric FROM series
WHERE tenant = {tenant:String} AND entity_kind = {kind:String} AND entity_name = {name:String}
LIMIT 500
"""

# What others call, and what tells nothing of itself, is not ours.
CALLED_ONLY = """
SELECT
    (SELECT count() FROM series WHERE tenant = {tenant:String}
        AND {name:String} IN (labels['server.address'], labels['server_address'])) AS called,
    (SELECT count() FROM spans WHERE tenant = {tenant:String} AND service = {name:String}
        AND hour >= now() - INTERVAL 1 DAY) AS own
"""


CALLED_ONLY_ALL = """
SELECT DISTINCT arrayJoin([labels['server.address'], labels['server_address']]) AS name, 1 AS called FROM series
WHERE tenant = {tenant:String} AND has({names:Array(String)}, name)
UNION ALL
SELECT DISTINCT service AS name, 0 AS called FROM spans
WHERE tenant = {tenant:String} AND has({names:Array(String)}, service) AND hour >= now() - INTERVAL 1 DAY
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """An entity in a stretch of time."""

    entity: EntityKey
    start_ms: int
    end_ms: int


class Users(Protocol):
    """What users feel, and what an entity is."""

    async def felt(self, tenant: TenantId, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, Felt]:
        """Of every entity of these names, as `felt_of` gives it."""
        ...

    async def felt_by_operation(
        self, tenant: TenantId, names: Sequence[str], start_ms: int, end_ms: int
    ) -> Mapping[str, Felt]:
        """The same, of each kind of requests for itself."""
        ...

    async def felt_of_replica(
        self, tenant: TenantId, entity: EntityKey, replica: str, start_ms: int, end_ms: int
    ) -> Felt:
        """Of one replica, by what it serves itself; nothing where no series tells replicas apart."""
        ...

    async def gauges(self, tenant: TenantId, entity: EntityKey, metrics: Sequence[str]) -> Mapping[str, float]:
        """The greatest present value of each of these metrics of the entity; none for those it does not send."""
        ...

    async def nature(self, tenant: TenantId, entity: EntityKey) -> str:
        """database, cache, queue, external, or the entity's own kind, by the metrics it sends."""
        ...


class StoredUsers:
    """Asks the telemetry store; what an entity is, now and then.

    Args:
        telemetry: Of all tenants.
        clock: That what is kept grows old by.
    """

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._telemetry, self._clock = telemetry, clock
        self._natures: dict[tuple[TenantId, EntityKey], tuple[str, float]] = {}  # with the moment it was asked for

    async def felt(self, tenant: TenantId, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, Felt]:
        """As the port says."""
        return await self._felt(tenant, await self._measures(tenant, names), start_ms, end_ms)

    async def felt_by_operation(
        self, tenant: TenantId, names: Sequence[str], start_ms: int, end_ms: int
    ) -> Mapping[str, Felt]:
        """As the port says."""
        return await self._felt(tenant, await self._measures(tenant, names), start_ms, end_ms, by_operation=True)

    async def felt_of_replica(
        self, tenant: TenantId, entity: EntityKey, replica: str, start_ms: int, end_ms: int
    ) -> Felt:
        """As the port says."""
        chosen = replica_measures(await self._measures(tenant, [entity.name]), entity, replica)
        return (await self._felt(tenant, chosen, start_ms, end_ms)).get(entity.text, Felt())

    async def _measures(self, tenant: TenantId, names: Sequence[str]) -> list[Measure]:
        parameters = {"tenant": tenant, "metrics": list(METRICS), "names": list(names), "limit": SERIES_MAX}
        rows = (await self._telemetry.query(MEASURES, parameters)).to_pylist()
        return [
            Measure(
                row["hi"], row["lo"], row["metric"], dict(row["labels"]),
                EntityKey(row["entity_kind"], row["entity_name"]), row["type"],
            )
            for row in rows
        ]  # fmt: skip

    async def _felt(
        self, tenant: TenantId, measures: Sequence[Measure], start_ms: int, end_ms: int, *, by_operation: bool = False
    ) -> Mapping[str, Felt]:
        keys = [(each.hi, each.lo) for each in measures]
        found = await self._telemetry.samples(tenant, keys, Window(start_ms - LOOK_BACK_MS, end_ms)) if keys else {}
        columns = _columns([found.get(key) for key in keys])
        return felt_of(measures, columns, start_ms, end_ms, by_operation=by_operation)

    async def gauges(self, tenant: TenantId, entity: EntityKey, metrics: Sequence[str]) -> Mapping[str, float]:
        """As the port says."""
        parameters = {"tenant": tenant, "kind": entity.kind, "name": entity.name, "metrics": list(metrics)}
        rows = (await self._telemetry.query(GAUGES, parameters)).to_pylist()
        return {row["metric"]: row["value"] for row in rows}

    async def gauges_then(
        self, tenant: TenantId, moments: Sequence[Moment], metrics: Sequence[str]
    ) -> Sequence[Mapping[str, float]]:
        """The greatest value of each of these metrics in each moment, all asked at once."""
        parameters = {
            "tenant": tenant,
            "metrics": list(metrics),
            "places": list(range(len(moments))),
            "entities": [each.entity.text for each in moments],
            "starts": [each.start_ms for each in moments],
            "ends": [each.end_ms for each in moments],
        }
        found: list[dict[str, float]] = [{} for _ in moments]
        for row in (await self._telemetry.query(GAUGES_THEN, parameters)).to_pylist():
            found[row["place"]][row["metric"]] = row["value"]
        return found

    async def natures(self, tenant: TenantId, entities: Iterable[EntityKey]) -> Mapping[EntityKey, str]:
        """As `nature`, of many at once."""
        wanted = sorted(set(entities))
        known = {each: nature for each in wanted if (nature := self._kept(tenant, each)) is not None}
        if unknown := [each for each in wanted if each not in known]:
            parameters = {"tenant": tenant, "entities": [each.text for each in unknown]}
            rows = (await self._telemetry.query(METRICS_OF_ALL, parameters)).to_pylist()
            sent = {EntityKey(row["entity_kind"], row["entity_name"]): row["metrics"] for row in rows}
            found = {each: nature_of(each, sent.get(each, ())) for each in unknown}
            outside = await self._outside(tenant, [each.name for each in unknown if found[each] == EXTERNAL])
            for each, nature in found.items():
                ours = nature == EXTERNAL and each.name not in outside
                known[each] = self._keep(tenant, each, each.kind if ours else nature)
        return known

    async def _outside(self, tenant: TenantId, names: list[str]) -> set[str]:
        """Those of the names that others call and that tell nothing of themselves."""
        if not names:
            return set()
        rows = (await self._telemetry.query(CALLED_ONLY_ALL, {"tenant": tenant, "names": names})).to_pylist()
        own = {row["name"] for row in rows if not row["called"]}
        return {row["name"] for row in rows if row["called"]} - own

    async def nature(self, tenant: TenantId, entity: EntityKey) -> str:
        """As the port says."""
        found = self._kept(tenant, entity)
        if found is None:
            parameters = {"tenant": tenant, "kind": entity.kind, "name": entity.name}
            rows = (await self._telemetry.query(METRICS_OF, parameters)).to_pylist()
            found = nature_of(entity, [row["metric"] for row in rows])
            if found == EXTERNAL:
                (row,) = (await self._telemetry.query(CALLED_ONLY, parameters)).to_pylist()
                found = EXTERNAL if row["called"] and not row["own"] else entity.kind
            self._keep(tenant, entity, found)
        return found

    def _kept(self, tenant: TenantId, entity: EntityKey) -> str | None:
        """What the entity was when it was asked for, if that is not too long ago."""
        nature, asked_s = self._natures.get((tenant, entity), ("", 0.0))
        kept_s = EXTERNAL_KEPT_S if nature == EXTERNAL else NATURE_KEPT_S
        return nature if nature and self._clock.monotonic_s() - asked_s < kept_s else None

    def _keep(self, tenant: TenantId, entity: EntityKey, nature: str) -> str:
        self._natures.pop((tenant, entity), None)  # the newest stands last
        self._natures[tenant, entity] = nature, self._clock.monotonic_s()
        while len(self._natures) > NATURES_MAX:
            self._natures.pop(next(iter(self._natures)))
        return nature


class WatchedUsers:
    """Keeps the samples of requests that it is shown, for a program that has no store."""

    def __init__(self) -> None:
        self._measures: dict[tuple[int, int], Measure] = {}
        self._metrics: dict[EntityKey, set[str]] = {}
        self._ids = np.zeros(0, np.uint64)
        self._kept: list[tuple[int, Columns]] = []  # each batch with its newest moment
        self._probed: dict[int, tuple[EntityKey, str]] = {}
        self._probed_ids = np.zeros(0, np.uint64)
        self._latest: dict[tuple[EntityKey, str], float] = {}

    def note(self, batch: SampleBatch) -> None:
        """Keep what tells of requests."""
        for row in batch.series.to_pylist():
            entity = EntityKey(row["entity_kind"], row["entity_name"])
            self._metrics.setdefault(entity, set()).add(row["metric"])
            if row["metric"] in METRICS:
                key = row["hi"], row["lo"]
                self._measures[key] = Measure(*key, row["metric"], dict(row["labels"]), entity, row["type"])
                self._ids = np.array(sorted({hi ^ lo for hi, lo in self._measures}), np.uint64)
            elif row["metric"] in PROBED:
                self._probed[row["hi"] ^ row["lo"]] = entity, row["metric"]
                self._probed_ids = np.array(sorted(self._probed), np.uint64)
        for place in np.flatnonzero(np.isin(batch.hi ^ batch.lo, self._probed_ids)):
            self._latest[self._probed[int(batch.hi[place] ^ batch.lo[place])]] = float(batch.value[place])
        wanted = np.isin(batch.hi ^ batch.lo, self._ids)
        if wanted.any():
            at_ms = batch.at_ms[wanted]
            newest_ms = int(at_ms.max())
            self._kept.append((newest_ms, ((batch.hi ^ batch.lo)[wanted], at_ms, batch.value[wanted])))
            while len(self._kept) > 1 and self._kept[0][0] < newest_ms - KEEP_MS:
                self._kept.pop(0)

    async def felt(self, tenant: TenantId, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, Felt]:
        """As the port says."""
        return self._felt(names, start_ms, end_ms, by_operation=False)

    async def felt_by_operation(
        self, tenant: TenantId, names: Sequence[str], start_ms: int, end_ms: int
    ) -> Mapping[str, Felt]:
        """As the port says."""
        return self._felt(names, start_ms, end_ms, by_operation=True)

    def _felt(self, names: Sequence[str], start_ms: int, end_ms: int, *, by_operation: bool) -> Mapping[str, Felt]:
        chosen = [each for each in self._measures.values() if _concerns(each, names)]
        samples = self._samples(chosen, start_ms - LOOK_BACK_MS, end_ms)
        return felt_of(chosen, samples, start_ms, end_ms, by_operation=by_operation)

    async def felt_of_replica(
        self, tenant: TenantId, entity: EntityKey, replica: str, start_ms: int, end_ms: int
    ) -> Felt:
        """As the port says."""
        chosen = replica_measures(self._measures.values(), entity, replica)
        samples = self._samples(chosen, start_ms - LOOK_BACK_MS, end_ms)
        return felt_of(chosen, samples, start_ms, end_ms).get(entity.text, Felt())

    async def gauges(self, tenant: TenantId, entity: EntityKey, metrics: Sequence[str]) -> Mapping[str, float]:
        """As the port says."""
        return {metric: self._latest[entity, metric] for metric in metrics if (entity, metric) in self._latest}

    async def nature(self, tenant: TenantId, entity: EntityKey) -> str:
        """As the port says."""
        return nature_of(entity, self._metrics.get(entity, ()))

    def _samples(self, chosen: Sequence[Measure], start_ms: int, end_ms: int) -> Samples:
        kept = [columns for newest_ms, columns in self._kept if newest_ms >= start_ms]
        if not kept or not chosen:
            return NO_SAMPLES
        mark, at_ms, value = (np.concatenate(column) for column in zip(*kept, strict=True))
        wanted = np.array([each.hi ^ each.lo for each in chosen], np.uint64)
        place = np.argsort(wanted)
        of = place[np.minimum(np.searchsorted(wanted, mark, sorter=place), len(wanted) - 1)]
        inside = np.flatnonzero((wanted[of] == mark) & (at_ms >= start_ms) & (at_ms < end_ms))
        inside = inside[np.lexsort((at_ms[inside], of[inside]))]
        return Samples(of[inside], at_ms[inside], value[inside])


def _columns(tables: Sequence[pa.Table | None]) -> Samples:
    """The samples of one measure after the other; none for what has none."""
    found = {place: table for place, table in enumerate(tables) if table is not None and table.num_rows}
    if not found:
        return NO_SAMPLES
    told = pa.concat_tables(found.values())
    of = np.repeat(list(found), [table.num_rows for table in found.values()])
    return Samples(of, told["at_ms"].to_numpy(), told["value"].to_numpy())


def nature_of(entity: EntityKey, metrics: Sequence[str] | set[str] | tuple[str, ...]) -> str:
    """What an entity is, by the names of the metrics it sends; one that sends none is not ours.

    >>> nature_of(EntityKey("service", "orders"), ["postgresql.backends", "process.cpu.time"])
    'database'
    """
    for start, nature in NATURES:
        if any(metric.startswith(start) for metric in metrics):
            return nature
    return entity.kind if metrics or entity.kind != "service" else EXTERNAL


def _concerns(measure: Measure, names: Sequence[str]) -> bool:
    address = next((measure.labels[name].partition(":")[0] for name in ADDRESS if name in measure.labels), "")
    return measure.entity.name in names or address in names
