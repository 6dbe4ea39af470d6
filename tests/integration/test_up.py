"""`up` around the real PostgreSQL and NATS: one owner, orderly ends, recovery after every kind of kill."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import psycopg
import pytest

from cerebro.kernel.bus.nats import NatsBus
from cerebro.kernel.bus.port import StreamSpec
from cerebro.kernel.bus.retry import retrying
from cerebro.kernel.children import Supervisor, is_running
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.engines.ground import unprivileged, unreachable_step
from cerebro.kernel.engines.nats import nats_url, prepare_nats
from cerebro.kernel.engines.postgres import postgres_url, prepare_postgres, reachable_programs
from cerebro.kernel.settings import as_environment
from cerebro.kernel.supervise import down, status
from cerebro.spine.errors import Invalid

NOBODY = 65534

# The plan without our own roles: they have tests of their own.
UP = """
import sys
from cerebro.kernel import supervise
from cerebro.kernel.engines.nats import prepare_nats
from cerebro.kernel.engines.postgres import prepare_postgres
from cerebro.kernel.settings import load_settings
from cerebro.spine.errors import CerebroError

supervise.plan = lambda settings, progress: [prepare_postgres(settings, progress), prepare_nats(settings)]
try:
    supervise.up(load_settings(), detach="--detach" in sys.argv, progress=print)
except CerebroError as error:
    sys.exit(f"{error.code}: {error}")
assert not {"numpy", "numba", "pyarrow", "chdb", "pandas"} & set(sys.modules)
"""


@pytest.fixture
def place(make_settings):
    """Settings of a Cerebro of its own; whatever runs there is ended."""
    settings = make_settings()
    yield settings
    down(settings)


def up(settings, *arguments, background=False):
    command = dict(args=[sys.executable, "-c", UP, *arguments], env=as_environment(settings), text=True)  # noqa: C408
    if background:
        return subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    return subprocess.run(**command, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)


def until(condition, within_s=10.0):
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def ask(settings, sql):
    with psycopg.connect(postgres_url(settings)) as connection:
        return connection.execute(sql).fetchone()


def all_ready(settings):
    found = status(settings)
    return found if found and all(each["state"] == "ready" for each in found) else None


def state_of(settings):
    return json.loads((settings.data_dir / "state.json").read_text())


def test_up_detached_then_status_then_down(place):
    """It returns when all is ready, tells how each fares, and leaves nothing behind."""
    done = up(place, "--detach")
    assert done.returncode == 0, done.stderr
    assert "postgres is ready" in done.stdout
    assert "nats is ready" in done.stdout
    assert [(each["name"], each["state"], each["restarts"]) for each in status(place)] == [
        ("postgres", "ready", 0),
        ("nats", "ready", 0),
    ]
    assert ask(place, "select 1") == (1,)
    pids = [each["pid"] for each in status(place)]

    assert down(place)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert status(place) == []
    assert not down(place)
    assert not (place.data_dir / "pg" / "data" / "postmaster.pid").exists()


def test_a_second_up_is_one_line_with_the_pid(place):
    """And the first does not notice."""
    assert up(place, "--detach").returncode == 0
    pids = [each["pid"] for each in status(place)]
    for how in ((), ("--detach",)):
        second = up(place, *how)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"already runs on {place.data_dir} (pid {state_of(place)['pid']})" in second.stderr
    assert [each["pid"] for each in status(place)] == pids


def test_a_taken_port_is_one_line_before_anything_starts(place, nats_server, settings):
    """Here the one of the session's own server."""
    engines = place.engines.model_copy(update={"nats_port": settings.engines.nats_port})
    refused = up(place.model_copy(update={"engines": engines}))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"Port {settings.engines.nats_port} is taken by pid" in refused.stderr
    assert "(nats-server): free it or set CEREBRO_ENGINES__NATS_PORT" in refused.stderr


async def test_what_was_acknowledged_survives_a_kill_of_everything(place):
    """The supervisor killed: its children die with it; the next `up` recovers; rows and messages are there."""
    assert up(place, "--detach").returncode == 0
    with psycopg.connect(postgres_url(place)) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (42)")
    bus = await NatsBus.connect(nats_url(place))
    await bus.declare(StreamSpec("m", ("m.*",), 1 << 20, 3600))
    assert await bus.publish("m.a", b"x", dedup_key="k") == 1

    for _ in range(3):
        state = state_of(place)
        children = [(each["pid"], each["started_s"]) for each in state["children"]]
        os.kill(state["pid"], signal.SIGKILL)
        again = up(place, "--detach")
        assert again.returncode == 0, again.stderr
        assert not any(is_running(*each) for each in children)
    assert ask(place, "select n from kept") == (42,)
    found = await retrying(lambda: bus.read("m", after=0, count_max=9, bytes_max=999, wait_s=0), SystemClock())
    assert [m.body for m in found] == [b"x"]
    await bus.close()


