"""A pause is one of the clock's time: a story on a virtual clock does not depend on the machine's speed."""

import asyncio

from cerebro.kernel.clock import VirtualClock, pause


async def test_a_pause_lasts_as_the_clock_says_or_until_the_stop():
    clock, stop, ended = VirtualClock(), asyncio.Event(), []

    async def rounds():
        while not stop.is_set():
            await pause(clock, stop, 2.0)
            ended.append(clock.now_ms())

    task, began_ms = asyncio.create_task(rounds()), clock.now_ms()
    await asyncio.sleep(0.01)  # the machine's own time moves nothing
    assert ended == []
    await clock.advance(5.0)
    assert [at_ms - began_ms for at_ms in ended] == [2000, 4000]
    stop.set()
    await task
    assert len(ended) == 3
