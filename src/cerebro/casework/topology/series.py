"""What the labels of series tell of the map: hosts, processes, pods, and who holds connections to whom."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import pyarrow as pa

from cerebro.casework.topology.attributes import ASKED, facts, spelled
from cerebro.casework.topology.sighted import CALLS, CONSUMES_FROM, PUBLISHES_TO, Link, Sighted, named
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId

CONNECTIONS = "cerebro.host.connections"  # open connections of a process, by what is at their other end
PEER = ("peer.kind", "peer.name")
DESTINATION = "messaging.destination.name"
WAYS = (  # of messages, by the metrics of OpenTelemetry's conventions
    ("messaging.process.", CONSUMES_FROM), ("messaging.client.consumed.", CONSUMES_FROM),
    ("messaging.client.sent.", PUBLISHES_TO), ("messaging.publish.", PUBLISHES_TO),
)  # fmt: skip
ENTITIES_MAX = 20_000

# Each entity that had a sample of late, with the labels that say where it stands; one row for each different saying.
CATALOG = """
SELECT s.tenant AS tenant, s.entity_kind AS kind, s.entity_name AS name, {labels}
    multiIf({ways} '') AS way,
    toInt64(bitShiftRight(max(fresh.latest_one), 64)) AS last_ms
FROM series AS s
INNER JOIN (
    SELECT tenant, hi, lo, max(latest) AS latest_one
    FROM samples_5m
    WHERE hour >= toStartOfHour(toDateTime({{since:UInt32}})) AND at >= toDateTime({{since:UInt32}})
    GROUP BY tenant, hi, lo
) AS fresh ON s.tenant = fresh.tenant AND s.hi = fresh.hi AND s.lo = fresh.lo
GROUP BY ALL
LIMIT {{limit:UInt32}}
"""
_ASKED = (*ASKED, *PEER, DESTINATION)
_SQL = CATALOG.format(
    ways=" ".join(f"startsWith(replaceAll(s.metric, '_', '.'), '{metric}'), '{way}'," for metric, way in WAYS),
    labels=" ".join(
        f"if(s.labels['{name}'] != '', s.labels['{name}'], s.labels['{other}']) AS l{place},"
        for place, (name, other) in enumerate(map(spelled, _ASKED))
    ),
)


async def catalogued(telemetry: Telemetry, since_ms: int) -> dict[TenantId, list[Sighted]]:
    """What every tenant's series of late tell.

    Raises:
        Unavailable: The store does not answer.
    """
    rows = await telemetry.query(_SQL, {"since": since_ms // 1000, "limit": ENTITIES_MAX})
    found: dict[TenantId, list[Sighted]] = {}
    for row in rows.to_pylist():
        labels = {name: row[f"l{place}"] for place, name in enumerate(_ASKED) if row[f"l{place}"]}
        one = _sighted(EntityKey(row["kind"], row["name"]), labels, row["last_ms"], row["way"])
        found.setdefault(TenantId(row["tenant"]), []).append(one)
    return found


def sighted_in_series(series: pa.Table, at_ms: int) -> list[Sighted]:
    """What a table of SERIES_SCHEMA tells."""
    columns = (series.column(name).to_pylist() for name in ("entity_kind", "entity_name", "labels", "metric"))
    found: dict[tuple[EntityKey, frozenset[tuple[str, str]], str], Sighted] = {}
    for kind, name, labels, metric in zip(*columns, strict=True):
        entity, said = EntityKey(kind, name), dict(labels)
        asked = frozenset((each, said[each]) for each in _spellings() if each in said)
        way = _way(metric)
        if (entity, asked, way) not in found:
            found[entity, asked, way] = _sighted(entity, dict(asked), at_ms, way)
    return list(found.values())


@lru_cache(maxsize=4096)
def _way(metric: str) -> str:
    """Whether a metric is of messages that are taken or given; empty for neither."""
    return next((way for start, way in WAYS if metric.replace("_", ".").startswith(start)), "")


def _sighted(entity: EntityKey, labels: Mapping[str, str], at_ms: int, way: str) -> Sighted:
    if entity.name == "unknown" or not entity.name:
        return Sighted(at_ms, at_ms)
    kept, links = facts(entity, labels)
    return Sighted(
        at_ms,
        at_ms,
        {entity: kept},
        dict.fromkeys((*links, *_connected(entity, labels), *_messages(entity, labels, way)), 0.0),
    )


def _connected(entity: EntityKey, labels: Mapping[str, str]) -> Iterable[Link]:
    """The other end of a process' connections, where the labels name one."""
    kind, name = (named(next((labels[way] for way in spelled(each) if labels.get(way)), "")) for each in PEER)
    if kind and name and (kind, name) != (entity.kind, entity.name):
        yield entity, EntityKey(kind, name), CALLS


def _messages(entity: EntityKey, labels: Mapping[str, str], way: str) -> Iterable[Link]:
    """The queue that a thing takes messages from, or gives them to."""
    queue = named(next((labels[each] for each in spelled(DESTINATION) if labels.get(each)), ""))
    if way and queue:
        yield entity, EntityKey("queue", queue), way


@lru_cache(maxsize=1)
def _spellings() -> tuple[str, ...]:
    return tuple(dict.fromkeys(way for name in _ASKED for way in spelled(name)))
