"""Whoever sends: a text in every place that a protocol has for one, through the doors that everybody's telemetry takes.

A banner is what a stranger says of itself when it is connected to. The agent that will read them from the network is
not there yet, so they come as others report them: in the attributes of lines, of spans and of alerts.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import cramjam
import numpy as np
import pyarrow as pa
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from cerebro.intake.decode.proto import remote_pb2
from cerebro.intake.doors import IntakeApp
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.kit import Kernel
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SERIES_SCHEMA, SPAN_SCHEMA, SampleBatch, series_id
from cerebro.spine.wire import Kind, encode_samples, encode_table

from .corpus import Named, kept

NS = 10**6  # of a millisecond
INFO, ERROR, FAILED, CLIENT = 9, 17, 2, 3
PROTOBUF, JSON = "application/x-protobuf", "application/json"
BANNERS = ("http.response.header.server", "ssh.banner", "smtp.greeting", "user_agent.original")
PLACEHOLDER = (
    "\u2620"  # three bytes of UTF-8, as many as a lone surrogate has where someone writes it as if it were one
)
DEPLOY = "dev.cdevents.service.deployed.0.1.1"


class Sender:
    """Sends through the real doors of a Cerebro, and notes what it sent and what was refused.

    Args:
        kernel: Whose bus the doors publish to.
        services: The estate's own names; texts go round among them.
    """

    def __init__(self, kernel: Kernel, services: Sequence[str]) -> None:
        self._kernel, self._services = kernel, sorted(services)
        self._app = IntakeApp(kernel, Anyone())
        self._app.warmed.set()  # small bodies are decoded where they arrive: nothing is left to threads
        self._spans = 0
        self.sent: dict[str, set[str]] = {}
        self.refused: list[Refused] = []

    async def close(self) -> None:
        """Let go of what the doors hold."""
        await self._app.close()

    async def send(self, carrier: str, chosen: Sequence[Named]) -> None:
        """Each of the texts in every place that this carrier has."""
        await CARRIERS[carrier](self, chosen)
        self.sent.setdefault(carrier, set()).update(name for _, name, _ in chosen)

    # One for each protocol.

    async def lines(self, chosen: Sequence[Named]) -> None:
        """Log lines of the estate's services at INFO."""
        await self.post_lines(chosen, INFO)

    async def errors(self, chosen: Sequence[Named]) -> None:
        """Log lines of the estate's services at ERROR, with what loggers write beside them."""
        await self.post_lines(chosen, ERROR)

    async def json_lines(self, chosen: Sequence[Named]) -> None:
        """The same in OTLP's JSON, a body each: one that cannot be read takes no other with it."""
        for number, _, text in chosen:
            line = {
                "timeUnixNano": str(self._now_ms * NS), "severityNumber": INFO, "body": {"stringValue": text},
                "attributes": [{"key": text or "-", "value": {"stringValue": text}}],
            }  # fmt: skip
            whose = {"key": "service.name", "value": {"stringValue": self._whose(number)}}
            scope = {"scope": {"name": text}, "logRecords": [line]}
            body = {"resourceLogs": [{"resource": {"attributes": [whose]}, "scopeLogs": [scope]}]}
            await self.post("/v1/logs", json.dumps(body).encode(), JSON)

    async def spans(self, chosen: Sequence[Named]) -> None:
        """Failed calls of the estate's services: the text is the operation, why it failed, and a banner."""
        request = ExportTraceServiceRequest()
        for number, _, text in chosen:
            self.add_span(request, self._whose(number), text, {"error.type": text})
        await self.post_otlp("/v1/traces", request)

    async def strangers(self, chosen: Sequence[Named]) -> None:
        """Lines, failed calls and deploys of services and hosts that have the text for a name, and calls to such."""
        lines, spans = ExportLogsServiceRequest(), ExportTraceServiceRequest()
        for number, _, text in chosen:
            self.add_line(lines, text, text, ERROR)
            self.add_span(spans, text, text, {"peer.service": text})
            self.add_span(spans, self._whose(number), text, {"server.address": text})
            await self.post_event(DEPLOY, text, text, f"stranger-{number}")
        await self.post_otlp("/v1/logs", lines)
        await self.post_otlp("/v1/traces", spans)

    async def gauges(self, chosen: Sequence[Named]) -> None:
        """Steady gauges: the text is a label's name, its value, the unit, the service, the host."""
        for some in readable_apart(chosen):
            request = ExportMetricsServiceRequest()
            for number, _, text in some:
                for whose in ({"service.name": self._whose(number)}, {"service.name": text}, {"host.name": text}):
                    scope = request.resource_metrics.add(resource=resource(whose)).scope_metrics.add()
                    gauge = scope.metrics.add(name="poison.gauge", unit=plain(text[:60])).gauge
                    labels = pairs({"note": text, text or "-": "1"})
                    gauge.data_points.add(time_unix_nano=self._now_ms * NS, as_double=0.5, attributes=labels)
            await self.post_otlp("/v1/metrics", request)

    async def writes(self, chosen: Sequence[Named]) -> None:
        """Prometheus' remote write: the text is the job, the instance, a label's name and its value."""
        for some in readable_apart(chosen):
            request = remote_pb2.WriteRequest()
            for number, _, text in some:
                bad, own = text.encode("utf-8", "surrogatepass"), self._whose(number).encode()
                for job in (bad, own):
                    self.add_series(request, {b"__name__": b"poison", b"job": job, b"instance": bad, b"note": bad})
            body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
            await self.post("/api/v1/write", body, PROTOBUF, content_encoding="snappy")

    async def metric_names(self, chosen: Sequence[Named]) -> None:
        """Steady gauges of the estate's services that have the text for their name."""
        for some in readable_apart(chosen):
            request = remote_pb2.WriteRequest()
            for number, _, text in some:
                bad, own = text.encode("utf-8", "surrogatepass"), self._whose(number).encode()
                self.add_series(request, {b"__name__": bad or b"-", b"job": own})
            body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
            await self.post("/api/v1/write", body, PROTOBUF, content_encoding="snappy")

    async def notes(self, chosen: Sequence[Named]) -> None:
        """CloudEvents of something that is no change."""
        for number, _, text in chosen:
            await self.post_event("note.made", self._whose(number), text, f"note-{number}")

    async def deploys(self, chosen: Sequence[Named]) -> None:
        """CloudEvents of deploys, which may be the reason for a trouble."""
        for number, _, text in chosen:
            await self.post_event(DEPLOY, self._whose(number), text, f"deploy-{number}")

    async def alerts(self, chosen: Sequence[Named]) -> None:
        """Alertmanager's alerts about the estate's services, all that a rule's author does not fix is the text."""
        for number, _, text in chosen:
            labels = {"alertname": f"Rule{number}", "service": self._whose(number), **said(text)}
            await self.post_alert(labels, text, f"estate-{number}")

    async def alert_names(self, chosen: Sequence[Named]) -> None:
        """Alerts of rules that have the text for their name."""
        for number, _, text in chosen:
            labels = {"alertname": text, "service": self._whose(number)}
            await self.post_alert(labels, "An alert", f"named-{number}")

    async def strange_alerts(self, chosen: Sequence[Named]) -> None:
        """Alerts whose every label is the text: of a thing that has it for its name."""
        for number, _, text in chosen:
            labels = dict.fromkeys(("service", "severity", "instance", "namespace", "pod"), text) | said(text)
            await self.post_alert({"alertname": f"Rule{number}", **labels}, text, f"strange-{number}")

    async def tables(self, chosen: Sequence[Named]) -> None:
        """Past the doors: as tables on the bus, where a text has what a door would have taken away."""
        bus, now_ms = self._kernel.bus, self._now_ms
        rows = [(number, kept(text), ("service", self._whose(number))) for number, _, text in chosen]
        for name, kind, schema, row in (
            ("logs", Kind.LOGS, LOG_SCHEMA, log_row),
            ("traces", Kind.SPANS, SPAN_SCHEMA, span_row),
            ("events", Kind.EVENTS, EVENT_SCHEMA, event_row),
        ):
            table = pa.Table.from_pylist([row(now_ms, *each) for each in rows], schema=schema)
            subject = f"telemetry.{DEFAULT_TENANT}.{name}"
            await bus.publish(subject, encode_table(kind, table), dedup_key=f"{name}-{now_ms}")
        body = encode_samples(samples(now_ms, rows))
        await bus.publish(f"telemetry.{DEFAULT_TENANT}.metrics", body, dedup_key=f"samples-{now_ms}")

    # What they are made of.

    async def post_lines(self, chosen: Sequence[Named], level: int) -> None:
        """Lines of the estate's services in one body."""
        request = ExportLogsServiceRequest()
        for number, _, text in chosen:
            self.add_line(request, self._whose(number), text, level)
        await self.post_otlp("/v1/logs", request)

    def add_line(self, request: Message, service: str, text: str, level: int) -> None:
        """One line of a service."""
        of = request.resource_logs.add(resource=resource({"service.name": service, **said(text)}))
        scope = of.scope_logs.add()
        scope.scope.name = plain(text)
        errors = {"error.message": text, "exception.type": text} if level >= ERROR else {}
        scope.log_records.add(
            time_unix_nano=self._now_ms * NS, observed_time_unix_nano=self._now_ms * NS, severity_number=level,
            severity_text=plain(text[:20]), body=AnyValue(string_value=plain(text)),
            attributes=pairs({**errors, **said(text)}),
        )  # fmt: skip

    def add_series(self, request: Message, labels: Mapping[bytes, bytes]) -> None:
        """One sample of a steady gauge."""
        series = request.timeseries.add()
        for name, value in labels.items():
            series.labels.add(name=name, value=value)
        series.samples.add(timestamp=self._now_ms, value=0.5)

    def add_span(self, request: Message, service: str, text: str, more: Mapping[str, str]) -> None:
        """One failed call of a service, in a trace of its own."""
        self._spans += 1
        whose = {"service.name": service} | ({"host.name": text} if service == text else {})
        only = request.resource_spans.add(resource=resource(whose)).scope_spans.add()
        only.scope.name = plain(text)
        span = only.spans.add(
            trace_id=self._spans.to_bytes(16, "big"), span_id=self._spans.to_bytes(8, "big"), name=plain(text),
            kind=CLIENT, start_time_unix_nano=self._now_ms * NS, end_time_unix_nano=(self._now_ms + 5) * NS,
            attributes=pairs({**more, **said(text)}),
        )  # fmt: skip
        span.status.code, span.status.message = FAILED, plain(text)
        span.events.add(name=plain(text), attributes=pairs({"exception.message": text}))

    async def post_alert(self, labels: Mapping[str, str], text: str, fingerprint: str) -> None:
        """One alert, its annotations the text; a body each, as in `json_lines`."""
        alert = {
            "status": "firing", "labels": dict(labels), "fingerprint": fingerprint, "generatorURL": text,
            "annotations": {"summary": text, "description": text, "message": text, text or "-": text},
            "startsAt": self._rfc(), "endsAt": "0001-01-01T00:00:00Z",
        }  # fmt: skip
        body = {"version": "4", "externalURL": text, "groupKey": text, "alerts": [alert]}
        await self.post("/intake/alertmanager", json.dumps(body).encode(), JSON)

    async def post_event(self, kind: str, subject: str, text: str, event_id: str) -> None:
        """One CloudEvent about a service."""
        data = {"title": text, "version": text, "labels": said(text), text or "-": text}
        event = {
            "specversion": "1.0", "id": f"{event_id}-{self._now_ms}", "source": f"ci {text}", "type": kind,
            "subject": f"service/{subject or '-'}", "time": self._rfc(), "data": data,
        }  # fmt: skip
        await self.post("/intake/events", json.dumps(event).encode(), "application/cloudevents+json")

    async def post_otlp(self, path: str, request: Message) -> None:
        """A request in protobuf, its lone surrogates as they would be on the wire."""
        body = request.SerializeToString().replace(PLACEHOLDER.encode(), b"\xed\xa0\xbd")
        await self.post(path, body, PROTOBUF)

    async def post(self, path: str, body: bytes, media: str, **more: str) -> None:
        """Knock at a door, as granian would."""
        headers = {"content-type": media, **{name.replace("_", "-"): value for name, value in more.items()}}
        head = [(name.encode(), value.encode()) for name, value in headers.items()]
        said: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def answer(message: Any) -> None:
            said.append(message)

        await self._app({"type": "http", "path": path, "method": "POST", "headers": head}, receive, answer)
        if said[0]["status"] // 100 != 2:
            self.refused.append(Refused(path, said[0]["status"], said[1]["body"].decode(errors="replace"), body))

    def _whose(self, number: int) -> str:
        return self._services[number % len(self._services)]

    @property
    def _now_ms(self) -> int:
        return self._kernel.clock.now_ms()

    def _rfc(self) -> str:
        return datetime.fromtimestamp(self._now_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Refused:
    """A body that a door did not take."""

    path: str
    status: int
    why: str
    body: bytes = field(repr=False)


class Anyone:
    """A guard that knows everybody as a sender of the default tenant."""

    async def authenticate(self, authorization: str) -> Principal:
        """As the guard does."""
        return Principal(DEFAULT_TENANT, "key:sender", "key", frozenset({"ingest"}))


Carry = Callable[[Sender, Sequence[Named]], Awaitable[None]]
CARRIERS: Mapping[str, Carry] = {
    each.__name__: each
    for each in (
        Sender.tables, Sender.lines, Sender.errors, Sender.json_lines, Sender.spans, Sender.gauges, Sender.writes,
        Sender.notes, Sender.metric_names, Sender.deploys, Sender.strangers, Sender.alerts,
        Sender.alert_names, Sender.strange_alerts,
    )
}  # fmt: skip
AROUND = ("tables", "lines", "json_lines", "spans", "gauges", "writes", "notes")


def readable_apart(chosen: Sequence[Named]) -> list[list[Named]]:
    """What is UTF-8, and what is not: where nothing is left of a body of series, it is refused as a whole."""
    good = [each for each in chosen if kept(each[2]) == each[2]]
    bad = [each for each in chosen if kept(each[2]) != each[2]]
    return [some for some in (good, bad) if some]


def said(text: str) -> dict[str, str]:
    """The text as an attribute's name, as its value, and as every banner."""
    return {"note": text, text or "-": text, **dict.fromkeys(BANNERS, text)}


def plain(text: str) -> str:
    """The text as protobuf's strings can hold it; see `PLACEHOLDER`."""
    return "".join(PLACEHOLDER if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def pairs(texts: Mapping[str, str]) -> list[KeyValue]:
    """Attributes."""
    return [KeyValue(key=plain(name), value=AnyValue(string_value=plain(text))) for name, text in texts.items()]


def resource(texts: Mapping[str, str]) -> Resource:
    """What attributes tell of who sends."""
    return Resource(attributes=pairs(texts))


def log_row(now_ms: int, number: int, text: str, key: tuple[str, str]) -> dict[str, object]:
    """A row of LOG_SCHEMA."""
    told = {"severity": INFO, "severity_text": text[:20], "body": text, "service": key[1], "scope": text[:50]}
    ids = {"trace_id": "", "span_id": "", "attributes": [("note", text)], "resource": [("note", text)]}
    at = {"at_ns": now_ms * NS, "observed_ns": now_ms * NS}
    return {**at, **told, **ids, "entity_kind": key[0], "entity_name": key[1]}


def span_row(now_ms: int, number: int, text: str, key: tuple[str, str]) -> dict[str, object]:
    """A row of SPAN_SCHEMA."""
    ids = {"trace_id": f"{number + (1 << 96):032x}", "span_id": f"{number + (1 << 48):016x}", "parent_span_id": ""}
    told = {"name": text, "kind": 1, "status": 0, "status_message": text, "service": key[1], "scope": text[:50]}
    maps = {"attributes": [("note", text)], "resource": [("note", text)], "events": "[]", "links": "[]"}
    at = {"at_ns": now_ms * NS, "duration_ns": 5 * NS}
    return {**at, **ids, **told, **maps, "entity_kind": key[0], "entity_name": key[1]}


def event_row(now_ms: int, number: int, text: str, key: tuple[str, str]) -> dict[str, object]:
    """A row of EVENT_SCHEMA."""
    told = {"kind": "note", "source": text[:50], "title": text, "body": json.dumps({"note": text})}
    return {"at_ns": now_ms * NS, **told, "id": f"table-{number}", "entity_kind": key[0], "entity_name": key[1]}


def samples(now_ms: int, rows: Sequence[tuple[int, str, tuple[str, str]]]) -> SampleBatch:
    """A steady gauge a text, with the text as a label and as the unit."""
    series = []
    for _, text, key in rows:
        labels = {"note": text or "-", "service.name": key[1]}
        hi, lo = series_id("table.gauge", labels)
        series.append(
            {
                "hi": hi, "lo": lo, "metric": "table.gauge", "labels": list(labels.items()), "type": "gauge",
                "unit": text, "entity_kind": key[0], "entity_name": key[1],
            }
        )  # fmt: skip
    ids = [np.array([row[part] for row in series], np.uint64) for part in ("hi", "lo")]
    at_ms, values = np.full(len(series), now_ms, np.int64), np.full(len(series), 0.5)
    return SampleBatch(*ids, at_ms, values, pa.Table.from_pylist(series, schema=SERIES_SCHEMA))
