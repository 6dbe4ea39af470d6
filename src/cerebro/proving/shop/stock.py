"""The shop's goods in its own PostgreSQL and its queue in its own NATS: made once, the same every time."""

from contextlib import suppress
from urllib.parse import urlsplit

import nats
import nats.js.errors
import psycopg
from nats.js.api import RetentionPolicy, StreamConfig
from psycopg import sql

from cerebro.proving.shop.plan import CATEGORIES, CONSUMER, MOVEMENTS, PRODUCTS, STREAM, SUBJECT

ROLE = "shop"
INDEX = "movements_product"
CREATE_INDEX = f"CREATE INDEX IF NOT EXISTS {INDEX} ON movements (product_id) INCLUDE (quantity)"
DROP_INDEX = f"DROP INDEX IF EXISTS {INDEX}"
_ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
END_SESSIONS = f"{_ENDED} AND usename = '{ROLE}'"  # the services' own
END_QUERIES = f"{_ENDED} AND usename <> '{ROLE}' AND pid <> pg_backend_pid()"  # everyone else's
STREAM_BYTES_MAX = 64 << 20

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS products (
    id int PRIMARY KEY, name text NOT NULL, price int NOT NULL, category int NOT NULL, popularity int NOT NULL);
CREATE TABLE IF NOT EXISTS movements (id bigint PRIMARY KEY, product_id int NOT NULL, quantity int NOT NULL);
CREATE TABLE IF NOT EXISTS stock (product_id int PRIMARY KEY, quantity bigint NOT NULL);
CREATE TABLE IF NOT EXISTS carts (shopper text, product_id int, quantity int NOT NULL,
    PRIMARY KEY (shopper, product_id));
CREATE TABLE IF NOT EXISTS orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shopper text NOT NULL,
    amount int NOT NULL, state text NOT NULL);
INSERT INTO products SELECT n, 'product-' || n, 100 + n % 977, n % {CATEGORIES}, (n::bigint * 7919) % 10007
    FROM generate_series(1, {PRODUCTS}) n ON CONFLICT DO NOTHING;
INSERT INTO movements SELECT n, 1 + n % {PRODUCTS}, 1 + n % 9 FROM generate_series(1, {MOVEMENTS}) n
    ON CONFLICT DO NOTHING;
INSERT INTO stock SELECT n, 1000000 FROM generate_series(1, {PRODUCTS}) n ON CONFLICT DO NOTHING;
CREATE INDEX IF NOT EXISTS products_category ON products (category, popularity DESC);
CREATE INDEX IF NOT EXISTS products_name ON products (name text_pattern_ops);
{CREATE_INDEX};
TRUNCATE carts, orders;
DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE};
"""  # noqa: S608  constants of ours


async def prepare(database_url: str, bus_url: str) -> None:
    """Fill the shop's shelves and empty its queue."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(SCHEMA.encode())
        await connection.execute("VACUUM ANALYZE")
    bus = await nats.connect(bus_url)
    try:
        stream = bus.jetstream()
        config = StreamConfig(
            name=STREAM, subjects=[SUBJECT], max_bytes=STREAM_BYTES_MAX, retention=RetentionPolicy.WORK_QUEUE
        )
        await stream.add_stream(config)
        with suppress(nats.js.errors.NotFoundError):
            await stream.delete_consumer(STREAM, CONSUMER)
        await stream.purge_stream(STREAM)
    finally:
        await bus.close()


async def new_credential(database_url: str, password: str) -> str:
    """A new password for the services' user, good for ever; the address with it."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        words = sql.SQL("ALTER ROLE {} PASSWORD {} VALID UNTIL 'infinity'")
        await connection.execute(words.format(sql.Identifier(ROLE), sql.Literal(password)))
    where = urlsplit(database_url)
    return f"postgresql://{ROLE}:{password}@{where.path}?{where.query}"
