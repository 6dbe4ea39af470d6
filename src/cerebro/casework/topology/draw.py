"""What people draw on the map, and what of it is refused, with the reason and the mend."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from cerebro.casework.topology.kept import DRAWN_MAX, Drawn, DrawnRelation
from cerebro.casework.topology.sighted import named
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, LimitReached, NotFound
from cerebro.spine.topology import Topology

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "calls": "asks it for something",
        "runs_on": "runs on it",
        "stores_in": "keeps data in it",
        "publishes_to": "sends messages to it",
        "consumes_from": "takes messages from it",
        "instance_of": "is one of several of it",
        "member_of": "belongs to it",
        "exposes": "is where it is reached",
        "implements": "is what it does",
        "owns": "is responsible for it",
    }
)
OWNER_CHARS_MAX = 200
PLACES = frozenset({"host", "namespace", "cluster"})  # they run services, and never on one


def thing(text: str) -> EntityKey:
    """The entity that a person named.

    Raises:
        Invalid: It names none.
    """
    key = EntityKey.parse(text.strip())
    if not key.kind.isidentifier() or not key.name or named(key.name) != key.name:
        raise Invalid(f"{text[:300]!r} is not an entity.", "Write kind/name, such as service/checkout.")
    return key


def with_relation(drawn: Drawn, wanted: DrawnRelation, topology: Topology) -> Drawn:
    """What is drawn with one more relation.

    Raises:
        Invalid: It leads nowhere, closes a circle, or says what cannot be.
        LimitReached: There are as many as a tenant may have.
    """
    if wanted.kind not in KINDS:
        raise Invalid(f"There is no relation {wanted.kind[:80]!r}.", f"Choose one of: {', '.join(KINDS)}.")
    if wanted.source == wanted.target:
        raise Invalid(f"{wanted.source.text} cannot need itself.", "Name another target.")
    if wanted.kind == "runs_on" and wanted.source.kind in PLACES and wanted.target.kind not in PLACES:
        raise Invalid(
            f"{wanted.source.text} does not run on {wanted.target.text}: a {wanted.source.kind} is a place.",
            "Turn the relation round.",
        )
    standing = [each for each in drawn.relations if not each.ended_ms]
    if any((each.source, each.target, each.kind) == (wanted.source, wanted.target, wanted.kind) for each in standing):
        return drawn
    if len(drawn.relations) >= DRAWN_MAX:
        raise LimitReached(f"{DRAWN_MAX} relations are drawn already.", "Take some of them away first.")
    if way := _way(topology, standing, wanted):
        said = f" {wanted.kind} ".join(each.text for each in (wanted.source, *way))
        raise Invalid(
            f"The relation closes a circle: {said}.",
            f"Leave it out, or take away one of the others: what {KINDS[wanted.kind]} cannot lead back to itself.",
        )
    return replace(drawn, relations=(*drawn.relations, wanted))


def without_relation(drawn: Drawn, source: EntityKey, target: EntityKey, kind: str, now_ms: int) -> Drawn:
    """What is drawn once a relation has been taken away; the past keeps it.

    Raises:
        NotFound: Nobody drew it.
    """
    ended = [
        replace(each, ended_ms=now_ms)
        if (each.source, each.target, each.kind, each.ended_ms) == (source, target, kind, 0)
        else each
        for each in drawn.relations
    ]
    if tuple(ended) == drawn.relations:
        raise NotFound(
            f"Nobody drew {source.text} {kind} {target.text}.",
            "What telemetry shows goes by itself once it is not seen for a while.",
        )
    return replace(drawn, relations=tuple(ended))


def with_owner(drawn: Drawn, entity: EntityKey, owner: str) -> Drawn:
    """What is drawn with the thing being someone's; an empty owner leaves it to its attributes."""
    owner = named(owner)[:OWNER_CHARS_MAX]
    owners = {key: who for key, who in drawn.owners.items() if key != entity.text}
    if owner and len(owners) >= DRAWN_MAX:
        raise LimitReached(f"{DRAWN_MAX} things have an owner already.", "Set owners by an attribute of the resource.")
    return replace(drawn, owners=owners | ({entity.text: owner} if owner else {}))


def _way(topology: Topology, standing: list[DrawnRelation], wanted: DrawnRelation) -> tuple[EntityKey, ...]:
    """The way back from the target to the source, over relations of the same kind; empty when there is none."""
    outward: dict[EntityKey, list[EntityKey]] = {}
    drawn = [(each.source, each.target, each.kind) for each in standing]
    seen = [(each.source, each.target, each.kind) for each in topology.relations]
    for source, target, kind in (*seen, *drawn):
        if kind == wanted.kind:
            outward.setdefault(source, []).append(target)
    ways: dict[EntityKey, tuple[EntityKey, ...]] = {wanted.target: (wanted.target,)}
    frontier = [wanted.target]
    while frontier:
        key = frontier.pop(0)
        if key == wanted.source:
            return ways[key]
        for near in outward.get(key, ()):
            if near not in ways:
                ways[near] = (*ways[key], near)
                frontier.append(near)
    return ()
