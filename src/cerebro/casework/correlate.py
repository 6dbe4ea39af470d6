"""Which case a finding belongs to, and why.

Two troubles are one story when one of these holds:

- they are the same trouble, by dedup key;
- they are told of one *scene*, an entity and what runs on it, and lie no further apart than `join_ms`;
- their entities are *tied*, by the map, by a rule or by history, and they began no further apart than the tie allows.

Stories that a finding shows to be one are merged. A case is held against the others by its spots, which only ever grow,
so that a merge never undoes the reason of another: this is single linkage, and the same findings in any order give the
same cases while the ties stay what they are.

Source: R. Sibson, SLINK, The Computer Journal 16 (1973), 30-34, for single linkage and its independence of order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

from cerebro.kernel.settings import CaseworkSettings
from cerebro.spine.cases import LIVE, Case, CaseState, Spot
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding
from cerebro.spine.identity import CaseId

ON_A_HOST = frozenset({"host", "process", "disk", "interface", "container"})  # named `host` or `host:what`
SPOTS_MAX = 2000  # of one case; the findings of entities beyond join by their key alone
APART = "apart"  # of a case's labels: the cases that a person took it from or took from it


@dataclass(frozen=True, slots=True)
class Limits:
    """The stretches of time that decide, milliseconds."""

    join_ms: int
    hold_ms: int
    reopen_ms: int

    @classmethod
    def of(cls, settings: CaseworkSettings) -> "Limits":
        """The limits that the settings ask for."""
        return cls(*(round(s * 1000) for s in (settings.join_s, settings.hold_s, settings.reopen_s)))


@dataclass(frozen=True, slots=True)
class Tie:
    """Why troubles of two entities are one story when they begin within `within_ms` of each other."""

    reason: str  # goes on "It is about service/a, which ": "calls service/b"
    within_ms: int


Bound = Mapping[EntityKey, Tie]


class Ties(Protocol):
    """What ties entities together. A tie goes both ways."""

    def of(self, entity: EntityKey) -> Bound:
        """The entities tied to this one."""
        ...


class NoTies:
    """Only what shares a scene belongs together."""

    def of(self, entity: EntityKey) -> Bound:
        """Nothing."""
        return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Joining:
    """The cases that the finding shows to be one story, the oldest first; none when it opens its own."""

    cases: tuple[CaseId, ...]
    reason: str


def scene(entity: EntityKey) -> str:
    """Where the trouble of an entity shows: the host of what runs on one, or the entity itself.

    >>> [scene(EntityKey(*key)) for key in (("process", "web-7:nginx"), ("host", "web-7"), ("service", "shop"))]
    ['host/web-7', 'host/web-7', 'service/shop']
    """
    if entity.kind not in ON_A_HOST:
        return entity.text
    host, colon, _ = entity.name.rpartition(":") if entity.kind != "host" else (entity.name, "", "")
    return f"host/{host}" if host and (colon or entity.kind == "host") else entity.text


def spotted(spots: Iterable[Spot], more: Iterable[Spot]) -> tuple[Spot, ...]:
    """The spots with more of them, one an entity."""
    found = {spot.entity: spot for spot in spots}
    for spot in more:
        known = found.get(spot.entity)
        if known is not None:
            found[spot.entity] = _hull(known, spot)
        elif len(found) < SPOTS_MAX:
            found[spot.entity] = spot
    return tuple(found.values())


def with_spot(spots: tuple[Spot, ...], more: Spot) -> tuple[Spot, ...]:
    """The spots with one more; the very same ones when it tells nothing new."""
    for place, spot in enumerate(spots):
        if spot.entity == more.entity:
            hull = _hull(spot, more)
            return spots if hull == spot else (*spots[:place], hull, *spots[place + 1 :])
    return (*spots, more) if len(spots) < SPOTS_MAX else spots


def spot_of(finding: Finding) -> Spot:
    """Where and when a finding shows trouble."""
    return Spot(finding.entity, finding.at_ms, finding.at_ms, max(finding.at_ms, finding.seen_ms))


@dataclass(slots=True)
class Line:
    """What correlation needs to know of a case."""

    id: CaseId
    state: CaseState
    opened_ms: int
    resolved_ms: int
    spots: dict[EntityKey, Spot]
    keys: set[str]
    apart: frozenset[str] = frozenset()
    scenes: dict[str, list[EntityKey]] = field(default_factory=dict)

    @classmethod
    def of(cls, case: Case) -> "Line":
        """The line of a case."""
        spots = case.spots or spotted((), (Spot(s.entity, s.at_ms, s.at_ms, s.raised_ms) for s in case.signals))
        line = cls(
            case.id,
            case.state,
            case.opened_ms,
            case.resolved_ms,
            {spot.entity: spot for spot in spots},
            {signal.key for signal in case.signals},
            frozenset(case.labels.get(APART, "").split()),
        )
        for entity in line.spots:
            line.scenes.setdefault(scene(entity), []).append(entity)
        return line

    @property
    def live(self) -> bool:
        """Whether it is under way."""
        return self.state in LIVE


class Docket:
    """The cases that a finding can join, and where to find them quickly: by key, by scene."""

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        self.lines: dict[CaseId, Line] = {}
        self._by_key: dict[str, set[CaseId]] = {}
        self._by_scene: dict[str, set[CaseId]] = {}
        for case in cases:
            self.put(case)

    def put(self, case: Case) -> bool:
        """The case is now this one; whether that is another line than before."""
        before, after = self.lines.get(case.id), Line.of(case)
        if before == after:
            return False
        self.drop(case.id)
        self.lines[case.id] = after
        for key in after.keys:
            self._by_key.setdefault(key, set()).add(case.id)
        for name in after.scenes:
            self._by_scene.setdefault(name, set()).add(case.id)
        return True

    def note(self, case: Case, finding: Finding) -> bool:
        """The case has taken in one more finding; like `put`, without looking at all the others of a storm."""
        line, spot = self.lines.get(case.id), spot_of(finding)
        if line is None or (line.state, line.resolved_ms) != (case.state, case.resolved_ms):
            return self.put(case)
        known = line.spots.get(spot.entity)
        if known is None:
            if len(line.spots) >= SPOTS_MAX:
                return False
            line.spots[spot.entity] = spot
            line.scenes.setdefault(scene(spot.entity), []).append(spot.entity)
            self._by_scene.setdefault(scene(spot.entity), set()).add(case.id)
        else:
            line.spots[spot.entity] = _hull(known, spot)
        if finding.dedup_key not in line.keys and any(signal.key == finding.dedup_key for signal in case.signals):
            line.keys.add(finding.dedup_key)
            self._by_key.setdefault(finding.dedup_key, set()).add(case.id)
        return True

    def drop(self, case_id: CaseId) -> bool:
        """The case can be joined no longer; whether it could before."""
        line = self.lines.pop(case_id, None)
        if line is None:
            return False
        for index, names in ((self._by_key, line.keys), (self._by_scene, line.scenes)):
            for name in names:
                index[name].discard(case_id)
                if not index[name]:
                    del index[name]
        return True

    def holding(self, key: str) -> list[CaseId]:
        """The cases that follow this trouble."""
        return sorted(self._by_key.get(key, ()))

    def joining(self, finding: Finding, limits: Limits, ties: Ties) -> Joining:
        """The cases that the finding belongs to. Live cases win over resolved ones; of these the last is reopened."""
        cluster = _Cluster(self, limits, ties)
        cluster.grow(finding)
        if ids := cluster.oldest_first():
            reasons = (cluster.why(finding, self.lines[case_id]) for case_id in ids)
            return Joining(ids, next(reason for reason in reasons if reason))
        return self._reopening(finding, cluster)

    def of_scene(self, name: str) -> list[Line]:
        """The cases with trouble in the scene."""
        return [self.lines[case_id] for case_id in sorted(self._by_scene.get(name, ()))]

    def of_key(self, key: str) -> list[Line]:
        """The cases that follow the trouble."""
        return [self.lines[case_id] for case_id in self.holding(key)]

    def _reopening(self, finding: Finding, cluster: "_Cluster") -> Joining:
        """The case that resolved last in the scene, with the live ones that it touches once it is live again."""
        here = self.of_scene(scene(finding.entity))
        limits = cluster.limits
        resolved = [line for line in here if line.state is CaseState.RESOLVED and _may_reopen(finding, line, limits)]
        if not resolved:
            return Joining((), "No live case of this entity, or of one it is tied to, is near in time.")
        last = max(resolved, key=lambda line: (line.resolved_ms, line.id))
        cluster.reopen(last)
        apart = _span(finding.seen_ms - last.resolved_ms)
        return Joining(cluster.oldest_first(), f"{_where(finding, last)}, and that case resolved {apart}.")


class _Cluster:
    """What one finding shows to be one story, while it grows."""

    def __init__(self, docket: Docket, limits: Limits, ties: Ties) -> None:
        self._docket, self.limits, self._ties = docket, limits, ties
        self.joined: dict[CaseId, Line] = {}
        self._spots: dict[EntityKey, Spot] = {}
        self._apart: set[str] = set()

    def grow(self, finding: Finding) -> None:
        """Take in every case that the finding touches, and every one these then touch."""
        spot = spot_of(finding)
        self._spots[spot.entity] = spot
        grown = [spot.entity]
        self._spread([*grown, *self._holding([finding.dedup_key])])

    def reopen(self, line: Line) -> None:
        """Take in a case that is over, and every live one that it then touches."""
        self._take(line)
        self._spread([*line.spots, *self._holding(sorted(line.keys))])

    def oldest_first(self) -> tuple[CaseId, ...]:
        """The cases taken in."""
        return tuple(line.id for line in sorted(self.joined.values(), key=lambda line: (line.opened_ms, line.id)))

    def _holding(self, keys: Iterable[str]) -> list[EntityKey]:
        """Take in the cases that follow these troubles; the entities whose spot is another now."""
        lines = [line for key in keys for line in self._docket.of_key(key)]
        return [entity for line in lines if self._may(line) for entity in self._take(line)]

    def _spread(self, grown: list[EntityKey]) -> None:
        """Take in what the grown spots touch, and what these then touch."""
        while grown:
            entity = grown.pop()
            here = self._spots[entity]
            for line in self._docket.of_scene(scene(entity)):
                if self._may(line) and any(
                    _apart_ms(here.at_ms, here.last_ms, there.at_ms, there.last_ms) <= self.limits.join_ms
                    for there in _spots_in(line, scene(entity))
                ):
                    grown += self._take(line)
            for other, tie in self._ties.of(entity).items():
                for line in self._docket.of_scene(scene(other)):
                    there_too = line.spots.get(other)
                    if there_too and self._may(line) and _onsets_apart_ms(here, there_too) <= tie.within_ms:
                        grown += self._take(line)

    def why(self, finding: Finding, line: Line) -> str:
        """Why the finding itself belongs to the case; empty when only others of its story do."""
        if finding.dedup_key in line.keys:
            return "It is a trouble this case already holds."
        spots = [
            there
            for there in _spots_in(line, scene(finding.entity))
            if _apart_ms(finding.at_ms, finding.seen_ms, there.at_ms, there.last_ms) <= self.limits.join_ms
        ]
        if spots:
            return _near(finding, line, spots)
        mine = spot_of(finding)
        tied = sorted(
            (_onsets_apart_ms(mine, line.spots[other]), other, tie.reason)
            for other, tie in self._ties.of(finding.entity).items()
            if other in line.spots and _onsets_apart_ms(mine, line.spots[other]) <= tie.within_ms
        )
        if not tied:
            return ""
        apart_ms, _, reason = tied[0]
        when = f"{_seconds(apart_ms)} apart" if apart_ms else "at the same time"
        return f"It is about {finding.entity.said}, which {reason}; their troubles began {when}."

    def _may(self, line: Line) -> bool:
        return line.live and line.id not in self.joined and line.id not in self._apart

    def _take(self, line: Line) -> list[EntityKey]:
        """Join the case; the entities whose spot is another now, and has to be held against the others again."""
        self.joined[line.id] = line
        self._apart |= line.apart
        grown = []
        for entity, spot in line.spots.items():
            known = self._spots.get(entity)
            if known is None:
                self._spots[entity] = spot
            elif (hull := _hull(known, spot)) != known:
                self._spots[entity] = hull
                if hull != spot:  # else it was held against the others as the other case's
                    grown.append(entity)
        return grown


def _hull(one: Spot, other: Spot) -> Spot:
    return replace(
        one,
        at_ms=min(one.at_ms, other.at_ms),
        onset_ms=max(one.onset_ms, other.onset_ms),
        last_ms=max(one.last_ms, other.last_ms),
    )


def _spots_in(line: Line, name: str) -> list[Spot]:
    return [line.spots[entity] for entity in line.scenes.get(name, ())]


def _apart_ms(start: int, end: int, other_start: int, other_end: int) -> int:
    return max(0, start - other_end, other_start - end)


def _onsets_apart_ms(one: Spot, other: Spot) -> int:
    return _apart_ms(one.at_ms, one.onset_ms, other.at_ms, other.onset_ms)


def _may_reopen(finding: Finding, line: Line, limits: Limits) -> bool:
    after_ms = finding.seen_ms - line.resolved_ms
    began_ms = min(spot.at_ms for spot in line.spots.values())
    return after_ms < limits.reopen_ms and finding.seen_ms >= began_ms - limits.join_ms


def _near(finding: Finding, line: Line, spots: Iterable[Spot]) -> str:
    where, near = _where(finding, line), list(spots)
    began_ms, last_ms = min(spot.at_ms for spot in near), max(spot.last_ms for spot in near)
    if finding.at_ms > last_ms:
        return f"{where}, {_span(finding.at_ms - last_ms)} the last sign of this case there."
    if finding.seen_ms < began_ms:
        return f"{where}, {_seconds(began_ms - finding.seen_ms)} before the first sign of this case there."
    return f"{where}, at the same time."


def _where(finding: Finding, line: Line) -> str:
    if finding.entity in line.spots:
        return f"It is about the same {finding.entity.kind}"
    return f"It is about {finding.entity.said}, which shares {scene(finding.entity)} with this case"


def _span(apart_ms: int) -> str:
    return f"{_seconds(apart_ms)} after" if apart_ms >= 0 else f"{_seconds(-apart_ms)} before"


def _seconds(stretch_ms: int) -> str:
    if stretch_ms < 120_000:
        return f"{stretch_ms / 1000:.0f} s"
    return f"{stretch_ms / 60_000:.0f} min"
