"""The stock ClickHouse client against the embedded store, and what the store says to bad requests."""

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from cerebro.kernel.settings import RetentionSettings, as_environment
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.migrate import distributed_form, migrate, migrations, retention_of
from cerebro.spine.errors import Invalid, Unauthenticated, Unavailable


@pytest.fixture
def client(store_url):
    at = urlsplit(store_url)
    stock = clickhouse_connect.get_client(
        host=at.hostname, port=at.port, username=at.username, password=unquote(at.password)
    )
    yield stock
    stock.close()


@pytest.fixture
def table(client, tenant):
    client.command(f"CREATE TABLE {tenant} (a UInt64, s String, m Map(String, String)) ENGINE = MergeTree ORDER BY a")
    yield tenant
    client.command(f"DROP TABLE {tenant}")


def test_the_stock_client_inserts_and_asks(client, table):
    """Rows, columns, parameters on both sides, odd text, an empty answer, a stream."""
    odd = "it's\n\t\\ 'Ж' \x00"
    assert client.insert(table, [[1, odd, {"k": "v"}], [2, "", {}]], column_names=["a", "s", "m"]).written_rows == 2
    client.insert_arrow(table, pa.table({"a": pa.array([3], pa.uint64()), "s": ["q"]}))

    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows[0] == (1, odd, {"k": "v"})
    for sql in (f"SELECT a FROM {table} WHERE s = {{v:String}}", f"SELECT a FROM {table} WHERE s = %(v)s"):
        assert client.query(sql, parameters={"v": odd}).result_rows == [(1,)]
    assert client.query(f"SELECT * FROM {table} LIMIT 0").column_names == ("a", "s", "m")
    assert client.query_arrow(f"SELECT a FROM {table} WHERE a > 2").num_rows == 1
    assert client.command(f"SELECT count() FROM {table}") == 3
    with client.query_row_block_stream(f"SELECT a FROM {table}") as stream:
        assert sum(len(block) for block in stream) == 3
    assert (
        client.query(
            f"SELECT a FROM {table} WHERE a IN {{v:Array(UInt64)}}", parameters={"v": list(range(9000))}
        ).row_count
        == 3
    )


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", None])
def test_compressed_inserts(client, table, compression):
    """Whatever the client likes to send."""
    body = b'{"a": 7}\n' * 100
    packed = client_compress(compression, body)
    assert client.raw_insert(table, ["a"], packed, fmt="JSONEachRow", compression=compression).written_rows == 100


def client_compress(name, body):
    import cramjam

    return bytes(getattr(cramjam, name).compress(body)) if name else body


def test_errors_have_code_and_name(client):
    """As a server's: the client makes its exceptions of them."""
    for sql, settings, code in (
        ("SELECT * FROM nothing", {}, 60),
        ("SELEC 1", {}, 62),
        ("SELECT 1; SELECT 2", {}, 62),
        ("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", {"max_execution_time": 1}, 159),
        ("SELECT groupArray(number) FROM numbers(100000000)", {"max_memory_usage": 1000000}, 241),
        ("CREATE TABLE x (a Int8) ENGINE = Memory", {"readonly": 1}, 164),
    ):
        with pytest.raises(DatabaseError) as error:
            client.query(sql, settings=settings) if "CREATE" not in sql else client.command(sql, settings=settings)
        assert error.value.code == code, sql


def test_settings_do_not_outlive_their_request(client):
    """A read-only request leaves no read-only handle behind."""
    for _ in range(20):
        client.query("SELECT 1", settings={"readonly": 1, "max_threads": 1})

    assert client.command("SELECT value FROM system.settings WHERE name = 'readonly'") == 0


def test_a_long_question_does_not_hold_up_others(client, store_url, table):
    """Each request has a handle of its own."""
    at = urlsplit(store_url)
    other = clickhouse_connect.get_client(
        host=at.hostname, port=at.port, username=at.username, password=unquote(at.password)
    )
    slow = threading.Thread(target=other.query, args=("SELECT sleep(1.5)",))
    slow.start()
    begun, count = time.monotonic(), 0
    while slow.is_alive():
        client.insert(table, [[count, ""]], column_names=["a", "s"])
        count += 1
    slow.join()
    other.close()

    assert count > 10 and time.monotonic() - begun > 1


