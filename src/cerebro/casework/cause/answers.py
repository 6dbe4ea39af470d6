"""Series as they were sent into answers: how long, how often failed, how many; for whoever is asked, by whoever asks.

Callers measure what they ask of a callee, and the callee what it answers. Both become the same three signals of the
callee, so that excess can be followed along calls; and what lies between the two is the wire.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.held import Held, Series
from cerebro.casework.cause.picture import Role
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import SeriesType

Real = NDArray[np.float64]

CLIMBING = frozenset({SeriesType.COUNTER.value, SeriesType.HISTOGRAM.value})
DURATION, FAILED, REQUESTS = "duration.mean", "failed.share", "requests.rate"
ADDRESSES = (
    "peer.service", "server.address", "net.peer.name", "db.namespace", "messaging.destination.name",
    "actual_destination", "destination", "destination.workload.name",
)  # fmt: skip
WIRES = re.compile(r"(^|[_.])(net|tcp|network|rtt)([_.]|$)")  # what a path between two has, and not one end of it
UNEVEN, SILENT, STUCK = "replicas.uneven", "replicas.silent", "replicas.stuck"
COLD, LOST = "cache.missed.share", "calls.lost.share"
OWN_TIME = "own.mean"  # of an answer, seconds that no call of its own explains
IN_FLIGHT = re.compile(r"active_requests|in_?flight")  # requests that are being worked
LATELY_STEPS = 12  # a replica that has told nothing for longer is no more
ASKED_MIN = 0.5  # requests a second and replica, from which on one that answers none does not just wait for its turn
GIVEN_UP = "calls.given_up"  # by a caller, of what the callee has answered as well and as soon as ever
GIVEN_UP_MIN = 0.05  # of the calls, more than usual
SOONER = 1.1  # times what calls usually take: who waits for longer than that has reason to give up
ANSWERED = 0.3  # of the failures that a caller sees, at most so many the callee knows of
ARRIVED = 0.75  # of the share of calls that usually arrive
CROWDED = "calls.crowded"  # they wait for a connection of their caller's own
LIMIT_RATIO, POOLS, FULL_POOL = ":limit_ratio", re.compile(r"connection|pool"), 0.9
SLOWER, WAITED = 1.5, 2.0  # times what is usual
PATH_TIMES, PATH_STEP = 5.0, 0.01  # of what a way is measured by: seconds, or segments sent again
INSTANCES = ("service.instance.id", "instance", "k8s.pod.name", "pod")
FAILURES = ("error.type", "error_type")
STATUS = ("http.response.status_code", "http_response_status_code", "status_code", "code", "status")
SENT = re.compile(r"network[._](io|packets?|bytes|receive|transmit)(?!.*(err|drop))")
MACHINES = frozenset({"host", "node"})
FINE = frozenset({"le", "quantile"})


@dataclass(frozen=True, slots=True)
class Line:
    """One track to be: whose, towards whom, what, and its values on the grid."""

    entity: EntityKey
    peer: EntityKey | None
    role: Role
    signal: str
    values: Real


def lines_of(held: Held, known: Mapping[str, EntityKey]) -> list[Line]:
    """Every track that the series give.

    Args:
        known: Entities by the names and addresses that callers know them by.
    """
    found: list[Line] = []
    single = {(each.entity, each.metric) for each in held.series if any(each.labels.get(name) for name in INSTANCES)}
    asked: dict[tuple[EntityKey, EntityKey | None], _Answered] = {}
    each_one: dict[EntityKey, _Instances] = {}
    for row, series in enumerate(held.series):
        if FINE & series.labels.keys() or series.metric.endswith("_bucket") or _of_guests(series):
            continue
        values = _rate(held.last[row], held.grid.step_ms) if series.type in CLIMBING else held.mean[row]
        if not np.isfinite(values).any():
            continue
        if instance := next((series.labels[name] for name in INSTANCES if series.labels.get(name)), ""):
            each_one.setdefault(series.entity, _Instances()).add(instance, series.metric, values)
        if (part := _part(series)) and series.type in CLIMBING:
            peer = _peer(series, known)
            asked.setdefault((series.entity, peer), _Answered()).add(part, _failed(series), values)
        else:
            if (series.entity, series.metric) in single and not instance:
                continue  # a sum over replicas grows with their number
            peer = _named(series, known) if WIRES.search(series.metric) else None
            found.append(Line(series.entity, peer, role_of(series.metric), series.metric, values))
    uneven = [Line(entity, None, Role.OTHER, UNEVEN, row) for entity, of in each_one.items() for row in of.uneven()]
    uneven += [Line(entity, None, Role.OTHER, STUCK, row) for entity, of in each_one.items() for row in of.stuck()]
    silent = [Line(entity, None, Role.OTHER, SILENT, of.silent()) for entity, of in each_one.items()]
    homemade = _homemade(asked, found, held.grid.split)
    return [*_merged(found), *_cold(found), *uneven, *silent, *_answers(asked, homemade)]


class _Instances:
    """What single replicas of one thing have to do."""

    def __init__(self) -> None:
        self._load: dict[str, dict[str, Real]] = {"asked": {}, "held": {}}
        self._told: dict[str, NDArray[np.bool_]] = {}

    def add(self, instance: str, metric: str, values: Real) -> None:
        told = np.isfinite(values)
        self._told[instance] = self._told.get(instance, np.zeros_like(told)) | told
        if metric.endswith("_count") and "duration" in metric:
            self._load["asked"][instance] = values
        elif IN_FLIGHT.search(metric):
            self._load["held"][instance] = values

    def silent(self) -> Real:
        """How many of them told something a little earlier, and tell nothing now."""
        told = np.stack(list(self._told.values()))
        steps = np.arange(told.shape[1])
        last = np.maximum.accumulate(np.where(told, steps, -1), axis=1)
        gaps = [np.diff(np.flatnonzero(row)) for row in told]  # steps may be finer than anything is sent
        gap = np.array([np.ceil(np.median(each)) if len(each) else LATELY_STEPS for each in gaps])[:, None]
        since = steps - last
        return np.asarray(((last >= 0) & (since >= 2 * gap - 1) & (since <= LATELY_STEPS * gap)).sum(0), np.float64)

    def uneven(self) -> list[Real]:
        """The share that the busiest one has of what is asked, and of what is being worked, whichever is less."""
        parts = [_lopsided(list(load.values())) for load in self._load.values() if len(load) >= 2]
        return [np.minimum.reduce(parts)] if len(parts) == len(self._load) else []

    def stuck(self) -> list[Real]:
        """The share of replicas that hold requests and answer none, while others do."""
        both = sorted(self._load["asked"].keys() & self._load["held"].keys())
        if len(both) < 2:
            return []
        asked, held = (np.stack([self._load[part][name] for name in both]) for part in ("asked", "held"))
        told = np.isfinite(asked) & np.isfinite(held)
        busy = np.nansum(asked, axis=0) >= ASKED_MIN * len(both)
        share = (told & (asked <= 0.0) & (held >= 1.0)).sum(0) / np.maximum(told.sum(0), 1)
        return [np.where(busy & (told.sum(0) >= 2), share, np.nan)]


def _lopsided(rows: Sequence[Real]) -> Real:
    """The greatest part of the sum, over two steps: replicas are looked at in moments of their own."""
    stacked = np.stack(rows)
    stacked[:, 1:] = 0.5 * (stacked[:, 1:] + stacked[:, :-1])
    several, stacked = np.isfinite(stacked).sum(0) >= 2, np.nan_to_num(stacked)
    total = stacked.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(several & (total > 0), stacked.max(0) / total, np.nan)


def _cold(found: Sequence[Line]) -> list[Line]:
    """The share of questions that a cache could not answer."""
    hits = {line.entity: line.values for line in found if line.signal.endswith("hits")}
    return [
        Line(line.entity, None, Role.OTHER, COLD, 100.0 * _ratio(line.values, line.values + hits[line.entity]))
        for line in found
        if line.signal.endswith("misses") and line.entity in hits
    ]


def _of_guests(series: Series) -> bool:
    """Whether a machine counts its guests' doings: connections and threads grow with whoever waits, bytes with work."""
    if series.entity.kind not in MACHINES:
        return False
    return role_of(series.metric) is Role.WAITING or bool(SENT.search(series.metric))


