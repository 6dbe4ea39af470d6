"""Cases over the map: joined by it, by two brains at once, while it changes; split and merged by hand."""

import asyncio

import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework import life
from cerebro.casework.desk import Desk, Stale
from cerebro.casework.store import CASES, FINDINGS, HISTORIES, HISTORY_KEY, JOINABLE, SCENES, every
from cerebro.casework.topology.sighted import CALLS, Sighted
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.spine.cases import LIVE
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import NotFound
from cerebro.spine.findings import Finding, Severity

WEB, SHOP, PAY, MAIL = (EntityKey("service", name) for name in ("web", "shop", "pay", "mail"))


@pytest.fixture
def kernel():
    return simulated_kernel(Settings(), VirtualClock(start_ms=1_700_000_000_000))


def finding(kernel, entity, signal="rate", *, ago_s=0, cleared=False):
    at_ms = kernel.clock.now_ms() - ago_s * 1000
    return Finding(
        id=kernel.clock.new_id(), tenant="t", agent="support", kind="spike", entity=entity, at_ms=at_ms, seen_ms=at_ms,
        severity=Severity.MAJOR, p_value=1e-6, effect=4.0, signal=signal, title=f"{signal} of {entity.name}",
        evidence=(), dedup_key=f"{entity.name}:{signal}", cleared=cleared,
    )  # fmt: skip


async def draw(kernel, *links):
    now_ms = kernel.clock.now_ms()
    surveyor = Surveyor(kernel)
    await surveyor.tell("t", Sighted(now_ms, now_ms, links=dict.fromkeys(links, 1.0)))


async def rows(kernel, collection):
    async with kernel.records.transaction() as transaction:
        return [record.value async for record in every(transaction, collection, "t")]


async def live(kernel):
    return sorted((c for c in await rows(kernel, CASES) if c.state in LIVE), key=lambda c: c.opened_ms)


async def test_two_brains_at_once_open_one_case(kernel):
    """Callers and callees, each finding read by another brain: one case, whoever comes first."""
    await draw(kernel, (WEB, SHOP, CALLS), (SHOP, PAY, CALLS))
    findings = [finding(kernel, entity, f"s{n}") for n in range(4) for entity in (WEB, SHOP, PAY)]

    await asyncio.gather(*(Desk(kernel).admit("t", [one]) for one in findings))

    (case,) = await live(kernel)
    assert case.finding_count == 12 and set(case.entities) == {WEB, SHOP, PAY}
    joined = [entry.text for entry in case.timeline if entry.kind == "finding_joined"]
    assert any("which calls service/" in text or "is called by service/" in text for text in joined)


async def test_independent_troubles_stay_two_cases(kernel):
    """No relation, or a relation and no nearness in time."""
    desk = Desk(kernel)
    await draw(kernel, (SHOP, PAY, CALLS), (WEB, MAIL, CALLS))
    await desk.admit("t", [finding(kernel, PAY), finding(kernel, MAIL)])
    await kernel.clock.advance(600)
    await draw(kernel, (SHOP, PAY, CALLS))
    await desk.admit("t", [finding(kernel, SHOP)])

    assert sorted(case.entities for case in await live(kernel)) == [(MAIL,), (PAY,), (SHOP,)]


async def test_a_map_that_changes_while_a_case_is_open(kernel):
    """A call that was not known makes one of two cases with the next finding; one that is gone parts nothing."""
    desk = Desk(kernel)
    await desk.admit("t", [finding(kernel, PAY), finding(kernel, SHOP)])
    assert len(await live(kernel)) == 2
    await draw(kernel, (SHOP, PAY, CALLS))
    await kernel.clock.advance(12)
    await desk.admit("t", [finding(kernel, SHOP, "errors", ago_s=10)])

    (case,) = await live(kernel)
    assert set(case.entities) == {SHOP, PAY}
    await kernel.clock.advance(4000)
    await desk.admit("t", [finding(kernel, PAY, cleared=True)])
    assert (await live(kernel))[0].id == case.id


async def test_a_split_stays_split(kernel):
    """What a person took out does not come back with the next finding, and its findings go along."""
    desk = Desk(kernel)
    await draw(kernel, (SHOP, PAY, CALLS))
    await desk.admit("t", [finding(kernel, PAY), finding(kernel, SHOP), finding(kernel, SHOP, "errors")])
    (case,) = await live(kernel)
    await kernel.clock.advance(1)
    new = await desk.split("t", case.id, frozenset(), frozenset({SHOP}), "ann")
    await desk.admit("t", [finding(kernel, SHOP, "latency"), finding(kernel, PAY, "latency")])

    rest, other = await live(kernel)
    assert (rest.id, other.id) == (case.id, new.key)
    assert (rest.entities, other.entities) == ((PAY,), (SHOP,))
    assert (rest.finding_count, other.finding_count) == (2, 3)
    assert rest.timeline[1:][-2].kind == "split" and "ann took 2 of 3" in rest.timeline[-2].text
    assert {row.entity: row.case for row in await rows(kernel, FINDINGS)} == {PAY: rest.id, SHOP: other.id}


async def test_merged_by_hand_and_tied_from_then_on(kernel):
    desk = Desk(kernel)
    await desk.admit("t", [finding(kernel, PAY), finding(kernel, MAIL)])
    one, other = await live(kernel)
    await desk.merge("t", one.id, other.id, "ann")

    (case,) = await live(kernel)
    assert set(case.entities) == {PAY, MAIL} and case.timeline[-1].text.startswith("ann made it one case")
    async with kernel.records.transaction() as transaction:
        history = (await transaction.load(HISTORIES, "t", HISTORY_KEY)).value
    assert history.together == {"service/mail\nservice/pay": 3}


async def test_what_cannot_be_split_or_merged(kernel):
    desk = Desk(kernel)
    await desk.admit("t", [finding(kernel, PAY)])
    (case,) = await live(kernel)

    for asked in ({PAY}, {SHOP}):
        with pytest.raises(Stale):
            await desk.split("t", case.id, frozenset(), frozenset(asked), "ann")
    with pytest.raises(Stale):
        await desk.merge("t", case.id, case.id, "ann")
    with pytest.raises(NotFound):
        await desk.merge("t", case.id, "nobody", "ann")


async def test_a_case_closed_by_another_process_is_joined_no_more(kernel):
    """The brain hears of it with its next decision, though its own desk did not close it."""
    brain, console = Desk(kernel), Desk(kernel)
    await brain.admit("t", [finding(kernel, PAY)])
    (case,) = await live(kernel)
    await console.change("t", case.id, lambda c: life.closed(c, "", "ann", kernel.clock.now_ms()))
    await brain.admit("t", [finding(kernel, PAY, "errors")])

    (new,) = await live(kernel)
    assert new.id != case.id and new.finding_count == 1


async def test_people_do_not_wait_for_who_decides(kernel):
    """Acknowledging a case locks the case alone, not the list that a storm's batches hold."""
    desk = Desk(kernel)
    await desk.admit("t", [finding(kernel, PAY)])
    (case,) = await live(kernel)
    async with kernel.records.transaction() as storm:
        await storm.load(SCENES, "t", JOINABLE)
        async with asyncio.timeout(5):
            await desk.change("t", case.id, lambda c: life.acknowledged(c, "ann", kernel.clock.now_ms()))
    await desk.admit("t", [finding(kernel, PAY, "errors")])

    assert (await live(kernel))[0].finding_count == 2
