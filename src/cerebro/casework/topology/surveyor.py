"""The task that draws the maps: from the spans on the bus, and from the catalog of series."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from cerebro.casework import metrics
from cerebro.casework.topology.kept import HEAD, MAP_HEADS, MAP_SHEETS, SHEETS, Head, Sheet, sheet_key
from cerebro.casework.topology.series import catalogued, sighted_in_series
from cerebro.casework.topology.sighted import Sighted
from cerebro.casework.topology.spans import SpanMemory, sighted_in_spans
from cerebro.casework.topology.survey import Survey, head_of
from cerebro.kernel.bus.port import Message
from cerebro.kernel.bus.position import Entry, Place, key_of, load, trim_to_slowest
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import Conflict, Invalid, LimitReached, Unavailable
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind, decode_samples, decode_table

log = get_log(__name__)

STREAM = "traces"
READER = "surveyor"
READ_MAX = 64
BYTES_MAX = 16 << 20
WAIT_S = 1.0
NEWS_S = 2.0  # until something new is kept
SIGHTS_S = 60.0  # until later sights of what is known are
CATALOG_S = 30.0
CATALOG_BACK_MS = 600_000
STANDBY_S = 10.0
TENANTS_MAX = 64  # whose maps are in memory


@dataclass(slots=True)
class _Sheets:
    """One tenant's map with what is kept of it."""

    survey: Survey
    versions: list[int]
    spans: SpanMemory = field(default_factory=SpanMemory)
    kept_s: float = -1e9


