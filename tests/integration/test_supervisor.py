"""Children that are started, kept, and never outlive whoever started them. All of it with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise

import psutil
import pytest

from cerebro.kernel.children import (
    Account,
    Child,
    State,
    Supervisor,
    end_leftovers,
    is_running,
    log_tail,
    rotate,
    start_of,
)
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.engines.ground import need_free_port, unprivileged
from cerebro.kernel.lifecycle import run_process
from cerebro.spine.errors import Invalid, Unavailable

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def pause(duration_s):
    time.sleep(duration_s)
    return False


def until(condition, within_s=10.0):
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


@pytest.fixture
def child(tmp_path):
    """A maker of children that run a line of shell."""

    def make(script, name="child", **how):
        argv = ("/bin/sh", "-c", script)
        return Child(name=name, argv=argv, environment=ENVIRONMENT, log_file=tmp_path / f"{name}.log", **how)

    return make


@pytest.fixture
def supervise():
    """A maker of started supervisors; they are stopped afterwards."""
    made = []

    def make(*children, **how):
        supervisor = Supervisor(children, SystemClock(), **how)
        made.append(supervisor)
        supervisor.start(pause)
        return supervisor

    yield make
    for supervisor in made:
        supervisor.stop(pause)


def kept(supervisor, condition, within_s=10.0):
    """Tick until the condition holds."""

    def look():
        supervisor.tick()
        return condition()

    return until(look, within_s)


def test_a_killed_child_is_started_again(supervise, child):
    """With another pid, counted, and told to whoever wants to know."""
    told = []
    supervisor = supervise(child("exec sleep 60"), changed=lambda statuses: told.append(statuses[0].state))
    before = supervisor.statuses()[0]
    os.kill(before.pid, signal.SIGKILL)

    kept(
        supervisor, lambda: supervisor.statuses()[0].state is State.READY and supervisor.statuses()[0].pid != before.pid
    )
    after = supervisor.statuses()[0]
    assert (after.restarts, after.exit_code) == (1, -signal.SIGKILL)
    assert told[-3:] == [State.FALLEN, State.STARTING, State.READY] or State.FALLEN in told


def test_pauses_between_falls_grow(supervise, child, tmp_path):
    """A child that falls at once is not started in a busy loop. A busy machine may stretch any pause, never cut it."""

    def pauses_of(path):
        path.touch()  # a child counts as started before its shell has written anything
        supervisor = supervise(child(f"date +%s.%N >> {path}; exec sleep 0.05"))
        kept(supervisor, lambda: len(path.read_text().split()) >= 5)
        return [later - earlier for earlier, later in pairwise(float(word) for word in path.read_text().split())]

    tried = [pauses_of(tmp_path / f"starts{number}") for number in range(2)]
    assert all(pauses[3] > 0.7 for pauses in tried)
    assert tried[0][3] > 2 * min(pauses[0] for pauses in tried)


def test_each_stage_waits_for_the_one_before(supervise, child, tmp_path):
    """The second stage starts when every child of the first is ready; a child that runs once has to end well."""
    mark = tmp_path / "mark"
    first = child(f"sleep 0.3; touch {mark}; exec sleep 60", "first", ready=lambda _pid: mark.exists())
    once = child(f"test -e {mark} && echo migrated", "once", stage=1, once=True)
    last = child("exec sleep 60", "last", stage=2)
    supervisor = supervise(first, once, last)

    assert [status.state for status in supervisor.statuses()] == [State.READY, State.DONE, State.READY]
    assert "migrated" in log_tail(once.log_file)


def test_a_child_that_cannot_start_is_named_with_its_words(child, tmp_path):
    """Not a silent loop: one sentence with the end of its log."""
    supervisor = Supervisor(
        [child("echo the disk is on fire; exit 3", "postgres", ready=lambda _pid: False)], SystemClock()
    )
    with pytest.raises(Unavailable, match=r"postgres does not start: the disk is on fire .*postgres\.log"):
        supervisor.start(pause)


def test_a_child_that_is_not_there_is_named(child, tmp_path):
    """No such program."""
    gone = Child(name="gone", argv=("/no/such/program",), environment={}, log_file=tmp_path / "gone.log")
    with pytest.raises(Unavailable, match="gone does not start"):
        Supervisor([gone], SystemClock()).start(pause)


def test_they_stop_in_reverse_each_by_its_signal(supervise, child, tmp_path):
    """PostgreSQL is asked by SIGINT, others by SIGTERM."""
    script = "trap 'echo {0} $(date +%s%N) >> {1}/ends; exit 0' {0}; touch {1}/{2}; while :; do sleep 0.02; done"
    first = child(
        script.format("INT", tmp_path, "a"),
        "a",
        stop_signal=signal.SIGINT,
        ready=lambda _pid: (tmp_path / "a").exists(),
    )
    second = child(script.format("TERM", tmp_path, "b"), "b", ready=lambda _pid: (tmp_path / "b").exists())
    supervise(first, second).stop(pause)
    ends = [line.split() for line in (tmp_path / "ends").read_text().splitlines()]
    assert [word for word, _ in ends] == ["TERM", "INT"]
    assert int(ends[0][1]) < int(ends[1][1])


def test_who_will_not_stop_is_killed_with_its_offspring(supervise, child, tmp_path):
    """The end is bounded, and nothing of a child stays."""
    script = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/pid; touch {tmp_path}/up; while :; do sleep 0.1; done"
    supervisor = supervise(child(script, stop_s=0.3, ready=lambda _pid: (tmp_path / "up").exists()))
    offspring = int((tmp_path / "pid").read_text())
    began = time.monotonic()
    supervisor.stop(pause)
    assert time.monotonic() - began < 3
    until(lambda: not psutil.pid_exists(offspring) or psutil.Process(offspring).status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_hangs_is_started_again(supervise, child, monkeypatch):
    """Alive is what answers, not what has a pid."""
    monkeypatch.setattr("cerebro.kernel.children.LIVENESS_INTERVAL_S", 0.05)
    supervisor = supervise(child("exec sleep 60", alive=lambda _pid: False, misses_max=3))
    before = supervisor.statuses()[0].pid
    kept(supervisor, lambda: supervisor.statuses()[0].pid not in (0, before))


PARENT = """
import os, sys, time
from pathlib import Path
from cerebro.kernel.children import Account, Child, Supervisor
from cerebro.kernel.clock import SystemClock
logs, uid = Path(sys.argv[1]), int(sys.argv[2])
account = Account("nobody", uid, uid) if uid else None
children = [Child(name=n, argv=("/bin/sleep", "60"), environment={}, log_file=logs / n, account=account) for n in "ab"]
supervisor = Supervisor(children, SystemClock())
supervisor.start(lambda s: bool(time.sleep(s)))
print(*(status.pid for status in supervisor.statuses()), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a death signal is Linux's")
@pytest.mark.parametrize("account", [None, unprivileged()], ids=["ourselves", "another user"])
def test_children_die_with_a_killed_supervisor(tmp_path, account):
    """PR_SET_PDEATHSIG holds, also for a child whose user was dropped, which forgets a signal set before."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path, str(account.uid if account else 0)], stdout=subprocess.PIPE, text=True
    )
    pids = [int(word) for word in parent.stdout.readline().split()]
    children = [(pid, start_of(pid)) for pid in pids]
    assert all(is_running(*each) for each in children)
    if account:
        assert {psutil.Process(pid).uids().real for pid in pids} == {account.uid}

    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not any(is_running(*each) for each in children), within_s=3)


def test_leftovers_of_a_killed_supervisor_are_ended(child, tmp_path):
    """Where there is no death signal, or it comes late: the next start ends them by pid and start, never another's."""
    supervisor = Supervisor(
        [child("trap '' TERM; while :; do sleep 0.1; done", death_signal=signal.SIGTERM)], SystemClock()
    )
    supervisor.start(pause)
    (status,) = supervisor.statuses()

    other = type(status)(**{name: getattr(status, name) for name in status.__slots__} | {"started_s": 1.0})
    assert end_leftovers([other], pause) == []
    assert is_running(status.pid, status.started_s)
    assert end_leftovers([status], pause, patience_s=1.0) == ["child"]
    supervisor.stop(pause)


def test_logs_are_kept_small(tmp_path):
    """The writer's descriptor stays good; the oldest goes."""
    file = tmp_path / "x.log"
    with file.open("ab", buffering=0) as writer:
        for turn in range(5):
            writer.write(b"%d" % turn * 2000)
            rotate(file, bytes_max=1000)
        writer.write(b"end")
    assert file.read_bytes() == b"end"
    assert [each.name for each in sorted(tmp_path.iterdir())] == ["x.1.log", "x.2.log", "x.3.log", "x.log"]
    assert (tmp_path / "x.1.log").read_bytes() == b"4" * 2000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("FATAL:  no room", "FATAL:  no room"),
        ('{"message": "process_ended", "error": "The port is taken."}', "The port is taken."),
        ('{"message": "process_crashed", "exception": "Traceback\\n  File x\\nKeyError: 1"}', "KeyError: 1"),
        ('{"message": "stopped"}', "stopped"),
        ("", "it said nothing."),
    ],
)
def test_what_a_log_said_last_is_one_line(tmp_path, line, said):
    """An engine's words as they are, the heart of ours."""
    (tmp_path / "x.log").write_text(f"earlier\n{line}\n" if line else "")
    assert log_tail(tmp_path / "x.log") == f"{said} (more in {tmp_path / 'x.log'})"


def test_a_taken_port_names_its_owner():
    """And the setting to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        name = psutil.Process().name()
        with pytest.raises(
            Invalid, match=rf"Port {port} is taken by pid {os.getpid()} \({name}\).*CEREBRO_X"
        ) as caught:
            need_free_port(port, "CEREBRO_X")
    assert "\n" not in str(caught.value)
    need_free_port(port, "CEREBRO_X")


def test_a_process_ends_in_order_on_sigterm():
    """Exit code 0: it was asked to."""

    async def main(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()

    assert run_process(main) == 0


def test_an_account_is_chosen_for_root_alone(monkeypatch):
    """Anyone else runs the database as themselves."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged() is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert isinstance(unprivileged(), Account)
