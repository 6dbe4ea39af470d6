"""Faults that a suite's file declares: they work on an estate, bring others with them, and are refused in one line."""

import numpy as np
import pytest

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.columns import Knob
from cerebro.proving.estate.estate import Estate
from cerebro.proving.suites.read import suite_of
from cerebro.spine.errors import Invalid

STRETCH = {"quiet_s": 60, "fault_s": 60, "after_s": 60}
OWN = {"on": ["service"], "turns": {"error": [0.4, 0.5]}, "mends": ["reroute"], "then": {"traffic_surge": 60}}


def suite(**fault):
    return suite_of("mine", {"kinds": ["odd"], "simulated": STRETCH, "faults": {"odd": OWN | fault}})


async def test_a_fault_of_ones_own_turns_what_it_says_and_brings_the_next_one():
    """The first turns errors at its place; a minute later the surge has begun elsewhere; both end together."""
    (plan,) = suite().plans("simulated")
    estate = Estate(5, 3, VirtualClock())
    estate.declare(plan.own)
    injection = await estate.inject("odd", seed=1)
    place = estate.topology.place(injection.target)

    def turned():
        return estate.motion.knobs[place, Knob.ERROR], float(np.max(estate.motion.knobs[:, Knob.LOAD]))

    estate.measure(2)
    assert (0.4 <= turned()[0] <= 0.5, turned()[1]) == (True, 1.0)
    estate.measure(6)
    assert turned()[1] >= 4.0
    await estate.end(injection)
    estate.measure(1)
    assert turned() == (0.0, 1.0)


@pytest.mark.parametrize(
    ("fault", "detail", "mend"),
    [
        ({"turns": {"sped": [1, 2]}}, "The fault odd turns 'sped'", "speed, cost"),
        ({"turns": {"speed": 1}}, "faults.odd.turns.speed = 1 is no pair", "speed = [0.1, 0.2]"),
        ({"turns": {"speed": [-1, 1]}}, "faults.odd.turns.speed = -1", "at least 0"),
        ({"on": ["moon"]}, "is on 'moon'", "service, worker"),
        ({"on": ["host"]}, "turns more on a host", "job_cores"),
        ({"mends": ["pray"]}, "faults.odd.mends holds 'pray'", "restart"),
        ({"then": {"flood": 3}}, "is followed by 'flood'", "crash"),
        ({"cause": "bad luck"}, "faults.odd.cause = 'bad luck'", "resource"),
        ({"colour": "red"}, "faults.odd has no 'colour'", "title"),
    ],
)
def test_a_mistake_is_named_with_its_mend(fault, detail, mend):
    with pytest.raises(Invalid) as caught:
        suite(**fault)

    assert detail in caught.value.detail
    assert mend in caught.value.mend
