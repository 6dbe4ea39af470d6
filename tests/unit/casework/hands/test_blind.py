"""What users feel cannot be read for a while: of one thing, or of everything."""

import asyncio
from contextlib import suppress

import pytest

from cerebro.casework.store import TENANTS, Known
from cerebro.spine.actions import ActionState
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import LimitReached
from cerebro.spine.identity import DEFAULT_TENANT, SELF_TENANT, TenantId

CART, WORKER = EntityKey("service", "cart"), EntityKey("service", "worker")
SURGE = {"kind": "capacity", "text": "more traffic", "marks": ("surged",)}


def unreadable(bench, name=""):
    """From now on what users of this feel is too much to read; without a name, what any feel."""
    honest = bench.users.felt

    async def felt(tenant, names, start_ms, end_ms):
        if not name or name in names:
            raise LimitReached("The query took too much memory.")
        return await honest(tenant, names, start_ms, end_ms)

    bench.users.felt = felt
    return honest


async def blind_rounds(bench, count):
    for _ in range(count):
        with suppress(LimitReached):
            await bench.hands.round(DEFAULT_TENANT)
        await bench.clock.advance(5)


async def test_what_cannot_be_looked_at_keeps_no_other_action_from_its_turn(bench):
    """Someone wants another one undone, for which nothing has to be read."""
    await bench.case()
    await bench.rounds(1)
    await bench.case(name="two", target=WORKER, about=WORKER, **SURGE)
    await bench.rounds(2)
    first, other = await bench.actions()
    assert (first.state, other.state) == (ActionState.VERIFYING, ActionState.VERIFYING)
    engine = bench.hands.engine
    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, other.id), "anna")
    unreadable(bench, "cart")

    with pytest.raises(LimitReached):
        await bench.hands.round(DEFAULT_TENANT)

    assert [each.state for each in await bench.actions()] == [ActionState.VERIFYING, ActionState.UNDONE]


async def test_what_cannot_be_looked_at_keeps_no_other_case_from_its_action(bench):
    await bench.case()
    await bench.clock.advance(1)
    await bench.case(name="two", target=WORKER, about=WORKER, **SURGE)
    unreadable(bench, "cart")

    with pytest.raises(LimitReached):
        await bench.hands.round(DEFAULT_TENANT)

    assert [(each.target, each.state) for each in await bench.actions()] == [(WORKER, ActionState.VERIFYING)]


async def test_what_cannot_be_looked_at_keeps_no_other_tenant_from_its_turn(bench):
    stop, seen, tenants = asyncio.Event(), [], ("acme", "beta", "gamma")
    for tenant in tenants:
        async with bench.kernel.records.transaction() as transaction:
            await transaction.save(TENANTS, SELF_TENANT, tenant, Known(TenantId(tenant)), version=0)

    async def turn(tenant):
        seen.append(tenant)
        if tenant == "acme":
            raise LimitReached("The query took too much memory.")

    bench.hands.round = turn
    with pytest.raises(LimitReached):
        await bench.hands.run(stop)

    assert set(seen) >= set(tenants)


async def test_what_could_not_be_looked_at_for_all_of_its_time_is_told_so(bench):
    case_id = await bench.case()
    await bench.rounds(2)
    unreadable(bench)
    (action,) = await bench.actions()
    rounds = round(2 * action.expect.within_s / 5)

    await blind_rounds(bench, rounds - 4)
    assert (await bench.actions())[0].state is ActionState.VERIFYING

    await blind_rounds(bench, 6)
    (action,) = await bench.actions()
    assert (action.state, action.learned, bench.toy.value["version"]) == (ActionState.UNVERIFIED, "", "1")
    assert "what users feel could not be read" in action.outcome
    assert (await bench.the_case(case_id)).state is CaseState.INVESTIGATING


@pytest.mark.parametrize("well", [True, False])
async def test_what_is_looked_at_again_when_its_time_is_over_is_given_the_time_to_hold(bench, well):
    """Nobody was up, or nothing could be read: that users are well by now is no sign that it did not help."""
    await bench.case()
    await bench.rounds(2)
    if well:
        bench.users.until_ms = bench.clock.now_ms()
    await bench.clock.advance(1200)

    await bench.rounds(8)

    state = ActionState.HELPED if well else ActionState.UNDONE
    assert (await bench.actions())[0].state is state
