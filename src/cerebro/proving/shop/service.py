"""One process of the shop: `python -m cerebro.proving.shop.service NAME …` plays any of its services."""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from cerebro.kernel.clock import Clock, SystemClock
from cerebro.proving.shop.database import Pool
from cerebro.proving.shop.goods import Cache, Cart, Catalogue, Recommendation
from cerebro.proving.shop.load import Load
from cerebro.proving.shop.money import Checkout, Gateway, Outside, Payment, Worker
from cerebro.proving.shop.peers import Peers
from cerebro.proving.shop.plan import STORED
from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.registry import Board
from cerebro.proving.shop.room import Room, Routes
from cerebro.proving.shop.telling import Telling
from cerebro.proving.shop.trouble import Troubles
from cerebro.proving.shop.vitals import Vitals
from cerebro.proving.shop.wire import Answer, Request, serve

MODULE = "cerebro.proving.shop.service"
LOOK_S = 0.2
ALWAYS_OPEN = "/alive"  # answered whatever the state, past every limit


class Part(Protocol):
    """What a service does; `open` and `run` where it has them."""

    routes: Routes


PARTS: Mapping[str, Callable[[Room], Part]] = {
    "cache": Cache, "outside": Outside, "catalogue": Catalogue, "cart": Cart, "payment": Payment, "worker": Worker,
    "recommendation": Recommendation, "checkout": Checkout, "gateway": Gateway, "load": Load,
}  # fmt: skip


class Door:
    """Answers requests: limits first, then what has gone wrong, then the service itself."""

    def __init__(self, room: Room, routes: Routes) -> None:
        self._room, self._routes = room, routes
        self._working_count = self._waiting_count = 0
        self._turn = asyncio.Condition()
        room.telling.gauge("http.server.active_requests", "{request}", lambda: self._working_count)
        room.telling.gauge("http.server.waiting_requests", "{request}", lambda: self._waiting_count)

    async def __call__(self, request: Request) -> Answer:
        """One request, measured."""
        if request.path == ALWAYS_OPEN:
            return Answer(200)
        with self._room.telling.serving(request.method, request.path, request.headers) as stretch:
            try:
                answer = await self._work(request)
            except Refused as refused:
                answer = Answer(refused.status, refused.reason.encode())
            stretch.status(answer.status)
        return answer

    async def _work(self, request: Request) -> Answer:
        route = self._routes.get(f"{request.method} {request.path}")
        if route is None:
            raise Refused(404, "no such route")
        await self._enter()
        try:
            await self._room.troubles.befall()
            if work_s := self._room.board.seconds("work_ms"):
                await asyncio.sleep(work_s * self._room.clock.chance.lognormvariate(0.0, 0.25))
            return await route(request)
        finally:
            self._working_count -= 1
            if self._waiting_count:
                async with self._turn:
                    self._turn.notify()

    async def _enter(self) -> None:
        """Wait for one's turn."""
        board = self._room.board
        if self._working_count >= board.value("concurrency"):
            if self._waiting_count >= board.value("queue_max"):
                raise Refused(503, "too many requests wait")
            self._waiting_count += 1
            try:
                async with self._turn:
                    await self._turn.wait_for(lambda: self._working_count < board.value("concurrency"))
            finally:
                self._waiting_count -= 1
        self._working_count += 1


def arguments(name: str, number: int, port: int, *, version: str, incarnation: int, registry: Path) -> tuple[str, ...]:
    """The command line of one replica."""
    words = (sys.executable, "-m", MODULE, name, "--number", str(number), "--port", str(port))
    return (*words, "--version", version, "--incarnation", str(incarnation), "--registry", str(registry))


async def play(name: str, number: int, port: int, board: Board, clock: Clock) -> None:
    """Be the service until told to stop."""
    if board.value("concurrency") < 1:
        raise SystemExit(f"{name}: concurrency must be at least 1, not {board.value('concurrency'):.0f}")
    telling = Telling(name, number, board.version, board.registry, clock)
    vitals = Vitals(clock)
    vitals.tell(telling)
    room = Room(
        board, clock, telling, Troubles(board, telling, clock), Peers(board, telling, clock), Pool(board, telling)
    )
    part = PARTS[name](room)
    if isinstance(part, Checkout):
        await part.open()
    asyncio.get_running_loop().set_exception_handler(telling.unhandled)
    server = await serve(Door(room, part.routes), port)
    telling.log("INFO", f"{name} started", version=board.version)
    stop = asyncio.Event()
    for number_of_signal in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number_of_signal, stop.set)
    running = [asyncio.create_task(_look(room, name, vitals)), asyncio.create_task(room.troubles.heat())]
    if isinstance(part, Worker | Load | Cache):
        running.append(asyncio.create_task(part.run()))
    running.append(asyncio.create_task(_wait(stop)))
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()} - done
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    room.peers.close()
    telling.log("INFO", f"{name} stopped")
    telling.close()
    for task in done:
        task.result()  # a bug ends the process with its traceback; the keeper starts it again


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


async def _look(room: Room, name: str, vitals: Vitals) -> None:
    """Follow the registry."""
    while True:
        due_s = room.clock.monotonic_s() + LOOK_S
        await asyncio.sleep(LOOK_S)
        vitals.woke(room.clock.monotonic_s() - due_s)
        room.troubles.spare()
        room.board.look()
        room.troubles.look()
        if name in STORED:
            room.pool.find_lost()


def main() -> None:
    """The entry point of the program."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("name", choices=sorted(PARTS))
    for option, kind in (("number", int), ("port", int), ("version", str), ("incarnation", int), ("registry", Path)):
        parser.add_argument(f"--{option}", type=kind, required=True)
    named = parser.parse_args()
    gc.freeze()  # what was imported stays: no use looking at it again and again
    clock = SystemClock()
    board = Board(
        named.registry, named.name, named.number, incarnation=named.incarnation, version=named.version, clock=clock
    )
    asyncio.run(play(named.name, named.number, named.port, board, clock))


if __name__ == "__main__":
    main()
