"""Series that are gone make room for new ones: pods, containers and hosts come and go, and the state must not grow.

While there is room nothing is forgotten, so that what comes back after a night goes on as it was. When there is none,
those that have been gone the longest give way: at least a fifth of all at once, since what is left has to be put in
order anew. What has said something within the hour is never forgotten, nor is anything of an entity with a finding
open. What comes back after that is a new series.

Everything that is kept of the others stays as it is, but for the joint behaviour of an entity that lost some of
its series: that is learned anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.concert import Concert, enrol_measures
from cerebro.agents.support.model import blank_rows, heard_ms
from cerebro.agents.support.ratios import OUTCOMES, Ratios
from cerebro.agents.support.ratios import enrol as enrol_ratios
from cerebro.agents.support.recent import Recent, from_points
from cerebro.agents.support.shapes import shapes_left
from cerebro.agents.support.together import Together, enrol
from cerebro.agents.support.watch import Series
from cerebro.algorithms.index import SeriesIndex

GONE_MS = 3_600_000  # who has said something within it is not gone
SHARE = 0.2
CHUNK = 65_536  # rows that are moved at once
PAUSE_MS = 600_000  # between two tries where there was little to forget
Entity = tuple[str, str]
COUNTED = ("first_ms", "since_ms", "last_ms", "counted", "has", "named")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left: the rows of before in their new order, and where each row of before is now, -1 if gone."""

    rows: NDArray[np.int64]
    now_at: NDArray[np.int64]


def choose(series: Series, now_ms: int, held: Iterable[Entity], wanted: int = 0) -> Kept | None:
    """Who stays when there is no room; `None` where too few are gone to be worth it.

    Args:
        series: All that are watched.
        now_ms: Unix time.
        held: Entities with a finding open.
        wanted: So many new ones have no room.
    """
    heard = heard_ms(series.rows[: series.count])
    stays = (heard > now_ms - GONE_MS) | (heard == 0)  # one that was only just named has said nothing yet
    for entity in held:
        stays[series.by_entity.get(entity, [])] = True
    gone = np.flatnonzero(~stays)
    if len(gone) < max(1.0, SHARE * series.count / 4):
        return None
    oldest = gone[np.argsort(heard[gone], kind="stable")][: max(1, wanted, int(SHARE * series.count))]
    left = np.ones(series.count, np.bool_)
    left[oldest] = False
    return Kept(np.flatnonzero(left), np.where(left, np.cumsum(left) - 1, -1))


def series_left(series: Series, kept: Kept) -> Series:
    """The series that stay, in their order, in the room that there was."""
    rows, count = series.rows, len(kept.rows)
    for start in range(0, count, CHUNK):  # each row moves to a place before its own, or stays
        part = kept.rows[start : start + CHUNK]
        rows[start : start + len(part)] = rows[part]
    rows[count : series.count] = blank_rows(1)
    names = [series.names[row] for row in kept.rows.tolist()]
    hi, lo = (np.array([getattr(name, part) for name in names], np.uint64) for part in ("hi", "lo"))
    left = Series(rows, SeriesIndex.of(hi, lo), names, turned_away_count=series.turned_away_count)
    for at, name in enumerate(names):
        left.by_entity.setdefault((name.entity_kind, name.entity_name), []).append(at)
    return left


def points_left(recent: Recent, kept: Kept) -> Recent:
    """The newest points of the series that stay."""
    points = recent.ordered()
    points = points[kept.now_at[points["row"]] >= 0]
    points["row"] = kept.now_at[points["row"]]
    return from_points(points, len(recent.ring))


def together_left(before: Together, series: Series, kept: Kept) -> Together:
    """What is known of peers, and of entities all of whose series stay."""
    after = Together()
    enrol(after, series.names)
    for slot, entity in enumerate(after.entities):
        former = before.slots.get(entity)
        if former is not None and before.places[former] == after.places[slot]:
            after.joined[slot] = before.joined[former]
    count = int(np.searchsorted(kept.rows, len(before.peers)))  # a peer's place is that of its row
    for name in after.peers.dtype.names or ():
        if name not in ("row", "group"):
            after.peers[name][:count] = before.peers[name][kept.rows[:count]]
    return after


def concert_left(before: Concert, series: Series) -> Concert:
    """What is known of the measures of each entity that stay, and of the entity."""
    after = Concert()
    enrol_measures(after, series.names)
    for slot, entity in enumerate(after.entities):
        former = before.slots.get(entity)
        if former is not None:
            head, measures = after.heard[slot]["head"], after.heard[slot]["measures"]
            after.heard[slot] = before.heard[former]
            after.heard["head"][slot], after.heard["measures"][slot] = head, measures
    for (slot, stem), at in after.places.items():
        former = before.places.get((before.slots.get(after.entities[slot], -1), stem))
        if former is not None:
            for name in ("at_ms", "loud"):
                after.measures[name][at] = before.measures[name][former]
    return after


def ratios_left(before: Ratios, series: Series, kept: Kept) -> Ratios:
    """What was counted of the series that stay, and of their groups."""
    after = Ratios()
    looked_at = int(np.searchsorted(kept.rows, before.enrolled))
    enrol_ratios(after, series.names[:looked_at])
    after.previous[:looked_at] = before.previous[kept.rows[:looked_at]]
    places = [(group, before.by_labels[key]) for key, group in after.by_labels.items() if key in before.by_labels]
    if places:
        now, former = np.array(places).T
        for name in COUNTED:
            getattr(after, name)[now] = getattr(before, name)[former]
        same = np.array([after.names[a] == before.names[b] for a, b in places])
        after.named[now] &= same
    after.shapes = shapes_left(before.shapes, series.names, kept.rows, OUTCOMES)
    return after
