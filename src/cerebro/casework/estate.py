"""What telemetry tells of the entities: which there are, when they were last seen, what they run on, their series."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from cerebro.casework.correlate import ON_A_HOST, scene
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId

ENTITIES_MAX = 10_000
SERIES_MAX = 1000
POINTS_MAX = 5000
HOUR_MS = 3_600_000
FIVE_MINUTES_MS = 300_000
SPARK_MS = 2 * HOUR_MS

# Ages come from the rollup: the catalog says when a series was named, not when it last had a sample.
ENTITIES = """
SELECT
    s.entity_kind AS kind,
    s.entity_name AS name,
    uniqExact(s.hi, s.lo) AS series_count,
    max(fresh.last_ms) AS last_ms,
    toUnixTimestamp64Milli(min(s.first_seen)) AS first_ms,
    toUnixTimestamp64Milli(max(s.last_seen)) AS named_ms,
    anyIf(s.labels['host.name'], s.labels['host.name'] != '') AS host,
    anyIf(s.labels['host_name'], s.labels['host_name'] != '') AS host_other,
    anyIf(s.labels['instance'], s.labels['instance'] != '') AS instance
FROM series AS s
LEFT JOIN (
    SELECT hi, lo, toInt64(bitShiftRight(max(latest), 64)) AS last_ms
    FROM samples_5m
    WHERE tenant = {tenant:String} AND hour >= toStartOfHour(toDateTime({since:UInt32}))
    GROUP BY hi, lo
) AS fresh ON s.hi = fresh.hi AND s.lo = fresh.lo
WHERE s.tenant = {tenant:String}
GROUP BY kind, name
ORDER BY kind, name
LIMIT {limit:UInt32}
"""

SERIES = """
SELECT
    toString(s.hi) AS hi_text,
    toString(s.lo) AS lo_text,
    anyLast(s.metric) AS name,
    anyLast(s.labels) AS labels_now,
    anyLast(s.type) AS type_now,
    anyLast(s.unit) AS unit_now,
    anyLast(s.entity_kind) AS kind_now,
    anyLast(s.entity_name) AS name_now
FROM series AS s
WHERE s.tenant = {tenant:String}
  AND ({kind:String} = '' OR (s.entity_kind = {kind:String} AND s.entity_name = {name:String}))
  AND ({metric:String} = '' OR s.metric = {metric:String})
  AND arrayAll(
      word -> positionCaseInsensitiveUTF8(concat(s.metric, ' ', toString(s.labels)), word) > 0, {words:Array(String)})
GROUP BY s.hi, s.lo
ORDER BY name, s.hi, s.lo
LIMIT {limit:UInt32}
"""

SPARKS = """
SELECT
    toString(step.hi) AS hi_text,
    toString(step.lo) AS lo_text,
    toInt64(bitShiftRight(max(step.latest_one), 64)) AS last_ms,
    reinterpretAsFloat64(toUInt64(bitAnd(max(step.latest_one), toUInt128(18446744073709551615)))) AS last_value,
    groupArray(25)(toInt64(toUnixTimestamp(step.at)) * 1000) AS at_ms,
    groupArray(25)(step.mean) AS value
FROM (
    SELECT r.hi AS hi, r.lo AS lo, r.at AS at, max(r.latest) AS latest_one, sum(r.sum) / sum(r.count) AS mean
    FROM samples_5m AS r
    WHERE r.tenant = {tenant:String}
      AND r.hour >= toStartOfHour(toDateTime({since:UInt32})) AND r.at >= toDateTime({since:UInt32})
      AND (r.hi, r.lo) IN (
          SELECT hi, lo FROM series
          WHERE tenant = {tenant:String} AND entity_kind = {kind:String} AND entity_name = {name:String})
    GROUP BY r.hi, r.lo, r.at
    ORDER BY r.at
) AS step
GROUP BY step.hi, step.lo
"""

RAW = """
SELECT
    toUnixTimestamp64Milli(max(s.at)) AS at_ms,
    avg(s.value) AS mean,
    min(s.value) AS low,
    max(s.value) AS high
FROM samples AS s
WHERE s.tenant = {tenant:String}
  AND s.hour BETWEEN toStartOfHour(toDateTime({first:UInt32})) AND toDateTime({last:UInt32})
  AND s.hi = {hi:UInt64} AND s.lo = {lo:UInt64}
  AND s.at >= fromUnixTimestamp64Milli({start:Int64}) AND s.at < fromUnixTimestamp64Milli({end:Int64})
  AND isFinite(s.value)
GROUP BY intDiv(toUnixTimestamp64Milli(s.at) - {start:Int64}, {step:Int64})
ORDER BY at_ms
"""

ROLLED = """
SELECT
    toInt64(toUnixTimestamp(max(r.TIME))) * 1000 AS at_ms,
    sum(r.sum) / sum(r.count) AS mean,
    min(r.min) AS low,
    max(r.max) AS high
FROM TABLE AS r
WHERE r.tenant = {tenant:String}
  AND r.hour BETWEEN toStartOfHour(toDateTime({first:UInt32})) AND toDateTime({last:UInt32})
  AND r.hi = {hi:UInt64} AND r.lo = {lo:UInt64}
  AND r.TIME >= toDateTime({first:UInt32}) AND r.TIME <= toDateTime({last:UInt32})
