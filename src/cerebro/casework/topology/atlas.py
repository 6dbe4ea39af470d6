"""The map of a tenant at a moment, from what is kept of it."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from cerebro.casework.topology.attributes import owner_of
from cerebro.casework.topology.kept import (
    DRAWN,
    HEAD,
    MAP_DRAWINGS,
    MAP_HEADS,
    MAP_SHEETS,
    SHEETS,
    Drawn,
    Head,
    Lives,
    Sheet,
    sheet_key,
)
from cerebro.kernel.kit import Kernel
from cerebro.spine.entities import Entity, EntityKey, Relation
from cerebro.spine.identity import TenantId
from cerebro.spine.topology import Topology

FRESH_S = 1.0  # how old what this process knows of the kept map may be
STEP_MS = 10_000  # moments closer than this share a map
MAPS_MAX = 16  # kept ready of one tenant
TENANTS_MAX = 64


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet, its rows made into nouns as they were when last seen: most maps that are asked for are of now."""

    entities: tuple[tuple[Lives, Entity], ...] = ()
    relations: tuple[tuple[Lives, Relation], ...] = ()

    @classmethod
    def of(cls, tenant: TenantId, sheet: Sheet) -> "Page":
        """The sheet."""
        return cls(
            tuple(
                (row.lives, Entity(tenant, row.key, row.attributes, owner_of(row.attributes), row.lives[0][0], end))
                for row in sheet.entities
                for end in [row.lives[-1][1]]
            ),
            tuple(
                (
                    row.lives,
                    Relation(
                        tenant,
                        EntityKey(row.source_kind, row.source_name),
                        EntityKey(row.target_kind, row.target_name),
                        row.kind,
                        row.weight,
                        row.lives[0][0],
                        row.lives[-1][1],
                    ),
                )
                for row in sheet.relations
            ),
        )


