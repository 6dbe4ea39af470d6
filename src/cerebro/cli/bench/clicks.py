"""`cerebro bench clicks`: what people wait for when a million alerts are stored, and when the map has 5,000 entities.

The alerts lie in the store of record in 20,000 cases, 200 of them live, as correlation leaves them; they are put there
in bulk, which is not measured. Then the pages are asked one after the other through the API's own routes, encoding
included, on the real PostgreSQL: lists, lists that are narrowed, a case of any age, its findings; and the map, told of
new calls and asked for what is two calls around something, each time anew.
"""

import asyncio
from collections.abc import Mapping
from random import Random
from time import perf_counter

from httpx import ASGITransport, AsyncClient

from cerebro.app.front import api, gate_of
from cerebro.casework.answers import Answers
from cerebro.casework.store import CASES, FINDINGS, keep_case, keep_finding
from cerebro.casework.topology.atlas import Atlas
from cerebro.casework.topology.sighted import CALLS, Sighted
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.casework.topology.view import Asked, view
from cerebro.cli.bench.correlate import p95
from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.store import engines
from cerebro.kernel.access.keys import Keys
from cerebro.kernel.kit import Kernel
from cerebro.kernel.web.live import Live
from cerebro.spine.cases import Case, CaseState, Signal
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Unavailable
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId, FindingId, TenantId

ALERTS, A_CASE, LIVE_CASES, SERVICES = 1_000_000, 50, 200, 500
AT_ONCE = 5000  # alerts in one transaction
EVERY_MS = 20_000  # between two cases: 20,000 of them reach five days back
ROUNDS = 40
MAP_ENTITIES, MAP_ROUNDS = 5000, 40
LISTS = (
    "cases?live=true&limit=50", "cases?limit=50&severity=major", "cases?limit=50&order=severity",
    "findings?limit=50", "findings?limit=50&severity=major", "findings?limit=50&entity=service/s-7",
)  # fmt: skip


def run(alert_count: int = ALERTS, seed: int = 5) -> list[Figure]:
    """Measure on engines made for it."""
    return asyncio.run(_run(alert_count, Random(seed)))  # noqa: S311  made to be repeatable


async def _run(alert_count: int, chance: Random) -> list[Figure]:
    async with engines() as kernel:
        figures = await _map(kernel, chance)
        await fill(kernel, alert_count)
        return figures + await _clicks(kernel, alert_count, chance)


