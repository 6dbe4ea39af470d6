"""The task of the brain that acts: each round, every open action one step on, then a look at the cases."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from cerebro.casework.deeds import KeptAction
from cerebro.casework.executors.port import Reach
from cerebro.casework.hands.engine import Engine
from cerebro.casework.hands.propose import Proposer
from cerebro.casework.hands.users import Users
from cerebro.casework.store import known_tenants
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.lifecycle import survived
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import TenantId

log = get_log(__name__)

UNFORESEEN = "It met a fault of Cerebro's own, which the log tells; what was done stands. A person must look."


class Hands:
    """Acts on the cases of every tenant.

    Args:
        kernel: Of the process.
        users: Where it is read what users feel.
        reach: The executors of each tenant.
    """

    name = "hands"

    def __init__(self, kernel: Kernel, users: Users, reach: Reach) -> None:
        self._kernel = kernel
        self.engine = Engine(kernel, users, reach, kernel.clock.new_id())
        self.proposer = Proposer(kernel, self.engine, users, reach)

    async def run(self, stop: asyncio.Event) -> None:
        """Round after round until `stop`."""
        while not stop.is_set():
            async with self._kernel.records.transaction() as transaction:
                tenants = await known_tenants(transaction)
            await _in_turn(partial(self.round, tenant) for tenant in tenants)
            await pause(self._kernel.clock, stop, self._kernel.settings.hands.round_s)

    async def round(self, tenant: TenantId) -> None:
        """Bring what is open forward, then think of what is new.

        Raises:
            CerebroError: Something could not be done for now; all else was.
        """
        thinks = (self.proposer.round, self.advance) if self._kernel.settings.hands.enabled else ()
        await _in_turn(partial(each, tenant) for each in (self.advance, *thinks))

    async def advance(self, tenant: TenantId) -> None:
        """Every open action as far as it goes now.

        Raises:
            CerebroError: One of them could not go on for now; the others did.
        """
        found = await self.engine.ledger.open_actions(tenant)
        await _in_turn(partial(self._advance, tenant, record) for record in found)

    async def _advance(self, tenant: TenantId, record: Record[KeptAction]) -> None:
        try:
            work = self.engine.run(tenant, record)
            if await survived(work, "action_failed_unforeseen", action_id=record.key) is None:
                await self.engine.abandon(tenant, record.key, UNFORESEEN)
        except CerebroError as error:  # one action that cannot go on must not keep the others from it
            log.warning("action_stands", action_id=record.key, reason=error.detail)
            if error.retry:
                raise


async def _in_turn(works: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do each, be it that one before it failed for a reason that passes: that is raised once all have had their turn.

    Raises:
        CerebroError: The first such failure; or at once, one that does not pass.
    """
    failed: CerebroError | None = None
    for work in works:
        try:
            await work()
        except CerebroError as error:
            if not error.retry:
                raise
            failed = failed or error
    if failed:
        raise failed
