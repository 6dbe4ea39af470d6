"""A reading: one number the machine gave, under its OpenTelemetry name.

Names, attributes and UCUM units follow the OpenTelemetry semantic conventions for systems and
processes where these have the thing. What they lack is ours and marked so: `system.cpu.busy`,
`system.disk.utilization`, `system.filesystem.inode.utilization`, `system.linux.psi.*`,
`system.linux.context_switches`, `system.linux.interrupts`, `system.linux.file_handle.*`,
`system.linux.oom_kills` and `process.count`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cerebro.spine.telemetry import SeriesType

GAUGE, COUNTER = SeriesType.GAUGE, SeriesType.COUNTER

# Metric -> how its values are read, and its UCUM unit.
CATALOGUE: Mapping[str, tuple[SeriesType, str]] = {
    "system.cpu.busy": (GAUGE, "1"),  # ours: the share of all cores that is neither idle nor waiting for a disk
    "system.cpu.utilization": (GAUGE, "1"),
    "system.cpu.logical.count": (GAUGE, "{cpu}"),
    "system.cpu.load_average.1m": (GAUGE, "{thread}"),
    "system.cpu.load_average.5m": (GAUGE, "{thread}"),
    "system.cpu.load_average.15m": (GAUGE, "{thread}"),
    "system.memory.usage": (GAUGE, "By"),
    "system.memory.limit": (GAUGE, "By"),
    "system.memory.utilization": (GAUGE, "1"),
    "system.linux.memory.available": (GAUGE, "By"),
    "system.linux.memory.slab.usage": (GAUGE, "By"),
    "system.paging.usage": (GAUGE, "By"),
    "system.paging.utilization": (GAUGE, "1"),
    "system.paging.faults": (COUNTER, "{fault}"),
    "system.paging.operations": (COUNTER, "{operation}"),
    "system.disk.io": (COUNTER, "By"),
    "system.disk.operations": (COUNTER, "{operation}"),
    "system.disk.operation_time": (COUNTER, "s"),
    "system.disk.io_time": (COUNTER, "s"),
    "system.disk.utilization": (GAUGE, "1"),
    "system.filesystem.usage": (GAUGE, "By"),
    "system.filesystem.limit": (GAUGE, "By"),
    "system.filesystem.utilization": (GAUGE, "1"),
    "system.filesystem.inode.utilization": (GAUGE, "1"),
    "system.network.io": (COUNTER, "By"),
    "system.network.packet.count": (COUNTER, "{packet}"),
    "system.network.packet.dropped": (COUNTER, "{packet}"),
    "system.network.errors": (COUNTER, "{error}"),
    "system.network.connection.count": (GAUGE, "{connection}"),
    "system.process.count": (GAUGE, "{process}"),
    "system.process.created": (COUNTER, "{process}"),
    "system.uptime": (COUNTER, "s"),  # a counter to its readers: it climbs evenly and falls only at a boot
    "system.linux.psi.utilization": (GAUGE, "1"),
    "system.linux.psi.time": (COUNTER, "s"),
    "system.linux.context_switches": (COUNTER, "{context_switch}"),
    "system.linux.interrupts": (COUNTER, "{interrupt}"),
    "system.linux.file_handle.count": (GAUGE, "{file_handle}"),
    "system.linux.file_handle.limit": (GAUGE, "{file_handle}"),
    "system.linux.oom_kills": (COUNTER, "{process}"),
    "process.count": (GAUGE, "{process}"),
    "process.cpu.utilization": (GAUGE, "1"),  # 1 is every core of the machine, as the conventions have it
    "process.memory.usage": (GAUGE, "By"),  # resident; pages shared by processes of one name count for each
    "process.thread.count": (GAUGE, "{thread}"),
    "process.disk.io": (COUNTER, "By"),
}

Labels = tuple[tuple[str, str], ...]


class Reading(NamedTuple):
    """One number: the metric, what tells it apart from its siblings, the value."""

    metric: str
    value: float
    labels: Labels = ()


Readings = Iterable[Reading]


def share(part: float, whole: float) -> float:
    """`part / whole` within 0 … 1; 0 when there is no whole.

    >>> share(1, 4), share(5, 4), share(-1, 4), share(1, 0)
    (0.25, 1.0, 0.0, 0.0)
    """
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0
