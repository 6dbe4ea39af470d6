"""Cerebro watches Cerebro: the metrics of this process go to the tenant `_cerebro`, like anyone's telemetry.

At most one message every `INTERVAL_S` a process, a few hundred series: far below 1 % of any
ingest worth watching. The road of this tenant's own messages is not traced.
"""

import asyncio

import numpy as np
import pyarrow as pa

from cerebro.intake.decode.identity import series_id
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.metrics import Reading, readings
from cerebro.spine.errors import LimitReached, Unavailable
from cerebro.spine.identity import SELF_TENANT
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, SeriesType, no_series
from cerebro.spine.wire import encode_samples

log = get_log(__name__)

INTERVAL_S = 15.0
SUBJECT = f"telemetry.{SELF_TENANT}.metrics"
TYPES = {
    "counter": SeriesType.COUNTER,
    "histogram": SeriesType.HISTOGRAM,
    "summary": SeriesType.UNKNOWN,
    "gauge": SeriesType.GAUGE,
    "info": SeriesType.GAUGE,
}
SeriesId = tuple[int, int]


class OwnObserver:
    """Sends what `/metrics` shows to the bus; a task of every process.

    Args:
        kernel: Its bus and clock.
        roles: What this process does; tells it from the others of the same machine.
        host: The machine.
    """

    name = "own-metrics"

    def __init__(self, kernel: Kernel, roles: str, host: str) -> None:
        self._bus, self._clock = kernel.bus, kernel.clock
        self._common = {"service.name": "cerebro", "service.instance.id": f"{host}:{roles}", "host.name": host}
        self._run_id = kernel.clock.new_id()
        self._entity = ("service", "cerebro")
        self._named: set[SeriesId] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send every interval until `stop`; a message that the bus refuses is left out."""
        while not stop.is_set():
            await pause(self._clock, stop, INTERVAL_S)
            try:
                await self._send()
            except (Unavailable, LimitReached) as error:
                log.debug("own_metrics_left_out", reason=error.code)

    async def _send(self) -> None:
        at_ms = self._clock.now_ms()
        now = list(readings())
        ids = [series_id(reading.name, self._common | reading.labels) for reading in now]
        fresh = [(key, reading) for key, reading in zip(ids, now, strict=True) if key not in self._named]
        columns = np.array(ids, np.uint64).reshape(-1, 2)
        batch = SampleBatch(
            hi=columns[:, 0].copy(),
            lo=columns[:, 1].copy(),
            at_ms=np.full(len(now), at_ms, np.int64),
            value=np.array([reading.value for reading in now], np.float64),
            series=self._table(fresh) if fresh else no_series(),
        )
        await self._bus.publish(SUBJECT, encode_samples(batch), dedup_key=f"own:{self._run_id}:{at_ms}")
        self._named |= {key for key, _ in fresh}

    def _table(self, fresh: list[tuple[SeriesId, Reading]]) -> pa.Table:
        """What the series stand for, as SERIES_SCHEMA."""
        rows = [
            (*key, one.name, sorted((self._common | one.labels).items()), _type(one), "", *self._entity)
            for key, one in fresh
        ]
        columns = [
            pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SERIES_SCHEMA, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=SERIES_SCHEMA)


def _type(reading: Reading) -> str:
    return TYPES.get(reading.kind, SeriesType.UNKNOWN).value
