"""What happens between an action's approval and its beginning, and between its calls: it is asked for again."""

import pytest

from cerebro.casework.desk import Stale
from cerebro.casework.hands.store import Policy
from cerebro.spine.actions import ActionState
from cerebro.spine.identity import DEFAULT_TENANT

HOURS_S = 3 * 3600


async def approve(bench, action, by="anna"):
    engine = bench.hands.engine
    return await engine.approve(await engine.ledger.one(DEFAULT_TENANT, action.id), by, action.digest)


async def test_an_approval_of_hours_ago_begins_nothing(bench, waiting):
    """Someone said yes at two, and nobody was up to do it until five."""
    await approve(bench, waiting)
    await bench.clock.advance(HOURS_S)

    await bench.rounds(1, hands=bench.brain())

    (action,) = await bench.actions()
    assert (action.state, bench.toy.done) == (ActionState.EXPIRED, {})
    assert action.outcome == "It was approved, and nobody was up to begin it in time."


async def test_what_was_held_for_too_long_tells_what_held_it(bench, waiting):
    ledger = bench.hands.engine.ledger
    await ledger.set_policy(DEFAULT_TENANT, Policy(stopped=True), 0, "ben", "stopped")
    await approve(bench, waiting)
    await bench.rounds(2)
    await bench.clock.advance(HOURS_S)

    await bench.rounds(1)

    (action,) = await bench.actions()
    assert action.state is ActionState.EXPIRED
    assert action.outcome == "It could not be begun: Everything is stopped: the global stop is set."


async def test_what_has_expired_is_not_approved_and_it_is_said_how_it_can_be_done(bench, waiting):
    """No brain is up that would have ended it."""
    await bench.clock.advance(HOURS_S)

    with pytest.raises(Stale, match=r"It has expired.*cerebro actions propose"):
        await approve(bench, waiting)

    (action,) = await bench.actions()
    assert action.state is ActionState.AWAITING
