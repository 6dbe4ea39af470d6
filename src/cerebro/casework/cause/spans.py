"""Spans into what a picture keeps of them: own times, whose errors they are, what calls what, and how often.

Source of own time: B. H. Sigelman et al., Dapper, a Large-Scale Distributed Systems Tracing Infrastructure, Google
2010; of judging services by it: G. Yu et al., MicroRank: End-to-End Latency Issue Localization with Extended Spectrum
Analysis in Microservice Environments, WWW 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.rows import different
from cerebro.casework.cause.grid import coded
from cerebro.casework.cause.picture import NOBODY, Tallies, Times, joined_tallies
from cerebro.casework.cause.words import PATIENCE

Whole = NDArray[np.int64]
SHORTEST_MS = 0.05  # own times below are the clock's, not the program's
DEPTH_MAX = 16  # calls below one another that are followed
CLIENT_SHARE = 0.5  # of an operation's spans that have one child elsewhere: from here on it is a call


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of one stretch of time in columns, each once; `parent` is a row, or −1.

    Args:
        cancelled: Which of the failed ones ended because their callers gave up.
        peer: An entity that the span's own attributes name as the one asked; `NOBODY` when they do not.
        weight: How many spans each stands for where traces were sampled.
    """

    entity: NDArray[np.int32]
    operation: NDArray[np.object_]
    parent: Whole
    duration_ms: NDArray[np.float64]
    failed: NDArray[np.bool_]
    cancelled: NDArray[np.bool_]
    peer: NDArray[np.int32]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.entity)

    @classmethod
    def of(
        cls,
        *,
        entity: NDArray[np.int32],
        operation: NDArray[np.object_],
        span: NDArray[np.generic],
        parent: NDArray[np.generic],
        duration_ms: NDArray[np.float64],
        failed: NDArray[np.bool_],
        cancelled: NDArray[np.bool_] | None = None,
        peer: NDArray[np.int32] | None = None,
        weight: NDArray[np.float64] | None = None,
    ) -> "Spans":
        """From ids, in any order; of spans that came twice the first is kept."""
        names, first = np.unique(span, return_index=True)
        place = np.searchsorted(names, parent[first])
        place = np.clip(place, 0, max(len(names) - 1, 0))
        has = names[place] == parent[first] if len(names) else np.zeros(0, np.bool_)
        return cls(
            entity[first],
            operation[first],
            np.where(has & (place != np.arange(len(names))), place, -1).astype(np.int64),
            np.where(np.isfinite(duration_ms[first]), duration_ms[first], 0.0),
            failed[first],
            (failed & cancelled)[first] if cancelled is not None else np.zeros(len(first), np.bool_),
            peer[first] if peer is not None else np.full(len(first), NOBODY, np.int32),
            weight[first] if weight is not None else np.ones(len(first)),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What the spans of two stretches tell."""

    times: Times
    tallies: Tallies
    calls: tuple[tuple[int, int], ...]  # who called whom, by entity


def summarised(before: Spans, during: Spans, entity_count: int) -> Summary:
    """Compare two stretches, operation by operation."""
    operations, both = coded(np.concatenate([before.operation, during.operation]))
    size = max(len(operations), 1)
    before, during = _excused(before, during, both)
    first = _Told.of(before, both[: len(before)], size)
    second = _Told.of(during, both[len(before) :], size)
    peers = _peers(np.concatenate([first.key, second.key]), np.concatenate([first.remote, second.remote]))
    return Summary(
        times=_times(first, second, peers, operations, size),
        tallies=joined_tallies([_errors(first, second, operations, size), _branches(first, second, operations, size)]),
        calls=tuple(sorted(first.calls | second.calls)),
    )


def _excused(before: Spans, during: Spans, operation: Whole) -> tuple[Spans, Spans]:
    """Both, where what a caller gave up early has not failed, nor anything that was asked for it.

    Early is after no longer than `PATIENCE` times what is usual: who has waited for longer had reason to give up.
    """
    if not (before.cancelled.any() or during.cancelled.any()):
        return before, during
    calm = ~before.failed
    key = np.concatenate([before.entity, during.entity]).astype(np.int64) * (int(operation.max(initial=0)) + 1)
    _, code = np.unique(key + operation, return_inverse=True)
    size, ours = int(code.max(initial=0)) + 1, code[: len(before)][calm]
    total = np.bincount(ours, weights=before.duration_ms[calm], minlength=size)
    usual_ms = total / np.maximum(np.bincount(ours, minlength=size), 1)
    parts = ((before, code[: len(before)]), (during, code[len(before) :]))
    first, second = (_forgiven(spans, PATIENCE * usual_ms[which]) for spans, which in parts)
    return first, second


def _forgiven(spans: Spans, patience_ms: NDArray[np.float64]) -> Spans:
    early = spans.cancelled & (spans.duration_ms <= patience_ms)
    late = spans.cancelled & ~early
    above = np.where(spans.parent >= 0, spans.parent, 0)
    for _ in range(DEPTH_MAX):
        inherited = late & (spans.parent >= 0) & early[above]
        if not inherited.any():
            break
        early, late = early | inherited, late & ~inherited
    return replace(spans, failed=spans.failed & ~early)


@dataclass(frozen=True, slots=True)
class _Told:
    """The spans of one stretch with what follows from their children."""

    spans: Spans
    key: Whole  # entity and operation in one number
    own_ms: NDArray[np.float64]
    remote: Whole  # the one entity elsewhere that its children are of; −1 for none, −2 for several
    own_failed: NDArray[np.bool_]
    edge_failed: NDArray[np.bool_]  # failed on the way: it asked elsewhere, where nothing failed or nothing is told

    @classmethod
    def of(cls, spans: Spans, operation: Whole, size: int) -> "_Told":
        count = len(spans)
        child = np.flatnonzero(spans.parent >= 0)
        parent = spans.parent[child]
        inner_ms = np.bincount(parent, weights=spans.duration_ms[child], minlength=count)
        failing = np.bincount(parent, weights=spans.failed[child].astype(float), minlength=count) > 0
        away = spans.entity[child] != spans.entity[parent]
        low = np.full(count, np.iinfo(np.int64).max)
        high = np.full(count, -1)
        np.minimum.at(low, parent[away], spans.entity[child[away]])
        np.maximum.at(high, parent[away], spans.entity[child[away]])
        remote = np.where(high < 0, np.where(spans.peer >= 0, spans.peer, -1), np.where(low == high, high, -2))
        return cls(
            spans,
            spans.entity.astype(np.int64) * size + operation,
            np.maximum(spans.duration_ms - inner_ms, 0.0),
            remote.astype(np.int64),
            spans.failed & ~failing,
            spans.failed & ~failing & (remote >= 0),
        )

    @property
    def calls(self) -> set[tuple[int, int]]:
        """Who called whom."""
        has, child = self.remote >= 0, np.flatnonzero(self.spans.parent >= 0)
        source = np.concatenate([self.spans.entity[has], self.spans.entity[self.spans.parent[child]]])
        target = np.concatenate([self.remote[has], self.spans.entity[child]])
        return {(a, b) for a, b in different(source, target).columns.T.tolist() if a != b}


def _peers(key: Whole, remote: Whole) -> dict[int, int]:
    """The operations that are calls, with whom they call."""
    keys, inverse, total = np.unique(key, return_inverse=True, return_counts=True)
    has = remote >= 0
    count = np.bincount(inverse[has], minlength=len(keys))
    low = np.full(len(keys), np.iinfo(np.int64).max)
    high = np.full(len(keys), -1)
    np.minimum.at(low, inverse[has], remote[has])
    np.maximum.at(high, inverse[has], remote[has])
    calls = (count >= CLIENT_SHARE * total) & (low == high)
    return {int(k): int(p) for k, p in zip(keys[calls], high[calls], strict=True)}


def _times(first: _Told, second: _Told, peers: dict[int, int], operations: Sequence[str], size: int) -> Times:
    keys = np.unique(np.concatenate([first.key, second.key]))
    then, now = _moments(keys, first), _moments(keys, second)
    entity = (keys // size).astype(np.int32)
    peer = np.array([peers.get(int(key), NOBODY) for key in keys], np.int32)
    peer = np.where(peer == entity, NOBODY, peer).astype(np.int32)
    return Times(entity, peer, _words(keys, operations, size), *then, *now)


def _moments(keys: Whole, told: _Told) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, spread and count of the log of own times, by key; of sampled spans the count that says as much."""
    row = np.searchsorted(keys, told.key)
    log = np.log(np.maximum(told.own_ms, SHORTEST_MS))
    count, weight = _effective(row, told.spans.weight, len(keys))
    mean = np.bincount(row, weights=log * weight, minlength=len(keys)) / np.maximum(count, 1)
    square = np.bincount(row, weights=weight * (log - mean[row]) ** 2, minlength=len(keys)) / np.maximum(count - 1, 1)
    return mean, np.sqrt(square), count


def _effective(row: Whole, weight: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By key, how many evenly drawn spans would say as much, and each span's part of them.

    Spans that stand for many are unbiased but say less than as many spans; a test that took the sum of their weights
    for a count would be too sure. Source: L. Kish, Survey Sampling, 1965.
    """
    total = np.bincount(row, weights=weight, minlength=count)
    square = np.bincount(row, weights=weight**2, minlength=count)
    size: NDArray[np.float64] = np.where(square > 0, total**2 / np.maximum(square, 1e-300), 0.0)
    return size, weight * (size / np.maximum(total, 1e-300))[row]


def _errors(first: _Told, second: _Told, operations: Sequence[str], size: int) -> Tallies:
    """Failures of its own by operation, and failed calls by peer."""
    keys = np.unique(np.concatenate([first.key, second.key]))
    counts = [
        column
        for told in (first, second)
        for column in _hits(keys, told.key, told.own_failed & (told.remote < 0), told.spans.weight)
    ]
    own = _tallies("error", keys // size, np.full(len(keys), NOBODY), _words(keys, operations, size), counts)
    has1, has2 = first.remote >= 0, second.remote >= 0
    scale = int(max(first.spans.entity.max(initial=0), second.spans.entity.max(initial=0), 0)) + 1
    scale = max(scale, int(max(first.remote.max(initial=0), second.remote.max(initial=0))) + 1)
    edge1 = first.spans.entity[has1].astype(np.int64) * scale + first.remote[has1]
    edge2 = second.spans.entity[has2].astype(np.int64) * scale + second.remote[has2]
    edges = np.unique(np.concatenate([edge1, edge2]))
    counts = [
        *_hits(edges, edge1, first.edge_failed[has1], first.spans.weight[has1]),
        *_hits(edges, edge2, second.edge_failed[has2], second.spans.weight[has2]),
    ]
    words = tuple("calls" for _ in edges)
    return joined_tallies([own, _tallies("call", edges // scale, edges % scale, words, counts)])


def _hits(
    keys: Whole, key: Whole, hit: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    row = np.searchsorted(keys, key)
    of, part = _effective(row, weight, len(keys))
    return np.bincount(row, weights=hit * part, minlength=len(keys)).astype(np.float64), of


def _branches(first: _Told, second: _Told, operations: Sequence[str], size: int) -> Tallies:
    """How often an operation leads to another one: a way through the program that has appeared or gone.

    Source: P. Liu et al., Unsupervised Detection of Microservice Trace Anomalies through Service-Level Deep Bayesian
    Networks, ISSRE 2020 (call paths as a feature).
    """
    parts = [_paths(told) for told in (first, second)]
    span = int(max((part[0].max(initial=0) for part in parts), default=0)) + 1
    scale = max(span, int(max((part[1].max(initial=0) for part in parts), default=0)) + 1)
    codes = [parent * scale + child for parent, child, _, _ in parts]
    keys = np.unique(np.concatenate(codes))
    counts: list[NDArray[np.float64]] = []
    for code, (_, _, part, totals) in zip(codes, parts, strict=True):
        names, total = totals
        hits = np.bincount(np.searchsorted(keys, code), weights=part, minlength=len(keys)).astype(np.float64)
        place = np.clip(np.searchsorted(names, keys // scale), 0, max(len(names) - 1, 0))
        known = (names[place] == keys // scale) if len(names) else np.zeros(len(keys), np.bool_)
        counts += [hits, np.where(known, total[place] if len(names) else 0, 0).astype(np.float64)]
    above, below = keys // scale, keys % scale
    words = tuple(
        f"{a} → {b}" for a, b in zip(_words(above, operations, size), _words(below, operations, size), strict=True)
    )
    return _tallies("branch", above // size, np.full(len(keys), NOBODY), words, counts)


def _paths(told: _Told) -> tuple[Whole, Whole, NDArray[np.float64], tuple[Whole, NDArray[np.float64]]]:
    """Parent and child keys, each pair once a parent span with what it counts; how many spans each parent key has.

    Of those that were answered: a way that failing has cut short tells no more than that it failed.
    """
    whole = ~(told.spans.failed | told.spans.cancelled)
    child = np.flatnonzero(told.spans.parent >= 0)
    child = child[whole[told.spans.parent[child]]]
    parent = told.spans.parent[child]
    pairs = different(parent, told.key[child]).columns
    names, row = np.unique(told.key[whole], return_inverse=True)
    total, part = np.zeros(len(names)), np.zeros(len(told.spans))
    total, part[whole] = _effective(row, told.spans.weight[whole], len(names))
    return told.key[pairs[0]], pairs[1], part[pairs[0]], (names, total)


def _words(keys: Whole, operations: Sequence[str], size: int) -> tuple[str, ...]:
    return tuple(operations[key % size] for key in keys)


def _tallies(
    kind: str, entity: Whole, peer: Whole, text: tuple[str, ...], counts: Sequence[NDArray[np.float64]]
) -> Tallies:
    return Tallies(
        entity.astype(np.int32),
        peer.astype(np.int32),
        (kind,) * len(text),
        text,
        np.zeros(len(text), np.int8),
        counts[0],
        counts[1],
        counts[2],
        counts[3],
    )
