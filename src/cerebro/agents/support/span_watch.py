"""Everything the agent does with one batch of spans of one tenant, in order, without waiting for anything.

Of every operation of an entity, and of every edge between two entities, stand by the minute: how many, how many failed,
how long (the 95th percentile of a sketch), and how long without what they waited for. These series are judged by
the detector that judges metrics, within a part of the noise budget. An edge or an operation that stops is a count that
falls to nothing; one that is new has no past, and is told by `novelty`, as are new paths of errors (`newcomers`).

A child is found by its parent among the spans of one batch, and for a while among those that came before.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.minutes import GRACE_MS, MINUTE_MS, Minutes, add, closed, put, series_of
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.newcomers import (
    GONE_MS,
    KeptNewcomers,
    Newcomer,
    Newcomers,
    Way,
    again_newcomers,
    keep_newcomers,
    last_ms_of,
    note,
    note_ways,
    origins,
    path_to,
    sample_of,
)
from cerebro.agents.support.observe import Rules, Watch, admit, learn_names, new_watch, observe
from cerebro.agents.support.shares import SPANS as PARTS
from cerebro.agents.support.span_words import edge_finding, newcomer_finding, newcomer_over, translated, with_trace
from cerebro.algorithms.rows import different
from cerebro.algorithms.sketch import Sketch, buckets_of, fill, quantile
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId

SEEN_MAX = 100_000  # spans whose entity is remembered, so that children that come later find their parent
EDGES_MAX = 5000
COUNT_MIN = 5  # spans in a minute from which on a percentile says something
TAIL = 0.95
ERROR = 2
READY_MS = 3_600_000  # a system shows first whom it usually calls

REQUESTS, FAILED, DURATION, EXCLUSIVE = "span.requests", "span.errors", "span.duration", "span.exclusive_time"
EDGE_REQUESTS, EDGE_FAILED = "edge.requests", "edge.errors"
PATH_FAILED = "path.errors"
Entity = tuple[str, str]


@dataclass(slots=True)
class Spans:
    """All the agent knows of one tenant's spans. `take_spans` changes it."""

    tenant: TenantId
    watch: Watch
    minutes: Minutes = field(default_factory=Minutes)
    sketches: dict[int, dict[int, Sketch]] = field(default_factory=dict)  # by minute, by series
    seen: dict[str, Entity] = field(default_factory=dict)  # entity by span id, oldest first
    edges: dict[tuple[Entity, Entity], int] = field(default_factory=dict)  # when first seen
    new_edges: float = 0.0  # since watching was ready
    since_ms: int = 0
    named: int = 0
    newest_ms: int = 0
    newcomers: Newcomers = field(default_factory=Newcomers)
    open: dict[str, Finding] = field(default_factory=dict)  # new paths of errors that are told, by path


def new_spans(tenant: TenantId, rules: Rules) -> Spans:
    """A tenant of whose spans nothing is known."""
    return Spans(tenant, new_watch(tenant, share_of(rules)))


def share_of(rules: Rules) -> Rules:
    """The rules with the parts of the budget that spans have; a minute without spans is no silence."""
    return replace(rules, parts=PARTS, together=False, silence=False)


def take_spans(spans: Spans, table: pa.Table, rules: Rules, clock_ms: int) -> list[Finding]:
    """Take in a batch of `SPAN_SCHEMA` and answer what was found. Changes `spans`."""
    if not table.num_rows:
        return []
    took_s = np.maximum(table.column("duration_ns").to_numpy(), 0) / 1e9
    ended_ms = table.column("at_ns").to_numpy() // 1_000_000 + (took_s * 1000).astype(np.int64)
    at_ms = np.minimum(ended_ms, clock_ms)
    failed = table.column("status").to_numpy() == ERROR
    entity, entities, operation = _operations(table)
    _count(spans, operation, (REQUESTS, FAILED), at_ms, failed)
    _measure(spans, operation, DURATION, at_ms, took_s)
    parent = _parents(spans, table, entity, entities)
    _measure(spans, operation, EXCLUSIVE, at_ms, _exclusive(table, took_s))
    spans.since_ms = spans.since_ms or int(at_ms.min())
    spans.newest_ms = max(spans.newest_ms, int(at_ms.max()))
    findings = _edges(spans, [entities[k] for k in entity.tolist()], parent, at_ms, failed)
    findings += _news(spans, table, operation, at_ms, failed)
    return findings + tick_spans(spans, min(spans.newest_ms, clock_ms), rules)


