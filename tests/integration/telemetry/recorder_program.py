"""A recorder of its own process, which kills itself at a named step: argv = NATS URL, store URL, step."""

import asyncio
import os
import signal
import sys

from cerebro.kernel.bus.nats import NatsBus
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.telemetry.blocks import METRICS
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.recorder import Recorder

STEP = sys.argv[3]


def reached(step: str) -> None:
    if step == STEP:
        os.kill(os.getpid(), signal.SIGKILL)


class Bus:
    def __init__(self, bus):
        self._bus, self._intended = bus, False

    def __getattr__(self, name):
        return getattr(self._bus, name)

    async def put(self, bucket, key, value, *, revision=None):
        stored = await self._bus.put(bucket, key, value, revision=revision)
        if bucket == "places" and b'"intent":[' in value:
            self._intended = True
            reached("intended")
        elif bucket == "places" and self._intended:
            reached("committed")
        return stored


class Telemetry(ClickHouseTelemetry):
    async def insert(self, table, rows, *, dedup_token):
        await super().insert(table, rows, dedup_token=dedup_token)
        reached(f"{table} inserted")


async def main() -> None:
    bus, stop = await NatsBus.connect(sys.argv[1]), asyncio.Event()
    telemetry = Telemetry(sys.argv[2])
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Recorder(METRICS, Bus(bus), telemetry, SystemClock(), f"process {os.getpid()}").run(stop)
    await telemetry.close()
    await bus.close()


asyncio.run(main())
