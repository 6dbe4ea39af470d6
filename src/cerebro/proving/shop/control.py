"""What is said at the shop's control door, and where the door is."""

import os
from pathlib import Path

import msgspec

FILE = "door.json"
LEASE_S, LEASE_S_MAX = 900.0, 3600.0


class Sign(msgspec.Struct, frozen=True):
    """Where the door is and who may come in; kept in a file that only its owner can read."""

    port: int
    token: str
    pid: int
    started_s: float


class Wanted(msgspec.Struct, frozen=True):
    """How the shop is wanted.

    Args:
        rate: Arrivals of users a second, the mean of the day.
        day_s: Seconds that a day of the load's curve takes.
        export_url: Cerebro's address; empty to send nothing.
    """

    rate: float = 50.0
    day_s: float = 86_400.0
    export_url: str = ""
    export_key: str = ""
    export_s: float = 5.0
    trace_share: float = 0.1


class Ask(msgspec.Struct, frozen=True):
    """A fault that is wanted; without a target, one is drawn from the seed."""

    kind: str
    seed: int
    target: str = ""
    lease_s: float = LEASE_S


class Begun(msgspec.Struct, frozen=True):
    """A fault that was injected."""

    id: str
    kind: str
    target: str
    start_ms: int
    end_ms: int
    seed: int
    parameters: dict[str, str]


class Doing(msgspec.Struct, frozen=True):
    """An operation that is wanted. The same `key` again does nothing and answers as before."""

    name: str
    target: str
    parameters: dict[str, str] = {}
    key: str = ""


class Executor(msgspec.Struct, frozen=True):
    """Whom Cerebro may ask to operate the shop: written into its data directory while the shop is up.

    Args:
        url: Of the control door: `GET /operations`, `/state?target=…`, `/done?key=…`, `POST /dry-run`, `/operate`.
        key: Bearer token for these and nothing else: it does not open what breaks, or shows what is broken.
        targets: Entities that it answers for.
    """

    name: str
    kind: str
    url: str
    key: str
    pid: int
    started_s: float
    targets: list[str]


class Problem(msgspec.Struct, frozen=True):
    """Why something was not done."""

    code: str
    detail: str
    mend: str


class Row(msgspec.Struct, frozen=True):
    """One process of the shop and what it costs; CPU seconds since its start, memory as its own share."""

    name: str
    state: str
    pid: int
    version: str
    cpu_s: float
    memory_bytes: int


class Standing(msgspec.Struct, frozen=True):
    """How the shop is."""

    rows: list[Row]
    running: list[Begun]
    sends_to: str


def write_private(file: Path, body: bytes) -> None:
    """Whole or not at all, for the owner's eyes."""
    draft = file.with_suffix(".draft")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(body)
    draft.replace(file)