def tick_spans(spans: Spans, now_ms: int, rules: Rules) -> list[Finding]:
    """Judge the minutes that are over at that time."""
    for minute in [each for each in spans.sketches if (each + 1) * MINUTE_MS + GRACE_MS <= now_ms]:
        for row, sketch in spans.sketches.pop(minute).items():
            if sum(sketch.counts.values()) >= COUNT_MIN:
                put(spans.minutes, minute * MINUTE_MS, row, quantile(sketch, TAIL))
    learn_names(spans.watch, spans.minutes.names[spans.named :], rules)
    spans.named = len(spans.minutes.names)
    findings: list[Finding] = []
    for batch in closed(spans.minutes, now_ms):
        noticed = observe(spans.watch, batch, share_of(rules), int(batch.at_ms[0]) if len(batch) else now_ms)
        findings += [_traced(spans, said) for finding in noticed if (said := translated(finding)) is not None]
    return findings + _over(spans, now_ms)


def _operations(table: pa.Table) -> tuple[NDArray[np.int64], list[Entity], list[tuple[Entity, str]]]:
    """The entity of each span as a number, the entities, and each span's entity and operation."""
    keys = list(
        zip(*(table.column(name).to_pylist() for name in ("entity_kind", "entity_name")), strict=True)
    )  # fmt: skip
    at: dict[Entity, int] = {}
    entity = np.array([at.setdefault(key, len(at)) for key in keys], np.int64)
    return entity, list(at), list(zip(keys, table.column("name").to_pylist(), strict=True))


def _rows(
    spans: Spans, whose: list[tuple[Entity, str]], metric: str, unit: str, *, is_gauge: bool = False
) -> NDArray[np.int64]:
    known: dict[tuple[Entity, str], int] = {}
    for key in whose:
        if key not in known:
            known[key] = series_of(spans.minutes, key[0], metric, key[1][:200], unit, is_gauge=is_gauge)
    return np.array([known[key] for key in whose], np.int64)


