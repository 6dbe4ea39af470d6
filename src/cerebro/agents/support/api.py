"""What the agent answers over HTTP: the budget, the watched series, the band of one of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from cerebro.agents.support import store
from cerebro.agents.support.admit import Opinion
from cerebro.agents.support.band import LEAD_MS, Band, cut, newest, replay
from cerebro.agents.support.describe import rounded
from cerebro.agents.support.flow import foresee_total
from cerebro.agents.support.model import Reading, SeriesName
from cerebro.agents.support.nature import reading_of
from cerebro.agents.support.observe import Watch
from cerebro.agents.support.outlook import Foreseen, horizon_of, wall_ms
from cerebro.agents.support.select import Selector, parse_selector
from cerebro.agents.support.standing import all_together
from cerebro.agents.support.words import subject_of
from cerebro.algorithms.index import EMPTY
from cerebro.casework.store import FINDINGS, findings_of
from cerebro.kernel.access.guard import Guard, Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.scaling import external_metrics
from cerebro.kernel.scaling.ask import Ask, Need, number_of
from cerebro.kernel.telemetry.port import Window
from cerebro.kernel.web.door import needs
from cerebro.spine.errors import CerebroError, Invalid, NotFound
from cerebro.spine.identity import CaseId, TenantId

Reader = Annotated[Principal, Depends(needs("read"))]
Responder = Annotated[Principal, Depends(needs("respond"))]
Id = Annotated[str, Path(max_length=64)]
SERIES_MAX = 1000
CASE_FINDINGS_MAX = 500
WINDOW_MS_MAX = 92 * 86_400_000
LIST_UNIT = 0.005  # of a tenant whose budget nobody has noted yet


class Feedback(BaseModel):
    """What a finding was worth."""

    model_config = ConfigDict(extra="forbid")
    verdict: Literal["useful", "noise"]
    note: str = Field("", max_length=2000, description="For whoever reads the audit log.")


class Views:
    """The newest snapshot of each tenant, loaded when someone asks and kept until there is a newer one."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._sequence = -1
        self._watches: dict[TenantId, Watch] = {}

    async def watch(self, tenant: TenantId) -> Watch | None:
        """A tenant's state, up to `snapshot_s` old; `None` while the detector has none."""
        found = await store.load_manifest(self._kernel.bus)
        if found is None or tenant not in found[0].tenants:
            return None
        if found[0].sequence != self._sequence:
            self._watches.clear()
            self._sequence = found[0].sequence
        if tenant not in self._watches and (watch := await store.load_watch(self._kernel.bus, found[0], tenant)):
            self._watches[tenant] = watch
        return self._watches.get(tenant)


