"""A small disk with a quota: a directory that may hold so many bytes and no more."""

import errno
import os
from pathlib import Path

QUOTA_BYTES = 8 << 20
KEPT_BYTES = 1 << 20  # of a journal before it begins anew
FILLER = "core.dump"


def used_bytes(disk: Path) -> int:
    """How full it is."""
    return sum(entry.stat().st_size for entry in os.scandir(disk) if entry.is_file())


def append(disk: Path, name: str, line: str) -> None:
    """Write a line to the end of a file.

    Raises:
        OSError: The disk is full.
    """
    if used_bytes(disk) + len(line) > QUOTA_BYTES:
        raise OSError(errno.ENOSPC, "No space left on device", str(disk / name))
    file = disk / name
    begin_anew = file.exists() and file.stat().st_size > KEPT_BYTES
    with file.open("w" if begin_anew else "a") as stream:
        stream.write(line)


def fill(disk: Path) -> None:
    """Leave no room."""
    with (disk / FILLER).open("wb") as stream:
        stream.truncate(QUOTA_BYTES)


def free(disk: Path) -> None:
    """Remove what filled it."""
    (disk / FILLER).unlink(missing_ok=True)
