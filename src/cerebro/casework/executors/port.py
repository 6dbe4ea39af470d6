"""What the hands ask of whatever reaches out: look first, then do it once, and say whether it was done."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Unavailable
from cerebro.spine.identity import TenantId

T = TypeVar("T")
LOOK_S = 15.0  # at most, for what changes nothing
SPARE_S = 2.0  # that an executor has beyond its own limit before it is given up


@dataclass(frozen=True, slots=True)
class Preview:
    """What a dry run found.

    Args:
        changes: What would be other than it is; the same state gives the same changes. One that has the name of a part
            of `state` tells of that: where someone changed the part since, it is not taken back.
        before: The state that an undo can name, as texts.
        replicas: Of the target, when the call can be made on one of them alone with the argument `replica`.
        undo: What takes it back, when the other side knows better than the playbook: nothing, where it is empty.
        call: The call with all that was left open in it named, so that what was shown is what is done.
        share: Of the target's capacity that is away at one time while the call is made, 0 … 1.
    """

    changes: tuple[Difference, ...]
    before: Mapping[str, str] = field(default_factory=dict)
    replicas: tuple[str, ...] = ()
    undo: tuple[Call, ...] | None = None
    call: Call | None = None
    share: float = 0.0


async def in_time(work: Awaitable[T], limit_s: float) -> T:
    """What an executor answers; one that holds on for ever holds up nobody else.

    Raises:
        Unavailable: It has not answered in time.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except TimeoutError as error:
        raise Unavailable(f"It has not answered in {limit_s:.0f} s.") from error


class Executor(Protocol):
    """One way out of Cerebro. It tries once; whoever calls decides what a failure means.

    Attributes:
        name: What playbooks call it.
        label: Its own name among those of that name; empty where there is but one.
        level: The most that Cerebro may do through it by itself; None when the risk alone decides.
    """

    name: str
    label: str
    level: Level | None

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """Whether it could do this there. Asks nobody."""
        ...

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """How the target is run now, by names that parameters can be picked from.

        Raises:
            Invalid: There is no such target.
            Unavailable: The other side does not answer.
        """
        ...

    async def dry_run(self, call: Call) -> Preview:
        """What the call would change. Changes nothing.

        Raises:
            Invalid: The call can never be made.
            Unavailable: The other side does not answer.
        """
        ...

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """Make the call; what the other side said, in a sentence. The same key again changes nothing more.

        Raises:
            Invalid: It was refused, and nothing was changed.
            Unavailable: No answer in time: whether it happened is not known, `happened` may tell.
        """
        ...

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """Whether a call with this key was made; None when nobody can tell.

        Raises:
            Unavailable: The other side does not answer now.
        """
        ...


class Reach(Protocol):
    """The executors that a tenant has."""

    async def of(self, tenant: TenantId) -> Sequence[Executor]:
        """All of them; asked anew now and then."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same executors for everybody."""

    executors: tuple[Executor, ...]

    async def of(self, tenant: TenantId) -> Sequence[Executor]:
        """All of them."""
        return self.executors
