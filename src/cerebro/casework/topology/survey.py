"""The map of one tenant while it is being drawn: what was sighted goes in, sheets to be kept come out."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cerebro.casework.topology.kept import (
    ALIASES_MAX,
    ENTITIES_MAX,
    EXTERNAL_MAX,
    LIVES_MAX,
    RELATIONS_MAX,
    SHEETS,
    EntityRow,
    Head,
    Lives,
    RelationRow,
    Sheet,
    sheet_of,
)
from cerebro.casework.topology.sighted import Link, Sighted
from cerebro.spine.entities import EntityKey

HALF_LIFE_MS = 300_000  # of a relation's weight
SEEN_STEP_MS = 60_000  # the time of last sight is written anew once it has moved by this
ATTRIBUTES_MAX = 32


@dataclass(slots=True)
class Life:
    """When a row was seen, what is known of it, and how much of that is kept already."""

    lives: list[tuple[int, int]] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    count: float = 0.0  # of calls, each halved every `HALF_LIFE_MS`
    kept_ms: int = -1  # the last sight that is kept
    sheet: int = 0

    def see(self, first_ms: int, last_ms: int, gap_ms: int) -> bool:
        """It was seen from then to then; whether a new stretch began."""
        if self.lives and self.lives[-1][0] <= first_ms <= self.lives[-1][1] + gap_ms:
            start, end = self.lives[-1]
            self.lives[-1] = start, max(end, last_ms)
            return False
        before = len(self.lives)
        lives: list[tuple[int, int]] = []
        for start, end in sorted([*self.lives, (first_ms, last_ms)]):
            if lives and start <= lives[-1][1] + gap_ms:
                lives[-1] = lives[-1][0], max(lives[-1][1], end)
            else:
                lives.append((start, end))
        if len(lives) > LIVES_MAX:
            lives[:2] = [(lives[0][0], lives[1][1])]
        self.lives = lives
        return len(lives) != before


@dataclass(slots=True)
class Survey:
    """The rows of one tenant's map, and which sheets are not kept as they are.

    Args:
        gap_ms: A row that was not seen for so long begins a new stretch.
        keep_ms: What was last seen longer ago than this is forgotten.
    """

    gap_ms: int
    keep_ms: int
    entities: dict[EntityKey, Life] = field(default_factory=dict)
    relations: dict[Link, Life] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)  # sights beyond a limit, by what of
    dirty: set[int] = field(default_factory=set)
    is_new: bool = False  # something is dirty that is more than a later sight
    external_count: int = 0

    @classmethod
    def of(cls, sheets: Iterable[Sheet], head: Head, gap_ms: int, keep_ms: int) -> "Survey":
        """The map as it is kept."""
        survey = cls(gap_ms, keep_ms, aliases=dict(head.aliases))
        for sheet in sheets:
            for row in sheet.entities:
                life = Life(list(row.lives), dict(row.attributes), kept_ms=row.lives[-1][1], sheet=sheet_of(row.key))
                survey.entities[row.key] = life
                survey.external_count += row.kind == "external"
            for edge in sheet.relations:
                source, target = (
                    EntityKey(edge.source_kind, edge.source_name),
                    EntityKey(edge.target_kind, edge.target_name),
                )
                kept_ms, number = edge.lives[-1][1], sheet_of(source)
                life = Life(list(edge.lives), count=edge.weight * _MINUTES, kept_ms=kept_ms, sheet=number)
                survey.relations[source, target, edge.kind] = life
        return survey

    def tell(self, sighted: Sighted) -> None:
        """Draw what was sighted."""
        first_ms, last_ms = sighted.first_ms, sighted.last_ms
        for entity, attributes in sighted.entities.items():
            self._entity(entity, attributes, first_ms, last_ms)
        for link, count in sighted.links.items():
            if self._relation(link, count, first_ms, last_ms):
                self._entity(link[0], {}, first_ms, last_ms)
                self._entity(link[1], {}, first_ms, last_ms)
        for address, entity in sighted.aliases:
            self._alias(address, entity)

    def sheet(self, number: int, now_ms: int) -> Sheet:
        """The sheet as it is to be kept; what is too old is forgotten on the way."""
        forgotten_ms = now_ms - self.keep_ms
        mine = {key: life for key, life in self.entities.items() if life.sheet == number}
        edges = {link: life for link, life in self.relations.items() if life.sheet == number}
        for key in [key for key, life in mine.items() if life.lives[-1][1] < forgotten_ms]:
            self.external_count -= key.kind == "external"
            del self.entities[key], mine[key]
        for link in [link for link, life in edges.items() if life.lives[-1][1] < forgotten_ms]:
            del self.relations[link], edges[link]
        return Sheet(
            tuple(EntityRow(key.kind, key.name, dict(life.attributes), _kept(life)) for key, life in mine.items()),
            tuple(_edge(link, life) for link, life in edges.items()),
        )

    def kept(self, numbers: Iterable[int]) -> None:
        """These sheets are kept as they were given out; every life's last sight is as it was then."""
        self.dirty -= set(numbers)
        self.is_new = bool(self.dirty) and self.is_new

    def _entity(self, key: EntityKey, attributes: Mapping[str, str], first_ms: int, last_ms: int) -> None:
        life = self.entities.get(key)
        if life is None:
            if not key.name or len(self.entities) >= ENTITIES_MAX or self._too_far(key):
                self.refused["entities"] += 1
                return
            life = self.entities[key] = Life(sheet=sheet_of(key))
            self.external_count += key.kind == "external"
        changed = attributes.items() - life.attributes.items()
        if changed and len(life.attributes) < ATTRIBUTES_MAX:
            life.attributes.update(changed)
        self._seen(life, first_ms, last_ms, is_new=bool(changed))

    def _relation(self, link: Link, count: float, first_ms: int, last_ms: int) -> bool:
        """Whether the relation is drawn."""
        life = self.relations.get(link)
        if life is None:
            if len(self.relations) >= RELATIONS_MAX or any(self._too_far(end) for end in link[:2]):
                self.refused["relations"] += 1
                return False
            life = self.relations[link] = Life(sheet=sheet_of(link[0]))
        before_ms = life.lives[-1][1] if life.lives else last_ms
        life.count = life.count * 0.5 ** (max(0, last_ms - before_ms) / HALF_LIFE_MS) + count
        self._seen(life, first_ms, last_ms)
        return True

    def _seen(self, life: Life, first_ms: int, last_ms: int, *, is_new: bool = False) -> None:
        if life.see(first_ms, last_ms, self.gap_ms) or is_new:
            self.is_new = True
        elif life.lives[-1][1] - life.kept_ms < SEEN_STEP_MS and first_ms >= life.lives[0][0]:
            return
        life.kept_ms = life.lives[-1][1]
        self.dirty.add(life.sheet)

    def _too_far(self, key: EntityKey) -> bool:
        return key.kind == "external" and key not in self.entities and self.external_count >= EXTERNAL_MAX

    def _alias(self, address: str, entity: EntityKey) -> None:
        known = self.aliases.get(address, ())
        if entity.text in known or len(known) > 1 or (not known and len(self.aliases) >= ALIASES_MAX):
            return
        self.aliases[address] = (*known, entity.text)
        self.is_new = True
        self.dirty.add(sheet_of(entity))


_MINUTES = HALF_LIFE_MS / 60_000 / math.log(2)  # an even rate of 1 a minute adds up to this count


def head_of(survey: Survey, versions: Sequence[int]) -> Head:
    """The head that goes with the sheets."""
    assert len(versions) == SHEETS
    return Head(tuple(versions), dict(survey.aliases))


def _kept(life: Life) -> Lives:
    return tuple(life.lives)


def _edge(link: Link, life: Life) -> RelationRow:
    source, target, kind = link
    weight = round(life.count / _MINUTES, 4)
    return RelationRow(source.kind, source.name, target.kind, target.name, kind, weight, _kept(life))
