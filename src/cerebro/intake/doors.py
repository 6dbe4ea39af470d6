"""The doors of intake: Prometheus remote write, OTLP over HTTP and webhooks, as plain ASGI.

A 2xx means that the bus has the whole body as one message, on disk. The way of a body: who sends it,
how fast, its bytes within bounds, decompressed within bounds, decoded to columns, limits, one publish.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import xxhash

from cerebro.intake import metrics
from cerebro.intake.activity import LastBody
from cerebro.intake.answers import Answer, Form, refusal, taken_otlp, taken_prometheus
from cerebro.intake.body import Gone, Receive, Room, read_body, unfold_gzip, unfold_snappy
from cerebro.intake.decode.otlp_json import Signal, protobuf_of_json
from cerebro.intake.decode.otlp_logs import decode_otlp_logs
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.decode.otlp_traces import decode_otlp_traces
from cerebro.intake.decode.remote_write import decode_remote_write
from cerebro.intake.decode.warm import warm
from cerebro.intake.entity import entity_of
from cerebro.intake.refusals import Refusal
from cerebro.intake.report import Reporter
from cerebro.intake.request import PATHS, REMOTE_WRITE, WEBHOOKS, Request, Scope, request_of
from cerebro.intake.take import Parcel
from cerebro.intake.tenants import Tenant, Tenants
from cerebro.intake.webhooks import Webhooks
from cerebro.kernel.access.guard import Guard
from cerebro.kernel.access.limits import RateLimit, TooManyRequests
from cerebro.kernel.kit import Kernel, Task
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError, Invalid
from cerebro.spine.identity import TenantId
from cerebro.spine.wire import Kind

log = get_log(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

THREADS = 2  # decoding runs without the interpreter's lock; more would only fight over the cores
INLINE_BYTES_MAX = 4096  # smaller bodies are decoded where they arrive: measured, a thread costs them a fifth more
HELD_BYTES_MAX = 256 << 20  # of all bodies on their way in, as sent
BODY_TIMEOUT_S = 30.0

SIGNALS = {Signal.METRICS: "samples", Signal.LOGS: "logs", Signal.TRACES: "spans"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A body that has come in whole, and whose it is."""

    request: Request
    body: bytes
    tenant: Tenant
    sender: str

    @property
    def dedup_key(self) -> str:
        """The same for the same bytes of the same tenant at the same door: a sender's own retry stores nothing."""
        return f"{self.request.path}:{self.tenant.name}:{xxhash.xxh3_128_hexdigest(self.body)}"


