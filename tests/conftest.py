"""Real engines for every test that wants one: started once a session (and pytest-xdist worker), on free ports."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from cerebro.kernel.bus.port import Bus
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.children import Child, Supervisor
from cerebro.kernel.clock import SystemClock, VirtualClock
from cerebro.kernel.engines.ground import answers_http, make_directory
from cerebro.kernel.engines.nats import nats_url, prepare_nats
from cerebro.kernel.engines.postgres import postgres_url as url_of_postgres
from cerebro.kernel.engines.postgres import prepare_postgres
from cerebro.kernel.engines.store import clickhouse_url
from cerebro.kernel.settings import EngineSettings, HttpSettings, Settings, as_environment
from cerebro.spine.identity import TenantId

# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def quick_place() -> str | None:
    """Memory, where there is plenty: tests kill processes, not machines, so that a real disk would prove no more."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30 else None


def _pause(duration_s: float) -> bool:
    time.sleep(duration_s)
    return False


@pytest.fixture(scope="session")
def make_settings() -> Iterator[Callable[..., Settings]]:
    """A maker of settings with a fresh directory and free ports each; `engines={...}` and other fields go through."""
    roots: list[Path] = []

    def make(engines: dict | None = None, **fields: object) -> Settings:
        root = Path(tempfile.mkdtemp(prefix="cbr-", dir=quick_place()))  # short: a socket's path has 107 bytes
        root.chmod(0o755)  # PostgreSQL's own user passes through it
        roots.append(root)
        ports = free_ports(3)
        named = {"nats_port": ports[0], "store_port": ports[1], "disk_free_bytes_min": 1 << 20} | (engines or {})
        fields.setdefault("http", HttpSettings(port=ports[2]))
        fields.setdefault("data_dir", make_directory(root / "data", 0o711))
        fields.setdefault("runtime_dir", make_directory(root / "run", 0o711))
        return Settings(engines=EngineSettings(**named), **fields)

    yield make
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """The settings that the engines of this session run by."""
    return make_settings()


@pytest.fixture(scope="session")
def run_child() -> Iterator[Callable[[Child], Supervisor]]:
    """Start one child process and wait until it is ready; it ends with the session."""
    started: list[Supervisor] = []

    def run(child: Child) -> Supervisor:
        supervisor = Supervisor([child], SystemClock())
        started.append(supervisor)
        supervisor.start(_pause)
        return supervisor

    yield run
    for supervisor in reversed(started):
        supervisor.stop(_pause)


@pytest.fixture(scope="session")
def nats_server(settings: Settings, run_child: Callable[[Child], Supervisor]) -> str:
    """The URL of a real NATS server, with its password."""
    run_child(prepare_nats(settings))
    return nats_url(settings)


@pytest.fixture
async def bus(nats_server: str) -> AsyncIterator[Bus]:
    """A connection to the real bus, with every stream of the house declared."""
    from cerebro.kernel.bus.nats import NatsBus

    connected = await NatsBus.connect(nats_server)
    for stream in ALL:
        await connected.declare(stream)
    yield connected
    await connected.close()


@pytest.fixture(scope="session")
def postgres_url(settings: Settings, run_child: Callable[[Child], Supervisor]) -> str:
    """The URL of a real PostgreSQL with an empty database `cerebro`."""
    run_child(prepare_postgres(settings))
    return url_of_postgres(settings)


@pytest.fixture(scope="session")
def store_url(settings: Settings, run_child: Callable[[Child], Supervisor]) -> str:
    """The URL of a real `store` role: chDB behind the ClickHouse protocol."""
    run_child(
        Child(
            name="store",
            argv=(sys.executable, "-m", "cerebro.kernel.telemetry.gateway"),
            environment=as_environment(settings),
            log_file=settings.data_dir / "logs" / "store.log",
            ready=lambda _pid: answers_http(settings.engines.store_port, "/ping"),
        )
    )
    return clickhouse_url(settings)


@pytest.fixture
def clock() -> VirtualClock:
    """Time that stands still until a test moves it."""
    return VirtualClock()


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> TenantId:
    """A tenant that no other test has."""
    return TenantId(f"t{SystemClock().new_id().replace('-', '')[-20:]}")


@pytest.fixture
def cerebro(settings: Settings) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line by the settings of this session."""

    def run(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cerebro.cli.main", *arguments],
            env=as_environment(settings), capture_output=True, text=True, timeout=timeout_s,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def as_root() -> bool:
    """Whether the tests run as root, whom no permission stops."""
    return os.geteuid() == 0
