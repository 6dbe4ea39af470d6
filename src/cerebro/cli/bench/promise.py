"""The promise, measured: false findings on quiet spans against the budget that was set.

Each tenant's series are sent through the whole agent, as in life, once for each budget *k*. A finding of a series at a
moment when that series is quiet is false. What the budget allows is *k* a week for the time watched, times
the share of the watched series that are quiet at each hour. The ratio of both should be near 1: above it the promise is
broken, far below it power is left unused. Intervals are 95 %, bootstrapped over the days of the tenants; exact Poisson
intervals where they are wider.

The folder with the sets is named by the environment variable `CEREBRO_DATASETS`; without it, only drift is measured.
`python -m cerebro.cli.bench.promise [--part NAME] [--sets a,b] [--json FILE]`.

Source of the exact interval: F. Garwood, Fiducial Limits for the Poisson Distribution, Biometrika 28 (1936), 437-442.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.observe import Rules, learn_names, new_watch, observe
from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.promise_drift import tenants as drifting
from cerebro.cli.bench.promise_sets import SET_NAMES, Tenant, parts_of, tenants_of
from cerebro.cli.out import say
from cerebro.kernel.settings import datasets_dir
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import SampleBatch, no_series

BUDGETS = (1.0, 5.0, 20.0)
WARMUP_COUNT = 36
HOUR_MS, DAY_MS, WEEK_MS = 3_600_000, 86_400_000, 7 * 86_400_000
BATCH_MS = 1_800_000
DRAWS = 2000
RATIO_FLOOR, RATIO_GOAL = 2.0, 1.2


@dataclass(frozen=True, slots=True)
class Count:
    """What one tenant told under one budget, by day since its start.

    Args:
        tenant: Which.
        kind: Its set.
        per_week: The budget.
        found: False findings of each day, int64, (day,).
        allowed: What the budget allowed on each day, float64, (day,).
        kinds: False findings by kind.
        true_count: Findings that were not on quiet spans.
        sample_count: Samples watched.
        seconds: Taken.
    """

    tenant: str
    kind: str
    per_week: float
    found: NDArray[np.int64]
    allowed: NDArray[np.float64]
    kinds: dict[str, int]
    true_count: int
    sample_count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """False findings over what was allowed."""

    name: str
    per_week: float
    found: int
    allowed: float
    ratio: float
    low: float
    high: float
    others: int
    seconds: float
    kinds: dict[str, int]


def run(part: str = "", sets: Sequence[str] = (*SET_NAMES, "drift")) -> list[Figure]:
    """The ratio of all sets together for each budget, and of the simulated drift."""
    figures = []
    for ratio in measure(part, sets):
        if ratio.name in ("all sets", "all drift"):
            named = f"promise_{ratio.name.split()[1]}_k{ratio.per_week:.0f}"
            figures.append(Figure(named, round(ratio.ratio, 3), "of budget", RATIO_FLOOR, RATIO_GOAL))
    return figures


def measure(part: str = "", sets: Sequence[str] = (*SET_NAMES, "drift")) -> list[Ratio]:
    """One ratio for each set, each sort of drift and all of both, under each budget."""
    counts = [count(tenant, k) for tenant in _tenants(part, sets) for k in BUDGETS]
    groups: dict[tuple[str, float], list[Count]] = {}
    for each in counts:
        whole = "all drift" if each.kind == "drift" else "all sets"
        named = f"drift: {each.tenant}" if each.kind == "drift" else each.kind
        for name in (named, whole):
            groups.setdefault((name, each.per_week), []).append(each)
    return [ratio_of(name, k, members) for (name, k), members in sorted(groups.items())]


def _tenants(part: str, sets: Sequence[str]) -> Iterator[Tenant]:
    root = datasets_dir()
    for kind in sets:
        if kind == "drift":
            yield from drifting()
        elif root is not None:
            yield from tenants_of(root / "aiops", kind, parts_of(root / "aiops", kind, part))


def count(tenant: Tenant, per_week: float) -> Count:
    """Send the tenant's series through the agent and count."""
    begun = perf_counter()
    start_ms = min(int(stream.at_ms[0]) for stream in tenant.streams) // DAY_MS * DAY_MS
    allowed = allowance(tenant, start_ms, per_week)
    found, kinds, others = np.zeros(len(allowed), np.int64), dict[str, int](), 0
    by_signal = {(stream.name.entity_name, stream.name.metric): stream for stream in tenant.streams}
    by_entity = {stream.name.entity_name: stream for stream in tenant.streams}
    for finding in _findings(tenant, per_week):
        if finding.cleared:
            continue
        stream = by_signal.get((finding.entity.name, finding.signal)) or by_entity.get(finding.entity.name)
        if stream is None:
            stream = tenant.streams[0]
        at = min(int(np.searchsorted(stream.at_ms, finding.seen_ms)), len(stream.at_ms) - 1)
        if not stream.quiet[at]:
            others += 1
            continue
        found[(finding.seen_ms - start_ms) // DAY_MS] += 1
        kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
    sample_count = sum(len(stream.at_ms) for stream in tenant.streams)
    seconds = perf_counter() - begun
    return Count(tenant.name, tenant.kind, per_week, found, allowed, kinds, others, sample_count, seconds)


def allowance(tenant: Tenant, start_ms: int, per_week: float) -> NDArray[np.float64]:
    """False findings the budget allows on the quiet spans of each day, float64, (day,)."""
    end_ms = max(int(stream.at_ms[-1]) for stream in tenant.streams)
    hours = (end_ms - start_ms) // DAY_MS * 24 + 24
    alive, quiet = np.zeros(hours), np.zeros(hours)
    for stream in tenant.streams:
        hour = (stream.at_ms - start_ms) // HOUR_MS
        shown = np.bincount(hour, minlength=hours)
        alive += shown > 0
        quiet += np.bincount(hour, stream.quiet, hours) / np.maximum(shown, 1)
    share = quiet / np.maximum(alive, 1.0)
    return np.asarray(per_week * HOUR_MS / WEEK_MS * share.reshape(-1, 24).sum(axis=1))


def _findings(tenant: Tenant, per_week: float) -> Iterator[Finding]:
    rules = Rules(per_week, WARMUP_COUNT, len(tenant.streams), together=True)
    watch = new_watch(TenantId(tenant.name), rules)
    learn_names(watch, [stream.name for stream in tenant.streams], rules)
    number = np.repeat(
        np.array([stream.name.hi for stream in tenant.streams], np.uint64), [len(s.at_ms) for s in tenant.streams]
    )
    at_ms = np.concatenate([stream.at_ms for stream in tenant.streams])
    value = np.concatenate([stream.value for stream in tenant.streams])
    order = np.argsort(at_ms, kind="stable")
    number, at_ms, value = number[order], at_ms[order], value[order]
    edges = np.flatnonzero(np.diff(at_ms // BATCH_MS)) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(at_ms)], strict=True):
        part = slice(first, last)
        batch = SampleBatch(number[part], number[part], at_ms[part], value[part], no_series())
        yield from observe(watch, batch, rules, int(at_ms[last - 1]))


def ratio_of(name: str, per_week: float, counts: Iterable[Count]) -> Ratio:
    """The ratio with its interval, from all days of all tenants given."""
    counts = list(counts)
    found = np.concatenate([each.found for each in counts])
    allowed = np.concatenate([each.allowed for each in counts])
    watched = (allowed > 0) | (found > 0)
    found, allowed = found[watched], allowed[watched]
    total, budget = int(found.sum()), float(allowed.sum())
    kinds: dict[str, int] = {}
    for each in counts:
        for kind, more in each.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + more
    low, high = _interval(found, allowed) if budget else (0.0, 0.0)
    others, seconds = sum(each.true_count for each in counts), sum(each.seconds for each in counts)
    return Ratio(name, per_week, total, budget, total / budget if budget else 0.0, low, high, others, seconds, kinds)


def _interval(found: NDArray[np.int64], allowed: NDArray[np.float64]) -> tuple[float, float]:
    chance = np.random.default_rng(1)
    drawn = chance.integers(0, len(found), (DRAWS, len(found)))
    ratios = found[drawn].sum(axis=1) / np.maximum(allowed[drawn].sum(axis=1), 1e-9)
    low, high = (float(bound) for bound in np.quantile(ratios, (0.025, 0.975)))
    exact_low, exact_high = poisson_interval(int(found.sum()))
    budget = float(allowed.sum())
    return min(low, exact_low / budget), max(high, exact_high / budget)


def poisson_interval(seen: int, doubt: float = 0.05) -> tuple[float, float]:
    """Garwood's exact interval of a Poisson mean.

    >>> [round(bound, 2) for bound in poisson_interval(0)], [round(bound, 2) for bound in poisson_interval(10)]
    ([0.0, 3.69], [4.8, 18.39])
    """
    low = _solve(lambda mean: 1.0 - _at_most(seen - 1, mean), doubt / 2) if seen else 0.0
    return low, _solve(lambda mean: -_at_most(seen, mean), -doubt / 2)


def _solve(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    while rising(high) < target:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return high


def _at_most(seen: int, mean: float) -> float:
    if mean <= 0.0:
        return 1.0
    logs = np.arange(seen + 1) * math.log(mean) - mean - np.array([math.lgamma(n + 1) for n in range(seen + 1)])
    return float(np.exp(logs).sum())


def main() -> None:
    """Measure and print; the command line of this module."""
    parser = argparse.ArgumentParser(description="False findings on quiet spans against the budget.")
    parser.add_argument("--part", default="")
    parser.add_argument("--sets", default=",".join((*SET_NAMES, "drift")))
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    ratios = measure(asked.part, asked.sets.split(","))
    say(f"{'set':28} {'k':>3} {'false':>6} {'allowed':>8} {'ratio':>6}  {'95 %':13} {'others':>6} {'s':>4}  kinds")
    for r in ratios:
        kinds = " ".join(f"{kind} {n}" for kind, n in sorted(r.kinds.items()))
        interval = f"{r.low:.2f} … {r.high:.2f}"
        say(
            f"{r.name:28} {r.per_week:3.0f} {r.found:6} {r.allowed:8.1f} {r.ratio:6.2f}  {interval:13} {r.others:6}"
            f" {r.seconds:4.0f}  {kinds}"
        )
    if asked.json:
        asked.json.write_text(json.dumps([asdict(ratio) for ratio in ratios]))
        say(f"written to {asked.json}")


if __name__ == "__main__":
    main()
