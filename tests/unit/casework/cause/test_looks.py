"""One owner a look: whoever asks, however often, whatever dies."""

from dataclasses import replace

from cerebro.casework.cause.diagnose import Diagnosis
from cerebro.casework.cause.investigate import diagnosed
from cerebro.casework.cause.looks import AGAIN_MS, FIRST_MS, LEASE_MS, LOOKS_MAX, Looks
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.spine.cases import Case, CaseState, Cause, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import CaseId

CART = EntityKey("service", "cart")


def case_of(tenant, name="c1", findings=1, state=CaseState.OPEN):
    return Case(
        CaseId(name), tenant, state, Severity.MAJOR, "slow", 0, 0, (CART,), (), finding_count=findings, began_ms=0
    )


def told(share=0.8, kind="resource"):
    return Diagnosis((Cause(CART, kind, share, 1, "It burns its processor."),))


async def test_of_two_brains_one_looks(clock, tenant):
    bus, case = MemoryBus(clock), case_of(tenant)
    one, two = Looks(bus, "one"), Looks(bus, "two")

    assert await one.take(tenant, [case], FIRST_MS - 1) == []
    assert await one.take(tenant, [case], FIRST_MS) == [case]
    assert await two.take(tenant, [case], FIRST_MS) == []
    assert not await two.finish(tenant, case, FIRST_MS)
    assert await one.finish(tenant, case, FIRST_MS)
    assert await two.take(tenant, [case], FIRST_MS) == []


async def test_a_look_whose_owner_died_is_taken_up(clock, tenant):
    bus, case = MemoryBus(clock), case_of(tenant)
    one, two = Looks(bus, "one"), Looks(bus, "two")
    await one.take(tenant, [case], FIRST_MS)

    assert await two.take(tenant, [case], FIRST_MS + LEASE_MS - 1) == []
    assert await two.take(tenant, [case], FIRST_MS + LEASE_MS) == [case]
    assert not await one.finish(tenant, case, FIRST_MS + LEASE_MS), "it comes back, and is too late"


async def test_a_case_is_looked_at_again_when_findings_join_and_never_without_end(clock, tenant):
    bus, looks, now_ms, count = MemoryBus(clock), Looks(MemoryBus(clock), "one"), FIRST_MS, 0
    assert bus
    for findings in range(1, 40):
        case = case_of(tenant, findings=findings)
        if await looks.take(tenant, [case], now_ms):
            await looks.finish(tenant, case, now_ms)
            count += 1
        now_ms += AGAIN_MS[-1]

    assert count == LOOKS_MAX


def test_a_diagnosis_is_told_once(tenant):
    case = diagnosed(case_of(tenant), told(), 1000)

    assert [entry.kind for entry in case.timeline] == ["cause_named"]
    assert case.causes[0].entity == CART
    assert diagnosed(case, told(0.82), 2000) == case, "shares that move a little are no news"
    assert len(diagnosed(case, told(0.8, "deploy"), 2000).timeline) == 2
    assert diagnosed(case_of(tenant, state=CaseState.RESOLVED), told(), 1000).causes == ()


def test_what_is_done_about_a_cause_does_not_change_it_until_there_is_news(tenant):
    case = diagnosed(case_of(tenant), told(), 1000)
    begun = (*case.timeline, Entry(2000, "cerebro", "action_begun", "Begun."))
    mending = replace(case, state=CaseState.VERIFYING, timeline=begun)
    again = replace(mending, timeline=(*begun, Entry(60_000, "cerebro", "finding_joined", "More of it.")))

    assert diagnosed(mending, told(0.8, "deploy"), 30_000) == mending
    assert diagnosed(again, told(0.8, "deploy"), 61_000).causes[0].kind == "deploy"
