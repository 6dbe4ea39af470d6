"""`cerebro up`, without its words: the engines and the roles of one machine, started, kept and stopped.

Nothing heavy is imported here: this process has to be the last that the machine kills for memory.
"""

import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cerebro.kernel.children import Child, ChildStatus, State, Supervisor, end_leftovers
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.directory import DataDirectory, owner_of
from cerebro.kernel.engines.ground import answers_http, make_directory, need_free_port
from cerebro.kernel.engines.nats import prepare_nats
from cerebro.kernel.engines.postgres import prepare_postgres
from cerebro.kernel.engines.store import prepare_store, role
from cerebro.kernel.observe.log import get_log, start_logging
from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.settings import Settings
from cerebro.spine.errors import CerebroError, Conflict, Invalid, Unavailable

STATE_FILE = "state.json"
STATE_VERSION = 1
FRONT = "collector,console"
BACK = "recorder,detector,brain,worker,observer"
ENGINE_STAGE, MIGRATE_STAGE, ROLE_STAGE = 0, 1, 2
IDLE_S = 1.0  # between two looks when nothing happens; a child's end wakes us at once
DOWN_S_MAX = 90.0
READY = "Cerebro is ready. Stop it with Ctrl-C."
Progress = Callable[[str], None]

log = get_log(__name__)


def up(settings: Settings, *, detach: bool = False, progress: Progress = lambda _line: None) -> None:
    """Start everything on this machine and keep it running until SIGTERM or SIGINT; with `detach`, in the background.

    Args:
        settings: Engines with an address there are not started.
        detach: Return once everything is ready; the rest goes on in a process of its own.
        progress: Gets a line for each step.

    Raises:
        Conflict: Cerebro runs on this data directory already.
        Invalid: A port is taken, or a setting does not fit.
        Unavailable: The directory cannot be written, or something does not start.
    """
    settings = _absolute(settings)
    if detach:
        _up_detached(settings, progress)
    else:
        _run(settings, progress, lambda: progress(READY))


def down(settings: Settings, progress: Progress = lambda _line: None) -> bool:
    """Stop what `up` started, in reverse order; false when nothing ran.

    Raises:
        Unavailable: It does not end in time, or belongs to another user.
    """
    pid = owner_of(settings.data_dir)
    if not pid:
        return False
    clock = SystemClock()
    until_s = clock.monotonic_s() + DOWN_S_MAX
    progress(f"stopping (pid {pid})")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise Unavailable(f"Cerebro (pid {pid}) belongs to another user.", "Stop it as that user.") from error
    while owner_of(settings.data_dir) == pid:
        if clock.monotonic_s() > until_s:
            raise Unavailable(f"Cerebro (pid {pid}) has not ended in {DOWN_S_MAX:.0f} s.", f"kill -9 {pid}")
        _nap(0.05)
    return True


def status(settings: Settings) -> list[dict[str, Any]]:
    """Each process that `up` keeps: name, state, pid, age_s, restarts. Empty when Cerebro does not run."""
    if not owner_of(settings.data_dir):
        return []
    now_ms = SystemClock().now_ms()
    return [
        {
            "name": each.name,
            "state": each.state.value,
            "pid": each.pid,
            "age_s": max(0.0, (now_ms - each.since_ms) / 1000),
            "restarts": each.restarts,
        }
        for each in _read_state(settings.data_dir)
        if each.state is not State.DONE
    ]


def plan(settings: Settings, progress: Progress = lambda _line: None) -> list[Child]:
    """Everything that runs here, in the order of its start: engines, then migrations, then roles.

    Raises:
        CerebroError: Something cannot be prepared; see the engines.
    """
    engines = settings.engines
    need_free_port(settings.http.port, "CEREBRO_HTTP__PORT")
    children: list[Child] = []
    if not engines.nats_url:
        children.append(prepare_nats(settings))
    if not engines.clickhouse_url:
        children.append(prepare_store(settings))
    if not engines.postgres_url:
        children.insert(0, prepare_postgres(settings, progress))
    marks = _ready_directory(settings)
    opens: Callable[[int], bool] = lambda _pid: _door_opens(settings)  # noqa: E731  used twice in a line
    return [
        *children,
        role("migrate", settings, stage=MIGRATE_STAGE, once=True, ready_s=120.0),
        role(FRONT, settings, name="front", stage=ROLE_STAGE, ready=opens, alive=opens),
        role(
            BACK,
            settings,
            name="back",
            stage=ROLE_STAGE,
            ready=lambda pid: _is_marked(marks, BACK, pid),
            ready_s=120.0,
        ),
    ]


def mark_ready(settings: Settings, roles: Sequence[str]) -> None:
    """Called by a process of ours when its roles run: the supervisor looks for it."""
    mark = _ready_directory(settings) / ",".join(roles)
    mark.write_text(str(os.getpid()))


def _is_marked(directory: Path, roles: str, pid: int) -> bool:
    try:
        return (directory / roles).read_text() == str(pid)
    except OSError:
        return False


def _ready_directory(settings: Settings) -> Path:
    return make_directory(settings.runtime_dir / "ready", 0o700)


def _door_opens(settings: Settings) -> bool:
    http = settings.http
    host = "127.0.0.1" if http.host in ("0.0.0.0", "", "::") else http.host  # noqa: S104  comparing, not binding
    if http.tls_certificate is None:
        return answers_http(http.port, "/health", host)
    try:
        with socket.create_connection((host, http.port), timeout=1.0):
            return True
    except OSError:
        return False


# The supervisor's own process


