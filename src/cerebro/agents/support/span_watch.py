"""Everything the agent does with one batch of spans of one tenant, in order, without waiting for anything.

Of every operation of an entity, and of every edge between two entities, stand by the minute: how many, how many failed,
how long (the 95th percentile of a sketch), and how long without what they waited for. These series are judged by
the detector that judges metrics, within a part of the noise budget. An edge or an operation that stops is a count that
falls to nothing; one that is new has no past, and is told by `novelty`, as are new paths of errors (`newcomers`).

A child is found by its parent among the spans of one batch, and for a while among those that came before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
    entity = _coded(table, "entity_kind", "entity_name")
    operation = _coded(table, "entity_kind", "entity_name", "name")
    whose = [((kind, name), said) for kind, name, said in operation.names]
    _count(spans, whose, operation.code, (REQUESTS, FAILED), at_ms, failed)
    _measure(spans, whose, operation.code, DURATION, at_ms, took_s)
    ids, parents = (table.column(name).to_pylist() for name in ("span_id", "parent_span_id"))
    above = _parents(spans, ids, parents, entity)
    _measure(spans, whose, operation.code, EXCLUSIVE, at_ms, _exclusive(table, took_s))
    spans.since_ms = spans.since_ms or int(at_ms.min())
    spans.newest_ms = max(spans.newest_ms, int(at_ms.max()))
    findings = _edges(spans, entity, above, at_ms, failed)
    at = (whose[k] for k in operation.code.tolist())
    ways = [Way(of, said, parent) for (of, said), parent in zip(at, parents, strict=True)]
    findings += _news(spans, operation, (ids, ways, table.column("trace_id")), at_ms, failed)
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


@dataclass(frozen=True, slots=True)
class _Coded:
    """A number for each row, int64, and what each number stands for; in the order of first appearance."""

    code: NDArray[np.int64]
    names: list[tuple[str, ...]]
    first: NDArray[np.int64]  # the first row of each


def _coded(table: pa.Table, *columns: str) -> _Coded:
    """What the columns say together, each different thing once."""
    parts = [table.column(name).combine_chunks().dictionary_encode() for name in columns]
    code = np.zeros(table.num_rows, np.int64)
    for part in parts:
        code = code * len(part.dictionary) + part.indices.to_numpy()
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first = first[order]
    told = [part.take(pa.array(first)).to_pylist() for part in parts]
    return _Coded(place[code], list(zip(*told, strict=True)), first)


def _rows(
    spans: Spans, whose: Sequence[tuple[Entity, str]], metric: str, unit: str, *, is_gauge: bool = False
) -> NDArray[np.int64]:
    """The series of each operation."""
    found = [series_of(spans.minutes, of, metric, said[:200], unit, is_gauge=is_gauge) for of, said in whose]
    return np.array(found, np.int64)


def _count(  # noqa: PLR0917
    spans: Spans, whose: Sequence[tuple[Entity, str]], code: NDArray[np.int64], metrics: tuple[str, str],
    at_ms: NDArray[np.int64], failed: NDArray[np.bool_],
) -> None:  # fmt: skip
    for metric, unit, counted in ((metrics[0], "{request}", None), (metrics[1], "{error}", failed)):
        rows = _rows(spans, whose, metric, unit)[code]
        value = np.ones(len(rows)) if counted is None else counted.astype(np.float64)
        found = different(rows, at_ms // MINUTE_MS)
        totals = np.bincount(found.inverse, value)
        for row, minute, total in zip(*found.columns.tolist(), totals.tolist(), strict=True):
            add(spans.minutes, minute * MINUTE_MS, row, total)


def _measure(  # noqa: PLR0917
    spans: Spans, whose: Sequence[tuple[Entity, str]], code: NDArray[np.int64], metric: str,
    at_ms: NDArray[np.int64], took_s: NDArray[np.float64],
) -> None:  # fmt: skip
    rows = _rows(spans, whose, metric, "s", is_gauge=True)[code]
    minute = np.maximum(at_ms // MINUTE_MS, spans.minutes.done + 1)
    found = different(minute, rows, buckets_of(took_s))
    for at, row, bucket, count in zip(*found.columns.tolist(), found.counts.tolist(), strict=True):
        if row >= 0:
            fill(spans.sketches.setdefault(at, {}).setdefault(row, Sketch()), bucket, count)


def _parents(spans: Spans, ids: Sequence[str], parents: Sequence[str], entity: _Coded) -> list[Entity | None]:
    """The entity of each span's parent, where it is known."""
    names = [(kind, name) for kind, name in entity.names]
    spans.seen.update(zip(ids, [names[k] for k in entity.code.tolist()], strict=True))
    for old in list(islice(spans.seen, max(0, len(spans.seen) - SEEN_MAX))):
        del spans.seen[old]
    seen = spans.seen
    return [seen.get(parent) if parent else None for parent in parents]


