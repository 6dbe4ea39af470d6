"""A playbook as data: when it applies, what it does and changes, how one sees that it helped, how it is undone."""

import re
from typing import Annotated, Literal

import msgspec

from cerebro.spine.actions import Level, Risk

NAME = r"^[a-z][a-z0-9-]{2,60}$"
WORD = r"^[a-z][a-z0-9_]{0,40}$"
CAUSES = ("resource", "dependency", "deploy", "config", "data", "capacity", "network", "code", "external", "unknown")
PLACE = re.compile(r"\$\{([a-z][a-z0-9_.]{0,80})\}")

Cause = Literal[
    "resource", "dependency", "deploy", "config", "data", "capacity", "network", "code", "external", "unknown"
]
Shape = Literal["slow", "slow_errors", "fast_errors", "lost"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
Word = Annotated[str, msgspec.Meta(pattern=WORD)]
Kind = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_.-]{0,40}$")]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Argument = Annotated[str, msgspec.Meta(max_length=400)]
Arguments = dict[Word, Argument]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a playbook: an unknown name in it is an error."""


class Probe(Struct, frozen=True):
    """A gauge of the target that must be so now; it is read again just before anything is done."""

    metric: Annotated[str, msgspec.Meta(min_length=2, max_length=200)]
    above: float


class Trigger(Struct, frozen=True):
    """When the playbook is thought of.

    Args:
        causes: Kinds of the case's cause.
        entities: Kinds or natures of the thing to blame: service, database, cache, queue, external, host, …
        needs: One of these words must be in what proves the cause, in its marks (`no space`) or other words of Cerebro,
            and not in what it quotes; none for any proof.
        words: Each that is there makes it fit better; they never make it apply.
        marks: Words of `Cause.marks`, one of which the evidence must say; none for a playbook that goes by the kind of
            the cause.
        mark_needed: Whether it is for nothing without one of its marks.
        without: It is not for a thing of which the evidence says one of these.
        shapes: What those who call it must feel: `slow`, `slow_errors`, `fast_errors` (failing at once), `lost` (nearly
            all fail, after a wait); none for any.
        probes: Each must hold.
        share_min: Of the cause; the policy's own bound for the risk holds as well.
        objectives: Names of objectives that must burn; none for any.
    """

    causes: Annotated[list[Cause], msgspec.Meta(min_length=1)]
    entities: Annotated[list[Kind], msgspec.Meta(min_length=1)]
    needs: list[Annotated[str, msgspec.Meta(min_length=2, max_length=60)]] = []
    words: list[Annotated[str, msgspec.Meta(min_length=2, max_length=60)]] = []
    marks: list[Word] = []
    mark_needed: bool = True
    without: list[Word] = []
    shapes: list[Shape] = []
    probes: list[Probe] = []
    share_min: Share = 0.0
    objectives: list[str] = []


class Parameter(Struct, frozen=True):
    """A value that a step's arguments name as `${name}`; it is checked by its type, and never read as a program.

    Args:
        default: An empty one leaves the argument out.
        pick: Where the target tells its own names, the beginning of those to choose from, such as `flag.`: the one that
            the proof of the cause names.
        required: Without a value, the playbook is not for this target.
    """

    name: Word
    about: Text
    type: Literal["name", "number", "integer", "choice"] = "name"
    default: str = ""
    min: float = 0.0
    max: float = 1e9
    choices: list[str] = []
    pick: str = ""
    required: bool = False


class Undo(Struct, frozen=True):
    """What takes a step back; its arguments may name `${before.NAME}`, the state that the dry run read."""

    operation: Word
    arguments: Arguments = {}


class StepPlan(Struct, frozen=True):
    """One call of an executor.

    Args:
        executor: process, kubernetes, webhook, sql, nats, flags, weights, dns or ssh.
        operation: One that the executor knows.
        canary: One replica first, where there are several; the others when that one is no worse. Each is undone
            alone, by the undo with the argument `replica`.
        undo: None when there is nothing to take back; `why_no_undo` then says why.
    """

    executor: Kind
    operation: Word
    arguments: Arguments = {}
    canary: bool = False
    undo: Undo | None = None
    why_no_undo: str = ""


class Expect(Struct, frozen=True):
    """How one sees that it helped.

    Args:
        of: `users`, the rate, errors and duration of the entity and of those who call it, against the time before
            the case; or `signals`, the case's own findings there being over.
        within_s: So long it may take.
        hold_s: So long it must stay.
    """

    of: Literal["users", "signals"] = "users"
    within_s: Annotated[float, msgspec.Meta(ge=5, le=3600)] = 120.0
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=1800)] = 20.0


class Playbook(Struct, frozen=True):
    """One way to mend one kind of trouble."""

    name: Name
    version: Annotated[int, msgspec.Meta(ge=1)]
    title: Annotated[str, msgspec.Meta(min_length=3, max_length=120)]
    sign_off: Literal["responder", "operator", "admin"]
    risk: Risk
    trigger: Trigger
    steps: Annotated[list[StepPlan], msgspec.Meta(min_length=1, max_length=8)]
    predicted: Text
    expect: Expect
    runbook: Annotated[str, msgspec.Meta(min_length=40, max_length=8000)]
    parameters: list[Parameter] = []
    cool_down_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 600.0
    level_max: Level = Level.ACT

    @property
    def undoable(self) -> bool:
        """Whether every step of it can be taken back."""
        return all(step.undo for step in self.steps)
