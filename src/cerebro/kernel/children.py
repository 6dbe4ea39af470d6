"""Child processes that start in order, are started again when they fall, and never outlive us.

Everything here runs in one thread, the main one: Linux sends a child its death signal when the
*thread* that made it ends. Nothing heavy is imported, so that the supervisor stays small.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from pathlib import Path

import psutil

from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import Unavailable

PR_SET_PDEATHSIG = 1  # linux/prctl.h
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.2, 5.0  # a kill must be over within 15 s, the start of a process included
STABLE_S = 10.0  # after this long without a fall the back-off begins afresh
FIRST_START_FALLS_MAX = 3  # a child that falls this often before everything is up will not come up
LIVENESS_INTERVAL_S, LIVENESS_MISSES_MAX = 4.0, 8  # half a minute: being slow is no reason to be killed
LOG_BYTES_MAX, LOG_FILES_MAX, LOG_INTERVAL_S = 16 << 20, 3, 10.0
LOG_TAIL_BYTES = 65_536

log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One program to keep running.

    Args:
        name: In logs, in the status and of the log file.
        argv: The program and its arguments.
        environment: All of it; nothing is inherited.
        log_file: Where its standard output and error go, kept to `LOG_BYTES_MAX` in `LOG_FILES_MAX` files.
        ready: Asked with the pid until it says yes; must answer within about a second.
        ready_s: How long it may take until then.
        alive: Asked every few seconds from then on; `misses_max` refusals in a row and it is started again.
        before: Called before every start, for cleaning up after a fall.
        stage: Children of one stage, neighbours in the list, start together; the next when all are ready.
        once: Runs to its end instead of staying; ready means it ended with 0.
        account: Whom to run as; `None` for ourselves.
        stop_signal: Asks for an orderly end, within `stop_s`.
        death_signal: What it gets from the kernel when we die.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    ready: Callable[[int], bool] = lambda _pid: True
    ready_s: float = 60.0
    alive: Callable[[int], bool] | None = None
    misses_max: int = LIVENESS_MISSES_MAX
    before: Callable[[], None] | None = None
    stage: int = 0
    once: bool = False
    account: Account | None = None
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL


class State(StrEnum):
    """Where a child stands."""

    WAITING, STARTING, READY, FALLEN, STOPPING, STOPPED, DONE = (
        "waiting", "starting", "ready", "fallen", "stopping", "stopped", "done",
    )  # fmt: skip


UP = (State.READY, State.DONE)


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """What can be told about a child from outside.

    Args:
        started_s: The process's start as the system tells it, so that a pid used again is not taken for it.
    """

    name: str
    state: State
    pid: int
    started_s: float
    restarts: int
    since_ms: int
    exit_code: int | None
    death_signal: int


@dataclass(slots=True)
class _Post:
    """A child and how it fares."""

    child: Child
    process: subprocess.Popen[bytes] | None = None
    state: State = State.WAITING
    started_s: float = 0.0
    restarts: int = 0
    falls: int = 0  # in a row, without a stable stretch between
    since_ms: int = 0
    state_at_s: float = 0.0
    again_at_s: float = 0.0
    asked_at_s: float = 0.0
    misses: int = 0
    exit_code: int | None = None


@dataclass(slots=True)
class Supervisor:
    """Keeps children running. Drive it: `start`, then `tick` about once a second, then `stop`.

    Args:
        children: In the order of their start.
        clock: For pauses and for the jitter of the back-off.
        changed: Called with everyone's status whenever a state has changed.
        log_files: Others to keep small, besides the children's.
    """

    children: Sequence[Child]
    clock: Clock
    changed: Callable[[Sequence[ChildStatus]], None] = lambda _statuses: None
    log_files: Sequence[Path] = ()
    _posts: list[_Post] = field(init=False)
    _logs_at_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._posts = [_Post(child) for child in self.children]

    def start(self, wait: Callable[[float], bool], progress: Callable[[str], None] = lambda _line: None) -> bool:
        """Start every child, stage by stage. False when `wait` said to stop.

        Args:
            wait: Pauses for so many seconds, or less; says whether to give up.
            progress: Gets a line for each child that is ready.

        Raises:
            Unavailable: A child does not come up; the detail holds the end of its log.
        """
        for _, stage in groupby(self._posts, key=lambda post: post.child.stage):
            if not self._start_stage(list(stage), wait, progress):
                return False
        return True

    def _start_stage(
        self, posts: Sequence[_Post], wait: Callable[[float], bool], progress: Callable[[str], None]
    ) -> bool:
        began_s = self.clock.monotonic_s()
        for post in posts:
            self._spawn(post)
        coming = list(posts)
        while coming:
            if wait(0.02):
                return False
            self.tick()
            for post in coming:
                if post.state is State.FALLEN and post.falls >= FIRST_START_FALLS_MAX:
                    raise Unavailable(f"{post.child.name} does not start: {log_tail(post.child.log_file)}")
                if post.state in UP:
                    progress(f"{post.child.name} is ready ({self.clock.monotonic_s() - began_s:.1f} s)")
            coming = [post for post in coming if post.state not in UP]
        return True

    def tick(self) -> None:
        """Look after every child once."""
        now_s = self.clock.monotonic_s()
        for post in self._posts:
            self._look_after(post, now_s)
        if now_s - self._logs_at_s >= LOG_INTERVAL_S:
            self._logs_at_s = now_s
            for log_file in (*self.log_files, *(post.child.log_file for post in self._posts)):
                rotate(log_file)

    def busy(self) -> bool:
        """Whether a child is on its way, so that `tick` is wanted soon."""
        return any(post.state in (State.STARTING, State.FALLEN) for post in self._posts)

    def stop(self, pause: Callable[[float], object], progress: Callable[[str], None] = lambda _line: None) -> None:
        """End every child, the last first: by its stop signal, and after `stop_s` by force."""
        for post in reversed(self._posts):
            if post.process is not None:
                self._end(post, pause)
                progress(f"{post.child.name} has stopped")

    def statuses(self) -> list[ChildStatus]:
        """How everyone fares."""
        return [
            ChildStatus(
                post.child.name, post.state, post.process.pid if post.process else 0, post.started_s, post.restarts,
                post.since_ms, post.exit_code, int(post.child.death_signal),
            )
            for post in self._posts
        ]  # fmt: skip

    def _look_after(self, post: _Post, now_s: float) -> None:
        if post.process is not None and post.process.poll() is not None:
            self._ended(post, post.process.returncode, now_s)
        elif post.state is State.FALLEN and now_s >= post.again_at_s:
            post.restarts += 1
            self._spawn(post)
        elif post.state is State.STARTING:
            self._look_whether_ready(post, now_s)
        elif post.state is State.READY:
            self._look_whether_alive(post, now_s)

    def _look_whether_ready(self, post: _Post, now_s: float) -> None:
        assert post.process is not None
        if not post.child.once and post.child.ready(post.process.pid):
            self._enter(post, State.READY)
        elif now_s - post.state_at_s > post.child.ready_s:
            log.warning("child_not_ready_in_time", child=post.child.name, ready_s=post.child.ready_s)
            self._kill(post)

    def _look_whether_alive(self, post: _Post, now_s: float) -> None:
        assert post.process is not None
        if post.falls and now_s - post.state_at_s > STABLE_S:
            post.falls = 0
        if post.child.alive is None or now_s - post.asked_at_s < LIVENESS_INTERVAL_S:
            return
        post.asked_at_s = now_s
        post.misses = 0 if post.child.alive(post.process.pid) else post.misses + 1
        if post.misses >= post.child.misses_max:
            log.warning("child_not_alive", child=post.child.name, misses=post.misses)
            self._kill(post)

    def _spawn(self, post: _Post) -> None:
        post.misses = 0
        self._enter(post, State.STARTING)
        try:
            if post.child.before:
                post.child.before()
            post.process = _spawn(post.child)
            post.started_s = start_of(post.process.pid)
        except OSError as error:
            log.warning("child_not_startable", child=post.child.name, error=str(error))
            self._fall(post, self.clock.monotonic_s())
        else:
            self.changed(self.statuses())

    def _ended(self, post: _Post, exit_code: int, now_s: float) -> None:
        assert post.process is not None
        _kill_group(post.process.pid)
        post.process, post.exit_code = None, exit_code
        if post.child.once and exit_code == 0:
            self._enter(post, State.DONE)
        else:
            log.warning("child_fell", child=post.child.name, exit_code=exit_code, restarts=post.restarts)
            self._fall(post, now_s)

    def _fall(self, post: _Post, now_s: float) -> None:
        """Full jitter between half and the whole of the doubled pause, so that fallen children do not march in step."""
        pause_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**post.falls)
        post.falls += 1
        post.again_at_s = now_s + pause_s * self.clock.chance.uniform(0.5, 1.0)
        self._enter(post, State.FALLEN)

    def _end(self, post: _Post, pause: Callable[[float], object]) -> None:
        process = post.process
        assert process is not None
        self._enter(post, State.STOPPING)
        until_s = self.clock.monotonic_s() + post.child.stop_s
        _send(process, post.child.stop_signal)
        while process.poll() is None and self.clock.monotonic_s() < until_s:
            pause(0.02)
        if process.poll() is None:
            log.warning("child_killed_while_stopping", child=post.child.name, stop_s=post.child.stop_s)
            process.kill()
        post.exit_code = process.wait()
        _kill_group(process.pid)
        post.process = None
        self._enter(post, State.STOPPED)

    def _kill(self, post: _Post) -> None:
        """By force; `_ended` sees it fall at the next tick."""
        if post.process is not None:
            _send(post.process, signal.SIGKILL)

    def _enter(self, post: _Post, state: State) -> None:
        post.state, post.since_ms, post.state_at_s = state, self.clock.now_ms(), self.clock.monotonic_s()
        log.debug("child_state_changed", child=post.child.name, state=state)
        self.changed(self.statuses())


def _spawn(child: Child) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches us alone and its offspring can be ended with it.

    `Popen` drops the user before it calls `preexec_fn`; the death signal has to be asked for after
    that, because the kernel forgets it when a process changes its user.
    """
    account = child.account
    child.log_file.parent.mkdir(parents=True, exist_ok=True)
    with child.log_file.open("ab") as out:
        return subprocess.Popen(  # noqa: S603  the programs are our own and the engines'
            child.argv,
            env=dict(child.environment),
            cwd=child.cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=die_with_parent(child.death_signal),  # noqa: PLW1509  we have one thread
        )