class IntakeApp:
    """An ASGI application for the paths that it `handles`.

    Args:
        kernel: Settings, clock, bus and the store that knows earlier series.
        guard: Says who a credential belongs to.
    """

    def __init__(self, kernel: Kernel, guard: Guard) -> None:
        self._kernel, self._guard = kernel, guard
        self._http = kernel.settings.http
        self._tenants, self._webhooks = Tenants(kernel), Webhooks(kernel)
        self._rates = RateLimit(kernel.settings.access.intake_requests_per_s, kernel.clock)
        self._threads = ThreadPoolExecutor(THREADS, "intake")
        self._room = Room(HELD_BYTES_MAX)
        self.warmed = asyncio.Event()  # set once what decodes is compiled
        metrics.SERIES_KNOWN.set_function(self._tenants.series_count)

    def handles(self, path: str) -> bool:
        """Whether this is one of the doors."""
        return path in PATHS

    def tenant(self, name: TenantId) -> Tenant | None:
        """What this process knows of a tenant that has sent."""
        return self._tenants.seen(name)

    def refusals(self, name: TenantId) -> list[Refusal]:
        """What was refused of a tenant's bodies since this process began, the latest first."""
        tenant = self._tenants.seen(name)
        return tenant.taking.refusals.list() if tenant else []

    def tasks(self) -> Sequence[Task]:
        """What has to run beside the doors, which are open all the while."""
        return (_Running(self), Reporter(self._kernel, self._tenants))

    async def warm(self) -> None:
        """Compile what decodes, in a thread; until then no body is decoded where it arrives."""
        await asyncio.get_running_loop().run_in_executor(self._threads, warm)
        self.warmed.set()

    async def close(self) -> None:
        """Let go of the threads."""
        await self._tenants.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = request_of(scope)
        with metrics.BODY_SECONDS.labels(request.path).time():
            try:
                answer = await self._answer(request, receive)
            except Gone:
                metrics.BODIES.labels(request.path, "gone").inc()
                return
            except CerebroError as error:
                answer = refusal(error, request.form)
                log.debug("body_refused", path=request.path, status=answer.status, detail=error.detail)
        metrics.BODIES.labels(request.path, str(answer.status)).inc()
        await _send(send, answer)

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        """Cheap refusals first: nothing of a body is read before its sender is known and within its rate."""
        request.check_method()
        principal = await self._guard.authenticate(request.headers.get("authorization", ""))
        principal.need("ingest")
        self._rates.take(principal.text)
        request.check_media()
        with self._room.for_body(receive) as counted:
            bytes_max = self._http.body_bytes_max
            body = await read_body(counted, request.headers, bytes_max=bytes_max, timeout_s=BODY_TIMEOUT_S)
            tenant = self._tenants.of(principal.tenant)
            if request.path in WEBHOOKS:
                return await self._webhooks.take(request, body, tenant, principal.name)
            return await self._take(Arrival(request, body, tenant, principal.name))

    async def _take(self, arrival: Arrival) -> Answer:
        """Decode, store, tell."""
        request, now_ms = arrival.request, self._kernel.clock.now_ms()
        if self.warmed.is_set() and len(arrival.body) <= INLINE_BYTES_MAX:
            parcel = self._parcel(arrival, now_ms)
        else:
            parcel = await asyncio.get_running_loop().run_in_executor(self._threads, self._parcel, arrival, now_ms)
        await self._store(arrival, parcel)
        _count(arrival, parcel, now_ms)
        why = arrival.tenant.taking.explain(parcel.refused) if parcel.refused else ""
        if parcel.refused and not parcel.taken:
            raise _nothing_taken(parcel, why)
        if request.path == REMOTE_WRITE:
            return taken_prometheus()
        return taken_otlp(request.signal, request.form, parcel.refused_count, why)

    async def _store(self, arrival: Arrival, parcel: Parcel) -> None:
        """Publish the rows as one message, after those that only name series: naming twice is naming once."""
        subject = f"telemetry.{arrival.tenant.name}.{arrival.request.signal.value}"
        *names, rows = parcel.messages or (b"",)
        for message in names:  # keyed by what they hold: at a retry they may be cut in other places
            await self._kernel.bus.publish(
                subject, message, dedup_key=f"{subject}:{xxhash.xxh3_128_hexdigest(message)}"
            )
        if rows:
            await self._kernel.bus.publish(subject, rows, dedup_key=arrival.dedup_key)
            parcel.stored()

    def _parcel(self, arrival: Arrival, now_ms: int) -> Parcel:
        """The work on the processor: in a thread, unless the body is small."""
        request, taking = arrival.request, arrival.tenant.taking
        plain = self._unfolded(request, arrival.body)
        if request.path == REMOTE_WRITE:
            return taking.metrics(lambda known: decode_remote_write(plain, known), now_ms)
        if request.signal is Signal.METRICS:
            return taking.metrics(lambda known: decode_otlp_metrics(plain, known), now_ms)
        if request.signal is Signal.LOGS:
            return taking.records(Kind.LOGS, decode_otlp_logs(plain, entity_of), now_ms)
        return taking.records(Kind.SPANS, decode_otlp_traces(plain, entity_of), now_ms)

    def _unfolded(self, request: Request, body: bytes) -> bytes:
        """The body as protobuf, decompressed."""
        bytes_max = self._http.decoded_bytes_max
        if request.encoding == "snappy":
            return unfold_snappy(body, bytes_max)
        plain = unfold_gzip(body, bytes_max) if request.encoding == "gzip" else body
        return protobuf_of_json(plain, request.signal) if request.form is Form.JSON else plain


class _Running:
    """The doors' own task: warms them, and closes them at the end."""

    name = "intake"

    def __init__(self, app: IntakeApp) -> None:
        self._app = app

    async def run(self, stop: asyncio.Event) -> None:
        """Warm, wait, close; an end while it warms does not wait for that."""
        warming, stopping = asyncio.create_task(self._app.warm()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({warming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if warming.done():
                warming.result()
            await stopping
        finally:
            warming.cancel()
            stopping.cancel()
            await self._app.close()


def _nothing_taken(parcel: Parcel, why: str) -> CerebroError:
    """A sender drops a batch on 429 or 400 alike; 429 says that it may fit later."""
    if "cardinality" in parcel.refused:
        return TooManyRequests(why, "Drop the label that grows, or raise intake.series_max.", retry_after_s=60)
    return Invalid(why)


def _count(arrival: Arrival, parcel: Parcel, now_ms: int) -> None:
    signal = SIGNALS[arrival.request.signal]
    metrics.BODY_BYTES.labels(arrival.request.path).inc(len(arrival.body))
    metrics.ROWS.labels(signal).inc(parcel.taken)
    for reason, count in parcel.refused.items():
        if arrival.request.signal is Signal.METRICS:
            metrics.SAMPLES_REFUSED.labels(reason).inc(count)
        else:
            metrics.RECORDS_REFUSED.labels(signal, reason).inc(count)
    last = LastBody(now_ms, len(arrival.body), parcel.taken, parcel.refused_count, arrival.sender)
    arrival.tenant.activity.count(signal, arrival.request.path, last)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers += [(b"content-type", answer.form.value.encode()), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
