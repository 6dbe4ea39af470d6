"""The nouns of the proving ground: what can break, what was broken, what was seen of it.

A *ground* is something that can be broken: the real shop or the simulated estate. Faults are
declared once, by kind; each ground says how it injects the kinds it knows. What Cerebro saw is
read from its findings and cases only, never from the ground.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cerebro.spine.entities import EntityKey

CYCLE = "cycle_s"  # the parameter of a fault that comes and goes: the length of one turn
CONTROL = "control"  # the cause kind of a fault that is none: nothing may be raised, nothing done


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of trouble, the same on every ground.

    Args:
        kind: One word or several with `_`: `crash`, `slow_query`, `bad_deploy_errors`.
        title: One line, as a person would tell it.
        cause_kind: resource dependency deploy config data capacity network code external, or `CONTROL`.
        symptom: What a user of the system notices.
        remedies: Operations that honestly help, the best first; empty when only waiting does.
        ends_alone: Whether it passes without a hand.
    """

    kind: str
    title: str
    cause_kind: str
    symptom: str
    remedies: tuple[str, ...] = ()
    ends_alone: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """A fault of someone's own for simulated estates, in words: what it turns where, and what comes after it.

    Args:
        fault: What it is, and what honestly helps.
        on: What can have it: service worker queue cache database external host entry.
        turns: What is turned, and the bounds that its value is drawn between.
        mends: Operations that take it away on its own target.
        cycle_s: Where it comes and goes: the length of one turn and of its bad part; 0 and 0 for always.
        lasts_s: When it passes by itself; 0 for never.
        change: Kind of the change event that it shows at its start; empty for none.
        then: Other kinds that begin so many seconds later, each at a place of its own: overlaps and cascades.
    """

    fault: Fault
    on: tuple[str, ...]
    turns: tuple[tuple[str, float, float], ...]
    mends: tuple[str, ...] = ()
    cycle_s: tuple[float, float] = (0.0, 0.0)
    lasts_s: float = 0.0
    change: str = ""
    then: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault on one target, with the truth that a score compares with.

    Args:
        followers: What it brings about later, elsewhere.
    """

    id: str
    fault: Fault
    target: EntityKey  # the true cause
    start_ms: int
    end_ms: int  # 0 while it lasts
    seed: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    followers: tuple["Injection", ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that can be done to a ground while it runs: restart, scale, rollback, flag_off, failover, drain, …"""

    name: str
    target: EntityKey
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """What the users of a ground feel, over a stretch of time."""

    start_ms: int
    end_ms: int
    request_count: int
    error_share: float  # 0 … 1
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Look:
    """What users felt over one step."""

    end_ms: int
    health: Health


class Ground(Protocol):
    """Something that can be broken, measured and mended."""

    def faults(self) -> Sequence[Fault]:
        """The kinds it can inject, controls among them."""
        ...

    async def inject(self, kind: str, *, seed: int, target: EntityKey | None = None) -> Injection:
        """Begin a fault; without a target, one is drawn from the seed.

        Raises:
            Invalid: The ground does not know the kind, or the target cannot have it.
        """
        ...

    async def end(self, injection: Injection) -> Injection:
        """End the fault, whatever has been done meanwhile; safe to call twice."""
        ...

    async def operate(self, operation: Operation) -> None:
        """Do something to it, with its true effect.

        Raises:
            Invalid: There is no such operation or target.
        """
        ...

    async def health(self, start_ms: int, end_ms: int) -> Health:
        """What its users felt."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """What Cerebro made of one injection; times are milliseconds after its start, -1 for never."""

    injection: Injection
    finding_ms: int = -1
    case_ms: int = -1
    cause_ms: int = -1
    recovery_ms: int = -1  # verified: users are served as before
    cause_rank: int = 0  # of the true cause among those named; 0 for not named
    resolved_unaided: bool = False
    action_count: int = 0
    harmful_count: int = 0
    case_count: int = 0
    effect_ms: int = -1  # when users first felt it, by the ground's own measure
