"""Change events of the machine itself: it booted, a program was replaced, the kernel killed for memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import xxhash

from cerebro.intake.proc.machine import Look
from cerebro.spine.telemetry import EVENT_SCHEMA
from cerebro.spine.wire import Kind, encode_table

SOURCE = "host observer"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened. Its id comes from its content, so that telling it twice is telling it once."""

    at_ms: int
    kind: str  # boot | restart | oom_kill
    entity: tuple[str, str]
    title: str
    body: dict[str, object]

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        content = msgspec.json.encode((self.at_ms, self.kind, self.entity, self.body), order="deterministic")
        return xxhash.xxh3_128_hexdigest(content)

    def encode(self) -> bytes:
        """The event as a message on the bus: a table of one row."""
        body = msgspec.json.encode(self.body).decode()
        row = (self.at_ms * 1_000_000, self.id, self.kind, SOURCE, *self.entity, self.title, body)
        columns = [pa.array([value], field.type) for value, field in zip(row, EVENT_SCHEMA, strict=True)]
        return encode_table(Kind.EVENTS, pa.Table.from_arrays(columns, schema=EVENT_SCHEMA))


def boot_of(look: Look, host: str) -> Change:
    """The boot that this look's machine began with."""
    return Change(look.boot_s * 1000, "boot", ("host", host), f"{host} booted", {"boot_id": look.boot_id})


def changes_of(look: Look, at_ms: int, host: str) -> Iterator[Change]:
    """What happened between the look before and this one, taken at `at_ms`."""
    for name in look.restarted:
        entity = ("process", f"{host}:{name}")
        yield Change(at_ms, "restart", entity, f"{name} was restarted on {host}", {"executable": name})
    if look.oom_kills:
        title = f"The kernel killed {look.oom_kills} process{'es' * (look.oom_kills > 1)} on {host} for want of memory"
        yield Change(at_ms, "oom_kill", ("host", host), title, {"kills": look.oom_kills})
