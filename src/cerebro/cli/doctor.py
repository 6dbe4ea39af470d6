"""`cerebro doctor`: look at everything that can be wrong, and say how to mend each."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cerebro.cli.client import KEY_FILE, Client, door
from cerebro.cli.out import say
from cerebro.kernel.access.model import OWN_NAME
from cerebro.kernel.settings import Settings, load_settings
from cerebro.spine.errors import CerebroError

GIB = 1 << 30
ROOM_BYTES_MIN = 5 * GIB
MEMORY_BYTES_MIN = 2 * GIB
SOCKET_BYTES_MAX = 107  # of a Unix socket's path, Linux
NEEDED = ("chdb", "nats", "psycopg", "numba", "pyarrow", "granian", "clickhouse_connect")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, with what to do."""

    what: str
    mend: str


def run() -> int:
    """Say each problem and its mend; 0 when there is none."""
    try:
        settings = load_settings()
    except CerebroError as error:
        say(f"settings: {error.detail}\n  mend: {error.mend}")
        return 1
    found = [problem for check in CHECKS for problem in check(settings)]
    for problem in found:
        say(f"problem: {problem.what}\n  mend: {problem.mend}")
    say(f"{len(CHECKS)} checks, {len(found) or 'no'} problem{'' if len(found) == 1 else 's'}.")
    return int(bool(found))


def packages(_: Settings) -> Iterator[Problem]:
    """Is everything installed that Cerebro runs on?"""
    for name in NEEDED:
        if find_spec(name) is None:
            yield Problem(f"The package {name} is not installed.", "Run make up; it installs requirements.lock.")


def directories(settings: Settings) -> Iterator[Problem]:
    """Can the directories be written, and is there room?"""
    for each in (settings.data_dir, settings.runtime_dir):
        nearest = next(parent for parent in (each, *each.parents) if parent.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            yield Problem(
                f"{each} cannot be written.", "Run as its owner, or set CEREBRO_DATA_DIR and CEREBRO_RUNTIME_DIR."
            )
    room = shutil.disk_usage(next(p for p in (settings.data_dir, *settings.data_dir.parents) if p.exists())).free
    if room < ROOM_BYTES_MIN:
        yield Problem(
            f"Only {room / GIB:.1f} GiB are free for {settings.data_dir}.",
            "Make room, shorten the retention (settings retention.*), or move the data directory.",
        )
    longest = len(str(settings.runtime_dir / ".s.PGSQL.5432").encode())
    if longest > SOCKET_BYTES_MAX:
        yield Problem(
            f"The socket path under {settings.runtime_dir} is too long.", "Set CEREBRO_RUNTIME_DIR to a short path."
        )


def memory(_: Settings) -> Iterator[Problem]:
    """Is there memory for the engines?"""
    available = _meminfo("MemAvailable")
    if available and available < MEMORY_BYTES_MIN:
        yield Problem(
            f"Only {available / GIB:.1f} GiB of memory are available; Cerebro wants 2.",
            "Stop something, or lower engines.store_memory_bytes_max.",
        )


def ports(settings: Settings) -> Iterator[Problem]:
    """Are the ports free, or ours?"""
    if _running(settings):
        return
    wanted = {"http.port": settings.http.port}
    wanted |= {} if settings.engines.nats_url else {"engines.nats_port": settings.engines.nats_port}
    wanted |= {} if settings.engines.clickhouse_url else {"engines.store_port": settings.engines.store_port}
    for name, port in wanted.items():
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                setting = "CEREBRO_" + name.upper().replace(".", "__")
                yield Problem(f"Port {port} ({name}) is taken by another program.", f"Stop it, or set {setting}.")


def processes(settings: Settings) -> Iterator[Problem]:
    """Does every process run, without being started again and again?"""
    from cerebro.kernel import supervise

    for child in supervise.status(settings):
        if child["state"] != "ready":
            log = settings.data_dir / "logs" / f"{child['name']}.log"
            yield Problem(f"{child['name']} is {child['state']}.", f"Its last words are in {log}.")
        elif child["restarts"] >= 3:
            log = settings.data_dir / "logs" / f"{child['name']}.log"
            yield Problem(f"{child['name']} was started again {child['restarts']} times.", f"See why in {log}.")


def readiness(settings: Settings) -> Iterator[Problem]:
    """Does the door answer, and every engine behind it?"""
    if not _running(settings):
        yield Problem("Cerebro is not running.", "Start it: make up, or cerebro up.")
        return
    if not (settings.data_dir / KEY_FILE).exists():
        yield Problem(f"{settings.data_dir / KEY_FILE} is missing.", "Stop and start Cerebro: it makes a new one.")
        return
    try:
        engines = Client(settings).get("/api/v1/engines")["items"]
    except CerebroError as error:
        yield Problem(f"{door(settings)} does not serve: {error.detail}", error.mend or "See logs/front.log.")
        return
    for engine in engines:
        if not engine["ok"]:
            log = settings.data_dir / "logs" / f"{engine['name']}.log"
            yield Problem(f"The engine {engine['name']} does not answer: {engine['detail']}", f"See {log}.")


def logins(settings: Settings) -> Iterator[Problem]:
    """Does nobody have the name of Cerebro itself?"""
    if not _running(settings):
        return
    try:
        Client(settings).get(f"/api/v1/users/{OWN_NAME}")
    except CerebroError:  # nobody has it; or it cannot be asked, which `readiness` tells
        return
    yield Problem(
        f"A user has the login {OWN_NAME}, which is Cerebro's own name: nobody is let in by it.",
        f"Make another with the same role (cerebro user add NAME --role ROLE), then: cerebro user remove {OWN_NAME}",
    )


CHECKS: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    packages,
    directories,
    memory,
    ports,
    processes,
    readiness,
    logins,
)


def _running(settings: Settings) -> bool:
    from cerebro.kernel import supervise

    return bool(supervise.status(settings))


def _meminfo(name: str) -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":")), 0)
