"""Which executors a tenant has: control doors that were registered, and those that stand in the data directory."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from cerebro.casework.executors.choose import by_settings
from cerebro.casework.executors.port import Executor
from cerebro.casework.executors.supervisor import ControlDoor
from cerebro.casework.hands.store import DOORS, DoorEntry
from cerebro.casework.notify import check_address
from cerebro.kernel.children import is_running
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Search
from cerebro.spine.actions import Level
from cerebro.spine.errors import CerebroError, Invalid
from cerebro.spine.identity import DEFAULT_TENANT, TenantId

log = get_log(__name__)

FRESH_S = 5.0
AGAIN_S = 60.0  # between two times that a door is asked what it can do; one that falls silent is asked sooner at first
KEPT_S = 300.0  # so long a door that is silent may still be tried
DOORS_MAX = 100
FOLDER = "executors"


class Introduced(msgspec.Struct, frozen=True):
    """A control door that a program of this machine's owner wrote into the data directory while it is up."""

    name: str
    kind: str
    url: str
    key: str
    pid: int
    started_s: float
    targets: list[str]


@dataclass(frozen=True, slots=True)
class Known:
    """A control door that was asked what it can do.

    Args:
        is_learned: Whether it has ever told.
        silent_s: Since when it has not answered; none where it did when it was asked last.
        due_s: When it is asked again.
    """

    door: ControlDoor
    is_learned: bool = False
    silent_s: float | None = None
    due_s: float = 0.0


class Doors:
    """Keeps connections to the control doors of every tenant; looks anew every few seconds.

    Args:
        kernel: Its records hold what was registered, its settings what else there is.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._clock = kernel, kernel.clock
        self._fixed = by_settings(kernel.settings.reach, kernel.clock)
        self._folder = kernel.settings.data_dir / FOLDER
        self._known: dict[tuple[TenantId, DoorEntry], Known] = {}
        self._seen: dict[TenantId, tuple[float, Sequence[Executor]]] = {}
        self._turns: defaultdict[TenantId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, tenant: TenantId) -> Sequence[Executor]:
        """As the port says; however many doors are silent, it takes no longer than one of them."""
        async with self._turns[tenant]:  # whoever comes meanwhile has what is found, and asks nobody a second time
            seen = self._seen.get(tenant)
            if seen and self._clock.monotonic_s() - seen[0] < FRESH_S:
                return seen[1]
            wanted = await self.entries(tenant)
            for key in [key for key in self._known if key[0] == tenant and key[1] not in wanted]:
                await self._known.pop(key).door.close()
            doors = await asyncio.gather(*(self._door(tenant, entry) for entry in wanted))
            found = (*(door for door in doors if door), *self.set_up(tenant))
            self._seen[tenant] = self._clock.monotonic_s(), found
            return found

    async def answering(self, tenant: TenantId) -> frozenset[str]:
        """The names of the control doors that answered when they were asked last, a minute ago or less."""
        await self.of(tenant)
        found = {entry.name: known for (owner, entry), known in self._known.items() if owner == tenant}
        return frozenset(name for name, known in found.items() if known.silent_s is None)

    def look_anew(self, tenant: TenantId) -> None:
        """One was added or taken away: what was seen a few seconds ago is no more so."""
        self._seen.pop(tenant, None)

    def set_up(self, tenant: TenantId) -> Sequence[Executor]:
        """What the settings of this installation name: they act with its own rights."""
        return self._fixed if tenant == DEFAULT_TENANT else ()

    async def entries(self, tenant: TenantId) -> list[DoorEntry]:
        """The control doors that were registered or introduced, whether they answer or not."""
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(DOORS, tenant, Search({}, limit=DOORS_MAX))
        registered = {record.key: record.value for record in page.records}
        found = introduced(self._folder) if tenant == DEFAULT_TENANT else ()
        # A call names its door: no two have one name.
        return [*registered.values(), *{each.name: each for each in found if each.name not in registered}.values()]

    async def _door(self, tenant: TenantId, entry: DoorEntry) -> ControlDoor | None:
        """The door, where it has told what it can do, and not been silent for long; it is asked when it is time to."""
        known = self._known.get((tenant, entry)) or _met(entry)
        if known is None:
            return None
        if known.due_s <= self._clock.monotonic_s():
            known = self._known[tenant, entry] = await self._asked(tenant, known)
        is_there = known.silent_s is None or self._clock.monotonic_s() - known.silent_s < KEPT_S
        return known.door if known.is_learned and is_there else None

    async def _asked(self, tenant: TenantId, known: Known) -> Known:
        """What is known of a door once it was asked what it can do; what it told before stands while it is silent."""
        try:
            await known.door.learn()
        except CerebroError as error:
            now_s = self._clock.monotonic_s()
            if known.silent_s is None:
                log.warning("control_door_silent", tenant=tenant, door=known.door.label, reason=error.detail)
                return replace(known, silent_s=now_s, due_s=now_s + FRESH_S)
            return replace(known, due_s=now_s + min(max(FRESH_S, now_s - known.silent_s), AGAIN_S))
        if not known.is_learned or known.silent_s is not None:
            log.info("control_door_found", tenant=tenant, door=known.door.label)
        return Known(known.door, is_learned=True, due_s=self._clock.monotonic_s() + AGAIN_S)


def _met(entry: DoorEntry) -> Known | None:
    """A door that was not asked yet; none where its address is no good."""
    try:
        check_address(entry.url)
        return Known(ControlDoor(entry.name, entry.url, entry.key, entry.scope, entry.level))
    except Invalid as error:
        log.warning("control_door_refused", door=entry.name, reason=error.detail)
        return None


def introduced(folder: Path) -> list[DoorEntry]:
    """The doors in the data directory whose program still runs. Whoever can write there could do anything anyway."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            each = msgspec.json.decode(file.read_bytes(), type=Introduced)
        except (OSError, msgspec.MsgspecError):
            continue
        if is_running(each.pid, each.started_s):
            found.append(
                DoorEntry(
                    each.name, each.kind, each.url, each.key, tuple(each.targets), Level.ACT, "data directory",
                    round(each.started_s * 1000),
                )
            )  # fmt: skip
    return found
