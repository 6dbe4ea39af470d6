"""What one series does not tell: an entity whose series no longer move as they do, and the odd one among peers.

Both are fed with what `detect` left of each sample, its distance from what was expected in half-widths of its band, so
that seasons and trends are gone. Each has a tail of its own past (`algorithms.tails`) and a part of the noise budget.
Dependence between the series needs no assumption: the *combination* is calibrated on its own past, where formulas for
combined p-values (Fisher's, Cauchy's, the harmonic mean) assume how the parts depend on each other or pay for
not knowing. During an episode the tail learns nothing.

An entity is a host, a service or the like with at least three series; processes, containers and pods come and go too
fast. Peers are series of one metric whose labels differ only in which instance, zone or version they are.
"""

from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import SeriesName, Turn, heard_ms
from cerebro.agents.support.nature import DETAIL_KINDS
from cerebro.algorithms.joint import ENTITY_FIELDS, SETTLING, axis_of, close_round, put
from cerebro.algorithms.native import native
from cerebro.algorithms.peers import COUNT_MIN, odd_ones
from cerebro.algorithms.scale import LINEAR
from cerebro.algorithms.tails import (
    PEAK,
    PRIOR_EXCESS,
    QUIET,
    RATE,
    RUN,
    TAIL_FIELDS,
    THRESHOLD,
    TOP,
    learn,
    paces,
    rate_beyond,
    teach,
)

WEEK_S = 7 * 86_400.0
ENTITIES_MAX = 10_000  # 7.6 KB each
PEERS_MAX = 200_000
SERIES_MIN = 3
READY = 500  # rounds before an entity or a peer is judged
CALM_ROUNDS = 6  # under the threshold, that end an episode
AWAY_MS = 2 * 3_600_000  # after so long, what it does is usual
TOLD_HALF_MS = 4 * WEEK_S * 1000.0
AWAY_BOUND = 100.0  # half-widths
PEER_SPREAD_MIN = 0.1  # half-widths of the band: closer than this, peers are alike
PEER_SMOOTHING = 4.0  # rounds
PEER_THRESHOLD_MIN = 1.0
PEER_STALE_S, PEER_STALE_INTERVALS = 3600.0, 3.0  # who has been quiet this long is nobody's peer
NEWEST = ("value", "predicted", "offset", "band")
INSTANCE_LABELS = frozenset(
    {
        "instance", "service.instance.id", "service_instance_id", "host", "host.name", "host_name", "hostname", "node",
        "pod", "pod_name", "k8s.pod.name", "k8s.pod.uid", "k8s.node.name", "container", "container.id", "zone", "az",
        "availability_zone", "cloud.availability_zone", "topology_kubernetes_io_zone", "region", "cloud.region",
        "version", "service.version", "service_version", "replica", "shard", "process.pid", "host.id",
    }
)  # fmt: skip

CALIBRATED: list[Any] = [
    ("last_ms", "i8"),  # of the newest round
    ("onset_ms", "i8"),  # of the episode
    ("interval_s", "f4"),
    ("repeat", "f4"),
    ("tail", "f4", (TAIL_FIELDS,)),
    ("episode", "u1"),
    ("calm", "u1"),  # rounds under the threshold within the episode
    ("peak", "f4"),  # of the episode, as a log-excess
    ("told", "f4"),  # episodes of late, halved in four weeks
]
JOINED = np.dtype([*ENTITY_FIELDS, *CALIBRATED], align=True)
PEER = np.dtype([*CALIBRATED, ("row", "i4"), ("group", "i4"), ("count", "u4"), ("smooth", "f4")], align=True)