def _rate(last: Real, step_ms: int) -> Real:
    """Of a climbing series, by the second; nothing where it was reset or the step before is missing."""
    gone = np.diff(last, prepend=np.nan) / (step_ms / 1000)
    return np.where(gone >= 0, gone, np.nan)


PARTS = (("_sum", "sum"), ("_count", "count"), (".failed", "failed"), ("_failed_total", "failed"))


def _part(series: Series) -> str:
    """Which part of a duration's histogram this is; empty when it is none."""
    if "duration" not in series.metric and "latency" not in series.metric and "request" not in series.metric:
        return ""
    return next((part for ending, part in PARTS if series.metric.endswith(ending)), "")


def _failed(series: Series) -> bool:
    if any(series.labels.get(name) for name in FAILURES):
        return True
    return any(series.labels.get(name, "").startswith("5") for name in STATUS)


def _peer(series: Series, known: Mapping[str, EntityKey]) -> EntityKey | None:
    """Whom a client's series is about."""
    return _named(series, known) if "client" in series.metric else None


def _named(series: Series, known: Mapping[str, EntityKey]) -> EntityKey | None:
    """Whom a series says that it is towards."""
    for name in ADDRESSES:
        said = series.labels.get(name) or series.labels.get(name.replace(".", "_"))
        if said:
            return known.get(said) or known.get(said.partition(":")[0]) or EntityKey("external", said)
    return None