def die_with_parent(death_signal: signal.Signals, parent: int = 0) -> Callable[[], None] | None:
    """What a child calls before it becomes its program; nothing where there is no such thing as a death signal.

    Args:
        death_signal: Sent to the child when its parent is gone.
        parent: Whose end counts, this process's when it is left out.
    """
    if _LIBC is None:
        return None
    parent = parent or os.getpid()

    def ask() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before we could ask
            os._exit(1)

    return ask


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def start_of(pid: int) -> float:
    """When the process started, as the system tells it; 0 when it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def is_running(pid: int, started_s: float) -> bool:
    """Whether the pid still is that process, and not another or a zombie."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started_s) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_leftovers(left: Sequence[ChildStatus], pause: Callable[[float], object], patience_s: float = 10.0) -> list[str]:
    """End the children of a supervisor that was killed; the names of those that were still there.

    Raises:
        Unavailable: One of them does not go.
    """
    running = [status for status in left if status.pid and is_running(status.pid, status.started_s)]
    for status in running:
        _signal(status.pid, signal.Signals(status.death_signal))
    waited_s = 0.0
    while rest := [status for status in running if is_running(status.pid, status.started_s)]:
        if waited_s > patience_s:
            raise Unavailable(f"{rest[0].name} of the last run (pid {rest[0].pid}) does not end.", "End it by hand.")
        if waited_s > patience_s / 2:
            for status in rest:
                _signal(status.pid, signal.SIGKILL)
        pause(0.05)
        waited_s += 0.05
    for status in left:
        if status.pid and not psutil.pid_exists(status.pid) and status.started_s > psutil.boot_time():
            _kill_group(status.pid)  # its leader is gone and the number not used again: the group is still ours
    return [status.name for status in running]


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        _signal(process.pid, number)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _kill_group(leader_pid: int) -> None:
    """End what a child left behind. A group that lives keeps its number from being used again."""
    try:
        os.killpg(leader_pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def rotate(log_file: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
    """Copy a log that has grown large aside and empty it.

    The child keeps its descriptor, opened for appending, through our restarts and its own; the few
    lines that it may write between the copy and the cut are lost, which a log can bear.
    """
    if not log_file.exists() or log_file.stat().st_size <= bytes_max:
        return
    for number in range(LOG_FILES_MAX - 1, 0, -1):
        older = log_file.with_suffix(f".{number}.log")
        if older.exists():
            older.replace(log_file.with_suffix(f".{number + 1}.log"))
    try:
        shutil.copyfile(log_file, log_file.with_suffix(".1.log"))
    except OSError as error:  # no room for the copy: the cut makes some
        log.warning("log_not_kept", file=str(log_file), error=str(error))
    os.truncate(log_file, 0)


def log_tail(log_file: Path) -> str:
    """What a log said last, in one line."""
    if not log_file.exists():
        return "it has no log."
    with log_file.open("rb") as stream:
        stream.seek(max(0, log_file.stat().st_size - LOG_TAIL_BYTES))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return f"{_sentence(lines[-1]) if lines else 'it said nothing.'} (more in {log_file})"


def _sentence(line: str) -> str:
    """The heart of a log line: of one of ours, its error or the last line of its traceback."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line  # the tail may begin within a line, or it is an engine's
    if not isinstance(fields, dict):
        return line
    said = fields.get("error") or str(fields.get("exception", "")).strip().rsplit("\n", 1)[-1]
    return str(said or fields.get("message", line))
