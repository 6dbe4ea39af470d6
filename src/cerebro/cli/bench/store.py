"""How fast the recorder empties the bus into the store, with every rollup and index on.

The messages lie on the real bus before the clock runs, in bodies of 10,000 rows as a busy collector makes them; the
store, the bus and the recorder share the machine's processors. The clock stops when the last range is committed.
"""

import asyncio
import gc
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from cerebro.app.drivers import open_kernel
from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.instance import free_ports
from cerebro.kernel.bus.position import places
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.children import Supervisor
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.engines.nats import prepare_nats
from cerebro.kernel.engines.postgres import postgres_url, prepare_postgres
from cerebro.kernel.engines.store import prepare_store
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.migrate import migrate as migrate_records
from cerebro.kernel.settings import EngineSettings, Settings
from cerebro.kernel.telemetry.blocks import LOGS, METRICS, TRACES, Signal
from cerebro.kernel.telemetry.migrate import migrate
from cerebro.kernel.telemetry.recorder import Recorder
from cerebro.spine.telemetry import LOG_SCHEMA, SPAN_SCHEMA, SampleBatch, no_series
from cerebro.spine.wire import Kind, encode_samples, encode_table

BODY_ROWS = 10_000
SERIES_COUNT = 100_000
INTERVAL_MS = 15_000
WORDS = ("request", "payment", "order", "cart", "timeout", "refused", "session", "cache", "queue", "retry", "commit")


@dataclass(frozen=True, slots=True)
class Load:
    """What is written, and what was asked."""

    figure: str
    signal: Signal
    bodies: Iterator[bytes]
    floor: float
    goal: float


def run(sample_count: int = 6_000_000, row_count: int = 600_000, seed: int = 1) -> list[Figure]:
    """Samples, then logs, then spans."""
    return asyncio.run(_run(sample_count, row_count, np.random.default_rng(seed)))


async def _run(sample_count: int, row_count: int, chance: np.random.Generator) -> list[Figure]:
    async with engines() as kernel:
        now_ms = kernel.clock.now_ms()
        loads = (
            Load("recorder_samples", METRICS, _samples(sample_count, now_ms, chance), 200_000, 500_000),
            Load("recorder_logs", LOGS, _logs(row_count, now_ms, chance), 20_000, 100_000),
            Load("recorder_spans", TRACES, _spans(row_count, now_ms, chance), 20_000, 100_000),
        )
        return [await _measure(kernel, load) for load in loads]


async def _measure(kernel: Kernel, load: Load) -> Figure:
    stream, count = load.signal.stream, 0
    for body in load.bodies:
        count += BODY_ROWS
        last = await kernel.bus.publish(f"telemetry.bench.{stream}", body, dedup_key=f"{stream}{count}")
    stop, begun = asyncio.Event(), time.perf_counter()
    task = asyncio.create_task(Recorder(load.signal, kernel.bus, kernel.telemetry, kernel.clock, "bench").run(stop))
    while (place := (await places(kernel.bus, stream)).get("recorder")) is None or place.after < last:
        await kernel.clock.sleep(0.05)
    rate = count / (time.perf_counter() - begun)
    stop.set()
    await task
    return Figure(load.figure, round(rate), "1/s", load.floor, load.goal)


