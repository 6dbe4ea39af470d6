"""Memory, swap and paging."""

from collections.abc import Iterator, Mapping

from cerebro.intake.proc.reading import Reading, share


def parse_pairs(text: str) -> Mapping[str, int]:
    """Read `name: value kB` and `name value` lines, as in /proc/meminfo and /proc/vmstat; kB become bytes."""
    pairs: dict[str, int] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[1].isdigit():
            pairs[words[0].rstrip(":")] = int(words[1]) * (1024 if words[-1] == "kB" else 1)
    return pairs


def memory_readings(meminfo: Mapping[str, int]) -> Iterator[Reading]:
    """Where the memory is. The states add up to the limit; `utilization` is what is not available for new work."""
    total, free = meminfo["MemTotal"], meminfo.get("MemFree", 0)
    available = meminfo.get("MemAvailable", free)
    cached = meminfo.get("Cached", 0) + meminfo.get("SReclaimable", 0)
    buffers = meminfo.get("Buffers", 0)
    states = {"used": max(0, total - free - cached - buffers), "free": free, "cached": cached, "buffers": buffers}
    for state, amount in states.items():
        yield Reading("system.memory.usage", amount, (("system.memory.state", state),))
    yield Reading("system.memory.limit", total)
    yield Reading("system.memory.utilization", share(total - available, total))
    yield Reading("system.linux.memory.available", available)
    for state, name in (("reclaimable", "SReclaimable"), ("unreclaimable", "SUnreclaim")):
        if name in meminfo:
            yield Reading("system.linux.memory.slab.usage", meminfo[name], (("linux.memory.slab.state", state),))
    yield from _swap_readings(meminfo.get("SwapTotal", 0), meminfo.get("SwapFree", 0))


def _swap_readings(total: int, free: int) -> Iterator[Reading]:
    """Nothing on a machine without swap."""
    if not total:
        return
    yield Reading("system.paging.usage", total - free, (("system.paging.state", "used"),))
    yield Reading("system.paging.usage", free, (("system.paging.state", "free"),))
    yield Reading("system.paging.utilization", share(total - free, total))


def paging_readings(vmstat: Mapping[str, int]) -> Iterator[Reading]:
    """Faults, pages swapped, and processes the kernel killed for want of memory."""
    major, all_faults = vmstat.get("pgmajfault", 0), vmstat.get("pgfault", 0)
    yield Reading("system.paging.faults", major, (("system.paging.fault.type", "major"),))
    yield Reading("system.paging.faults", max(0, all_faults - major), (("system.paging.fault.type", "minor"),))
    for direction, name in (("in", "pswpin"), ("out", "pswpout")):
        if name in vmstat:
            yield Reading("system.paging.operations", vmstat[name], (("system.paging.direction", direction),))
    if "oom_kill" in vmstat:
        yield Reading("system.linux.oom_kills", vmstat["oom_kill"])
