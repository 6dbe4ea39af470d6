"""Block devices and the file systems on them."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cerebro.intake.proc.reading import Reading, share

SECTOR_BYTES = 512  # of /proc/diskstats, whatever the device's own sector
DEVICES_MAX = 32
FILESYSTEMS_MAX = 32

# Devices that only repeat another's work, or are memory.
_REPEATS = re.compile(r"^(loop|ram|zram|dm-|md|sr|fd|nbd)\d")
# Local file systems that can fill up. A network's is left out: asking a dead server hangs.
_LOCAL_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "bcachefs", "vfat", "exfat", "ntfs3", "overlay")
)
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class DiskWork:
    """What one device did since boot."""

    reads: int
    read_bytes: int
    read_ms: int
    writes: int
    written_bytes: int
    write_ms: int
    busy_ms: int


def parse_diskstats(text: str, whole_devices: frozenset[str]) -> Mapping[str, DiskWork]:
    """Read /proc/diskstats: whole devices that have worked, no partitions; at most `DEVICES_MAX`."""
    found: dict[str, DiskWork] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 14 or words[2] not in whole_devices or _REPEATS.match(words[2]):
            continue
        reads, _, sectors_in, read_ms, writes, _, sectors_out, write_ms, _, busy_ms = map(int, words[3:13])
        if reads + writes and len(found) < DEVICES_MAX:
            found[words[2]] = DiskWork(
                reads, sectors_in * SECTOR_BYTES, read_ms, writes, sectors_out * SECTOR_BYTES, write_ms, busy_ms
            )
    return found


def disk_readings(before: Mapping[str, DiskWork], now: Mapping[str, DiskWork], elapsed_s: float) -> Iterator[Reading]:
    """Counters of each device; and the share of `elapsed_s` that it was busy, where it was there before."""
    for device, work in now.items():
        name = ("system.device", device)
        rows = (
            ("read", work.read_bytes, work.reads, work.read_ms),
            ("write", work.written_bytes, work.writes, work.write_ms),
        )
        for direction, amount, operations, spent_ms in rows:
            labels = (("disk.io.direction", direction), name)
            yield Reading("system.disk.io", amount, labels)
            yield Reading("system.disk.operations", operations, labels)
            yield Reading("system.disk.operation_time", spent_ms / 1000, labels)
        yield Reading("system.disk.io_time", work.busy_ms / 1000, (name,))
        if device in before and elapsed_s > 0:
            busy_s = (work.busy_ms - before[device].busy_ms) / 1000
            yield Reading("system.disk.utilization", share(busy_s, elapsed_s), (name,))


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted local file system."""

    device: str
    mountpoint: str
    type: str
    mode: str  # rw | ro


def parse_mounts(text: str) -> list[Mount]:
    """Read /proc/mounts: local file systems, each device once at its first place; at most `FILESYSTEMS_MAX`."""
    found: dict[str, Mount] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or words[2] not in _LOCAL_TYPES:
            continue
        device, mountpoint = _unescape(words[0]), _unescape(words[1])
        if device == "overlay" and mountpoint != "/":
            continue  # a container's layers, on a disk that is seen already
        found.setdefault(device, Mount(device, mountpoint, words[2], words[3].split(",")[0]))
    return list(found.values())[:FILESYSTEMS_MAX]


def filesystem_readings(mounts: Iterable[Mount]) -> Iterator[Reading]:
    """How full each file system is; one that does not answer is left out."""
    for mount in mounts:
        try:
            found = os.statvfs(mount.mountpoint)
        except OSError:
            continue
        yield from _room(mount, found)


def _room(mount: Mount, found: os.statvfs_result) -> Iterator[Reading]:
    """`utilization` is what `df` shows: used of what ordinary users may have."""
    name = (("system.device", mount.device), ("system.filesystem.mountpoint", mount.mountpoint))
    place = (*name, ("system.filesystem.mode", mount.mode), ("system.filesystem.type", mount.type))
    block = found.f_frsize
    used, free = (found.f_blocks - found.f_bfree) * block, found.f_bavail * block
    states = {"used": used, "free": free, "reserved": max(0, found.f_bfree - found.f_bavail) * block}
    for state, amount in states.items():
        yield Reading("system.filesystem.usage", amount, (*place, ("system.filesystem.state", state)))
    yield Reading("system.filesystem.limit", found.f_blocks * block, place)
    yield Reading("system.filesystem.utilization", share(used, used + free), place)
    if found.f_files:
        yield Reading("system.filesystem.inode.utilization", share(found.f_files - found.f_ffree, found.f_files), place)


def _unescape(word: str) -> str:
    r"""Blanks stand as octal in /proc/mounts.

    >>> _unescape("/mnt/my\\040disk")
    '/mnt/my disk'
    """
    return _OCTAL.sub(lambda hit: chr(int(hit[1], 8)), word)
