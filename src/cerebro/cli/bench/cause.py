"""`python -m cerebro.cli.bench.cause [--part NAME] [--set NAME] [--json FILE]`: the causes of public incidents.

One configuration for all sets. Every part folder that is present is read, or the one that is named.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from cerebro.casework.cause.changed import blamed
from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.diagnose import NOBODY_KNOWN, diagnose, ranking
from cerebro.casework.cause.fuse import fuse
from cerebro.cli.bench import cause_changerca, cause_nezha, cause_petshop, cause_sockshop, cause_speed
from cerebro.cli.bench.cause_case import Question, Source
from cerebro.cli.bench.cause_incidents import Incident, incidents
from cerebro.cli.bench.figure import Figure
from cerebro.cli.out import complain, failures, say
from cerebro.kernel.settings import datasets_dir
from cerebro.spine.errors import Invalid

SOURCES: Mapping[str, Source] = {
    "petshop": cause_petshop.questions,
    "nezha": cause_nezha.questions,
    "rcd_sockshop": cause_sockshop.questions,
    "changerca": cause_changerca.questions,
}
RESAMPLES, SEED = 2000, 1
BINS = 10
NEVER = 10_000
# What is asked and wanted of each set: metric, floor, goal.
ASKED: Mapping[tuple[str, str], Sequence[tuple[str, float, float]]] = {
    ("petshop", ""): (("top-1", 0.75, 0.90), ("top-3", 0.85, 1.00)),
    ("nezha", "train_ticket"): (("top-1", 0.60, 0.90), ("top-3", 0.80, 0.98), ("top-5", 0.90, 1.00)),
    ("nezha", "online_boutique"): (("top-1", 0.50, 0.70), ("top-3", 0.70, 0.85), ("top-5", 0.80, 0.95)),
    ("rcd_sockshop", ""): (("avg@5", 0.98, 1.00),),
    ("changerca", ""): (("top-1", 0.85, 0.95), ("top-3", 1.00, 1.00)),
}
METRICS: Mapping[str, Callable[[int], float]] = {
    "top-1": lambda rank: float(rank <= 1),
    "top-3": lambda rank: float(rank <= 3),
    "top-5": lambda rank: float(rank <= 5),
    "avg@5": lambda rank: sum(rank <= k for k in range(1, 6)) / 5,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was made of one question."""

    set: str
    system: str
    name: str
    fault: str
    truth: str
    rank: int  # of the truth; `NEVER` when it is no entity at all
    first: str
    shares: tuple[tuple[float, bool], ...]  # of the named causes, and whether each is right
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    metric: str
    count: int
    value: float
    low: float
    high: float


def run(part: str = "") -> list[Figure]:
    """The figures that were asked for, and the speed of a diagnosis."""
    answers = answers_of(part)
    figures = []
    for (name, system), metrics in ASKED.items():
        mine = [each for each in answers if each.set == name and system in ("", each.system)]
        for metric, floor, goal in metrics:
            if mine:
                row = rated(f"{name} {system}".strip(), metric, mine)
                figures.append(Figure(f"cause {row.name} {metric}", round(row.value, 4), "", floor, goal))
    if told := incidents_of(part):
        passed, decoyed = sum(each.passed for each in told), sum(each.decoyed for each in told)
        mended = sum(each.remedy == each.remedy_truth for each in told)
        count = len(told)
        figures += [
            Figure("cause rootcausebench passed", passed / count, "", round(5 / 12, 4), 0.75),
            Figure("cause rootcausebench decoys", decoyed / count, "", round(1 / 12, 4), 0.0),
            Figure("cause rootcausebench remedy right", mended / count, "", 0.0, 0.75),
        ]
    figures.append(Figure("cause shares, expected calibration error", round(calibration(answers), 4), "", 0.15, 0.05))
    return figures + cause_speed.run()


def answers_of(part: str = "", only: str = "") -> list[Answer]:
    """Diagnose every incident under the folder that `CEREBRO_DATASETS` names.

    Raises:
        Invalid: It names none, or nothing lies there.
    """
    if (root := datasets_dir()) is None:
        raise Invalid("CEREBRO_DATASETS names no folder.", "docs/reference/root-cause.md says where the sets are.")
    found: list[Answer] = []
    for name, source in SOURCES.items():
        folder = root / "aiops" / name
        if (only and name != only) or not folder.is_dir():
            continue
        for each in sorted(folder.iterdir()):
            if each.is_dir() and part in ("", each.name):
                complain(f"{name} {each.name} …")
                found += [answered(question) for question in source(each)]
    if not found:
        raise Invalid(f"No set lies under {root}.", "docs/reference/root-cause.md says how the folder looks.")
    return found


def incidents_of(part: str = "") -> list[Incident]:
    """Every incident of RootCauseBench that lies there."""
    root = datasets_dir()
    folder = root / "aiops" / "rootcausebench" if root else None
    if folder is None or not folder.is_dir():
        return []
    parts = [each for each in sorted(folder.iterdir()) if each.is_dir() and part in ("", each.name)]
    return [found for each in parts for found in incidents(each)]


def told_of(told: Sequence[Incident]) -> list[str]:
    """The table of RootCauseBench."""
    lines = ["| incident | named | right | remedy | right |", "|---|---|---|---|---|"]
    for each in told:
        verdict = "yes" if each.passed else "decoy" if each.decoyed else "no"
        mended = "yes" if each.remedy == each.remedy_truth else f"no, {each.remedy_truth}"
        lines.append(f"| {each.name} | {each.commit[:8]} | {verdict} | {each.remedy} | {mended} |")
    passed, decoyed = sum(each.passed for each in told), sum(each.decoyed for each in told)
    mended_count = sum(each.remedy == each.remedy_truth for each in told)
    service = sum(each.service == each.service_truth for each in told)
    said = f"{passed} of {len(told)} passed, {decoyed} decoys, {mended_count} remedies right"
    return [*lines, "", f"{said}, {service} first services right."]


