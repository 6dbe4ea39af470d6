"""A Cerebro of its own for a benchmark: fresh directory, free ports, gone afterwards."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from cerebro.kernel.settings import child_environment
from cerebro.spine.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Instance:
    """A running Cerebro.

    Args:
        url: Of its HTTP door.
        key: The command line's own key: every permission.
        data_dir: Where it keeps everything.
        environment: With which any `cerebro` command speaks to it.
    """

    url: str
    key: str
    data_dir: Path
    environment: dict[str, str]

    def cerebro(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run the command line against this instance; what it printed.

        Raises:
            Unavailable: It failed; the detail holds what it said.
        """
        done = subprocess.run(  # noqa: S603  our own command with our own words
            [sys.executable, "-m", "cerebro.cli.main", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Unavailable(f"cerebro {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout

    def make_key(self, *scopes: str) -> str:
        """A new API key with these scopes."""
        words = [word for scope in scopes for word in ("--scope", scope)]
        return self.cerebro("key", "add", f"bench-{'-'.join(scopes)}-{token_hex(3)}", *words).strip()


@contextmanager
def instance(*, home: Path | None = None, **settings: str) -> Iterator[Instance]:
    """Start a Cerebro, wait until it is ready, and remove it afterwards.

    Args:
        home: An empty directory for everything it keeps; a temporary one by default.
        settings: Environment names without `CEREBRO_`, such as `SUPPORT__NOISE_BUDGET="20"`.
    """
    root = home or Path(tempfile.mkdtemp(prefix="cbr-"))
    root.chmod(0o755)  # PostgreSQL's own user passes through it
    ports = free_ports(3)
    own = {
        "DATA_DIR": str(root / "data"),
        "RUNTIME_DIR": str(root / "run"),
        "HTTP__PORT": str(ports[0]),
        "ENGINES__NATS_PORT": str(ports[1]),
        "ENGINES__STORE_PORT": str(ports[2]),
    }
    environment = child_environment(**{f"CEREBRO_{name}": value for name, value in (own | settings).items()})
    made = Instance(f"http://127.0.0.1:{ports[0]}", "", root / "data", environment)
    try:
        made.cerebro("up", "--detach", timeout_s=180)
        key = (root / "data" / "cli.key").read_text().strip()
        yield Instance(made.url, key, made.data_dir, environment)
    finally:
        made.cerebro("down", timeout_s=60)
        shutil.rmtree(root, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
