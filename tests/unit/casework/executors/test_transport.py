"""Whoever is asked over HTTP takes no more time and memory than it is given, whatever it answers."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from cerebro.casework.executors import flags, supervisor, webhook
from cerebro.casework.executors.flags import Flags
from cerebro.casework.executors.hook import Hook
from cerebro.casework.executors.supervisor import ControlDoor
from cerebro.casework.executors.transport import ask
from cerebro.casework.executors.webhook import Webhook
from cerebro.spine.actions import Call
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import CerebroError, Unavailable

CART = EntityKey("service", "cart")
FLOOD_BYTES = 32 << 20
LIMIT_S = 0.3


class Slow:
    """Answers each request with 200 and a body that drips or floods; remembers how much of it was taken."""

    def __init__(self, *, floods):
        self.floods, self.taken_bytes = floods, 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 X\r\nContent-Length: {FLOOD_BYTES}\r\n\r\n".encode())
            piece = b" " * (1 << 16 if self.floods else 1)
            while self.taken_bytes < FLOOD_BYTES:
                writer.write(piece)
                await writer.drain()
                self.taken_bytes += len(piece)
                await asyncio.sleep(0 if self.floods else LIMIT_S / 10)
        writer.close()


def learn(url, clock):
    return ControlDoor("shop", url, "k" * 8, ["*"], None).learn()


def state(url, clock):
    return Flags(url, "token").state(EntityKey("flag", "x"))


def execute(url, clock):
    call = Call("webhook", "post", EntityKey("system", "tickets"), {})
    return Hook({"tickets": url}, "", clock).execute(call, key="k", timeout_s=LIMIT_S)


def post(url, clock):
    return Webhook(url).post("{}", {})


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(supervisor, "LOOK_S", LIMIT_S)
    monkeypatch.setattr(flags, "LOOK_S", LIMIT_S)
    monkeypatch.setattr(webhook, "TIMEOUT_S", LIMIT_S)


@pytest.mark.parametrize("asked", [learn, state, execute, post])
async def test_an_answer_that_drips_is_given_up_in_time(asked, clock):
    async with Slow(floods=False) as other, asyncio.timeout(10.0):
        with pytest.raises(Unavailable):
            await asked(other.url, clock)


@pytest.mark.parametrize("asked", [learn, state, execute, post])
async def test_of_an_answer_without_an_end_little_is_read(asked, clock):
    async with Slow(floods=True) as other:
        with suppress(CerebroError):
            await asked(other.url, clock)

        assert other.taken_bytes < FLOOD_BYTES / 2


async def test_a_door_that_has_done_it_and_says_much_of_it_has_done_it(clock):
    async with Slow(floods=True) as other:
        door = ControlDoor("shop", other.url, "k" * 8, ["*"], None)

        assert "has done restart" in await door.execute(Call("process", "restart", CART, {}), key="k", timeout_s=5.0)


async def test_what_is_read_is_never_more_than_the_limit_and_says_so():
    async with Slow(floods=True) as other, httpx.AsyncClient() as http:
        answer = await ask(http, "It", "GET", other.url, timeout_s=5.0, bytes_max=1000)

    assert (answer.status, answer.body, answer.is_whole) == (200, b" " * 1000, False)
