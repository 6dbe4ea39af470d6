"""How the things of one tenant hang together at one moment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from cerebro.spine.entities import Entity, EntityKey, Relation
from cerebro.spine.identity import TenantId

CALLS = "calls"
Neighbours = Mapping[EntityKey, tuple[Relation, ...]]


@dataclass(frozen=True)
class Topology:
    """A map that does not change: entities, and the directed relations between them.

    A relation goes from what needs to what is needed: the caller calls the callee, a process runs on its host.
    A relation may name an entity that `entities` does not: it was heard of, and never seen.
    """

    tenant: TenantId
    at_ms: int
    entities: Mapping[EntityKey, Entity]
    relations: tuple[Relation, ...] = ()

    @cached_property
    def outward(self) -> Neighbours:
        """The relations by their source."""
        return _grouped((each.source, each) for each in self.relations)

    @cached_property
    def inward(self) -> Neighbours:
        """The relations by their target."""
        return _grouped((each.target, each) for each in self.relations)

    def targets(self, source: EntityKey, kind: str = "") -> tuple[EntityKey, ...]:
        """What it needs, by this kind of relation or by any."""
        return tuple(each.target for each in self.outward.get(source, ()) if not kind or each.kind == kind)

    def sources(self, target: EntityKey, kind: str = "") -> tuple[EntityKey, ...]:
        """What needs it, by this kind of relation or by any."""
        return tuple(each.source for each in self.inward.get(target, ()) if not kind or each.kind == kind)

    def around(self, centre: EntityKey, hops: int) -> frozenset[EntityKey]:
        """The centre and everything that so many relations lead to, in either direction."""
        seen = frontier = frozenset({centre})
        for _ in range(hops):
            frontier = frozenset(n for key in frontier for n in (*self.targets(key), *self.sources(key))) - seen
            seen |= frontier
        return seen


def _grouped(pairs: Iterable[tuple[EntityKey, Relation]]) -> Neighbours:
    found: dict[EntityKey, list[Relation]] = {}
    for key, relation in pairs:
        found.setdefault(key, []).append(relation)
    return MappingProxyType({key: tuple(relations) for key, relations in found.items()})