@dataclass(slots=True)
class Together:
    """State of entities, `JOINED, (capacity,)`, and of peers, `PEER, (capacity,)`; changed in place by its owner.

    `slot`, `axis` and `sign` say for each series where it belongs; they are found again from the names, in their order.
    """

    joined: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, JOINED))
    peers: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, PEER))
    slot: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    axis: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    sign: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    entities: list[tuple[str, str]] = field(default_factory=list)
    slots: dict[tuple[str, str], int] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)  # series of each entity so far
    groups: dict[tuple[object, ...], int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)  # members of each group
    known: int = 0
    whole: int = 0  # entities with series enough


@dataclass(frozen=True, slots=True)
class Strange:
    """An entity or a peer that turned.

    Args:
        at: Slot of the entity, or place of the peer.
        at_ms: When.
        onset_ms: Of the episode.
        turn: `OPENED` or `RETURNED`.
        weekly: Expected count a week of something as strange.
        effect: Score over the threshold it usually stays under.
    """

    at: int
    at_ms: int
    onset_ms: int
    turn: Turn
    weekly: float
    effect: float


def enrol(together: Together, names: list[SeriesName]) -> None:
    """Give the series that are new since the last call their place; the order of `names` never changes."""
    fresh = names[together.known :]
    if not fresh:
        return
    slots, axes, signs, peers = [], [], [], []
    for row, name in enumerate(fresh, start=together.known):
        slot = _slot_of(together, name)
        axis, sign = axis_of(together.places[slot], name.lo >> 7) if slot >= 0 else (0, 0.0)
        if slot >= 0:
            together.places[slot] += 1
        slots.append(slot)
        axes.append(axis)
        signs.append(sign)
        peers.append((row, _group_of(together, name)))
    together.known = len(names)
    together.whole = sum(place >= SERIES_MIN for place in together.places)
    together.slot = np.concatenate([together.slot, np.array(slots, np.int32)])
    together.axis = np.concatenate([together.axis, np.array(axes, np.int32)])
    together.sign = np.concatenate([together.sign, np.array(signs)])
    together.joined = begun(together.joined, len(together.entities), JOINED, 1.0)
    count = len(together.peers)
    together.peers = begun(together.peers, min(count + len(peers), PEERS_MAX), PEER, PEER_THRESHOLD_MIN)
    for at, (row, group) in enumerate(peers[: len(together.peers) - count], start=count):
        together.peers["row"][at], together.peers["group"][at] = row, group


def _slot_of(together: Together, name: SeriesName) -> int:
    entity = (name.entity_kind, name.entity_name)
    if entity in together.slots:
        return together.slots[entity]
    if name.entity_kind in DETAIL_KINDS or len(together.entities) >= ENTITIES_MAX:
        return -1
    together.slots[entity] = len(together.entities)
    together.entities.append(entity)
    together.places.append(0)
    return together.slots[entity]


def _group_of(together: Together, name: SeriesName) -> int:
    labels = tuple(pair for pair in name.labels if pair[0] not in INSTANCE_LABELS)
    named = any(label in INSTANCE_LABELS for label, _ in name.labels)
    whose = name.entity_kind if named else (name.entity_kind, name.entity_name)
    group = together.groups.setdefault((name.hi, labels, whose), len(together.groups))
    if group == len(together.sizes):
        together.sizes.append(0)
    together.sizes[group] += 1
    return group


def begun(before: NDArray[np.void], count: int, kind: np.dtype[np.void], threshold: float) -> NDArray[np.void]:
    """The rows and as many new ones as are missing."""
    if count <= len(before):
        return before
    fresh = np.zeros(count - len(before), kind)
    fresh["tail"][:, THRESHOLD], fresh["tail"][:, RATE], fresh["tail"][:, QUIET] = threshold, 0.02, RUN
    return np.concatenate([before, fresh])


