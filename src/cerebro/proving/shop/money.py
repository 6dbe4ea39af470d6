"""The services that sell things: gateway, checkout, payment, the outside supplier's double, the queue worker."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import nats
import nats.errors
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from cerebro.proving.shop import disk
from cerebro.proving.shop.plan import CONSUMER, STREAM, SUBJECT
from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.room import Room, Route, Routes, answer
from cerebro.proving.shop.session import HEADER, need_session, sign
from cerebro.proving.shop.wire import Answer, Request

ORDER_SQL = "INSERT INTO orders (shopper, amount, state) VALUES (%s, %s, 'placed') RETURNING id"
TAKE_SQL = "UPDATE stock SET quantity = quantity - 1 WHERE product_id = ANY(%s)"
CONFIRM_SQL = "UPDATE orders SET state = 'confirmed' WHERE id = %s"
STATE_SQL = "SELECT state FROM orders WHERE id = %s"
PUBLISH_S, ACKNOWLEDGE_S, POISON_S = 2.0, 4, 1.5
DELIVERIES_MAX = 3
BUS_OPTIONS = {"connect_timeout": 2, "max_reconnect_attempts": -1, "reconnect_time_wait": 1}


async def connect(room: Room) -> Client:
    """The shop's bus; a connection that heals itself."""

    async def failed(error: Exception) -> None:
        room.telling.log("WARN", "bus error", error=str(error))

    return await nats.connect(room.board.registry.bus_url, error_cb=failed, **BUS_OPTIONS)


class Gateway:
    """The front door: it asks the others and puts a page together."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes: Routes = {
            "GET /home": self._shed(self.home),
            "GET /product": self._shed(self.product),
            "GET /search": self._shed(self.search),
            "POST /cart": self._shed(self.add),
            "POST /checkout": self._shed(self.buy),
            "GET /order": self.order,
        }

    def _shed(self, route: Route) -> Route:
        """Refuse a share of the work before it costs anything."""

        async def shedding(request: Request) -> Answer:
            if self._room.board.value("shed") > self._room.clock.chance.random():
                raise Refused(503, "shed")
            return await route(request)

        return shedding

    async def home(self, request: Request) -> Answer:
        """A category and what one might like; without the latter when it does not answer."""
        category = request.query["category"]
        page, liked = await asyncio.gather(
            self._room.peers.call("catalogue", f"/list?category={category}"), self._liked(category)
        )
        return answer({"page": msgspec.Raw(page.body), "liked": liked})

    async def product(self, request: Request) -> Answer:
        """A product and what goes with it."""
        number = request.query["id"]
        page, liked = await asyncio.gather(
            self._room.peers.call("catalogue", f"/product?id={number}"), self._liked(number)
        )
        return answer({"page": msgspec.Raw(page.body), "liked": liked})

    async def search(self, request: Request) -> Answer:
        """Products by name."""
        return await self._room.peers.call("catalogue", f"/search?q={request.query['q']}")

    async def add(self, request: Request) -> Answer:
        """Put a product into the cart."""
        session = sign(self._room, request.query["shopper"])
        return await self._room.peers.call("cart", f"/add?id={request.query['id']}", {}, headers={HEADER: session})

    async def buy(self, request: Request) -> Answer:
        """Buy what is in the cart."""
        session = sign(self._room, request.query["shopper"])
        return await self._room.peers.call("checkout", "/place", {}, patience=3.0, headers={HEADER: session})

    async def order(self, request: Request) -> Answer:
        """How an order stands."""
        return await self._room.peers.call("checkout", f"/order?id={request.query['id']}")

    async def _liked(self, number: str) -> object:
        try:
            return (await self._room.peers.value("recommendation", f"/for?id={number}"))["products"]
        except Refused as refused:
            self._room.telling.log("WARN", "page without recommendations", reason=refused.reason)
            return []


class Checkout:
    """Takes an order: charges, writes it down, hands it to the queue."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bus: Client | None = None
        self._disk = Path(room.board.registry.disk)
        room.telling.gauge("system.filesystem.usage", "By", lambda: disk.used_bytes(self._disk))
        room.telling.gauge("system.filesystem.limit", "By", lambda: disk.QUOTA_BYTES)
        room.telling.gauge("system.filesystem.utilization", "1", lambda: disk.used_bytes(self._disk) / disk.QUOTA_BYTES)
        self._written_count, self._writing_s = 0, 0.0
        room.telling.counter("system.disk.operations", "{operation}", lambda: self._written_count)
        room.telling.counter("system.disk.operation_time", "s", lambda: self._writing_s)
        self.routes: Routes = {"POST /place": self.place, "GET /order": self.order}

    async def open(self) -> None:
        """Connect to the queue."""
        self._bus = await connect(self._room)

    async def place(self, request: Request) -> Answer:
        """The order's number, once it is paid for and cannot be lost."""
        shopper = need_session(self._room, request)
        session = {HEADER: request.headers[HEADER]}
        cart = msgspec.json.decode((await self._room.peers.call("cart", "/cart", headers=session)).body)
        products = sorted(item[0] for item in cart["items"])
        amount = 7 + sum(item[1] for item in cart["items"])
        await self._room.peers.call("payment", "/charge", {"shopper": shopper, "amount": amount})
        async with self._room.pool.connection() as connection:
            await self._room.pool.run(connection, TAKE_SQL, (products,), table="stock")
            rows = await self._room.pool.run(connection, ORDER_SQL, (shopper, amount), table="orders")
        number = int(rows[0][0])
        await self._journal(number, shopper)
        await self._publish(number)
        await self._room.peers.call("cart", "/clear", {}, headers=session)
        return answer({"order": number})

    async def order(self, request: Request) -> Answer:
        """How it stands."""
        rows = await self._room.pool.fetch(STATE_SQL, (int(request.query["id"]),), table="orders")
        if not rows:
            raise Refused(404, "no such order")
        return answer({"state": rows[0][0]})

    async def _journal(self, number: int, shopper: str) -> None:
        with self._room.telling.doing("append orders.journal") as stretch:
            try:
                await self._append(number, shopper)
            except Refused:
                stretch.failed("ENOSPC")
                raise
        self._written_count, self._writing_s = self._written_count + 1, self._writing_s + stretch.duration_s

    async def _append(self, number: int, shopper: str) -> None:
        if slow := self._room.board.trouble("slow_disk"):
            await asyncio.sleep(slow.amount / 1000)
        try:
            disk.append(self._disk, "orders.journal", f"{number} {shopper}\n")
        except OSError as error:
            self._room.telling.log("ERROR", "journal cannot be written", error=str(error))
            raise Refused(507, "no space left") from error

    async def _publish(self, number: int) -> None:
        assert self._bus is not None
        try:
            headers = self._room.telling.passed_on()
            body = msgspec.json.encode({"order": number})
            await self._bus.jetstream(timeout=PUBLISH_S).publish(SUBJECT, body, headers=headers)
        except (nats.errors.Error, TimeoutError) as error:
            self._room.telling.log("ERROR", "order cannot be queued", error=str(error))
            raise Refused(503, "queue unreachable") from error


