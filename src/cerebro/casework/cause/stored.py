"""Telemetry around a case from the store: four bounded questions, each kept as it was asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cerebro.casework.cause.held import ENTITIES, READ_LINES, READ_SPANS, Grid, Held, Series, literal
from cerebro.casework.proof import CLICKHOUSE, digest
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import LimitReached
from cerebro.spine.findings import Evidence
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import EVENT_SCHEMA

CELLS_MAX = 3_000_000  # of the grid: series times steps
SPANS_MAX, LINES_MAX, EVENTS_MAX = 150_000, 100_000, 2_000
LINES_EACH_MAX = 10_000  # of one entity before the trouble, and in it: who writes a thousand a second leaves room
CHANGES_MS = 60 * 60_000

WEIGHTED_SPANS = READ_SPANS.append(pa.field("weight", pa.float32(), nullable=False))

_SERIES = """
SELECT any(s.entity_kind) AS kind, any(s.entity_name) AS name, any(s.metric) AS metric, any(s.labels) AS labels,
    any(s.type) AS type, groupArray(g.step) AS steps, groupArray(g.mean) AS means,
    groupArray(if(s.type IN ('delta', 'delta_histogram'), g.total, g.newest)) AS newest
FROM (
    SELECT hi, lo, intDiv(toUnixTimestamp64Milli(at) - {start}, {step}) AS step, avg(value) AS mean,
        argMax(value, at) AS newest, sum(value) AS total
    FROM samples
    WHERE hour >= toStartOfHour(fromUnixTimestamp64Milli({start})) AND at >= fromUnixTimestamp64Milli({start})
        AND at < fromUnixTimestamp64Milli({end})
        AND (hi, lo) IN (SELECT hi, lo FROM series WHERE (entity_kind, entity_name) IN {entities}
            AND metric NOT LIKE '%\\_bucket')
    GROUP BY hi, lo, step
) AS g
INNER JOIN series AS s ON s.hi = g.hi AND s.lo = g.lo
GROUP BY g.hi, g.lo
LIMIT {limit}
"""
_SPANS = """
SELECT toUnixTimestamp64Nano(at) AS at_ns, duration_ns, trace_id, span_id, parent_span_id, name, kind, status,
    status_message, entity_kind, entity_name, attributes, weight
FROM spans
WHERE hour >= toStartOfHour(fromUnixTimestamp64Milli({start})) AND at >= fromUnixTimestamp64Milli({start})
    AND at < fromUnixTimestamp64Milli({end}) AND (entity_kind, entity_name) IN {entities}
ORDER BY at DESC
LIMIT {limit}
"""
_LOGS = """
SELECT toUnixTimestamp64Nano(at) AS at_ns, toUnixTimestamp64Nano(observed) AS observed_ns, severity,
    substring(body, 1, 640) AS body, entity_kind, entity_name, trace_id, span_id, attributes
FROM logs
WHERE hour >= toStartOfHour(fromUnixTimestamp64Milli({start})) AND at >= fromUnixTimestamp64Milli({start})
    AND at < fromUnixTimestamp64Milli({end}) AND (entity_kind, entity_name) IN {entities}
ORDER BY at DESC
LIMIT {each} BY entity_kind, entity_name, at < fromUnixTimestamp64Milli({split})
LIMIT {limit}
"""
_EVENTS = """
SELECT toUnixTimestamp64Nano(at) AS at_ns, id, kind, source, entity_kind, entity_name, title, body
FROM events
WHERE at >= fromUnixTimestamp64Milli({start}) AND at < fromUnixTimestamp64Milli({end})
    AND (entity_kind, entity_name) IN {entities}
