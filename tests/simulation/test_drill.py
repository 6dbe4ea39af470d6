"""A drill on a simulated estate, with the whole of Cerebro inside: the same seed is the same drill."""

import pytest

from cerebro.app.inside import simulated_stage
from cerebro.kernel.settings import Settings
from cerebro.proving.drill import QUIET, Plan, run_plan
from cerebro.spine.errors import Invalid

SETTINGS = Settings()


async def drill(kind: str, seed: int, **stretch: float):
    plan = Plan(kind, seed, **({"quiet_s": 1200.0, "fault_s": 300.0, "after_s": 120.0} | stretch), services=6)
    return await run_plan(await simulated_stage(plan, SETTINGS), plan, "simulated")


async def test_the_same_seed_is_the_same_drill():
    first, second = [await drill("bad_deploy_errors", 2) for _ in range(2)]

    assert first == second
    assert {run.watcher for run in first} == {"cerebro", "alert rules"}
    for run in first:  # whoever mends it early ends it early
        length_ms = run.observation.injection.end_ms - run.observation.injection.start_ms
        assert 0 < length_ms <= 300_000


async def test_a_quiet_stretch_has_no_fault_and_counts_its_hours():
    cerebro, _ = await drill(QUIET, 1, quiet_s=900.0, fault_s=0.0, after_s=0.0)

    assert cerebro.quiet_s == 900.0
    assert cerebro.observation.injection.id == ""


async def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(Invalid, match="crush") as caught:
        await drill("crush", 1, quiet_s=60.0)

    assert "crash" in caught.value.mend
