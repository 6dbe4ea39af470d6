"""The doors for what others noticed and changed: Alertmanager's webhooks and CloudEvents. One body is one message."""

import msgspec
import xxhash

from cerebro.intake import metrics
from cerebro.intake.activity import LastBody
from cerebro.intake.alerts import findings_of_alerts
from cerebro.intake.answers import Answer, Form
from cerebro.intake.body import unfold_gzip
from cerebro.intake.cloudevents import events_of
from cerebro.intake.request import ALERTS, Request
from cerebro.intake.take import Parcel
from cerebro.intake.tenants import Tenant
from cerebro.kernel.kit import Kernel
from cerebro.spine.errors import Invalid, TooLarge
from cerebro.spine.wire import Kind

MESSAGE_BYTES_MAX = 4 << 20  # of findings in one message; the embedded bus takes 8 MiB


class Webhooks:
    """Takes bodies of both doors.

    Args:
        kernel: Its bus, clock and limits.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def take(self, request: Request, body: bytes, tenant: Tenant, sender: str) -> Answer:
        """Store the body's alerts or events, then say so.

        Raises:
            Invalid: It holds none, or only what lies too far behind or ahead of our clock.
            TooLarge: It holds too many.
        """
        now_ms = self._kernel.clock.now_ms()
        plain = unfold_gzip(body, self._kernel.settings.http.decoded_bytes_max) if request.encoding == "gzip" else body
        key = f"{request.path}:{tenant.name}:{xxhash.xxh3_128_hexdigest(body)}"
        signal = "alerts" if request.path == ALERTS else "events"
        if request.path == ALERTS:
            taken, refused = await self._alerts(plain, tenant, now_ms, key), 0
        else:
            parcel = await self._events(plain, request, tenant, now_ms, key)
            taken, refused = parcel.taken, parcel.refused_count
        metrics.BODY_BYTES.labels(request.path).inc(len(body))
        metrics.ROWS.labels(signal).inc(taken)
        tenant.activity.count(signal, request.path, LastBody(now_ms, len(body), taken, refused, sender))
        if request.path == ALERTS:
            return Answer(200, b"", Form.TEXT)
        return Answer(202, msgspec.json.encode({"taken": taken, "refused": refused}), Form.JSON)

    async def _alerts(self, body: bytes, tenant: Tenant, now_ms: int, key: str) -> int:
        past_ms = round(self._kernel.settings.intake.past_s_max * 1000)
        findings = findings_of_alerts(body, tenant.name, now_ms, past_ms=past_ms)
        if findings:
            message = msgspec.json.encode(findings)
            if len(message) > MESSAGE_BYTES_MAX:
                raise TooLarge(
                    f"The alerts of the body are more than {MESSAGE_BYTES_MAX >> 20} MiB.", "Send fewer at once."
                )
            await self._kernel.bus.publish(f"findings.{tenant.name}", message, dedup_key=key)
        return len(findings)

    async def _events(self, body: bytes, request: Request, tenant: Tenant, now_ms: int, key: str) -> Parcel:
        table = events_of(body, request.media, request.headers, now_ms)
        parcel = tenant.taking.records(Kind.EVENTS, table, now_ms)
        for reason, count in parcel.refused.items():
            metrics.RECORDS_REFUSED.labels("events", reason).inc(count)
        if parcel.refused and not parcel.taken:
            raise Invalid(tenant.taking.explain(parcel.refused), "Send events as they happen.")
        for message in parcel.messages:
            named = [pair for pair in sorted(request.headers.items()) if pair[0].startswith("ce-")]
            key = f"{key}:{xxhash.xxh3_128_hexdigest(repr(named).encode())}"  # a binary event is named by its headers
            await self._kernel.bus.publish(f"telemetry.{tenant.name}.events", message, dedup_key=key)
        return parcel
