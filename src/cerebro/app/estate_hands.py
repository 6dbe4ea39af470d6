"""The simulated estate as something that playbooks can act on: an executor that calls its operations."""

from collections.abc import Mapping

from cerebro.casework.executors.port import Preview
from cerebro.kernel.clock import Clock
from cerebro.proving.estate.columns import State
from cerebro.proving.estate.estate import Estate
from cerebro.proving.faults import OPERATIONS
from cerebro.proving.model import Operation
from cerebro.proving.watch import Act
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey

UNDO = "-undo-"


class EstateExecutor:
    """Acts on an estate, at once and as often as one key asks: once."""

    name, label = "process", ""
    level: Level | None = Level.ACT

    def __init__(self, estate: Estate, clock: Clock) -> None:
        self._estate, self._clock = estate, clock
        self._done: dict[str, Operation] = {}
        self.acts: list[Act] = []

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        topology = self._estate.topology
        known = target.name in topology.hosts if target.kind == "host" else target.name in topology.names
        return known and target.kind in ("host", "service", "external") and operation in OPERATIONS

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        return self._state(target)

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        before = self._state(call.target)
        if call.operation == "scale":
            now = int(before["replicas"])
            wanted = call.arguments.get("replicas") or str(now + max(1, now // 2))
            return Preview((Difference("replicas", str(now), wanted),), before)
        share = 1.0 / max(1, int(before["replicas"])) if call.operation == "restart" else 0.0
        change = Difference(call.operation, "as it is", OPERATIONS[call.operation].partition(" ")[2])
        return Preview((change,), before, share=share)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says."""
        if key not in self._done:
            operation = Operation(call.operation, call.target, dict(call.arguments))
            await self._estate.operate(operation)
            self._done[key] = operation
            if UNDO not in key:  # what only takes an act back is no act of its own
                self.acts.append(Act(self._clock.now_ms(), operation))
        return f"{call.operation} of {call.target.text} is done."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says."""
        return key in self._done

    def _state(self, target: EntityKey) -> Mapping[str, str]:
        if target.kind == "host":
            return {"replicas": "1"}
        place = self._estate.topology.place(target)
        replicas = max(1, int(self._estate.motion.state[place, State.REPLICAS]))
        return {
            **{f"weight.{number}": "1" for number in range(replicas)},
            "replicas": str(replicas),
            "version": "the one after",
            f"flag.{target.name}": "yes",  # its one flag, as the title of the change names it
            "value": "5",
            "limit": "pool_size",
        }
