"""The picture of a case from the real store: what is asked, what comes back, and that it can be asked again."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause import stored
from cerebro.casework.cause.assemble import picture_of
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.held import Grid
from cerebro.casework.cause.stored import StoreSource
from cerebro.casework.proof import fault_of
from cerebro.kernel.settings import RetentionSettings
from cerebro.kernel.telemetry.blocks import EVENTS, LOGS, METRICS, TRACES, Piece
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.migrate import migrate
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.entities import Entity, EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import CaseId, TenantId
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SERIES_SCHEMA, SPAN_SCHEMA, SampleBatch, series_id
from cerebro.spine.topology import Topology

START_MS, STEP_MS, COUNT, SPLIT = 1_795_000_005_000, 15_000, 60, 40
GRID = Grid(START_MS, STEP_MS, COUNT, SPLIT)
SPAN_COUNT, SPLIT_S = 900, 600
TENANT = TenantId("default")
ILL, FRONT = EntityKey("service", "o'neill\\"), EntityKey("service", "front")


@pytest.fixture
async def telemetry(store_url):
    """A store with two services; one of them burns its processor from the 40th step on, after a deploy."""
    driver = ClickHouseTelemetry(store_url)
    await migrate(driver, RetentionSettings(metrics_days=3650, logs_days=3650, traces_days=3650))
    contents = ((METRICS, samples(usual_rows())), (TRACES, spans()), (LOGS, lines()), (EVENTS, events()))
    for signal, content in contents:
        for block in signal.blocks([Piece(TENANT, content, 1 if signal is METRICS else content.num_rows)]):
            await driver.insert(block.table, block.rows, dedup_token=f"{signal.stream}-{block.table}")
    yield driver
    await driver.close()


def usual_rows():
    """Who tells what, of which type, and its values."""
    number = np.arange(COUNT)
    busy = 10 + number % 3 + np.where(number >= SPLIT, 60, 0)
    return (
        (ILL, "system.cpu.utilization", "gauge", busy),
        (ILL, "requests_total", "counter", number * 300),
        (FRONT, "system.cpu.utilization", "gauge", 10 + number % 3),
    )


def samples(rows):
    number = np.arange(COUNT)
    named, hi, lo = [], [], []
    for entity, metric, kind, _ in rows:
        one, other = series_id(metric, {"job": entity.name})
        named.append((one, other, metric, [("job", entity.name)], kind, "", entity.kind, entity.name))
        hi.append(np.full(COUNT, one, np.uint64))
        lo.append(np.full(COUNT, other, np.uint64))
    series = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*named, strict=True), SERIES_SCHEMA, strict=True)],
        schema=SERIES_SCHEMA,
    )
    at_ms = np.tile(START_MS + number * STEP_MS, len(rows)).astype(np.int64)
    value = np.concatenate([row[3] for row in rows]).astype(np.float64)
    return SampleBatch(np.concatenate(hi), np.concatenate(lo), at_ms, value, series)


def filled(schema, count, **columns):
    """A table of the schema; what is not given is empty."""
    blank = {pa.string(): "", pa.uint8(): 0, pa.int64(): 0}
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.array([blank.get(field.type, [])] * count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def spans():
    at_ns = [(START_MS + number * 1000) * 1_000_000 for number in range(SPAN_COUNT)]
    slow_ns = [2_000_000 + (400_000_000 if number >= SPLIT_S else 0) for number in range(SPAN_COUNT)]
    ids = [f"{number:015x}" for number in range(SPAN_COUNT)]
    parts = []
    for entity, name, letter, parent, more_ns in (
        (FRONT, "GET /", "a", "", 1_000_000),
        (ILL, "POST /cart", "b", "a", 0),
    ):
        parts.append(
            filled(
                SPAN_SCHEMA,
                SPAN_COUNT,
                at_ns=at_ns,
                duration_ns=[each + more_ns for each in slow_ns],
                trace_id=ids,
                span_id=[letter + each for each in ids],
                parent_span_id=[parent + each if parent else "" for each in ids],
                name=[name] * SPAN_COUNT,
                entity_kind=["service"] * SPAN_COUNT,
                entity_name=[entity.name] * SPAN_COUNT,
                events=["[]"] * SPAN_COUNT,
                links=["[]"] * SPAN_COUNT,
            )
        )
    return pa.concat_tables(parts)


def lines():
    at_ns = [(START_MS + number * 1000) * 1_000_000 for number in range(SPAN_COUNT)]
    said = [f"order {n} is packed" if n < SPLIT_S else f"cannot open shard {n}" for n in range(SPAN_COUNT)]
    owner = {"entity_kind": ["service"] * SPAN_COUNT, "entity_name": [ILL.name] * SPAN_COUNT}
    return filled(LOG_SCHEMA, SPAN_COUNT, at_ns=at_ns, observed_ns=at_ns, body=said, **owner)


def events():
    at_ns = [(GRID.split_ms - 60_000) * 1_000_000]
    owner = {"entity_kind": ["service"], "entity_name": [ILL.name]}
    return filled(EVENT_SCHEMA, 1, at_ns=at_ns, id=["e1"], kind=["deploy"], title=["release 7"], body=["{}"], **owner)


async def test_a_case_is_diagnosed_from_what_the_store_holds(telemetry):
    held = await StoreSource(telemetry).held(TENANT, (FRONT, ILL), GRID)

    assert sorted((each.entity.name, each.metric) for each in held.series) == [
        ("front", "system.cpu.utilization"), (ILL.name, "requests_total"), (ILL.name, "system.cpu.utilization"),
    ]  # fmt: skip
    assert (held.spans.num_rows, held.logs.num_rows, held.events.num_rows) == (1800, 900, 1)
    assert held.gaps == ()

    case = Case(
        CaseId("c"), TENANT, CaseState.OPEN, Severity.MAJOR, "slow", GRID.split_ms, 0, (FRONT,), (),
        began_ms=GRID.split_ms,
    )  # fmt: skip
    topology = Topology(TENANT, GRID.end_ms, {key: Entity(TENANT, key) for key in (FRONT, ILL)})
    told = diagnose(picture_of(case, (), held, topology))

    cause = told.causes[0]
    assert (cause.entity, cause.kind) == (ILL, "deploy")
    assert cause.evidence and not [fault_of(each) for each in cause.evidence if fault_of(each)]
    for each in cause.evidence:
        assert (await telemetry.query(each.query, tenant=TENANT)).num_rows > 0, each.sentence


async def test_who_writes_without_end_leaves_room_for_what_others_say(telemetry, monkeypatch):
    """Of each, so many lines from before the trouble and from the trouble; and it is told that there were more."""
    monkeypatch.setattr(stored, "LINES_EACH_MAX", 100)

    held = await StoreSource(telemetry).held(TENANT, (FRONT, ILL), GRID)

    early = held.logs["at_ns"].to_numpy() // 1_000_000 < GRID.split_ms
    assert (int(early.sum()), int((~early).sum())) == (100, 100)
    assert held.gaps == (f"Of {ILL.said} only the newest 100 logs were looked at.",)


async def test_of_what_tells_only_what_came_on_top_a_step_holds_the_sum(telemetry):
    """Of what tells how it stands, the newest."""
    shop, number = EntityKey("service", "shop"), np.arange(COUNT)
    rows = [(shop, "orders", "delta", number), (shop, "visits", "counter", number)]
    for block in METRICS.blocks([Piece(TENANT, samples(rows), 1)]):
        await telemetry.insert(block.table, block.rows, dedup_token=f"more-{block.table}")

    held = await StoreSource(telemetry).held(TENANT, (shop,), Grid(START_MS, 2 * STEP_MS, COUNT // 2, SPLIT // 2))

    last = {each.metric: row for each, row in zip(held.series, held.last, strict=True)}
    assert last["orders"].tolist() == (number[::2] + number[1::2]).tolist()
    assert last["visits"].tolist() == number[1::2].tolist()


@pytest.mark.parametrize(
    ("bound", "limit", "known_s", "of"),
    [
        ("LINES_EACH_MAX", 100, SPLIT_S - 100, {ILL}),  # its own newest hundred of before
        ("LINES_MAX", 400, SPAN_COUNT - 400, {FRONT, ILL}),  # everybody's older ones have fallen out
        ("LINES_MAX", 100, SPAN_COUNT - 100, {FRONT, ILL}),
        ("LINES_MAX", 1000, 0, set()),
    ],
)
async def test_since_when_lines_were_read_is_known_of_whom_not_all_were(
    telemetry, monkeypatch, bound, limit, known_s, of
):
    monkeypatch.setattr(stored, bound, limit)

    held = await StoreSource(telemetry).held(TENANT, (FRONT, ILL), GRID)

    assert held.cut_off == dict.fromkeys(of, START_MS + 1000 * known_s)


async def test_the_store_tells_how_often_series_are_sent(telemetry):
    source = StoreSource(telemetry)

    assert await source.interval_ms(TENANT, (FRONT, ILL), GRID.end_ms) == STEP_MS
    assert await source.interval_ms(TENANT, (EntityKey("service", "nobody"),), GRID.end_ms) == 0


async def test_another_tenant_sees_nothing(telemetry):
    held = await StoreSource(telemetry).held(TenantId("other"), (FRONT, ILL), GRID)

    assert (len(held.series), held.spans.num_rows, held.logs.num_rows, held.events.num_rows) == (0, 0, 0, 0)
