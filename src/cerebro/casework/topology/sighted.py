"""What a batch of telemetry tells of the map: things that were seen, and what they were seen to need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cerebro.spine.entities import EntityKey

CALLS, PUBLISHES_TO, CONSUMES_FROM = "calls", "publishes_to", "consumes_from"
RUNS_ON, INSTANCE_OF, MEMBER_OF = "runs_on", "instance_of", "member_of"
NAME_CHARS_MAX = 200

Link = tuple[EntityKey, EntityKey, str]  # source, target, kind


@dataclass(frozen=True, slots=True)
class Sighted:
    """Things and relations that were seen between two moments.

    Args:
        entities: With what their attributes say; empty where nothing does.
        links: How often each was seen; 0 where it is no call and cannot be counted.
        aliases: Names that a thing was called by, and what answered: (address, entity).
    """

    first_ms: int
    last_ms: int
    entities: Mapping[EntityKey, Mapping[str, str]] = field(default_factory=dict)
    links: Mapping[Link, float] = field(default_factory=dict)
    aliases: frozenset[tuple[str, EntityKey]] = frozenset()


def together(parts: Iterable[Sighted]) -> Sighted | None:
    """What several batches tell, as one; nothing when there is none."""
    every = list(parts)
    if not every:
        return None
    entities: dict[EntityKey, Mapping[str, str]] = {}
    links: dict[Link, float] = {}
    for part in every:
        for key, attributes in part.entities.items():
            entities[key] = {**entities.get(key, {}), **attributes}
        for link, count in part.links.items():
            links[link] = links.get(link, 0.0) + count
    return Sighted(
        min(part.first_ms for part in every),
        max(part.last_ms for part in every),
        entities,
        links,
        frozenset().union(*(part.aliases for part in every)),
    )


def named(text: str) -> str:
    """The text as the name of a thing: printable, without outer blanks, of bounded length. Telemetry is hostile.

    >>> named("  db\\x00-7\\u202e ")
    'db-7'
    """
    head = text[: 4 * NAME_CHARS_MAX]
    if not head.isprintable():
        head = "".join(mark for mark in head if mark.isprintable())
    return head.strip()[:NAME_CHARS_MAX].rstrip()
