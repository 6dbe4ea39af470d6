"""How soon Cerebro is there, and what it weighs when nothing happens."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.instance import Instance, free_ports, instance
from cerebro.cli.client import Client
from cerebro.kernel.directory import owner_of
from cerebro.kernel.settings import Settings, child_environment
from cerebro.spine.errors import CerebroError, Unavailable

IDLE_S = 60


def run() -> Sequence[Figure]:
    """Start from a clean clone, start again, and weigh."""
    figures = [_from_clone()] if Path("Makefile").exists() and Path(".git").exists() else []
    with instance() as cerebro:
        cerebro.cerebro("down")
        again_s = _timed(lambda: cerebro.cerebro("up", "--detach"))
        seen_s = _timed(lambda: _wait_for_host(cerebro))
        time.sleep(IDLE_S)
        return [
            *figures,
            Figure("start again to ready", round(again_s, 1), "s", floor=20, goal=8),
            Figure("start again to live host figures", round(again_s + seen_s, 1), "s", floor=60, goal=20),
            Figure(
                "memory idle, PSS of every process", round(weight_mib(cerebro.data_dir)), "MiB", floor=2048, goal=1024
            ),
        ]


def weight_mib(data_dir: Path) -> float:
    """The proportional set size of everything that runs on this data directory."""
    supervisor = psutil.Process(owner_of(data_dir))
    return sum(each.memory_full_info().pss for each in (supervisor, *supervisor.children(recursive=True))) / (1 << 20)


def _from_clone() -> Figure:
    """Clone this checkout, `make up` with packages from pip's cache, wait for figures of this host."""
    with tempfile.TemporaryDirectory(prefix="cbr-") as name:
        root = Path(name)
        root.chmod(0o755)
        subprocess.run(["git", "clone", "-q", ".", str(root / "clone")], check=True)  # noqa: S603, S607
        ports = free_ports(3)
        environment = child_environment(
            CEREBRO_DATA_DIR=str(root / "data"),
            CEREBRO_RUNTIME_DIR=str(root / "run"),
            CEREBRO_HTTP__PORT=str(ports[0]),
            CEREBRO_ENGINES__NATS_PORT=str(ports[1]),
            CEREBRO_ENGINES__STORE_PORT=str(ports[2]),
        )
        start_s = time.monotonic()
        try:
            _make("up", root / "clone", environment)
            _wait_for_host(Instance(f"http://127.0.0.1:{ports[0]}", "", root / "data", environment))
            return Figure(
                "`make up` from a clean clone to live host data", round(time.monotonic() - start_s, 1), "s", 120, 60
            )
        finally:
            _make("down", root / "clone", environment)


def _make(target: str, where: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603
        ["make", "-C", str(where), target], env=environment, capture_output=True, text=True, timeout=600, check=False,  # noqa: S607
    )  # fmt: skip
    if done.returncode:
        raise Unavailable(f"make {target} failed: {(done.stderr or done.stdout)[-2000:]}")


def _wait_for_host(cerebro: Instance) -> None:
    """Return once a figure of this host can be queried."""
    key = (cerebro.data_dir / "cli.key").read_text().strip()
    client = Client(Settings(), cerebro.url, key)
    query = "SELECT count() FROM samples WHERE at > now() - INTERVAL 1 MINUTE AND hour >= now() - INTERVAL 2 HOUR"
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        try:
            if int(client.post("/api/v1/sql", {"query": query})["rows"][0][0]):
                return
        except CerebroError:
            pass
        time.sleep(0.25)
    raise Unavailable("No figure of this host could be queried within a minute.")


def _timed(work: Callable[[], object]) -> float:
    start_s = time.monotonic()
    work()
    return time.monotonic() - start_s
