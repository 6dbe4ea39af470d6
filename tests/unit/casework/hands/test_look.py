"""What users feel around an action, and what of it is the action's own doing."""

from cerebro.casework.hands.felt import Felt
from cerebro.casework.hands.look import Look
from cerebro.casework.hands.users import nature_of
from cerebro.spine.entities import EntityKey

SUPPLIER = EntityKey("external", "card-scheme")


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
