"""The services that show things: cache, catalogue, cart, recommendation."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from cerebro.proving.shop.plan import CATEGORIES, PRODUCTS
from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.room import Room, Routes, answer
from cerebro.proving.shop.session import need_session
from cerebro.proving.shop.trouble import burn
from cerebro.proving.shop.wire import Answer, Request

CACHE_ENTRIES_MAX, CACHE_S, LOOK_S = 20_000, 300.0, 0.2
LIST_SQL = """
SELECT id, name, price FROM products WHERE category = %s ORDER BY popularity DESC LIMIT 20
"""
FACETS_SQL = """
SELECT p.category, count(*), sum(m.quantity) FROM products p JOIN movements m ON m.product_id = p.id
WHERE p.category BETWEEN %s AND %s + 1 GROUP BY p.category
"""
PRODUCT_SQL = "SELECT id, name, price FROM products WHERE id = %s"
STOCK_SQL = "SELECT coalesce(sum(quantity), 0) FROM movements WHERE product_id = %s"
SEARCH_SQL = "SELECT id, name, price FROM products WHERE name LIKE %s LIMIT 10"
ADD_SQL = """
INSERT INTO carts (shopper, product_id, quantity) VALUES (%s, %s, 1)
ON CONFLICT (shopper, product_id) DO UPDATE SET quantity = carts.quantity + 1
"""
CART_SQL = "SELECT product_id, quantity FROM carts WHERE shopper = %s"
CLEAR_SQL = "DELETE FROM carts WHERE shopper = %s"
CRON_CHUNK_S, CRON_PAUSE_S = 0.012, 0.004


class Cache:
    """Values by key for a while, the oldest forgotten first."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._found_count = self._missed_count = self._expired_count = 0
        telling = room.telling  # under the names that an exporter gives to what a Redis tells
        telling.gauge("redis.db.keys", "{key}", lambda: len(self._values))
        telling.counter("redis.keyspace.hits", "{hit}", lambda: self._found_count)
        telling.counter("redis.keyspace.misses", "{miss}", lambda: self._missed_count)
        telling.counter("redis.keys.expired", "{key}", lambda: self._expired_count)
        self.routes: Routes = {"GET /value": self.get, "POST /value": self.put, "POST /clear": self.clear}

    async def run(self) -> None:
        """Forget everything as often as the configuration says."""
        while True:
            forget_s = self._room.board.seconds("forget_ms")
            await asyncio.sleep(forget_s or LOOK_S)
            if forget_s:
                self._expired_count += len(self._values)
                self._values.clear()

    async def get(self, request: Request) -> Answer:
        """The value, or 204 when there is none."""
        found = self._values.get(request.query["key"])
        hit = found is not None and found[0] > self._room.clock.monotonic_s()
        self._found_count, self._missed_count = self._found_count + hit, self._missed_count + (not hit)
        return Answer(200, found[1]) if hit and found else Answer(204)

    async def put(self, request: Request) -> Answer:
        """Keep a value."""
        self._values[request.query["key"]] = (self._room.clock.monotonic_s() + CACHE_S, request.body)
        if len(self._values) > CACHE_ENTRIES_MAX:
            self._values.popitem(last=False)
        return Answer(204)

    async def clear(self, _request: Request) -> Answer:
        """Forget everything."""
        self._values.clear()
        return Answer(204)


class Catalogue:
    """What is for sale, from the cache or else from the database; stock always from the database."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._jobs: set[asyncio.Task[None]] = set()
        room.telling.gauge("shop.jobs.running", "{job}", lambda: len(self._jobs))
        self.routes: Routes = {
            "GET /list": self.list_products,
            "GET /product": self.product,
            "GET /search": self.search,
            "POST /reindex": self.reindex,
        }

    async def list_products(self, request: Request) -> Answer:
        """One category's page with its facets."""
        category = int(request.query["category"]) % CATEGORIES
        return await self._cached(f"list-{category}", lambda: self._page(category))

    async def product(self, request: Request) -> Answer:
        """One product and how many there are of it."""
        number = int(request.query["id"])
        page = await self._cached(f"product-{number}", lambda: self._product(number))
        stock = await self._room.pool.fetch(STOCK_SQL, (number,), table="movements")
        return answer({"product": msgspec.Raw(page.body), "stock": int(stock[0][0])})

    async def search(self, request: Request) -> Answer:
        """Products whose name begins so."""
        rows = await self._room.pool.fetch(SEARCH_SQL, (f"{request.query['q']}%",), table="products")
        return answer([list(row) for row in rows])

    async def reindex(self, _request: Request) -> Answer:
        """Start the scheduled job, also when the last one still runs."""
        job = asyncio.create_task(self._reindex())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        self._room.telling.log("INFO", "reindex job started", running=len(self._jobs))
        return Answer(204)

    async def _reindex(self) -> None:
        while self._room.board.trouble("cron_overlap"):
            burn(CRON_CHUNK_S, self._room.clock)
            await asyncio.sleep(CRON_PAUSE_S)

    async def _cached(self, key: str, make: Callable[[], Awaitable[object]]) -> Answer:
        try:
            found = await self._room.peers.call("cache", f"/value?key={key}")
            if found.status == 200:
                return found
        except Refused:
            self._room.telling.log("WARN", "cache does not answer; asking the database")
        made = answer(await make())
        try:
            await self._room.peers.call("cache", f"/value?key={key}", msgspec.Raw(made.body))
        except Refused:
            self._room.telling.count("cache.writes.lost")
        return made

    async def _page(self, category: int) -> object:
        await asyncio.sleep(self._room.board.seconds("miss_ms"))
        async with self._room.pool.connection() as connection:
            rows = await self._room.pool.run(connection, LIST_SQL, (category,), table="products")
            facets = await self._room.pool.run(connection, FACETS_SQL, (category, category), table="movements")
        return {"products": [list(row) for row in rows], "facets": [[row[0], row[1], int(row[2])] for row in facets]}

    async def _product(self, number: int) -> object:
        category = number % CATEGORIES
        async with self._room.pool.connection() as connection:
            rows = await self._room.pool.run(connection, PRODUCT_SQL, (number,), table="products")
            alike = await self._room.pool.run(connection, FACETS_SQL, (category, category), table="movements")
        if not rows:
            raise Refused(404, f"no product {number} of {PRODUCTS}")
        return {"product": list(rows[0]), "alike": len(alike)}


class Cart:
    """What a shopper has put aside, in the database."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes: Routes = {"POST /add": self.add, "GET /cart": self.show, "POST /clear": self.clear}

    async def add(self, request: Request) -> Answer:
        """One more of a product."""
        shopper = need_session(self._room, request)
        await self._room.pool.fetch(ADD_SQL, (shopper, int(request.query["id"])), table="carts")
        return Answer(204)

    async def show(self, request: Request) -> Answer:
        """What is in it."""
        shopper = need_session(self._room, request)
        rows = await self._room.pool.fetch(CART_SQL, (shopper,), table="carts")
        return answer({"items": [list(row) for row in rows]})

    async def clear(self, request: Request) -> Answer:
        """Nothing any more."""
        await self._room.pool.fetch(CLEAR_SQL, (need_session(self._room, request),), table="carts")
        return Answer(204)


class Recommendation:
    """What else one might like: arithmetic only."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes: Routes = {"GET /for": self.suggest}

    async def suggest(self, request: Request) -> Answer:
        """Five products near this one."""
        number = int(request.query["id"])
        near = sorted(range(60), key=lambda step: (number * 31 + step * 17) % 101)[:5]
        return answer({"products": [(number + step) % PRODUCTS + 1 for step in near]})