def judge_entities(
    together: Together, row: NDArray[np.int32], at_ms: NDArray[np.int64], away: NDArray[np.float64], unit: float
) -> list[Strange]:
    """Take in a batch, in time order; what entities turned. A round of an entity is judged when its next one begins.

    Args:
        together: Changed in place.
        row: The series of each sample.
        at_ms: Its time.
        away: Its distance from what was expected, in half-widths of its band; NaN where it was not taken in.
        unit: Expected false findings a week that all entities together may cause.
    """
    n = len(row)
    turned, slots = np.zeros(n, np.uint8), np.zeros(n, np.int32)
    weekly, effect = np.zeros(n), np.zeros(n)
    count = _judge_entities(
        together.joined, together.slot, together.axis, together.sign, row, at_ms, away, unit / max(together.whole, 1),
        turned, slots, weekly, effect,
    )  # fmt: skip
    return [
        Strange(int(slots[k]), int(at_ms[k]), int(together.joined["onset_ms"][slots[k]]), Turn(int(turned[k])),
                float(weekly[k]), float(effect[k]))
        for k in (np.flatnonzero(turned) if count else ())
    ]  # fmt: skip


@native
def _judge_entities(  # noqa: PLR0917
    joined: Any, slot: Any, axis: Any, sign: Any, row: Any, at_ms: Any, away: Any, unit: float,
    turned: Any, slots: Any, weekly: Any, effect: Any,
) -> int:  # fmt: skip
    count = 0
    for k in range(len(row)):
        at = slot[row[k]]
        if at < 0 or np.isnan(away[k]):
            continue
        s = joined[at]
        t = at_ms[k]
        if s.filled > 0 and t > s.last_ms + 500.0 * s.interval_s:
            waited_s = (t - s.last_ms) / 1000.0
            s.interval_s += (waited_s - s.interval_s) * (0.1 if s.interval_s > 0.0 and s.count > 10 else 1.0)
            score = close_round(s)
            if s.axes >= SERIES_MIN and s.count > SETTLING:
                turned[k] = _calibrate(
                    s, s.last_ms, score, unit, float(s.count), 2 * PRIOR_EXCESS, 1.0, weekly, effect, k
                )
                slots[k] = at
                count += turned[k] > 0
            s.last_ms = t
        elif s.last_ms == 0:
            s.last_ms = t
        put(s, axis[row[k]], sign[row[k]] * min(max(away[k], -AWAY_BOUND), AWAY_BOUND))
    return count


@native
def begin_episode(s: Any, t: int, excess: float) -> None:
    """Note what begins, and how many began of late; the cluster in the making belongs to it."""
    s.told = s.told * 0.5 ** (max(0.0, t - s.onset_ms) / TOLD_HALF_MS) + 1.0
    s.episode, s.calm, s.onset_ms, s.peak = 1, 0, t, excess
    s.tail[PEAK], s.tail[QUIET] = 0.0, RUN


@native
def _calibrate(  # noqa: PLR0917
    s: Any, t: int, level: float, unit: float, seen: float, prior: float, threshold_min: float,
    weekly: Any, effect: Any, k: int,
) -> int:  # fmt: skip
    """Judge a score, given as its logarithm, by its own past; answers a `Turn` and learns."""
    tail = s.tail
    excess = level - log(tail[THRESHOLD])
    if s.episode > 0:
        s.calm = s.calm + 1 if excess <= 0.0 else 0
        s.peak = max(s.peak, excess)
        if s.calm >= CALM_ROUNDS or t - s.onset_ms > AWAY_MS:
            s.episode = 0
            teach(tail, s.peak, s.told)
            return 2
        return 0
    if seen >= READY and excess > 0.0:
        a_week = WEEK_S / max(s.interval_s, 0.01)
        count = rate_beyond(tail, excess, prior) * a_week
        if excess <= tail[TOP]:
            count = max(count, a_week / seen)
        if count <= unit * np.exp(-s.repeat):
            weekly[k], effect[k] = count, np.exp(min(excess, 50.0))
            begin_episode(s, t, excess)
            return 1
    weight, gain = paces(seen)
    learn(tail, excess, weight, gain, threshold_min)
    return 0


