"""A labelled data set from a simulated estate: what was sent, what was broken, and how it all hangs together."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.estate import Emission, Estate
from cerebro.proving.estate.openmetrics import openmetrics
from cerebro.proving.estate.otlp import write_otlp
from cerebro.proving.estate.plan import Planned, plan
from cerebro.proving.estate.topology import ASYNC, KIND_NAMES, Topology
from cerebro.proving.model import CONTROL, Injection
from cerebro.spine.errors import Invalid, Unavailable
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SAMPLE_SCHEMA, SPAN_SCHEMA, SampleBatch

START_MS = 1_767_571_200_000  # Monday 5 January 2026, 00:00 UTC
SLICE_MS = 300_000  # of the text and OTLP files: five minutes
CHUNK_TICKS = 240
DAYS_MAX = 366.0
BYTES_PER_SAMPLE, BYTES_PER_SERVICE_DAY = 5.0, 4_000_000.0  # on disk, as measured on a week of 50 services
LABEL_FIELDS = (
    "id", "kind", "title", "cause_kind", "control", "symptom", "remedies", "target_kind", "target_name", "start_ms",
    "end_ms", "seed", "parameters",
)  # fmt: skip


@dataclass(frozen=True)
class Order:
    """What is asked for; see `cerebro simulate --help`."""

    services: int
    days: float
    seed: int
    out: Path
    faults: int
    interval_s: float = 15.0
    traces_per_s: float = 0.2


def write_dataset(order: Order, progress: Callable[[float, str], None]) -> dict[str, int]:
    """Write the files; how many rows each holds.

    Args:
        order: What is asked for.
        progress: Told the share that is done, 0 … 1, and the day.

    Raises:
        Invalid: A number is out of bounds, or the directory holds something already.
        Unavailable: The disk has no room for it.
    """
    _check(order)
    estate = Estate(
        order.services, order.seed, VirtualClock(START_MS), interval_s=order.interval_s, traces_per_s=order.traces_per_s
    )
    _check_room(order, len(estate.book.named))
    order.out.mkdir(parents=True, exist_ok=True)
    planned = plan(order.faults, order.days * 86_400.0, order.services, order.seed)
    files = _Files(order.out)
    try:
        injections, parts = _play(estate, order, planned, files, progress)
    finally:
        files.close()
    pq.write_table(estate.book.table, order.out / "series.parquet", compression="zstd")
    pq.write_table(labels_table(injections), order.out / "labels.parquet")
    for name, table in topology_tables(estate.topology).items():
        pq.write_table(table, order.out / f"{name}.parquet")
    (order.out / "metrics.om.txt").write_text(openmetrics(estate.book.named, parts))
    write_otlp(order.out / "otlp", estate.book.named, parts)
    (order.out / "README.md").write_text(readme(order, files.counts, len(injections)))
    return files.counts | {"series": len(estate.book.named), "labels": len(injections)}


def _check(order: Order) -> None:
    if not 0.0 < order.days <= DAYS_MAX:
        raise Invalid(f"{order.days:g} days cannot be simulated.", f"Write --days 0.01 to {DAYS_MAX:g}.")
    if order.seed < 0:
        raise Invalid(f"The seed {order.seed} is negative.", "Write --seed 0 or more.")
    if order.faults < 0 or order.faults > order.days * 86_400 / 300:
        most = int(order.days * 86_400 / 300)
        raise Invalid(f"{order.faults} faults do not fit into {order.days:g} days.", f"Write --faults 0 to {most}.")
    if order.out.exists() and (not order.out.is_dir() or any(order.out.iterdir())):
        raise Invalid(f"{order.out} holds something already.", "Name a new or an empty directory with --out.")


def _check_room(order: Order, series_count: int) -> None:
    samples = series_count * order.days * 86_400 / order.interval_s
    needed = samples * BYTES_PER_SAMPLE + order.services * order.days * BYTES_PER_SERVICE_DAY
    place = next(each for each in (order.out.absolute(), *order.out.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise Unavailable(
            f"The data set needs about {needed / 1e9:.1f} GB and {place} has {free / 1e9:.1f} GB free.",
            "Ask for fewer days or services, or name another disk with --out.",
        )


def _play(
    estate: Estate, order: Order, planned: Sequence[Planned], files: "_Files", progress: Callable[[float, str], None]
) -> tuple[list[Injection], list[Emission]]:
    """Play it chunk by chunk; faults begin and end on their ticks. The injections, and the slice for text and OTLP."""
    total = max(1, round(order.days * 86_400 / order.interval_s))

    def tick_of(at_s: float) -> int:
        """The tick in which that moment lies."""
        return min(total, int(at_s // order.interval_s))

    turns = sorted(
        {(tick_of(each.start_s), 1, k) for k, each in enumerate(planned)}
        | {(tick_of(each.end_s), 0, k) for k, each in enumerate(planned)}
    )
    first_ms = next((int(p.start_s * 1000) for p in planned if p.seed < 1_000_000), SLICE_MS)
    slice_ms = START_MS + max(0, first_ms - SLICE_MS // 3)
    running: dict[int, Injection] = {}
    done: list[Injection] = []
    parts: list[Emission] = []
    tick = 0
    while tick < total:
        while turns and turns[0][0] <= tick:
            _, begins, k = turns.pop(0)
            if begins:
                running[k] = estate.begin(planned[k].kind, seed=planned[k].seed)
            elif k in running:
                done.append(estate.finish(running.pop(k)))
        count = min(CHUNK_TICKS, total - tick, max(1, turns[0][0] - tick) if turns else total)
        emission = estate.step(count)
        files.write(emission)
        tick += count
        if emission.samples.at_ms[0] <= slice_ms + SLICE_MS and emission.samples.at_ms[-1] >= slice_ms:
            parts.append(within(emission, slice_ms, slice_ms + SLICE_MS))
        progress(tick / total, f"day {tick * order.interval_s / 86_400:.1f} of {order.days:g}")
    done += [estate.finish(injection) for injection in running.values()]
    return sorted(done, key=lambda each: (each.start_ms, each.id)), parts


def within(emission: Emission, start_ms: int, end_ms: int) -> Emission:
    """The rows of a stretch of time."""
    batch = emission.samples
    kept = (batch.at_ms >= start_ms) & (batch.at_ms < end_ms)

    def cut(table: pa.Table) -> pa.Table:
        at_ns = table.column("at_ns").to_numpy()
        return table.filter(pa.array((at_ns >= start_ms * 1_000_000) & (at_ns < end_ms * 1_000_000)))

    samples = SampleBatch(batch.hi[kept], batch.lo[kept], batch.at_ms[kept], batch.value[kept], batch.series)
    return Emission(samples, cut(emission.logs), cut(emission.spans), cut(emission.events))


class _Files:
    """The four growing tables."""

    def __init__(self, out: Path) -> None:
        schemas = {"samples": SAMPLE_SCHEMA, "logs": LOG_SCHEMA, "spans": SPAN_SCHEMA, "events": EVENT_SCHEMA}
        self._writers = {
            name: pq.ParquetWriter(out / f"{name}.parquet", schema, compression="zstd", compression_level=1)
            for name, schema in schemas.items()
        }
        self.counts = dict.fromkeys(schemas, 0)

    def write(self, emission: Emission) -> None:
        """Add what was sent."""
        batch = emission.samples
        columns = [pa.array(column) for column in (batch.hi, batch.lo, batch.at_ms, batch.value)]
        tables = {
            "samples": pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA),
            "logs": emission.logs,
            "spans": emission.spans,
            "events": emission.events,
        }
        for name, table in tables.items():
            if table.num_rows:
                self._writers[name].write_table(table)
                self.counts[name] += table.num_rows

    def close(self) -> None:
        """Finish the files."""
        for writer in self._writers.values():
            writer.close()


def labels_table(injections: Sequence[Injection]) -> pa.Table:
    """What was broken, with the truth: one row an injection."""
    rows = [
        (each.id, each.fault.kind, each.fault.title, each.fault.cause_kind, each.fault.cause_kind == CONTROL,
         each.fault.symptom, list(each.fault.remedies), each.target.kind, each.target.name, each.start_ms, each.end_ms,
         each.seed, json.dumps(dict(each.parameters), sort_keys=True))
        for each in injections
    ]  # fmt: skip
    text, whole = pa.string(), pa.int64()
    types = (text, text, text, text, pa.bool_(), text, pa.list_(text), text, text, whole, whole, whole, text)
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    arrays = [pa.array(list(column), type_) for column, type_ in zip(columns, types, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(LABEL_FIELDS))


def topology_tables(topology: Topology) -> dict[str, pa.Table]:
    """The parts, and who calls or runs on whom."""
    t = topology
    nodes = pa.table(
        {
            "name": list(t.names),
            "kind": [KIND_NAMES[kind] for kind in t.kind],
            "layer": t.layer,
            "host": [t.hosts[host] if host >= 0 else "" for host in t.host],
            "entry_share": t.entry_share,
            "replicas": t.replicas,
            "cores": t.cores,
            "autoscaled": t.scales == 1,
        }
    )
    edges = pa.table(
        {
            "source": [t.names[i] for i in t.source],
            "target": [t.names[i] for i in t.target],
            "mode": np.where(t.mode == ASYNC, "async", "sync").tolist(),
            "calls": t.calls,
            "timeout_s": t.timeout_s,
            "retries": t.retries,
            "vital": t.vital == 1.0,
        }
    )
    return {"nodes": nodes, "edges": edges}


def readme(order: Order, counts: dict[str, int], label_count: int) -> str:
    """What lies in the directory."""
    schemas = {"samples": SAMPLE_SCHEMA, "logs": LOG_SCHEMA, "spans": SPAN_SCHEMA, "events": EVENT_SCHEMA}
    lines = [
        "# A simulated estate", "",
        f"Made by `cerebro simulate --services {order.services} --days {order.days:g} --seed {order.seed} "
        f"--faults {order.faults} --interval {order.interval_s:g} --traces {order.traces_per_s:g}`; the same command "
        "gives the same telemetry. Nothing here was measured on a real system.", "",
        "| file | rows | what |", "|---|---:|---|",
        f"| `samples.parquet` | {counts['samples']:,} | `hi, lo` name a series, `at_ms` Unix milliseconds, `value` |",
        "| `series.parquet` | | what `hi, lo` stand for: metric, labels, type, unit, entity |",
        f"| `logs.parquet` | {counts['logs']:,} | log records, OpenTelemetry severity numbers |",
        f"| `spans.parquet` | {counts['spans']:,} | sampled traces |",
        f"| `events.parquet` | {counts['events']:,} | deploys, restarts and other changes |",
        f"| `labels.parquet` | {label_count:,} | **the truth**: each fault, its true cause, start and end; controls "
        "are marked and must raise nothing |",
        "| `nodes.parquet`, `edges.parquet` | | the topology |",
        "| `metrics.om.txt` | | five minutes of the metrics around the first fault, OpenMetrics text |",
        "| `otlp/*.json`, `otlp/*.pb` | | the same five minutes as OTLP export requests: metrics, logs, traces |", "",
        "`_bucket`, `_sum`, `_count` and counters are cumulative. Detectors may read everything but `labels.parquet`; "
        "the first 8 % of the time hold no fault.", "",
    ]  # fmt: skip
    for name, schema in schemas.items():
        lines += [f"## {name}", "", "| column | type |", "|---|---|"]
        lines += [f"| `{field.name}` | `{field.type}` |" for field in schema] + [""]
    return "\n".join(lines)
