"""A TCP proxy between two services, put there when a network path is to misbehave, and gone afterwards."""

import asyncio
from dataclasses import dataclass

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.wire import LOOPBACK

CHUNK_BYTES = 65_536
RETRANSMIT_S = 0.25  # the first time-out of a lost packet; each further loss doubles it


@dataclass(frozen=True, slots=True)
class Weather:
    """How the path is.

    Args:
        delay_s: On top, each way.
        loss_share: Of chunks that are lost and sent again after TCP's time-out, 0 … 1.
        cut: Nothing passes.
    """

    delay_s: float = 0.0
    loss_share: float = 0.0
    cut: bool = False


class Proxy:
    """One port that leads to the called service's replicas in turn, through the weather."""

    def __init__(self, ports: tuple[int, ...], weather: Weather, clock: Clock) -> None:
        self._ports, self._weather, self._clock = ports, weather, clock
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def open(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Cut every connection and listen no more."""
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._turn += 1
        try:
            port = self._ports[self._turn % len(self._ports)]
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
            finally:
                far_writer.close()
        except (OSError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chance, weather = self._clock.chance, self._weather
        while chunk := await reader.read(CHUNK_BYTES):
            if weather.cut:
                continue
            pause_s, timeout_s = weather.delay_s * chance.uniform(0.8, 1.2), RETRANSMIT_S
            while chance.random() < weather.loss_share:
                pause_s, timeout_s = pause_s + timeout_s, timeout_s * 2
            if pause_s:
                await asyncio.sleep(pause_s)
            writer.write(chunk)
            await writer.drain()
        writer.close()
