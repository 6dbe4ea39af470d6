"""How much of what a histogram counted lies elsewhere than it usually does, as a series of its own.

A mean says little of a distribution: that one request in ten has become ten times as slow nearly doubles it, that one
in a hundred has is lost in it, and two halves that part move it not at all. So the buckets of one histogram, taken over
all outcomes, give a series `…:shift_ratio`: the greatest distance between the distribution of what was counted since it
was last told and that of long, less what chance gives with so few. It is 0 where nothing has changed, and 1 where all
that is counted lies where nothing ever did. Being a number of its own, it is judged as any other series is, with its
own past and season.

Sources: A. N. Kolmogorov, Sulla determinazione empirica di una legge di distribuzione, Giorn. Ist. Ital. Attuari 4
(1933), 83-91 (the distance); F. J. Massey, The Kolmogorov-Smirnov Test for Goodness of Fit, J. Am. Stat. Assoc. 46
(1951), 68-78 (what chance gives); W. J. Conover, A Kolmogorov Goodness-of-Fit Test for Discontinuous Distributions, J.
Am. Stat. Assoc. 67 (1972), 591-596 (that of buckets the same bound holds, and is too wide rather than too narrow).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isnan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import SeriesName
from cerebro.algorithms.native import native
from cerebro.spine.telemetry import SeriesType, series_id

SHIFT_RATIO, BUCKET, BOUND = ":shift_ratio", "_bucket", "le"
COUNTED_MIN, COUNTED_LEAST = (
    100.0,
    20.0,
)  # counted before a distribution is told; fewer once so long was waited for them
WAIT_MS = 300_000
MEMORY = 500.0  # times told
CHANCE = 1.36  # over the root of the count: what one distribution in twenty exceeds
GROUPS_MAX = 20_000
BY_GROUP, BY_CELL = ("last_ms", "since_ms", "looks"), ("counted", "usual")
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Shapes:
    """The histograms of one tenant. A cell is a bound of a histogram, whatever the outcome it was counted under."""

    enrolled: int = 0  # rows of the watch that were looked at
    groups: dict[tuple[str, Labels], int] = field(default_factory=dict)
    names: list[SeriesName] = field(default_factory=list)  # of what is told, by group
    bounds: list[dict[float, int]] = field(default_factory=list)  # the cell of each bound, by group
    cell_count: int = 0
    group: NDArray[np.int32] = field(default_factory=lambda: np.full(0, -1, np.int32))  # by row, -1 for no bucket
    cell: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # by row
    is_delta: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))  # by row
    previous: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # by row
    counted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # by cell, since it was told
    usual: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # by cell: the share that lies under it
    last_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # by group
    since_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # by group
    looks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # times told, by group
    top: NDArray[np.int32] = field(
        default_factory=lambda: np.zeros(0, np.int32)
    )  # the cell of all, -1 for none; by group
    order: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))  # cells by group and bound
    start: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1, np.int32))  # where a group begins in `order`


@dataclass(frozen=True, slots=True)
class Shifts:
    """What is to be told: groups, when, and how far each has shifted."""

    group: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    first: NDArray[np.bool_]  # told for the first time


def enrol_shapes(shapes: Shapes, names: Sequence[SeriesName], outcomes: frozenset[str]) -> None:
    """Look at the rows that are new.

    Args:
        shapes: Changed in place.
        names: Of all rows.
        outcomes: Labels that say how something ended: a histogram is taken over all of them.
    """
    fresh = [_place(shapes, name, outcomes) for name in names[shapes.enrolled :]]
    if not fresh:
        return
    group, cell, is_delta = (np.array(column) for column in zip(*fresh, strict=True))
    shapes.enrolled = len(names)
    shapes.group = np.concatenate([shapes.group, group.astype(np.int32)])
    shapes.cell = np.concatenate([shapes.cell, cell.astype(np.int32)])
    shapes.is_delta = np.concatenate([shapes.is_delta, is_delta.astype(np.bool_)])
    shapes.previous = np.concatenate([shapes.previous, np.full(len(fresh), np.nan)])
    if (group >= 0).any():
        _put_in_order(shapes)


def _place(shapes: Shapes, name: SeriesName, outcomes: frozenset[str]) -> tuple[int, int, bool]:
    """The group and the cell of a series, -1 and 0 where it is no bucket; whether its values are increases."""
    bound = _bound(name)
    if bound is None:
        return -1, 0, False
    labels = tuple(pair for pair in name.labels if pair[0] != BOUND and pair[0].lower() not in outcomes)
    family = name.metric.removesuffix(BUCKET)
    group = shapes.groups.get((family, labels))
    if group is None:
        if len(shapes.names) >= GROUPS_MAX:
            return -1, 0, False
        group = shapes.groups[family, labels] = len(shapes.names)
        hi, lo = series_id(family + SHIFT_RATIO, dict(labels))
        whose = name.entity_kind, name.entity_name
        shapes.names.append(SeriesName(hi, lo, family + SHIFT_RATIO, labels, SeriesType.GAUGE, "1", *whose))
        shapes.bounds.append({})
    cell = shapes.bounds[group].setdefault(bound, shapes.cell_count)
    shapes.cell_count = max(shapes.cell_count, cell + 1)
    return group, cell, name.type == SeriesType.DELTA_HISTOGRAM


def _bound(name: SeriesName) -> float | None:
    if not name.metric.endswith(BUCKET) or name.type not in (SeriesType.HISTOGRAM, SeriesType.DELTA_HISTOGRAM):
        return None
    text = dict(name.labels).get(BOUND, "")
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if isnan(bound) else bound


def _put_in_order(shapes: Shapes) -> None:
    """Room for the cells and groups that are new, and the order of all cells within their groups."""
    for name, count in (*((each, len(shapes.names)) for each in BY_GROUP), *((c, shapes.cell_count) for c in BY_CELL)):
        before = getattr(shapes, name)
        setattr(shapes, name, np.concatenate([before, np.zeros(count - len(before), before.dtype)]))
    ordered = [[cells[bound] for bound in sorted(cells)] for cells in shapes.bounds]
    shapes.order = np.array([cell for cells in ordered for cell in cells], np.int32)
    shapes.start = np.cumsum([0, *map(len, ordered)], dtype=np.int32)
    shapes.top = np.array([cells.get(inf, -1) for cells in shapes.bounds], np.int32)


def shifts(
    shapes: Shapes, row: NDArray[np.int32], at_ms: NDArray[np.int64], value: NDArray[np.float64]
) -> Shifts | None:
    """Count a batch; what is to be told of it, `None` for nothing yet.

    Args:
        shapes: Changed in place; every row is enrolled.
        row: Of each sample, int32, (n,); what is older than its histogram is passed over.
        at_ms: Unix time, int64, (n,).
        value: As received, float64, (n,).
    """
    if not len(shapes.names):
        return None
    group, moment = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    shift, first = np.zeros(len(row)), np.zeros(len(row), np.bool_)
    count = _count(
        row, at_ms, value, shapes.group, shapes.cell, shapes.is_delta, shapes.previous, shapes.counted, shapes.usual,
        shapes.last_ms, shapes.since_ms, shapes.looks, shapes.top, shapes.order, shapes.start,
        group, moment, shift, first,
    )  # fmt: skip
    return Shifts(group[:count], moment[:count], shift[:count], first[:count]) if count else None


@native
def _count(  # noqa: PLR0917
    row: Any, at_ms: Any, value: Any, group: Any, cell: Any, is_delta: Any, previous: Any, counted: Any, usual: Any,
    last_ms: Any, since_ms: Any, looks: Any, top: Any, order: Any, start: Any,
    told: Any, moment: Any, shift: Any, first: Any,
) -> int:  # fmt: skip
    """Add each bucket's increase to its cell, and tell a histogram when its next round begins; how many were told.

    Buckets of one round may come in several batches, so what they say together is known only then.
    """
    count = 0
    for k in range(len(row)):
        at = row[k]
        mine, v = group[at], value[k]
        if mine < 0 or isnan(v) or at_ms[k] < last_ms[mine]:
            continue
        if at_ms[k] > last_ms[mine]:
            if since_ms[mine] == 0:
                since_ms[mine] = at_ms[k]
            total = counted[top[mine]] if top[mine] >= 0 else 0.0
            if total >= COUNTED_MIN or (total >= COUNTED_LEAST and last_ms[mine] - since_ms[mine] >= WAIT_MS):
                found = _distance(order[start[mine] : start[mine + 1]], counted, usual, looks[mine])
                if looks[mine] > 0:  # the first is what the others are compared with
                    told[count], moment[count], first[count] = mine, last_ms[mine], looks[mine] == 1
                    shift[count] = max(0.0, found - CHANCE / sqrt(total))
                    count += 1
                looks[mine] += 1
                since_ms[mine] = last_ms[mine]
            last_ms[mine] = at_ms[k]
        before = previous[at]
        previous[at] = v
        if is_delta[at]:
            counted[cell[at]] += v
        elif not isnan(before):  # one that fell was set to 0
            counted[cell[at]] += v - before if v >= before else v
    return count


@native
def _distance(cells: Any, counted: Any, usual: Any, looks: int) -> float:
    """How far a distribution is from its usual one, at most; learns it, and begins to count anew."""
    total = counted[cells[-1]]
    weight = max(1.0 / (looks + 1.0), 1.0 / MEMORY)
    furthest, under = 0.0, 0.0
    for at in cells:
        under = min(max(under, counted[at] / total), 1.0)  # no bucket holds less than the one below it
        furthest = max(furthest, abs(under - usual[at]))
        usual[at] += weight * (under - usual[at])
        counted[at] = 0.0
    return furthest


def frozen_shapes(shapes: Shapes) -> tuple[bytes, bytes, bytes]:
    """What was counted, by row, cell and group, to be kept in a snapshot."""
    cells, groups = ([getattr(shapes, name) for name in names] for names in (BY_CELL, BY_GROUP))
    return shapes.previous.tobytes(), np.concatenate(cells).tobytes(), np.concatenate(groups).tobytes()


def thawed_shapes(names: Sequence[SeriesName], parts: Sequence[bytes], outcomes: frozenset[str]) -> Shapes:
    """The histograms as `frozen_shapes` left them; begun anew where another version wrote them."""
    shapes = Shapes()
    count = len(parts[0]) // 8
    if count > len(names):
        return shapes
    enrol_shapes(shapes, names[:count], outcomes)
    sizes = (8 * count, 8 * len(BY_CELL) * len(shapes.counted), 8 * len(BY_GROUP) * len(shapes.looks))
    if tuple(map(len, parts)) != sizes:
        return shapes
    shapes.previous = np.frombuffer(parts[0], np.float64).copy()
    for body, kind, which in ((parts[1], np.float64, BY_CELL), (parts[2], np.int64, BY_GROUP)):
        for name, part in zip(which, np.split(np.frombuffer(body, kind), len(which)), strict=True):
            setattr(shapes, name, part.copy())
    return shapes


def shapes_left(
    before: Shapes, names: Sequence[SeriesName], rows: NDArray[np.int64], outcomes: frozenset[str]
) -> Shapes:
    """What was counted of the series that stay.

    Args:
        before: The histograms of all series.
        names: Of those that stay, in their order.
        rows: Where each of them was.
        outcomes: As of `enrol_shapes`.
    """
    after = Shapes()
    count = int(np.searchsorted(rows, before.enrolled))
    enrol_shapes(after, names[:count], outcomes)
    after.previous = before.previous[rows[:count]]
    for key, group in after.groups.items():
        if (former := before.groups.get(key)) is None:
            continue
        for name in BY_GROUP:
            getattr(after, name)[group] = getattr(before, name)[former]
        for bound, cell in after.bounds[group].items():
            if (of := before.bounds[former].get(bound)) is not None:
                after.counted[cell], after.usual[cell] = before.counted[of], before.usual[of]
    return after
