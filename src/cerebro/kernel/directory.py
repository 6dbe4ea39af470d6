"""The data directory: one owner at a time, of a version that this Cerebro can read."""

import fcntl
import os
from pathlib import Path

from cerebro.spine.errors import Conflict, Invalid, Unavailable

VERSION = 1
MODE = 0o711  # PostgreSQL's own user passes through; what is secret is in files of mode 0600


class DataDirectory:
    """A data directory that we own until we close it or die.

    The lock is the kernel's (flock): it goes with its process, so that a lock file left behind by
    a killed one is only a file.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def claim(cls, path: Path) -> "DataDirectory":
        """Become the owner; make the directory when it is not there.

        Raises:
            Conflict: Another process owns it; the detail says which.
            Unavailable: It cannot be written.
            Invalid: A later version of Cerebro wrote it, or it is no directory.
        """
        try:
            if not path.exists():
                path.mkdir(parents=True, exist_ok=True)
                path.chmod(MODE)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except (FileExistsError, NotADirectoryError) as error:
            raise Invalid(f"{path} is not a directory.", "Set CEREBRO_DATA_DIR to one.") from error
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Conflict(
                f"Cerebro already runs on {path} (pid {_pid_in(path)}).",
                "Stop it with `cerebro down`, or set CEREBRO_DATA_DIR to another directory.",
            ) from error
        directory = cls(path, descriptor)
        try:
            directory._sign()
        except OSError as error:
            directory.close()
            raise _unwritable(path, error) from error
        except Invalid:
            directory.close()
            raise
        return directory

    def close(self) -> None:
        """Let others own it. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _sign(self) -> None:
        """Write who we are and which version this is."""
        version = self.path / "version"
        found = version.read_text().strip() if version.exists() else ""
        if found and found != str(VERSION):
            raise Invalid(
                f"{self.path} has version {found}; this Cerebro reads {VERSION}.", "Run the Cerebro that wrote it."
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        if not found:
            version.write_text(f"{VERSION}\n")


def owner_of(path: Path) -> int:
    """The pid of the process that owns the directory, 0 when nobody does."""
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(path)
    else:
        return 0
    finally:
        os.close(descriptor)


def _pid_in(path: Path) -> int:
    try:
        return int((path / "lock").read_text() or 0)
    except (OSError, ValueError):
        return 0


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The data directory {path} cannot be written: {error.strerror}.",
        "Set CEREBRO_DATA_DIR to a directory that this user can write, or make room on its disk.",
    )
