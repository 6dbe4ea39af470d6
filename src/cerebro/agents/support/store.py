"""What the agent keeps and asks for: snapshots and the budget on the bus, names and points in the store."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.admit import Opinion
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import Watch, names_of
from cerebro.agents.support.select import Selector
from cerebro.agents.support.shares import DETECTORS
from cerebro.agents.support.snapshot import Frozen, decode, encode
from cerebro.agents.support.standing import Standing
from cerebro.kernel.bus.port import Bus
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.telemetry.port import Telemetry, Window
from cerebro.spine.errors import Conflict, Invalid
from cerebro.spine.identity import TenantId

log = get_log(__name__)

BUCKET = "support"
MANIFEST = "snapshot"
SLOT_COUNT = 2  # one is written while the other is good
NAMES_MAX = 10_000
OPINIONS_MAX = 1000
OPINION_TRIES = 8
RAW_MS_MAX = 2 * 86_400_000  # longer stretches are read from the 5-minute rollup

SERIES_SQL = """
SELECT hi, lo, anyLast(metric) AS metric, anyLast(labels) AS labels, anyLast(type) AS type, anyLast(unit) AS unit,
       anyLast(entity_kind) AS entity_kind, anyLast(entity_name) AS entity_name
FROM series
WHERE tenant = {tenant:String} AND (hi, lo) IN (SELECT arrayJoin(arrayZip({hi:Array(UInt64)}, {lo:Array(UInt64)})))
GROUP BY hi, lo
"""
ROLLUP_SQL = """
SELECT toUnixTimestamp(at) * 1000 AS at_ms, argMax(last, latest) AS last, sum(sum) / sum(count) AS mean
FROM samples_5m
WHERE tenant = {tenant:String} AND hi = {hi:UInt64} AND lo = {lo:UInt64}
  AND hour >= toStartOfHour(toDateTime(intDiv({start:Int64}, 1000))) AND hour <= toDateTime(intDiv({end:Int64}, 1000))
  AND at >= toDateTime(intDiv({start:Int64}, 1000)) AND at < toDateTime(intDiv({end:Int64}, 1000))
GROUP BY at ORDER BY at
"""
TOTAL_SQL = """
SELECT at_ms, {aggregate}(one) AS value
FROM (
    SELECT at_ms, hi, lo, if(kind IN ('counter', 'histogram'), {rate}, mean) AS one
    FROM (
        SELECT toUnixTimestamp(r.{moment}) * 1000 AS at_ms, r.hi AS hi, r.lo AS lo, any(named.kind) AS kind,
               argMax(r.last, r.latest) AS last, sum(r.sum) / sum(r.count) AS mean
        FROM {table} AS r
        INNER JOIN (
            SELECT hi, lo, anyLast(type) AS kind FROM series
            WHERE tenant = {{tenant:String}} AND {clauses} GROUP BY hi, lo
        ) AS named ON r.hi = named.hi AND r.lo = named.lo
        WHERE r.tenant = {{tenant:String}}
          AND r.hour >= toStartOfHour(toDateTime(intDiv({{start:Int64}}, 1000)))
          AND r.{moment} >= toDateTime(intDiv({{start:Int64}}, 1000))
          AND r.{moment} < toDateTime(intDiv({{end:Int64}}, 1000))
        GROUP BY at_ms, hi, lo
    )
)
WHERE isFinite(one)
GROUP BY at_ms ORDER BY at_ms
"""
RATE = """if(
    lagInFrame(at_ms) OVER (PARTITION BY hi, lo ORDER BY at_ms) = at_ms - {step_ms},
    greatest(last - lagInFrame(last) OVER (PARTITION BY hi, lo ORDER BY at_ms), 0) * 1000 / {step_ms},
    nan)"""
AGGREGATES = ("sum", "avg", "max", "min")
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which snapshot is good: the slot it stands in, the last message it covers, the tenants it has."""

    sequence: int
    slot: int
    tenants: tuple[TenantId, ...]
    version: int = 1


async def save_snapshot(
    bus: Bus, frozen: Sequence[bytes], tenants: Sequence[TenantId], sequence: int, revision: int
) -> int:
    """Store the tenants' encoded states, then the manifest that makes them good. Answers the manifest's revision.

    Raises:
        Conflict: Someone else writes snapshots now: stop.
    """
    before = await load_manifest(bus)
    slot = (before[0].slot + 1) % SLOT_COUNT if before else 0
    for tenant, body in zip(tenants, frozen, strict=True):
        await bus.put_object(BUCKET, _object_name(tenant, slot), body)
    manifest = Manifest(sequence, slot, tuple(tenants))
    return await bus.put(BUCKET, MANIFEST, msgspec.json.encode(manifest), revision=revision)


async def load_manifest(bus: Bus) -> tuple[Manifest, int] | None:
    """The manifest and its revision; `None` before the first snapshot."""
    stored = await bus.get(BUCKET, MANIFEST)
    return (msgspec.json.decode(stored.value, type=Manifest), stored.revision) if stored else None