def router(kernel: Kernel) -> APIRouter:
    """The routes under `/api/v1`."""
    routes, views = APIRouter(tags=["support"]), Views(kernel)
    rules = kernel.settings.support

    @routes.get("/api/v1/budget")
    async def budget(principal: Reader) -> dict[str, Any]:
        """The noise budget of your tenant, over metrics, log lines and spans: what may be expected, spent, admitted."""
        noted = await store.load_standings(kernel.bus, principal.tenant)
        shown: dict[str, Any] = msgspec.to_builtins(all_together(noted, rules.noise_budget))
        return shown | {"time_zone": rules.time_zone, "holidays": rules.holidays}

    @routes.post("/api/v1/findings/{finding_id}/feedback", status_code=202)
    async def finding_feedback(principal: Responder, finding_id: Id, said: Feedback) -> dict[str, Any]:
        """Say what a finding was worth; the price of its like moves within half a minute, within bounds."""
        async with kernel.records.transaction() as transaction:
            record = await transaction.load(FINDINGS, principal.tenant, finding_id, lock=False)
        if record is None:
            raise NotFound(f"There is no finding {finding_id}.")
        return await hear(kernel, principal, f"finding/{finding_id}", [record.value.dedup_key], said)

    @routes.post("/api/v1/cases/{case_id}/feedback", status_code=202)
    async def case_feedback(principal: Responder, case_id: Id, said: Feedback) -> dict[str, Any]:
        """Say the same of every finding of a case."""
        async with kernel.records.transaction() as transaction:
            found = await findings_of(transaction, principal.tenant, CaseId(case_id), CASE_FINDINGS_MAX)
        if not found:
            raise NotFound(f"There is no case {case_id} with findings.")
        keys = sorted({each.dedup_key for each in found})
        return await hear(kernel, principal, f"case/{case_id}", keys, said)

    @routes.get("/api/v1/support/series")
    async def series(
        principal: Reader,
        entity: Annotated[str, Query(description="`kind/name`, such as `host/web-7`")],
        limit: Annotated[int, Query(ge=1, le=SERIES_MAX)] = 200,
    ) -> dict[str, Any]:
        """The watched series of an entity, each with its state and the band of its newest sample."""
        watch = await views.watch(principal.tenant)
        kind, _, name = entity.partition("/")
        rows = watch.series.by_entity.get((kind, name), []) if watch else []
        shown = [series_view(watch, row, rules.warmup_samples) for row in rows[:limit]] if watch else []
        return {"items": shown, "cursor": ""}

    @routes.get("/api/v1/support/band")
    async def band(
        principal: Reader,
        series: Annotated[str, Query(description="`hi-lo`, as findings and `/support/series` name it")],
        start_ms: Annotated[int, Query(ge=0)],
        end_ms: Annotated[int, Query(ge=0)],
    ) -> dict[str, Any]:
        """Points of a series with the band they were expected in, for a chart of at most 600 points."""
        if not 0 < end_ms - start_ms <= WINDOW_MS_MAX:
            raise Invalid("The window is empty, or longer than 92 days.", "Ask for start_ms < end_ms, closer together.")
        named = await find_series(kernel, views, principal.tenant, parse_series(series))
        window = Window(max(0, start_ms - LEAD_MS), end_ms)
        cumulative = reading_of(named) is Reading.RATE
        key = (named.hi, named.lo)
        at_ms, value = await store.find_points(kernel.telemetry, principal.tenant, key, window, cumulative=cumulative)
        noted = (await store.load_standings(kernel.bus, principal.tenant)).get("metrics")
        unit = noted.threshold_per_week if noted else LIST_UNIT
        local_ms = wall_ms(at_ms, rules.time_zone, rules.holidays)
        found = replay(named, at_ms, value, unit=unit, warmup_count=rules.warmup_samples, wall_ms=local_ms)
        return band_view(named, cut(found, start_ms, end_ms))

    @routes.get("/api/v1/templates")
    async def templates(
        principal: Reader,
        entity: Annotated[str, Query(max_length=400, description="`kind/name`; all when empty")] = "",
        text: Annotated[str, Query(max_length=200, description="Part of the template's text")] = "",
        limit: Annotated[int, Query(ge=1, le=SERIES_MAX)] = 200,
    ) -> dict[str, Any]:
        """Templates of log lines, the most frequent first: what lines of an entity have in common, and how often."""
        found = await store.load_templates(kernel.bus, principal.tenant)
        kind, _, name = entity.partition("/")
        chosen = [
            each
            for each in found
            if (not entity or (each["entity_kind"], each["entity_name"]) == (kind, name))
            and text.lower() in str(each["text"]).lower()
        ]
        return {"items": chosen[:limit], "cursor": ""}

    @routes.get("/api/v1/forecast")
    async def forecast(
        principal: Reader,
        selector: Annotated[str, Query(max_length=2000, description='`metric{label="value"}`')],
        horizon_s: Annotated[float, Query(description="How far ahead, seconds; 5 minutes to 92 days.")] = 86_400.0,
        aggregate: Annotated[str, Query(description="How several series become one: sum, avg, max, min.")] = "sum",
        bound: Annotated[
            float | None, Query(description="When will it be met? A limit, a quota, 0 for used up.")
        ] = None,
    ) -> dict[str, Any]:
        """Where a metric is going: its history, its median ahead, and intervals that hold 80 % and 95 % of the time."""
        chosen, horizon = parse_selector(selector), horizon_of(horizon_s)
        found = await foresee_total(kernel, principal.tenant, chosen, horizon, aggregate)
        if not len(found.at_ms):
            raise NotFound(f"Nothing was stored of {selector[:200]}.", "Look at /api/v1/series for what there is.")
        return forecast_view(found, bound)

    return routes


