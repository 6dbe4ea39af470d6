"""A playbook tried on a thousand past cases: in columns, with the gauges as they were in each."""

import gc
import time

import pyarrow as pa

from cerebro.casework.hands.counter import Counter
from cerebro.casework.playbooks.read import shipped
from cerebro.casework.store import CASES, keep_case
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.telemetry.blocks import METRICS, Piece
from cerebro.spine.cases import Case, CaseState, Cause, Entry, Mark, Signal
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Severity
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, series_id

COUNT, SERVICES, FULL = 1000, 40, 7
GAUGE = "system.filesystem.utilization"
NOW_MS = SystemClock().now_ms() // 3_600_000 * 3_600_000  # older cases than a month are not looked at


def service(number):
    return EntityKey("service", f"shop-{number % SERVICES}")


def began_ms(number):
    return NOW_MS - number * 600_000


def case(tenant, number):
    entity = service(number)
    proof = Evidence("The disk of it is full.", "clickhouse", "SELECT 1", 0, 1, "0" * 64, {"value": [1.0] * 50})
    signal = Signal("disk", f"f{number}", entity, Severity.MAJOR, "disk is full", began_ms(number), began_ms(number))
    marks = (Mark("full_disk", 20.0),)
    return Case(
        f"past-{number:04}", tenant, CaseState.CLOSED, Severity.MAJOR, "disk", began_ms(number) + 5000, NOW_MS,
        (entity,), (), causes=(Cause(entity, "resource", 0.9, 1, "disk full", (proof,) * 5, marks=marks),),
        timeline=tuple(Entry(began_ms(number), "anna", "commented", "x" * 200) for _ in range(20)),
        signals=(signal,), began_ms=began_ms(number),
    )  # fmt: skip


def block(tenant):
    """Each service's disk by the minute; it is full in the first minutes of every seventh case."""
    named, hi, lo, at_ms, value = [], [], [], [], []
    for number in range(SERVICES):
        entity = service(number)
        one, other = series_id(GAUGE, {"job": entity.name})
        named.append((one, other, GAUGE, [("job", entity.name)], "gauge", "", entity.kind, entity.name))
        for each in range(number, COUNT, SERVICES):
            hi.append(one)
            lo.append(other)
            at_ms.append(began_ms(each) + 60_000)
            value.append(0.99 if each % FULL == 0 else 0.2)
    series = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*named, strict=True), SERIES_SCHEMA, strict=True)],
        schema=SERIES_SCHEMA,
    )
    columns = (pa.array(hi, pa.uint64()), pa.array(lo, pa.uint64()), pa.array(at_ms, pa.int64()), pa.array(value))
    return Piece(tenant, SampleBatch(*(column.to_numpy() for column in columns), series), 1)


async def test_a_thousand_past_cases_are_tried_in_a_second(whole_kernel, tenant):
    """Each with its own gauge of then; asked of a whole installation in a handful of questions."""
    for each in METRICS.blocks([block(tenant)]):
        await whole_kernel.telemetry.insert(each.table, each.rows, dedup_token=f"past-{tenant}-{each.table}")
    async with whole_kernel.records.transaction() as transaction:
        kept = {f"past-{n:04}": keep_case(case(tenant, n)) for n in range(COUNT)}
        await transaction.create(CASES, tenant, kept)
    counter, playbook = Counter(whole_kernel), shipped()["free-disk"]
    asked = []
    ask = whole_kernel.telemetry.query

    async def counted(sql, parameters=None, **options):
        asked.append(sql)
        return await ask(sql, parameters, **options)

    whole_kernel.telemetry.query = counted
    gc.collect()
    gc.freeze()  # what every test before this one has left is not looked through in this second
    begun_s = time.process_time()
    found = await counter.past_of(tenant, playbook)
    spent_s = time.process_time() - begun_s
    gc.unfreeze()

    fits = len(range(0, COUNT, FULL))
    assert (found.case_count, found.out_of_reach, found.days) == (COUNT, fits, 7)  # there is nothing to act through
    assert len(asked) <= 3
    assert spent_s < 1.0
