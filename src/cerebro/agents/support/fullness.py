"""How full a thing is: of its own limit, the part that it uses, wherever both are told.

Memory, descriptors, connections of a pool: the count alone says neither how soon it ends nor whether it matters. So a
gauge of what is used and a gauge of the limit with the same labels, whose names differ in such words only (`USED`,
`LIMITS`), give `name:limit_ratio`, which is published, stored and judged as any series.

Source: B. Gregg, The USE Method (2012): utilisation is said in parts of a capacity.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.ratios import table_of
from cerebro.agents.support.watch import Series
from cerebro.algorithms.index import EMPTY
from cerebro.spine.telemetry import SampleBatch, SeriesType, series_id

LIMIT_RATIO = ":limit_ratio"
USED = frozenset({"count", "usage", "used", "open", "active", "current"})
LIMITS = frozenset({"limit", "max", "maximum", "capacity"})
STATE, IDLE = "state", frozenset({"idle", "free", "available"})  # what is there and not in use
WORDS = re.compile(r"[._]")
GROUPS_MAX = 50_000
NONE = -1
Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Fullness:
    """Who uses what of which limit, of one tenant."""

    enrolled: int = 0  # rows of the watch that were looked at
    groups: dict[Key, int] = field(default_factory=dict)
    names: dict[int, SeriesName] = field(default_factory=dict)  # of the ratio, by the row of what is used
    group: NDArray[np.int32] = field(default_factory=lambda: np.full(256, NONE, np.int32))  # by row
    is_limit: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, np.bool_))  # by row
    told: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, np.bool_))  # with its name, by row
    limit: NDArray[np.float64] = field(default_factory=lambda: np.full(64, np.nan))  # by group


def words_of(metric: str) -> tuple[tuple[str, ...], bool] | None:
    """What a gauge counts, and whether it is the limit of that; `None` for one that is neither used nor a limit.

    >>> words_of("process_open_fds"), words_of("process_max_fds"), words_of("http.route")
    ((('process', 'fds'), False), (('process', 'fds'), True), None)
    """
    words = WORDS.split(metric)
    is_limit = not LIMITS.isdisjoint(words)
    if not is_limit and USED.isdisjoint(words):
        return None
    return tuple(word for word in words if word not in LIMITS and word not in USED), is_limit


def fullness_of(known: Fullness, series: Series, batch: SampleBatch) -> SampleBatch | None:
    """What a batch tells of how full things are, to be published beside it; `None` for nothing."""
    _enrol(known, series.names)
    row = series.index.find(batch.hi, batch.lo)
    mine = np.flatnonzero(row != EMPTY)
    mine = mine[known.group[row[mine]] != NONE]
    if not len(mine):
        return None
    is_limit = known.is_limit[row[mine]]
    limits, used = mine[is_limit], mine[~is_limit]
    known.limit[known.group[row[limits]]] = batch.value[limits]
    limit = known.limit[known.group[row[used]]]
    fine = limit > 0  # a limit of nothing, or of −1, is none
    used, limit = used[fine], limit[fine]
    if not len(used):
        return None
    rows = row[used]
    fresh = np.unique(rows[~known.told[rows]])
    known.told[fresh] = True
    keys = np.array([(known.names[each].hi, known.names[each].lo) for each in rows.tolist()], np.uint64)
    series_told = table_of([known.names[each] for each in fresh.tolist()])
    return SampleBatch(keys[:, 0].copy(), keys[:, 1].copy(), batch.at_ms[used], batch.value[used] / limit, series_told)


def frozen_fullness(known: Fullness) -> tuple[bytes, bytes]:
    """The limits, by group, and who was told, by row, to be kept in a snapshot."""
    return known.limit[: len(known.groups)].tobytes(), known.told[: known.enrolled].tobytes()


def thawed_fullness(names: Sequence[SeriesName], limits: bytes, told: bytes) -> Fullness:
    """What is full as `frozen_fullness` left it; begun anew where another version wrote it."""
    known = Fullness()
    if len(told) > len(names):
        return known
    _enrol(known, names[: len(told)])
    if len(limits) == 8 * len(known.groups):
        known.limit[: len(known.groups)] = np.frombuffer(limits, np.float64)
        known.told[: len(told)] = np.frombuffer(told, np.bool_)
    return known


def _enrol(known: Fullness, names: Sequence[SeriesName]) -> None:
    """Look at the rows that are new."""
    if len(names) > len(known.group):
        _grow(known, len(names))
    for row in range(known.enrolled, len(names)):
        _join(known, row, names[row])
    known.enrolled = len(names)


def _join(known: Fullness, row: int, name: SeriesName) -> None:
    found = words_of(name.metric) if name.type == SeriesType.GAUGE and ":" not in name.metric else None
    labels = dict(name.labels)
    if found is None or labels.get(STATE) in IDLE:
        return
    words, is_limit = found
    rest = tuple((label, value) for label, value in name.labels if label != STATE)
    key = words, rest
    group = known.groups.get(key, NONE)
    if group == NONE:
        if len(known.groups) >= GROUPS_MAX:
            return
        group = known.groups[key] = len(known.groups)
        if group == len(known.limit):
            known.limit = np.concatenate([known.limit, np.full(group, np.nan)])
    known.group[row], known.is_limit[row] = group, is_limit
    if not is_limit:
        metric = name.metric + LIMIT_RATIO
        hi, lo = series_id(metric, labels)
        known.names[row] = SeriesName(
            hi, lo, metric, name.labels, SeriesType.GAUGE, "1", name.entity_kind, name.entity_name
        )


def _grow(known: Fullness, count: int) -> None:
    size = max(2 * len(known.group), count)
    for name, empty in (("group", NONE), ("is_limit", False), ("told", False)):
        before = getattr(known, name)
        larger = np.full(size, empty, before.dtype)
        larger[: len(before)] = before
        setattr(known, name, larger)