def scaling_router(kernel: Kernel) -> APIRouter:
    """The external metrics API of Kubernetes."""
    routes = APIRouter(tags=["scaling"])

    @routes.get(external_metrics.ROOT)
    async def discover(principal: Reader) -> dict[str, object]:
        """What an API server asks first."""
        return external_metrics.resources()

    @routes.get(external_metrics.ROOT + "/namespaces/{namespace}/{metric}")
    async def external(
        principal: Reader,
        namespace: Annotated[str, Path(max_length=253)],
        metric: Annotated[str, Path(max_length=500)],
        selector: Annotated[str, Query(alias="labelSelector", max_length=2000)] = "",
    ) -> JSONResponse:
        """What will be needed within `cerebro_horizon_s`, at `cerebro_quantile`, with `cerebro_aggregate`."""
        try:
            labels, ours = external_metrics.parse_labels(selector)
            chosen = Selector(metric, tuple((name, "=", value) for name, value in labels.items()))
            value = await needed(kernel, principal.tenant, chosen, ours)
        except CerebroError as error:
            code, body = external_metrics.failure(error)
            return JSONResponse(body, code)
        return JSONResponse(external_metrics.value_list(metric, labels, value, kernel.clock.now_ms()))

    return routes


async def needed(kernel: Kernel, tenant: TenantId, selector: Selector, said: Mapping[str, str]) -> float:
    """What is needed from now to the horizon, for who scales ahead of it.

    Args:
        kernel: Of this process.
        tenant: Whose metric.
        selector: Which.
        said: `horizon_s` (900), `quantile` (0.9), `aggregate` (sum), as text.

    Raises:
        Invalid: One of them cannot be read.
        NotFound: Nothing was stored of the metric.
    """
    horizon, quantile = number_of(said, "horizon_s", 900.0), number_of(said, "quantile", 0.9)
    found = await foresee_total(kernel, tenant, selector, horizon_of(horizon), said.get("aggregate", "sum"))
    if not len(found.at_ms):
        raise NotFound(f"Nothing was stored of {selector.metric[:200]}.")
    return found.peak(quantile)


def keda_asks(kernel: Kernel, guard: Guard) -> Ask:
    """What answers KEDA: `selector`, `horizon_s`, `quantile` and `aggregate` of a trigger's metadata."""

    async def ask(authorization: str, metadata: Mapping[str, str]) -> Need:
        principal = await guard.authenticate(authorization)
        principal.need("read")
        return Need(await needed(kernel, principal.tenant, parse_selector(metadata.get("selector", "")), metadata))

    return ask


def forecast_view(found: Foreseen, bound: float | None) -> dict[str, Any]:
    """A forecast for a chart; without quantiles, and with the reason, while there is too little history."""
    view: dict[str, Any] = {"at_ms": found.at_ms.tolist(), "value": rounded(found.value.astype(np.float32))}
    if (outlook := found.outlook) is None:
        return view | {"ahead_ms": [], "quantiles": {}, "reason": "Not yet: there are fewer than 48 steps of history."}
    rows = zip(outlook.quantiles, outlook.values, strict=True)
    view |= {
        "ahead_ms": found.ahead_ms.tolist(),
        "quantiles": {f"{q:g}": rounded(row.astype(np.float32)) for q, row in rows},
    }
    if bound is not None:
        places = outlook.reaches(bound, rising=bound >= float(found.value[np.isfinite(found.value)][-1]))
        met = [int(found.ahead_ms[place]) if place >= 0 else None for place in places]
        view["reaches"] = dict(zip(("earliest_ms", "likely_ms", "latest_ms"), met, strict=True)) | {"bound": bound}
    return view


