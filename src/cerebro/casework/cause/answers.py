"""Series as they were sent into answers: how long, how often failed, how many; for whoever is asked, by whoever asks.

Callers measure what they ask of a callee, and the callee what it answers. Both become the same three signals of the
callee, so that excess can be followed along calls; and what lies between the two is the wire. Where callers tell of
most of what is asked, the three are theirs; where it is asked far more than they tell of, it counts itself.
"""

import re
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.casework.cause.asked import TOO_MANY, Answered, Asked, Edge, Line, Real, plus, ratio_of
from cerebro.casework.cause.changed import RENEWING, SCALED
from cerebro.casework.cause.edges import Pair, measured
from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.held import Held, Series
from cerebro.casework.cause.homemade import WIRES, homemade_of
from cerebro.casework.cause.picture import Calls, Role
from cerebro.casework.cause.rates import CLIMBING, values_of
from cerebro.casework.cause.replicas import Replicas
from cerebro.casework.cause.steps import some, usual_of
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import GRPC_CODES, GRPC_FAILED, REFUSED_CODES

DURATION, FAILED, REQUESTS = "duration.mean", "failed.share", "requests.rate"
DERIVED = (":shift_ratio", ":error_ratio", ":mean")  # how support names what it makes of a histogram
ADDRESSES = (
    "peer.service", "server.address", "net.peer.name", "db.namespace", "messaging.destination.name",
    "actual_destination", "destination", "destination.workload.name",
)  # fmt: skip
UNEVEN, SILENT, STUCK = "replicas.uneven", "replicas.silent", "replicas.stuck"
COLD, LOST, TURNED_AWAY = "cache.missed.share", "calls.lost.share", "calls.limited.share"
CEASED, IDLE = "calls.ceased.share", 0.5  # of what is usually asked, below which hardly anything is
APART_PART = 0.25  # of what answers take longer, that their two ends may count in different steps
OWN_TIME = "own.mean"  # of an answer, seconds that no call of its own explains
FULLNESS = re.compile(r"(filesystem|disk)[._]?(utili[sz]ation|used_ratio|percent)")  # one that is full is enough
SERVED = re.compile(r"server|request")  # what a duration is called that is of answers, and of nothing done beside them
SEEN_MOST = 0.8  # of what a thing usually answers, that its callers must tell of to stand for all who ask it
ANSWERED_MIN = 0.1  # answers a second, from which on they tell that someone is there
INSTANCES = ("service.instance.id", "instance", "k8s.pod.name", "pod")
FAILURES = ("error.type", "error_type")
STATUS = (
    "http.response.status_code", "http_response_status_code", "status_code", "code", "status", "response_code",
)  # fmt: skip
SENT = re.compile(r"network[._](io|packets?|bytes|receive|transmit)(?!.*(err|drop))")
MACHINES = frozenset({"host", "node"})
FINE = frozenset({"le", "quantile"})


