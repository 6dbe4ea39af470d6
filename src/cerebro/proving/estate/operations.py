"""What can be done to an estate, and what it truly does: relief, nothing, or harm.

A restart costs capacity while it lasts, a failover costs every connection, an emptied cache costs the store behind
it, shedding costs those who are refused: an operation in the wrong place makes things worse, as in life.
"""

from cerebro.proving.estate.columns import RETRIES_FREE, Knob, State
from cerebro.proving.estate.motion import Floats, Motion
from cerebro.proving.estate.topology import CACHE, DATABASE, EXTERNAL
from cerebro.proving.faults import OPERATIONS
from cerebro.proving.model import Operation
from cerebro.spine.errors import Invalid

RESTART_S, STORE_RESTART_S, FAILOVER_S = 30.0, 60.0, 20.0
ROLLING = ("rollback", "deploy", "restore_config", "rotate_credential", "renew_certificate")
REPLICAS_MAX = 1000
DRAINED_SHARE = 0.05  # of a service's work that is hit although its replicas are drained one by one


class Operations:
    """Remembers what stays turned: replicas, limits, circuits, shedding."""

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._standing: dict[tuple[int, Knob], float] = {}

    def turn(self, knobs: Floats) -> None:
        """Set the knobs that stay turned."""
        for (place, knob), value in self._standing.items():
            knobs[place, knob] = value

    def do(self, operation: Operation, place: int) -> None:
        """Do it to a node, or to a host where `place` is negative.

        Raises:
            Invalid: There is no such operation, or a parameter is not what it should be.
        """
        name = operation.name
        if name not in OPERATIONS:
            raise Invalid(f"There is no operation {name!r}.", f"There are: {', '.join(OPERATIONS)}.")
        if place < 0:
            return
        if name == "restart":
            self._restart(place)
        elif name in ROLLING:
            self._roll(place)
        elif name == "scale":
            self._scale(operation, place)
        elif name == "failover":
            self._fail_over(place)
        else:
            self._set(operation, place)

    def _restart(self, place: int) -> None:
        """All replicas in order, each drained first, as on the real shop; what runs alone is missing whole."""
        motion = self._motion
        replicas = float(motion.state[place, State.REPLICAS])
        slow = motion.topology.kind[place] == DATABASE
        motion.take_down(place, DRAINED_SHARE if replicas >= 2.0 else 1.0, STORE_RESTART_S if slow else RESTART_S)

    def _roll(self, place: int) -> None:
        """A rolling change adds a replica before it takes one: only what processes remember is lost."""
        motion = self._motion
        if motion.topology.kind[place] not in (DATABASE, CACHE, EXTERNAL):
            motion.take_down(place, DRAINED_SHARE, RESTART_S)

    def _scale(self, operation: Operation, place: int) -> None:
        motion = self._motion
        now = float(motion.state[place, State.REPLICAS])
        wanted = number_of(operation, "replicas", now + max(1.0, now // 2), 0.0, REPLICAS_MAX)
        motion.state[place, State.REPLICAS] = float(int(wanted))

    def _fail_over(self, place: int) -> None:
        motion = self._motion
        if motion.topology.kind[place] == EXTERNAL:
            return
        motion.take_down(place, 1.0, FAILOVER_S)
        motion.state[place, State.LAG_S] = 0.0

    def _set(self, operation: Operation, place: int) -> None:
        motion, standing, name = self._motion, self._standing, operation.name
        state = motion.state[place]
        if name == "drain":
            standing[place, Knob.REPLICAS] = max(0.0, 1.0 - 1.0 / max(float(state[State.REPLICAS]), 1.0))
        elif name == "undrain":
            standing.pop((place, Knob.REPLICAS), None)
        elif name in ("clear_cache", "warm_cache"):
            state[State.WARM] = float(name == "warm_cache")
        elif name == "shed":
            share = number_of(operation, "share", 0.3, 0.0, 1.0)
            for entry in self._entries(place):
                standing[entry, Knob.SHED] = share
        elif name == "raise_limit":
            standing[place, Knob.POOL_SIZE] = 2.0
            state[State.POOL] *= 0.5
        elif name == "limit_retries":
            standing[place, Knob.RETRY_CAP] = number_of(operation, "value", 0.0, 0.0, RETRIES_FREE)
        elif name in ("open_circuit", "close_circuit"):
            standing[place, Knob.OPEN] = float(name == "open_circuit")
        elif name == "free_disk":
            state[State.DISK] = min(float(state[State.DISK]), 0.45)

    def _entries(self, place: int) -> list[int]:
        """Work is shed where it comes in: at the target if users reach it, else at every entry."""
        share = self._motion.topology.entry_share
        return [place] if share[place] > 0.0 else [i for i in range(len(share)) if share[i] > 0.0]


def number_of(operation: Operation, name: str, default: float, low: float, high: float) -> float:
    """The operation's parameter as a number.

    Raises:
        Invalid: It is none, or out of bounds.
    """
    text = operation.parameters.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise Invalid(f"{operation.name}: {name} is {text!r}.", f"Write {name}={low:g} to {high:g}.")
    return value
