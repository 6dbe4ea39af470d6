"""Whom callers accuse: what is seen faintly beside something that shouts is its echo."""

import numpy as np
import pytest

from cerebro.casework.cause.answers import DURATION, SILENT, lines_of
from cerebro.casework.cause.callers import wire_of
from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.spine.entities import EntityKey

FRONT, DEAD, OTHER = 0, 1, 2


def clues_of(*rows):
    """Rows of (entity, peer, family, nats, change, text)."""
    entity, peer, family, nats, change, text = zip(*rows, strict=True)
    none = np.zeros(len(rows))
    return Clues(
        np.array(entity, np.int32), np.array(peer, np.int32), np.array(family, np.int8), np.array(nats, float),
        np.ones(len(rows)), np.array(change, float), none, none, none, text, ("tallies",) * len(rows),
        np.arange(len(rows)),
    )  # fmt: skip


def test_a_dead_callee_is_accused_and_not_its_caller_though_another_way_is_a_little_longer():
    wire = wire_of(
        clues_of((FRONT, DEAD, Family.WIRE, 80.0, 0.5, "calls"), (FRONT, OTHER, Family.WIRE, 2.5, 0.1, "GET other")), 3
    )
    assert wire[DEAD] > 3 * max(wire[FRONT], wire[OTHER])


def test_a_caller_all_of_whose_calls_fail_alike_is_accused_itself():
    wire = wire_of(
        clues_of((FRONT, DEAD, Family.WIRE, 30.0, 0.5, "calls"), (FRONT, OTHER, Family.WIRE, 30.0, 0.5, "calls")), 3
    )
    assert wire[FRONT] > max(wire[DEAD], wire[OTHER])


@pytest.mark.parametrize(("slower_s", "counts"), [(0.0005, True), (1.0, False)])
def test_a_way_counts_by_how_much_of_its_callers_excess_it_is(slower_s, counts):
    rows = (FRONT, DEAD, Family.LATENCY, 6.0, 0.001, "wire.mean"), (FRONT, -1, Family.LATENCY, 9.0, slower_s, DURATION)
    assert (wire_of(clues_of(*rows), 3)[DEAD] > 3.0) == counts


def test_a_replica_that_tells_nothing_any_more_is_counted_silent():
    shop = EntityKey("service", "shop")
    values = np.ones((2, 60))
    values[1, 50:] = np.nan
    series = [Series(shop, "process.memory.usage", {"service.instance.id": str(n)}, "gauge") for n in range(2)]
    lines = lines_of(Held(Grid(0, 15_000, 60, 40), series, values, values), {})
    silent = next(line.values for line in lines if line.signal == SILENT)

    assert silent[:50].max() == 0
    assert silent[55] == 1