def answered(question: Question) -> Answer:
    """One diagnosis, timed."""
    begun = perf_counter()
    told = diagnose(question.picture)
    seconds = perf_counter() - begun
    names = _ranked(question)
    names = [name for name in names if not question.among or name in question.among]
    named = [cause for cause in told.causes if cause.entity != NOBODY_KNOWN]
    return Answer(
        question.set,
        question.system,
        question.name,
        question.fault,
        question.truth,
        names.index(question.truth) + 1 if question.truth in names else NEVER,
        names[0] if names else "",
        tuple((cause.share, cause.entity.name == question.truth) for cause in named),
        seconds,
    )


def _ranked(question: Question) -> list[str]:
    """The names of what is accused, the most accused first: of things, or of what was changed."""
    picture = question.picture
    fused = fuse(picture, clues(picture))
    if question.change:
        return [picture.changes[k].entity.name for k, _ in blamed(picture, fused.unchanged)]
    return [picture.entities[k].name for k in ranking(picture, fused)]


def rated(name: str, metric: str, answers: Sequence[Answer]) -> Row:
    """A metric over some answers, with the 95 % percentile interval of resampled means.

    Source: B. Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7 (1979), 1-26.
    """
    values = np.array([METRICS[metric](each.rank) for each in answers])
    chance = np.random.default_rng(SEED)
    means = values[chance.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Row(name, metric, len(values), float(values.mean()), float(low), float(high))


def calibration(answers: Iterable[Answer]) -> float:
    """How far shares are from how often they are right, on average over all causes that were named.

    Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning,
    AAAI 2015 (expected calibration error; ten bins of equal width).
    """
    pairs = [pair for each in answers for pair in each.shares]
    if not pairs:
        return 0.0
    share, right = np.array([pair[0] for pair in pairs]), np.array([float(pair[1]) for pair in pairs])
    cell = np.minimum((share * BINS).astype(int), BINS - 1)
    gaps = [abs(share[cell == k].mean() - right[cell == k].mean()) * (cell == k).sum() for k in np.unique(cell)]
    return float(sum(gaps) / len(pairs))


def table(answers: Sequence[Answer]) -> list[str]:
    """The tables of docs/reference/root-cause.md."""
    lines = ["| set | system, fault | n | top-1 | top-3 | top-5 | avg@5 |", "|---|---|---:|---:|---:|---:|---:|"]
    for name in sorted({each.set for each in answers}):
        of_set = [each for each in answers if each.set == name]
        for system in sorted({each.system for each in of_set}):
            of_system = [each for each in of_set if each.system == system]
            lines.append(_line(name, f"**{system}**", of_system, intervals=True))
            for fault in sorted({each.fault for each in of_system}):
                of_fault = [each for each in of_system if each.fault == fault]
                lines += [_line("", fault, of_fault, intervals=False)]
    return lines


def _line(name: str, of: str, answers: Sequence[Answer], *, intervals: bool) -> str:
    cells = []
    for metric in METRICS:
        row = rated(name, metric, answers)
        cells.append(f"{row.value:.2f}" + (f" ({row.low:.2f} … {row.high:.2f})" if intervals else ""))
    return f"| {name} | {of} | {len(answers)} | " + " | ".join(cells) + " |"


def bins(answers: Sequence[Answer]) -> list[str]:
    """Shares against how often they were right."""
    pairs = [pair for each in answers for pair in each.shares]
    lines = ["| share | causes | mean share | right |", "|---|---:|---:|---:|"]
    for k in range(BINS):
        mine = [pair for pair in pairs if min(int(pair[0] * BINS), BINS - 1) == k]
        if mine:
            share, right = np.mean([pair[0] for pair in mine]), np.mean([pair[1] for pair in mine])
            lines.append(f"| {k / BINS:.1f} … {(k + 1) / BINS:.1f} | {len(mine)} | {share:.2f} | {right:.2f} |")
    return lines


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Root causes of public incidents.")
    parser.add_argument("--part", default="", help="Only the part folders of this name.")
    parser.add_argument("--set", default="", help="Only this set.")
    parser.add_argument("--json", default="", help="Write every answer there, too.")
    parser.add_argument("--misses", action="store_true", help="Name what was not ranked first.")
    asked = parser.parse_args()
    with failures():
        if asked.set in ("", "rootcausebench"):
            for line in (*told_of(incidents_of(asked.part)), ""):
                say(line)
        if asked.set == "rootcausebench":
            return
        answers = answers_of(asked.part, asked.set)
        for line in (*table(answers), "", *bins(answers), ""):
            say(line)
        say(f"Expected calibration error {calibration(answers):.3f} over {len(answers)} incidents.")
        say(f"Seconds a diagnosis: median {np.median([each.seconds for each in answers]):.2f}.")
        for each in answers if asked.misses else ():
            if each.rank > 1:
                say(f"{each.name} ({each.fault}): {each.truth} is {each.rank}, {each.first} is first")
    if asked.json:
        Path(asked.json).write_text(json.dumps([_plain(each) for each in answers], indent=1))


def _plain(answer: Answer) -> dict[str, object]:
    return {name: getattr(answer, name) for name in Answer.__slots__}


if __name__ == "__main__":
    main()
