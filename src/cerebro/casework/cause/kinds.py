"""What kind of cause an accused entity is, from the clues that accuse it."""

import re
from collections.abc import Mapping, Sequence

from cerebro.casework.cause.changed import RECENT
from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.picture import NOBODY
from cerebro.casework.cause.view import View
from cerebro.spine.cases import Mark

OF_CHANGE = {
    "deploy": "deploy",
    "rollout": "deploy",
    "release": "deploy",
    "config": "config",
    "flag": "config",
    "feature_flag": "config",
    "schedule": "code",
    "migration": "data",
}
OF_MARK = {  # what names a cause outright
    "untrusted": "config", "denied": "config", "clock": "config", "uneven": "config",
    "unresolved": "network", "unreachable": "network", "losing": "network", "far": "network",
    "no_space": "resource", "full_disk": "resource", "no_files": "resource", "no_memory": "resource",
    "foreign": "resource", "stuck": "resource", "filling": "resource", "filling_disk": "resource",
    "locked": "data", "long_session": "data", "scanning": "data", "lagging": "data", "cold": "data", "poison": "data",
    "deadlock": "code", "overlap": "code",
}  # fmt: skip
GONE = frozenset({"refused", "crashed", "silent"})  # nobody is there, and the way to it is whole
INSIDE = frozenset({"starved"})  # what waits before its door waits for what is inside
STORES = frozenset({"database", "cache", "queue", "topic", "bucket", "store"})
OUTSIDE = frozenset({"external", "supplier", "outside", "endpoint"})
OF_STORES = ("postgresql.", "redis.", "mysql.", "mongodb.", "db.server.", "messaging.queue.", "kafka.", "rabbitmq.")
BURNS = 6.0  # nats of a resource, from which on it names the kind whatever else shows
LOADED = 4.0  # nats of more requests, from which on they are more
UNANSWERED = 0.3  # of the calls
BUSY = re.compile(r"lock|tup_|rows|rollback|misses|evict|wal|\.lag|oldest")
LOAD = (Family.TRAFFIC,)
CODE = (Family.OWN_ERRORS, Family.LOGS, Family.FLOW)


def kind_of(view: View, entity: int, rows: Sequence[int], marks: Sequence[Mark] = ()) -> str:
    """resource, dependency, deploy, config, data, capacity, network, code or external; see `Cause`."""
    picture, found, fused = view.picture, view.found, view.fused
    recent = fused.force[entity] >= RECENT
    changed = OF_CHANGE.get(picture.changes[fused.change[entity]].kind) if recent else ""
    who = picture.entities[entity]
    if changed:
        return changed
    if who.kind in OUTSIDE:
        return "external"
    named = [OF_MARK[mark.word] for mark in marks if mark.word in OF_MARK and not mark.claimed]
    if named:
        return named[0]
    weight = _weights(found, entity, rows)
    if who.kind in STORES or _stores(view, entity):
        return _of_store(view, rows)
    if fused.silent[entity] > max(fused.own[entity], fused.symptom[entity]):
        return "dependency"
    gone = any(mark.word in GONE for mark in marks)
    if any(mark.word in INSIDE for mark in marks):
        weight.pop("wire", None)
    return "resource" if gone else _of_service(view, entity, rows, weight)


def _of_service(view: View, entity: int, rows: Sequence[int], weight: Mapping[str, float]) -> str:
    """More work than it can do, something it uses up, the way to it, or its code."""
    found = view.found
    loaded = weight.get("load", 0.0) >= LOADED and weight.get("resource", 0.0) >= 2.0
    if loaded and _load_came_first(found, rows) and _came_from_above(view, entity):
        return "capacity"
    if weight.get("resource", 0.0) >= BURNS or _unanswered(found, entity, rows):
        return "resource"
    best = max(("resource", "wire", "code", "symptom"), key=lambda name: (weight.get(name, 0.0), name))
    return {"resource": "resource", "wire": "network", "code": "code", "symptom": "code"}[best]


def _came_from_above(view: View, entity: int) -> bool:
    """Whether more is asked of those who call it, too: what is asked more of it alone are tries again."""
    found, place = view.found, {key: k for k, key in enumerate(view.picture.entities)}
    callers = {place.get(each.source, NOBODY) for each in view.picture.relations if place.get(each.target) == entity}
    asked = [
        row
        for row in range(len(found))
        if found.family[row] == Family.TRAFFIC and found.peer[row] == NOBODY and found.entity[row] in callers
    ]
    return not asked or any(found.sign[row] > 0 and found.nats[row] >= LOADED for row in asked)


def _unanswered(found: Clues, entity: int, rows: Sequence[int]) -> bool:
    """Whether many calls to it end without an answer: it hangs, or is gone."""
    return any(
        found.peer[row] == entity and found.text[row] == "calls" and found.change[row] >= UNANSWERED for row in rows
    )


def _stores(view: View, entity: int) -> bool:
    """Whether the series of a thing are those of a database, a cache or a queue."""
    tracks = view.picture.tracks
    return any(tracks.signal[row].startswith(OF_STORES) for row in (tracks.entity == entity).nonzero()[0])


def _of_store(view: View, rows: Sequence[int]) -> str:
    """Its work, its being there at all, the way to it, or what it uses up: whichever shows."""
    found = view.found
    if any(BUSY.search(found.text[row]) and found.sign[row] > 0 and found.nats[row] >= 3.0 for row in rows):
        return "data"
    if any(found.text[row] == "calls" and found.change[row] >= UNANSWERED for row in rows):
        return "dependency"
    if any(
        found.table[row] == "tracks" and found.family[row] == Family.RESOURCE and found.nats[row] >= 6 for row in rows
    ):
        return "resource"
    return "network" if any(found.peer[row] >= 0 for row in rows) else "data"


def _weights(found: Clues, entity: int, rows: Sequence[int]) -> dict[str, float]:
    """The strongest clue of each sort."""
    weight: dict[str, float] = {}
    for row in rows:
        sort = _sort(Family(found.family[row]), found.peer[row] == entity)
        if sort not in ("load", "resource") or found.sign[row] > 0:
            weight[sort] = max(weight.get(sort, 0.0), float(found.nats[row]))
    return weight


def _sort(family: Family, seen_by_callers: bool) -> str:
    if seen_by_callers or family == Family.WIRE:
        return "wire"
    if family in LOAD:
        return "load"
    if family in (*CODE, Family.OWN_TIME, Family.CANARY):
        return "code"
    if family in (Family.LATENCY, Family.ERRORS):
        return "symptom"
    return "resource" if family in (Family.RESOURCE, Family.CANARY_USE) else "waiting"


def _load_came_first(found: Clues, rows: Sequence[int]) -> bool:
    """Whether more was asked before it hurt, as far as the onsets tell."""
    load = [row for row in rows if found.family[row] == Family.TRAFFIC and found.sign[row] > 0]
    rest = [row for row in rows if found.family[row] != Family.TRAFFIC and found.onset_ms[row] > 0]
    if not load or not rest:
        return bool(load)
    return min(float(found.onset_ms[row] - found.doubt_ms[row]) for row in load) <= min(
        float(found.onset_ms[row] + found.doubt_ms[row]) for row in rest
    )