def _count(
    spans: Spans, whose: list[tuple[Entity, str]], metrics: tuple[str, str], at_ms: NDArray[np.int64],
    failed: NDArray[np.bool_],
) -> None:  # fmt: skip
    for metric, unit, counted in ((metrics[0], "{request}", None), (metrics[1], "{error}", failed)):
        rows = _rows(spans, whose, metric, unit)
        value = np.ones(len(rows)) if counted is None else counted.astype(np.float64)
        found = different(rows, at_ms // MINUTE_MS)
        totals = np.bincount(found.inverse, value)
        for row, minute, total in zip(*found.columns.tolist(), totals.tolist(), strict=True):
            add(spans.minutes, minute * MINUTE_MS, row, total)


def _measure(
    spans: Spans, whose: list[tuple[Entity, str]], metric: str, at_ms: NDArray[np.int64], took_s: NDArray[np.float64]
) -> None:
    rows = _rows(spans, whose, metric, "s", is_gauge=True)
    minute = np.maximum(at_ms // MINUTE_MS, spans.minutes.done + 1)
    found = different(minute, rows, buckets_of(took_s))
    for at, row, bucket, count in zip(*found.columns.tolist(), found.counts.tolist(), strict=True):
        if row >= 0:
            fill(spans.sketches.setdefault(at, {}).setdefault(row, Sketch()), bucket, count)


def _parents(spans: Spans, table: pa.Table, entity: NDArray[np.int64], entities: list[Entity]) -> list[Entity | None]:
    """The entity of each span's parent, where it is known."""
    ids, parents = table.column("span_id").to_pylist(), table.column("parent_span_id").to_pylist()
    spans.seen.update({each: entities[k] for each, k in zip(ids, entity.tolist(), strict=True)})
    for old in list(spans.seen)[: max(0, len(spans.seen) - SEEN_MAX)]:
        del spans.seen[old]
    return [spans.seen.get(parent) if parent else None for parent in parents]


def _exclusive(table: pa.Table, took_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each span's time less that of its children in the batch, at least 0; children that overlap count once each."""
    at = {each: k for k, each in enumerate(table.column("span_id").to_pylist())}
    waited = np.zeros(len(took_s))
    for k, parent in enumerate(table.column("parent_span_id").to_pylist()):
        if parent and (of := at.get(parent)) is not None:
            waited[of] += took_s[k]
    return np.maximum(took_s - waited, 0.0)


def _edges(
    spans: Spans, entity: list[Entity], parent: list[Entity | None], at_ms: NDArray[np.int64], failed: NDArray[np.bool_]
) -> list[Finding]:
    """Count calls between entities; an edge that nobody has seen is told when new edges are rare."""
    crossing = [k for k, source in enumerate(parent) if source is not None and source != entity[k]]
    if not crossing:
        return []
    whose = [(source, "/".join(entity[k])) for k in crossing if (source := parent[k]) is not None]
    _count(spans, whose, (EDGE_REQUESTS, EDGE_FAILED), at_ms[crossing], failed[crossing])
    findings = []
    for k in crossing:
        source, target, moment = parent[k], entity[k], int(at_ms[k])
        if source is None or (source, target) in spans.edges or len(spans.edges) >= EDGES_MAX:
            continue
        spans.edges[source, target] = moment
        if moment - spans.since_ms < READY_MS:
            continue
        weeks = (moment - spans.since_ms) / (7 * 86_400_000)
        weekly = (0.5 + spans.new_edges) / (1.0 + weeks)
        spans.new_edges += 1.0
        if weekly <= spans.watch.budget.novel_unit:  # a system that finds new edges more often is not believed
            findings.append(edge_finding(spans.tenant, source, target, moment, weekly))
            admit(spans.watch, findings[-1], -1, urgent=False)
    return findings


def _news(
    spans: Spans, table: pa.Table, operation: list[tuple[Entity, str]], at_ms: NDArray[np.int64],
    failed: NDArray[np.bool_],
) -> list[Finding]:  # fmt: skip
    """Note operations, and the paths along which errors run; what is new, and may be told."""
    ids, parents = table.column("span_id").to_pylist(), table.column("parent_span_id").to_pylist()
    ways = [Way(entity, name, parent) for (entity, name), parent in zip(operation, parents, strict=True)]
    note_ways(spans.newcomers, ids, ways, int(at_ms.min()))
    traces = table.column("trace_id")
    seen: dict[tuple[str, Entity, str], list[int]] = {}
    for k, (entity, name) in enumerate(operation):
        seen.setdefault(("new_operation", entity, name[:200]), []).append(k)
    begun = origins(ids, ways, np.flatnonzero(failed).tolist())
    paths = [(ways[k].entity, path_to(spans.newcomers, ways[k])) for k in begun]
    _count_paths(spans, paths, at_ms[begun])
    for k, (entity, path) in zip(begun, paths, strict=True):
        seen.setdefault(("error_path", entity, path), []).append(k)
    findings = []
    unit = spans.watch.budget.newcomer_unit
    for (kind, entity, text), rows in seen.items():
        newcomer = Newcomer(entity, int(at_ms[rows[0]]), sample=traces[rows[-1]].as_py())
        if (news := note(spans.newcomers, (kind, text), newcomer, len(rows), unit)) is None or text in spans.open:
            continue
        spans.new_edges += news.weekly
        findings.append(newcomer_finding(spans.tenant, news, newcomer.first_ms))
        admit(spans.watch, findings[-1], -1, urgent=False)
        if kind == "error_path":
            spans.open[text] = findings[-1]
    return findings


def _count_paths(spans: Spans, paths: list[tuple[Entity, str]], at_ms: NDArray[np.int64]) -> None:
    rows = _rows(spans, paths, PATH_FAILED, "{error}")
    for row, moment in zip(rows.tolist(), at_ms.tolist(), strict=True):
        add(spans.minutes, moment, row, 1.0)


def _traced(spans: Spans, finding: Finding) -> Finding:
    """The finding of an error path with the trace that showed it last."""
    if finding.kind != "error_path":
        return finding
    path = finding.signal.removeprefix("span:")
    return with_trace(finding, sample_of(spans.newcomers, (finding.entity.kind, finding.entity.name), path))


def _over(spans: Spans, now_ms: int) -> list[Finding]:
    """New paths of errors along which none has come for a while."""
    entities = {path: (told.entity.kind, told.entity.name) for path, told in spans.open.items()}
    gone = [path for path, each in entities.items() if now_ms - last_ms_of(spans.newcomers, each, path) >= GONE_MS]
    return [newcomer_over(spans.open.pop(path), now_ms) for path in gone]


@dataclass(frozen=True, slots=True)
class KeptSpans:
    """The state as plain values: what a snapshot holds beside that of the counts. Spans seen are not kept."""

    names: list[SeriesName]
    gauges: list[int]
    open: list[tuple[int, list[tuple[int, float]]]]
    done: int
    sketches: list[tuple[int, list[tuple[int, dict[int, int]]]]]
    seen: dict[str, Entity]
    edges: list[tuple[tuple[Entity, Entity], int]]
    new_edges: float
    since_ms: int
    named: int
    newest_ms: int
    newcomers: KeptNewcomers = field(default_factory=KeptNewcomers)
    open_paths: dict[str, Finding] = field(default_factory=dict)


def keep_spans(spans: Spans) -> KeptSpans:
    """What `again_spans` makes the same state of, together with the state of `spans.watch`."""
    return KeptSpans(
        names=list(spans.minutes.names),
        gauges=sorted(spans.minutes.gauges),
        open=[(minute, list(counts.items())) for minute, counts in spans.minutes.open.items()],
        done=spans.minutes.done,
        sketches=[(m, [(row, dict(one.counts)) for row, one in rows.items()]) for m, rows in spans.sketches.items()],
        seen=dict(spans.seen),
        edges=list(spans.edges.items()),
        new_edges=spans.new_edges,
        since_ms=spans.since_ms,
        named=spans.named,
        newest_ms=spans.newest_ms,
        newcomers=keep_newcomers(spans.newcomers),
        open_paths=dict(spans.open),
    )


def again_spans(kept: KeptSpans, watch: Watch) -> Spans:
    """The state that `keep_spans` was given."""
    minutes = Minutes(
        names=list(kept.names),
        at={(n.entity_kind, n.entity_name, n.metric, n.labels[0][1]): row for row, n in enumerate(kept.names)},
        open={minute: dict(counts) for minute, counts in kept.open},
        gauges=set(kept.gauges),
        done=kept.done,
    )
    sketches = {minute: {row: Sketch(dict(counts)) for row, counts in rows} for minute, rows in kept.sketches}
    return Spans(
        watch.tenant, watch, minutes, sketches, dict(kept.seen), dict(kept.edges), kept.new_edges, kept.since_ms,
        kept.named, kept.newest_ms, again_newcomers(kept.newcomers), dict(kept.open_paths),
    )  # fmt: skip