def _exclusive(table: pa.Table, took_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each span's time less that of its children in the batch, at least 0; children that overlap count once each."""
    ids, parents = (table.column(name).combine_chunks() for name in ("span_id", "parent_span_id"))
    newest_first = ids.take(pa.array(np.arange(len(ids))[::-1]))  # of two spans of one id, the later one
    at = pc.fill_null(pc.index_in(parents, value_set=newest_first), -1).to_numpy()
    children = np.flatnonzero((at >= 0) & np.asarray(pc.not_equal(parents, "")))
    waited = np.bincount(len(ids) - 1 - at[children], took_s[children], len(ids))
    return np.maximum(took_s - waited, 0.0)


def _edges(
    spans: Spans, entity: _Coded, parent: list[Entity | None], at_ms: NDArray[np.int64], failed: NDArray[np.bool_]
) -> list[Finding]:
    """Count calls between entities; an edge that nobody has seen is told when new edges are rare."""
    names = [(kind, name) for kind, name in entity.names]
    pairs: dict[tuple[Entity, Entity], int] = {}
    crossing, code = [], []
    for k, (source, at) in enumerate(zip(parent, entity.code.tolist(), strict=True)):
        if source is not None and source != (target := names[at]):
            crossing.append(k)
            code.append(pairs.setdefault((source, target), len(pairs)))
    if not crossing:
        return []
    rows = np.array(code, np.int64)
    whose = [(source, "/".join(target)) for source, target in pairs]
    _count(spans, whose, rows, (EDGE_REQUESTS, EDGE_FAILED), at_ms[crossing], failed[crossing])
    findings = []
    for (source, target), first in zip(pairs, np.unique(rows, return_index=True)[1].tolist(), strict=True):
        moment = int(at_ms[crossing[first]])
        if (source, target) in spans.edges or len(spans.edges) >= EDGES_MAX:
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
    spans: Spans, operation: _Coded, told: tuple[list[str], list[Way], pa.ChunkedArray], at_ms: NDArray[np.int64],
    failed: NDArray[np.bool_],
) -> list[Finding]:  # fmt: skip
    """Note operations, and the paths along which errors run; what is new, and may be told."""
    ids, ways, traces = told
    note_ways(spans.newcomers, ids, ways, int(at_ms.min()))
    seen: dict[tuple[str, Entity, str], _Seen] = {}
    counts = np.bincount(operation.code)
    last = np.zeros(len(counts), np.int64)
    last[operation.code] = np.arange(len(operation.code))  # of one place the newest is written last
    places = (_Seen(*each) for each in zip(operation.first.tolist(), last.tolist(), counts.tolist(), strict=True))
    for (kind, name, said), rows in zip(operation.names, places, strict=True):
        _see(seen, ("new_operation", (kind, name), said[:200]), rows)
    begun = origins(ids, ways, np.flatnonzero(failed).tolist())
    paths = [(ways[k].entity, path_to(spans.newcomers, ways[k])) for k in begun]
    _count_paths(spans, paths, at_ms[begun])
    for k, (entity, path) in zip(begun, paths, strict=True):
        _see(seen, ("error_path", entity, path), _Seen(k, k, 1))
    findings = []
    unit = spans.watch.budget.newcomer_unit
    for (what, entity, text), rows in seen.items():
        newcomer = Newcomer(entity, int(at_ms[rows.first]), sample=traces[rows.last].as_py())
        if (news := note(spans.newcomers, (what, text), newcomer, rows.times, unit)) is None or text in spans.open:
            continue
        spans.new_edges += news.weekly
        findings.append(newcomer_finding(spans.tenant, news, newcomer.first_ms))
        admit(spans.watch, findings[-1], -1, urgent=False)
        if what == "error_path":
            spans.open[text] = findings[-1]
    return findings


class _Seen(NamedTuple):
    """In which rows something was: the first, the last, how many."""

    first: int
    last: int
    times: int


def _see(seen: dict[tuple[str, Entity, str], _Seen], what: tuple[str, Entity, str], rows: _Seen) -> None:
    before = seen.get(what)
    if before is not None:
        rows = _Seen(min(before.first, rows.first), max(before.last, rows.last), before.times + rows.times)
    seen[what] = rows


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
