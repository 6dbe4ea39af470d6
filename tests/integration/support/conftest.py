"""A detector on a real bus and a real store, and the messages it reads."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from cerebro.agents.support.flow import Detector
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import RetentionSettings, Settings, SupportSettings
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.migrate import migrate
from cerebro.spine.findings import Finding
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, no_series
from cerebro.spine.wire import encode_samples

COUNT = 6
HI = np.arange(1, COUNT + 1, dtype=np.uint64) << np.uint64(40)
LO = np.arange(11, COUNT + 11, dtype=np.uint64)


@pytest.fixture
def series_table():
    rows = [
        {
            "hi": int(HI[k]), "lo": int(LO[k]), "metric": "system.cpu.busy", "labels": [("host.name", f"h{k}")],
            "type": "gauge", "unit": "1", "entity_kind": "host", "entity_name": f"h{k}",
        }
        for k in range(COUNT)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SERIES_SCHEMA)


@pytest.fixture
async def telemetry(store_url):
    driver = ClickHouseTelemetry(store_url)
    await migrate(driver, RetentionSettings(metrics_days=3650))
    yield driver
    await driver.close()


@pytest.fixture
def kernel(bus, telemetry):
    settings = Settings(support=SupportSettings(warmup_samples=36, snapshot_s=0.5, noise_budget=20.0))
    return Kernel(settings, SystemClock(), bus, telemetry, MemoryRecords())


@pytest.fixture
def values():
    """600 looks at six hosts, 5 s apart; the first host is busy for a while, near the end."""
    found = np.clip(0.05 + 0.01 * np.random.default_rng(1).standard_normal((600, COUNT)), 0, 1)
    found[520:550, 0] = 0.98
    return found


@pytest.fixture
def publish(bus, tenant, series_table):
    """Publish looks, the first of which names the series; answers the last sequence."""
    start_ms = SystemClock().now_ms() - 600 * 5000

    async def send(values, first=0):
        sequence = 0
        for tick, row in enumerate(values, first):
            at_ms = np.full(COUNT, start_ms + tick * 5000, np.int64)
            batch = SampleBatch(HI, LO, at_ms, row, series_table if tick == 0 else no_series())
            sequence = await bus.publish(
                f"telemetry.{tenant}.metrics", encode_samples(batch), dedup_key=f"{tenant}:{tick}"
            )
        return sequence

    return send


@pytest.fixture
def running():
    """A detector that runs while the block does and has read up to what `reached` is given."""

    @asynccontextmanager
    async def run(kernel):
        detector, stop = Detector(kernel), asyncio.Event()
        task = asyncio.create_task(detector.run(stop))

        async def reached(sequence):
            async with asyncio.timeout(60):
                while detector._sequence < sequence:
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.02)

        yield reached
        stop.set()
        await task

    return run


@pytest.fixture
def told(bus, tenant):
    """The tenant's findings on the bus."""

    async def read():
        found, after = [], 0
        while messages := await bus.read(
            "findings", after=after, count_max=100, bytes_max=1 << 22, wait_s=0.2, subject=f"findings.{tenant}"
        ):
            found += [msgspec.json.decode(message.body, type=Finding) for message in messages]
            after = messages[-1].sequence
        return found

    return read
