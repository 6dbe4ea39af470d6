"""A Cerebro inside a program: the simulated kernel with the real detector and the real casework, fed by hand.

Nothing waits and nothing sleeps: whoever moves the clock gives the messages, and they are judged at once. So a drill
of an hour takes about a second, and the same seed gives the same cases.
"""

import zlib
from collections.abc import Sequence
from typing import Protocol, cast

from cerebro.app.drivers import simulated_kernel
from cerebro.app.estate_hands import EstateExecutor
from cerebro.app.roles import agents
from cerebro.casework.cause.investigate import Investigator
from cerebro.casework.cause.window import WindowSource
from cerebro.casework.desk import Desk
from cerebro.casework.executors.port import Executor, Fixed
from cerebro.casework.flow import Brain
from cerebro.casework.hands.users import WatchedUsers
from cerebro.casework.hands.work import Hands
from cerebro.casework.store import CASES, FINDINGS, every
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.kernel.bus.port import Message
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.settings import Settings
from cerebro.proving.baseline import AlertRules
from cerebro.proving.drill import Plan
from cerebro.proving.estate.estate import Estate, publish
from cerebro.proving.model import Ground
from cerebro.proving.watch import Act, Seen, Watcher
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.wire import Kind, decode_samples, decode_table

SWEEP_S = 5.0
FINDINGS_READ_MAX = 500
BYTES_MAX = 64 << 20


class Judge(Protocol):
    """A detector that is given its messages instead of reading them."""

    async def take(self, message: Message) -> None:
        """Judge one message and publish what it gave."""
        ...

    async def hear(self) -> None:
        """Take up what people said of findings, and what was changed or is planned."""
        ...


class Inside:
    """A Cerebro on a kernel in memory, as a watcher of drills.

    Args:
        kernel: In memory, on a virtual clock.
        executors: Through which it may act.
        acts: What those executors have done.
    """

    name = "cerebro"

    def __init__(self, kernel: Kernel, executors: Sequence[Executor] = (), acts: Sequence[Act] = ()) -> None:
        self.kernel = kernel
        self._users, self._acts = WatchedUsers(), acts
        self.hands = Hands(kernel, self._users, Fixed(tuple(executors)))
        judges = {task.name: cast(Judge, task) for task in agents()["support"].tasks(kernel)}
        self._detector, self._lines = judges["detector"], judges["detector_lines"]
        self._spans = judges["detector_spans"]
        self._brain, self._desk = Brain(kernel), Desk(kernel)
        self._surveyor = Surveyor(kernel)
        self._window = WindowSource()
        self._investigator = Investigator(kernel, self._window, apart=False)
        self._swept_s = 0.0
        self._after = {"metrics": 0, "traces": 0, "logs": 0, "events": 0, "findings": 0}

    async def open(self) -> None:
        """Make the streams."""
        for stream in ALL:
            await self.kernel.bus.declare(stream)

    async def catch_up(self) -> None:
        """Judge and sort what has come since the last call, then do what is due by time alone."""
        bus, clock = self.kernel.bus, self.kernel.clock
        for judge in (self._detector, self._lines, self._spans):
            await judge.hear()
        naming: list[Message] = []  # what the map is drawn from, of metrics
        while more := await self._read("metrics"):  # what is derived of them comes back on the bus
            for message in more:
                batch = decode_samples(message.body)
                self._users.note(batch)
                self._window.note_samples(batch)
                await self._detector.take(message)
                if batch.series.num_rows:
                    naming.append(message)
        for message in (traced := await self._read("traces")):
            self._window.note_table("spans", decode_table(Kind.SPANS, message.body))
            await self._spans.take(message)
        for message in await self._read("logs"):
            self._window.note_table("logs", decode_table(Kind.LOGS, message.body))
            await self._lines.take(message)
        for message in await self._read("events"):
            self._window.note_table("events", decode_table(Kind.EVENTS, message.body))
        await self._surveyor.take([*naming, *traced])
        await self._surveyor.keep()
        if found := await self._read("findings"):
            await self._brain.take(found)
        if clock.monotonic_s() - self._swept_s >= SWEEP_S:
            self._swept_s = clock.monotonic_s()
            await self._desk.sweep(DEFAULT_TENANT)
        await self._investigator.round(DEFAULT_TENANT)
        await self.hands.round(DEFAULT_TENANT)
        for stream in ALL:  # nobody records here
            await bus.trim(stream.name, upto=(await bus.state(stream.name)).last_sequence)

    async def seen(self, since_ms: int) -> Seen:
        """What it told since then, and what it did."""
        async with self.kernel.records.transaction() as transaction:
            findings = [record.value async for record in every(transaction, FINDINGS, DEFAULT_TENANT)]
            cases = [record.value async for record in every(transaction, CASES, DEFAULT_TENANT)]
        return Seen(
            sorted((each for each in findings if each.seen_ms >= since_ms), key=lambda each: each.seen_ms),
            sorted((each for each in cases if each.opened_ms >= since_ms), key=lambda each: each.opened_ms),
            [act for act in self._acts if act.at_ms >= since_ms],
        )

    async def _read(self, stream: str) -> Sequence[Message]:
        messages = await self.kernel.bus.read(
            stream, after=self._after[stream], count_max=FINDINGS_READ_MAX, bytes_max=BYTES_MAX, wait_s=0.0
        )
        if messages:
            self._after[stream] = messages[-1].sequence
        return messages


class SimulatedStage:
    """An estate, a Cerebro and the alert rules on one virtual clock."""

    brisk = False

    def __init__(self, services: int, seed: int, settings: Settings) -> None:
        self._clock = VirtualClock(seed=seed)
        self._rules = AlertRules()
        self._future: int | None = None
        self._estate = Estate(services, seed, self._clock)
        executor = EstateExecutor(self._estate, self._clock)
        self._cerebro = Inside(simulated_kernel(settings, self._clock), (executor,), executor.acts)
        self.ground: Ground = self._estate
        self.watchers: Sequence[Watcher] = (self._cerebro, self._rules)
        self.step_s = self._estate.motion.interval_s

    async def open(self) -> None:
        """Make ready."""
        await self._cerebro.open()

    def knowing(self, plan: Plan) -> "SimulatedStage":
        """The same stage, whose estate knows the plan's own fault and will begin it with the plan's own chance."""
        if plan.own:
            self._estate.declare(plan.own)
        self._future = zlib.crc32(f"{plan.topology} {plan.kind} {plan.seed}".encode()) if plan.topology else None
        return self

    def now_ms(self) -> int:
        """The virtual hour."""
        return self._clock.now_ms()

    async def begin_afresh(self) -> None:
        """Nothing is older here than the quiet stretch; plans that share one have futures of their own."""
        if self._future is not None:
            self._estate.draw_anew(self._future)

    async def pass_time(self, duration_s: float) -> None:
        """Move the clock; the estate sends, and everyone looks."""
        await self._clock.advance(duration_s)
        if (emission := self._estate.advance()) is None:
            return
        self._rules.take(emission.samples)
        await publish(self._cerebro.kernel.bus, emission, DEFAULT_TENANT, f"at-{self._clock.now_ms()}")
        await self._cerebro.catch_up()


async def simulated_stage(plan: Plan, settings: Settings) -> SimulatedStage:
    """A fresh estate with fresh watchers, ready; another one for each topology, or for each kind and seed."""
    name = f"topology {plan.topology}" if plan.topology else f"{plan.kind} {plan.seed}"
    stage = SimulatedStage(plan.services, zlib.crc32(name.encode()), settings)
    await stage.open()
    return stage.knowing(plan)
