"""A brain on a kernel in memory, a toy to act on, and users whose feelings the test decides."""

from dataclasses import dataclass, field, replace

import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.deeds import ACTIONS
from cerebro.casework.desk import Desk
from cerebro.casework.executors.port import Fixed, Preview
from cerebro.casework.hands.felt import Felt
from cerebro.casework.hands.work import Hands
from cerebro.casework.store import CASES, every
from cerebro.kernel.settings import Settings
from cerebro.spine.actions import Difference, Level
from cerebro.spine.cases import Cause, Mark
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Unavailable
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, FindingId

CART = EntityKey("service", "cart")
STEADY_MS = 60_000  # it has been blamed for a while


@dataclass
class Toy:
    """A service with a version, a count of replicas and a memory of what was done to it."""

    name: str = "process"
    label: str = ""
    level: Level | None = Level.ACT
    value: dict[str, str] = field(default_factory=lambda: {"replicas": "1", "version": "2", "flag.x": "yes"})
    done: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    dies: str = ""  # before | after the next call: the answer is lost
    replicas: tuple[str, ...] = ()
    busy: int = 0
    busiest: int = 0

    def reaches(self, target, operation):
        return target.kind == "service" and operation in ("restart", "scale", "rollback", "deploy")

    async def state(self, target):
        return self.value

    async def dry_run(self, call):
        change = {"scale": ("replicas", call.arguments.get("replicas", str(int(self.value["replicas"]) + 1))),
                  "rollback": ("version", "1"), "restart": ("processes", "new ones")}[call.operation]  # fmt: skip
        before = self.value.get(change[0], "old ones")
        changes = (Difference(change[0], before, change[1]),) if before != change[1] else ()
        return Preview(changes, dict(self.value), self.replicas)

    async def execute(self, call, *, key, timeout_s):
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        lost, self.dies = self.dies, ""
        if lost != "before" and key not in self.done:
            self.done[key] = (call.operation, dict(call.arguments))
            if call.operation == "scale":
                self.value["replicas"] = call.arguments.get("replicas", str(int(self.value["replicas"]) + 1))
            if call.operation in ("rollback", "deploy"):
                self.value["version"] = call.arguments.get("version", "1")
        self.busy -= 1
        if lost:
            raise Unavailable("The line is dead.")
        return "done"

    async def happened(self, call, *, key):
        return key in self.done


@dataclass
class Feelings:
    """What users feel, as the test says."""

    bad: Felt = field(default_factory=lambda: Felt(1000, 400, 200))
    good: Felt = field(default_factory=lambda: Felt(1000, 0, 50))
    since_ms: int = 0  # users suffer from here …
    until_ms: int = 1 << 60  # … to here
    kind: str = "service"
    fresh: Felt = field(default_factory=Felt)  # of a replica that was seen to

    async def felt_of_replica(self, tenant, entity, replica, start_ms, end_ms):
        return self.fresh if replica == "0" else Felt()

    async def felt(self, tenant, names, start_ms, end_ms):
        inside = self.since_ms <= end_ms <= self.until_ms
        return {"service/cart": self.bad if inside else self.good}

    async def felt_by_operation(self, tenant, names, start_ms, end_ms):
        return await self.felt(tenant, names, start_ms, end_ms)

    async def gauges(self, tenant, entity, metrics):
        return {}

    async def nature(self, tenant, entity):
        return self.kind


class Bench:
    """Everything of one test."""

    def __init__(self, clock, webhook_url="", **hands):
        settings = Settings()
        casework = settings.casework.model_copy(update={"webhook_url": webhook_url})
        settings = settings.model_copy(update={"hands": settings.hands.model_copy(update=hands), "casework": casework})
        self.clock, self.toy, self.users = clock, Toy(), Feelings(since_ms=clock.now_ms())
        self.kernel = simulated_kernel(settings, clock)
        self.desk = Desk(self.kernel)
        self.hands = self.brain()

    def brain(self):
        return Hands(self.kernel, self.users, Fixed((self.toy,)))

    async def case(self, kind="deploy", share=0.9, target=CART, text="", name="one", marks=(), about=None,
                   signal="http.server.request.duration"):  # fmt: skip
        now_ms = self.clock.now_ms()
        finding = Finding(
            FindingId(f"{name}-{now_ms}"), DEFAULT_TENANT, "support", "level_shift", about or target, now_ms, now_ms,
            Severity.MAJOR, 1e-9, 9.0, signal, "Slow", (), f"key-{name}",
        )  # fmt: skip
        (kept,) = await self.desk.admit(DEFAULT_TENANT, [finding])
        told = marks or (("deployed",) if kind == "deploy" else ())  # as the diagnosis has it
        said = tuple(Mark(word, 8.0) for word in told)
        cause = Cause(target, kind, share, 1, text or f"the {kind}", marks=said)
        await self.desk.change(
            DEFAULT_TENANT, kept.case, lambda case: replace(case, causes=(replace(cause, since_ms=now_ms - STEADY_MS),))
        )
        await self.look()
        return kept.case

    async def look(self):
        """Whoever looks for causes finds the same as before."""
        for case in await self.kept_cases():
            if case.live:
                await self.desk.change(DEFAULT_TENANT, case.id, lambda now: replace(now, looked_ms=self.clock.now_ms()))

    async def kept_cases(self):
        async with self.kernel.records.transaction() as transaction:
            return [record.value async for record in every(transaction, CASES, DEFAULT_TENANT)]

    async def rounds(self, count, step_s=5.0, hands=None, *, looks=True):
        for _ in range(count):
            if looks:
                await self.look()
            await (hands or self.hands).round(DEFAULT_TENANT)
            await self.clock.advance(step_s)

    async def kept(self, collection, tenant=DEFAULT_TENANT):
        async with self.kernel.records.transaction() as transaction:
            found = [record async for record in every(transaction, collection, tenant)]
        return sorted((record.value for record in found), key=lambda each: each.made_ms)

    async def actions(self):
        return await self.kept(ACTIONS)

    async def the_case(self, case_id):
        async with self.kernel.records.transaction() as transaction:
            return (await transaction.load(CASES, DEFAULT_TENANT, case_id, lock=False)).value


@pytest.fixture
def bench(clock):
    return Bench(clock)


@pytest.fixture
def make_bench(clock):
    return lambda **hands: Bench(clock, **hands)


@pytest.fixture
async def waiting(bench):
    """An action that waits for someone."""
    bench.toy.level = None
    await bench.case()
    await bench.rounds(1)
    (action,) = await bench.actions()
    return action
