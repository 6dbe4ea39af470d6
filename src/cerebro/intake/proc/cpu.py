"""Processors: what the cores did between two looks, and how much was waiting to run."""

from collections.abc import Iterator
from dataclasses import dataclass

from cerebro.intake.proc.reading import Reading, share

# Columns of the `cpu` line. `guest` and `guest_nice` are left out: `user` and `nice` hold them already.
_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "steal")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Ticks spent in each of `MODES` since boot, summed over all cores, and counters beside them."""

    ticks: tuple[int, ...]
    core_count: int
    context_switches: int
    interrupts: int
    boot_s: int  # Unix time of the boot
    forks: int
    running: int
    blocked: int


def parse_stat(text: str) -> CpuTimes:
    """Read /proc/stat."""
    rows = {line.split(None, 1)[0]: line for line in text.splitlines() if line}
    by_column = dict(zip(_COLUMNS, map(int, rows["cpu"].split()[1:9]), strict=False))
    by_column["interrupt"] = by_column.get("irq", 0) + by_column.get("softirq", 0)

    def first(name: str) -> int:
        return int(rows[name].split(None, 2)[1]) if name in rows else 0

    return CpuTimes(
        ticks=tuple(by_column.get(mode, 0) for mode in MODES),
        core_count=sum(name.startswith("cpu") for name in rows) - 1,
        context_switches=first("ctxt"),
        interrupts=first("intr"),
        boot_s=first("btime"),
        forks=first("processes"),
        running=first("procs_running"),
        blocked=first("procs_blocked"),
    )


def cpu_readings(before: CpuTimes | None, now: CpuTimes) -> Iterator[Reading]:
    """Shares of all cores since the look before, none at the first look; then the counters."""
    yield Reading("system.cpu.logical.count", now.core_count)
    yield Reading("system.linux.context_switches", now.context_switches)
    yield Reading("system.linux.interrupts", now.interrupts)
    yield Reading("system.process.created", now.forks)
    yield Reading("system.process.count", now.running, (("process.state", "running"),))
    yield Reading("system.process.count", now.blocked, (("process.state", "blocked"),))
    if before is None or before.boot_s > now.boot_s + 60:
        return
    # `iowait` may go backwards (Documentation/filesystems/proc.rst), so every mode is held at 0 or more.
    spent = {mode: max(0, b - a) for mode, a, b in zip(MODES, before.ticks, now.ticks, strict=True)}
    total = sum(spent.values())
    for mode, ticks in spent.items():
        yield Reading("system.cpu.utilization", share(ticks, total), (("cpu.mode", mode),))
    yield Reading("system.cpu.busy", share(total - spent["idle"] - spent["iowait"], total))


def load_readings(text: str) -> Iterator[Reading]:
    """The load averages of /proc/loadavg."""
    for minutes, value in zip(("1m", "5m", "15m"), text.split()[:3], strict=False):
        yield Reading(f"system.cpu.load_average.{minutes}", float(value))
