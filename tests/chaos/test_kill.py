"""kill -9 is a normal event: whatever dies, every acknowledged sample, log and span is there once."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import cramjam
import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cerebro.cli.bench.instance import instance
from cerebro.intake.decode.proto.remote_pb2 import WriteRequest
from cerebro.kernel.directory import owner_of

BACK_S_MAX = 15.0
IN_FLIGHT_S = 0.3  # an answer this soon after a kill may have been on its way before it
CHILDREN = ("front", "back", "store", "nats", "postgres")
ROWS = 50


class Load:
    """A sender of each signal that never gives up on a body, and remembers what was acknowledged."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.acknowledged: dict[str, set[int]] = {"metrics": set(), "logs": set(), "traces": set()}
        self.last_ack_s = dict.fromkeys(self.acknowledged, 0.0)
        self.answers: Counter[str] = Counter()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(signal,)) for signal in self.acknowledged]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def send(self, signal: str) -> None:
        path, encode = {
            "metrics": ("/api/v1/write", samples),
            "logs": ("/v1/logs", logs),
            "traces": ("/v1/traces", spans),
        }[signal]
        number = 0
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=10) as client:
            while not self.stop.is_set():
                body, kind = encode(number)
                ours = range(number, number + ROWS)
                if self.deliver(client, path, body, kind, signal):
                    self.acknowledged[signal].update(ours)
                    self.last_ack_s[signal] = time.monotonic()
                number += ROWS
                time.sleep(0.03)

    def deliver(self, client: httpx.Client, path: str, body: bytes, kind: dict[str, str], signal: str) -> bool:
        """Send the same bytes until a 2xx, for at most a minute, as a real sender does."""
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and not self.stop.is_set():
            try:
                answer = client.post(path, content=body, headers=kind)
            except httpx.HTTPError as error:
                self.answers[type(error).__name__] += 1
            else:
                self.answers[str(answer.status_code)] += 1
                if answer.is_success:
                    return True
                assert answer.status_code in (429, 503), (signal, answer.status_code, answer.text)
            time.sleep(0.1)
        return False


def samples(number: int) -> tuple[bytes, dict[str, str]]:
    request, now_ms = WriteRequest(), time.time_ns() // 1_000_000
    for index in range(ROWS):
        series = request.timeseries.add()
        for name, value in (("__name__", "chaos_number"), ("job", "chaos"), ("row", str(index))):
            series.labels.add(name=name.encode(), value=value.encode())
        series.samples.add(value=number + index, timestamp=now_ms)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString())), {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
    }


def logs(number: int) -> tuple[bytes, dict[str, str]]:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "chaos"
    scope = resource.scope_logs.add()
    for index in range(ROWS):
        record = scope.log_records.add(time_unix_nano=time.time_ns(), severity_number=9)
        record.body.string_value = str(number + index)
    return request.SerializeToString(), {"Content-Type": "application/x-protobuf"}


def spans(number: int) -> tuple[bytes, dict[str, str]]:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "chaos"
    scope = resource.scope_spans.add()
    for index in range(ROWS):
        now_ns = time.time_ns()
        scope.spans.add(
            name=str(number + index), trace_id=os.urandom(16), span_id=os.urandom(8), kind=2,
            start_time_unix_nano=now_ns, end_time_unix_nano=now_ns + 1000,
        )  # fmt: skip
    return request.SerializeToString(), {"Content-Type": "application/x-protobuf"}


NUMBERS = "SELECT toUInt64OrNull({}) AS number, count() AS times FROM {} WHERE service = 'chaos' GROUP BY number"
STORED = {
    "metrics": "SELECT toUInt64(value) AS number, count() AS times FROM samples WHERE (hi, lo) IN "
    "(SELECT hi, lo FROM series WHERE metric = 'chaos_number') GROUP BY number",
    "logs": NUMBERS.format("body", "logs"),
    "traces": NUMBERS.format("name", "spans"),
}