def ask(store_url, method="POST", target="/", body=None, headers=None, known=True):
    at = urlsplit(store_url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    key = {"X-ClickHouse-User": at.username, "X-ClickHouse-Key": unquote(at.password)} if known else {}
    connection.request(method, target, body, key | (headers or {}))
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def test_what_the_doors_say(store_url):
    """Liveness is open, nothing else; bad requests get a status and the store lives on."""
    assert ask(store_url, "GET", "/ping", known=False)[0] == 200
    assert ask(store_url, "GET", "/", known=False)[0] == 200
    assert ask(store_url, body="SELECT 1", known=False)[0] == 401
    assert ask(store_url, "GET", "/?query=SELECT+1")[2] == b"1\n"
    status, headers, body = ask(store_url, body="SELECT * FROM nothing")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "60") and b"UNKNOWN_TABLE" in body
    assert ask(store_url, body=b"\xff\xfe")[0] == 400
    assert ask(store_url, headers={"Content-Length": "x"})[0] == 400
    assert ask(store_url, headers={"Content-Length": str(1 << 40)})[0] == 413
    assert ask(store_url, "PUT", "/")[0] == 501
    assert ask(store_url, "GET", "/" + "a" * 70_000)[0] == 414
    assert ask(store_url, body=iter([b"SELECT ", b"2"]))[2] == b"2\n"
    status, headers, _ = ask(store_url, body="SELECT count() FROM numbers(10)")
    assert json.loads(headers["X-ClickHouse-Summary"])["result_rows"] == "1"


async def test_errors_in_the_words_of_the_house(store_url, telemetry):
    """A wrong password, a wrong address, wrong SQL."""
    wrong = ClickHouseTelemetry(store_url.replace(urlsplit(store_url).password, "wrong"))
    with pytest.raises(Unauthenticated):
        await wrong.query("SELECT 1")
    nowhere = ClickHouseTelemetry("http://cerebro:x@127.0.0.1:1/cerebro")
    with pytest.raises(Unavailable):
        await nowhere.query("SELECT 1")
    with pytest.raises(Invalid, match="nothing"):
        await telemetry.query("SELECT * FROM nothing")
    with pytest.raises(Invalid):
        ClickHouseTelemetry("tcp://somewhere")
    await wrong.close()
    await nowhere.close()


async def test_migrations_run_twice_and_follow_the_settings(make_store):
    """And refuse tables that are newer than they."""
    store = make_store()
    telemetry = await store.open()
    assert await migrate(telemetry, RetentionSettings(logs_days=3)) == migrations()[-1].version
    found = await telemetry.query("SELECT engine_full FROM system.tables WHERE name = 'logs' AND database = 'cerebro'")
    assert "toIntervalDay(3)" in found["engine_full"][0].as_py()
    for statement in [s for each in migrations() for s in each.statements] + list(retention_of(RetentionSettings())):
        await telemetry.query(f"EXPLAIN AST {distributed_form(statement, 'main')}")

    await telemetry.command("INSERT INTO schema_versions (version, name, digest) VALUES (9999, 'later', 'x')")
    with pytest.raises(Invalid, match="version 9999"):
        await migrate(telemetry, RetentionSettings())
    await telemetry.close()


async def test_a_second_store_on_the_same_directory_says_so(make_store):
    """One clear line, and the first one serves on."""
    store = make_store()
    argv = [sys.executable, "-m", "cerebro.kernel.telemetry.gateway"]
    environment = as_environment(store.settings)
    done = await asyncio.to_thread(subprocess.run, argv, env=environment, capture_output=True, text=True, timeout=30)

    assert done.returncode == 1
    assert "store_failed" in done.stderr and "another Cerebro" in done.stderr
    assert store.process.poll() is None


async def test_sigterm_finishes_what_is_under_way(make_store):
    """The statement's answer arrives, then the process ends with 0."""
    store = make_store()
    telemetry = await store.open()
    asking = asyncio.create_task(telemetry.query("SELECT sum(sleepEachRow(0.1)) AS n FROM numbers(8)"))
    await asyncio.sleep(0.3)
    store.process.send_signal(signal.SIGTERM)

    assert (await asking).num_rows == 1
    assert await asyncio.to_thread(store.process.wait, 10) == 0
    await telemetry.close()


async def test_big_answers_and_big_rows(telemetry, tenant):
    """A block of half a million rows in, three columns of them out."""
    count = 500_000
    at = pa.array(1_795_000_000_000 + np.arange(count)).cast(pa.timestamp("ms", "UTC"))
    ids = pa.array(np.arange(count), pa.uint64())
    rows = pa.table({"tenant": [tenant] * count, "hi": ids, "lo": ids, "at": at, "value": np.arange(count) * 1.0})
    await telemetry.insert("samples", rows, dedup_token=tenant)
    found = await telemetry.query(
        "SELECT hi, at, value FROM samples WHERE tenant = {t:String} ORDER BY hi", {"t": tenant}
    )

    assert found.num_rows == count and found["value"].to_numpy()[-1] == count - 1


def test_idle_connections_make_room(store_url):
    """Clients that keep more connections than there are places shut nobody out."""
    at = urlsplit(store_url)
    kept = []
    for _ in range(160):
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
        connection.request("GET", "/ping")
        assert connection.getresponse().read() == b"Ok.\n"
        kept.append(connection)
    for connection in kept:
        connection.close()

    assert ask(store_url, "GET", "/ping")[0] == 200
