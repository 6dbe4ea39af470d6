"""What was done about a case is found under it, also when the case became part of another."""

from cerebro.casework.hands.ledger import Ledger
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import DEFAULT_TENANT


async def test_actions_come_along_when_cases_are_merged(bench):
    first = await bench.case()
    await bench.rounds(1)
    second = await bench.case(name="two", target=EntityKey("host", "elsewhere"), kind="unknown")
    await bench.desk.merge(DEFAULT_TENANT, second, first, "anna")
    (action,) = await bench.actions()
    ledger = Ledger(bench.kernel)

    assert await ledger.of_case(DEFAULT_TENANT, second) == []
    assert [each.id for each in await ledger.of_story(DEFAULT_TENANT, second)] == [action.id]
    assert [each.id for each in await ledger.of_story(DEFAULT_TENANT, first)] == [action.id]
