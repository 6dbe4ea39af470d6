"""How well templates are found on labelled lines, and how many lines a second one core takes.

The four figures are those of LogPub and LogBatcher, against the corrected templates of LogHub-2k:

* GA: share of lines whose group is exactly the group of their template; FGA: the same by groups, as F1;
* PA: share of lines whose template's text is exactly right; FTA: share of groups that are right in both, as F1.

Texts are compared as they are; only blanks that follow each other count as one. Lines come in order, 100 at a time, and
each keeps the id it was given then; what the id belongs to at the end is scored, as a store would answer it.

Sources: Z. A. Khan et al., Guidelines for Assessing the Accuracy of Log Message Template Identification Techniques,
ICSE 2022 (PA, FTA, the corrected templates); Z. Jiang et al., A Large-Scale Evaluation for Log Parsing Techniques
(LogPub), ISSTA 2024 (FGA); Y. Xiao et al., LogBatcher, ASE 2024; J. Zhu et al., Loghub, ISSRE 2023 (the lines).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cerebro.algorithms.templates.mine import Miner, mine, resolve
from cerebro.cli.bench.figure import Figure
from cerebro.cli.out import say
from cerebro.kernel.settings import datasets_dir

BATCH_LINES = 100
SPEED_REPEATS = 10
RESAMPLES = 1000
NAMES = ("GA", "FGA", "PA", "FTA")
FLOORS, GOALS = (0.85, 0.75, 0.40, 0.35), (0.95, 0.90, 0.70, 0.60)
SPEED_FLOOR, SPEED_GOAL = 100_000.0, 500_000.0
Scores = tuple[float, float, float, float]


def run(part: str = "") -> list[Figure]:
    """The figures, means over the systems; empty where the set is not here."""
    root = datasets_dir()
    found = dict(systems(root / "aiops", part)) if root else {}
    if not found:
        return []
    each = {name: score(*columns) for name, columns in sorted(found.items())}
    means, (low, high) = np.mean(list(each.values()), axis=0), interval(list(each.values()))
    _show(each, means.tolist(), low, high)
    figures = [
        Figure(f"loghub_2k {name}", round(float(mean), 4), "", floor, goal)
        for name, mean, floor, goal in zip(NAMES, means, FLOORS, GOALS, strict=True)
    ]
    lines = [line for content, _ in found.values() for line in content]
    return [*figures, Figure("template_lines_per_core", round(speed(lines)), "1/s", SPEED_FLOOR, SPEED_GOAL)]


def systems(root: Path, part: str) -> Iterator[tuple[str, tuple[list[str], list[str]]]]:
    """Each system's lines and templates, from every part folder or the one named."""
    for folder in sorted((root / "loghub_2k").glob("*")):
        if not folder.is_dir() or part not in ("", folder.name):
            continue
        columns = pq.read_table(folder / "logs.parquet", columns=["dataset", "content", "template_corrected"])
        rows: dict[str, tuple[list[str], list[str]]] = {}
        for name, line, template in zip(*(column.to_pylist() for column in columns.columns), strict=True):
            lines, templates = rows.setdefault(name, ([], []))
            lines.append(line or "")
            templates.append(" ".join((template or "").split()))
        yield from rows.items()


def score(lines: Sequence[str], templates: Sequence[str]) -> Scores:
    """GA, FGA, PA, FTA of one system."""
    found = found_in(lines)
    groups, truths = _members(found), _members(templates)
    right = {frozenset(members) for members in truths.values()}
    grouped = [members for members in groups.values() if frozenset(members) in right]
    exact = sum(got == wanted for got, wanted in zip(found, templates, strict=True))
    whole = sum({templates[at] for at in members} == {text} for text, members in groups.items())
    return (
        sum(map(len, grouped)) / len(lines),
        2 * len(grouped) / (len(groups) + len(truths)),
        exact / len(lines),
        2 * whole / (len(groups) + len(truths)),
    )


def found_in(lines: Sequence[str]) -> list[str]:
    """The template's text of each line, once all have been seen."""
    miner, ids = Miner(), []
    for start in range(0, len(lines), BATCH_LINES):
        batch = pa.array(lines[start : start + BATCH_LINES], pa.string())
        ids += mine(miner, batch, start).tolist()
    texts = {template.id: template.text for template in miner.templates}
    last = {each: resolve(miner, each) for each in set(ids)}
    return [texts[last[each]] for each in ids]


def speed(lines: Sequence[str]) -> float:
    """Lines a second of processor time, of all systems mixed, once their skeletons are known."""
    miner, batch = Miner(), pa.array(list(lines) * SPEED_REPEATS, pa.string())
    mine(miner, batch)
    rounds = []
    for _ in range(3):
        begun = process_time()
        mine(miner, batch)
        rounds.append(len(batch) / (process_time() - begun))
    return float(np.median(rounds))


def interval(each: Sequence[Scores], seed: int = 1) -> tuple[list[float], list[float]]:
    """95 % of the means when systems are drawn again with replacement: bootstrap percentiles."""
    values: NDArray[np.float64] = np.array(each)
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5], axis=0)
    return low.tolist(), high.tolist()


def _members(texts: Sequence[str]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(texts):
        members[text].append(at)
    return members


def _show(each: dict[str, Scores], means: list[float], low: list[float], high: list[float]) -> None:
    say("| system | GA | FGA | PA | FTA |")
    say("|---|---:|---:|---:|---:|")
    for name, values in each.items():
        say(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    ranges = (f"{mean:.3f} ({a:.3f} … {b:.3f})" for mean, a, b in zip(means, low, high, strict=True))
    say("| mean (95 %) | " + " | ".join(ranges) + " |")