@dataclass(frozen=True, slots=True)
class KeptMap:
    """Everything that is kept of one tenant's map."""

    pages: tuple[Page, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drawn: Drawn = field(default_factory=Drawn)


@dataclass(slots=True)
class _Known:
    """What this process has read of one tenant's map."""

    head: Head = field(default_factory=Head)
    drawn: Drawn = field(default_factory=Drawn)
    pages: list[Page] = field(default_factory=lambda: [Page()] * SHEETS)
    looked_s: float = -1e9
    maps: OrderedDict[int, Topology] = field(default_factory=OrderedDict)


class Atlas:
    """Answers what the map of a tenant was at any moment. Cheap to ask again: maps are kept while nothing changes.

    Args:
        kernel: Its records hold the map, its clock says when to look again.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._gap_ms = round(kernel.settings.casework.map_forget_s * 1000)
        self._known: OrderedDict[TenantId, _Known] = OrderedDict()

    async def at(self, tenant: TenantId, at_ms: int) -> Topology:
        """The map at a moment, within `STEP_MS`: everything seen before it, and not forgotten by then.

        Raises:
            Unavailable: The store of record does not answer.
        """
        known = await self._look(tenant)
        step = at_ms // STEP_MS
        if step not in known.maps:
            kept = KeptMap(tuple(known.pages), known.head.aliases, known.drawn)
            known.maps[step] = drawn_map(tenant, (step + 1) * STEP_MS - 1, kept, self._gap_ms)
            while len(known.maps) > MAPS_MAX:
                known.maps.popitem(last=False)
        return known.maps[step]

    def forget(self, tenant: TenantId) -> None:
        """Look again at the next question: this process has changed the map."""
        if tenant in self._known:
            self._known[tenant].looked_s = -1e9

    async def _look(self, tenant: TenantId) -> _Known:
        known = self._known.setdefault(tenant, _Known())
        self._known.move_to_end(tenant)
        while len(self._known) > TENANTS_MAX:
            self._known.popitem(last=False)
        now_s = self._kernel.clock.monotonic_s()
        if now_s - known.looked_s < FRESH_S:
            return known
        async with self._kernel.records.transaction() as transaction:
            head = await transaction.load(MAP_HEADS, tenant, HEAD, lock=False)
            drawn = await transaction.load(MAP_DRAWINGS, tenant, DRAWN, lock=False)
            after = head.value if head else Head()
            pairs = zip(known.head.versions, after.versions, strict=True)
            for number in [n for n, (before, now) in enumerate(pairs) if before != now]:
                sheet = await transaction.load(MAP_SHEETS, tenant, sheet_key(number), lock=False)
                known.pages[number] = Page.of(tenant, sheet.value) if sheet else Page()
                known.maps.clear()
        said = drawn.value if drawn else Drawn()
        if after.aliases != known.head.aliases or said != known.drawn:
            known.maps.clear()
        known.head, known.drawn, known.looked_s = after, said, now_s
        return known


def drawn_map(tenant: TenantId, at_ms: int, kept: KeptMap, gap_ms: int) -> Topology:
    """The map at `at_ms`: names that turned out to be one thing's are one, and what people drew is on it."""
    entities: dict[EntityKey, Entity] = {}
    for page in kept.pages:
        for lives, entity in page.entities:
            if life := _alive(lives, at_ms, gap_ms):
                entities[entity.key] = entity if life is lives[-1] else replace(entity, last_seen_ms=life[1])
    for text, owner in kept.drawn.owners.items():
        if (key := EntityKey.parse(text)) in entities:
            entities[key] = replace(entities[key], owner=owner)
    relations = []
    for page in kept.pages:
        for lives, relation in page.relations:
            if life := _alive(lives, at_ms, gap_ms):
                relations.append(relation if life is lives[-1] else replace(relation, last_seen_ms=life[1]))
    for told in (drawn := _by_hand(tenant, at_ms, kept.drawn)):
        for end in (told.source, told.target):
            entities.setdefault(end, Entity(tenant, end, first_seen_ms=told.first_seen_ms, last_seen_ms=at_ms))
    relations += drawn
    if (same := _same(entities, kept.aliases)) or drawn:
        relations = _as_one(relations, same)
    for key in same:
        entities.pop(key, None)
    return Topology(tenant, at_ms, MappingProxyType(entities), tuple(relations))


def _by_hand(tenant: TenantId, at_ms: int, drawn: Drawn) -> list[Relation]:
    """What people had drawn by then, and not taken away."""
    return [
        Relation(tenant, one.source, one.target, one.kind, 1.0, one.drawn_ms, at_ms)
        for one in drawn.relations
        if one.drawn_ms <= at_ms and not 0 < one.ended_ms <= at_ms
    ]


def _as_one(relations: Iterable[Relation], same: Mapping[EntityKey, EntityKey]) -> list[Relation]:
    """The relations between what things really are, each once."""
    found: dict[tuple[EntityKey, EntityKey, str], Relation] = {}
    for each in relations:
        source, target = same.get(each.source, each.source), same.get(each.target, each.target)
        if source != target:
            told = replace(each, source=source, target=target)
            link = source, target, each.kind
            found[link] = _both(found[link], told) if link in found else told
    return list(found.values())


def _alive(lives: Lives, at_ms: int, gap_ms: int) -> tuple[int, int] | None:
    """The stretch that the moment lies in, or close behind."""
    for life in reversed(lives):
        if life[0] <= at_ms:
            return life if at_ms <= life[1] + gap_ms else None
    return None


def _same(entities: Mapping[EntityKey, Entity], aliases: Mapping[str, tuple[str, ...]]) -> dict[EntityKey, EntityKey]:
    """What is drawn as another entity: an address that a service answers at, a store or queue that tells of itself."""
    found: dict[EntityKey, EntityKey] = {}
    for key in entities:
        if key.kind not in ("external", "database", "queue"):
            continue
        answered = aliases.get(key.name, ()) if key.kind == "external" else ()
        answered = answered if len(answered) == 1 else ()  # several behind one address: it is a gateway
        for other in (EntityKey("service", key.name), *map(EntityKey.parse, answered), EntityKey("database", key.name)):
            if other != key and other in entities:
                found[key] = other
                break
    return found


def _both(one: Relation, other: Relation) -> Relation:
    return replace(
        one,
        weight=max(one.weight, other.weight),
        first_seen_ms=min(one.first_seen_ms, other.first_seen_ms),
        last_seen_ms=max(one.last_seen_ms, other.last_seen_ms),
    )
