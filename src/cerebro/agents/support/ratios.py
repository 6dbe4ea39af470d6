"""What people feel, from counters that say it only together: the share of failures, and the mean duration.

A request that fails is counted by another series than one that succeeds, and often by one that does not exist before
the first failure: alone, it can never be called strange. So series of one counter that differ only in how requests
ended are taken together: `name:error_ratio` is the failing part of what was counted since the last time, `name:mean`
the sum over the count. Both are published, stored and judged as any series.

And what came in but did not go out: a queue that is no longer worked off shows in its depth only as a number it never
had, but that of forty messages a second only seven are taken is told at once, since a share is nearly a matter of
counting. Two counters with the same labels whose names differ in such words only (`FLOWS`) give `name:unserved_ratio`,
the part of what came in since the last time that did not go out; 0 while a backlog is worked off.

How the counts of a histogram are distributed, and not only their mean, is watched by `shapes`.

A counter that appears in a group that was there before counts from 0; in a group that is new, from what it says.

Sources: the names after Prometheus' recording rules (`level:metric:operations`); the pair after T. Wilkie, The RED
Method (2018).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.shapes import SHIFT_RATIO, Shapes, Shifts, enrol_shapes, shifts
from cerebro.agents.support.watch import Series
from cerebro.algorithms.index import EMPTY
from cerebro.algorithms.native import native
from cerebro.spine.telemetry import (
    GRPC_CODES,
    GRPC_FAILED,
    INCREASES,
    REFUSED_CODES,
    SERIES_SCHEMA,
    SampleBatch,
    SeriesType,
    no_series,
    series_id,
)

ERROR_RATIO, MEAN, UNSERVED_RATIO = ":error_ratio", ":mean", ":unserved_ratio"
OUTCOMES = frozenset(
    {
        "http.response.status_code", "http.status_code", "http_response_status_code", "http_status_code", "status_code",
        "http_code", "code", "status", "error.type", "error_type", "error", "outcome", "result", "rpc.grpc.status_code",
        "rpc_grpc_status_code", "grpc_code", "grpc_status", "otel.status_code", "otel_status_code", "exception",
        "success", "db.response.status_code", "error.code",
    }
)  # fmt: skip
FAILED = frozenset(
    {
        "error", "err", "fail", "failed", "failure", "failures", "timeout", "exception", "status_code_error", "5xx",
        "aborted", "internal", "unavailable", "deadline_exceeded", "unknown", "data_loss", "resource_exhausted",
    }
)  # fmt: skip
NAMES_ERROR = frozenset({"error.type", "error_type", "exception", "error.code"})  # there only when something failed
ASKED = re.compile(r"request|call|operation|http|rpc|query|message")  # histograms whose failures may be told later
FLOWS = {  # what goes out, and the names of what came in
    "consumed": ("published", "produced"), "dequeued": ("enqueued",), "completed": ("submitted",),
    "finished": ("started",), "processed": ("received",), "acked": ("delivered",), "acknowledged": ("delivered",),
}  # fmt: skip
OUT_OF = {came: out for out, names in reversed(FLOWS.items()) for came in names}
WORD = re.compile(r"[a-z]+")
REQUESTS_MIN = 10.0  # counted before a share is worth telling …
WAIT_MS = 60_000  # … or so long waited for them
GROUPS_MAX = 100_000
Place = tuple[str, tuple[tuple[str, str], ...], int]  # family, labels of the group, role
COUNT, FAILURE, SUM = 1, 2, 3  # what a series is in its group


@dataclass(slots=True)
class Ratios:
    """The groups of one tenant: which rows belong to them, and what was counted since they were last told."""

    enrolled: int = 0  # rows of the watch that were looked at
    by_labels: dict[tuple[str, tuple[tuple[str, str], ...]], int] = field(default_factory=dict)
    names: list[tuple[SeriesName | None, SeriesName | None]] = field(default_factory=list)  # error ratio, mean or left
    group: NDArray[np.int32] = field(default_factory=lambda: np.full(256, -1, np.int32))  # by row
    role: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(256, np.uint8))  # by row
    is_delta: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, np.bool_))  # by row
    previous: NDArray[np.float64] = field(default_factory=lambda: np.full(256, np.nan))  # by row
    first_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, np.int64))  # by group
    since_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, np.int64))  # by group
    last_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, np.int64))  # by group
    counted: NDArray[np.float64] = field(default_factory=lambda: np.zeros((64, 4)))  # by group and role
    has: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((64, 4), np.bool_))  # by group and role
    key: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((64, 2, 2), np.uint64))  # hi, lo; as in `names`
    exists: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((64, 2), np.bool_))  # by group, as in `names`
    is_flow: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(64, np.bool_))  # by group
    named: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(64, np.bool_))  # told with their names; by group
    shapes: Shapes = field(default_factory=Shapes)


def enrol(ratios: Ratios, names: Sequence[SeriesName]) -> None:
    """Look at the rows that are new."""
    if len(names) > len(ratios.group):
        _grow_rows(ratios, len(names))
    for row in range(ratios.enrolled, len(names)):
        if place := place_of(names[row]):
            _join(ratios, row, names[row], place)
    ratios.enrolled = len(names)


def frozen(ratios: Ratios) -> tuple[bytes, bytes]:
    """What was counted, by row and by group, to be kept in a snapshot."""
    rows, groups = ratios.enrolled, len(ratios.names)
    by_group = (ratios.first_ms, ratios.since_ms, ratios.last_ms, ratios.counted, ratios.has)
    return ratios.previous[:rows].tobytes(), b"".join(part[:groups].tobytes() for part in by_group)


def thawed(names: Sequence[SeriesName], rows: bytes, groups: bytes) -> Ratios:
    """The groups as `frozen` left them; begun anew where another version wrote them."""
    ratios = Ratios()
    count = len(rows) // 8
    if count > len(names):
        return ratios
    enrol(ratios, names[:count])
    size = len(ratios.names)
    parts = ("first_ms", "since_ms", "last_ms", "counted", "has")
    lengths = [getattr(ratios, name)[:size].nbytes for name in parts]
    if sum(lengths) != len(groups):
        return ratios
    ratios.previous[:count] = np.frombuffer(rows, np.float64)
    at = 0
    for name, length in zip(parts, lengths, strict=True):
        part = getattr(ratios, name)
        part[:size] = np.frombuffer(groups[at : at + length], part.dtype).reshape(part[:size].shape)
        at += length
    ratios.named[:size] = ratios.first_ms[:size] > 0
    return ratios


def place_of(name: SeriesName) -> Place | None:
    """The family of a counter, its labels without those of the outcome, and what it is in that group."""
    metric = name.metric
    if name.type in (SeriesType.GAUGE, "") or metric.endswith(
        ("_bucket", ERROR_RATIO, MEAN, UNSERVED_RATIO, SHIFT_RATIO)
    ):
        return None
    labels = tuple((label, value) for label, value in name.labels if label.lower() not in OUTCOMES)
    if len(labels) == len(name.labels) and (flow := flow_of(name)):
        return flow[0], labels, flow[1]
    if metric.endswith("_sum") and name.type in (SeriesType.HISTOGRAM, SeriesType.DELTA_HISTOGRAM):
        return metric.removesuffix("_sum"), labels, SUM
    is_count = metric.endswith("_count") and name.type in (SeriesType.HISTOGRAM, SeriesType.DELTA_HISTOGRAM)
    if not is_count and len(labels) == len(name.labels):
        return None  # a counter that says nothing of outcomes
    family = metric.removesuffix("_count").removesuffix("_total")
    return family, labels, FAILURE if is_failure(name.labels, asked="client" in name.metric) else COUNT


def flow_of(name: SeriesName) -> tuple[str, int] | None:
    """The counter of what goes out, and whether this one is what came in, `COUNT`, or that, `SUM`; `None` for neither.

    >>> flow_of(SeriesName(0, 0, "jobs_enqueued_total", (), "counter", "", "service", "a"))
    ('jobs_dequeued_total', 1)
    """
    if name.type not in (SeriesType.COUNTER, SeriesType.DELTA):
        return None
    for word in WORD.finditer(name.metric):
        if word.group() in FLOWS:
            return name.metric, SUM
        if out := OUT_OF.get(word.group()):
            return name.metric[: word.start()] + out + name.metric[word.end() :], COUNT
    return None


def is_failure(labels: Sequence[tuple[str, str]], *, asked: bool = False) -> bool:
    """Whether labels say that what was counted had failed.

    Args:
        labels: Of a series.
        asked: Whether it counts what its owner asked of others: who is turned away has failed, too.

    >>> is_failure((("code", "503"),)), is_failure((("code", "404"),)), is_failure((("error.type", "timeout"),))
    (True, False, True)
    """
    for label, value in labels:
        name, said = label.lower(), value.lower()
        if name not in OUTCOMES or not said:
            continue
        if name in NAMES_ERROR and not said.isdigit():
            return said not in ("none", "ok", "false")
        if name in GRPC_CODES and said in GRPC_FAILED:
            return True
        told_so = (name == "success" and said in ("false", "0", "no")) or (
            name == "error" and said in ("true", "1", "yes")
        )
        if told_so or (asked and said in REFUSED_CODES):
            return True
        if said in FAILED or (len(said) == 3 and said[0] == "5" and (said.isdigit() or said[1:] == "xx")):
            return True
    return False


def derived(ratios: Ratios, series: Series, batch: SampleBatch) -> SampleBatch | None:
    """What a batch adds to the groups of the watched series, to be published beside it; `None` for nothing yet."""
    if ratios.enrolled < series.count:
        enrol(ratios, series.names)
        enrol_shapes(ratios.shapes, series.names, OUTCOMES)
    row = series.index.find(batch.hi, batch.lo)
    known = row != EMPTY
    samples = row[known], batch.at_ms[known], batch.value[known]
    told, shifted = derive(ratios, *samples), shifts(ratios.shapes, *samples)
    return _with_shifts(told, ratios.shapes, shifted) if shifted else told


def _with_shifts(told: SampleBatch | None, shapes: Shapes, shifted: Shifts) -> SampleBatch:
    names = [shapes.names[group] for group in shifted.group.tolist()]
    fresh = [name for name, first in zip(names, shifted.first.tolist(), strict=True) if first]
    hi, lo = (np.array([getattr(name, part) for name in names], np.uint64) for part in ("hi", "lo"))
    mine = SampleBatch(hi, lo, shifted.at_ms, shifted.value, table_of(fresh))
    if told is None:
        return mine
    hi, lo, at_ms, value = (
        np.concatenate([getattr(told, c), getattr(mine, c)]) for c in ("hi", "lo", "at_ms", "value")
    )
    return SampleBatch(hi, lo, at_ms, value, pa.concat_tables([told.series, mine.series]))


def derive(
    ratios: Ratios, row: NDArray[np.int32], at_ms: NDArray[np.int64], value: NDArray[np.float64]
) -> SampleBatch | None:
    """What a batch adds to the groups, as samples of their series; `None` when nothing is to be told yet.

    Args:
        ratios: Changed in place; every row is enrolled.
        row: Of each sample, int32, (n,); what is older than its group is passed over.
        at_ms: Unix time, int64, (n,).
        value: As received, float64, (n,).
    """
    touched = np.zeros(len(ratios.names), np.bool_)
    if not len(touched) or not _count(
        row, at_ms, value, ratios.group, ratios.role, ratios.is_delta, ratios.previous,
        ratios.first_ms, ratios.last_ms, ratios.counted, ratios.has, touched,
    ):  # fmt: skip
        return None
    groups = np.flatnonzero(touched)
    ratios.first_ms[groups] = np.where(ratios.first_ms[groups] == 0, ratios.last_ms[groups], ratios.first_ms[groups])
    ratios.since_ms[groups] = np.where(ratios.since_ms[groups] == 0, ratios.last_ms[groups], ratios.since_ms[groups])
    total = ratios.counted[groups, COUNT] + ratios.counted[groups, FAILURE]
    waited = ratios.last_ms[groups] - ratios.since_ms[groups] >= WAIT_MS
    due = groups[(total >= REQUESTS_MIN) | ((total > 0) & waited)]
    return _told(ratios, due) if len(due) else None


def _told(ratios: Ratios, due: NDArray[np.int64]) -> SampleBatch:
    counted, has = ratios.counted[due], ratios.has[due]
    total = counted[:, COUNT] + counted[:, FAILURE]
    share = np.maximum(counted[:, SUM], 0.0) / total
    left = np.where(ratios.is_flow[due], np.maximum(1.0 - share, 0.0), share)
    value = np.stack([counted[:, FAILURE] / total, left], axis=1)
    told = ratios.exists[due] & np.stack([has[:, FAILURE] | has[:, COUNT], has[:, SUM]], axis=1)
    at_ms = np.repeat(ratios.last_ms[due], 2)[told.ravel()]
    key = ratios.key[due][told]
    unnamed = due[~ratios.named[due]]
    fresh = [name for group in unnamed.tolist() for name in ratios.names[group] if name]
    ratios.named[unnamed] = True
    ratios.counted[due] = 0.0
    ratios.since_ms[due] = ratios.last_ms[due]
    return SampleBatch(key[:, 0].copy(), key[:, 1].copy(), at_ms, value[told], table_of(fresh))


def table_of(names: Sequence[SeriesName]) -> pa.Table:
    """The table that names these series, as it travels with their samples."""
    if not names:
        return no_series()
    rows = [
        {
            "hi": name.hi, "lo": name.lo, "metric": name.metric, "labels": list(name.labels), "type": name.type,
            "unit": name.unit, "entity_kind": name.entity_kind, "entity_name": name.entity_name,
        }
        for name in names
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SERIES_SCHEMA)


def _join(ratios: Ratios, row: int, name: SeriesName, place: Place) -> None:
    family, labels, role = place
    key = family, labels
    group = ratios.by_labels.get(key, -1)
    if group < 0:
        if len(ratios.names) >= GROUPS_MAX:
            return
        group = ratios.by_labels[key] = len(ratios.names)
        ratios.names.append((None, None))
        if group == len(ratios.first_ms):
            _grow_groups(ratios)
    errors, mean = ratios.names[group]
    asked = len(labels) < len(name.labels) or (ASKED.search(family.lower()) and not flow_of(name))
    if role != SUM and errors is None and asked:
        errors = _name(name, family + ERROR_RATIO, labels, "1")
    if role == SUM and mean is None:
        is_flow = family == name.metric
        mean = _name(name, family + (UNSERVED_RATIO if is_flow else MEAN), labels, "1" if is_flow else name.unit)
    if (errors, mean) != ratios.names[group]:
        ratios.names[group] = errors, mean
        ratios.named[group] = False
        ratios.is_flow[group] = mean is not None and mean.metric.endswith(UNSERVED_RATIO)
        for which, told in enumerate((errors, mean)):
            ratios.exists[group, which] = told is not None
            ratios.key[group, which] = (told.hi, told.lo) if told else (0, 0)
    ratios.group[row], ratios.role[row] = group, role
    ratios.is_delta[row] = name.type in INCREASES


def _name(of: SeriesName, metric: str, labels: tuple[tuple[str, str], ...], unit: str) -> SeriesName:
    hi, lo = series_id(metric, dict(labels))
    return SeriesName(hi, lo, metric, labels, SeriesType.GAUGE, unit, of.entity_kind, of.entity_name)


def _grow_rows(ratios: Ratios, count: int) -> None:
    size = max(2 * len(ratios.group), count)
    for name, empty in (("group", -1), ("role", 0), ("is_delta", False), ("previous", np.nan)):
        before = getattr(ratios, name)
        larger = np.full(size, empty, before.dtype)
        larger[: len(before)] = before
        setattr(ratios, name, larger)


def _grow_groups(ratios: Ratios) -> None:
    for name in ("first_ms", "since_ms", "last_ms", "counted", "has", "key", "exists", "is_flow", "named"):
        before = getattr(ratios, name)
        setattr(ratios, name, np.concatenate([before, np.zeros_like(before)]))


@native
def _count(  # noqa: PLR0917
    row: Any, at_ms: Any, value: Any, group: Any, role: Any, is_delta: Any, previous: Any,
    first_ms: Any, last_ms: Any, counted: Any, has: Any, touched: Any,
) -> int:  # fmt: skip
    """Add each sample's increase to its group; how many samples belonged to one."""
    found = 0
    for k in range(len(row)):
        at = row[k]
        mine = group[at]
        v = value[k]
        if mine < 0 or isnan(v) or at_ms[k] < last_ms[mine]:
            continue
        found += 1
        before = previous[at]
        previous[at] = v
        part = role[at]
        has[mine, part] = True
        touched[mine] = True
        last_ms[mine] = at_ms[k]
        if is_delta[at]:
            counted[mine, part] += v
        elif not isnan(before):
            counted[mine, part] += v - before if v >= before else v
        elif first_ms[mine] > 0 and at_ms[k] > first_ms[mine]:
            counted[mine, part] += v
    return found
