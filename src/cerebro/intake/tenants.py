"""What one process knows of each tenant that sends: its series, its refusals, its rates."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cerebro.intake import metrics
from cerebro.intake.activity import Activity
from cerebro.intake.limits import IDLE_HOURS, Catalogue
from cerebro.intake.take import Taking
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import TenantId

log = get_log(__name__)

# Not the table `series`: it also has those that nobody sends any more, and they count no more.
LOAD_SQL = """
SELECT DISTINCT hi, lo FROM samples_1h
WHERE tenant = {tenant:String} AND hour >= toDateTime({since_s:UInt32}, 'UTC') LIMIT {series_max:UInt64}
"""
LOAD_RETRY_FIRST_S, LOAD_RETRY_MAX_S = 1.0, 60.0


@dataclass(slots=True)
class Tenant:
    """One tenant's state."""

    name: TenantId
    taking: Taking
    activity: Activity = field(default_factory=Activity)


@dataclass(slots=True)
class Tenants:
    """Every tenant that has sent since this process began; a tenant exists only by a good credential."""

    kernel: Kernel
    _known: dict[TenantId, Tenant] = field(default_factory=dict)
    _loading: set[asyncio.Task[None]] = field(default_factory=set)

    def of(self, name: TenantId) -> Tenant:
        """The tenant's state; at first contact its series begin to be read from the store, meanwhile it may send."""
        if (known := self._known.get(name)) is not None:
            return known
        settings = self.kernel.settings.intake
        tenant = self._known[name] = Tenant(name, Taking(settings, Catalogue(settings.series_max)))
        loading = asyncio.create_task(self._load(tenant))
        self._loading.add(loading)
        loading.add_done_callback(self._loading.discard)
        return tenant

    def seen(self, name: TenantId) -> Tenant | None:
        """The tenant's state, if it has sent."""
        return self._known.get(name)

    def all(self) -> Sequence[Tenant]:
        """Every tenant that has sent."""
        return tuple(self._known.values())

    def series_count(self) -> int:
        """The series of all tenants."""
        return sum(len(tenant.taking.catalogue) for tenant in self._known.values())

    async def close(self) -> None:
        """Stop reading the store."""
        for loading in list(self._loading):
            loading.cancel()

    async def _load(self, tenant: Tenant) -> None:
        """Read the tenant's series; as long as that fails, try again and let it send."""
        delay_s = LOAD_RETRY_FIRST_S
        while not await self._loaded(tenant):
            await self.kernel.clock.sleep(delay_s)
            delay_s = min(LOAD_RETRY_MAX_S, 2 * delay_s)

    async def _loaded(self, tenant: Tenant) -> bool:
        catalogue = tenant.taking.catalogue
        since_s = self.kernel.clock.now_ms() // 1000 - IDLE_HOURS * 3600
        parameters = {"tenant": tenant.name, "since_s": since_s, "series_max": catalogue.series_max}
        try:
            table = await self.kernel.telemetry.query(LOAD_SQL, parameters)
        except CerebroError as error:
            metrics.CATALOGUES_LOADED.labels(error.code).inc()
            log.debug("series_not_loaded_yet", tenant=tenant.name, reason=error.code)
            return False
        hi, lo = (np.asarray(table.column(name).to_numpy(), np.uint64) for name in ("hi", "lo"))
        await asyncio.to_thread(catalogue.load, hi.copy(), lo.copy(), self.kernel.clock.now_ms())
        metrics.CATALOGUES_LOADED.labels("loaded").inc()
        log.debug("series_loaded", tenant=tenant.name, series_count=len(hi))
        return True
