"""Tables on a real store, and messages for the recorder."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cerebro.kernel.engines.ground import answers_http
from cerebro.kernel.engines.store import clickhouse_url
from cerebro.kernel.settings import RetentionSettings, Settings, as_environment
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.migrate import migrate
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, no_series

DAY_MS = 86_400_000
START_MS = 1_795_000_000_000


@pytest.fixture
async def telemetry(store_url: str) -> AsyncIterator[ClickHouseTelemetry]:
    """The migrated store; raw samples are kept long, since the tests' clock stands still."""
    driver = ClickHouseTelemetry(store_url)
    await migrate(driver, RetentionSettings(metrics_days=3650, logs_days=3650, traces_days=3650))
    yield driver
    await driver.close()


@pytest.fixture
def make_batch() -> Callable[..., SampleBatch]:
    """A batch of `count` series with one sample each, over three days, in no order; `named` brings their labels."""

    def make(count: int = 1000, seed: int = 0, named: bool = True) -> SampleBatch:
        chance = np.random.default_rng(seed)
        lo = chance.permutation(np.arange(count, dtype=np.uint64)) + np.uint64(seed * count)
        hi = lo % np.uint64(7)
        at_ms = START_MS + chance.integers(0, 3 * DAY_MS, count)
        return SampleBatch(
            hi, lo, at_ms, chance.normal(size=count).round(2), series_of(hi, lo) if named else no_series()
        )

    return make


def series_of(hi: np.ndarray, lo: np.ndarray) -> pa.Table:
    labels = [[("host", f"web-{number}")] for number in lo]
    text = {"metric": "load", "type": "gauge", "unit": "1", "entity_kind": "host", "entity_name": "web"}
    columns = [hi, lo, [text["metric"]] * len(hi), labels] + [
        [text[name]] * len(hi) for name in SERIES_SCHEMA.names[4:]
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SERIES_SCHEMA, strict=True)], schema=SERIES_SCHEMA)


@pytest.fixture
def record(nats_server: str, store_url: str) -> Iterator[Callable[[str], subprocess.Popen]]:
    """Start a recorder in a process of its own, that dies by its own hand at a step."""
    started = []
    program = Path(__file__).with_name("recorder_program.py")

    def start(step: str) -> subprocess.Popen:
        argv = [sys.executable, str(program), nats_server, store_url, step]
        started.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def eventually() -> Callable[..., object]:
    """Wait until an awaitable condition holds."""

    async def wait(condition: Callable[[], object], within_s: float = 20.0) -> None:
        import asyncio

        until_s = time.monotonic() + within_s
        while not await condition():
            assert time.monotonic() < until_s, "it did not come to hold"
            await asyncio.sleep(0.05)

    return wait


class Store:
    """A store of its own, to be killed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-m", "cerebro.kernel.telemetry.gateway"]
        self.process = subprocess.Popen(argv, env=as_environment(self.settings), stdin=subprocess.DEVNULL)
        until_s = time.monotonic() + 20
        while not answers_http(self.settings.engines.store_port, "/ping"):
            assert time.monotonic() < until_s and self.process.poll() is None, "the store does not start"
            time.sleep(0.05)

    def kill_and_start(self, **engines: object) -> None:
        self.process.kill()
        self.process.wait()
        changed = self.settings.engines.model_copy(update=engines)
        self.settings = self.settings.model_copy(update={"engines": changed})
        self.start()

    async def open(self) -> ClickHouseTelemetry:
        driver = ClickHouseTelemetry(clickhouse_url(self.settings))
        await migrate(driver, RetentionSettings(metrics_days=3650, logs_days=3650, traces_days=3650))
        return driver


@pytest.fixture
def make_store(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Store]]:
    """Start a store with its own directory and these settings of the engines."""
    started = []

    def make(**engines: object) -> Store:
        started.append(Store(make_settings(engines)))
        return started[-1]

    yield make
    for store in started:
        store.process.kill()
        store.process.wait()
