"""Network interfaces and TCP."""

import re
from collections.abc import Iterator

from cerebro.intake.proc.reading import Reading

INTERFACES_MAX = 32

# The loopback, and one end of every container's cable: their names are random and would never end.
_INNER = re.compile(r"^(lo|veth.*|cali.*|tap.*|ifb\d+)$")


def network_readings(text: str) -> Iterator[Reading]:
    """Counters from /proc/net/dev of each interface that has carried anything; at most `INTERFACES_MAX`."""
    shown = 0
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        interface, words = name.strip(), rest.split()
        if not colon or len(words) < 16 or _INNER.match(interface):
            continue
        counts = [int(word) for word in words]
        if not any(counts) or shown == INTERFACES_MAX:
            continue
        shown += 1
        for direction, at in (("receive", 0), ("transmit", 8)):
            moved, packets, errors, dropped = counts[at : at + 4]
            labels = (("network.interface.name", interface), ("network.io.direction", direction))
            yield Reading("system.network.io", moved, labels)
            yield Reading("system.network.packet.count", packets, labels)
            yield Reading("system.network.packet.dropped", dropped, labels)
            yield Reading("system.network.errors", errors, labels)


def connection_readings(snmp: str) -> Iterator[Reading]:
    """Established TCP connections, from the two `Tcp:` lines of /proc/net/snmp."""
    rows = [line.split() for line in snmp.splitlines() if line.startswith("Tcp:")]
    if len(rows) == 2 and "CurrEstab" in rows[0]:
        count = int(rows[1][rows[0].index("CurrEstab")])
        labels = (("network.connection.state", "established"), ("network.transport", "tcp"))
        yield Reading("system.network.connection.count", count, labels)