def _samples(count: int, now_ms: int, chance: np.random.Generator) -> Iterator[bytes]:
    """Rounds over all series, 15 s apart, ending now; values with two decimals around a level of their own."""
    hi = np.sort(chance.integers(0, 1 << 63, 200)).astype(np.uint64).repeat(SERIES_COUNT // 200)
    lo = chance.integers(0, 1 << 63, SERIES_COUNT).astype(np.uint64)
    level = chance.lognormal(3, 1, SERIES_COUNT)
    for start in range(0, count, BODY_ROWS):
        rows = (np.arange(start, start + BODY_ROWS)) % SERIES_COUNT
        at_ms = np.full(BODY_ROWS, now_ms - (count - start) // SERIES_COUNT * INTERVAL_MS)
        value = (level[rows] + chance.normal(size=BODY_ROWS)).round(2)
        yield encode_samples(SampleBatch(hi[rows], lo[rows], at_ms, value, no_series()))


def _logs(count: int, now_ms: int, chance: np.random.Generator) -> Iterator[bytes]:
    for start in range(0, count, BODY_ROWS):
        at_ns = (now_ms - (count - start) // 100) * 1_000_000 + np.arange(BODY_ROWS)
        words = chance.choice(WORDS, (BODY_ROWS, 8))
        numbers = chance.integers(0, 1 << 40, BODY_ROWS).tolist()
        bodies = [f"{' '.join(line)} id={number}" for line, number in zip(words.tolist(), numbers, strict=True)]
        columns = {"at_ns": at_ns, "observed_ns": at_ns, "severity": np.full(BODY_ROWS, 9, np.uint8), "body": bodies}
        yield encode_table(Kind.LOGS, _table(LOG_SCHEMA, columns, chance))


def _spans(count: int, now_ms: int, chance: np.random.Generator) -> Iterator[bytes]:
    for start in range(0, count, BODY_ROWS):
        at_ns = (now_ms - (count - start) // 100) * 1_000_000 + np.arange(BODY_ROWS)
        columns = {
            "at_ns": at_ns,
            "duration_ns": chance.integers(1_000, 1 << 30, BODY_ROWS),
            "name": chance.choice([f"GET /{word}" for word in WORDS], BODY_ROWS),
        }
        yield encode_table(Kind.SPANS, _table(SPAN_SCHEMA, columns, chance))


def _table(schema: pa.Schema, columns: Mapping[str, object], chance: np.random.Generator) -> pa.Table:
    """The columns given, ids of random hex, a few services, two attributes and one resource label a row."""
    numbers = chance.integers(0, 1 << 62, BODY_ROWS).tolist()
    usual: dict[str, object] = {
        "trace_id": [f"{number:032x}" for number in numbers],
        "span_id": [f"{number & 0xFFFF_FFFF_FFFF:016x}" for number in numbers],
        "service": [WORDS[number % 8] for number in numbers],
        "attributes": [[("http.method", "GET"), ("http.route", f"/{number % 50}")] for number in numbers],
        "resource": [[("host.name", f"web-{number % 20}")] for number in numbers],
        "kind": np.full(BODY_ROWS, 2, np.uint8),
        "status": np.zeros(BODY_ROWS, np.uint8),
        "events": ["[]"] * BODY_ROWS,
        "links": ["[]"] * BODY_ROWS,
        **columns,
    }
    filled = [pa.array(usual.get(field.name, [""] * BODY_ROWS), field.type) for field in schema]
    return pa.table(filled, schema=schema)


@asynccontextmanager
async def engines() -> AsyncIterator[Kernel]:
    """The three engines in a directory of their own, migrated."""
    root = _make_root()
    ports = free_ports(2)
    engines = EngineSettings(nats_port=ports[0], store_port=ports[1])
    settings = Settings(data_dir=root / "data", runtime_dir=root / "run", engines=engines)
    children = [prepare_postgres(settings), prepare_nats(settings), prepare_store(settings)]
    supervisor = Supervisor(children, SystemClock())
    try:
        supervisor.start(_pause)
        await migrate_records(postgres_url(settings))
        async with open_kernel(settings) as kernel:
            await migrate(kernel.telemetry, settings.retention)
            for stream in ALL:
                await kernel.bus.declare(stream)
            gc.collect()
            gc.freeze()  # as every role does when it starts
            yield kernel
    finally:
        supervisor.stop(_pause)
        shutil.rmtree(root, ignore_errors=True)


def _make_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="cbr-"))
    root.chmod(0o755)  # PostgreSQL's own user passes through it
    (root / "data").mkdir(mode=0o711)
    (root / "run").mkdir(mode=0o711)
    return root


def _pause(duration_s: float) -> bool:
    time.sleep(duration_s)
    return False
