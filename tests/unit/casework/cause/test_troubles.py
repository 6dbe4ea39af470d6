"""A case that comes again is diagnosed for its newest trouble, and one whose signs come and go for all of it."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework import life
from cerebro.casework.cause.held import Held, Series
from cerebro.casework.cause.investigate import Investigator, onset_of
from cerebro.casework.cause.troubles import newest_trouble
from cerebro.casework.desk import Desk
from cerebro.casework.quiet import EDGE_MS
from cerebro.casework.store import CASES, every
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.spine.cases import CaseState, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import EVENT_SCHEMA, SeriesType

T = 1_700_000_000_000
CART = EntityKey("service", "cart")


def found(key, seen_s, at_s=None, *, cleared=False):
    return Finding(
        id=f"{key}-{seen_s}-{cleared}", tenant=DEFAULT_TENANT, agent="support", kind="level_shift", entity=CART,
        at_ms=T + (seen_s - 10 if at_s is None else at_s) * 1000, seen_ms=T + seen_s * 1000, severity=Severity.MAJOR,
        p_value=1e-6, effect=4.0, signal=key, title=f"{key} rose", evidence=(), dedup_key=key, cleared=cleared,
    )  # fmt: skip


def over(key, seen_s):
    return found(key, seen_s, cleared=True)


def case_of(findings, reopened_s=()):
    """The case that all of them are in, as it is after the last of them."""
    told = sorted(findings, key=lambda each: each.seen_ms)
    case = life.opened("c1", told[0], "Because.", told[0].seen_ms)
    for each in told[1:]:
        case = (life.cleared if each.cleared else life.joined)(case, *_why(each), each.seen_ms)
    lines = tuple(Entry(T + at_s * 1000, "cerebro", "reopened", "Reopened.") for at_s in reopened_s)
    return replace(case, timeline=(*case.timeline, *lines))


def _why(finding):
    return (finding,) if finding.cleared else (finding, "Because.")


FIRST = [found("denied", 10, 0), over("denied", 360)]
AGAIN = [found("slow", 1205), found("errors", 1220)]


@pytest.mark.parametrize(
    ("findings", "reopened_s", "onset_s", "before_s"),
    [
        ([*FIRST, *AGAIN], [1206], 1195, [(0, 360)]),
        ([*FIRST, *AGAIN], [], 1195, [(0, 360)]),  # a calm of so long parts them, too
        ([*FIRST, *AGAIN, over("slow", 1300)], [1206], 1195, [(0, 360)]),  # its first sign is over, and it is not
        ([*FIRST, *AGAIN, over("slow", 1300), over("errors", 1310)], [1206], 1195, [(0, 360)]),
        ([*FIRST, found("slow", 1205), found("late", 1210, 350)], [1206], 1195, [(0, 360)]),  # a late sign of the first
        ([*FIRST, found("late", 1205, 350), found("slow", 1210)], [1206], 1200, [(0, 360)]),
        ([*FIRST, found("late", 1205, 350)], [1206], 360, [(0, 360)]),  # nothing is known but that it is not the first
        ([*FIRST, *AGAIN], [1211], 1195, [(0, 360)]),  # it was taken in a while after it was noticed
        ([*FIRST], [1206], 0, []),  # a person looks into it again
        ([*FIRST, found("denied", 400)], [401], 390, [(0, 360)]),  # the same sign, and it was resolved meanwhile
        ([*FIRST, found("denied", 400)], [], 0, []),  # it came and went
        ([*FIRST, found("late", 700, 300)], [], 0, []),  # told long after, and part of it
        ([FIRST[0], *AGAIN], [], 0, []),  # it was never over
        ([FIRST[0], found("slow", 200), over("denied", 360), *AGAIN], [], 0, []),
        ([FIRST[0], found("slow", 200), over("denied", 360)], [], 0, []),
        ([*FIRST, found("slow", 300), *AGAIN], [1206], 0, []),  # of another case that was live when this was reopened
        (
            [*FIRST, found("slow", 1000), over("slow", 1100), found("errors", 2000)],
            [1001, 2001],
            1990,
            [(0, 360), (990, 1100)],
        ),
    ],
)
def test_the_newest_trouble_begins_after_the_calm_before_it(findings, reopened_s, onset_s, before_s):
    trouble = newest_trouble(case_of(findings, reopened_s), findings[::-1])

    onset_ms = onset_of(trouble.case, trouble.findings, trouble.before)
    stretches = [(begin_ms + EDGE_MS - T, over_ms - EDGE_MS - T) for begin_ms, over_ms in trouble.before]
    assert onset_ms == T + onset_s * 1000
    assert stretches == [(begin_s * 1000, over_s * 1000) for begin_s, over_s in before_s]


def test_of_an_earlier_trouble_no_sign_is_left():
    findings = [*FIRST, *AGAIN]

    assert newest_trouble(case_of(findings, [1206]), findings).findings == AGAIN
    assert newest_trouble(case_of(FIRST), FIRST).findings == FIRST


class Shop:
    """A source that tells of a cart that is busy from a moment on, and of what was done to it."""

    def __init__(self, since_ms, deployed_ms):
        self.since_ms, self.deployed_ms = since_ms, deployed_ms

    async def interval_ms(self, _tenant, _entities, _now_ms):
        return 10_000

    async def held(self, _tenant, _entities, grid):
        begin_ms = grid.start_ms + np.arange(grid.count) * grid.step_ms
        usual = 0.2 + 0.01 * np.sin(np.arange(grid.count))
        values = np.array(
            [np.where(begin_ms >= self.since_ms, 0.9, usual), np.where(begin_ms >= self.since_ms, 2, usual)]
        )
        names = ("process.cpu.utilization", "duration.mean")
        series = [Series(CART, name, {}, SeriesType.GAUGE) for name in names]
        event = {
            "at_ns": self.deployed_ms * 1_000_000, "id": "e1", "kind": "deploy", "source": "ci",
            "entity_kind": CART.kind, "entity_name": CART.name, "title": "cart 1.5 deployed", "body": "{}",
        }  # fmt: skip
        return Held(grid, series, values, values, events=pa.Table.from_pylist([event], schema=EVENT_SCHEMA))


@pytest.mark.parametrize("again", [AGAIN, [found("late", 1200, 350), found("slow", 1205)]])
async def test_a_deploy_that_brought_the_second_trouble_of_a_case_is_its_cause(again):
    """Though it came long after the first sign of the case, and after what a late sign of the first trouble tells."""
    clock = VirtualClock(T)
    kernel = simulated_kernel(Settings(), clock)
    desk, shop = Desk(kernel), Shop(since_ms=T + 1_195_000, deployed_ms=T + 1_190_000)
    for each in (*FIRST, *again):
        await clock.advance((each.seen_ms - clock.now_ms()) / 1000)
        await desk.sweep(DEFAULT_TENANT)
        await desk.admit(DEFAULT_TENANT, [each])
    await clock.advance(60)

    await Investigator(kernel, shop, apart=False).round(DEFAULT_TENANT)

    async with kernel.records.transaction() as transaction:
        (case,) = [record.value async for record in every(transaction, CASES, DEFAULT_TENANT)]
    assert case.state is CaseState.INVESTIGATING and case.began_ms == T
    assert [entry.kind for entry in case.timeline].count("reopened") == 1
    assert (case.causes[0].entity, case.causes[0].kind) == (CART, "deploy")
    assert "deployed" in {mark.word for mark in case.causes[0].marks}
    assert "came 5 s before the first sign" in case.causes[0].explanation
