"""The whole role on a clock that stands still: a replay of the same findings gives the same cases, ids included."""

import asyncio

import msgspec

from cerebro.casework.flow import Brain, Sweeper
from cerebro.casework.store import CASES, every
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.streams import FINDINGS as STREAM
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import Settings
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity

STORY = [
    ("cpu", False, 30),
    ("load", False, 60),
    ("cpu", True, 30),
    ("load", True, 90),
    ("cpu", False, 10),
    ("cpu", True, 120),
]


def finding(clock, key, cleared=False):
    return Finding(
        id=clock.new_id(), tenant="acme", agent="support", kind="spike", entity=EntityKey("host", "a"),
        at_ms=clock.now_ms(), seen_ms=clock.now_ms(), severity=Severity.MAJOR, p_value=1e-6, effect=4.0, signal=key,
        title=f"{key} rose", evidence=(), dedup_key=key, cleared=cleared,
    )  # fmt: skip


async def lived(seed):
    """An hour with a trouble that comes, goes, comes back and goes."""
    clock = VirtualClock(seed=seed)
    kernel = Kernel(Settings(), clock, MemoryBus(clock), None, MemoryRecords())
    await kernel.bus.declare(STREAM)
    stop = asyncio.Event()
    tasks = [asyncio.create_task(task.run(stop)) for task in (Brain(kernel), Sweeper(kernel))]
    states = []
    for key, cleared, wait_s in STORY:
        made = finding(clock, key, cleared)
        await kernel.bus.publish("findings.acme", msgspec.json.encode(made), dedup_key=made.id)
        for _ in range(wait_s):
            await clock.advance(1)
        async with kernel.records.transaction() as transaction:
            cases = [record.value async for record in every(transaction, CASES, "acme")]
        states.append(cases[0].state)
    stop.set()
    for _ in range(20):
        await clock.advance(1)
    await asyncio.gather(*tasks)
    return cases, states


async def test_an_hour_replays_from_its_seed():
    cases, states = await lived(seed=7)

    assert len(cases) == 1 and cases == (await lived(seed=7))[0]
    assert [state.value for state in states] == ["open", "open", "open", "resolved", "investigating", "resolved"]
    assert cases[0].state is CaseState.RESOLVED