def _run(settings: Settings, progress: Progress, ready: Callable[[], None]) -> None:
    """Own the data directory, run the plan, end it."""
    directory = DataDirectory.claim(settings.data_dir)
    try:
        _own_runtime_directory(settings)
        load_secrets(settings.data_dir)
        make_directory(settings.data_dir / "logs", 0o700)
        with (settings.data_dir / "logs" / "supervisor.log").open("a") as out, _signals() as signals:
            start_logging(settings.log_level, "supervisor", out)
            _clear_last_run(settings.data_dir, progress)
            _keep(settings, progress, ready, signals)
    finally:
        directory.close()


def _keep(settings: Settings, progress: Progress, ready: Callable[[], None], signals: "_Signals") -> None:
    supervisor = Supervisor(
        plan(settings, progress),
        SystemClock(),
        lambda statuses: _write_state(settings.data_dir, statuses),
        log_files=(settings.data_dir / "logs" / "supervisor.log",),
    )
    try:
        if supervisor.start(signals.wait, progress):
            log.info("cerebro_started", pid=os.getpid())
            ready()
            while not signals.wait(0.05 if supervisor.busy() else IDLE_S):
                supervisor.tick()
    finally:
        supervisor.stop(_nap, progress)
        (settings.data_dir / STATE_FILE).unlink(missing_ok=True)
        log.info("cerebro_stopped", pid=os.getpid())


class _Signals:
    """Wakes a waiting supervisor: the end was asked for, or a child has ended."""

    def __init__(self, wakes: socket.socket) -> None:
        self._wakes = wakes
        self.stop = False

    def wait(self, pause_s: float) -> bool:
        """Up to `pause_s`, less when a signal comes; whether to stop."""
        if not self.stop and select.select([self._wakes], [], [], pause_s)[0]:
            self._wakes.recv(4096)
        return self.stop

    def ask_to_stop(self, _number: int, _frame: object) -> None:
        """The handler."""
        self.stop = True


@contextmanager
def _signals() -> Iterator[_Signals]:
    mine, written = socket.socketpair()
    for each in (mine, written):
        each.setblocking(False)
    signals = _Signals(mine)
    wakeup_before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    handlers = {
        signal.SIGTERM: signals.ask_to_stop,
        signal.SIGINT: signals.ask_to_stop,
        signal.SIGCHLD: lambda *_: None,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield signals
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        mine.close()
        written.close()


def _own_runtime_directory(settings: Settings) -> None:
    """In a shared place such as /tmp someone else may have made it first: refuse theirs."""
    path = make_directory_of_ours(settings.runtime_dir)
    for mark in (path / "ready").glob("*"):
        mark.unlink(missing_ok=True)


def make_directory_of_ours(path: Path) -> Path:
    """A directory for sockets that belongs to us and nobody else can write.

    Raises:
        Invalid: It belongs to someone else.
        Unavailable: It cannot be made.
    """
    if path.is_symlink() or (path.exists() and path.stat().st_uid != os.geteuid()):
        raise Invalid(f"{path} belongs to someone else.", "Set CEREBRO_RUNTIME_DIR to a directory of your own.")
    return make_directory(path, 0o711 if os.geteuid() == 0 else 0o700)


def _clear_last_run(data_dir: Path, progress: Progress) -> None:
    """After a kill of the supervisor its children die with it; wait for those that take a moment."""
    for name in end_leftovers(_read_state(data_dir), _nap):
        progress(f"{name} of the last run has been ended")
    (data_dir / STATE_FILE).unlink(missing_ok=True)


def _write_state(data_dir: Path, statuses: Sequence[ChildStatus]) -> None:
    state = {"version": STATE_VERSION, "pid": os.getpid(), "children": [asdict(status) for status in statuses]}
    file = data_dir / STATE_FILE
    draft = file.with_suffix(".draft")
    try:
        draft.write_text(json.dumps(state))
        draft.replace(file)
    except OSError as error:  # a full disk must not end the one who could make room by restarting things
        log.warning("state_not_written", error=str(error))


def _read_state(data_dir: Path) -> list[ChildStatus]:
    try:
        state = json.loads((data_dir / STATE_FILE).read_text())
        return [ChildStatus(**(each | {"state": State(each["state"])})) for each in state["children"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


# In the background


def _up_detached(settings: Settings, progress: Progress) -> None:
    """Run in a process without a terminal; hear of its progress through a pipe until it is ready or has failed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become_daemon(settings, writing)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        for line in said:
            word = json.loads(line)
            if "progress" in word:
                progress(word["progress"])
            elif "ready" in word:
                return
            else:
                raise _error_of(word)
    raise Unavailable("Cerebro ended before it was ready.", f"See {settings.data_dir / 'logs' / 'supervisor.log'}.")


def _become_daemon(settings: Settings, writing: int) -> None:
    """Fork once more, so that no terminal can become ours again (Stevens, APUE, 13.3), and run. Never returns."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    code = 0
    with os.fdopen(writing, "w", buffering=1) as out:
        try:
            _run(settings, lambda line: _tell(out, progress=line), lambda: _tell(out, ready=True))
        except CerebroError as error:
            _tell(out, code=error.code, detail=error.detail, mend=error.mend)
            code = 1
    os._exit(code)


def _tell(out: Any, **words: object) -> None:
    """One line to whoever started us; they may have gone."""
    try:
        out.write(json.dumps(words) + "\n")
        out.flush()
    except (OSError, ValueError):
        return


def _error_of(word: dict[str, Any]) -> CerebroError:
    kinds: dict[str, type[CerebroError]] = {kind.code: kind for kind in (Conflict, Invalid, Unavailable)}
    return kinds.get(word["code"], Unavailable)(word["detail"], word["mend"])


def _absolute(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"data_dir": settings.data_dir.absolute(), "runtime_dir": settings.runtime_dir.absolute()}
    )


def _nap(pause_s: float) -> bool:
    """Sleep, whatever happens to the children."""
    select.select([], [], [], pause_s)
    return False
