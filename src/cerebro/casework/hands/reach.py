"""Which executors a tenant has: control doors that were registered, and those that stand in the data directory."""

from collections.abc import Sequence
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
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import DEFAULT_TENANT, TenantId

log = get_log(__name__)

FRESH_S = 5.0
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


class Doors:
    """Keeps connections to the control doors of every tenant; looks anew every few seconds.

    Args:
        kernel: Its records hold what was registered, its settings what else there is.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._fixed = by_settings(kernel.settings.reach, kernel.clock)
        self._folder = kernel.settings.data_dir / FOLDER
        self._open: dict[tuple[TenantId, DoorEntry], ControlDoor] = {}
        self._seen: dict[TenantId, tuple[float, Sequence[Executor]]] = {}

    async def of(self, tenant: TenantId) -> Sequence[Executor]:
        """As the port says."""
        now_s = self._kernel.clock.monotonic_s()
        seen = self._seen.get(tenant)
        if seen and now_s - seen[0] < FRESH_S:
            return seen[1]
        wanted = await self.entries(tenant)
        for key in [key for key in self._open if key[0] == tenant and key[1] not in wanted]:
            await self._open.pop(key).close()
        found = [door for entry in wanted if (door := await self._door(tenant, entry))]
        self._seen[tenant] = now_s, (*found, *self.set_up(tenant))
        return self._seen[tenant][1]

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
        door = self._open.get((tenant, entry))
        if door is None:
            try:
                check_address(entry.url)
                door = ControlDoor(entry.name, entry.url, entry.key, entry.scope, entry.level)
                await door.learn()
            except CerebroError as error:
                log.warning("control_door_silent", door=entry.name, reason=error.detail)
                if door:
                    await door.close()
                return None
            self._open[tenant, entry] = door
            log.info("control_door_found", tenant=tenant, door=entry.name)
        return door


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
