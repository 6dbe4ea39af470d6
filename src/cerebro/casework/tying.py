"""The ties that count for a tenant now: its map, its rules, its history, each as it stands in the store of record."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from cerebro.casework.rules import Rules, read_rules
from cerebro.casework.store import HISTORIES, HISTORY_KEY, RULES, RULES_KEY, History, KeptRules
from cerebro.casework.ties import MapTies, Together
from cerebro.casework.topology.atlas import Atlas
from cerebro.kernel.kit import Kernel
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId

FRESH_S = 5.0  # how old the rules and the history that this process knows may be
TENANTS_MAX = 64


@dataclass(slots=True)
class _Known:
    """What this process has read."""

    looked_s: float = -1e9
    rules: Rules = field(default_factory=Rules)
    rules_version: int = 0
    history: History = field(default_factory=History)
    ties: MapTies | None = None


class Tying:
    """Answers what ties things together. Cheap to ask: the same object while map, rules and history stay the same.

    Args:
        kernel: Its records hold all three.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._atlas = kernel, Atlas(kernel)
        self._known: OrderedDict[TenantId, _Known] = OrderedDict()

    async def of(self, tenant: TenantId) -> MapTies:
        """The ties of a tenant."""
        known = self._known.setdefault(tenant, _Known())
        self._known.move_to_end(tenant)
        while len(self._known) > TENANTS_MAX:
            self._known.popitem(last=False)
        topology = await self._atlas.at(tenant, self._kernel.clock.now_ms())
        if self._kernel.clock.monotonic_s() - known.looked_s >= FRESH_S:
            await self._look(tenant, known)
        if known.ties is None or known.ties.topology is not topology:
            known.ties = MapTies(topology, known.rules, _by_entity(known.history))
        return known.ties

    async def _look(self, tenant: TenantId, known: _Known) -> None:
        async with self._kernel.records.transaction() as transaction:
            kept = await transaction.load(RULES, tenant, RULES_KEY, lock=False)
            history = await transaction.load(HISTORIES, tenant, HISTORY_KEY, lock=False)
        version, past = kept.version if kept else 0, history.value if history else History()
        if version != known.rules_version:
            known.rules, known.rules_version, known.ties = rules_of(kept.value if kept else None), version, None
        if past != known.history:
            known.history, known.ties = past, None
        known.looked_s = self._kernel.clock.monotonic_s()


def rules_of(kept: KeptRules | None) -> Rules:
    """The rules that a tenant keeps; the usual ones when it keeps none."""
    return read_rules(kept.text) if kept else Rules()


def _by_entity(history: History) -> Mapping[EntityKey, Mapping[EntityKey, Together]]:
    found: dict[EntityKey, dict[EntityKey, Together]] = {}
    for pair, count in history.together.items():
        one, other = pair.split("\n")
        of = min(history.alone.get(one, count), history.alone.get(other, count))
        for mine, theirs in ((one, other), (other, one)):
            found.setdefault(EntityKey.parse(mine), {})[EntityKey.parse(theirs)] = Together(count, of)
    return found