class Surveyor:
    """Reads spans and the catalog, draws maps, keeps what has changed. One of them owns the place; others stand by.

    What was read and not yet kept is read again after a crash: seeing a thing twice is seeing it.
    """

    name = "surveyor"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._clock = kernel, kernel.clock
        casework = kernel.settings.casework
        self._gap_ms, self._keep_ms = round(casework.map_forget_s * 1000), casework.map_days * 86_400_000
        self._maps: OrderedDict[TenantId, _Sheets] = OrderedDict()
        self._asked_s = -1e9

    async def run(self, stop: asyncio.Event) -> None:
        """Draw until `stop` is set; while another surveyor owns the place, stand by."""
        while not stop.is_set():
            place = await Place.claim(self._kernel.bus, STREAM, READER, self._clock.new_id())
            self._maps.clear()
            try:
                await self._read(place, stop)
            except Conflict as error:
                log.warning("surveyor_stands_by", reason=error.detail)
                await self._stand_by(stop)

    async def _read(self, place: Place, stop: asyncio.Event) -> None:
        after = place.after
        while not stop.is_set():
            messages = await self._kernel.bus.read(
                STREAM, after=after, count_max=READ_MAX, bytes_max=BYTES_MAX, wait_s=WAIT_S
            )
            if messages:
                await self.take(messages)
                after = messages[-1].sequence
            await self.look_around()
            if await self.keep() and after > place.after:
                await place.commit(after)
                await trim_to_slowest(self._kernel.bus, STREAM)

    async def take(self, messages: Iterable[Message]) -> None:
        """Draw what some messages tell, spans or samples that name series."""
        for message in messages:
            tenant = TenantId(message.subject.split(".")[1])
            try:
                for sighted in await self._sighted(tenant, message):
                    (await self._map(tenant)).survey.tell(sighted)
            except Invalid as error:
                log.warning("sights_unreadable", subject=message.subject, reason=error.detail)

    async def tell(self, tenant: TenantId, sighted: Sighted) -> None:
        """Draw what someone saw, and keep it at once."""
        (await self._map(tenant)).survey.tell(sighted)
        await self.keep(at_once=True)

    async def look_around(self) -> None:
        """Ask the store which things had samples, now and then; a store that does not answer is asked later."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_s < CATALOG_S:
            return
        self._asked_s = now_s
        try:
            found = await catalogued(self._kernel.telemetry, max(0, self._clock.now_ms() - CATALOG_BACK_MS))
        except (Unavailable, LimitReached) as error:
            log.debug("catalog_not_read", reason=error.detail)
            return
        for tenant, sights in found.items():
            survey = (await self._map(tenant)).survey
            for sighted in sights:
                survey.tell(sighted)

    async def keep(self, *, at_once: bool = False) -> bool:
        """Keep what has changed and is due; whether nothing is left over.

        Raises:
            Conflict: Someone else keeps this map.
        """
        now_s = self._clock.monotonic_s()
        for tenant, sheets in self._maps.items():
            if sheets.survey.dirty:
                wait_s = NEWS_S if sheets.survey.is_new else SIGHTS_S
                if at_once or now_s - sheets.kept_s >= wait_s:
                    await self._keep(tenant, sheets)
                    sheets.kept_s = now_s
        return not any(sheets.survey.is_new for sheets in self._maps.values())

    async def _keep(self, tenant: TenantId, sheets: _Sheets) -> None:
        numbers = sorted(sheets.survey.dirty)
        versions = list(sheets.versions)
        with metrics.MAP_SECONDS.time():
            async with self._kernel.records.transaction() as transaction:
                head = await transaction.load(MAP_HEADS, tenant, HEAD)
                if (list(head.value.versions) if head else [0] * SHEETS) != sheets.versions:
                    raise Conflict(f"The map of {tenant} is kept by someone else too.")
                for number in numbers:
                    sheet = sheets.survey.sheet(number, self._clock.now_ms())
                    versions[number] = await transaction.save(
                        MAP_SHEETS, tenant, sheet_key(number), sheet, version=versions[number]
                    )
                after = head_of(sheets.survey, versions)
                await transaction.save(MAP_HEADS, tenant, HEAD, after, version=head.version if head else 0)
        sheets.versions = versions
        sheets.survey.kept(numbers)
        for what, count in sheets.survey.refused.items():
            metrics.MAP_REFUSED.labels(what).inc(count)
        sheets.survey.refused.clear()

    async def _sighted(self, tenant: TenantId, message: Message) -> list[Sighted]:
        if message.subject.endswith(".metrics"):
            return sighted_in_series(decode_samples(message.body).series, self._clock.now_ms())
        memory = (await self._map(tenant)).spans
        sighted = sighted_in_spans(decode_table(Kind.SPANS, message.body), memory)
        return [sighted] if sighted else []

    async def _map(self, tenant: TenantId) -> _Sheets:
        if tenant not in self._maps:
            self._maps[tenant] = await self._load(tenant)
            while len(self._maps) > TENANTS_MAX:
                oldest, sheets = next(iter(self._maps.items()))
                if sheets.survey.dirty:
                    await self._keep(oldest, sheets)
                del self._maps[oldest]
        self._maps.move_to_end(tenant)
        return self._maps[tenant]

    async def _load(self, tenant: TenantId) -> _Sheets:
        async with self._kernel.records.transaction() as transaction:
            found = await transaction.load(MAP_HEADS, tenant, HEAD)
            head = found.value if found else Head()
            sheets = [
                await transaction.load(MAP_SHEETS, tenant, sheet_key(number), lock=False)
                for number, version in enumerate(head.versions)
                if version
            ]
        kept = [record.value if record else Sheet() for record in sheets]
        return _Sheets(Survey.of(kept, head, self._gap_ms, self._keep_ms), list(head.versions))

    async def _stand_by(self, stop: asyncio.Event) -> None:
        """Return when spans wait and the owner of the place has not moved for `STANDBY_S`."""
        before: Entry | None = None
        while not stop.is_set():
            found = await load(self._kernel.bus, key_of(STREAM, READER))
            state = await self._kernel.bus.state(STREAM)
            if found and found[0] == before and before.after < state.last_sequence:
                return
            before = found[0] if found else None
            await pause(self._clock, stop, STANDBY_S)
