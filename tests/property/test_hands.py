"""Laws of the hands: whatever is proposed when, an entity is worked by one action at a time, and an undo restores."""

import asyncio
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as some

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.deeds import ACTIONS
from cerebro.casework.desk import Desk
from cerebro.casework.executors.port import Fixed, Preview
from cerebro.casework.hands.felt import Felt
from cerebro.casework.hands.work import Hands
from cerebro.casework.store import every
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import HandsSettings, Settings
from cerebro.spine.actions import UNDER_WAY, ActionState, Difference, Level
from cerebro.spine.cases import Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, FindingId

NAMES = ("cart", "desk")
KINDS = ("deploy", "capacity", "resource", "code")


@dataclass
class Toys:
    name: str = "process"
    label: str = ""
    level: Level | None = Level.ACT
    state_of: dict[str, dict[str, str]] = field(
        default_factory=lambda: {name: {"replicas": "2", "version": "2"} for name in NAMES}
    )
    done: set[str] = field(default_factory=set)

    def reaches(self, target, operation):
        return operation in ("scale", "rollback", "deploy")

    async def state(self, target):
        return dict(self.state_of[target.name])

    async def dry_run(self, call):
        before = dict(self.state_of[call.target.name])
        what, after = ("replicas", "3") if call.operation == "scale" else ("version", "1")
        return Preview((Difference(what, before[what], after),) if before[what] != after else (), before)

    async def execute(self, call, *, key, timeout_s):
        if key not in self.done:
            self.done.add(key)
            what, otherwise = ("replicas", "3") if call.operation == "scale" else ("version", "1")
            self.state_of[call.target.name][what] = call.arguments.get(what, otherwise)
        return "done"

    async def happened(self, call, *, key):
        return key in self.done


class Sad:
    async def felt(self, tenant, names, start_ms, end_ms):
        return {f"service/{name}": Felt(1000, 300, 90) for name in NAMES}

    async def gauges(self, tenant, entity, metrics):
        return {}

    async def nature(self, tenant, entity):
        return "service"


@settings(max_examples=5, deadline=None)
@given(
    some.lists(some.tuples(some.sampled_from(NAMES), some.sampled_from(KINDS), some.integers(1, 30)), max_size=4),
    some.integers(0, 1 << 30),
)
def test_one_action_an_entity_at_a_time_and_an_undo_restores(cases, seed):
    asyncio.run(_play(cases, seed))


async def _play(cases, seed):
    clock = VirtualClock(seed=seed)
    own = Settings().model_copy(update={"hands": HandsSettings(entity_per_hour_max=50, tries_max=3, under_way_max=9)})
    kernel, toys = simulated_kernel(own, clock), Toys()
    brains = [Hands(kernel, Sad(), Fixed((toys,))) for _ in range(2)]
    for number, (name, kind, wait_s) in enumerate(cases):
        await _open(kernel, clock, EntityKey("service", name), kind, f"{name}-{number}")
        for _ in range(wait_s // 5 + 1):
            await asyncio.gather(*(each.round(DEFAULT_TENANT) for each in brains))
            actions = await _actions(kernel)
            busy = [each.target for each in actions if each.state in UNDER_WAY - {ActionState.APPROVED}]
            assert len(busy) == len(set(busy))
            await clock.advance(5)
    for _ in range(60):
        await brains[0].round(DEFAULT_TENANT)
        await clock.advance(10)
    actions = await _actions(kernel)
    assert all(each.state is ActionState.UNDONE for each in actions if each.started_ms)
    assert all(state == {"replicas": "2", "version": "2"} for state in toys.state_of.values())


async def _actions(kernel):
    async with kernel.records.transaction() as transaction:
        return [record.value async for record in every(transaction, ACTIONS, DEFAULT_TENANT)]


async def _open(kernel, clock, target, kind, name):
    now_ms, desk = clock.now_ms(), Desk(kernel)
    finding = Finding(
        FindingId(f"{name}-{now_ms}"), DEFAULT_TENANT, "support", "level_shift", target, now_ms, now_ms,
        Severity.MAJOR, 1e-9, 9.0, "http.server.request.duration", "Slow", (), f"key-{name}",
    )  # fmt: skip
    (kept,) = await desk.admit(DEFAULT_TENANT, [finding])
    cause = Cause(target, kind, 0.95, 1, f"the {kind}", since_ms=now_ms - 60_000)
    await desk.change(DEFAULT_TENANT, kept.case, lambda case: replace(case, causes=(cause,), looked_ms=now_ms + 60_000))
