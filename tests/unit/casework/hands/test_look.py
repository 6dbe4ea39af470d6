"""What users feel around an action, and what of it is the action's own doing."""

import pytest

from cerebro.casework.hands.felt import Felt
from cerebro.casework.hands.look import Look
from cerebro.casework.hands.users import nature_of
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import DEFAULT_TENANT

SUPPLIER = EntityKey("external", "card-scheme")
CART, CACHE = EntityKey("service", "cart"), EntityKey("service", "redis-1")


def test_a_supplier_that_is_called_no_more_is_missed_by_nobody():
    usual = {"service/card-scheme<": Felt(500.0, 0.0, 50.0), "service/cart": Felt(900.0, 0.0, 90.0)}
    now = {"service/cart": Felt(300.0, 0.0, 30.0)}
    seen = Look(usual, now)
    assert seen.suffering == ("service/card-scheme<",)
    assert seen.without_calls_to(SUPPLIER).suffering == ()


def test_a_cache_that_tells_of_its_operations_as_any_store_does_is_a_cache():
    told = ("db.server.operation.duration_count", "redis.keyspace.misses")
    assert nature_of(EntityKey("service", "redis-1"), told) == "cache"
    assert nature_of(EntityKey("service", "store"), told[:1]) == "database"


class Map:
    """A map with one cache and who asks it."""

    relations = (
        Relation(DEFAULT_TENANT, CART, CACHE, "calls"),
        Relation(DEFAULT_TENANT, EntityKey("instance", "redis-1-0"), CACHE, "instance_of"),
    )

    async def at(self, tenant, at_ms):
        return self


@pytest.mark.parametrize(("nature", "names"), [("cache", ("redis-1", "cart")), ("database", ("redis-1",))])
async def test_those_who_ask_a_cache_tell_what_its_users_feel(bench, nature, names):
    """It answers as fast as ever when it has nothing to give."""
    asked = []
    felt = bench.users.felt

    async def note(tenant, names, start_ms, end_ms):
        asked.append(tuple(names))
        return await felt(tenant, names, start_ms, end_ms)

    bench.users.kind, bench.users.felt = nature, note
    case = await bench.the_case(await bench.case(target=CACHE, about=CACHE))
    engine = bench.hands.engine
    engine.looks._atlas = Map()
    await engine.looks.since(case, CACHE, case.began_ms)

    assert set(asked) == {names}
