"""Drills that share an estate: each as if it had been alone there, and the quiet stretch before them played once."""

import asyncio

import pytest

from cerebro.cli import drill_simulated
from cerebro.cli.drill_simulated import in_copy, play, play_shared, together
from cerebro.kernel.settings import Settings
from cerebro.proving.drill import Plan
from cerebro.spine.errors import Invalid, Unavailable

SETTINGS = Settings()


def plan(kind: str, topology: int = 1, seed: int = 1) -> Plan:
    return Plan(kind, seed, 300.0, 60.0, 30.0, 5, topology)


def test_a_shared_drill_is_the_same_as_one_alone():
    """The one before it leaves no trace, and what was warmed up is what each would have warmed up."""
    plans = [plan("primary_lost"), plan("bad_deploy_errors"), plan("nothing")]
    shared = [answer.runs for answer in play_shared(plans, SETTINGS)]
    alone = [asyncio.run(play(each, SETTINGS)) for each in plans[1:]]

    assert shared[1:] == alone
    assert shared[0] != alone[0]


def test_estates_are_given_out_whole_and_in_parts_enough():
    plans = [plan("crash", topology) for topology in (1, 2, 1, 0, 0)]

    assert [len(group) for group in together(plans, 2)] == [2, 1, 1, 1]
    assert [len(group) for group in together([plan("crash")] * 5, 2)] == [3, 2]


def test_a_refusal_and_a_death_come_home():
    def refused():
        raise Invalid("No.", "Do it otherwise.")

    def dead():
        raise SystemExit(3)

    assert (in_copy(refused).refused, in_copy(refused).mend) == ("No.", "Do it otherwise.")
    with pytest.raises(Unavailable, match="ended with 1"):
        in_copy(dead)


async def test_plans_go_through_processes_and_come_back():
    """Another process plays them; what it refuses is raised here."""
    plans = [plan("crash"), plan("quiet")]
    told = [each async for each in drill_simulated.play_all(plans, SETTINGS, 1)]

    assert [each for each, _ in told] == plans
    assert [run.watcher for _, runs in told for run in runs] == ["cerebro", "alert rules"] * 2
    with pytest.raises(Invalid, match="crush"):
        _ = [each async for each in drill_simulated.play_all([plan("crush"), plan("crash")], SETTINGS, 1)]
