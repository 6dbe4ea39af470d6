"""How the map of a tenant is kept: sheets of rows, each row with the stretches of time it was seen in.

One row per record would be thousands of writes a minute; one record would be rewritten for every new process. So the
rows lie on `SHEETS` sheets by the hash of their source, and a head tells who reads which of them are new.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import xxhash

from cerebro.kernel.records.port import Collection
from cerebro.spine.entities import EntityKey

SHEETS = 64
LIVES_MAX = 16  # stretches of a row; the oldest are drawn together beyond
ENTITIES_MAX = 10_000
RELATIONS_MAX = 50_000
EXTERNAL_MAX = 1000  # addresses outside, of the entities
ALIASES_MAX = 5000
DRAWN_MAX = 2000
HEAD, DRAWN = "head", "drawn"

Lives = tuple[tuple[int, int], ...]  # from when to when it was seen, in order


class EntityRow(msgspec.Struct, frozen=True, array_like=True):
    """A thing of the map."""

    kind: str
    name: str
    attributes: Mapping[str, str]
    lives: Lives

    @property
    def key(self) -> EntityKey:
        """What it is called."""
        return EntityKey(self.kind, self.name)


class RelationRow(msgspec.Struct, frozen=True, array_like=True):
    """A relation of the map; `weight` is calls a minute when it was last seen, 0 where nothing is called."""

    source_kind: str
    source_name: str
    target_kind: str
    target_name: str
    kind: str
    weight: float
    lives: Lives


@dataclass(frozen=True, slots=True)
class Sheet:
    """A part of the map."""

    entities: tuple[EntityRow, ...] = ()
    relations: tuple[RelationRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What there is to read."""

    versions: tuple[int, ...] = (0,) * SHEETS  # of each sheet
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # an address, and what answered there


@dataclass(frozen=True, slots=True)
class DrawnRelation:
    """A relation that a person drew."""

    source: EntityKey
    target: EntityKey
    kind: str
    by: str
    drawn_ms: int
    ended_ms: int = 0  # when someone took it away; 0 while it stands


@dataclass(frozen=True, slots=True)
class Drawn:
    """What people said of the map."""

    relations: tuple[DrawnRelation, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)  # by the entity's text


MAP_SHEETS = Collection("map_sheets", Sheet)
MAP_HEADS = Collection("map_heads", Head)
MAP_DRAWINGS = Collection("map_drawings", Drawn)


def sheet_of(entity: EntityKey) -> int:
    """The sheet that holds the entity, and the relations it is the source of."""
    return xxhash.xxh64_intdigest(entity.text.encode()) % SHEETS


def sheet_key(number: int) -> str:
    """What a sheet is kept under."""
    return f"{number:02}"
