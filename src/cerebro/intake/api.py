"""`/api/v1/intake`: what a tenant sends, what of it was refused and why, and how full the road is."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from cerebro.intake.report import pages_of, together
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.door import needs
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import TenantId

HOUR_S = 3600

# Counts of everything stored in the last hour, whatever way it came: doors, host observer, journal.
HOUR_SQL = """
WITH toDateTime({since_s:UInt32}, 'UTC') AS since, toStartOfHour(since) AS since_hour
SELECT toUnixTimestamp(slot) AS slot_s, signal, sum(rows) AS count FROM (
    SELECT at AS slot, 'samples' AS signal, sum(count) AS rows FROM samples_5m
    WHERE tenant = {tenant:String} AND hour >= since_hour AND at >= since GROUP BY slot
    UNION ALL
    SELECT toStartOfFiveMinutes(at) AS slot, 'logs' AS signal, count() AS rows FROM logs
    WHERE tenant = {tenant:String} AND hour >= since_hour AND at >= since GROUP BY slot
    UNION ALL
    SELECT toStartOfFiveMinutes(at) AS slot, 'spans' AS signal, toUInt64(round(sum(weight))) AS rows FROM spans
    WHERE tenant = {tenant:String} AND hour >= since_hour AND at >= since GROUP BY slot
)
GROUP BY slot_s, signal ORDER BY slot_s
"""
SIGNALS = ("samples", "logs", "spans")

Reader = Annotated[Principal, Depends(needs("read"))]


def router(kernel: Kernel) -> APIRouter:
    """The routes of intake."""
    routes = APIRouter(prefix="/api/v1/intake", tags=["intake"])

    @routes.get("")
    async def intake(principal: Reader) -> dict[str, Any]:
        """Rates through the doors now, what was stored in the last hour, and how full the streams are."""
        now_ms = kernel.clock.now_ms()
        page = together(await pages_of(kernel.bus, principal.tenant), now_ms)
        return {
            "at_ms": now_ms,
            "per_s": {signal: page.per_s.get(signal, 0.0) for signal in SIGNALS},
            "doors": [
                {
                    "path": path,
                    "at_ms": body.at_ms,
                    "byte_count": body.byte_count,
                    "taken": body.taken,
                    "refused": body.refused,
                    "sender": body.sender,
                }
                for path, body in sorted(page.last.items())
            ],
            "hour": await _hour(kernel, principal.tenant, now_ms),
            "series": {"count": page.series_count, "max": page.series_max or kernel.settings.intake.series_max},
            "streams": [await _stream(kernel, stream.name) for stream in ALL],
        }

    @routes.get("/refusals")
    async def refusals(principal: Reader) -> dict[str, Any]:
        """What was refused, by reason and metric, with the label that has most different values; the latest first."""
        page = together(await pages_of(kernel.bus, principal.tenant), kernel.clock.now_ms())
        items = [
            {
                "reason": each.reason,
                "metric": each.metric,
                "label": each.label,
                "label_values": each.label_values,
                "count": each.count,
                "first_ms": each.first_ms,
                "last_ms": each.last_ms,
                "example": each.example,
            }
            for each in page.refusals
        ]
        return {"items": items, "cursor": ""}

    return routes


async def _hour(kernel: Kernel, tenant: TenantId, now_ms: int) -> Mapping[str, Any]:
    """Rows of each signal in the last hour by five minutes; none when the store does not answer now."""
    parameters = {"tenant": tenant, "since_s": now_ms // 1000 - HOUR_S}
    hour: dict[str, list[dict[str, int]]] = {signal: [] for signal in SIGNALS}
    try:
        table = await kernel.telemetry.query(HOUR_SQL, parameters)
    except CerebroError as error:
        return {**hour, "missing": str(error)}
    for row in table.to_pylist():
        signal = row["signal"]
        name = signal.decode() if isinstance(signal, bytes) else signal
        hour[name].append({"at_ms": int(row["slot_s"]) * 1000, "count": int(row["count"])})
    return hour


async def _stream(kernel: Kernel, name: str) -> Mapping[str, Any]:
    state = await kernel.bus.state(name)
    return {
        "name": name,
        "byte_count": state.byte_count,
        "bytes_max": state.bytes_max,
        "messages": state.last_sequence - state.first_sequence + 1,
    }
