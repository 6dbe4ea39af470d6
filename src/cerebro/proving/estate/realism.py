"""How real the simulated estate looks: its series beside public sets of real ones, measure by measure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.dataset import START_MS
from cerebro.proving.estate.estate import Estate
from cerebro.proving.estate.likeness import MEASURES, Floats, Group, Likeness, likeness
from cerebro.proving.estate.plan import plan
from cerebro.proving.estate.series import SeriesBook
from cerebro.proving.model import Injection
from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import SeriesType

SERVICES, DAYS, SEEDS, INTERVAL_S, FAULTS = 30, 7, (1, 2, 3), 60.0, 6
POINTS_MAX = 20_160  # a week of minutes: longer series are cut
LATENCY = "http.server.request.duration_sum"
INSIDE = (0.05, 0.95)
CUMULATIVE = (SeriesType.COUNTER, SeriesType.HISTOGRAM)


def simulated(seed: int, every: int) -> list[Group]:
    """A week of an estate with a few faults, `every` minutes apart: one group for each service and host."""
    estate = Estate(SERVICES, seed, VirtualClock(START_MS), interval_s=INTERVAL_S, traces_per_s=0.0)
    values = _play(estate, seed)
    sums = frozenset(k for k, each in enumerate(estate.book.named) if each.metric == LATENCY)
    mean_s = _latencies(estate.book, values, sums)
    groups = []
    for entity in sorted({each.entity for each in estate.book.named}):
        mine = [
            k for k, each in enumerate(estate.book.named)
            if each.entity == entity and "le" not in each.labels and "server.address" not in each.labels
        ]  # fmt: skip
        counted = np.array([estate.book.named[k].type in CUMULATIVE for k in mine])
        table = values[:, mine]
        table = np.where(counted, np.diff(table, axis=0, prepend=table[:1]), table)[1:]
        events = [estate.book.named[k].metric.endswith("duration_count") for k in mine]
        latency = mean_s[:, [k for k in mine if k in sums]][1:]
        table = np.concatenate([table, latency], axis=1)
        marks = np.array([*events, *[False] * latency.shape[1]])
        groups.append(Group(INTERVAL_S * every, _thinned(table, marks, every), marks))
    return groups


def _latencies(book: SeriesBook, values: Floats, sums: Iterable[int]) -> Floats:
    """Mean seconds of a request in each interval, in the column of the sum; NaN elsewhere."""
    place = {(each.metric, tuple(sorted(each.labels.items()))): k for k, each in enumerate(book.named)}
    found = np.full(values.shape, np.nan)
    for k in sums:
        each = book.named[k]
        count = place[each.metric.replace("_sum", "_count"), tuple(sorted(each.labels.items()))]
        gained = np.diff(values[:, [k, count]], axis=0, prepend=values[:1, [k, count]])
        found[:, k] = np.where(gained[:, 1] > 0, gained[:, 0] / np.maximum(gained[:, 1], 1.0), np.nan)
    return found


def _play(estate: Estate, seed: int) -> Floats:
    total = int(DAYS * 86_400 / INTERVAL_S)
    begins = {int(each.start_s // INTERVAL_S): each for each in plan(FAULTS, DAYS * 86_400.0, 0, seed)}
    ends = {int(each.end_s // INTERVAL_S): each for each in begins.values()}
    running: dict[int, Injection] = {}
    parts: list[Floats] = []
    tick = 0
    for turn in sorted({*begins, *ends, total}):
        if turn > tick:
            parts += [estate.book.values(part) for part in estate.measure(turn - tick)]
            tick = turn
        if turn in ends and ends[turn].seed in running:
            estate.finish(running.pop(ends[turn].seed))
        if turn in begins:
            running[begins[turn].seed] = estate.begin(begins[turn].kind, seed=begins[turn].seed)
    return np.concatenate(parts)


def _thinned(table: Floats, counts: NDArray[np.bool_], every: int) -> Floats:
    """Means over `every` intervals; sums of what counts."""
    if every == 1:
        return table
    whole = len(table) // every * every
    blocks: Floats = table[:whole].reshape(-1, every, table.shape[1]).mean(axis=1)
    blocks[:, counts] *= every
    return blocks


# The public sets.


def real_sets(folder: Path) -> Mapping[str, Callable[[], Sequence[Group]]]:
    """The sets that lie in the folder, by name.

    Raises:
        Invalid: There is none.
    """
    readers: Mapping[str, Callable[[Path], Iterator[Group]]] = {
        "nab": _nab, "kpi_aiops2018": _kpi, "smd": _smd, "petshop": _petshop, "nezha": _nezha
    }  # fmt: skip
    root = folder / "aiops" if (folder / "aiops").is_dir() else folder
    found = {name: _reading(read, root / name) for name, read in readers.items() if (root / name).is_dir()}
    if not found:
        raise Invalid(
            f"{folder} holds none of: {', '.join(readers)}.",
            "Set CEREBRO_DATASETS or --datasets to a folder of them; docs/reference/simulator.md says where they are.",
        )
    return found


def _reading(read: Callable[[Path], Iterator[Group]], place: Path) -> Callable[[], Sequence[Group]]:
    return lambda: list(read(place))


def _column(table: pa.Table, name: str) -> Floats:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), np.float64)


def _alone(interval_s: float, values: Floats, *, counts: bool = False) -> Group:
    return Group(interval_s, values[:POINTS_MAX, None], np.array([counts]))


def _nab(place: Path) -> Iterator[Group]:
    """The metrics of real machines in NAB, five minutes apart."""
    table = pq.read_table(sorted(place.rglob("series.parquet"))[0])
    for name in pc.unique(table.column("series")).to_pylist():
        if name.startswith("realAWSCloudwatch"):
            one = table.filter(pc.equal(table.column("series"), name))
            yield _alone(300.0, _column(one, "value"))


def _kpi(place: Path) -> Iterator[Group]:
    table = pq.read_table(sorted(place.rglob("series.parquet"))[0])
    for name in pc.unique(table.column("series")).to_pylist():
        one = table.filter(pc.equal(table.column("series"), name))
        interval_s = float(np.median(np.diff(_column(one, "ts")[:1000])))
        yield _alone(interval_s, _column(one, "value"))


def _smd(place: Path) -> Iterator[Group]:
    for file in sorted(place.rglob("machine-*.parquet"))[:10]:
        table = pq.read_table(file)
        names = [name for name in table.schema.names if name.startswith("m") and name[1:].isdigit()]
        values = np.stack([_column(table, name)[:POINTS_MAX] for name in names], 1)
        yield Group(60.0, values, np.zeros(len(names), bool))


def _petshop(place: Path) -> Iterator[Group]:
    table = pq.read_table(sorted(place.rglob("*noissue.parquet"))[0])
    for node in pc.unique(table.column("node")).to_pylist():
        one = table.filter(pc.equal(table.column("node"), node))
        columns, counts = [], []
        times = np.unique(_column(one, "ts"))
        for metric, statistic in (("latency", "Average"), ("requests", "Sum")):
            mine = pc.and_(pc.equal(one.column("metric"), metric), pc.equal(one.column("statistic"), statistic))
            part = one.filter(mine)
            values = np.full(len(times), np.nan)
            values[np.searchsorted(times, _column(part, "ts"))] = _column(part, "value")
            columns.append(values)
            counts.append(metric == "requests")
        yield Group(300.0, np.stack(columns, 1), np.array(counts))


def _nezha(place: Path) -> Iterator[Group]:
    """Per pod, one day; what counts requests is a rate a second, made a count a minute again."""
    for file in sorted(place.rglob("*_metrics.parquet")):
        table = pq.read_table(file)
        names = [name for name in table.schema.names if name not in ("ts", "service", "pod")]
        for pod in pc.unique(table.column("pod")).to_pylist():
            one = table.filter(pc.equal(table.column("pod"), pod)).sort_by("ts")
            values = np.stack([_column(one, name) for name in names], 1)
            counts = np.array([name.startswith("PodWorkload") for name in names])
            yield Group(60.0, np.where(counts, values * 60.0, values), counts)


# The report.


def compare(folder: Path, progress: Callable[[str], None]) -> str:
    """The tables of the report, as Markdown."""
    real: dict[str, Likeness] = {}
    for name, read in real_sets(folder).items():
        progress(f"measuring {name} …")
        real[name] = likeness(read())
    made: dict[str, Likeness] = {}
    for every in (1, 5):
        progress(f"simulating {len(SEEDS)} estates, {every} min apart …")
        made[f"**simulated, {every} min**"] = likeness([group for seed in SEEDS for group in simulated(seed, every)])
    lines = []
    for measure in MEASURES:
        columns = {name: each.measures[measure] for name, each in (*real.items(), *made.items())}
        lines += _table(measure, columns, list(real))
    lines += _table(
        "togetherness (|correlation| within one thing)",
        {n: e.together for n, e in (*real.items(), *made.items())},
        list(real),
    )
    lines += _table("Fano factor of request counts", {n: e.fano for n, e in (*real.items(), *made.items())}, list(real))
    return "\n".join(lines)


def _table(title: str, columns: Mapping[str, Floats], real: Sequence[str]) -> list[str]:
    """Quartiles of one measure, set by set; how much of what is simulated lies where real series lie."""
    known = {name: values[np.isfinite(values)] for name, values in columns.items()}
    pooled = np.concatenate([known[name] for name in real])
    if not len(pooled):
        return []
    low, high = np.quantile(pooled, INSIDE)
    lines = [
        f"### {title[0].upper()}{title[1:]}",
        "",
        "| set | series | lower quartile | median | upper quartile | inside |",
    ]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name, values in known.items():
        if len(values):
            quartiles = " | ".join(f"{each:.3g}" for each in np.quantile(values, (0.25, 0.5, 0.75)))
            inside = "" if name in real else f"{np.mean((values >= low) & (values <= high)):.0%}"
            lines.append(f"| {name} | {len(values)} | {quartiles} | {inside} |")
    return [*lines, ""]