class _Answered:
    """Sums over the series of one pair."""

    def __init__(self) -> None:
        self.parts: dict[str, Real] = {}

    def add(self, part: str, failed: bool, values: Real) -> None:
        self._more(part, values)
        if part == "count" and failed:
            self._more("failed", values)

    def _more(self, part: str, values: Real) -> None:
        before = self.parts.get(part)
        self.parts[part] = values if before is None else _plus(before, values)


def _plus(first: Real, second: Real) -> Real:
    """The sum, taking what is missing on one side as nothing."""
    both = np.nan_to_num(first) + np.nan_to_num(second)
    return np.where(np.isfinite(first) | np.isfinite(second), both, np.nan)


def _merged(found: Sequence[Line]) -> list[Line]:
    """One line an entity, peer and signal: the mean of those that differ in labels only."""
    groups: dict[tuple[EntityKey, EntityKey | None, str], list[Line]] = {}
    for line in found:
        groups.setdefault((line.entity, line.peer, line.signal), []).append(line)
    merged = []
    for lines in groups.values():
        total, count = np.zeros(len(lines[0].values)), np.zeros(len(lines[0].values))
        for line in lines:
            fine = np.isfinite(line.values)
            total += np.where(fine, line.values, 0.0)
            count += fine
        with np.errstate(invalid="ignore", divide="ignore"):
            merged.append(Line(lines[0].entity, lines[0].peer, lines[0].role, lines[0].signal, total / count))
    return merged


Edge = tuple[EntityKey, EntityKey]
Asked = Mapping[tuple[EntityKey, EntityKey | None], _Answered]


def _answers(asked: Asked, homemade: Mapping[Edge, Line]) -> list[Line]:
    """Three signals of everything that answers, by its callers where they tell, and the wire between.

    Args:
        homemade: Calls that fail or wait by their caller's own doing: they tell nothing of the callee.
    """
    callee: dict[EntityKey, _Answered] = {}
    own = {entity: answered for (entity, peer), answered in asked.items() if not peer}
    for (entity, peer), answered in asked.items():
        if peer and (entity, peer) not in homemade:
            into = callee.setdefault(peer, _Answered())
            for part, values in answered.parts.items():
                into._more(part, values)
    lines: list[Line] = [homemade[edge] for edge in sorted(homemade)]
    for entity in sorted({*callee, *own}):
        lines += _three(entity, callee.get(entity) or own[entity])
    lines += [_lost(entity, callee[entity], own[entity]) for entity in sorted(callee.keys() & own.keys())]
    lines += [line for entity in sorted(own) if (line := _own_time(entity, own[entity], asked))]
    for (entity, peer), answered in sorted(asked.items(), key=lambda each: (each[0][0], each[0][1] or each[0][0])):
        told = own.get(peer) if peer else None
        if peer and told and (wire := _between(answered, told)) is not None:
            lines.append(Line(entity, peer, Role.LATENCY, "wire.mean", wire))
    return lines


@dataclass(frozen=True, slots=True)
class _Total:
    """What was asked over a stretch, the share of it that failed, and how long it took in the middle."""

    count: float
    failing: float
    mean: float

    @classmethod
    def of(cls, answered: _Answered, steps: slice) -> "_Total":
        """Of some steps."""
        parts = {name: float(np.nansum(values[steps])) for name, values in answered.parts.items()}
        count = max(parts.get("count", 0.0), 1e-9)
        return cls(count, min(parts.get("failed", 0.0) / count, 1.0), parts.get("sum", 0.0) / count)


def _homemade(asked: Asked, found: Sequence[Line], split: int) -> dict[Edge, Line]:
    """The calls whose failing or waiting is their caller's own doing, each pair with a track of it.

    Requests are conserved: what the callee has answered and the caller counts as failed, the caller gave up. Where the
    answer, or the way of it, took longer, the calls take longer, too; what was refused or lost did not arrive. And who
    waits for a connection of its own, all of which are held, waits neither for the way nor for the answer.
    """
    full = _full_pools(found, split)
    calm = _calm_paths(found, split)
    every: dict[EntityKey, _Answered] = {}
    for (_, peer), answered in asked.items():
        if peer and "count" in answered.parts:
            every.setdefault(peer, _Answered())._more("count", answered.parts["count"])
    made = {}
    for (entity, peer), answered in asked.items():
        told = asked.get((peer, None)) if peer else None
        if peer is None or told is None or not {"count", "failed", "sum"} <= answered.parts.keys():
            continue
        count = answered.parts["count"]
        if _is_given_up(answered, told, every[peer], split):
            values = 100.0 * _ratio(answered.parts["failed"], count)
            made[entity, peer] = Line(entity, peer, Role.ERRORS, GIVEN_UP, values)
        elif entity in full and (entity, peer) in calm and _is_waited_for(answered, told, split):
            values = _ratio(answered.parts["sum"], count)
            made[entity, peer] = Line(entity, peer, Role.LATENCY, CROWDED, values)
    return made