async def hear(kernel: Kernel, principal: Principal, thing: str, keys: Sequence[str], said: Feedback) -> dict[str, Any]:
    """Keep what someone said for the detector, and write it into the audit log."""
    now_ms = kernel.clock.now_ms()
    opinions = [Opinion(key, said.verdict, now_ms, principal.name) for key in keys]
    detail = {"verdict": said.verdict, "note": said.note, "findings": len(keys)}
    await Audit(kernel.records, kernel.clock).append(principal.tenant, principal.name, "finding_judged", thing, detail)
    await store.add_opinions(kernel.bus, principal.tenant, opinions)
    return {"verdict": said.verdict, "findings": len(keys)}


def parse_series(text: str) -> tuple[int, int]:
    """Read `hi-lo`, two decimal numbers of 64 bits.

    Raises:
        Invalid: It is not that.
    """
    hi, _, lo = text.partition("-")
    digits = hi.isascii() and lo.isascii() and hi.isdigit() and lo.isdigit() and len(hi) <= 20 and len(lo) <= 20
    if not digits or max(int(hi), int(lo)) >= 1 << 64:
        raise Invalid("A series is named by two decimal numbers: `hi-lo`.", "Take the name from a finding.")
    return int(hi), int(lo)


async def find_series(kernel: Kernel, views: Views, tenant: TenantId, name: tuple[int, int]) -> SeriesName:
    """What the series is, from the detector or else the catalog.

    Raises:
        NotFound: The tenant has no such series.
    """
    if watch := await views.watch(tenant):
        row = int(watch.series.index.find(np.array([name[0]], np.uint64), np.array([name[1]], np.uint64))[0])
        if row != EMPTY:
            return watch.series.names[row]
    if found := await store.find_names(kernel.telemetry, tenant, [name]):
        return found[0]
    raise NotFound(f"There is no series {name[0]}-{name[1]}.")


def series_view(watch: Watch, row: int, warmup_count: int) -> dict[str, Any]:
    """One watched series for the list."""
    name, state = watch.series.names[row], watch.series.rows[row]
    learning = int(state["count"]) < warmup_count
    status = (
        "silent" if state["silent"] else "open" if row in watch.open_rows else "learning" if learning else "watching"
    )
    seen = int(state["count"]) > 0
    bounds = [number(bound) for bound in newest(state)] if seen else [None, None, None]
    return {
        "series": f"{name.hi}-{name.lo}",
        "metric": name.metric,
        "labels": dict(name.labels),
        "said": subject_of(name),
        "unit": name.unit,
        "status": status,
        "sample_count": int(state["count"]),
        "interval_s": round(float(state["interval_s"]), 3),
        "last_ms": int(state["last_ms"]),
        "value": number(state["value"]) if seen else None,
        "expected": bounds[0],
        "low": bounds[1],
        "high": bounds[2],
        "weight": round(float(state["weight"]), 3),
    }


def band_view(name: SeriesName, band: Band) -> dict[str, Any]:
    """A band for a chart."""
    return {
        "series": f"{name.hi}-{name.lo}",
        "metric": name.metric,
        "said": subject_of(name),
        "unit": name.unit,
        "reading": reading_of(name).name.lower(),
        "at_ms": band.at_ms.tolist(),
        "value": rounded(band.value),
        "expected": rounded(band.expected),
        "low": rounded(band.low),
        "high": rounded(band.high),
    }


def number(value: object) -> float | None:
    """A number JSON can hold, with six significant digits."""
    found = float(str(value))
    return float(f"{found:.6g}") if np.isfinite(found) else None
