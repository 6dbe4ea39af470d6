"""One line of the machine's logs, and many of them as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from cerebro.intake.entity import clean, entity_of
from cerebro.spine.errors import CerebroError
from cerebro.spine.telemetry import LOG_SCHEMA

BODY_CHARS_MAX = 32_768
ATTRIBUTE_CHARS_MAX = 1024
CUT = " … (cut)"

# Syslog's severity -> OpenTelemetry's severity number. Source: OpenTelemetry log data model, appendix B.
SEVERITIES: Sequence[tuple[int, str]] = (
    (21, "emerg"), (19, "alert"), (18, "crit"), (17, "err"), (13, "warning"), (10, "notice"), (9, "info"), (5, "debug"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Its text comes from any program on the machine and is hostile."""

    at_ns: int
    observed_ns: int
    body: str
    cursor: str  # names the place just after this line
    severity: int = 0
    severity_text: str = ""
    program: str = ""  # what the program calls itself
    executable: str = ""  # base name; empty when not known, as for the kernel
    attributes: Mapping[str, str] = field(default_factory=dict)


class CursorLost(CerebroError):
    """The source no longer knows a place: what stood there was rotated away, or is another machine's."""

    code = "cursor_lost"


class Source(Protocol):
    """Where lines come from. One task reads it."""

    name: str

    async def lines(self, after: str, count_max: int, wait_s: float) -> Sequence[Line]:
        """The next lines after a cursor, at most so many; none when none came within `wait_s`.

        An empty cursor means: a little of what is there, so that there is something to see, then what comes.
        The same cursor and count give the same lines, as long as they are kept.
        """
        ...

    async def close(self) -> None:
        """Let go of the source."""
        ...


def table_of(lines: Sequence[Line], host: str) -> pa.Table:
    """The lines as a table of LOG_SCHEMA."""
    rows = [_row(line, host) for line in lines]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), LOG_SCHEMA, strict=True)]
    return pa.Table.from_arrays(columns, schema=LOG_SCHEMA)


def _row(line: Line, host: str) -> tuple[object, ...]:
    program = clean(line.program)
    entity_kind, entity_name = entity_of({"host.name": host, "process.executable.name": line.executable})
    attributes = {name: bounded(value, ATTRIBUTE_CHARS_MAX) for name, value in line.attributes.items() if value}
    body = bounded(line.body, BODY_CHARS_MAX)
    return (
        line.at_ns, line.observed_ns, line.severity, line.severity_text, body, program, entity_kind, entity_name,
        "", "", "", list(attributes.items()), [("host.name", host)],
    )  # fmt: skip


def bounded(text: str, chars_max: int) -> str:
    """The text, cut where it is too long; nothing in it that UTF-8 cannot write.

    >>> bounded("abcdefghijkl", 10)
    'ab … (cut)'
    """
    if len(text) > chars_max:
        text = text[: chars_max - len(CUT)] + CUT
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
