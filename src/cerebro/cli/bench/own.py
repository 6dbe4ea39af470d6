"""The promise in life: this machine watched as Cerebro watches it, for as long as asked, and what was told.

Looks of the host observer every five seconds go through the whole agent, ratios and means of its counters included,
with the parts of the budget that metrics have in life. Nothing says what was a fault: every finding counts, and is
printed, so that who ran something may say so. On a quiet machine there should be none: an hour bears 0.02 findings at 5
a week.

`python -m cerebro.cli.bench.own [--minutes N] [--json FILE]`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cerebro.agents.support.observe import Rules, new_watch, observe
from cerebro.agents.support.ratios import derived
from cerebro.agents.support.shares import METRICS
from cerebro.agents.support.standing import standing_of
from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.promise import RATIO_FLOOR, WEEK_MS, poisson_interval
from cerebro.cli.out import say
from cerebro.intake.naming import Naming
from cerebro.intake.proc.machine import MachineObserver
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.settings import Settings
from cerebro.spine.findings import Finding
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import SampleBatch

HOST = "this-machine"


@dataclass(frozen=True, slots=True)
class Watched:
    """What a stretch of watching came to."""

    minutes: float
    series: int
    samples: int
    told: int
    allowed: float
    spent: float
    findings: tuple[str, ...]


def run(minutes: float = 60.0) -> list[Figure]:
    """Findings told; the floor is the most that a budget kept within twice gives in 39 of 40 such stretches."""
    seen = watch_machine(minutes)
    most = poisson_quantile(RATIO_FLOOR * seen.allowed)
    return [Figure(f"findings in {seen.minutes:.0f} min of this machine", float(seen.told), "", float(most), 0.0)]


def watch_machine(minutes: float, settings: Settings | None = None) -> Watched:
    """Watch for so long and say each finding as it comes."""
    settings, clock = settings or Settings(), SystemClock()
    support = settings.support
    rules = Rules(support.noise_budget, support.warmup_samples, support.series_max, together=True, parts=METRICS)
    watch, told, start_ms = new_watch(DEFAULT_TENANT, rules), [], clock.now_ms()
    for batch in _looks(settings, clock, minutes):
        found = observe(watch, batch, rules, clock.now_ms())
        if (more := derived(watch.ratios, watch.series, batch)) is not None:
            found += observe(watch, more, rules, clock.now_ms())
        for finding in found:
            said = _said(finding, start_ms)
            told += [] if finding.cleared else [said]
            say(said)
    minutes = (clock.now_ms() - start_ms) / 60_000
    allowed = watch.budget.spending.per_week * minutes * 60_000 / WEEK_MS
    spent = standing_of(watch.budget).spent_total
    return Watched(minutes, watch.series.count, watch.tally.judged, len(told), allowed, spent, tuple(told))


def poisson_quantile(mean: float) -> int:
    """The least number whose exact interval does not lie wholly above the mean.

    >>> poisson_quantile(0.04), poisson_quantile(10.0)
    (1, 17)
    """
    count = 0
    while poisson_interval(count + 1)[0] <= mean:
        count += 1
    return count


def _looks(settings: Settings, clock: SystemClock, minutes: float) -> Iterator[SampleBatch]:
    """One look at this machine every interval, on its full multiples."""
    machine = MachineObserver(settings.host.processes_max, Path("/proc"))
    naming, interval_ms = Naming((("host.name", HOST),)), round(settings.host.interval_s * 1000)
    until_s = clock.monotonic_s() + minutes * 60.0
    while clock.monotonic_s() < until_s:
        batch, keys = naming.batch(machine.look(clock.monotonic_s()).readings, clock.now_ms())
        naming.named(keys)
        yield batch
        time.sleep((interval_ms - clock.now_ms() % interval_ms) / 1000.0)


def _said(finding: Finding, start_ms: int) -> str:
    after = (finding.seen_ms - start_ms) / 60_000
    what = "over" if finding.cleared else f"{finding.severity.name.lower()} {finding.kind}"
    return f"{after:6.1f} min  {what:20} {finding.entity.text}  {finding.title}"


def main() -> None:
    """Watch and print; the command line of this module."""
    parser = argparse.ArgumentParser(description="Watch this machine and count what is told.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    seen = watch_machine(asked.minutes)
    low, high = poisson_interval(seen.told)
    say(
        f"{seen.minutes:.0f} min, {seen.series} series, {seen.samples} samples judged: {seen.told} told"
        f" ({low:.2f} … {high:.2f}), {seen.allowed:.3f} allowed, {seen.spent:.3f} spent"
    )
    if asked.json:
        asked.json.write_text(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
