"""The doors as senders meet them: granian on a free port before a real NATS."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import cramjam
import httpx
import pytest

from cerebro.intake.decode.proto import remote_pb2
from cerebro.intake.doors import IntakeApp
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.settings import HttpSettings, IntakeSettings
from cerebro.kernel.web.server import HttpServer
from cerebro.spine.errors import Unauthenticated, Unavailable
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind, decode_samples, decode_table

SNAPPY = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}


def folded(*series):
    """A body of remote write of `(labels, [(at_ms, value), …])`."""
    request = remote_pb2.WriteRequest()
    for labels, samples in series:
        each = request.timeseries.add()
        for name, value in labels.items():
            each.labels.add(name=name.encode(), value=value.encode())
        for at_ms, value in samples:
            each.samples.add(timestamp=at_ms, value=value)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


@pytest.fixture
def write_body():
    """A maker of bodies of remote write."""
    return folded


class Keys:
    """`Bearer t` is the key of tenant `t`; `Bearer reader` may not send."""

    async def authenticate(self, authorization):
        scheme, _, word = authorization.partition(" ")
        if scheme != "Bearer" or not word or word == "wrong":
            raise Unauthenticated("No such key.")
        permission = "read" if word == "reader" else "ingest"
        return Principal(TenantId(word), "key:tester", "key", frozenset({permission}))


class NoStore:
    """A store that is down: senders must not notice."""

    async def query(self, sql, parameters=None, *, tenant=None):
        raise Unavailable("The store does not answer.")


@dataclass
class Doors:
    """What a test sends, and what the bus then has."""

    kernel: Kernel
    app: IntakeApp
    client: httpx.AsyncClient
    tenant: str
    port: int
    start: dict = field(default_factory=dict)

    async def post(self, path, body=b"", *, tenant=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {tenant or self.tenant}")
        return await self.client.post(path, content=body, headers=named)

    async def write(self, *series, tenant=None):
        """Remote write of `(labels, [(at_ms, value), …])`."""
        return await self.post("/api/v1/write", self.folded(*series), tenant=tenant, **SNAPPY)

    def folded(self, *series):
        return folded(*series)

    @property
    def now_ms(self):
        return self.kernel.clock.now_ms()

    async def messages(self, signal, tenant=None):
        subject = f"telemetry.{tenant or self.tenant}.{signal}"
        found, after = [], self.start[signal]
        while batch := await self.kernel.bus.read(
            signal, after=after, count_max=100, bytes_max=1 << 26, wait_s=0.03, subject=subject
        ):
            found += batch
            after = batch[-1].sequence
        return found

    async def batches(self, tenant=None):
        return [decode_samples(message.body) for message in await self.messages("metrics", tenant)]

    async def tables(self, signal, tenant=None):
        kind = {"logs": Kind.LOGS, "traces": Kind.SPANS, "events": Kind.EVENTS}[signal]
        return [decode_table(kind, message.body) for message in await self.messages(signal, tenant)]


@pytest.fixture
def intake_settings() -> IntakeSettings:
    """The limits of the doors; a test module may have its own."""
    return IntakeSettings()


@pytest.fixture
async def doors(bus, settings, tenant, intake_settings) -> AsyncIterator[Doors]:
    """The doors, open."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    http = HttpSettings(port=port, body_bytes_max=1 << 20, decoded_bytes_max=4 << 20)
    mine = settings.model_copy(update={"http": http, "intake": intake_settings})
    kernel = Kernel(mine, SystemClock(), bus, NoStore(), None)
    app, stop = IntakeApp(kernel, Keys()), asyncio.Event()
    serving = asyncio.create_task(HttpServer(app, http).run(stop))
    running = [asyncio.create_task(task.run(stop)) for task in app.tasks()]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        for _ in range(200):
            try:
                await client.get("/v1/metrics")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
        await app.warmed.wait()  # the first run on a machine compiles, which takes longer than a sender waits
        start = {name: (await bus.state(name)).last_sequence for name in ("metrics", "logs", "traces", "events")}
        yield Doors(kernel, app, client, tenant, port, start)
    stop.set()
    await asyncio.gather(serving, *running)
