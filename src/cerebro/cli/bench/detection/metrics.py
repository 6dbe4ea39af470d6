"""The metric detectors on NAB, KPI 2018, WSD, SMD, ASD and JumpStarter, streaming, in one configuration.

Each series is judged sample by sample, in the order of time, by the kernel that runs in life, from a cold start;
nothing is set by series or by set, and nothing is told about what a series means: all are gauges without a unit. The
series of one machine are judged together, by the distance that runs in life (`algorithms.joint`). The first half is
there to be learned, the second is scored, as the publishers split it (NAB scores all after its own probation).
Intervals are of the bootstrap over series.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import SERIES, Judged, SeriesName, blank_rows
from cerebro.agents.support.watch import no_priors, start_row
from cerebro.algorithms.alarms import Events, count_events, held, normal, sweep, sweep_best, worth_at
from cerebro.algorithms.joint import joint_scores
from cerebro.algorithms.volume import season_window, vus_pr
from cerebro.cli.bench.detection.sets import KPI_SETS, MACHINE_SETS, Labelled, read_kpis, read_machines, read_nab

NAME = SeriesName(1, 1, "value", (), "gauge", "", "service", "s")
UNIT = 0.01  # expected false findings a week of one series, as of 500 under a budget of 5: what freezes learning
WARMUP_COUNT = 36  # as the settings have it
ALARM_RARITY = 4.0  # strangeness from which any series is called strange: a chance of 1 in 10,000
CALM, HOLD = 2.0, 8  # it lasts until it has been under 1 in 100 for as many samples as make an alarm late
DELAY_MAX = 7
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of one set, with its 95 % interval.

    `floor` and `goal` are what was asked; NaN where nothing was.
    """

    set_name: str
    metric: str
    value: float
    low: float
    high: float
    floor: float
    goal: float
    series_count: int
    sample_count: int
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judging:
    """What the detector said of one series or machine."""

    of: Labelled
    strangeness: NDArray[np.float64]
    unease: NDArray[np.float64]
    news: NDArray[np.float64]
    seconds: float


def measure(root: Path, part: str = "") -> list[Measured]:
    """Every figure of every set that is there."""
    _stream(np.arange(1, 100, dtype=np.int64) * 60_000, np.ones(99))  # compiles, which is no part of the figures
    found: list[Measured] = []
    found += _nab([_judge(one) for one in read_nab(root, part)])
    for kind in KPI_SETS:
        found += _kpis(kind, (_judge(one) for one in read_kpis(root, kind, part)))
    for kind in MACHINE_SETS:
        found += _machines(kind, (_judge_together(one) for one in read_machines(root, kind, part)))
    return found


def bytes_a_series() -> int:
    """State of one series."""
    return int(SERIES.itemsize)


def _judge(labelled: Labelled) -> Judging:
    begun = process_time()
    judged = _stream(labelled.at_ms, labelled.value[:, 0].copy())
    seconds = process_time() - begun
    strangeness, unease, news = (
        np.nan_to_num(column).astype(np.float64) for column in (judged.strangeness, judged.unease, judged.news)
    )
    return Judging(labelled, strangeness, unease, news, seconds)


def _judge_together(labelled: Labelled) -> Judging:
    begun = process_time()
    score = joint_scores(labelled.value)
    return Judging(labelled, score, score, score, process_time() - begun)


def _stream(at_ms: NDArray[np.int64], value: NDArray[np.float64]) -> Judged:
    rows = blank_rows(1)
    start_row(rows, 0, NAME)
    row = np.zeros(len(at_ms), np.int32)
    return detect(rows, row, at_ms, value, unit=UNIT, priors=no_priors(), warmup_count=WARMUP_COUNT)


def _nab(judgings: Sequence[Judging]) -> list[Measured]:
    if not judgings:
        return []
    files = [sweep(each.news, each.of.windows) for each in judgings]
    threshold, score = sweep_best(files)
    worth = np.array([(worth_at(file, threshold), file.window_count) for file in files])
    low, high = _interval(worth, lambda rows: normal(float(rows[:, 0].sum()), int(rows[:, 1].sum())))
    return [_measured("NAB", "NAB score, standard profile", (score, low, high), (60.0, 81.0), judgings)]


def _kpis(kind: str, judgings: Iterable[Judging]) -> list[Measured]:
    kept, events, volumes = [], [], []
    for each in judgings:
        of = each.of
        label, alarm = of.label[of.judged], held(each.strangeness, opens=ALARM_RARITY, calm=CALM, hold=HOLD)
        events.append(count_events(label, alarm[of.judged], DELAY_MAX))
        if label.any():
            volumes.append(vus_pr(label, each.unease[of.judged], season_window(of.value[of.judged, 0])))
        kept.append(each)
    if not kept:
        return []
    asked = (0.45, 0.65) if kind == "kpi_aiops2018" else (0.65, 0.80)
    counts = np.array([(one.found, one.missed, one.false) for one in events])
    total = Events(*(int(count) for count in counts.sum(axis=0)))
    low, high = _interval(counts, lambda rows: Events(*(int(count) for count in rows.sum(axis=0))).f1)
    note = f"{total.found} found, {total.missed} missed, {total.false} false"
    return [
        _measured(kind, "event F1", (total.f1, low, high), asked, kept, note),
        _measured(kind, "VUS-PR", _mean(volumes), (0.30, 0.42), kept),
    ]


def _machines(kind: str, judgings: Iterable[Judging]) -> list[Measured]:
    kept = list(judgings)
    volumes = [vus_pr(each.of.label[each.of.judged], each.unease[each.of.judged], _window(each.of)) for each in kept]
    return [_measured(kind, "VUS-PR", _mean(volumes), (0.30, 0.45), kept)] if kept else []


def _window(of: Labelled) -> int:
    return season_window(of.value[of.judged, 0])  # of the first metric, as TSB-AD does


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    column = np.array(values)[:, np.newaxis]
    return (float(column.mean()), *_interval(column, lambda rows: float(rows.mean())))


def _interval(rows: NDArray[np.float64], answer: Callable[[NDArray[np.float64]], float]) -> tuple[float, float]:
    """The 95 % interval of an answer when the series are drawn anew, with one seed for all."""
    chance = np.random.default_rng(1)
    drawn = [answer(rows[chance.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _measured(  # noqa: PLR0917
    set_name: str, metric: str, value: tuple[float, float, float], asked: tuple[float, float],
    judgings: Sequence[Judging], note: str = "",
) -> Measured:  # fmt: skip
    return Measured(
        set_name, metric, *value, *asked, len(judgings), sum(each.of.value.size for each in judgings),
        sum(each.seconds for each in judgings), note,
    )  # fmt: skip
