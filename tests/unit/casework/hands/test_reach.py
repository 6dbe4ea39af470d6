"""What can be acted through: doors that programs of this machine introduce, and what the settings name."""

import asyncio
import json
import os
from contextlib import AsyncExitStack, suppress

import psutil
import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.executors import supervisor
from cerebro.casework.hands.reach import FOLDER, Doors
from cerebro.casework.hands.store import DOORS, DoorEntry
from cerebro.kernel.settings import Settings
from cerebro.spine.actions import Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import DEFAULT_TENANT, TenantId

CART, TENANT = EntityKey("service", "cart"), TenantId("another")
LIMIT_S = 1.0


async def test_a_door_is_known_while_its_program_runs_and_settings_name_the_rest(clock, tmp_path):
    named = Settings().reach.model_copy(update={"webhooks": '{"ticketing": "https://tickets.example/hook"}'})
    kernel = simulated_kernel(Settings().model_copy(update={"data_dir": tmp_path, "reach": named}), clock)
    doors = Doors(kernel)
    folder = tmp_path / FOLDER
    folder.mkdir()
    own = {"kind": "process", "url": "http://127.0.0.1:1", "key": "k" * 32, "targets": ["service/*"]}
    started_s = psutil.Process().create_time()
    for name, began_s in (("shop", started_s), ("gone", started_s - 99.0)):
        written = own | {"name": name, "pid": os.getpid(), "started_s": began_s}
        (folder / f"{name}.json").write_text(json.dumps(written))

    assert [each.name for each in await doors.entries(DEFAULT_TENANT)] == ["shop"]
    assert [each.name for each in doors.set_up(DEFAULT_TENANT)] == ["webhook"]
    stranger = TenantId("another")
    assert (await doors.entries(stranger), list(doors.set_up(stranger))) == ([], [])


class Supervisor:
    """A control door as the test wants it: well, dripping, or one that hangs up; and what comes before its answer."""

    def __init__(self, manner="well", before=None):
        self.manner, self.operations, self.asked, self._before = manner, ["restart"], 0, before

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            body = json.dumps([{"name": each} for each in self.operations]).encode()
            head = f"HTTP/1.1 200 X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            if self._before:
                await self._before()
            for byte in head + body if self.manner == "drips" else ():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(LIMIT_S / 4)
            if self.manner == "well":
                writer.write(head + body)
                await writer.drain()
        writer.close()


@pytest.fixture
def kernel(clock, tmp_path):
    return simulated_kernel(Settings().model_copy(update={"data_dir": tmp_path}), clock)


async def register(kernel, *others):
    async with kernel.records.transaction() as transaction:
        for number, other in enumerate(others):
            entry = DoorEntry(f"door-{number}", "process", other.url, "k" * 8, ("service/*",), Level.ASK, "anna", 1)
            await transaction.save(DOORS, TENANT, entry.name, entry, version=0)


async def test_a_door_that_drips_keeps_nobody(kernel, monkeypatch):
    monkeypatch.setattr(supervisor, "LOOK_S", LIMIT_S)
    async with Supervisor("drips") as slow, Supervisor() as well, asyncio.timeout(10.0):
        await register(kernel, slow, well)

        found = await Doors(kernel).of(TENANT)

    assert [each.label for each in found if each.can("restart")] == ["door-1"]


async def test_all_doors_are_asked_at_one_time(kernel):
    """Each of these answers once the last of them is asked."""
    async with AsyncExitStack() as stack:
        everyone = asyncio.Barrier(8)
        others = [await stack.enter_async_context(Supervisor(before=everyone.wait)) for _ in range(8)]
        await register(kernel, *others)

        found = await Doors(kernel).of(TENANT)

    assert [each.label for each in found] == [f"door-{number}" for number in range(8)]


async def test_whoever_asks_meanwhile_or_just_after_has_what_was_found(kernel, clock):
    async with Supervisor("hangs up", before=lambda: clock.advance(5.0)) as slow:
        await register(kernel, slow)
        doors = Doors(kernel)

        await asyncio.gather(doors.of(TENANT), doors.of(TENANT))
        await doors.of(TENANT)

        assert slow.asked == 1


async def test_a_silent_door_is_asked_again_after_growing_pauses(kernel, clock):
    async with Supervisor("hangs up") as other:
        await register(kernel, other)
        doors = Doors(kernel)
        for _ in range(60):
            await doors.of(TENANT)
            await clock.advance(5.0)
        assert 6 <= other.asked <= 10

        other.manner = "well"
        await clock.advance(60.0)
        (found,) = await doors.of(TENANT)

    assert found.reaches(CART, "restart")


async def test_what_a_door_can_do_and_whether_it_answers_is_asked_each_minute(kernel, clock):
    async with Supervisor() as other:
        await register(kernel, other)
        doors = Doors(kernel)
        (door,) = await doors.of(TENANT)
        assert not door.can("drain") and await doors.answering(TENANT) == {"door-0"}

        other.operations.append("drain")
        await clock.advance(61.0)
        assert (await doors.of(TENANT))[0].can("drain")
        assert other.asked == 2

        other.manner = "hangs up"
        await clock.advance(61.0)
        assert await doors.answering(TENANT) == frozenset()


async def test_a_door_that_is_silent_for_a_moment_may_still_be_tried(kernel, clock):
    """An undo goes there and nowhere else; who is gone for good is in the way of others who can do the same."""
    async with Supervisor() as other:
        await register(kernel, other)
        doors = Doors(kernel)
        await doors.of(TENANT)
        other.manner = "hangs up"

        await clock.advance(3600.0)  # in which nobody wanted to know
        (door,) = await doors.of(TENANT)
        assert door.reaches(CART, "restart")
        for _ in range(60):
            await clock.advance(6.0)
            gone = await doors.of(TENANT)
        assert list(gone) == []

        other.manner = "well"
        await clock.advance(61.0)
        assert list(await doors.of(TENANT)) == [door]
