"""What the kernel hands to everything above it: the drivers that `app` chose, and how work is run."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cerebro.kernel.bus.port import Bus
from cerebro.kernel.clock import Clock
from cerebro.kernel.llm.port import Models
from cerebro.kernel.records.port import Records
from cerebro.kernel.settings import Settings
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.spine.manifest import AgentManifest


@dataclass(frozen=True, slots=True)
class Kernel:
    """The drivers of one process."""

    settings: Settings
    clock: Clock
    bus: Bus
    telemetry: Telemetry
    records: Records
    models: Models | None = None  # language models, when some are configured


class Task(Protocol):
    """Something that runs for as long as its role does.

    When it raises a `CerebroError` with `retry`, it is started again with back-off; any other
    error ends the process, which the supervisor reports and starts again.
    """

    name: str

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is begun and return."""
        ...


class Agent(Protocol):
    """An entry point of the group `cerebro.agents`."""

    manifest: AgentManifest

    def tasks(self, kernel: Kernel) -> Sequence[Task]:
        """What the role of this agent runs."""
        ...

    def router(self, kernel: Kernel) -> object | None:
        """Its REST routes, a FastAPI router, for whoever serves the API; `None` when it has none."""
        ...
