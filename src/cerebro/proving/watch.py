"""What a drill needs: a ground to break, someone who watches it, and time that passes for both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cerebro.proving.model import Ground, Operation
from cerebro.spine.cases import Case
from cerebro.spine.findings import Finding

CEREBRO = "cerebro"  # who approves what nobody was asked for


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done to the ground through the watcher.

    Args:
        at_ms: When it was begun.
        action: That it is a part of; several acts of one action are counted once. Empty for one of its own.
        by: Who approved it.
        done: Whether it is known to have happened; one that was refused or lost was only tried.
    """

    at_ms: int
    operation: Operation
    action: str = ""
    by: str = CEREBRO
    done: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watcher has told since some moment, each in the order of its time."""

    findings: Sequence[Finding] = ()
    cases: Sequence[Case] = ()
    acts: Sequence[Act] = ()


class Watcher(Protocol):
    """Who watches the ground: a Cerebro, or a rule set beside it. It is asked for nothing but what it told."""

    name: str

    async def seen(self, since_ms: int) -> Seen:
        """Findings seen, cases opened and acts done at `since_ms` or later."""
        ...


class Stage(Protocol):
    """A ground with those who watch it.

    Attributes:
        ground: What is broken.
        watchers: Each is scored apart, on the same runs.
        step_s: A good time between two looks.
        brisk: Whether nobody waits for what is over: time here is a person's.
    """

    ground: Ground
    watchers: Sequence[Watcher]
    step_s: float
    brisk: bool

    def now_ms(self) -> int:
        """The ground's own hour, Unix milliseconds."""
        ...

    async def begin_afresh(self) -> None:
        """Right before a fault: whatever is still open of older troubles is closed, so that nothing new joins it."""
        ...

    async def pass_time(self, duration_s: float) -> None:
        """Let the ground and its watchers go on for so long."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """One line of what happened in a run, for its timeline."""

    at_ms: int  # after the start of the fault; before it, negative
    what: str  # fault effect finding case act recovery end
    text: str
    reference: str = field(default="")  # the case's or finding's id