class Payment:
    """Charges through the outside supplier, or without it while the circuit is open."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes: Routes = {"POST /charge": self.charge}

    async def charge(self, _request: Request) -> Answer:
        """Charge, or note that it is to be charged later."""
        registry = self._room.board.registry
        if registry.circuit_open:
            self._room.telling.count("shop.payments.deferred")
            return answer({"state": "deferred"})
        paid = await self._room.peers.value("outside", f"/{registry.supplier}/authorise", {})
        return answer({"state": paid["state"]})


class Outside:
    """The double of two outside suppliers, of which the shop uses one."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes: Routes = {"POST /main/authorise": self.authorise, "POST /standby/authorise": self.stand_in}

    async def authorise(self, _request: Request) -> Answer:
        """The main supplier, with its moods."""
        board, chance = self._room.board, self._room.clock.chance
        if slow := board.trouble("outside_api_slow"):
            await asyncio.sleep(slow.amount / 1000 * chance.uniform(0.7, 1.3))
        if (failing := board.trouble("outside_api_failing")) and chance.random() < failing.amount:
            raise Refused(500, "supplier error")
        if (limited := board.trouble("outside_api_limited")) and chance.random() < limited.amount:
            raise Refused(429, "too many requests")
        if (garbled := board.trouble("outside_api_garbled")) and chance.random() < garbled.amount:
            return Answer(200, b"<html>maintenance</html>")
        return answer({"state": "authorised"})

    async def stand_in(self, _request: Request) -> Answer:
        """The standby supplier."""
        return answer({"state": "authorised"})


class Worker:
    """Confirms orders, one message after another."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes: Routes = {}
        self._pending_count = self._again_count = 0
        self._late_s = 0.0
        room.telling.gauge("messaging.consumer.lag", "{message}", lambda: self._pending_count)
        room.telling.gauge("messaging.consumer.delay", "s", lambda: self._late_s)
        room.telling.counter("messaging.consumer.redelivered", "{message}", lambda: self._again_count)

    async def run(self) -> None:
        """Work the queue until the process ends."""
        bus = await connect(self._room)
        stream = bus.jetstream()
        config = ConsumerConfig(ack_wait=ACKNOWLEDGE_S, max_deliver=-1, max_ack_pending=64)
        queue = await stream.pull_subscribe(SUBJECT, CONSUMER, STREAM, config=config)
        while True:
            try:
                messages = await queue.fetch(int(self._room.board.value("concurrency")), timeout=2)
            except (nats.errors.Error, TimeoutError):
                self._pending_count, self._late_s = 0, 0.0
                continue
            self._note(messages)
            await asyncio.gather(*(self._work(message) for message in messages))

    def _note(self, messages: Sequence[Msg]) -> None:
        """How far behind it is: so many wait, the oldest of these for so long, and so many were here before."""
        told = [message.metadata for message in messages]
        self._pending_count = told[0].num_pending
        self._late_s = max(self._room.clock.now_ms() / 1000 - each.timestamp.timestamp() for each in told)
        self._again_count += sum(each.num_delivered > 1 for each in told)

    async def _work(self, message: Msg) -> None:
        with self._room.telling.working(SUBJECT, message.headers or {}) as stretch:
            try:
                await self._room.troubles.befall()
                await asyncio.sleep(self._room.board.seconds("work_ms"))
                await self._confirm(message.data)
                await message.ack()
            except (Refused, psycopg.Error, nats.errors.Error) as error:
                stretch.failed(type(error).__name__)
                await self._return(message, str(error))

    async def _confirm(self, body: bytes) -> None:
        try:
            order = msgspec.json.decode(body, type=dict[str, int])
        except msgspec.DecodeError as error:
            await asyncio.sleep(POISON_S)  # it takes the parser that long to give up
            raise Refused(422, f"order cannot be read: {error}") from error
        if order["order"] > 0:  # an imported one has no row here
            await self._room.pool.fetch(CONFIRM_SQL, (order["order"],), table="orders")

    async def _return(self, message: Msg, reason: str) -> None:
        self._room.telling.log("ERROR", "message failed", reason=reason, deliveries=message.metadata.num_delivered)
        if self._room.board.value("dead_letter") and message.metadata.num_delivered >= DELIVERIES_MAX:
            self._room.telling.log("WARN", "message put aside", deliveries=message.metadata.num_delivered)
            await message.term()
        else:
            await message.nak()
