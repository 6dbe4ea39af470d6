"""`cerebro bench api`: reading cases and findings over HTTP, 50 clients that never pause.

The clients are one process on the same cores, each with one connection on which it asks as soon as it
has been answered; so a latency here is what a page costs when the listener is saturated.
"""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.instance import Instance, instance
from cerebro.cli.client import Client
from cerebro.kernel.settings import load_settings
from cerebro.spine.errors import Unavailable

CLIENTS = 50
WARM_UP_S, MEASURED_S = 2.0, 6.0
FLOOR_P95_MS, GOAL_P95_MS = 50.0, 15.0
FLOOR_P99_MS, GOAL_P99_MS = 200.0, 50.0
FINDINGS_COUNT = 2000  # seeded; 400 cases
SEED_S_MAX = 60.0
PATHS: Mapping[str, Sequence[str]] = {
    "cases": ("cases?live=true&limit=50", "cases?limit=50&severity=major", "cases?limit=20&order=severity&text=host"),
    "findings": ("findings?limit=50", "findings?limit=50&severity=major", "findings?limit=20&agent=bench"),
}


def run(url: str = "", key: str = "") -> list[Figure]:
    """Measure an instance made for it, or the running Cerebro at `url`."""
    if url:
        return _measure_all(url, key)
    with instance(HOST__ENABLED="false", ACCESS__REQUESTS_PER_S="1000000") as made:
        _fill(made)
        return _measure_all(made.url, made.key)


@dataclass(slots=True)
class Asker(asyncio.Protocol):
    """One client: asks, waits for the whole answer, asks for the next."""

    requests: Sequence[bytes]
    latencies_s: list[float] = field(default_factory=list)
    failed: str = ""
    _count: int = 0
    _left: int = 0  # bytes of the answer that are still to come
    _head: bytes = b""
    _sent_s: float = 0.0
    _transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._head[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                self.failed = head.split(b"\r\n")[0].decode()
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            self._left = size - (len(self._head) - end - 4)
            self._head = b""
        if self._left <= 0:
            self.latencies_s.append(perf_counter() - self._sent_s)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has had enough of us."""
        if exc:
            self.failed = str(exc)

    def close(self) -> None:
        """Stop asking."""
        if self._transport:
            self._transport.close()

    def _ask(self) -> None:
        assert self._transport is not None
        self._count += 1
        self._sent_s = perf_counter()
        self._transport.write(self.requests[self._count % len(self.requests)])


def _measure_all(url: str, key: str) -> list[Figure]:
    found = []
    for name, paths in PATHS.items():
        latencies_ms = sorted(1000 * s for s in asyncio.run(_load(url, key, paths)))
        p95, p99 = (latencies_ms[int(len(latencies_ms) * share)] for share in (0.95, 0.99))
        found += [
            Figure(f"API reads of {name}, {CLIENTS} clients, p95", round(p95, 2), "ms", FLOOR_P95_MS, GOAL_P95_MS),
            Figure(f"API reads of {name}, {CLIENTS} clients, p99", round(p99, 2), "ms", FLOOR_P99_MS, GOAL_P99_MS),
        ]
    return found


async def _load(url: str, key: str, paths: Sequence[str]) -> list[float]:
    """How long each answer took, seconds, once everyone was warm."""
    address = urlsplit(url)
    requests = [
        f"GET /api/v1/{path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        for path in paths
    ]
    loop = asyncio.get_running_loop()
    askers = []
    for number in range(CLIENTS):
        turned = [requests[(number + place) % len(requests)] for place in range(len(requests))]
        asker = Asker(turned)
        await loop.create_connection(partial(_same, asker), address.hostname or "127.0.0.1", address.port or 80)
        askers.append(asker)
    await asyncio.sleep(WARM_UP_S)
    for asker in askers:
        asker.latencies_s.clear()
    await asyncio.sleep(MEASURED_S)
    found = [latency for asker in askers for latency in asker.latencies_s]
    for asker in askers:
        asker.close()
    if failed := [asker.failed for asker in askers if asker.failed]:
        raise Unavailable(f"{len(failed)} of {CLIENTS} clients were refused: {failed[0]}.")
    if not found:
        raise Unavailable(f"{url} answered nobody in {MEASURED_S:.0f} s.")
    return found


def _same(asker: Asker) -> Asker:
    return asker


def _fill(made: Instance) -> None:
    """Findings enough that a page is a page."""
    done = subprocess.run(
        [sys.executable, "-m", "cerebro.cli.bench.api"],
        env=made.environment, capture_output=True, text=True, timeout=SEED_S_MAX, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise Unavailable(f"The instance could not be filled: {done.stderr.strip()[-2000:]}")
    client = Client(load_settings(), made.url, made.key)
    until_s = perf_counter() + SEED_S_MAX
    while perf_counter() < until_s:
        page = client.get("/api/v1/findings", limit=1, entity=f"host/bench-{(FINDINGS_COUNT - 1) % 400}")
        if page["items"]:
            return
    raise Unavailable(f"The findings did not become cases in {SEED_S_MAX:.0f} s.")


async def _publish() -> None:
    """Findings as an agent publishes them; run with the instance's own settings."""
    import msgspec

    from cerebro.app.drivers import open_kernel
    from cerebro.spine.entities import EntityKey
    from cerebro.spine.findings import Evidence, Finding, Severity
    from cerebro.spine.identity import DEFAULT_TENANT, FindingId

    async with open_kernel(load_settings()) as kernel:
        for number in range(FINDINGS_COUNT):
            now_ms = kernel.clock.now_ms()
            proof = Evidence(
                "It left its band.", "clickhouse", "SELECT 1", now_ms - 600_000, now_ms, "0" * 64,
                {"at_ms": list(range(120)), "value": [float(n) for n in range(120)]},
            )  # fmt: skip
            name = f"bench-{number % 400}"
            made = Finding(
                id=FindingId(kernel.clock.new_id()), tenant=DEFAULT_TENANT, agent="bench", kind="level_shift",
                entity=EntityKey("host", name), at_ms=now_ms - 5000, seen_ms=now_ms,
                severity=Severity(1 + number % 4), p_value=1e-6, effect=4.0, signal=f"signal.{number // 400}",
                title=f"Signal {number // 400} of host {name} rose", evidence=(proof,), dedup_key=f"bench-{number}",
            )  # fmt: skip
            await kernel.bus.publish(f"findings.{DEFAULT_TENANT}", msgspec.json.encode(made), dedup_key=made.id)


if __name__ == "__main__":
    asyncio.run(_publish())
