"""Calls to other services: who is there, whose turn it is, how long to wait, when to try again."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.plan import EDGES
from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.registry import Board, Place
from cerebro.proving.shop.telling import Telling
from cerebro.proving.shop.wire import Answer, Lines

AVOID_S = 0.5  # a replica that refuses connections is left alone for so long
BAD_GATEWAY, TIMED_OUT = 502, 504
NONE: Mapping[str, str] = MappingProxyType({})


class Peers:
    """The other services as this one reaches them."""

    def __init__(self, board: Board, telling: Telling, clock: Clock) -> None:
        self._board, self._telling, self._clock = board, telling, clock
        self._lines = Lines()
        self._avoided: dict[int, float] = {}
        self._turns: dict[str, int] = {}
        self._retries: dict[str, int] = {}
        for caller, called in EDGES:
            if caller == board.name:
                telling.counter(
                    "http.client.retries", "{request}", lambda to=called: self._retries.get(to, 0),  # type: ignore[misc]
                    **{"server.address": called},
                )  # fmt: skip
        self._adrift: set[asyncio.Task[Answer]] = set()  # asked, and nobody waits for the answer any more

    async def call(
        self, name: str, target: str, body: object = None, *, headers: Mapping[str, str] = NONE, patience: float = 1.0
    ) -> Answer:
        """The answer of a service, tried again as often as the configuration says.

        Args:
            name: Of the service.
            target: Path and query.
            body: Sent as JSON by POST; a GET without one.
            headers: Sent along.
            patience: So many times the configured time-out.

        Raises:
            Refused: With its status when it refuses, 502 when it cannot be reached, 504 when it is silent.
        """
        payload = b"" if body is None else msgspec.json.encode(body)
        method = "GET" if body is None else "POST"
        tries_left = int(self._board.value("retries"))

        def once() -> Coroutine[Any, Any, Answer]:
            return self._once(name, method, target, body=payload, headers=headers, patience=patience)

        if tries_left and (impatient_s := self._board.seconds("impatience_ms")):
            answer = await self._impatient(name, once, tries_left, impatient_s)
            if answer.ok:
                return answer
            raise Refused(answer.status, f"{name}: {answer.body.decode()[:120] or answer.status}")
        while True:
            answer = await once()
            if answer.ok:
                return answer
            if answer.status < 500 or tries_left <= 0:
                raise Refused(answer.status, f"{name}: {answer.body.decode()[:120] or answer.status}")
            tries_left -= 1
            self._retries[name] = self._retries.get(name, 0) + 1

    async def _impatient(
        self, name: str, once: Callable[[], Coroutine[Any, Any, Answer]], tries_left: int, impatient_s: float
    ) -> Answer:
        """Ask again before there is an answer; the first good one counts, the others are worked for nothing."""
        asked = {asyncio.create_task(once())}
        while True:
            done, pending = await asyncio.wait(
                asked, timeout=impatient_s if tries_left else None, return_when=asyncio.FIRST_COMPLETED
            )
            good = [task.result() for task in done if task.result().ok]
            if good or not (pending or tries_left):
                self._adrift |= pending
                return good[0] if good else done.pop().result()
            asked = pending
            if tries_left:
                tries_left -= 1
                self._retries[name] = self._retries.get(name, 0) + 1
                asked.add(asyncio.create_task(once()))
            self._adrift = {task for task in self._adrift if not task.done()}

    async def value(self, name: str, target: str, body: object = None) -> dict[str, object]:
        """The JSON object that it answers."""
        answer = await self.call(name, target, body)
        try:
            decoded: dict[str, object] = msgspec.json.decode(answer.body, type=dict[str, object])
        except msgspec.DecodeError as error:
            self._telling.log("ERROR", f"{name} answered with what cannot be read", error=str(error))
            raise Refused(BAD_GATEWAY, f"{name}: unreadable answer") from error
        return decoded

    async def _once(
        self, name: str, method: str, target: str, *, body: bytes, headers: Mapping[str, str], patience: float
    ) -> Answer:
        sent, timeout_s = dict(headers), self._board.seconds("timeout_ms") * patience
        with self._telling.calling(method, name, sent) as stretch:
            answer, why = await self._attempt(name, method, target, body=body, headers=sent, timeout_s=timeout_s)
            if why:
                stretch.failed(why)
            else:
                stretch.status(answer.status)
        return answer

    async def _attempt(
        self, name: str, method: str, target: str, *, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> tuple[Answer, str]:
        """The answer, and the type of the error where nobody gave one."""
        if name in self._board.registry.unresolved:
            self._telling.log("ERROR", f"{name}: name or service not known")
            return Answer(BAD_GATEWAY, b"name not known"), "gaierror"
        port = self._port(name)
        if port == 0:
            return Answer(BAD_GATEWAY, b"no replica"), "NoRouteError"
        try:
            return await self._lines.ask(port, method, target, body=body, headers=headers, timeout_s=timeout_s), ""
        except TimeoutError:
            self._telling.log("WARN", f"{name} did not answer in time", timeout_s=timeout_s)
            return Answer(TIMED_OUT, b"timed out"), "TimeoutError"
        except OSError as error:
            self._avoided[port] = self._clock.monotonic_s() + AVOID_S
            self._telling.log("WARN", f"{name} cannot be reached", error=str(error))
            return Answer(BAD_GATEWAY, b"unreachable"), type(error).__name__

    def _port(self, name: str) -> int:
        """The next replica by weight, around those that lately refused; 0 when there is none."""
        registry = self._board.registry
        if route := registry.routes.get(f"{self._board.name}>{name}"):
            return route
        places = [place for place in registry.services[name].places if place.weight > 0]
        now_s = self._clock.monotonic_s()
        good = [place for place in places if self._avoided.get(place.port, 0.0) < now_s] or places
        return self._turn(name, good).port if good else 0

    def _turn(self, name: str, places: list[Place]) -> Place:
        if len({place.weight for place in places}) > 1:
            return self._clock.chance.choices(places, [place.weight for place in places])[0]
        turn = self._turns[name] = self._turns.get(name, -1) + 1
        return places[turn % len(places)]

    def close(self) -> None:
        """Let every connection go."""
        self._lines.close()