def read(held: Held, known: Mapping[str, EntityKey]) -> tuple[list[Line], dict[Pair, Calls]]:
    """Every track that the series give, and the calls of each pair as their caller measures them.

    Args:
        known: Entities by the names and addresses that callers know them by.
    """
    found: list[Line] = []
    single = {(each.entity, each.metric) for each in held.series if any(each.labels.get(name) for name in INSTANCES)}
    asked: dict[tuple[EntityKey, EntityKey | None], Answered] = {}
    served: dict[EntityKey, Answered] = {}
    each_one: dict[EntityKey, Replicas] = {}
    every, told = values_of(held)
    fine = np.asarray(np.isfinite(every).any(axis=1))
    for row, series in enumerate(held.series):
        if not fine[row] or FINE & series.labels.keys() or series.metric.endswith("_bucket") or _of_guests(series):
            continue
        values = every[row]
        if instance := next((series.labels[name] for name in INSTANCES if series.labels.get(name)), ""):
            each_one.setdefault(series.entity, Replicas()).add(instance, series.metric, values, told[row])
        if (part := _part(series)) and series.type in CLIMBING:
            peer = _peer(series, known)
            asked.setdefault((series.entity, peer), Answered()).add(
                part, _error(series), values, refused=any(series.labels.get(name) for name in STATUS)
            )
            if part == "count" and not peer and SERVED.search(series.metric) and "client" not in series.metric:
                served.setdefault(series.entity, Answered()).more(
                    f"{series.metric}{' of one' * bool(instance)}", values
                )
        else:
            if (series.entity, series.metric) in single and not instance:
                continue  # a sum over replicas grows with their number
            peer = _named(series, known) if WIRES.search(series.metric) else None
            found.append(Line(series.entity, peer, role_of(series.metric), series.metric, values))
    uneven = [Line(entity, None, Role.OTHER, UNEVEN, row) for entity, of in each_one.items() for row in of.uneven()]
    uneven += [Line(entity, None, Role.OTHER, STUCK, row) for entity, of in each_one.items() for row in of.stuck()]
    _settle(asked, held.grid.split)
    gone = {entity: of.gone() for entity, of in each_one.items()}
    heard = {who: quiet & _is_answering(asked, who, held.grid.split) for who, quiet in gone.items() if quiet.any()}
    renewals = _renewals(held)
    silent = [
        Line(entity, None, Role.OTHER, SILENT, np.where(heard.get(entity, False), 0.0, of.silent(renewals[entity])))
        for entity, of in each_one.items()
    ]
    silent += _ceased(asked, gone, held.grid.split)
    homemade = homemade_of(asked, found, held.grid.split)
    unseen = _unseen(asked, served, held.grid.split)
    lines = [*_merged(found), *_cold(found), *uneven, *silent, *_answers(asked, homemade, unseen, held.grid.split)]
    return lines, measured(asked, held.grid.split)


def _renewals(held: Held) -> Mapping[EntityKey, list[tuple[float, bool]]]:
    """The steps at which someone replaced processes of each, and whether their number was changed."""
    found = defaultdict[EntityKey, list[tuple[float, bool]]](list)
    chosen = held.events.filter(pc.is_in(held.events["kind"], pa.array(sorted(RENEWING))))
    for row in chosen.select(["at_ns", "kind", "entity_kind", "entity_name"]).to_pylist():
        step = (row["at_ns"] / 1e6 - held.grid.start_ms) / held.grid.step_ms
        found[EntityKey(row["entity_kind"], row["entity_name"])].append((step, row["kind"] == SCALED))
    return found


def _ceased(asked: Asked, gone: Mapping[EntityKey, NDArray[np.bool_]], split: int) -> list[Line]:
    """Of what each that tells nothing any more used to call, the share that is hardly asked now.

    Where only its telling had stopped, they would be asked as ever.
    """
    found = []
    for entity, quiet in sorted(gone.items()):
        if not quiet[split:].any():
            continue
        counts = [
            asked[peer, None].parts["count"]
            for who, peer in asked
            if who == entity and peer and (peer, None) in asked and "count" in asked[peer, None].parts
        ]
        told = [(count, float(np.nanmedian(count[:split]))) for count in counts if np.isfinite(count[:split]).any()]
        idle = [count < IDLE * usual for count, usual in told if usual > 0]
        if idle:
            found.append(Line(entity, None, Role.OTHER, CEASED, 100.0 * np.where(quiet, np.mean(idle, axis=0), 0.0)))
    return found


def _is_answering(asked: Asked, entity: EntityKey, split: int) -> NDArray[np.bool_]:
    """By step, whether its callers still get answers to most of what they usually ask: then only its telling is late.

    What one caller has not told yet is taken to be as it told last.
    """
    good: list[Real] = []
    for (_, peer), answered in asked.items():
        if peer == entity and (count := answered.parts.get("count")) is not None:
            good.append(_held_on(count - np.nan_to_num(answered.parts.get("failed", np.zeros_like(count)))))
    if not good:
        return np.zeros(1, np.bool_)
    total = np.sum(good, axis=0)
    return np.asarray(total >= max(IDLE * float(np.median(total[:split])), ANSWERED_MIN))


def _held_on(values: Real) -> Real:
    """The last that was told, at every step; 0 before the first."""
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), -1))
    return np.where(last >= 0, np.nan_to_num(values)[np.maximum(last, 0)], 0.0)


def _settle(asked: Asked, split: int) -> None:
    """Tell what was given up early from what failed: of those who answer first, then of what they asked for it."""
    own = {entity: answered for (entity, peer), answered in asked.items() if not peer}
    early = {entity for entity, answered in own.items() if answered.settle(split, excused=False)}
    for (entity, peer), answered in asked.items():
        if peer:
            answered.settle(split, excused=entity in early)


