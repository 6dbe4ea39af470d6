"""The role `migrate`: bring both databases to this version, make the streams, let the first people in."""

import os
from pathlib import Path

from cerebro.app.drivers import open_kernel
from cerebro.app.front import gate_of
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.engines.postgres import postgres_url
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.migrate import migrate as migrate_records
from cerebro.kernel.settings import Settings
from cerebro.kernel.telemetry.migrate import migrate as migrate_telemetry
from cerebro.spine.identity import DEFAULT_TENANT

log = get_log(__name__)

CLI_KEY = "cli.key"
CLI_NAME = "command line of this machine"
FIRST_LOGIN = "first-login"
ACTOR = "cerebro"


async def migrate(settings: Settings) -> None:
    """Run it as often as you like: it does what is missing."""
    await migrate_records(postgres_url(settings))
    async with open_kernel(settings) as kernel:
        await migrate_telemetry(kernel.telemetry, settings.retention)
        for stream in ALL:
            await kernel.bus.declare(stream)
        await _let_in(kernel)
    log.info("installation_migrated")


async def _let_in(kernel: Kernel) -> None:
    """The first admin, whose password `up` shows once, and the key of this machine's command line."""
    gate, data_dir = gate_of(kernel), kernel.settings.data_dir
    if password := await gate.users.ensure_first_admin(DEFAULT_TENANT):
        _write(data_dir / FIRST_LOGIN, f"admin\n{password}\n")
    if not (data_dir / CLI_KEY).exists():
        scopes = ("ingest", "read", "respond", "operate", "admin")
        new = await gate.keys.renew(DEFAULT_TENANT, CLI_NAME, scopes, actor=ACTOR)
        _write(data_dir / CLI_KEY, new.text + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
