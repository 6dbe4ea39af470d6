"""From a sample's arrival to the finding in the API."""

import math
import time
from collections.abc import Sequence

import cramjam

from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.instance import instance
from cerebro.cli.client import Client
from cerebro.intake.decode.proto.remote_pb2 import WriteRequest
from cerebro.kernel.settings import load_settings
from cerebro.spine.errors import Unavailable

SERIES_COUNT, HISTORY, STEP_MS = 20, 400, 5_000
ROUNDS = 5
WAIT_S = 60.0


def run() -> Sequence[Figure]:
    """The median of some rounds, each with series that were quiet and then leap."""
    with instance(HOST__ENABLED="false", SUPPORT__NOISE_BUDGET="1000") as cerebro:
        key, client = cerebro.make_key("ingest"), Client(load_settings(), cerebro.url, cerebro.key)
        sender = Client(load_settings(), cerebro.url, key)
        taken = sorted(_round(sender, client, number) for number in range(ROUNDS))
    return [Figure("sample arrives to finding in the API, median", round(taken[ROUNDS // 2], 2), "s", floor=15, goal=5)]


def _round(sender: Client, client: Client, number: int) -> float:
    """Seconds from the first body with a leap, the next following every second, to the first finding about it."""
    metric, now_ms = f"bench_leap_{number}", time.time_ns() // 1_000_000
    for step in range(HISTORY):
        if step % 50 == 0:
            request = WriteRequest()
        _add(request, metric, now_ms - (HISTORY - step) * STEP_MS, 10 + math.sin(step * 1.7))
        if step % 50 == 49:
            _post(sender, request)
    time.sleep(5)
    start_s = time.monotonic()
    step = 0
    while time.monotonic() - start_s < WAIT_S:
        request = WriteRequest()
        _add(request, metric, now_ms + step * STEP_MS, 500)
        _post(sender, request)
        step += 1
        for _ in range(10):
            found = client.get("/api/v1/findings", limit=100)["items"]
            if any(metric in item["signal"] for item in found):
                return time.monotonic() - start_s
            time.sleep(0.1)
    raise Unavailable(f"No finding about {metric} within {WAIT_S:.0f} s.")


def _add(request: WriteRequest, metric: str, at_ms: int, value: float) -> None:
    for index in range(SERIES_COUNT):
        series = request.timeseries.add()
        for name, text in ((b"__name__", metric.encode()), (b"job", metric.encode()), (b"row", b"%d" % index)):
            series.labels.add(name=name, value=text)
        series.samples.add(value=value + index * 0.01, timestamp=at_ms)


def _post(sender: Client, request: WriteRequest) -> None:
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    sender.send("/api/v1/write", body, {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