def _cold(found: Sequence[Line]) -> list[Line]:
    """The share of questions that a cache could not answer."""
    hits = {line.entity: line.values for line in found if line.signal.endswith("hits")}
    return [
        Line(line.entity, None, Role.OTHER, COLD, 100.0 * ratio_of(line.values, line.values + hits[line.entity]))
        for line in found
        if line.signal.endswith("misses") and line.entity in hits
    ]


def _of_guests(series: Series) -> bool:
    """Whether a machine counts its guests' doings: connections and threads grow with whoever waits, bytes with work."""
    if series.entity.kind not in MACHINES:
        return False
    return role_of(series.metric) is Role.WAITING or bool(SENT.search(series.metric))


PARTS = (("_sum", "sum"), ("_count", "count"), (".failed", "failed"), ("_failed_total", "failed"))


def _part(series: Series) -> str:
    """Which part of a duration's histogram this is; empty when it is none."""
    if "duration" not in series.metric and "latency" not in series.metric and "request" not in series.metric:
        return ""
    return next((part for ending, part in PARTS if series.metric.endswith(ending)), "")


def _error(series: Series) -> str:
    """What the requests of a series ended with; empty for no error."""
    if said := next((series.labels[name] for name in FAILURES if series.labels.get(name)), ""):
        return said
    codes = (series.labels.get(name, "") for name in STATUS)
    if code := next((code for code in codes if code.startswith("5") or code in REFUSED_CODES), ""):
        return code
    grpc = (series.labels.get(name, "").lower() for name in GRPC_CODES)
    return next((f"gRPC {code}" for code in grpc if code in GRPC_FAILED), "")


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


def _merged(found: Sequence[Line]) -> list[Line]:
    """One line an entity, peer and signal: the mean of those that differ in labels only, of disks the fullest."""
    groups: dict[tuple[EntityKey, EntityKey | None, str], list[Line]] = {}
    for line in found:
        groups.setdefault((line.entity, line.peer, line.signal), []).append(line)
    merged = []
    for lines in groups.values():
        if len(lines) == 1:
            merged += lines
            continue
        first = lines[0]
        if FULLNESS.search(first.signal):
            fullest = np.fmax.reduce([line.values for line in lines])
            merged.append(Line(first.entity, first.peer, first.role, first.signal, fullest))
            continue
        total, count = np.zeros(len(first.values)), np.zeros(len(first.values))
        for line in lines:
            fine = np.isfinite(line.values)
            total += np.where(fine, line.values, 0.0)
            count += fine
        with np.errstate(invalid="ignore", divide="ignore"):
            merged.append(Line(first.entity, first.peer, first.role, first.signal, total / count))
    return merged


def _unseen(asked: Asked, served: Mapping[EntityKey, Answered], split: int) -> set[EntityKey]:
    """Those that usually answer far more than the callers that tell of their calls ask of them.

    Args:
        served: What each counts itself: a part for each name that it counts its answers by, and for all replicas in
            one or each for itself. Several may count the same answers.
    """
    told: dict[EntityKey, Real] = {}
    for (_, peer), answered in asked.items():
        if peer and peer in served and (count := answered.parts.get("count")) is not None:
            told[peer] = plus(told[peer], count) if peer in told else count
    return {
        entity
        for entity, count in told.items()
        if some(usual_of(count[:split]))
        < SEEN_MOST * max(some(usual_of(every[:split])) for every in served[entity].parts.values())
    }


