"""What every embedded engine stands on: directories, accounts, free ports, questions whether it is ready."""

import http.client
import os
import pwd
import socket
from pathlib import Path

import psutil

from cerebro.kernel.children import Account
from cerebro.spine.errors import Invalid, Unavailable

LOOPBACK = "127.0.0.1"
PROBE_S = 1.0
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}
UNPRIVILEGED = "nobody"


def unprivileged() -> Account | None:
    """For root, the account of a program that refuses to run as root; for anyone else themselves, `None`."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def make_directory(path: Path, mode: int, account: Account | None = None) -> Path:
    """Make the directory, or bring it to this mode and owner.

    Raises:
        Unavailable: The place cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        if account:
            os.chown(path, account.uid, account.gid)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}.",
            "Give Cerebro a directory of its own: CEREBRO_DATA_DIR, CEREBRO_RUNTIME_DIR.",
        ) from error
    return path


def unreachable_step(path: Path) -> Path | None:
    """The first directory on the way to `path` that others may not pass through."""
    steps = [step for step in reversed(path.resolve().parents) if step.exists()]
    return next((step for step in steps if not step.stat().st_mode & 0o001), None)


def need_free_port(port: int, setting: str) -> None:
    """Refuse a port that someone listens on already.

    Raises:
        Invalid: Naming who has it and the setting to change.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise Invalid(
                f"Port {port} is taken by {_owner(port)}:", f"free it or set {setting} to another."
            ) from error


def _owner(port: int) -> str:
    """Who listens, as far as we may know."""
    try:
        found = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid]
        return f"pid {found[0]} ({psutil.Process(found[0]).name()})" if found else "another program"
    except psutil.Error:
        return "another program"


def first_line(host: str, port: int) -> bytes:
    """What a server says when one connects; empty when there is nobody."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S) as connection:
            connection.settimeout(PROBE_S)
            return connection.makefile("rb").readline(65_536)
    except OSError:
        return b""


def answers_http(port: int, path: str, host: str = LOOPBACK) -> bool:
    """Whether `GET path` answers with a status below 300."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
