"""What kind of cause an accused entity is, from the clues that accuse it."""

import re
from collections.abc import Sequence

from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.view import View

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
STORES = frozenset({"database", "cache", "queue", "topic", "bucket", "store"})
OUTSIDE = frozenset({"external", "supplier", "outside", "endpoint"})
OF_STORES = ("postgresql.", "redis.", "mysql.", "mongodb.", "db.server.", "messaging.queue.", "kafka.", "rabbitmq.")
BUSY = re.compile(r"lock|tup_|rows|rollback|misses|evict|wal|\.lag|oldest")
LOAD = (Family.TRAFFIC,)
CODE = (Family.OWN_ERRORS, Family.LOGS, Family.FLOW)


def kind_of(view: View, entity: int, rows: Sequence[int]) -> str:
    """resource, dependency, deploy, config, data, capacity, network, code or external; see `Cause`."""
    picture, found, fused = view.picture, view.found, view.fused
    if fused.change[entity] >= 0:
        kind = OF_CHANGE.get(picture.changes[fused.change[entity]].kind)
        if kind:
            return kind
    who = picture.entities[entity]
    if who.kind in OUTSIDE:
        return "external"
    weight = _weights(found, entity, rows)
    if who.kind in STORES:
        return (
            "data"
            if weight.get("resource", 0.0) <= weight.get("wire", 0.0) + weight.get("symptom", 0.0)
            else "resource"
        )
    if fused.silent[entity] > max(fused.own[entity], fused.symptom[entity]):
        return "dependency"
    if weight.get("load", 0.0) >= 4.0 and weight.get("resource", 0.0) >= 2.0 and _load_came_first(found, rows):
        return "capacity"
    best = max(("resource", "wire", "code", "symptom"), key=lambda name: (weight.get(name, 0.0), name))
    return {"resource": "resource", "wire": "network", "code": "code", "symptom": "code"}[best]


def _stores(view: View, entity: int) -> bool:
    """Whether the series of a thing are those of a database, a cache or a queue."""
    tracks = view.picture.tracks
    return any(tracks.signal[row].startswith(OF_STORES) for row in (tracks.entity == entity).nonzero()[0])


def _of_store(view: View, rows: Sequence[int]) -> str:
    """Its work, its being there at all, the way to it, or what it uses up: whichever shows."""
    found = view.found
    if any(BUSY.search(found.text[row]) and found.sign[row] > 0 and found.nats[row] >= 3.0 for row in rows):
        return "data"
    if any(found.text[row] == "calls" and found.change[row] >= 0.3 for row in rows):
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
        if sort != "load" or found.sign[row] > 0:
            weight[sort] = max(weight.get(sort, 0.0), float(found.nats[row]))
    return weight


def _sort(family: Family, seen_by_callers: bool) -> str:
    if seen_by_callers or family == Family.WIRE:
        return "wire"
    if family in LOAD:
        return "load"
    if family in (*CODE, Family.OWN_TIME, Family.CANARY):
        return "code"
    return "symptom" if family in (Family.LATENCY, Family.ERRORS) else "resource"


def _load_came_first(found: Clues, rows: Sequence[int]) -> bool:
    """Whether more was asked before it hurt, as far as the onsets tell."""
    load = [row for row in rows if found.family[row] == Family.TRAFFIC and found.sign[row] > 0]
    rest = [row for row in rows if found.family[row] != Family.TRAFFIC and found.onset_ms[row] > 0]
    if not load or not rest:
        return bool(load)
    return min(float(found.onset_ms[row] - found.doubt_ms[row]) for row in load) <= min(
        float(found.onset_ms[row] + found.doubt_ms[row]) for row in rest
    )
