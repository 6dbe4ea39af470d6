"""The baseline: the alert rules that people have today, scored on the same runs beside Cerebro.

Three rules for each service, as the books have them: the share of failed requests over 5 %, the
95th percentile over 1 s, CPU over 90 %, each over a window and held for a while before it fires, as
in Prometheus. An alert that fires is a case; when it clears, the case is over.

Source: Prometheus documentation, alerting rules (`for`), and `histogram_quantile` for the quantile.
"""

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.proving.watch import Seen
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId, FindingId
from cerebro.spine.telemetry import SampleBatch

NAME = "alert rules"
DURATIONS = ("http.server.request.duration", "messaging.process.duration")
CPU = ("process.cpu.utilization", "system.cpu.utilization")
ERROR_SHARE, P95_S, CPU_SHARE = 0.05, 1.0, 0.9
WINDOW_S = 120.0
HOLD_S = 120.0
RULES = ("errors", "latency", "cpu")
TITLES = {
    "errors": "More than 5 % of the requests of {} fail",
    "latency": "The 95th percentile of {} is over 1 s",
    "cpu": "The CPU of {} is over 90 %",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """What a series counts for: a column of one entity's row in one of the tables."""

    table: str  # served failed bucket cpu
    entity: int
    column: int


@dataclass(slots=True)
class AlertRules:
    """A rule set that watches the same telemetry. Give it every batch, in order."""

    name: str = NAME
    _parts: dict[tuple[int, int], _Part] = field(default_factory=dict)
    _entities: dict[tuple[str, str], int] = field(default_factory=dict)
    _bounds: list[float] = field(default_factory=list)
    _values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _past: deque[tuple[int, dict[str, NDArray[np.float64]]]] = field(default_factory=deque)
    _since_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    _open: dict[tuple[str, int], int] = field(default_factory=dict)  # place in `_cases`
    _cases: list[Case] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)
    _order: tuple[bytes, NDArray[np.int64], list[_Part]] | None = None

    def take(self, batch: SampleBatch) -> None:
        """Look at one batch; all of it is taken to be of its last moment."""
        if batch.series.num_rows:
            self._learn(batch.series)
        if not len(batch):
            return
        self._keep(batch)
        now_ms = int(batch.at_ms.max())
        self._past.append((now_ms, {name: table.copy() for name, table in self._values.items()}))
        while len(self._past) > 1 and self._past[1][0] <= now_ms - WINDOW_S * 1000:
            self._past.popleft()
        if now_ms - self._past[0][0] >= WINDOW_S * 1000 / 2:
            self._judge(now_ms)

    async def seen(self, since_ms: int) -> Seen:
        """The alerts that fired at `since_ms` or later."""
        return Seen(
            [finding for finding in self._findings if finding.seen_ms >= since_ms],
            [case for case in self._cases if case.opened_ms >= since_ms],
        )

    def _learn(self, series: pa.Table) -> None:
        rows = series.to_pylist()
        bounds = {float(dict(row["labels"])["le"]) for row in rows if row["metric"].endswith("_bucket")}
        self._bounds = sorted(bounds | set(self._bounds))
        for row in rows:
            if part := self._part(row["metric"], dict(row["labels"]), (row["entity_kind"], row["entity_name"])):
                self._parts[row["hi"], row["lo"]] = part
        count, self._order = len(self._entities), None
        widths = {"served": 1, "failed": 1, "cpu": 1, "bucket": max(1, len(self._bounds))}
        self._values = {name: np.zeros((count, width)) for name, width in widths.items()}
        self._past.clear()

    def _part(self, metric: str, labels: dict[str, str], entity: tuple[str, str]) -> _Part | None:
        if "service.instance.id" in labels:
            return None  # the rules are about services, whose sums are there beside their replicas
        base, _, last = metric.rpartition("_")
        if metric in CPU:
            return _Part("cpu", self._row(entity), 0)
        if base not in DURATIONS or last == "sum":
            return None
        if last == "bucket":
            return _Part("bucket", self._row(entity), self._bounds.index(float(labels["le"])))
        return _Part("failed" if "error.type" in labels else "served", self._row(entity), 0)

    def _row(self, entity: tuple[str, str]) -> int:
        return self._entities.setdefault(entity, len(self._entities))

    def _keep(self, batch: SampleBatch) -> None:
        """Put the values where the rules read them; where they stand in a batch is remembered for the next one."""
        key = batch.hi.tobytes() + batch.lo.tobytes()
        if self._order is None or self._order[0] != key:
            ids = zip(batch.hi.tolist(), batch.lo.tolist(), strict=True)
            found = [(place, part) for place, one in enumerate(ids) if (part := self._parts.get(one))]
            self._order = key, np.array([place for place, _ in found], np.int64), [part for _, part in found]
        _, places, parts = self._order
        for table in self._values:
            mine = [k for k, part in enumerate(parts) if part.table == table]
            rows = [parts[k].entity for k in mine], [parts[k].column for k in mine]
            self._values[table][rows] = batch.value[places[mine]]

    def _judge(self, now_ms: int) -> None:
        then = self._past[0][1]
        grown = {name: np.maximum(0.0, table - then[name]) for name, table in self._values.items()}
        served, failed = grown["served"][:, 0], grown["failed"][:, 0]
        share = failed / np.maximum(1.0, served + failed)
        firing = {
            "errors": share > ERROR_SHARE,
            "latency": quantile(grown["bucket"], np.array(self._bounds), 0.95) > P95_S,
            "cpu": self._values["cpu"][:, 0] > CPU_SHARE,
        }
        for rule in RULES:
            for row, on in enumerate(firing[rule].tolist()):
                self._turn((rule, row), on, now_ms)

    def _turn(self, key: tuple[str, int], on: bool, now_ms: int) -> None:
        if not on:
            self._since_ms.pop(key, None)
            if (place := self._open.pop(key, None)) is not None:
                self._cases[place] = replace(self._cases[place], state=CaseState.RESOLVED, resolved_ms=now_ms)
            return
        since_ms = self._since_ms.setdefault(key, now_ms)
        if key not in self._open and now_ms - since_ms >= HOLD_S * 1000:
            self._open[key] = len(self._cases)
            self._fire(key, since_ms, now_ms)

    def _fire(self, key: tuple[str, int], since_ms: int, now_ms: int) -> None:
        rule, row = key
        entity = EntityKey(*list(self._entities)[row])
        title, name = TITLES[rule].format(entity.text), f"{rule}-{entity.text}-{now_ms}"
        finding = Finding(
            id=FindingId(name),
            tenant=DEFAULT_TENANT,
            agent=NAME,
            kind=rule,
            entity=entity,
            at_ms=since_ms,
            seen_ms=now_ms,
            severity=Severity.MAJOR,
            p_value=0.0,
            effect=0.0,
            signal=rule,
            title=title,
            evidence=(),
            dedup_key=name,
        )
        case = Case(
            id=CaseId(name),
            tenant=DEFAULT_TENANT,
            state=CaseState.OPEN,
            severity=Severity.MAJOR,
            title=title,
            opened_ms=now_ms,
            updated_ms=now_ms,
            entities=(entity,),
            findings=(finding.id,),
        )
        self._findings.append(finding)
        self._cases.append(case)


def quantile(buckets: NDArray[np.float64], bounds: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The quantile of cumulative buckets, straight lines between bounds; 0 where nothing was counted.

    Args:
        buckets: Counts up to each bound, float64, (row, bound).
        bounds: Upper bounds, the last one infinite.
        share: 0 … 1.

    >>> quantile(np.array([[50.0, 100.0, 100.0]]), np.array([1.0, 2.0, np.inf]), 0.95).round(2).tolist()
    [1.9]
    """
    if not len(bounds) or not buckets.size:
        return np.zeros(len(buckets))
    total = buckets[:, -1]
    wanted = total * share
    place = np.argmax(buckets >= wanted[:, None], axis=1)
    rows = np.arange(len(buckets))
    below = np.where(place > 0, buckets[rows, place - 1], 0.0)
    start = np.where(place > 0, bounds[place - 1], 0.0)
    width = np.where(np.isfinite(bounds[place]), bounds[place] - start, 0.0)
    inside = (wanted - below) / np.maximum(1e-12, buckets[rows, place] - below)
    return np.where(total > 0, start + width * np.clip(inside, 0.0, 1.0), 0.0)