def stored(url: str, key: str, signal: str) -> Counter[int]:
    """How often each number is in the store, read in pages."""
    found: Counter[int] = Counter()
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        step = 5000
        top = 0
        while True:
            page = f"SELECT * FROM ({STORED[signal]}) WHERE number >= {top} ORDER BY number LIMIT {step}"
            answer = ask(client, page)
            rows = answer.json()["rows"]
            found.update({int(number): int(times) for number, times in rows})
            if not rows:
                return found
            top = int(rows[-1][0]) + 1


def ask(client: httpx.Client, query: str) -> httpx.Response:
    """The answer, asked for again while an engine that was just killed comes back."""
    until_s = time.monotonic() + BACK_S_MAX
    while (answer := client.post("/api/v1/sql", json={"query": query})).status_code == 503:
        assert time.monotonic() < until_s, answer.text
        time.sleep(0.2)
    assert answer.is_success, answer.text
    return answer


def wait_until_stored(url: str, key: str, signal: str, wanted: set[int]) -> Counter[int]:
    """The numbers in the store, once all those wanted are there or half a minute has passed."""
    until_s = time.monotonic() + 30
    while True:
        found = stored(url, key, signal)
        if wanted <= found.keys() or time.monotonic() > until_s:
            return found
        time.sleep(0.5)


def pid_of(cerebro, name: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "cerebro.cli.main", "status", "--json"],
        env=cerebro.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return next((child["pid"] for child in json.loads(done.stdout) if child["name"] == name), 0)


def wait_for_acks(load: Load, since_s: float) -> float:
    """Seconds from `since_s` until every signal was acknowledged again."""
    until_s = since_s + 60
    while min(load.last_ack_s.values()) < since_s + IN_FLIGHT_S:
        assert time.monotonic() < until_s, f"no acknowledgement within a minute: {load.answers}"
        time.sleep(0.05)
    return max(load.last_ack_s.values()) - since_s


def kill(cerebro, name: str) -> None:
    if name == "supervisor":
        os.kill(owner_of(cerebro.data_dir), signal.SIGKILL)
        time.sleep(0.5)
        cerebro.cerebro("up", "--detach")
        return
    os.kill(pid_of(cerebro, name), signal.SIGKILL)


def torture(order: list[str], seed: int) -> None:
    """Kill in this order under load, then count."""
    random.seed(seed)
    with instance(HOST__ENABLED="false") as cerebro:
        key = cerebro.make_key("ingest")
        with Load(cerebro.url, key) as load:
            wait_for_acks(load, time.monotonic())
            for name in order:
                time.sleep(random.uniform(0.3, 1.5))
                kill(cerebro, name)
                killed_s = time.monotonic()  # of the supervisor: when a hand has started it again
                back_s = wait_for_acks(load, killed_s)
                print(f"{name}: served again after {back_s:.1f} s")
                assert back_s < BACK_S_MAX, f"{name} was back only after {back_s:.1f} s"
        for kind, acknowledged in load.acknowledged.items():
            found = wait_until_stored(cerebro.url, cerebro.key, kind, acknowledged)
            lost = acknowledged - found.keys()
            twice = {number: times for number, times in found.items() if times > 1}
            assert not lost, f"{kind}: {len(lost)} of {len(acknowledged)} acknowledged are lost, first {min(lost)}"
            assert not twice, f"{kind}: {len(twice)} of {len(found)} stand more than once: {sorted(twice.items())[:5]}"
            assert len(acknowledged) > 100


@pytest.mark.timeout(420)
def test_three_kills_of_each_process_lose_and_repeat_nothing():
    """Each process of ours and each engine, three times, in an order drawn with a seed."""
    order = [*CHILDREN * 3, "supervisor", "supervisor", "supervisor"]
    random.Random(7).shuffle(order)

    torture(order, seed=7)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_twenty_kills_of_each_process_lose_and_repeat_nothing():
    """The long form, in an order nobody chose."""
    seed = random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}")
    order = [*CHILDREN, "supervisor"] * 20
    random.Random(seed).shuffle(order)

    torture(order, seed=seed)