async def load_watch(bus: Bus, manifest: Manifest, tenant: TenantId) -> Watch | None:
    """A tenant's state as the snapshot has it; `None`, with a warning, when it cannot be read."""
    body = await bus.get_object(BUCKET, _object_name(tenant, manifest.slot))
    if body is None:
        log.warning("snapshot_missing", tenant=tenant, slot=manifest.slot)
        return None
    try:
        return decode(body)[0]
    except Invalid as error:
        log.warning("snapshot_unreadable", tenant=tenant, reason=error.detail)
        return None


def encode_all(frozen: Iterable[Frozen]) -> list[bytes]:
    """The snapshots of some tenants as bytes."""
    return [encode(one) for one in frozen]


async def save_standing(bus: Bus, tenant: TenantId, detector: str, standing: Standing) -> None:
    """Keep how the budget of one detector of a tenant stands for whoever asks."""
    await bus.put(BUCKET, f"{tenant}.budget.{detector}", msgspec.json.encode(standing))


async def load_standings(bus: Bus, tenant: TenantId) -> dict[str, Standing]:
    """How the budgets of a tenant's detectors stood a few seconds ago, by detector; those that noted nothing lack."""
    stored = {name: await bus.get(BUCKET, f"{tenant}.budget.{name}") for name in DETECTORS}
    return {name: msgspec.json.decode(one.value, type=Standing) for name, one in stored.items() if one}


async def load_opinions(bus: Bus, tenant: TenantId) -> list[Opinion]:
    """What people said of a tenant's findings of late, the oldest first."""
    stored = await bus.get(BUCKET, f"{tenant}.opinions")
    return msgspec.json.decode(stored.value, type=list[Opinion]) if stored else []


async def add_opinions(bus: Bus, tenant: TenantId, fresh: Sequence[Opinion]) -> None:
    """Keep opinions for the detector; a later one of the same finding takes the place of the earlier.

    Raises:
        Conflict: Others said so much in the same moment that it was given up: say it again.
    """
    named = {each.dedup_key for each in fresh}
    for _ in range(OPINION_TRIES):
        stored = await bus.get(BUCKET, f"{tenant}.opinions")
        known = msgspec.json.decode(stored.value, type=list[Opinion]) if stored else []
        kept = [*(each for each in known if each.dedup_key not in named), *fresh][-OPINIONS_MAX:]
        with suppress(Conflict):
            revision = stored.revision if stored else 0
            await bus.put(BUCKET, f"{tenant}.opinions", msgspec.json.encode(kept), revision=revision)
            return
    raise Conflict("Too many opinions came in the same moment.", "Send it again.")


async def load_templates(bus: Bus, tenant: TenantId) -> list[dict[str, object]]:
    """The templates of a tenant's log lines, as they were a few seconds ago."""
    body = await bus.get_object(BUCKET, f"{tenant}.templates")
    return msgspec.json.decode(body, type=list[dict[str, object]]) if body else []


async def find_names(telemetry: Telemetry, tenant: TenantId, wanted: Sequence[tuple[int, int]]) -> list[SeriesName]:
    """What some series are called, from the catalog; those it does not know are missing from the answer."""
    asked = wanted[:NAMES_MAX]
    parameters = {"tenant": tenant, "hi": [hi for hi, _ in asked], "lo": [lo for _, lo in asked]}
    return list(names_of(await telemetry.query(SERIES_SQL, parameters)))


async def find_points(
    telemetry: Telemetry, tenant: TenantId, name: tuple[int, int], window: Window, *, cumulative: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times and values of a series: raw, or of 5 minutes each where the window is long."""
    if window.end_ms - window.start_ms <= RAW_MS_MAX:
        found = (await telemetry.samples(tenant, [name], window)).get(name)
        return _columns(found, "value")
    parameters = {"tenant": tenant, "hi": name[0], "lo": name[1], "start": window.start_ms, "end": window.end_ms}
    rolled = await telemetry.query(ROLLUP_SQL, parameters)
    return _columns(rolled, "last" if cumulative else "mean")


async def find_total(
    telemetry: Telemetry, tenant: TenantId, selector: Selector, window: Window, *, step_ms: int, aggregate: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times and values of all selected series taken together, a step of a rollup each; of counters, the rate a second.

    Raises:
        Invalid: The aggregate is not one of `AGGREGATES`.
    """
    if aggregate not in AGGREGATES:
        raise Invalid(f"{aggregate!r} is no way to take series together.", f"Choose one of: {', '.join(AGGREGATES)}.")
    clauses, parameters = selector.clauses()
    query = TOTAL_SQL.format(
        aggregate=aggregate, clauses=clauses, rate=RATE.format(step_ms=step_ms),
        table="samples_1h" if step_ms >= HOUR_MS else "samples_5m", moment="hour" if step_ms >= HOUR_MS else "at",
    )  # fmt: skip
    asked = {**parameters, "tenant": tenant, "start": window.start_ms, "end": window.end_ms}
    return _columns(await telemetry.query(query, asked), "value")


def _columns(table: pa.Table | None, value: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if table is None or not table.num_rows:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    return (
        table.column("at_ms").to_numpy().astype(np.int64),
        table.column(value).to_numpy().astype(np.float64),
    )


def _object_name(tenant: TenantId, slot: int) -> str:
    return f"{tenant}.{slot}"
