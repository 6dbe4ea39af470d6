"""The host observer on a real bus: one message a look, series named until stored, a boot told once."""

import asyncio
import contextlib

import pytest

from cerebro.intake.host import HostObserver
from cerebro.intake.outbox import Letter, Outbox
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.settings import HostSettings
from cerebro.spine.errors import LimitReached, Unavailable
from cerebro.spine.wire import Kind, decode_samples, decode_table

METRICS, EVENTS = "telemetry.default.metrics", "telemetry.default.events"


class Moody(MemoryBus):
    """A bus that is down when a test says so."""

    is_down = False

    async def publish(self, subject, body, *, dedup_key):
        if self.is_down:
            raise Unavailable("Down.")
        return await super().publish(subject, body, dedup_key=dedup_key)


@contextlib.asynccontextmanager
async def observing(settings, bus, host):
    mine = settings.model_copy(update={"host": HostSettings(interval_s=1)})
    stop = asyncio.Event()
    task = asyncio.create_task(HostObserver(Kernel(mine, SystemClock(), bus, None, None), host=host).run(stop))
    yield
    stop.set()
    await asyncio.wait_for(task, 10)


async def all_of(bus, stream, after, subject):
    found = []
    while batch := await bus.read(stream, after=after, count_max=100, bytes_max=1 << 26, wait_s=0.05, subject=subject):
        found += batch
        after = batch[-1].sequence
    return found


async def looks(bus, start, host):
    """The observer's batches; other tests' names stand first in theirs."""
    batches = [decode_samples(message.body) for message in await all_of(bus, "metrics", start, METRICS)]
    return [
        batch
        for batch in batches
        if not batch.series.num_rows or f"{host}'" in str(batch.series.slice(0, 1).to_pylist())
    ]


async def events(bus, start, host):
    messages = await all_of(bus, "events", start, EVENTS)
    rows = [row for message in messages for row in decode_table(Kind.EVENTS, message.body).to_pylist()]
    return [row for row in rows if row["entity_name"].startswith(host)]


async def test_a_look_is_one_message_and_names_each_series_once(settings, bus, tenant):
    start = (await bus.state("metrics")).last_sequence
    async with observing(settings, bus, tenant):
        await asyncio.sleep(3.2)

    batches = await looks(bus, start, tenant)
    named = [(row["hi"], row["lo"]) for batch in batches for row in batch.series.to_pylist()]
    sent = {pair for batch in batches for pair in zip(batch.hi.tolist(), batch.lo.tolist(), strict=True)}
    rows = {row["metric"]: row for batch in batches for row in batch.series.to_pylist()}
    assert len(batches) >= 3
    assert len(named) == len(set(named))
    assert set(named) == sent
    assert all(dict(row["labels"])["host.name"] == tenant for row in rows.values())
    assert rows["system.cpu.busy"]["entity_kind"] == "host"
    assert rows["process.memory.usage"]["entity_kind"] == "process"
    assert rows["process.memory.usage"]["entity_name"].startswith(f"{tenant}:")
    assert (rows["system.network.io"]["type"], rows["system.memory.usage"]["unit"]) == ("counter", "By")


async def test_a_boot_is_told_once_whoever_looks(settings, bus, tenant):
    start = (await bus.state("events")).last_sequence
    for _ in range(2):
        async with observing(settings, bus, tenant):
            await asyncio.sleep(0.4)

    [event] = await events(bus, start, tenant)
    assert (event["kind"], event["entity_kind"], event["title"]) == ("boot", "host", f"{tenant} booted")
    assert 0 < event["at_ns"] < SystemClock().now_ns()


async def test_looks_wait_for_the_bus_and_come_in_order(settings):
    bus = Moody(SystemClock())
    for stream in ALL:
        await bus.declare(stream)
    bus.is_down = True
    async with observing(settings, bus, "web-7"):
        await asyncio.sleep(2.2)
        bus.is_down = False
        await asyncio.sleep(1.2)

    batches = await looks(bus, 0, "web-7")
    times = [int(batch.at_ms[0]) for batch in batches]
    assert len(times) >= 4
    assert times == sorted(set(times))
    assert batches[0].series.num_rows > 0


@pytest.mark.parametrize("failure", [Unavailable("Down."), LimitReached("Full.")])
async def test_the_outbox_drops_the_oldest_and_counts(failure):
    sent = []

    class Down:
        error = failure

        async def publish(self, subject, body, *, dedup_key):
            if self.error:
                raise self.error
            sent.append(body)

    bus = Down()
    outbox = Outbox(bus, letters_max=3)
    stored = []
    for i in range(5):
        outbox.post(Letter("s", str(i), lambda i=i: (str(i).encode(), lambda: stored.append(i))))
        await outbox.send()
    assert len(outbox) == 3
    assert not stored

    bus.error = None
    await outbox.send()
    assert sent == [b"2", b"3", b"4"]
    assert stored == [2, 3, 4]
