"""Pressure stalls: the share of time in which work waited for a resource, as the kernel counts it.

Source: Documentation/accounting/psi.rst of Linux.
"""

from collections.abc import Iterator, Mapping

from cerebro.intake.proc.reading import Reading, share

RESOURCES = ("cpu", "memory", "io")


def parse_pressure(text: str) -> Mapping[str, int]:
    """The `total` of each line, microseconds stalled since boot, by `some` and `full`.

    >>> parse_pressure("some avg10=0.09 avg60=0.60 avg300=0.38 total=11703368")
    {'some': 11703368}
    """
    totals = {}
    for line in text.splitlines():
        stall, _, rest = line.partition(" ")
        _, found, total = rest.partition("total=")
        if found and total.strip().isdigit():
            totals[stall] = int(total)
    return totals


def pressure_readings(
    before: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]], elapsed_s: float
) -> Iterator[Reading]:
    """Stalled time of each resource since boot, and its share of `elapsed_s` when there was a look before.

    `full` of the cpu is left out: for a whole machine it is always zero.
    """
    for resource, stalls in now.items():
        for stall, total_us in stalls.items():
            if (resource, stall) == ("cpu", "full"):
                continue
            labels = (("system.psi.resource", resource), ("system.psi.stall", stall))
            yield Reading("system.linux.psi.time", total_us / 1e6, labels)
            earlier_us = before.get(resource, {}).get(stall)
            if earlier_us is not None and elapsed_s > 0:
                yield Reading("system.linux.psi.utilization", share((total_us - earlier_us) / 1e6, elapsed_s), labels)