def _answers(asked: Asked, homemade: Mapping[Edge, Line], unseen: Container[EntityKey], split: int) -> list[Line]:
    """Three signals of everything that answers, by its callers where they tell, and the wire between.

    Args:
        homemade: Calls that fail or wait by their caller's own doing: they tell nothing of the callee.
        unseen: Of whom callers tell a small part only.
        split: The step with which the trouble begins.
    """
    callee: dict[EntityKey, Answered] = {}
    own = {entity: answered for (entity, peer), answered in asked.items() if not peer}
    for (entity, peer), answered in asked.items():
        if peer and (entity, peer) not in homemade:
            into = callee.setdefault(peer, Answered())
            for part, values in answered.parts.items():
                into.more(part, values)
    lines: list[Line] = [homemade[edge] for edge in sorted(homemade)]
    for entity in sorted({*callee, *own}):
        if entity in unseen and entity in callee:
            lines += _three(entity, _whole(callee[entity], own[entity]), own[entity])
        else:
            answered = callee.get(entity) or own[entity]
            lines += _three(entity, answered, answered)
    lines += [line for entity in sorted(callee) if (line := _limited(entity, callee[entity]))]
    lines += [_lost(entity, callee[entity], own[entity]) for entity in sorted(callee.keys() & own.keys())]
    lines += [line for entity in sorted(own) if (line := _own_time(entity, own[entity], asked))]
    for (entity, peer), answered in sorted(asked.items(), key=lambda each: (each[0][0], each[0][1] or each[0][0])):
        told = own.get(peer) if peer else None
        if peer and told and (wire := _between(answered, told, split)) is not None:
            lines.append(Line(entity, peer, Role.LATENCY, "wire.mean", wire))
    return lines


def _whole(callers: Answered, own: Answered) -> Answered:
    """What both know of all that is asked: of its answers itself, of what never came to one its callers."""
    whole = Answered()
    for part in ("sum", "count", "failed"):
        known = [each.parts[part] for each in (callers, own) if part in each.parts]
        if known:
            whole.more(part, np.fmax.reduce(known))
    return whole


def _three(entity: EntityKey, answered: Answered, counted: Answered) -> list[Line]:
    count, total, failed = (answered.parts.get(name) for name in ("count", "sum", "failed"))
    if count is None:
        return []
    lines = [Line(entity, None, Role.TRAFFIC, REQUESTS, counted.parts["count"])]
    if total is not None:
        lines.append(Line(entity, None, Role.LATENCY, DURATION, ratio_of(total, count)))
    if failed is not None:
        lines.append(Line(entity, None, Role.ERRORS, FAILED, 100.0 * np.minimum(ratio_of(failed, count), 1.0)))
    return lines


def _own_time(entity: EntityKey, own: Answered, asked: Asked) -> Line | None:
    """What is left of its answers' time without that of its calls; nothing for what tells of no calls."""
    calls = [
        answered.parts["sum"]
        for (who, peer), answered in asked.items()
        if who == entity and peer and "sum" in answered.parts
    ]
    if not calls or not {"sum", "count"} <= own.parts.keys():
        return None
    left = own.parts["sum"] - np.sum([np.nan_to_num(each) for each in calls], axis=0)
    return Line(entity, None, Role.OTHER, OWN_TIME, np.maximum(ratio_of(left, own.parts["count"]), 0.0))


def _lost(entity: EntityKey, callers: Answered, own: Answered) -> Line:
    """Of what callers have asked, the share that nobody here knows to have come."""
    nothing = np.full(len(next(iter(callers.parts.values()))), np.nan)
    came = ratio_of(own.parts.get("count", nothing), callers.parts.get("count", nothing))
    return Line(entity, None, Role.OTHER, LOST, 100.0 * np.clip(1.0 - came, 0.0, 1.0))


def _limited(entity: EntityKey, callers: Answered) -> Line | None:
    """Of what callers ask, the share that is refused as more than was agreed; nothing where none ever was."""
    if TOO_MANY not in callers.parts:
        return None
    share = ratio_of(np.nan_to_num(callers.parts[TOO_MANY]), callers.parts["count"])
    return Line(entity, None, Role.OTHER, TURNED_AWAY, 100.0 * np.minimum(share, 1.0))


def _between(caller: Answered, callee: Answered, split: int) -> Real | None:
    """What a call takes longer than its answer, which both ends count in steps of their own.

    What has ended for one of them a moment before a step's end ends for the other after it. So of what answers take
    longer than usual, a part may seem to lie between them.
    """
    if not {"sum", "count"} <= caller.parts.keys() or not {"sum", "count"} <= callee.parts.keys():
        return None
    there = ratio_of(callee.parts["sum"], callee.parts["count"])
    longer = np.fmax(there - usual_of(there[:split]), 0.0)
    return np.maximum(ratio_of(caller.parts["sum"], caller.parts["count"]) - there - APART_PART * longer, 0.0)