async def fill(kernel: Kernel, alert_count: int) -> None:
    """Store so many alerts and their cases, in bulk."""
    now_ms, a_batch = kernel.clock.now_ms(), AT_ONCE // A_CASE
    for first in range(0, alert_count // A_CASE, a_batch):
        numbers = range(first, min(first + a_batch, alert_count // A_CASE))
        findings = {
            str(_finding_id(number, place)): keep_finding(_finding(number, place, now_ms), _case_id(number))
            for number in numbers
            for place in range(A_CASE)
        }
        async with kernel.records.transaction() as transaction:
            await transaction.create(FINDINGS, DEFAULT_TENANT, findings)
            cases = {str(_case_id(number)): keep_case(_case(number, now_ms)) for number in numbers}
            await transaction.create(CASES, DEFAULT_TENANT, cases)


def _service(number: int) -> EntityKey:
    return EntityKey("service", f"s-{number % SERVICES}")


def _case_id(number: int) -> CaseId:
    return CaseId(f"case-{number:08}")


def _finding_id(number: int, place: int) -> FindingId:
    return FindingId(f"alert-{number:08}-{place:03}")


def _finding(number: int, place: int, now_ms: int) -> Finding:
    entity, at_ms = _service(number + place % 3), now_ms - number * EVERY_MS + place * 100
    return Finding(
        id=_finding_id(number, place), tenant=DEFAULT_TENANT, agent="alertmanager", kind="alert",
        signal=f"Rule{place}", entity=entity, at_ms=at_ms, seen_ms=at_ms + 500, severity=Severity(1 + number % 4),
        p_value=0.0, effect=0.0, title=f"Rule{place} of {entity.text} fires", evidence=(),
        dedup_key=f"alert:Rule{place}:{entity.text}:{number}",
    )  # fmt: skip


def _case(number: int, now_ms: int) -> Case:
    live, began_ms = number < LIVE_CASES, now_ms - number * EVERY_MS
    state, severity = (CaseState.OPEN if live else CaseState.CLOSED), Severity(1 + number % 4)
    entities = tuple(_service(number + place) for place in range(3))
    signals = tuple(
        Signal(each.dedup_key, each.id, each.entity, severity, each.title, each.at_ms, each.seen_ms, cleared=not live)
        for each in (_finding(number, place, now_ms) for place in range(A_CASE))
    )
    return Case(
        _case_id(number), DEFAULT_TENANT, state, severity, f"Rule0 of {entities[0].text} fires", began_ms, began_ms,
        entities, tuple(each.finding for each in signals), signals=signals, began_ms=began_ms, finding_count=A_CASE,
        active_keys=tuple(each.key for each in signals) if live else (),
    )  # fmt: skip


async def _clicks(kernel: Kernel, alert_count: int, chance: Random) -> list[Figure]:
    key = await Keys(kernel.records, kernel.clock).make(DEFAULT_TENANT, "bench", ["read"], actor="bench")
    app = api(kernel, gate_of(kernel), Live(kernel.bus, kernel.clock), {}, Answers(kernel.clock))
    took_ms: Mapping[str, list[float]] = {"lists": [], "the findings of a case": [], "a case": []}
    headers = {"authorization": f"Bearer {key.text}"}
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://cerebro/api/v1", headers=headers) as client:
        for round_number in range(ROUNDS):
            for path in LISTS:  # a question that no other round has asked, so that none is answered from memory
                took_ms["lists"].append(await _timed(client, f"{path}&n={round_number}"))
            number = chance.randrange(alert_count // A_CASE)
            took_ms["a case"].append(await _timed(client, f"cases/{_case_id(number)}"))
            took_ms["the findings of a case"].append(await _timed(client, f"findings?limit=50&case={_case_id(number)}"))
    return [
        Figure(f"a click on {what}, {alert_count:,} alerts stored, p95", round(p95(values), 1), "ms", 100, 50)
        for what, values in took_ms.items()
    ]


async def _timed(client: AsyncClient, path: str) -> float:
    begun = perf_counter()
    answer = await client.get(path)
    took_ms = 1000 * (perf_counter() - begun)
    if answer.status_code != 200:
        raise Unavailable(f"{path} was answered with {answer.status_code}: {answer.text[:200]}")
    return took_ms


async def _map(kernel: Kernel, chance: Random) -> list[Figure]:
    """A map of 5,000 entities: new calls told and kept, then drawn and asked, each round anew."""
    tenant, surveyor, atlas = TenantId("bench-map"), Surveyor(kernel), Atlas(kernel)
    services = [EntityKey("service", f"team{number % 40}-{number}") for number in range(MAP_ENTITIES)]
    now_ms = kernel.clock.now_ms()
    links = {(chance.choice(services), chance.choice(services), CALLS): 1.0 for _ in range(3 * MAP_ENTITIES)}
    await surveyor.tell(tenant, Sighted(now_ms, now_ms, {each: {} for each in services}, links))
    await atlas.at(tenant, now_ms)
    updated_ms, asked_ms = [], []
    for _ in range(MAP_ROUNDS):
        more = {(chance.choice(services), chance.choice(services), CALLS): 1.0 for _ in range(3)}
        begun = perf_counter()
        await surveyor.tell(tenant, Sighted(now_ms, kernel.clock.now_ms(), links=more))
        updated_ms.append(1000 * (perf_counter() - begun))
        atlas.forget(tenant)
        begun = perf_counter()
        found = await atlas.at(tenant, kernel.clock.now_ms())
        view(found, {}, Asked(focus=chance.choice(services), hops=2), silent_ms=1000, series={})
        asked_ms.append(1000 * (perf_counter() - begun))
    return [
        Figure(f"map of {MAP_ENTITIES:,} entities, update, p95", round(p95(updated_ms), 1), "ms", 100, 50),
        Figure(f"map of {MAP_ENTITIES:,} entities, query, p95", round(p95(asked_ms), 1), "ms", 100, 50),
    ]
