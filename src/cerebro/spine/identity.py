"""Who is who: ids that sort by time, and names for the things Cerebro watches."""

from random import Random
from typing import NewType

TenantId = NewType("TenantId", str)
FindingId = NewType("FindingId", str)
CaseId = NewType("CaseId", str)
ActionId = NewType("ActionId", str)
UserId = NewType("UserId", str)

DEFAULT_TENANT = TenantId("default")
SELF_TENANT = TenantId("_cerebro")  # Cerebro's own telemetry


def new_id(at_ms: int, chance: Random) -> str:
    """A UUIDv7: sorts by the time it was made, and is unique without asking anyone.

    Args:
        at_ms: Unix time, milliseconds, at most 48 bits.
        chance: Where the 74 random bits come from; a seeded one makes ids repeatable.

    Source: RFC 9562, section 5.7.

    >>> new_id(0x017F22E279B0, Random(1))[:18]
    '017f22e2-79b0-7226'
    """
    rand_a, rand_b = chance.getrandbits(12), chance.getrandbits(62)
    number = (at_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
