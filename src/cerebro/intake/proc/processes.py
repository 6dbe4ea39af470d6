"""The processes of this machine, gathered by the name of their executable.

Pids come and go; a name stays. So everything here is per name: the sum over its processes, with
counters that go on when one of them ends. Kernel threads stand under their own kind, `[kworker]`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cerebro.intake.entity import clean

NAME_CHARS_MAX = 64
_DELETED = " (deleted)"  # what the kernel appends when the file was replaced, as in every upgrade
_KIND_OF_THREAD = re.compile(r"[:/].*")


class Stat(NamedTuple):
    """What /proc/<pid>/stat says of one process."""

    pid: int
    comm: str
    state: str
    parent: int
    ticks: int  # of user and system time
    thread_count: int
    start_ticks: int  # since boot
    resident_pages: int


@dataclass(frozen=True, slots=True)
class Group:
    """Everything of one name at one look; counters run since the observer first saw the name."""

    count: int
    thread_count: int
    resident_bytes: int
    ticks: int
    read_bytes: int
    written_bytes: int
    oldest_start_ticks: int
    pids: frozenset[int]


@dataclass(slots=True)
class _Seen:
    """One process as of the last look."""

    start_ticks: int
    comm: str
    name: str
    ticks: int
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(slots=True)
class _Total:
    """Counters of one name, which outlive its processes."""

    ticks: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(slots=True)
class ProcessTable:
    """Looks at every process and sums by name. Keeps one small record a living process.

    Args:
        root: Where procfs is mounted.
        page_bytes: Of a page of memory.
    """

    root: Path = Path("/proc")
    page_bytes: int = field(default_factory=lambda: os.sysconf("SC_PAGE_SIZE"))
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _totals: dict[str, _Total] = field(default_factory=dict)

    def look(self) -> Mapping[str, Group]:
        """Every name with its sums. A process that ends while we look is left out."""
        stats = [stat for pid in self._pids() if (stat := self._stat(pid))]
        members: dict[str, list[Stat]] = {}
        seen: dict[int, _Seen] = {}
        for stat in stats:
            entry = self._follow(stat)
            seen[stat.pid] = entry
            members.setdefault(entry.name, []).append(stat)
        self._seen = seen
        self._totals = {name: self._totals[name] for name in members}
        return {name: self._group(name, of_name) for name, of_name in members.items()}

    def _pids(self) -> Iterable[int]:
        return [int(entry) for entry in os.listdir(self.root) if entry.isdigit()]  # noqa: PTH208  no object a pid

    def _stat(self, pid: int) -> Stat | None:
        text = _text(f"{self.root}/{pid}/stat")
        return parse_process_stat(text) if text else None

    def _follow(self, stat: Stat) -> _Seen:
        """The process' record now, its growth since the last look added to its name's counters."""
        before = self._seen.get(stat.pid)
        if before is not None and before.start_ticks != stat.start_ticks:
            before = None
        name = before.name if before and before.comm == stat.comm else self._name(stat)
        read, written = (0, 0) if name.startswith("[") else _io(_text(f"{self.root}/{stat.pid}/io"))
        total = self._totals.setdefault(name, _Total())
        if before is not None:
            total.ticks += max(0, stat.ticks - before.ticks)
            total.read_bytes += max(0, read - before.read_bytes)
            total.written_bytes += max(0, written - before.written_bytes)
        elif self._seen:  # it began after the last look, so all it did is new
            total.ticks += stat.ticks
            total.read_bytes += read
            total.written_bytes += written
        return _Seen(stat.start_ticks, stat.comm, name, stat.ticks, read, written)

    def _name(self, stat: Stat) -> str:
        """The base name of the executable; what the process calls itself where we may not see that."""
        if stat.pid == 2 or stat.parent == 2:
            return f"[{_KIND_OF_THREAD.sub('', clean(stat.comm))}]"
        try:
            path = os.readlink(f"{self.root}/{stat.pid}/exe")  # noqa: PTH115  called for every new process
        except OSError:
            path = ""
        name = clean(path.removesuffix(_DELETED).rpartition("/")[2]) or clean(stat.comm) or "unknown"
        return name[:NAME_CHARS_MAX]

    def _group(self, name: str, members: list[Stat]) -> Group:
        total = self._totals[name]
        return Group(
            count=len(members),
            thread_count=sum(stat.thread_count for stat in members),
            resident_bytes=sum(stat.resident_pages for stat in members) * self.page_bytes,
            ticks=total.ticks,
            read_bytes=total.read_bytes,
            written_bytes=total.written_bytes,
            oldest_start_ticks=min(stat.start_ticks for stat in members),
            pids=frozenset(stat.pid for stat in members),
        )


def parse_process_stat(text: str) -> Stat | None:
    """Read /proc/<pid>/stat. The name in brackets may hold brackets and blanks of its own.

    >>> parse_process_stat("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 30 12 0 0 20 0 4 0 99 1 25 0").ticks
    42
    """
    opening, closing = text.find("("), text.rfind(")")
    words = text[closing + 1 :].split()
    if opening < 0 or closing < opening or len(words) < 22:
        return None
    return Stat(
        pid=int(text[:opening]),
        comm=text[opening + 1 : closing],
        state=words[0],
        parent=int(words[1]),
        ticks=int(words[11]) + int(words[12]),
        thread_count=int(words[17]),
        start_ticks=int(words[19]),
        resident_pages=max(0, int(words[21])),
    )


def _io(text: str) -> tuple[int, int]:
    """Bytes read from and written to devices, of /proc/<pid>/io; zeros where we may not see them."""
    found = {"read_bytes": 0, "write_bytes": 0}
    for line in text.splitlines():
        name, _, amount = line.partition(": ")
        if name in found:
            found[name] = int(amount)
    return found["read_bytes"], found["write_bytes"]


def _text(path: str) -> str:
    """The file whole; empty when the process is gone or is not ours to see."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(file, 4096).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)
