"""Waiting that ends early when the process does."""

import asyncio

from cerebro.kernel.clock import Clock


async def pause(clock: Clock, stop: asyncio.Event, duration_s: float) -> None:
    """Return after `duration_s` of this clock's time, or as soon as `stop` is set."""
    waits = {asyncio.ensure_future(clock.sleep(duration_s)), asyncio.ensure_future(stop.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
