"""One look at the whole machine: what it reads now, and what happened to it since the last look."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cerebro.intake.proc.busiest import Busiest, Machine
from cerebro.intake.proc.cpu import CpuTimes, cpu_readings, load_readings, parse_stat
from cerebro.intake.proc.disk import DiskWork, disk_readings, filesystem_readings, parse_diskstats, parse_mounts
from cerebro.intake.proc.memory import memory_readings, paging_readings, parse_pairs
from cerebro.intake.proc.network import connection_readings, network_readings
from cerebro.intake.proc.pressure import RESOURCES, parse_pressure, pressure_readings
from cerebro.intake.proc.processes import Group, ProcessTable
from cerebro.intake.proc.reading import Reading
from cerebro.spine.errors import CerebroError

PROCESS_COST_MAX = 0.005  # of one core: with thousands of processes we look at them less often, never more costly
LATE_S = 1.0  # a look this much early is still on time
SETTLED_S = 60.0  # a program younger than this that comes and goes is at its work, not restarting


class NoProcfs(CerebroError):
    """This system has no /proc as Linux has it, so there is nothing to read."""

    code = "no_procfs"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look gave."""

    readings: tuple[Reading, ...]
    boot_id: str
    boot_s: int  # Unix time
    oom_kills: int  # since the last look
    restarted: tuple[str, ...]  # executables whose every process was replaced since the last look


@dataclass(slots=True)
class MachineObserver:
    """Reads /proc and remembers the last look, so that the next can tell rates. Not for two threads at once.

    Args:
        names_max: How many of the busiest executables are told apart.
        root: Where procfs is mounted.
        sys_block: Where the kernel lists whole block devices.
    """

    names_max: int
    root: Path = Path("/proc")
    sys_block: Path = Path("/sys/block")
    _at_s: float = 0.0
    _cpu: CpuTimes | None = None
    _disks: Mapping[str, DiskWork] = field(default_factory=dict)
    _stalls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _oom_kills: int = -1
    _groups: Mapping[str, Group] = field(default_factory=dict)
    _groups_at_s: float = 0.0
    _next_scan_s: float = 0.0
    _table: ProcessTable = field(init=False)
    _busiest: Busiest = field(init=False)
    _ticks_per_s: int = field(default_factory=lambda: os.sysconf("SC_CLK_TCK"))

    def __post_init__(self) -> None:
        self._table = ProcessTable(self.root)
        self._busiest = Busiest(self.names_max)

    def look(self, now_s: float) -> Look:
        """Read everything once.

        Args:
            now_s: Seconds of a clock that never goes back.

        Raises:
            NoProcfs: There is no /proc/stat here.
        """
        stat, meminfo, vmstat = self._text("stat"), self._text("meminfo"), self._text("vmstat")
        if not stat or not meminfo:
            raise NoProcfs(f"{self.root} is not Linux' procfs.", "Set host.enabled to false, or mount /proc.")
        cpu, memory, events = parse_stat(stat), parse_pairs(meminfo), parse_pairs(vmstat)
        elapsed_s = now_s - self._at_s if self._cpu else 0.0
        machine = Machine(max(1, cpu.core_count), memory.get("MemTotal", 0), self._ticks_per_s)
        processes, restarted = self._processes(machine, now_s)
        readings = (
            *self._whole(cpu, memory, events),
            *self._devices(elapsed_s),
            *processes,
        )
        kills = events.get("oom_kill", 0)
        fresh_kills = max(0, kills - self._oom_kills) if self._oom_kills >= 0 else 0
        self._cpu, self._at_s, self._oom_kills = cpu, now_s, kills
        return Look(readings, self._text("sys/kernel/random/boot_id").strip(), cpu.boot_s, fresh_kills, restarted)

    def _whole(self, cpu: CpuTimes, memory: Mapping[str, int], events: Mapping[str, int]) -> Iterator[Reading]:
        """What the machine has one of."""
        yield from cpu_readings(self._cpu, cpu)
        yield from load_readings(self._text("loadavg"))
        yield from memory_readings(memory)
        yield from paging_readings(events)
        if uptime := self._text("uptime").split():
            yield Reading("system.uptime", float(uptime[0]))
        if len(handles := self._text("sys/fs/file-nr").split()) == 3:
            yield Reading("system.linux.file_handle.count", float(handles[0]))
            yield Reading("system.linux.file_handle.limit", float(handles[2]))

    def _devices(self, elapsed_s: float) -> Iterator[Reading]:
        """Disks, file systems, network and the pressure on them."""
        disks = parse_diskstats(self._text("diskstats"), self._whole_devices())
        yield from disk_readings(self._disks, disks, elapsed_s)
        yield from filesystem_readings(parse_mounts(self._text("mounts")))
        yield from network_readings(self._text("net/dev"))
        yield from connection_readings(self._text("net/snmp"))
        stalls = {name: found for name in RESOURCES if (found := parse_pressure(self._text(f"pressure/{name}")))}
        yield from pressure_readings(self._stalls, stalls, elapsed_s)
        self._disks, self._stalls = disks, stalls

    def _processes(self, machine: Machine, now_s: float) -> tuple[Iterable[Reading], tuple[str, ...]]:
        """The busiest names, unless looking at them now would cost more than `PROCESS_COST_MAX`."""
        if now_s < self._next_scan_s:
            return (), ()
        began_s = time.thread_time()
        groups = self._table.look()
        elapsed_s = now_s - self._groups_at_s if self._groups else 0.0
        readings = tuple(self._busiest.readings(groups, machine, elapsed_s))
        restarted = tuple(self._restarted(groups))
        self._groups, self._groups_at_s = groups, now_s
        self._next_scan_s = now_s + (time.thread_time() - began_s) / PROCESS_COST_MAX - LATE_S
        return readings, restarted

    def _restarted(self, groups: Mapping[str, Group]) -> Iterator[str]:
        """Names told apart that had settled, and now run in processes that are all new."""
        uptime_s = float((self._text("uptime").split() or ["0"])[0])
        for name in self._busiest.chosen:
            before, now = self._groups.get(name), groups[name]
            if before is None or before.pids & now.pids:
                continue
            if uptime_s - before.oldest_start_ticks / self._ticks_per_s >= SETTLED_S:
                yield name

    def _whole_devices(self) -> frozenset[str]:
        try:
            return frozenset(device.name for device in self.sys_block.iterdir())
        except OSError:
            return frozenset()

    def _text(self, name: str) -> str:
        """A file of procfs; empty when this kernel does not have it."""
        try:
            return (self.root / name).read_text(errors="replace")
        except OSError:
            return ""
