"""A syslog file, followed across its rotations."""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import xxhash

from cerebro.intake import metrics
from cerebro.intake.lines.line import Line
from cerebro.kernel.clock import Clock

FIRST_BYTES = 64 << 10  # of what is there at the very first start
CHUNK_BYTES = 256 << 10
POLL_S = 1.0
MARK_BYTES = 64

_CURSOR = re.compile(r"(\d{1,20}):(\d{1,20}):([0-9a-f]{0,8})")
_TAIL = r"\S+ (?P<program>[^\s:\[]{1,64})(?:\[(?P<pid>\d{1,10})\])?: ?(?P<body>.*)"
_ISO = re.compile(rf"(?P<at>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{{1,9}})?(?:Z|[+-]\d\d:\d\d)) {_TAIL}", re.S)
_BSD = re.compile(rf"(?P<at>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d) {_TAIL}", re.S)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file that may since have been renamed.

    Args:
        inode: Of the file. An inode is given again after a file is gone, hence the mark.
        offset: In bytes.
        mark: A hash of the `MARK_BYTES` before the offset; empty to trust the other two.
    """

    inode: int
    offset: int
    mark: str = ""

    @property
    def text(self) -> str:
        """As a cursor."""
        return f"{self.inode}:{self.offset}:{self.mark}"

    @classmethod
    def parse(cls, text: str) -> "Spot | None":
        """Read a cursor; `None` when it is none of ours.

        >>> Spot.parse("7:42:abc"), Spot.parse("s=3a;i=1")
        (Spot(inode=7, offset=42, mark='abc'), None)
        """
        found = _CURSOR.fullmatch(text)
        return cls(int(found[1]), int(found[2]), found[3]) if found else None


class Syslog:
    """Reads a log file line by line. A rotated file (`….1`) is read to its end before the new one is begun.

    Args:
        path: Of the file.
        clock: When lines are read, and which year it is where the line does not say.
    """

    name = "syslog"

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock

    async def lines(self, after: str, count_max: int, wait_s: float) -> Sequence[Line]:
        """The next lines; see `Source`. A file cut or written anew in place is read from its start."""
        found = await asyncio.to_thread(self._next, after, count_max)
        if not found:
            await self._clock.sleep(min(wait_s, POLL_S))
        return found

    async def close(self) -> None:
        """No file is kept open between two reads."""

    def _next(self, after: str, count_max: int) -> list[Line]:
        spot = Spot.parse(after)
        try:
            present = self._path.stat()
            if spot is None:
                spot = Spot(present.st_ino, self._first_offset(present.st_size))
            if spot.inode != present.st_ino:
                if (old := self._rotated(spot.inode)) and (found := self._read(old, spot, count_max)):
                    return found
                spot = Spot(present.st_ino, 0)
            return self._read(self._path, spot, count_max)
        except OSError:
            return []  # between two files of a rotation, or not ours to read: asked again soon

    def _first_offset(self, size: int) -> int:
        """Where the first whole line of the last `FIRST_BYTES` begins."""
        if size <= FIRST_BYTES:
            return 0
        with self._path.open("rb") as file:
            file.seek(size - FIRST_BYTES)
            return size - FIRST_BYTES + len(file.readline())

    def _rotated(self, inode: int) -> Path | None:
        """The file of that inode, under the names that logrotate gives."""
        for path in sorted(self._path.parent.glob(f"{self._path.name}[.-]*")):
            if path.stat().st_ino == inode:
                return path
        return None

    def _read(self, path: Path, spot: Spot, count_max: int) -> list[Line]:
        """Whole lines from the spot, one that is not ended yet left for later; from the start of another file."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != spot.inode:
                return []
            begin = max(0, spot.offset - MARK_BYTES)
            file.seek(begin)
            seen = file.read(spot.offset - begin)
            if len(seen) < spot.offset - begin or spot.mark not in ("", _mark(seen)):
                file.seek(0)
                spot, seen = Spot(spot.inode, 0), b""
            chunk = file.read(CHUNK_BYTES)
        return self._lines(spot, seen, chunk, count_max)

    def _lines(self, spot: Spot, seen: bytes, chunk: bytes, count_max: int) -> list[Line]:
        """The lines of a chunk, each with the cursor after it. What is longer than a chunk comes in pieces."""
        raws = chunk.split(b"\n")[:-1]
        ending = 1
        if not raws and len(chunk) == CHUNK_BYTES:
            metrics.JOURNAL_SKIPPED.labels("too_long").inc()
            raws, ending = [chunk], 0
        observed_ns, at, found = self._clock.now_ns(), 0, []
        text, base = seen + chunk, len(seen)
        for raw in raws[:count_max]:
            at += len(raw) + ending
            cursor = Spot(spot.inode, spot.offset + at, _mark(text[max(0, base + at - MARK_BYTES) : base + at])).text
            found.append(parse_line(raw.decode("utf-8", "replace"), observed_ns, cursor))
        return found


def _mark(seen: bytes) -> str:
    return xxhash.xxh32_hexdigest(seen)


def parse_line(text: str, observed_ns: int, cursor: str, zone: tzinfo | None = None) -> Line:
    """A line as rsyslog writes it, with an ISO or a BSD time; any other is taken whole, at the time it was read.

    Args:
        zone: Of a BSD time; by default this machine's.
    """
    if found := _ISO.fullmatch(text):
        at_ns = _iso_ns(found["at"])
    elif found := _BSD.fullmatch(text):
        at_ns = _bsd_ns(found["at"], observed_ns, zone)
    if not found or at_ns is None:
        return Line(observed_ns, observed_ns, text, cursor)
    attributes = {"process.pid": found["pid"] or ""}
    program = found["program"]
    executable = "" if program == "kernel" else program
    return Line(
        at_ns, observed_ns, found["body"], cursor, program=program, executable=executable, attributes=attributes
    )


def _iso_ns(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text[:26] + text[26:].lstrip("0123456789")).timestamp() * 1e6) * 1000
    except ValueError:
        return None


def _bsd_ns(text: str, observed_ns: int, zone: tzinfo | None) -> int | None:
    """The year is the one that puts the line nearest before the moment it was read."""
    if text[:3] not in _MONTHS:
        return None
    now = datetime.fromtimestamp(observed_ns / 1e9, UTC)
    hour, minute, second = map(int, text[7:].split(":"))
    for year in (now.year + 1, now.year, now.year - 1):
        try:
            at = datetime(year, _MONTHS.index(text[:3]) + 1, int(text[4:6]), hour, minute, second)
        except ValueError:  # the 29th of February of another year, or no date at all
            continue
        at = at.replace(tzinfo=zone) if zone else at.astimezone()
        if at <= now + timedelta(days=1):
            return round(at.timestamp()) * 1_000_000_000
    return None
