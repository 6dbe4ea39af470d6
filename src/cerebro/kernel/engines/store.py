"""The embedded ClickHouse: our own `store` role, which owns chDB and speaks ClickHouse's HTTP protocol."""

import sys
from collections.abc import Callable
from urllib.parse import quote

from cerebro.kernel.children import Child
from cerebro.kernel.engines.ground import LOOPBACK, answers_http, need_free_port
from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.settings import Settings, as_environment

USER = "cerebro"
DATABASE = "cerebro"


def clickhouse_url(settings: Settings) -> str:
    """Where telemetry is, with the password of the embedded store."""
    if settings.engines.clickhouse_url:
        return settings.engines.clickhouse_url
    password = load_secrets(settings.data_dir).store_password
    return f"http://{USER}:{quote(password, safe='')}@{LOOPBACK}:{settings.engines.store_port}/{DATABASE}"


def prepare_store(settings: Settings) -> Child:
    """Say how it is started.

    Raises:
        Invalid: The port is taken.
    """
    port = settings.engines.store_port
    need_free_port(port, "CEREBRO_ENGINES__STORE_PORT")
    pings: Callable[[int], bool] = lambda _pid: answers_http(port, "/ping")  # noqa: E731  used twice in a line
    return role("store", settings, ready=pings, alive=pings, stop_s=20.0)


def role(roles: str, settings: Settings, *, name: str = "", **how: object) -> Child:
    """One process of Cerebro itself running these roles (names with commas), under a name of its own or theirs."""
    name = name or roles
    return Child(
        name=name,
        argv=(sys.executable, "-m", "cerebro.cli.main", "run", roles),
        environment=as_environment(settings),
        log_file=settings.data_dir / "logs" / f"{name}.log",
        **how,  # type: ignore[arg-type]
    )
