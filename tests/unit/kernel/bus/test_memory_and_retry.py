import asyncio

import pytest

from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.port import StreamSpec
from cerebro.kernel.bus.retry import publish_until
from cerebro.kernel.clock import VirtualClock
from cerebro.spine.errors import LimitReached, Unavailable


class FailsFirst(MemoryBus):
    def __init__(self, clock, failures, error=Unavailable):
        super().__init__(clock)
        self.failures, self.error, self.tries = failures, error, []

    async def publish(self, subject, body, *, dedup_key):
        self.tries.append(dedup_key)
        if len(self.tries) <= self.failures:
            raise self.error("Not now.")
        return await super().publish(subject, body, dedup_key=dedup_key)


async def advance_until(task, clock, step_s=0.05, steps=1000):
    for _ in range(steps):
        if task.done():
            break
        await clock.advance(step_s)
    return task


async def test_a_wait_ends_when_the_clock_is_moved(clock):
    """No real time passes in a simulation."""
    bus = MemoryBus(clock)
    await bus.declare(StreamSpec("s", ("s.*",), 1000, 3600))
    task = asyncio.create_task(bus.read("s", after=0, count_max=1, bytes_max=1000, wait_s=600))
    await clock.advance(0)  # lets it begin
    await clock.advance(599)
    assert not task.done()
    await clock.advance(2)
    assert list(await task) == []


async def test_the_same_run_gives_the_same_sequence(clock):
    """Readers that wait are woken in the order in which they came."""

    async def run():
        bus, woken = MemoryBus(VirtualClock()), []
        await bus.declare(StreamSpec("s", ("s.*",), 1000, 3600))

        async def reader(name):
            await bus.read("s", after=0, count_max=1, bytes_max=1000, wait_s=10)
            woken.append(name)

        tasks = [asyncio.create_task(reader(name)) for name in range(8)]
        await asyncio.sleep(0)
        await bus.publish("s.x", b"", dedup_key="k")
        await asyncio.gather(*tasks)
        return woken

    assert await run() == await run()


async def test_publishing_goes_on_through_a_failover(clock):
    """The same key each time, until it is stored."""
    bus = FailsFirst(clock, failures=5)
    await bus.declare(StreamSpec("s", ("s.*",), 1000, 3600))
    task = asyncio.create_task(publish_until(bus, clock, "s.x", b"", dedup_key="k"))
    assert await (await advance_until(task, clock)) == 1
    assert bus.tries == ["k"] * 6


async def test_publishing_gives_up_in_time(clock):
    """A sender is answered, not kept."""
    began_s = clock.monotonic_s()
    bus = FailsFirst(clock, failures=10_000)
    task = asyncio.create_task(publish_until(bus, clock, "s.x", b"", dedup_key="k", within_s=8))
    with pytest.raises(Unavailable):
        await (await advance_until(task, clock))
    assert clock.monotonic_s() - began_s <= 8.1


async def test_a_full_stream_is_told_at_once(clock):
    """Back-pressure is not hidden in retries."""
    bus = FailsFirst(clock, failures=1, error=LimitReached)
    with pytest.raises(LimitReached):
        await publish_until(bus, clock, "s.x", b"", dedup_key="k")
    assert bus.tries == ["k"]
