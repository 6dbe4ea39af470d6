"""What ties the troubles of two things together: the map, rules about shared labels, and history.

On the map two things are tied when one needs the other, over at most `hops` relations in one direction, or when both
need a third. Things that half the estate hangs on tie nobody: between two others they count only up to `FAN_MAX`
neighbours, for otherwise a gateway would make one story of everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cerebro.casework.correlate import Bound, Tie
from cerebro.casework.rules import Rules
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId
from cerebro.spine.topology import Topology

FAN_MAX = 8  # neighbours of what stands between two others
GROUP_MAX = 1000  # entities that share a label; a larger group tells nothing of a trouble
NEEDS = MappingProxyType(
    {
        "calls": "calls",
        "runs_on": "runs on",
        "stores_in": "stores in",
        "publishes_to": "publishes to",
        "consumes_from": "consumes from",
        "instance_of": "is an instance of",
    }
)
BACK = MappingProxyType(
    {
        "calls": "is called by",
        "runs_on": "runs",
        "stores_in": "is the store of",
        "publishes_to": "is published to by",
        "consumes_from": "is consumed by",
        "instance_of": "has the instance",
    }
)

ASKED = frozenset({"calls", "stores_in", "publishes_to", "consumes_from"})  # two on one host need not know each other


@dataclass(frozen=True, slots=True)
class Together:
    """How often troubles of two entities came together, and how often those of either came."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """The part of the times."""
        return self.count / max(1, self.of)


@dataclass(slots=True)
class MapTies:
    """The ties of one map under one set of rules; worked out for an entity when it is first asked for.

    Args:
        history: Pairs of entities, each by each.
    """

    topology: Topology
    rules: Rules
    history: Mapping[EntityKey, Mapping[EntityKey, Together]] = field(default_factory=dict)
    _known: dict[EntityKey, Bound] = field(default_factory=dict)
    _groups: dict[tuple[int, tuple[str, ...]], list[EntityKey]] = field(default_factory=dict)
    _grouped: bool = False

    def of(self, entity: EntityKey) -> Bound:
        """The entities tied to this one."""
        if entity not in self._known:
            found: dict[EntityKey, Tie] = {}
            for other, tie in (*self._mapped(entity), *self._sharing(entity), *self._remembered(entity)):
                known = found.get(other)
                if other != entity and (known is None or tie.within_ms > known.within_ms):
                    found[other] = tie
            self._known[entity] = {other: tie for other, tie in found.items() if not self._kept_apart(entity, other)}
        return self._known[entity]

    def _mapped(self, entity: EntityKey) -> Iterator[tuple[EntityKey, Tie]]:
        hops, within_ms = self.rules.hops, round(self.rules.within_s * 1000)
        if not hops:
            return
        for forwards, words in ((True, NEEDS), (False, BACK)):
            for near, kind in self._next(entity, forwards=forwards):
                yield near, Tie(f"{words[kind]} {near.said}", within_ms)
        if hops > 1:
            yield from self._through(entity, within_ms)

    def _through(self, entity: EntityKey, within_ms: int) -> Iterator[tuple[EntityKey, Tie]]:
        """What is tied through a third: needed by what it needs, needing what needs it, needing the same."""
        for forwards, way in ((True, "needs"), (False, "is needed by")):
            for near, _ in self._next(entity, forwards=forwards):
                if self._fan(near) <= FAN_MAX:
                    for far, _ in self._next(near, forwards=forwards):
                        yield far, Tie(f"{way} {far.said} through {near.said}", within_ms)
        for near, kind in self._next(entity, forwards=True):
            if kind in ASKED and self._fan(near) <= FAN_MAX:
                for sibling, other in self._next(near, forwards=False):
                    if other in ASKED:
                        yield sibling, Tie(f"needs {near.said} as {sibling.said} does", within_ms)

    def _next(self, entity: EntityKey, *, forwards: bool) -> Iterator[tuple[EntityKey, str]]:
        relations = self.topology.outward if forwards else self.topology.inward
        for relation in relations.get(entity, ()):
            if relation.kind in NEEDS:
                yield (relation.target if forwards else relation.source), relation.kind

    def _fan(self, entity: EntityKey) -> int:
        return max(len(self.topology.outward.get(entity, ())), len(self.topology.inward.get(entity, ())))

    def _sharing(self, entity: EntityKey) -> Iterator[tuple[EntityKey, Tie]]:
        if not self.rules.shared or entity not in self.topology.entities:
            return
        self._group()
        mine = self.topology.entities[entity].attributes
        for number, rule in enumerate(self.rules.shared):
            values = tuple(mine.get(label, "") for label in rule.labels)
            group = self._groups.get((number, values), ()) if all(values) else ()
            if 1 < len(group) <= GROUP_MAX:
                said = ", ".join(f"{label}={value}" for label, value in zip(rule.labels, values, strict=True))
                tie = Tie(f"shares {said} (rule “{rule.name}”)", round(rule.within_s * 1000))
                yield from ((other, tie) for other in group)

    def _group(self) -> None:
        if self._grouped:
            return
        self._grouped = True
        for key, entity in self.topology.entities.items():
            for number, rule in enumerate(self.rules.shared):
                values = tuple(entity.attributes.get(label, "") for label in rule.labels)
                if all(values):
                    self._groups.setdefault((number, values), []).append(key)

    def _remembered(self, entity: EntityKey) -> Iterator[tuple[EntityKey, Tie]]:
        if not self.rules.history:
            return
        for other, together in self.history.get(entity, {}).items():
            if together.count >= self.rules.history_min and together.share >= self.rules.history_share:
                said = f"had trouble with {other.said} in {together.count} of {together.of} earlier cases"
                yield other, Tie(said, round(self.rules.within_s * 1000))

    def _kept_apart(self, entity: EntityKey, other: EntityKey) -> bool:
        """Whether a rule says that things with different values of a label are never one story."""
        known = self.topology.entities
        if not self.rules.apart or entity not in known or other not in known:
            return False
        mine, theirs = known[entity].attributes, known[other].attributes
        return any(mine.get(label, value) != value for label in self.rules.apart if (value := theirs.get(label)))


def empty_map(tenant: TenantId) -> Topology:
    """A map with nothing on it."""
    return Topology(tenant, 0, MappingProxyType({}))
