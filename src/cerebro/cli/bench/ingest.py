"""Bodies over HTTP, each acknowledged when durable, until the last row can be queried.

The sender shares the machine's cores with Cerebro; its bodies are made before the clock starts.
A run at full size first warms the doors and names the series; the run that counts has the same series.
"""

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import cramjam
import numpy as np

from cerebro.cli.bench import bodies
from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.instance import Instance, instance
from cerebro.cli.client import Client
from cerebro.kernel.settings import load_settings
from cerebro.spine.errors import Unavailable

SENDERS = 4
SETTLE_S = 90.0
NOTHING = b""


@dataclass(frozen=True, slots=True)
class Signal:
    """What is sent, where, and how its rows are counted."""

    name: str
    path: str
    headers: dict[str, str]
    template: Callable[[], bodies.Template]
    pack: Callable[[bytes], bytes]
    count: str
    body_count: int
    floor: float
    goal: float


def _snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, 1)


SNAPPY = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
GZIP = {"Content-Encoding": "gzip", "Content-Type": "application/x-protobuf"}
OF_METRIC = "SELECT count() FROM samples WHERE (hi, lo) IN (SELECT hi, lo FROM series WHERE metric LIKE '{}')"
SIGNALS = (
    Signal(
        "remote write, durable to queryable",
        "/api/v1/write",
        SNAPPY,
        lambda: bodies.remote_write(10_000),
        _snappy,
        OF_METRIC.format("http_server_requests_total"),
        400,
        200_000,
        500_000,
    ),
    Signal(
        "OTLP metrics, durable to queryable",
        "/v1/metrics",
        GZIP,
        lambda: bodies.otlp_metrics(10_000),
        _gzip,
        OF_METRIC.format("shop.requests.%"),
        300,
        200_000,
        500_000,
    ),
    Signal(
        "logs, durable to queryable",
        "/v1/logs",
        GZIP,
        lambda: bodies.otlp_logs(5_000),
        _gzip,
        "SELECT count() FROM logs WHERE scope = 'shop.checkout'",
        120,
        20_000,
        100_000,
    ),
    Signal(
        "spans, durable to queryable",
        "/v1/traces",
        GZIP,
        lambda: bodies.otlp_traces(5_000),
        _gzip,
        "SELECT count() FROM spans WHERE scope = 'shop.checkout'",
        120,
        20_000,
        100_000,
    ),
)


def run() -> Sequence[Figure]:
    """Rows a second of each signal, on an instance of its own."""
    figures = []
    for signal in SIGNALS:
        with instance(HOST__ENABLED="false") as cerebro:
            figures.append(_measure(signal, cerebro))
    return figures


def _measure(signal: Signal, cerebro: Instance) -> Figure:
    key, template, chance = cerebro.make_key("ingest"), signal.template(), np.random.default_rng(1)
    now_ms = time.time_ns() // 1_000_000  # the sender's clock, as any sender's
    client = Client(load_settings(), cerebro.url, cerebro.key)

    def made(count: int, start_ms: int) -> list[bytes]:
        values = chance.normal(100, 10, (count, template.row_count)).round(2)
        return [signal.pack(template.at(start_ms + step * 15, values[step])) for step in range(count)]

    warm_count = max(4, signal.body_count // 20)
    _send(signal, cerebro.url, key, made(warm_count, now_ms - 60_000))
    _wait(client, signal, warm_count * template.row_count)
    ready = made(signal.body_count, now_ms - 30_000)
    start_s = time.monotonic()
    _send(signal, cerebro.url, key, ready)
    sent_s = time.monotonic() - start_s
    rows = signal.body_count * template.row_count
    _wait(client, signal, rows + warm_count * template.row_count)
    whole_s = time.monotonic() - start_s
    assert sent_s <= whole_s
    return Figure(signal.name, round(rows / whole_s), "rows/s", signal.floor, signal.goal)


def _send(signal: Signal, url: str, key: str, ready: Sequence[bytes]) -> None:
    """Send every body once, from a few connections; back off and repeat when told to."""
    work, failures = iter(ready), list[str]()
    lock = threading.Lock()

    def sender() -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        for body in _shared(work, lock):
            try:
                _deliver(connection, signal, key, body)
            except (Unavailable, OSError, HTTPException) as error:
                failures.append(str(error))
                return

    threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Unavailable(f"The sender failed: {failures[0]}")


def _shared(work: Iterator[bytes], lock: threading.Lock) -> Iterator[bytes]:
    while True:
        with lock:
            body = next(work, NOTHING)
        if not body:
            return
        yield body


def _deliver(connection: HTTPConnection, signal: Signal, key: str, body: bytes) -> None:
    for _ in range(200):
        connection.request("POST", signal.path, body, {**signal.headers, "Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status < 300:
            return
        if answer.status not in (429, 503):
            raise Unavailable(f"{signal.path} answered {answer.status}: {said[:300]!r}")
        time.sleep(0.1)
    raise Unavailable(f"{signal.path} kept refusing.")


def _wait(client: Client, signal: Signal, wanted: int) -> None:
    """Return once that many rows can be queried."""
    until_s = time.monotonic() + SETTLE_S
    while (found := int(client.post("/api/v1/sql", {"query": signal.count})["rows"][0][0])) < wanted:
        if time.monotonic() > until_s:
            raise Unavailable(f"{found:,} of {wanted:,} rows could be queried after {SETTLE_S:.0f} s.")
        time.sleep(0.05)