ORDER BY at DESC
LIMIT {limit}
"""


QUERIES = {"tracks": _SERIES, "spans": _SPANS, "logs": _LOGS, "events": _EVENTS}


def asked(table: str, grid: Grid, limit: int) -> tuple[str, int, int]:
    """The question that fills a table, with `ENTITIES` for those it is about, and the stretch that it covers."""
    start_ms = {"tracks": grid.start_ms, "events": grid.split_ms - CHANGES_MS}.get(table, grid.near_ms)
    sql = QUERIES[table].format(
        start=start_ms, split=grid.split_ms, end=grid.end_ms, limit=limit, each=LINES_EACH_MAX, step=grid.step_ms,
        entities=ENTITIES,
    )  # fmt: skip
    return sql.strip(), start_ms, grid.end_ms


def limits(grid: Grid) -> dict[str, int]:
    """The most rows that are read, by table."""
    series_max = max(1, CELLS_MAX // grid.count)
    return {"tracks": series_max, "spans": SPANS_MAX, "logs": LINES_MAX, "events": EVENTS_MAX}


def proof_of(table: str, grid: Grid, row_count: int) -> Evidence:
    """What was asked, and how much came back."""
    query, start_ms, end_ms = asked(table, grid, limits(grid)[table])
    said = {"rows": row_count}
    return Evidence("", CLICKHOUSE, query, start_ms, end_ms, digest(said), said)


LATELY_MS = 120_000
_INTERVAL = """
SELECT quantileExact(0.5)(sent) AS sent FROM (
    SELECT count() AS sent FROM samples
    WHERE hour >= toStartOfHour(fromUnixTimestamp64Milli({start})) AND at >= fromUnixTimestamp64Milli({start})
        AND at < fromUnixTimestamp64Milli({end})
        AND (hi, lo) IN (SELECT hi, lo FROM series WHERE (entity_kind, entity_name) IN {entities} LIMIT {limit})
    GROUP BY hi, lo
)
"""
SERIES_ASKED = 1000  # enough of them to tell how often they are sent


class StoreSource:
    """Asks ClickHouse. A question that is too large for the store is a gap of the picture, and no error."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def interval_ms(self, tenant: TenantId, entities: Sequence[EntityKey], now_ms: int) -> int:
        """By the samples of the last minutes; see `Source`."""
        among = f"({', '.join(literal(each) for each in entities)})"
        query = _INTERVAL.format(start=now_ms - LATELY_MS, end=now_ms, entities=among, limit=SERIES_ASKED)
        found = (await self._telemetry.query(query.strip(), tenant=tenant)).to_pylist()
        sent = int(found[0]["sent"] or 0) if found and entities else 0
        return max(1, LATELY_MS // sent) if sent else 0

    async def held(self, tenant: TenantId, entities: Sequence[EntityKey], grid: Grid) -> Held:
        """What there is; see `Source`."""
        question = _Asked(self._telemetry, tenant, f"({', '.join(literal(each) for each in entities)})", grid)
        rows, spans, logs, events = [await question.ask(table) for table in QUERIES]
        series, mean, last = _gridded(rows, grid)
        return Held(
            grid,
            series,
            mean,
            last,
            _as(spans, WEIGHTED_SPANS),
            _as(logs, READ_LINES),
            _as(events, EVENT_SCHEMA),
            question.proofs,
            tuple(question.gaps),
            cut_off=_cut_off(logs, grid, entities),
        )


class _Asked:
    """The questions of one picture."""

    def __init__(self, telemetry: Telemetry, tenant: TenantId, entities: str, grid: Grid) -> None:
        self._telemetry, self._tenant, self._entities, self._grid = telemetry, tenant, entities, grid
        self.proofs: dict[str, Evidence] = {}
        self.gaps: list[str] = []

    async def ask(self, table: str) -> pa.Table:
        limit = limits(self._grid)[table]
        query, _, _ = asked(table, self._grid, limit)
        try:
            rows = await self._telemetry.query(query.replace(ENTITIES, self._entities), tenant=self._tenant)
        except LimitReached as error:
            self.gaps.append(f"The {table} around this case are more than the store reads at once: {error.detail}")
            return pa.table({})
        if rows.num_rows >= limit:
            self.gaps.append(f"Only the newest {limit} {table} around this case were looked at.")
        if table == "logs":
            self.gaps += [
                f"Of {entity.said} only the newest {LINES_EACH_MAX} logs were looked at."
                for entity in sorted({entity for entity, _, _ in _wordy(rows, self._grid)})
            ]
        self.proofs[table] = proof_of(table, self._grid, rows.num_rows)
        return rows


def _wordy(lines: pa.Table, grid: Grid) -> list[tuple[EntityKey, bool, int]]:
    """Who wrote so many lines that not all were read, whether before the trouble, and when the oldest that was read."""
    if lines.num_rows < LINES_EACH_MAX:
        return []
    early = lines["at_ns"].to_numpy() // 1_000_000 < grid.split_ms
    counted = lines.append_column("early", pa.array(early)).group_by(["entity_kind", "entity_name", "early"])
    counts = counted.aggregate([([], "count_all"), ("at_ns", "min")]).to_pylist()
    found = (each for each in counts if each["count_all"] >= LINES_EACH_MAX)
    return [
        (EntityKey(each["entity_kind"], each["entity_name"]), each["early"], int(each["at_ns_min"]) // 1_000_000)
        for each in found
    ]


def _cut_off(lines: pa.Table, grid: Grid, entities: Sequence[EntityKey]) -> dict[EntityKey, int]:
    """Since when lines were read, of those whose older ones fell out: of everybody, where all were too many."""
    found = {entity: oldest_ms for entity, early, oldest_ms in _wordy(lines, grid) if early}
    if lines.num_rows < LINES_MAX:
        return found
    oldest_ms = int(lines["at_ns"].to_numpy().min()) // 1_000_000
    return {entity: max(found.get(entity, oldest_ms), oldest_ms) for entity in entities}


def _gridded(rows: pa.Table, grid: Grid) -> tuple[list[Series], Any, Any]:
    """The answer, a series a row, on the grid."""
    count = rows.num_rows
    mean, last = np.full((count, grid.count), np.nan), np.full((count, grid.count), np.nan)
    if not count:
        return [], mean, last
    steps = rows["steps"].combine_chunks()
    row = np.repeat(np.arange(count), np.diff(steps.offsets.to_numpy()))
    cell = steps.flatten().to_numpy()
    inside = (cell >= 0) & (cell < grid.count)
    for into, name in ((mean, "means"), (last, "newest")):
        into[row[inside], cell[inside]] = rows[name].combine_chunks().flatten().to_numpy()[inside]
    columns = (rows[name].to_pylist() for name in ("kind", "name", "metric", "labels", "type"))
    series = [
        Series(EntityKey(kind, name), metric, dict(labels), type_)
        for kind, name, metric, labels, type_ in zip(*columns, strict=True)
    ]
    return series, mean, last


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in the spine's form."""
    if not rows.num_rows:
        return schema.empty_table()
    return pa.Table.from_arrays([rows[field.name].cast(field.type) for field in schema], schema=schema)
