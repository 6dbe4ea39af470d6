"""A map that a person can read: health rolled up, a neighbourhood cut out, the many drawn together in groups."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cerebro.casework.topology.attributes import group_of
from cerebro.casework.topology.sighted import MEMBER_OF
from cerebro.spine.entities import EMPTY, Entity, EntityKey, Relation
from cerebro.spine.topology import Topology

HEALTH = ("good", "notice", "minor", "major", "critical")
NODES_MAX = 5000
GROUPS_MAX = 200

Worst = Mapping[EntityKey, tuple[int, int]]  # the worst severity of its live cases, and how many there are


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a map is wanted."""

    focus: EntityKey | None = None
    hops: int = 1
    kinds: frozenset[str] = frozenset()
    text: str = ""
    limit: int = 500


@dataclass(frozen=True, slots=True)
class MapEntity:
    """A thing on the map and how it is."""

    key: EntityKey
    health: str  # good | notice | minor | major | critical | unknown, which is: not heard of lately
    severity: int  # the worst active one of its own cases; 0 for none
    needs_severity: int  # the worst of it and of everything it needs, however far
    needs_health: str
    open_cases: int
    owner: str
    group: str
    first_seen_ms: int
    last_seen_ms: int
    series_count: int = 0
    attributes: Mapping[str, str] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class MapGroup:
    """Things that a crowded map draws as one."""

    name: str
    count: int
    kinds: Mapping[str, int]
    severity: int
    health: str


@dataclass(frozen=True, slots=True)
class GroupRelation:
    """What leads from one group to another."""

    source: str
    target: str
    count: int
    weight: float


@dataclass(frozen=True, slots=True)
class MapPage:
    """A map, the sickest first. `truncated` when more match than are shown; the groups count all of them."""

    at_ms: int
    entities: Sequence[MapEntity]
    relations: Sequence[Relation]
    groups: Sequence[MapGroup]
    group_relations: Sequence[GroupRelation]
    total_count: int
    truncated: bool


def view(topology: Topology, worst: Worst, asked: Asked, *, silent_ms: int, series: Mapping[EntityKey, int]) -> MapPage:
    """What was asked of the map.

    Args:
        topology: At the moment asked for.
        worst: Of the same moment.
        asked: Which part.
        silent_ms: A thing that has said nothing for so long is not called healthy.
        series: How many series each thing has, where that is known.
    """
    chosen = _chosen(topology, worst, asked)
    rolled = rolled_up(topology, worst)
    outward, inward = topology.outward, topology.inward

    def rank(key: EntityKey) -> tuple[int, int, int, EntityKey]:
        degree = len(outward.get(key, ())) + len(inward.get(key, ()))
        return -worst.get(key, (0, 0))[0], -rolled.get(key, 0), -degree, key

    order = sorted(chosen, key=rank)
    draw = _Pen(topology, worst, rolled, silent_ms, series)
    lines = {key: draw.line(key) for key in order}
    shown = dict(list(lines.items())[: asked.limit])
    groups = {key: line.group for key, line in lines.items()}
    return MapPage(
        at_ms=topology.at_ms,
        entities=list(shown.values()),
        relations=[each for key in shown for each in outward.get(key, ()) if each.target in shown],
        groups=_groups(lines.values()),
        group_relations=_between((each for key in lines for each in outward.get(key, ())), groups),
        total_count=len(lines),
        truncated=len(lines) > len(shown),
    )


def rolled_up(topology: Topology, worst: Worst) -> Mapping[EntityKey, int]:
    """Of each thing the worst severity among it and everything it needs; what is well is left out."""
    found: dict[EntityKey, int] = {}
    for severity in sorted({severity for severity, _ in worst.values() if severity}, reverse=True):
        frontier = [key for key, (own, _) in worst.items() if own == severity and key not in found]
        while frontier:
            key = frontier.pop()
            if key in found:
                continue
            found[key] = severity
            frontier += [each.source for each in topology.inward.get(key, ()) if each.kind != MEMBER_OF]
    return found


def with_unmapped(topology: Topology, more: Iterable[Entity], relations: Iterable[Relation]) -> Topology:
    """The map with what else is known of now."""
    entities = dict(topology.entities)
    relations = tuple(relations)
    ends = (
        Entity(topology.tenant, end, last_seen_ms=r.last_seen_ms) for r in relations for end in (r.source, r.target)
    )
    for each in (*more, *ends):
        entities.setdefault(each.key, each)
    known = {(each.source, each.target, each.kind) for each in topology.relations}
    extra = tuple(each for each in relations if (each.source, each.target, each.kind) not in known)
    return Topology(topology.tenant, topology.at_ms, entities, topology.relations + extra)


def _chosen(topology: Topology, worst: Worst, asked: Asked) -> set[EntityKey]:
    if asked.focus is None:
        chosen = {*topology.entities, *worst}
    else:
        chosen = {key for key in topology.around(asked.focus, asked.hops) if key in topology.entities or key in worst}
    if asked.kinds:
        chosen = {key for key in chosen if key.kind in asked.kinds or key == asked.focus}
    words = asked.text.lower().split()
    return {key for key in chosen if all(word in key.text.lower() for word in words)} if words else chosen


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws the lines of one view."""

    topology: Topology
    worst: Worst
    rolled: Mapping[EntityKey, int]
    silent_ms: int
    series: Mapping[EntityKey, int]

    def line(self, key: EntityKey) -> MapEntity:
        """One thing."""
        entity = self.topology.entities.get(key) or Entity(self.topology.tenant, key)
        severity, open_cases = self.worst.get(key, (0, 0))
        heard = self.topology.at_ms - entity.last_seen_ms < self.silent_ms
        needs = self.rolled.get(key, 0)
        return MapEntity(
            key=key,
            health=HEALTH[severity] if severity or heard else "unknown",
            severity=severity,
            needs_severity=needs,
            needs_health=HEALTH[needs] if needs or heard else "unknown",
            open_cases=open_cases,
            owner=entity.owner,
            group=group_of(key, entity.attributes),
            first_seen_ms=entity.first_seen_ms,
            last_seen_ms=entity.last_seen_ms,
            series_count=self.series.get(key, 0),
            attributes=dict(entity.attributes),
        )


def _groups(lines: Iterable[MapEntity]) -> list[MapGroup]:
    members: dict[str, list[MapEntity]] = {}
    for line in lines:
        members.setdefault(line.group, []).append(line)
    groups = [
        MapGroup(name, len(of), Counter(each.key.kind for each in of), worst, HEALTH[worst])
        for name, of in members.items()
        for worst in [max(each.severity for each in of)]
    ]
    return sorted(groups, key=lambda group: (-group.severity, -group.count, group.name))[:GROUPS_MAX]


def _between(relations: Iterable[Relation], groups: Mapping[EntityKey, str]) -> list[GroupRelation]:
    found: dict[tuple[str, str], list[float]] = {}
    for each in relations:
        source, target = groups.get(each.source), groups.get(each.target)
        if source and target and source != target and each.kind != MEMBER_OF:
            found.setdefault((source, target), []).append(each.weight)
    return [GroupRelation(*ends, len(weights), round(sum(weights), 4)) for ends, weights in sorted(found.items())]
