"""What each collector tells the others of its tenants, so that any process can answer for all of them.

Every few seconds a collector writes one small page for each tenant that has sent into the bus'
shared state. Whoever is asked reads the pages of all collectors and adds them up.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import xxhash

from cerebro.intake.activity import LastBody
from cerebro.intake.refusals import Refusal
from cerebro.intake.tenants import Tenant, Tenants
from cerebro.kernel.bus.port import Bus
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import TenantId

log = get_log(__name__)

BUCKET = "intake"
INTERVAL_S = 5.0
FRESH_MS = 20_000  # rates of a page older than this are those of a collector that is gone


@dataclass(frozen=True, slots=True)
class Page:
    """One tenant as one collector sees it."""

    at_ms: int
    per_s: dict[str, float] = field(default_factory=dict)  # by signal: samples, logs, spans
    last: dict[str, LastBody] = field(default_factory=dict)  # by door
    refusals: list[Refusal] = field(default_factory=list)
    series_count: int = 0
    series_max: int = 0


class Reporter:
    """Writes the pages of this collector; a task of the role `collector`.

    Args:
        kernel: Its clock, bus and settings.
        tenants: Who has sent here.
    """

    name = "intake-report"

    def __init__(self, kernel: Kernel, tenants: Tenants) -> None:
        self._clock, self._bus, self._tenants = kernel.clock, kernel.bus, tenants
        self._self = xxhash.xxh64_hexdigest(f"{socket.gethostname()}:{kernel.settings.http.port}".encode())
        self._told: dict[TenantId, Page] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Write what has changed, every few seconds, until `stop`."""
        while not stop.is_set():
            await pause(self._clock, stop, INTERVAL_S)
            for tenant in self._tenants.all():
                await self._tell(tenant)

    async def _tell(self, tenant: Tenant) -> None:
        page = page_of(tenant, self._clock.now_ms())
        told = self._told.get(tenant.name)
        if told is not None and _same(told, page):
            return
        try:
            await self._bus.put(BUCKET, f"{tenant.name}.{self._self}", msgspec.json.encode(page))
        except CerebroError as error:
            log.debug("intake_page_not_written", reason=error.code)
            return
        self._told[tenant.name] = page


def page_of(tenant: Tenant, now_ms: int) -> Page:
    """The tenant as this process sees it now."""
    catalogue = tenant.taking.catalogue
    return Page(
        at_ms=now_ms,
        per_s=dict(tenant.activity.per_s(now_ms)),
        last=dict(tenant.activity.last),
        refusals=tenant.taking.refusals.list(),
        series_count=len(catalogue),
        series_max=catalogue.series_max,
    )


async def pages_of(bus: Bus, tenant: TenantId) -> Sequence[Page]:
    """What every collector last wrote of a tenant.

    Raises:
        Unavailable: The bus does not answer.
    """
    keys = [key for key in await bus.keys(BUCKET) if key.startswith(f"{tenant}.")]
    stored = [await bus.get(BUCKET, key) for key in keys]
    return [msgspec.json.decode(each.value, type=Page) for each in stored if each]


def together(pages: Sequence[Page], now_ms: int) -> Page:
    """All collectors as one: rates added, the last body of each door, every refusal, the latest first.

    A series that two collectors see counts once: the largest catalogue is the tenant's, since each reads the store.
    """
    fresh = [page for page in pages if now_ms - page.at_ms <= FRESH_MS]
    signals = {signal for page in fresh for signal in page.per_s}
    last: dict[str, LastBody] = {}
    for page in pages:
        for door, body in page.last.items():
            if door not in last or last[door].at_ms < body.at_ms:
                last[door] = body
    return Page(
        at_ms=max((page.at_ms for page in pages), default=0),
        per_s={signal: sum(page.per_s.get(signal, 0.0) for page in fresh) for signal in sorted(signals)},
        last=last,
        refusals=sorted((each for page in pages for each in page.refusals), key=lambda each: -each.last_ms),
        series_count=max((page.series_count for page in fresh), default=0),
        series_max=max((page.series_max for page in fresh), default=0),
    )


def _same(told: Page, page: Page) -> bool:
    """Whether nothing came since; an old page then says so by its age."""
    return (told.last, told.per_s, told.refusals) == (page.last, page.per_s, page.refusals)