@pytest.mark.parametrize("name", ["postgres", "nats"])
def test_a_killed_engine_is_back_in_seconds(place, name):
    """PostgreSQL with its orphaned backends, NATS with its store; three times each."""
    assert up(place, "--detach").returncode == 0
    busy = psycopg.connect(postgres_url(place))  # holds a backend that outlives its postmaster
    for turn in range(3):
        victim = next(each for each in all_ready(place) if each["name"] == name)
        os.kill(victim["pid"], signal.SIGKILL)
        until(lambda victim=victim: victim["pid"] not in [each["pid"] for each in all_ready(place) or [victim]], 15)
        assert ask(place, "select 1") == (1,), turn
    busy.close()


def test_a_stale_lock_of_postgres_is_no_obstacle(place):
    """`postmaster.pid` with a number that is someone else's today, and a socket nobody listens on."""
    assert up(place, "--detach").returncode == 0
    lock = place.data_dir / "pg" / "data" / "postmaster.pid"
    words = lock.read_text()
    assert down(place)
    lock.write_text(words.replace(words.split()[0], "1", 1))
    (place.runtime_dir / "pg" / ".s.PGSQL.5432.lock").write_text("1\n")

    assert up(place, "--detach").returncode == 0
    assert ask(place, "select 1") == (1,)


def test_in_the_foreground_it_ends_on_ctrl_c(place):
    """Ctrl-C reaches the supervisor alone; the children end in order, the last first."""
    running = up(place, background=True)
    until(lambda: all_ready(place))
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 0, said
    assert said.index("nats has stopped") < said.index("postgres has stopped")


def test_ctrl_c_while_starting_ends_it_too(place):
    """Nothing is left of a start that was broken off."""
    running = up(place, background=True)
    until((place.data_dir / "state.json").exists)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 0, said
    assert not status(place)


def test_a_socket_path_too_long_is_one_line(place):
    """A Unix socket may have 107 bytes."""
    with pytest.raises(Invalid, match="CEREBRO_RUNTIME_DIR"):
        prepare_postgres(place.model_copy(update={"runtime_dir": place.runtime_dir / ("x" * 90)}))


@pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")
def test_a_directory_that_the_database_cannot_reach_is_one_line(place, tmp_path):
    """Root's own home is the usual one."""
    tmp_path.chmod(0o700)
    with pytest.raises(Invalid, match=r"cannot pass through .*chmod o\+x"):
        prepare_postgres(place.model_copy(update={"data_dir": tmp_path / "data"}))


@pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")
def test_programs_that_the_database_user_cannot_reach_are_copied(place, tmp_path):
    """A virtual environment in root's own home is the usual one."""
    tmp_path.chmod(0o700)
    install = reachable_programs(place, None).parent
    hidden = tmp_path / install.parent.name / install.name
    shutil.copytree(install, hidden)
    libraries = install.parents[1] / f"{install.parent.name}.libs"
    shutil.copytree(libraries, tmp_path / libraries.name)
    engines = place.engines.model_copy(update={"postgres_programs": hidden / "bin"})
    hiding = place.model_copy(update={"engines": engines})

    assert unreachable_step(hidden)
    copied = reachable_programs(hiding, unprivileged())
    assert copied.is_relative_to(place.data_dir)
    supervisor = Supervisor([prepare_postgres(hiding)], SystemClock())
    supervisor.start(lambda pause_s: bool(time.sleep(pause_s)))
    assert ask(hiding, "select 1") == (1,)
    supervisor.stop(time.sleep)


def _run_as_nobody(settings):
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    supervisor = Supervisor([prepare_postgres(settings), prepare_nats(settings)], SystemClock())
    supervisor.start(lambda pause_s: bool(time.sleep(pause_s)))
    answer = ask(settings, "select current_user::text")
    uids = [psutil.Process(status.pid).uids().real for status in supervisor.statuses()]
    supervisor.stop(time.sleep)
    return answer, uids


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_an_ordinary_user_runs_the_engines_as_themselves(place):
    """No account is changed to, none is needed."""
    for each in (place.data_dir, place.runtime_dir):
        os.chown(each, NOBODY, NOBODY)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_run_as_nobody, [place]) == (("cerebro",), [NOBODY, NOBODY])


def test_the_database_keeps_what_matters_and_lets_nobody_in(place):
    """Durable, checksummed, no TCP, a password even from here."""
    assert up(place, "--detach").returncode == 0
    with psycopg.connect(postgres_url(place)) as connection:
        for name, value in {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_compression": "pglz",
            "listen_addresses": "", "data_checksums": "on", "password_encryption": "scram-sha-256", "TimeZone": "UTC",
            "server_encoding": "UTF8",
        }.items():  # fmt: skip
            assert connection.execute(f"show {name}").fetchone() == (value,), name
        connection.execute("create extension vector")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"host={place.runtime_dir}/pg user=cerebro dbname=cerebro password=wrong")
