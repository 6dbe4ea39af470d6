"""The task of the brain that acts: each round, every open action one step on, then a look at the cases."""

import asyncio

from cerebro.casework.executors.port import Reach
from cerebro.casework.hands.engine import Engine
from cerebro.casework.hands.propose import Proposer
from cerebro.casework.hands.users import Users
from cerebro.casework.store import known_tenants
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.lifecycle import survived
from cerebro.kernel.observe.log import get_log
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
            for tenant in tenants:
                await self.round(tenant)
            await pause(self._kernel.clock, stop, self._kernel.settings.hands.round_s)

    async def round(self, tenant: TenantId) -> None:
        """Bring what is open forward, then think of what is new."""
        await self.advance(tenant)
        if self._kernel.settings.hands.enabled:
            await self.proposer.round(tenant)
            await self.advance(tenant)

    async def advance(self, tenant: TenantId) -> None:
        """Every open action as far as it goes now."""
        for record in await self.engine.ledger.open_actions(tenant):
            try:
                work = self.engine.run(tenant, record)
                if await survived(work, "action_failed_unforeseen", action_id=record.key) is None:
                    await self.engine.abandon(tenant, record.key, UNFORESEEN)
            except CerebroError as error:  # one action that cannot go on must not keep the others from it
                if error.retry:
                    raise
                log.warning("action_stands", action_id=record.key, reason=error.detail)
