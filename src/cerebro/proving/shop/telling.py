"""What a service of the shop tells: OpenTelemetry metrics, logs and traces, sent as OTLP over HTTP.

Names follow the semantic conventions. Without an address nothing is made or sent, at no cost.
"""

import socket
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.plan import EDGES, OUTSIDE
from cerebro.proving.shop.registry import Registry

# The bounds that the semantic conventions advise for `http.server.request.duration`, seconds.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
NAMESPACE = "shop"
BROKEN_OFF = "CancelledError"
DATABASE = "postgres"  # what the services know it as

_PROPAGATOR = TraceContextTextMapPropagator()


class Telling:
    """One process's instruments.

    Args:
        registry: Says where to send, and how large a share of the traces.
    """

    def __init__(self, name: str, number: int, version: str, registry: Registry, clock: Clock) -> None:
        self._clock, self._name = clock, name
        resource = Resource.create(
            {
                "service.name": name,
                "service.namespace": NAMESPACE,
                "service.instance.id": f"{name}-{number}",
                "service.version": version,
                "host.name": socket.gethostname(),
            }
        )
        readers: Sequence[MetricReader] = ()
        self._traces = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(registry.trace_share)), shutdown_on_exit=False
        )
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        if registry.export_url and name != OUTSIDE:  # a supplier tells us nothing of itself
            readers = (self._connect(registry),)
        self._metrics = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        self._make_instruments()

    def _connect(self, registry: Registry) -> MetricReader:
        """Batches and periods run in threads of the SDK's own."""
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415  10 MiB
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        url, headers = registry.export_url.rstrip("/"), {"Authorization": f"Bearer {registry.export_key}"}
        spans = OTLPSpanExporter(f"{url}/v1/traces", headers=headers, timeout=5)
        logs = OTLPLogExporter(f"{url}/v1/logs", headers=headers, timeout=5)
        period_ms = registry.export_s * 1000
        self._traces.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=period_ms))
        self._logs.add_log_record_processor(BatchLogRecordProcessor(logs, schedule_delay_millis=period_ms))
        return PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{url}/v1/metrics", headers=headers, timeout=5), export_interval_millis=period_ms
        )

    def _make_instruments(self) -> None:
        meter = self._meter = self._metrics.get_meter(NAMESPACE)
        self._tracer = self._traces.get_tracer(NAMESPACE)
        self._logger = self._logs.get_logger(NAMESPACE)

        def seconds(name: str) -> Callable[[float, Mapping[str, str | int]], None]:
            return meter.create_histogram(name, "s", explicit_bucket_boundaries_advisory=BOUNDS_S).record

        self._served, self._called = seconds("http.server.request.duration"), seconds("http.client.request.duration")
        self._stored, self._worked = seconds("db.client.operation.duration"), seconds("messaging.process.duration")
        self._counters: dict[str, Callable[[int, Mapping[str, str]], None]] = {}
        # Failures are told as 0 before the first one, as proxies do: what appears only with the trouble has no past.
        self._failed_count, self._missed = 0, dict.fromkeys(self._called_by(self._name), 0)
        meter.create_observable_counter("http.server.request.failed", (self._failures,), "{request}")
        meter.create_observable_counter("http.client.request.failed", (self._misses,), "{request}")

    @staticmethod
    def _called_by(name: str) -> list[str]:
        return [called for caller, called in EDGES if caller == name]

    def _failures(self, _options: CallbackOptions) -> Iterable[Observation]:
        return (Observation(self._failed_count),)

    def _misses(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {"server.address": called}) for called, count in self._missed.items()]

    def counter(self, name: str, unit: str, read: Callable[[], float], **labels: str) -> None:
        """A count that is kept elsewhere and told from 0 on: what appears only with the trouble has no past."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return (Observation(read(), labels),)

        self._meter.create_observable_counter(name, (observe,), unit)

    def gauge(self, name: str, unit: str, read: Callable[[], float]) -> None:
        """A value that is read whenever metrics are sent."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return (Observation(read()),)

        self._meter.create_observable_gauge(name, (observe,), unit)

    def count(self, name: str, **labels: str) -> None:
        """One more of something."""
        if name not in self._counters:
            self._counters[name] = self._meter.create_counter(name).add
        self._counters[name](1, labels)

    @contextmanager
    def serving(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator["Stretch"]:
        """A request that this service answers; its parent is in the headers."""
        parent = _PROPAGATOR.extract(headers) if "traceparent" in headers else Context()
        with self._stretch(f"{method} {route}", SpanKind.SERVER, parent, self._note_served) as stretch:
            stretch.labels.update({"http.request.method": method, "http.route": route, "url.scheme": "http"})
            yield stretch

    def _note_served(self, stretch: "Stretch") -> None:
        self._failed_count += stretch.labels.get("error.type", BROKEN_OFF) != BROKEN_OFF  # who went away did not fail
        self._served(stretch.duration_s, stretch.labels)

    @contextmanager
    def calling(self, method: str, called: str, headers: dict[str, str]) -> Iterator["Stretch"]:
        """A request that this service makes; its trace goes into the headers."""
        with self._stretch(f"{method} {called}", SpanKind.CLIENT, None, self._note_called) as stretch:
            stretch.labels.update({"http.request.method": method, "server.address": called})
            _PROPAGATOR.inject(headers)
            yield stretch

    def _note_called(self, stretch: "Stretch") -> None:
        called = str(stretch.labels["server.address"])
        if int(stretch.labels.get("http.response.status_code", 0)) >= HTTPStatus.BAD_REQUEST:
            stretch.failed(str(stretch.labels["http.response.status_code"]))
        self._missed[called] = self._missed.get(called, 0) + ("error.type" in stretch.labels)
        self._called(stretch.duration_s, stretch.labels)

    @contextmanager
    def storing(self, operation: str, table: str) -> Iterator["Stretch"]:
        """A statement to the database."""
        with self._stretch(f"{operation} {table}", SpanKind.CLIENT, None, self._note_stored) as stretch:
            stretch.labels.update(
                {
                    "db.system.name": "postgresql",
                    "db.operation.name": operation,
                    "db.collection.name": table,
                    "server.address": DATABASE,
                }
            )
            yield stretch

    def _note_stored(self, stretch: "Stretch") -> None:
        self._stored(stretch.duration_s, stretch.labels)

    @contextmanager
    def doing(self, what: str) -> Iterator["Stretch"]:
        """Work of this service's own that may take long."""
        with self._stretch(what, SpanKind.INTERNAL, None, _nothing) as stretch:
            yield stretch

    @contextmanager
    def working(self, subject: str, headers: Mapping[str, str]) -> Iterator["Stretch"]:
        """A message that this service works."""
        parent = _PROPAGATOR.extract(headers)
        with self._stretch(f"process {subject}", SpanKind.CONSUMER, parent, self._note_worked) as stretch:
            stretch.labels.update({"messaging.system": "nats", "messaging.destination.name": subject})
            yield stretch

    def _note_worked(self, stretch: "Stretch") -> None:
        self._worked(stretch.duration_s, stretch.labels)

    def passed_on(self) -> dict[str, str]:
        """The headers that carry the present trace."""
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers)
        return headers

    @contextmanager
    def _stretch(
        self, name: str, kind: SpanKind, parent: Context | None, note: Callable[["Stretch"], None]
    ) -> Iterator["Stretch"]:
        """What is broken off, because it failed or nobody waits for it any more, is told as well."""
        began_s, whole = self._clock.monotonic_s(), False
        with self._tracer.start_as_current_span(name, parent, kind, record_exception=False) as span:
            stretch = Stretch(span)
            try:
                yield stretch
                whole = True
            finally:
                stretch.duration_s = self._clock.monotonic_s() - began_s
                if not whole and "error.type" not in stretch.labels:
                    stretch.failed(type(sys.exception()).__name__)
                note(stretch)
                span.set_attributes(stretch.labels)

    def log(self, severity: str, body: str, **attributes: str | int | float) -> None:
        """A log record: to the service's log file and to wherever telemetry goes."""
        print_line(f"{severity} {body} {attributes or ''}")
        self._logger.emit(
            LogRecord(
                timestamp=self._clock.now_ns(),
                severity_number=SeverityNumber[severity],
                severity_text=severity,
                body=body,
                attributes=attributes,
                context=trace.set_span_in_context(trace.get_current_span()),
            )
        )

    def unhandled(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the loop could not do, such as to accept a connection, in the service's own log, too."""
        loop.default_exception_handler(context)
        self.log("ERROR", f"{context['message']}: {context.get('exception', '')}")

    def close(self) -> None:
        """Send what is left, for no longer than a moment."""
        self._metrics.shutdown(timeout_millis=1000)
        self._traces.shutdown()
        self._logs.shutdown()


class Stretch:
    """Something that is going on: a span and its measure."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.labels: dict[str, str | int] = {}
        self.duration_s = 0.0

    def status(self, code: int) -> None:
        """The HTTP status that it ended with."""
        self.labels["http.response.status_code"] = code
        if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failed(str(code))

    def failed(self, why: str) -> None:
        """It did not succeed."""
        self.labels["error.type"] = why
        self._span.set_status(StatusCode.ERROR, why)


def _nothing(_stretch: Stretch) -> None:
    """A span is enough."""


def print_line(line: str) -> None:
    """One line to the service's own log file."""
    sys.stderr.write(f"{line}\n")
