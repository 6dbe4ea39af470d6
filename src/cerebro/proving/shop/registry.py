"""The registry: one small file that the keeper writes and every service reads, a few times a second.

It is the shop's service discovery, configuration and flags at once, and where a fault inside a
service is switched on. A trouble carries its own end, so that it passes when nobody ends it.
"""

import os
from pathlib import Path

import msgspec

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.plan import BUILDS, Build

EVERY_REPLICA = -1


class Place(msgspec.Struct, frozen=True):
    """Where one replica listens, and its share of the work; weight 0 is drained."""

    number: int
    port: int
    weight: float = 1.0


class Trouble(msgspec.Struct, frozen=True):
    """A fault inside a service's processes.

    Args:
        incarnation: The process start that it befalls; a restarted process is free of it. 0 befalls any.
        amount: How bad, in the kind's own unit.
    """

    id: str
    kind: str
    replica: int
    incarnation: int
    until_ms: int
    amount: float = 0.0


class Entry(msgspec.Struct):
    """One service as it is to run now."""

    places: list[Place] = []
    config: dict[str, float] = {}
    flags: dict[str, bool] = {}
    troubles: list[Trouble] = []


class Registry(msgspec.Struct):
    """The whole shop as it is to run now.

    Args:
        routes: `caller>called` to the port of a proxy in between.
        unresolved: Names that do not resolve at present.
        export_url: Where telemetry goes; empty for nowhere.
        supplier: Which of the outside suppliers is used: `main` or `standby`.
    """

    services: dict[str, Entry] = {}
    routes: dict[str, int] = {}
    unresolved: list[str] = []
    database_url: str = ""
    bus_url: str = ""
    disk: str = ""
    session_key: str = ""
    supplier: str = "main"
    circuit_open: bool = False
    export_url: str = ""
    export_key: str = ""
    export_s: float = 5.0
    trace_share: float = 0.1


def save(registry: Registry, file: Path) -> None:
    """Write it whole; readers see the old one or the new one. It holds passwords: only its owner may read."""
    draft = file.with_suffix(".draft")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(registry))
    draft.replace(file)


def load(file: Path) -> Registry:
    """Read it."""
    return msgspec.json.decode(file.read_bytes(), type=Registry)


class Board:
    """One service's view of the registry.

    Args:
        incarnation: Of this process; see `Trouble`.
        version: That this process was started as.
    """

    def __init__(self, file: Path, name: str, number: int, *, incarnation: int, version: str, clock: Clock) -> None:
        self.name, self.number, self.version = name, number, version
        self.clock = clock
        self._file, self._incarnation = file, incarnation
        self._seen_ns = 0
        self.registry = Registry()
        self.look()

    def look(self) -> None:
        """Read the registry when it has changed."""
        changed_ns = self._file.stat().st_mtime_ns
        if changed_ns == self._seen_ns:
            return
        try:
            self.registry = load(self._file)
        except OSError:  # out of file descriptors, which may be the fault of the day; look again
            return
        self._seen_ns = changed_ns

    @property
    def entry(self) -> Entry:
        """What concerns this service."""
        return self.registry.services[self.name]

    @property
    def build(self) -> Build:
        """How this version behaves."""
        return BUILDS[self.version]

    def value(self, name: str) -> float:
        """A setting."""
        return self.entry.config[name]

    def seconds(self, name: str) -> float:
        """A setting in milliseconds, as seconds."""
        return self.entry.config[name] / 1000

    def trouble(self, kind: str) -> Trouble | None:
        """The trouble of this kind that this process is in now."""
        for each in self.entry.troubles:
            mine = each.replica in (EVERY_REPLICA, self.number) and each.incarnation in (0, self._incarnation)
            if mine and each.kind == kind and each.until_ms > self.clock.now_ms():
                return each
        return None
