"""The users of the shop: a load generator with a day's curve, which keeps its own record of what it felt.

Arrivals are open: a slow shop does not slow its users' coming. A buyer waits for the confirmation,
which counts as a request of its own, so that a queue that lags is felt too.
"""

import asyncio
import math
from collections import deque
from collections.abc import Coroutine
from typing import Any

import msgspec

from cerebro.proving.shop.plan import CATEGORIES, PRODUCTS
from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.room import Room, Routes, answer
from cerebro.proving.shop.wire import Answer, Request

RECORD_MAX = 400_000  # requests kept: more than two hours at 50 a second
DAY_SHARE = 0.35  # how far the curve of the day swings around its mean
SHOPPERS = 2_000
UNDERWAY_MAX = 600  # users at a time; more fail at once, as at a full door
CONFIRM_S, ASK_AGAIN_S = 4.0, 0.1
LONG_S = 0.5  # who has waited so long feels it, though no answer has come yet
# Of arrivals; the rest buys.
HOME, PRODUCT, SEARCH, ADD = 0.34, 0.68, 0.78, 0.86


class Felt(msgspec.Struct, frozen=True):
    """One request as a user felt it."""

    at_ms: int
    duration_ms: float
    ok: bool


class Load:
    """Everybody who uses the shop."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._record: deque[Felt] = deque(maxlen=RECORD_MAX)
        self._underway: set[asyncio.Task[None]] = set()
        self._waiting: dict[object, tuple[int, float]] = {}  # since when: the hour, and this process's own seconds
        room.telling.gauge("shop.users.underway", "{user}", lambda: len(self._underway))
        self.routes: Routes = {"GET /felt": self.felt}

    async def felt(self, request: Request) -> Answer:
        """What users felt of the requests that began in a stretch of time."""
        start_ms, end_ms = int(request.query["start_ms"]), int(request.query["end_ms"])
        felt = [each for each in (*self._record, *self._still()) if start_ms <= each.at_ms < end_ms]
        return answer(summary(felt))

    def _still(self) -> list[Felt]:
        """Those who have waited long and wait on."""
        now_s = self._room.clock.monotonic_s()
        return [
            Felt(at_ms, (now_s - began_s) * 1000, True)
            for at_ms, began_s in self._waiting.values()
            if now_s - began_s >= LONG_S
        ]

    async def run(self) -> None:
        """Let users come until the process ends."""
        chance, clock = self._room.clock.chance, self._room.clock
        next_s = clock.monotonic_s()
        while True:
            next_s = max(next_s + chance.expovariate(self._rate()), clock.monotonic_s() - 1.0)
            await asyncio.sleep(max(0.0, next_s - clock.monotonic_s()))
            self._arrive()

    def _rate(self) -> float:
        """Arrivals a second now; the curve begins at its mean, rising."""
        board = self._room.board
        turn = self._room.clock.now_ms() / 1000 / board.value("day_s") * 2 * math.pi
        return max(0.1, board.value("rate") * board.value("surge") * (1 + DAY_SHARE * math.sin(turn)))

    def _arrive(self) -> None:
        if len(self._underway) >= UNDERWAY_MAX:
            self._record.append(Felt(self._room.clock.now_ms(), 0.0, False))
            return
        task = asyncio.create_task(self._visit())
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)

    async def _visit(self) -> None:
        draw, product = self._room.clock.chance.random(), self._product()
        if draw < HOME:
            await self._ask(f"/home?category={product % CATEGORIES}")
        elif draw < PRODUCT:
            await self._ask(f"/product?id={product}")
        elif draw < SEARCH:
            await self._ask(f"/search?q=product-{product}")
        elif draw < ADD:
            await self._ask(f"/cart?shopper={self._shopper()}&id={product}", {})
        else:
            await self._buy(product)

    async def _buy(self, product: int) -> None:
        shopper = self._shopper()
        if await self._ask(f"/cart?shopper={shopper}&id={product}", {}) is None:
            return
        placed = await self._ask(f"/checkout?shopper={shopper}", {})
        if placed is not None:
            await self._timed(self._confirmed(msgspec.json.decode(placed.body)["order"]))

    async def _confirmed(self, order: int) -> Answer:
        until_s = self._room.clock.monotonic_s() + CONFIRM_S
        while True:
            state = await self._room.peers.value("gateway", f"/order?id={order}")
            if state["state"] == "confirmed":
                return answer(state)
            if self._room.clock.monotonic_s() > until_s:
                raise Refused(504, "not confirmed in time")
            await asyncio.sleep(ASK_AGAIN_S)

    async def _ask(self, target: str, body: object = None) -> Answer | None:
        return await self._timed(self._room.peers.call("gateway", target, body))

    async def _timed(self, asking: Coroutine[Any, Any, Answer]) -> Answer | None:
        """The answer, or nothing when the user was refused; either is recorded."""
        clock = self._room.clock
        at_ms, began_s, got = clock.now_ms(), clock.monotonic_s(), None
        mark = object()
        self._waiting[mark] = at_ms, began_s
        try:
            got = await asking
        except Refused as refused:
            self._room.telling.count("shop.requests.failed", reason=str(refused.status))
        finally:
            del self._waiting[mark]
        self._record.append(Felt(at_ms, (clock.monotonic_s() - began_s) * 1000, got is not None))
        return got

    def _product(self) -> int:
        """Few products are asked for often, many seldom."""
        return min(PRODUCTS, int(self._room.clock.chance.paretovariate(0.9) * 3))

    def _shopper(self) -> str:
        return f"shopper-{self._room.clock.chance.randrange(SHOPPERS)}"


def summary(felt: list[Felt]) -> dict[str, float]:
    """How many there were, how many failed, and the durations' quantiles."""
    durations = sorted(each.duration_ms for each in felt) or [0.0]
    return {
        "request_count": len(felt),
        "error_share": sum(not each.ok for each in felt) / max(1, len(felt)),
        "p50_ms": durations[len(durations) // 2],
        "p95_ms": durations[min(len(durations) - 1, int(len(durations) * 0.95))],
    }