def judge_peers(together: Together, rows: NDArray[np.void], now_ms: int, unit: float) -> list[Strange]:
    """Compare the newest samples of peers; what turned. Changes `together`.

    Args:
        together: Changed in place.
        rows: Of all series: what was expected of each, and what came.
        now_ms: Unix time.
        unit: Expected false findings a week that all peers together may cause.
    """
    peers = together.peers
    comparable = _comparable(together, rows, now_ms)
    fresh = comparable & (rows["last_ms"][peers["row"]] > peers["last_ms"]) & (rows["band"][peers["row"]] > 0)
    if not fresh.any():
        return []
    which, at = peers["row"], np.flatnonzero(fresh)
    away = np.clip(away_of(rows, which[at]), -AWAY_BOUND, AWAY_BOUND)
    odd = np.abs(odd_ones(peers["group"][at], away, PEER_SPREAD_MIN))
    turned, weekly, effect = np.zeros(len(at), np.uint8), np.zeros(len(at)), np.zeros(len(at))
    _judge_peers(peers, at, rows["last_ms"][which[at]], odd, unit / int(comparable.sum()), turned, weekly, effect)
    return [
        Strange(int(at[k]), int(peers["last_ms"][at[k]]), int(peers["onset_ms"][at[k]]), Turn(int(turned[k])),
                float(weekly[k]), float(effect[k]))
        for k in np.flatnonzero(turned)
    ]  # fmt: skip


def peer_count(together: Together, rows: NDArray[np.void], now_ms: int) -> int:
    """Series that have peers and are alive: those that share the budget of peers, new samples or not."""
    return int(_comparable(together, rows, now_ms).sum())


def _comparable(together: Together, rows: NDArray[np.void], now_ms: int) -> NDArray[np.bool_]:
    if not len(together.peers):
        return np.zeros(0, np.bool_)
    which = together.peers["row"]
    sized = np.array(together.sizes)[together.peers["group"]] >= COUNT_MIN
    waited_s = (now_ms - heard_ms(rows)[which]) / 1000.0
    alive = waited_s < np.maximum(PEER_STALE_S, PEER_STALE_INTERVALS * rows["interval_s"][which])
    return np.asarray(sized & alive)


def away_of(rows: NDArray[np.void], which: NDArray[np.int32]) -> NDArray[np.float64]:
    """How far the newest sample of some series lies from what was expected, in half-widths of their bands."""
    value, predicted, offset, band = (rows[name][which].astype(np.float64) for name in NEWEST)
    return away_from(value, predicted, band, rows["scale"][which], offset)


def away_from(
    value: NDArray[Any], predicted: NDArray[Any], band: NDArray[Any], scale: NDArray[Any], offset: NDArray[Any]
) -> NDArray[np.float64]:
    """The same for columns: values in their units, expectations and half-widths on the scales of their series."""
    size = np.log1p(np.abs(value) / np.where(offset > 0, offset, 1.0))
    scaled = np.where(scale == LINEAR, value, np.copysign(size, value))
    return np.asarray((scaled - predicted) / np.maximum(band, 1e-12), np.float64)


@native
def _judge_peers(  # noqa: PLR0917
    peers: Any, at: Any, last_ms: Any, odd: Any, unit: float, turned: Any, weekly: Any, effect: Any
) -> None:
    for k in range(len(at)):
        s = peers[at[k]]
        if s.last_ms > 0:
            waited_s = (last_ms[k] - s.last_ms) / 1000.0
            s.interval_s += (waited_s - s.interval_s) * (0.1 if s.count > 10 else 1.0)
        s.last_ms = last_ms[k]
        s.count += 1
        s.smooth += (min(odd[k], AWAY_BOUND) - s.smooth) / PEER_SMOOTHING
        level = log(max(s.smooth, 1e-6))
        turned[k] = _calibrate(
            s, last_ms[k], level, unit, float(s.count), 2 * PRIOR_EXCESS, PEER_THRESHOLD_MIN, weekly, effect, k
        )
