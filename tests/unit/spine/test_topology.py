"""A map answers who needs whom, however far."""

from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId
from cerebro.spine.topology import CALLS, Topology

SHOP = TenantId("default")
gateway, cart, store, host = (EntityKey.parse(t) for t in ("service/gateway", "service/cart", "database/pg", "host/a"))
MAP = Topology(
    SHOP, 0, {},
    (
        Relation(SHOP, gateway, cart, CALLS), Relation(SHOP, cart, store, "stores_in"),
        Relation(SHOP, cart, host, "runs_on"), Relation(SHOP, store, store, CALLS),
    ),
)  # fmt: skip


def test_it_knows_both_directions_and_every_kind():
    assert MAP.targets(cart) == (store, host) and MAP.targets(cart, "runs_on") == (host,)
    assert MAP.sources(cart, CALLS) == (gateway,) and MAP.sources(gateway) == ()


def test_a_neighbourhood_grows_by_hops_and_a_circle_does_no_harm():
    assert MAP.around(gateway, 0) == {gateway}
    assert MAP.around(gateway, 1) == {gateway, cart}
    assert MAP.around(gateway, 9) == {gateway, cart, store, host}
