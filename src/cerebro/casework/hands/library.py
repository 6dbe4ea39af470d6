"""The playbooks of a tenant: those that come with Cerebro, and its own over them."""

from collections.abc import Mapping
from dataclasses import replace

from cerebro.casework.hands.store import PASTS, PLAYBOOKS, POLICIES, POLICY, KeptPlaybook, Past
from cerebro.casework.playbooks.model import Playbook
from cerebro.casework.playbooks.read import shipped, shipped_text
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Search, Transaction
from cerebro.spine.errors import Conflict, NotFound
from cerebro.spine.identity import TenantId

OWN_MAX = 500
PASTS_MAX = 200  # of one playbook: one for each kind of cause
FRESH_S = 5.0


class Library:
    """Reads and keeps playbooks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._clock = kernel, kernel.clock
        self._audit = Audit(kernel.records, kernel.clock)
        self._kept: dict[TenantId, tuple[float, Mapping[str, Playbook]]] = {}

    async def all(self, tenant: TenantId) -> Mapping[str, Playbook]:
        """By name; as of a few seconds ago."""
        now_s = self._clock.monotonic_s()
        kept = self._kept.get(tenant)
        if kept and now_s - kept[0] < FRESH_S:
            return kept[1]
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(PLAYBOOKS, tenant, Search({}, limit=OWN_MAX))
        found = {**shipped(), **{record.key: record.value.playbook for record in page.records}}
        self._kept[tenant] = now_s, found
        return found

    async def maybe(self, tenant: TenantId, name: str) -> Playbook | None:
        """The playbook, if there is one."""
        return (await self.all(tenant)).get(name)

    async def one(self, tenant: TenantId, name: str) -> Playbook:
        """The playbook.

        Raises:
            NotFound: There is none of this name.
        """
        found = await self.maybe(tenant, name)
        if found is None:
            raise NotFound(f"There is no playbook {name!r}.", "cerebro playbooks list shows them all.")
        return found

    async def text(self, tenant: TenantId, name: str) -> str:
        """The playbook as it was written.

        Raises:
            NotFound: There is none of this name.
        """
        async with self._kernel.records.transaction() as transaction:
            record = await transaction.load(PLAYBOOKS, tenant, name, lock=False)
        if record:
            return record.value.text
        await self.one(tenant, name)
        return shipped_text(name)

    async def keep(self, tenant: TenantId, playbook: Playbook, text: str, by: str, replaces: str | None = None) -> None:
        """Sign off a playbook of the tenant's own; its name may be that of a shipped one, and then wins over it.

        One that does something else, or at another risk, has earned nothing yet: its level and record begin anew.

        Args:
            replaces: The text that it was begun from; None when whoever asks does not mind what is there.

        Raises:
            Conflict: Someone else signed off another text meanwhile.
        """
        async with self._kernel.records.transaction() as transaction:
            old = await transaction.load(PLAYBOOKS, tenant, playbook.name)
            there = old.value.text if old else shipped_text(playbook.name) if playbook.name in shipped() else ""
            if replaces is not None and replaces != there:
                raise Conflict(
                    f"Someone else signed off {playbook.name} meanwhile.", "Look at theirs, and write yours anew."
                )
            kept = KeptPlaybook(playbook.name, text, playbook, by, self._clock.now_ms())
            await transaction.save(PLAYBOOKS, tenant, playbook.name, kept, version=old.version if old else 0)
            former = old.value.playbook if old else shipped().get(playbook.name)
            is_another = former is not None and _does(former) != _does(playbook)
            if is_another:
                await _forget(transaction, tenant, playbook.name)
            detail = {"version": playbook.version, "risk": playbook.risk, "begins_anew": is_another}
            await self._audit.append(
                tenant, by, "playbook_signed_off", f"playbook/{playbook.name}", detail, transaction=transaction
            )
        self._kept.pop(tenant, None)


def _does(playbook: Playbook) -> tuple[object, ...]:
    """What its record is of: what is done, how far it may go, and what counts as help."""
    return playbook.steps, playbook.parameters, playbook.risk, playbook.expect


async def _forget(transaction: Transaction, tenant: TenantId, name: str) -> None:
    """Take away what a playbook of this name has earned."""
    kept = await transaction.load(POLICIES, tenant, POLICY)
    if kept and name in kept.value.levels:
        levels = {playbook: level for playbook, level in kept.value.levels.items() if playbook != name}
        moves = {playbook: moved for playbook, moved in kept.value.moves.items() if playbook != name}
        after = replace(kept.value, levels=levels, moves=moves)
        await transaction.save(POLICIES, tenant, POLICY, after, version=kept.version)
    for record in (await transaction.find(PASTS, tenant, Search({"playbook": name}, limit=PASTS_MAX))).records:
        empty = Past(name, record.value.cause_kind)
        await transaction.save(PASTS, tenant, record.key, empty, version=record.version)
