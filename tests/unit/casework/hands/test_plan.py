"""From a chosen playbook to what is shown: which name the proof speaks of, and how each replica is taken back."""

import pytest

from cerebro.app.estate_hands import EstateExecutor
from cerebro.casework.executors.port import Preview
from cerebro.casework.hands.plan import picked, planned
from cerebro.casework.hands.rank import named_in
from cerebro.casework.playbooks.read import read, shipped
from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.estate import Estate
from cerebro.spine.actions import Call, Difference
from cerebro.spine.cases import Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid

CART = EntityKey("service", "cart")
TURN_FLAG_OFF, DRAIN = shipped()["turn-flag-off"], shipped()["drain-replica"]


def proof(title, target=CART):
    """What names a flag in the diagnosis of a cause with such a change just before."""
    return named_in(Cause(target, "config", 0.9, 1, f"“{title}” came 5 s before the first sign."))


def flags(*names):
    return {f"flag.{name}": "yes" for name in names}


@pytest.mark.parametrize(
    ("title", "names", "flag"),
    [
        ("cart: newCheckout turned on", ["newCheckout", "notes"], "newCheckout"),
        ("flag.NEWCHECKOUT is on", ["newCheckout", "notes"], "newCheckout"),
        ("cart-v2 turned on", ["cart", "cart-v2"], "cart-v2"),
        ("shop:pay turned on.", ["pay", "shop:pay"], "shop:pay"),
        ("notes, then facets.", ["notes", "facets"], None),
        ("repayment plans for all", ["pay", "search"], None),
        ("pay-later turned on", ["pay", "search"], None),
        ("pay.later turned on", ["pay", "search"], None),
        ("all settings renewed", ["pay"], None),
    ],
)
def test_a_flag_is_named_as_a_word_of_its_own(title, names, flag):
    assert picked(TURN_FLAG_OFF, CART, flags(*names), proof(title)).get("flag") == flag


@pytest.mark.parametrize(("said", "replica"), [("cart-1", "1"), ("cart-10", "10"), ("cart-100", None)])
def test_a_replica_is_told_from_one_whose_number_begins_alike(said, replica):
    words = named_in(Cause(CART, "resource", 0.9, 1, f"latency of host/{said} rose from 5 to 90."))
    before = {f"weight.{number}": "1" for number in range(12)}

    assert picked(DRAIN, CART, before, words).get("replica") == replica


async def test_without_a_flag_that_is_named_none_is_turned_off(bench):
    """An empty one would leave the argument out, and a door takes that for all that are on."""
    bench.toy.reaches = lambda target, operation: True

    with pytest.raises(Invalid, match="flag"):
        await planned(TURN_FLAG_OFF, CART, {}, [bench.toy], key="k", words=proof("settings renewed"))


async def test_the_change_of_a_bad_flag_in_the_estate_names_it():
    clock = VirtualClock(seed=7)
    estate = Estate(30, 7, clock)
    injection = await estate.inject("bad_flag", seed=1)
    executor, target = EstateExecutor(estate, clock), injection.target
    (title,) = [each.title for each in estate._changes if each.kind == "flag"]

    plan = await planned(TURN_FLAG_OFF, target, {}, [executor], key="k", words=proof(title, target))

    assert plan.steps[0].call.arguments == {"flag": target.name}
    assert plan.steps[0].undo[0].arguments == {"flag": target.name}


CANARY = """
name: deploy-replica-by-replica
version: 1
title: Deploy the version before, replica by replica
sign_off: operator
risk: guarded
trigger: {causes: [deploy], entities: [service]}
steps:
  - executor: process
    operation: deploy
    arguments: {version: "1"}
    canary: true
    undo: {operation: deploy, arguments: {version: "${before.version}"}}
predicted: The version before runs again.
expect: {of: users}
runbook: "Look: did it begin with a deploy? Do: go back, one replica after the other."
"""
STORE = EntityKey("service", "store")


def back(target, **arguments):
    return Call("process", "deploy", target, arguments)


@pytest.mark.parametrize(
    ("told", "undos"),
    [
        (None, [[back(CART, version="2", replica=number)] for number in "01"]),  # the playbook's own
        ([back(CART, version="2")], [[back(CART, version="2", replica=number)] for number in "01"]),
        ([back(CART, replica="0"), back(CART, replica="1")], [[back(CART, replica=number)] for number in "01"]),
        ([back(STORE)], [[back(STORE)], [back(STORE)]]),
    ],
)
async def test_a_replica_is_taken_back_alone(bench, told, undos):
    """Harm by the first one is no reason to do anything to the others."""

    async def dry_run(call):
        change = Difference("version", "2", "1")
        return Preview((change,), {"version": "2"}, ("0", "1"), undo=None if told is None else tuple(told))

    bench.toy.dry_run = dry_run

    plan = await planned(read(CANARY), CART, {}, [bench.toy], key="k")

    assert [list(step.undo) for step in plan.steps] == undos
    assert [step.call.arguments["replica"] for step in plan.steps] == ["0", "1"]
