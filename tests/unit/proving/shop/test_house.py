"""The shop's control door: what was begun there has an end."""

import asyncio
from dataclasses import replace

import msgspec

from cerebro.kernel.clock import SystemClock
from cerebro.proving.shop import house as houses
from cerebro.proving.shop.breaks import BREAKS
from cerebro.proving.shop.control import Ask
from cerebro.proving.shop.house import House
from cerebro.proving.shop.wire import Request


class Keeper:
    """Everything is as planned."""

    async def as_planned(self) -> None: ...


def asked(house, path, body=b""):
    return asyncio.create_task(house(Request("POST", path, {}, {"authorization": "Bearer token"}, body)))


async def test_a_fault_that_is_just_being_injected_is_ended_too(monkeypatch):
    """Whoever asked for it has gone, and it is finished all the same: who puts the shop in order waits for it."""
    begins, goes_on, ended = asyncio.Event(), asyncio.Event(), []

    async def begin(_site):
        begins.set()
        await goes_on.wait()

        async def end():
            ended.append("deploy")

        return end

    monkeypatch.setattr(houses, "BREAKS", {"hang": replace(BREAKS["hang"], begin=begin)})
    house = House(Keeper(), SystemClock(), "token", "key")
    injecting = asked(house, "/inject", msgspec.json.encode(Ask("hang", 1)))
    await begins.wait()
    injecting.cancel()
    tidying = asked(house, "/tidy")
    await asyncio.sleep(0)
    goes_on.set()

    assert (await tidying).status == 200
    assert ended == ["deploy"]
