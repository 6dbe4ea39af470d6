"""How well strange sessions are told from ordinary ones, by the sequence of their log templates.

The sessions of the `train` rows are learned, as they would be in the first days of a system; then each of the others is
scored. Beside it stand two simple baselines of the review that published the sets: how many events are new, and the
distance to the nearest count vector. F1 is not reported, since it says little with these shares of abnormal sessions
(in Hadoop flagging all of them gives 0.92); the area under the ROC curve is, and recall where 1 % of the ordinary are
flagged.

Source: M. Landauer et al., A Critical Review of Common Log Data Sets Used for Evaluation of Sequence-Based Anomaly
Detection Techniques, FSE 2024 (sets and baselines).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cerebro.algorithms.templates.sequences import Sequences, learn, strangeness
from cerebro.cli.bench.figure import Figure
from cerebro.cli.out import say
from cerebro.kernel.settings import datasets_dir

RESAMPLES = 300
FALSE_SHARE = 0.01
VECTORS_MAX = 500  # distinct count vectors of the training sessions that the baseline keeps


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions as sequences of template ids: those to learn, and those to score with what they are."""

    train: list[list[int]]
    test: list[list[int]]
    abnormal: NDArray[np.bool_]


def run(part: str = "") -> list[Figure]:
    """Area and recall of each set; the floor is the better of the two baselines less 0.02, the goal the baseline."""
    root, figures = datasets_dir(), []
    say("| set | sessions | abnormal | area (95 %) | new events | count vectors | recall at 1 % | new | counts |")
    say("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, sessions in (_sets(root / "aiops" / "log_sequences", part) if root else {}).items():
        columns = [ours(sessions), new_events(sessions), count_vectors(sessions)]
        areas = [area(scores, sessions.abnormal) for scores in columns]
        recalls = [recall(scores, sessions.abnormal) for scores in columns]
        low, high = interval(columns[0], sessions.abnormal)
        said = [f"{areas[0]:.3f} ({low:.3f} … {high:.3f})", *(f"{each:.3f}" for each in [*areas[1:], *recalls])]
        say(f"| {name} | {len(sessions.test)} | {sessions.abnormal.mean():.2f} | " + " | ".join(said) + " |")
        best = max(areas[1:])
        figures.append(Figure(f"{name} AUC", round(areas[0], 4), "", round(best - 0.02, 4), round(best, 4)))
        best = max(recalls[1:])
        figures.append(Figure(f"{name} recall at 1 %", round(recalls[0], 4), "", round(best - 0.02, 4), round(best, 4)))
    return figures


def ours(sessions: Sessions) -> NDArray[np.float64]:
    """Strangeness of each session after the training ones were learned."""
    known = Sequences()
    for events in sessions.train:
        learn(known, events)
    return np.array([strangeness(known, events) for events in sessions.test])


def new_events(sessions: Sessions) -> NDArray[np.float64]:
    """How many events of a session are of a type that no training session had."""
    known = {event for events in sessions.train for event in events}
    return np.array([float(sum(event not in known for event in events)) for events in sessions.test])


def count_vectors(sessions: Sessions) -> NDArray[np.float64]:
    """Distance to the nearest count vector of a training session: differing counts as a share of both sums."""
    known = [dict(each) for each in {frozenset(Counter(events).items()) for events in sessions.train}][:VECTORS_MAX]
    cache: dict[frozenset[tuple[int, int]], float] = {}
    scores = []
    for events in sessions.test:
        counts = Counter(events)
        key = frozenset(counts.items())
        if key not in cache:
            cache[key] = min(_apart(counts, each) for each in known)
        scores.append(cache[key])
    return np.array(scores)


def area(scores: NDArray[np.float64], abnormal: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that an abnormal session scores above an ordinary one, ties half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(abnormal.sum())
    negative = len(scores) - positive
    if positive == 0 or negative == 0:
        return float("nan")
    return float((ranks[abnormal].sum() - positive * (positive + 1) / 2) / (positive * negative))


def recall(scores: NDArray[np.float64], abnormal: NDArray[np.bool_]) -> float:
    """Share of abnormal sessions above the score that at most 1 % of the ordinary ones exceed."""
    ordinary = np.sort(scores[~abnormal])[::-1]
    limit = ordinary[min(int(FALSE_SHARE * len(ordinary)), len(ordinary) - 1)]
    return float((scores[abnormal] > limit).mean())


def interval(scores: NDArray[np.float64], abnormal: NDArray[np.bool_], seed: int = 1) -> tuple[float, float]:
    """95 % of the area when sessions are drawn again with replacement."""
    chance = np.random.default_rng(seed)
    drawn = (chance.integers(0, len(scores), len(scores)) for _ in range(RESAMPLES))
    low, high = np.nanpercentile([area(scores[each], abnormal[each]) for each in drawn], [2.5, 97.5])
    return float(low), float(high)


def _apart(one: dict[int, int], other: dict[int, int]) -> float:
    differing = sum(abs(one.get(event, 0) - other.get(event, 0)) for event in one.keys() | other.keys())
    return differing / max(sum(one.values()) + sum(other.values()), 1)


def _sets(root: Path, part: str) -> dict[str, Sessions]:
    found: dict[str, list[dict[str, list[object]]]] = {}
    for file in sorted(root.glob("*/*.parquet")):
        if part in ("", file.parent.name):
            found.setdefault(file.stem, []).append(pq.read_table(file).to_pydict())
    return {name: _sessions(tables) for name, tables in found.items()}


def _sessions(tables: Sequence[dict[str, list[object]]]) -> Sessions:
    train: dict[str, list[int]] = {}
    test: dict[str, tuple[list[int], bool]] = {}
    for table in tables:
        for split, key, label, events in zip(
            *(table[name] for name in ("split", "key", "label", "events")), strict=True
        ):
            if split == "train":
                train[str(key)] = list(events)
            else:
                test[str(key)] = (list(events), bool(label))
    return Sessions(list(train.values()), [each for each, _ in test.values()], np.array([a for _, a in test.values()]))
