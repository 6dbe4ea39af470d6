"""`cerebro bench correlate`: an alert storm from three causes, read as Alertmanager sends it and brought into cases.

300 services in three parts that do not call each other; in each, something that many need breaks, and everything above
it complains within ten minutes: 100,000 alerts of 12,000 kinds, each sent again and again. Decoded, deduplicated,
correlated and stored on the real PostgreSQL, in one process beside it. Then what people click on is asked of the table.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from time import perf_counter, process_time

import msgspec

from cerebro.casework import questions
from cerebro.casework.flow import Brain
from cerebro.casework.store import CASES, every
from cerebro.casework.topology.sighted import CALLS, Sighted
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.store import engines
from cerebro.intake.alerts import findings_of_alerts
from cerebro.kernel.bus.port import Message
from cerebro.kernel.kit import Kernel
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId

TENANT = TenantId("bench")
PARTS, SERVICES, RULES, PODS = 3, 100, 8, 5
ALERT_COUNT, BODY_ALERTS, STORM_S = 100_000, 500, 600
ASKED_ROUNDS = 30


def run(seed: int = 5) -> list[Figure]:
    """Measure on engines made for it."""
    return asyncio.run(_run(Random(seed)))  # noqa: S311  made to be repeatable


async def _run(chance: Random) -> list[Figure]:
    async with engines() as kernel:
        return [*await _storm(kernel, chance), *await _clicks(kernel)]


async def _storm(kernel: Kernel, chance: Random) -> list[Figure]:
    surveyor, now_ms = Surveyor(kernel), kernel.clock.now_ms()
    calls, depths = _estate(chance)
    await surveyor.tell(TENANT, Sighted(now_ms, now_ms, links=dict.fromkeys(calls, 1.0)))
    brain, bodies = Brain(kernel), list(_bodies(depths, now_ms - STORM_S * 1000, chance))
    begun, begun_cpu = perf_counter(), process_time()
    for number, body in enumerate(bodies, 1):
        findings = findings_of_alerts(body, TENANT, kernel.clock.now_ms(), past_ms=86_400_000)
        await brain.take([Message(f"findings.{TENANT}", msgspec.json.encode(findings), number)])
    took_s, cpu_s = perf_counter() - begun, process_time() - begun_cpu
    async with kernel.records.transaction() as transaction:
        cases = [record.value async for record in every(transaction, CASES, TENANT)]
    open_count = sum("merged_into" not in case.labels for case in cases)
    told = sum(case.finding_count for case in cases if "merged_into" not in case.labels)
    return [
        Figure("storm_alerts", round(ALERT_COUNT / took_s), "1/s", 1000, 5000),
        Figure("storm_cpu_a_thousand_alerts", round(1000 * cpu_s / (ALERT_COUNT / 1000)), "ms", 1000, 200),
        Figure("storm_cases", open_count, "", 10, PARTS),
        Figure("storm_alerts_a_case", round(ALERT_COUNT / max(1, open_count)), "", 10_000, ALERT_COUNT / PARTS),
        Figure("storm_findings_kept", told, "", 0, ALERT_COUNT),
    ]


def _estate(chance: Random) -> tuple[list[tuple[EntityKey, EntityKey, str]], dict[EntityKey, int]]:
    """Calls of three parts; each service calls one or two of those before it, number 0 is what everyone needs."""
    calls, depths = [], dict[EntityKey, int]()
    for part in range(PARTS):
        services = [EntityKey("service", f"{'abc'[part]}-{number}") for number in range(SERVICES)]
        depths[services[0]] = 0
        for number, service in enumerate(services[1:], 1):
            needed = {services[chance.randrange(max(0, number - 12), number)] for _ in range(2)}
            depths[service] = 1 + min(depths[each] for each in needed)
            calls += [(service, each, CALLS) for each in needed]
    return calls, depths


def _bodies(depths: dict[EntityKey, int], began_ms: int, chance: Random) -> Iterator[bytes]:
    """Alerts as they are sent: the deeper the cause lies below a service, the later it complains, again and again."""
    services = sorted(depths)
    alerts = []
    for _ in range(ALERT_COUNT):
        service = services[chance.randrange(len(services))]
        first_s = 8 * depths[service] + chance.randrange(30)
        begun_s = first_s + 60 * chance.randrange(max(1, (STORM_S - first_s) // 60))  # it comes back every minute
        name, pod = f"Rule{chance.randrange(RULES)}", f"{service.name}-{chance.randrange(PODS)}"
        alerts.append((begun_s, service.name, name, pod))
    alerts.sort()
    for start in range(0, ALERT_COUNT, BODY_ALERTS):
        yield _body(alerts[start : start + BODY_ALERTS], began_ms)


def _body(alerts: Sequence[tuple[int, str, str, str]], began_ms: int) -> bytes:
    return msgspec.json.encode(
        {
            "version": "4",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": name, "service": service, "pod": pod, "severity": "warning"},
                    "annotations": {"summary": f"{name} of {service}"},
                    "startsAt": _rfc(began_ms + begun_s * 1000),
                    "fingerprint": f"{name} {pod}",
                }
                for begun_s, service, name, pod in alerts
            ],
        }
    )


def _rfc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


async def _clicks(kernel: Kernel) -> list[Figure]:
    """What a page of cases, of findings and one case cost beside the storm's alerts."""
    records, took_ms = kernel.records, []
    for _ in range(ASKED_ROUNDS):
        begun = perf_counter()
        page = await questions.list_cases(records, TENANT, {"live": True}, text="", order="opened", cursor="", limit=50)
        took_ms.append(1000 * (perf_counter() - begun))
        case = page.items[0].id
        for ask in (
            questions.list_findings(records, TENANT, {}, since_ms=0, cursor="", limit=50),
            questions.list_findings(records, TENANT, {"case": case}, since_ms=0, cursor="", limit=50),
            questions.whole_case(records, TENANT, case),
        ):
            begun = perf_counter()
            await ask
            took_ms.append(1000 * (perf_counter() - begun))
    return [Figure("storm_click_p95", round(p95(took_ms), 1), "ms", 100, 50)]


def p95(values: Sequence[float]) -> float:
    """What 95 % of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]