GROUP BY intDiv(toInt64(toUnixTimestamp(r.TIME)) * 1000 - {start:Int64}, {step:Int64})
ORDER BY at_ms
"""
ROLLED_5M = ROLLED.replace("TABLE", "samples_5m").replace("TIME", "at")
ROLLED_1H = ROLLED.replace("TABLE", "samples_1h").replace("TIME", "hour")


@dataclass(frozen=True, slots=True)
class Seen:
    """An entity as telemetry shows it."""

    key: EntityKey
    series_count: int
    first_seen_ms: int
    last_seen_ms: int
    host: str  # that it says it runs on; empty when it does not say


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One series. `hi` and `lo` are decimal texts: JavaScript's numbers end at 53 bits."""

    hi: str
    lo: str
    metric: str
    labels: Mapping[str, str]
    type: str
    unit: str
    entity: EntityKey
    last_ms: int = 0
    last_value: float | None = None
    spark: Mapping[str, Sequence[float]] = field(default_factory=dict)  # `at_ms` and `value`, 5 minutes a point


@dataclass(frozen=True, slots=True)
class Points:
    """A stretch of a series, thinned out for drawing: of each step its mean, least and greatest value."""

    resolution: str  # raw | 5m | 1h
    step_ms: int
    at_ms: Sequence[int]
    value: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


async def entities(telemetry: Telemetry, tenant: TenantId, now_ms: int) -> list[Seen]:
    """Every entity that has a series, at most `ENTITIES_MAX`."""
    parameters = {"tenant": tenant, "since": (now_ms - SPARK_MS) // 1000, "limit": ENTITIES_MAX}
    rows = (await telemetry.query(ENTITIES, parameters)).to_pylist()
    return [
        Seen(
            key=EntityKey(row["kind"], row["name"]),
            series_count=row["series_count"],
            first_seen_ms=row["first_ms"],
            last_seen_ms=row["last_ms"] or row["named_ms"],
            host=row["host"] or row["host_other"] or _host_of(row["instance"]),
        )
        for row in rows
    ]


def relations(tenant: TenantId, seen: Iterable[Seen]) -> list[Relation]:
    """What runs on which host: processes by their names, services by what they say."""
    found = []
    for one in seen:
        host = one.host or (scene(one.key).partition("/")[2] if one.key.kind in ON_A_HOST else "")
        target = EntityKey("host", host)
        if host and target != one.key and (one.key.kind != "host"):
            found.append(Relation(tenant, one.key, target, "runs_on", 1.0, one.first_seen_ms, one.last_seen_ms))
    return found


async def search_series(
    telemetry: Telemetry, tenant: TenantId, *, entity: EntityKey | None, metric: str, words: Sequence[str], limit: int
) -> list[SeriesLine]:
    """Series of an entity, of a metric, or whose name and labels hold every word."""
    parameters = {
        "tenant": tenant,
        "kind": entity.kind if entity else "",
        "name": entity.name if entity else "",
        "metric": metric,
        "words": list(words),
        "limit": min(limit, SERIES_MAX),
    }
    return [
        SeriesLine(
            hi=row["hi_text"],
            lo=row["lo_text"],
            metric=row["name"],
            labels=dict(row["labels_now"]),
            type=row["type_now"],
            unit=row["unit_now"],
            entity=EntityKey(row["kind_now"], row["name_now"]),
        )
        for row in (await telemetry.query(SERIES, parameters)).to_pylist()
    ]


async def sparks(
    telemetry: Telemetry, tenant: TenantId, entity: EntityKey, now_ms: int
) -> Mapping[tuple[str, str], dict[str, object]]:
    """The last value and the last two hours of each series of an entity, by `(hi, lo)`."""
    parameters = {"tenant": tenant, "kind": entity.kind, "name": entity.name, "since": (now_ms - SPARK_MS) // 1000}
    rows = (await telemetry.query(SPARKS, parameters)).to_pylist()
    return {(row["hi_text"], row["lo_text"]): row for row in rows}


async def points(
    telemetry: Telemetry, tenant: TenantId, hi: int, lo: int, *, start_ms: int, end_ms: int, points_max: int
) -> Points:
    """The series between two moments, in at most about `points_max` steps.

    Raw samples while a step is shorter than the shortest rollup, then the rollups.
    """
    step_ms = max(1, -(-(end_ms - start_ms) // points_max))
    parameters = {
        "tenant": tenant,
        "hi": hi,
        "lo": lo,
        "start": start_ms,
        "end": end_ms,
        "first": max(0, start_ms // 1000),
        "last": max(0, end_ms // 1000),
        "step": step_ms,
    }
    if step_ms < FIVE_MINUTES_MS:
        return _points("raw", step_ms, await telemetry.query(RAW, parameters))
    if step_ms < HOUR_MS:
        return _points("5m", step_ms, await telemetry.query(ROLLED_5M, parameters))
    return _points("1h", step_ms, await telemetry.query(ROLLED_1H, parameters))


def _points(resolution: str, step_ms: int, rows: pa.Table) -> Points:
    columns = [rows.column(name).to_pylist() for name in ("at_ms", "mean", "low", "high")]
    return Points(resolution, step_ms, *columns)


def _host_of(instance: str) -> str:
    """The host in a Prometheus `instance`: without its port."""
    host, colon, port = instance.rpartition(":")
    bare = host if colon and port.isdigit() else instance
    return bare.strip("[]")
