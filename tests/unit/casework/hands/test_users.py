"""What users feel, read from the samples of requests."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.hands import users as whole
from cerebro.casework.hands.felt import Felt, Measure, Samples, felt_of
from cerebro.casework.hands.users import METRICS_OF, METRICS_OF_ALL, StoredUsers, WatchedUsers
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, no_series

CART = EntityKey("service", "cart")
SERVED = "http.server.request.duration"
START_MS, STEP_MS = 1_700_049_600_000, 10_000


def named(number, metric, entity="cart", type="histogram", **labels):
    dotted = [(label.replace("_", "."), value) for label, value in labels.items()]
    return {
        "hi": number, "lo": 7 * number, "metric": metric, "labels": dotted,
        "type": type, "unit": "s", "entity_kind": "service", "entity_name": entity,
    }  # fmt: skip


@pytest.fixture
def users():
    """Two replicas of cart, who serve 2 and 4 requests a step, 0.1 and 0.3 s each; the second begins anew midway."""
    series = [
        named(1, f"{SERVED}_count", service_instance_id="cart-0"),
        named(2, f"{SERVED}_sum", service_instance_id="cart-0"),
        named(3, f"{SERVED}_count", service_instance_id="cart-1"),
        named(4, f"{SERVED}_sum", service_instance_id="cart-1"),
        named(5, "http.client.request.duration_count", "gateway", "delta_histogram", server_address="cart:80"),
    ]
    steps = np.arange(1, 13)
    later = np.where(steps > 6, steps - 6, steps)
    columns = [2.0 * steps, 0.2 * steps, 4.0 * later, 1.2 * later, np.full(12, 6.0)]
    watched = WatchedUsers()
    for place, step in enumerate(steps.tolist()):
        hi = np.array([row["hi"] for row in series], np.uint64)
        told = pa.Table.from_pylist(series, schema=SERIES_SCHEMA) if place == 0 else no_series()
        value = np.array([column[place] for column in columns])
        watched.note(SampleBatch(hi, 7 * hi, np.full(5, START_MS + step * STEP_MS), value, told))
    return watched


@pytest.mark.parametrize("steps", [(2, 5), (5, 9)])
async def test_what_users_feel_is_what_counters_grew_by_and_a_fall_is_a_beginning(users, steps):
    stretch = [START_MS + step * STEP_MS for step in steps]
    count = steps[1] - steps[0]

    felt = await users.felt(DEFAULT_TENANT, ["cart"], *stretch)

    assert felt["service/cart"].count == 6.0 * count
    assert felt["service/cart"].mean_s == pytest.approx((0.2 + 1.2) / 6.0)
    assert felt["service/cart<"] == Felt(6.0 * count)


@pytest.mark.parametrize(("replica", "count", "mean_s"), [("0", 6.0, 0.1), ("cart-1", 12.0, 0.3), ("2", 0.0, 0.0)])
async def test_a_replica_is_told_by_its_number_or_its_whole_name(users, replica, count, mean_s):
    felt = await users.felt_of_replica(DEFAULT_TENANT, CART, replica, START_MS + 2 * STEP_MS, START_MS + 5 * STEP_MS)

    assert felt.count == count
    assert felt.mean_s == pytest.approx(mean_s)


def test_one_page_of_many_is_told_apart_whatever_came_of_it_and_whoever_answered():
    labels = [
        {"http.route": "/home", "service.instance.id": "cart-0"},
        {"http.route": "/home", "service.instance.id": "cart-1", "http.response.status_code": "500"},
        {"http.route": "/pay", "service.instance.id": "cart-0"},
    ]
    measures = [Measure(place, 0, f"{SERVED}_count", each, CART) for place, each in enumerate(labels)]
    of = np.repeat(np.arange(3), 2)
    samples = Samples(of, np.tile([START_MS, START_MS + STEP_MS], 3), np.array([0.0, 40, 0, 2, 0, 5]))

    felt = felt_of(measures, samples, START_MS, START_MS + 2 * STEP_MS, by_operation=True)

    assert felt == {
        "service/cart http.route=/home": Felt(42.0, 2.0),
        "service/cart http.route=/pay": Felt(5.0),
    }


async def test_before_anything_was_told_nobody_feels_anything(users):
    assert await users.felt(DEFAULT_TENANT, ["cart"], START_MS - STEP_MS, START_MS) == {}
    assert await WatchedUsers().felt(DEFAULT_TENANT, ["cart"], START_MS, START_MS + STEP_MS) == {}


class Store:
    """A telemetry store of one tenant: what each service sends, and that others call all of them."""

    def __init__(self):
        self.sent, self.asked = {}, []

    async def query(self, sql, parameters):
        self.asked.append(sql)
        if sql == METRICS_OF:
            return pa.Table.from_pylist([{"metric": each} for each in self.sent.get(parameters["name"], ())])
        if sql == METRICS_OF_ALL:
            names = [EntityKey.parse(each) for each in parameters["entities"]]
            return pa.Table.from_pylist(
                [
                    {"entity_kind": each.kind, "entity_name": each.name, "metrics": self.sent[each.name]}
                    for each in names
                    if each.name in self.sent
                ]
            )
        names = parameters.get("names", ["one"])
        return pa.Table.from_pylist([{"name": each, "called": 1, "own": 0} for each in names])


async def asked_alone(users, entity):
    return await users.nature(DEFAULT_TENANT, entity)


async def asked_with_others(users, entity):
    return (await users.natures(DEFAULT_TENANT, [entity]))[entity]


@pytest.mark.parametrize("nature", [asked_alone, asked_with_others])
async def test_who_is_blamed_before_it_tells_anything_is_no_stranger_for_long(nature, clock):
    store = Store()
    users = StoredUsers(store, clock)
    assert await nature(users, CART) == "external"

    store.sent["cart"] = ["process.cpu.time"]
    await clock.advance(31.0)
    assert await nature(users, CART) == "service"

    asked = len(store.asked)
    await clock.advance(60.0)
    assert (await nature(users, CART), len(store.asked)) == ("service", asked)

    store.sent["cart"] = ["redis.commands"]
    await clock.advance(600.0)
    assert await nature(users, CART) == "cache"


async def test_natures_of_more_entities_than_are_kept_are_told_and_the_oldest_asked_anew(clock, monkeypatch):
    monkeypatch.setattr(whole, "NATURES_MAX", 4)
    store = Store()
    users = StoredUsers(store, clock)
    many = [EntityKey("service", f"cart-{number}") for number in range(9)]
    store.sent = {each.name: ["process.cpu.time"] for each in many}

    assert await users.natures(DEFAULT_TENANT, many) == dict.fromkeys(many, "service")

    asked = len(store.asked)
    await users.nature(DEFAULT_TENANT, many[-1])
    assert len(store.asked) == asked
    await users.nature(DEFAULT_TENANT, many[0])
    assert len(store.asked) == asked + 1