def _is_given_up(answered: _Answered, told: _Answered, every: _Answered, split: int) -> bool:
    """Whether calls fail that arrive and are answered, after no longer than calls usually take."""
    before, during = slice(None, split), slice(split, None)
    then, now = _Total.of(answered, before), _Total.of(answered, during)
    there_then, there = _Total.of(told, before), _Total.of(told, during)
    more = now.failing - then.failing
    arrived = there.count * _Total.of(every, before).count
    return (
        more >= GIVEN_UP_MIN
        and there.failing - there_then.failing <= ANSWERED * more
        and now.mean <= SOONER * then.mean
        and arrived >= ARRIVED * there_then.count * _Total.of(every, during).count > 0
    )


def _is_waited_for(answered: _Answered, told: _Answered, split: int) -> bool:
    """Whether calls take much longer while the callee answers what comes as well and as soon as ever."""
    before, during = slice(None, split), slice(split, None)
    then, now = _Total.of(answered, before), _Total.of(answered, during)
    there_then, there = _Total.of(told, before), _Total.of(told, during)
    better = there.failing - there_then.failing <= ANSWERED * (now.failing - then.failing) + GIVEN_UP_MIN
    return better and there.mean <= SLOWER * there_then.mean and now.mean - there.mean >= WAITED * then.mean


def _full_pools(found: Sequence[Line], split: int) -> set[EntityKey]:
    """Who holds all the connections that it may, and did not before."""
    return {
        line.entity
        for line in found
        if line.signal.endswith(LIMIT_RATIO) and POOLS.search(line.signal)
        and _late(line.values) >= FULL_POOL and np.nanmedian(line.values[:split]) < FULL_POOL / 2
    }  # fmt: skip


def _calm_paths(found: Sequence[Line], split: int) -> set[Edge]:
    """The pairs whose ways are measured, and as they were."""
    calm: set[Edge] = set()
    torn: set[Edge] = set()
    for line in found:
        if line.peer and WIRES.search(line.signal) and np.isfinite(line.values[:split]).any():
            usual, now = float(np.nanmedian(line.values[:split])), _late(line.values)
            (torn if now > max(PATH_TIMES * usual, usual + PATH_STEP) else calm).add((line.entity, line.peer))
    return calm - torn


def _late(values: Real) -> float:
    values = values[np.isfinite(values)][-2:]
    return float(values.min()) if len(values) else float("nan")


def _three(entity: EntityKey, answered: _Answered) -> list[Line]:
    count, total, failed = (answered.parts.get(name) for name in ("count", "sum", "failed"))
    if count is None:
        return []
    lines = [Line(entity, None, Role.TRAFFIC, REQUESTS, count)]
    if total is not None:
        lines.append(Line(entity, None, Role.LATENCY, DURATION, _ratio(total, count)))
    if failed is not None:
        lines.append(Line(entity, None, Role.ERRORS, FAILED, 100.0 * np.minimum(_ratio(failed, count), 1.0)))
    return lines


def _own_time(entity: EntityKey, own: _Answered, asked: Asked) -> Line | None:
    """What is left of its answers' time without that of its calls; nothing for what tells of no calls."""
    calls = [
        answered.parts["sum"]
        for (who, peer), answered in asked.items()
        if who == entity and peer and "sum" in answered.parts
    ]
    if not calls or not {"sum", "count"} <= own.parts.keys():
        return None
    left = own.parts["sum"] - np.sum([np.nan_to_num(each) for each in calls], axis=0)
    return Line(entity, None, Role.OTHER, OWN_TIME, np.maximum(_ratio(left, own.parts["count"]), 0.0))


def _lost(entity: EntityKey, callers: _Answered, own: _Answered) -> Line:
    """Of what callers have asked, the share that nobody here knows to have come."""
    nothing = np.full(len(next(iter(callers.parts.values()))), np.nan)
    came = _ratio(own.parts.get("count", nothing), callers.parts.get("count", nothing))
    return Line(entity, None, Role.OTHER, LOST, 100.0 * np.clip(1.0 - came, 0.0, 1.0))


def _between(caller: _Answered, callee: _Answered) -> Real | None:
    if not {"sum", "count"} <= caller.parts.keys() or not {"sum", "count"} <= callee.parts.keys():
        return None
    there = _ratio(callee.parts["sum"], callee.parts["count"])
    return np.maximum(_ratio(caller.parts["sum"], caller.parts["count"]) - there, 0.0)


def _ratio(part: Real, whole: Real) -> Real:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
