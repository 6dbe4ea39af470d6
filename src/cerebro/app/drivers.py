"""The drivers of one process, chosen by the settings. Nobody else imports a driver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cerebro.kernel.clock import SystemClock, VirtualClock
from cerebro.kernel.engines.nats import nats_url
from cerebro.kernel.engines.postgres import postgres_url
from cerebro.kernel.engines.store import clickhouse_url
from cerebro.kernel.kit import Kernel
from cerebro.kernel.llm.port import Models
from cerebro.kernel.settings import Settings


def simulated_kernel(settings: Settings, clock: VirtualClock) -> Kernel:
    """Drivers in memory on a clock that someone moves: the whole platform on one event loop, from a seed."""
    from cerebro.kernel.bus.memory import MemoryBus
    from cerebro.kernel.records.memory import MemoryRecords
    from cerebro.kernel.telemetry.memory import MemoryTelemetry

    return Kernel(settings, clock, MemoryBus(clock), MemoryTelemetry(), MemoryRecords())


@asynccontextmanager
async def open_kernel(settings: Settings) -> AsyncIterator[Kernel]:
    """Connect to the three engines, wherever they are; let go of them at the end."""
    from cerebro.kernel.bus.nats import NatsBus
    from cerebro.kernel.records.postgres import PostgresRecords
    from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry

    clock = SystemClock()
    embedded = not settings.engines.nats_url
    bus = await NatsBus.connect(
        nats_url(settings),
        clock=clock,
        replicas=settings.engines.nats_replicas,
        disk=settings.data_dir if embedded else None,
        disk_free_bytes_min=settings.engines.disk_free_bytes_min,
    )
    records = PostgresRecords(postgres_url(settings))
    telemetry = ClickHouseTelemetry(clickhouse_url(settings))
    models = _models(settings, clock)
    try:
        await records.open()
        yield Kernel(settings, clock, bus, telemetry, records, models)
    finally:
        if models:
            await models.close()
        await telemetry.close()
        await records.close()
        await bus.close()


def _models(settings: Settings, clock: SystemClock) -> Models | None:
    """The language models that are configured; without one, not even their code is loaded."""
    if not settings.llm.provider:
        return None
    from cerebro.kernel.llm.providers import open_models

    return open_models(settings.llm, clock)
