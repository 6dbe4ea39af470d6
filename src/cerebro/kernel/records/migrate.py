"""Bring the database to the form this Cerebro knows: numbered migrations, each once, in order.

Several may start at once: an advisory lock lets one work and the others find it done. The tables
of background jobs are procrastinate's own; its migrations are applied the same way.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg
from procrastinate.schema import SchemaManager

from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.faults import postgres_faults
from cerebro.spine.errors import Invalid

log = get_log(__name__)
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

LOCK = 0x43_45_52_45  # "CERE": of the advisory lock, one for all migrations of a database
FILE = re.compile(r"(\d{4})_(\w+)\.sql")
BOOKS = """
CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS job_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step, as its file has it."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def known_migrations() -> tuple[Migration, ...]:
    """The steps in `migrations/`, in order: `0001_access.sql` and so on, without a gap."""
    files = (resources.files("cerebro.kernel.records") / "migrations").iterdir()
    found = [(FILE.fullmatch(file.name), file) for file in files]
    steps = sorted(
        (Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")) for match, file in found if match),
        key=lambda step: step.number,
    )
    assert [step.number for step in steps] == list(range(1, len(steps) + 1)), "migrations have a gap or a double"
    return tuple(steps)


async def migrate(url: str, steps: Sequence[Migration] | None = None) -> tuple[str, ...]:
    """Apply what is missing and return the names of what was applied, in order.

    A step that fails leaves the database as it was before that step.

    Raises:
        Invalid: The database was written by a newer Cerebro, or a step it has applied was changed since.
        Unavailable: The database does not answer. Nothing is half done: try again.
    """
    steps = known_migrations() if steps is None else steps
    with postgres_faults():
        connection: Connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
        async with connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            await connection.execute(BOOKS)
            applied = [*await _own(connection, steps), *await _jobs(connection)]
    if applied:
        log.info("database_migrated", steps=applied)
    return tuple(applied)


async def _own(connection: Connection, steps: Sequence[Migration]) -> list[str]:
    cursor = await connection.execute("SELECT number, name, checksum FROM migrations ORDER BY number")
    done = await cursor.fetchall()
    _check(done, steps)
    for step in steps[len(done) :]:
        async with connection.transaction():
            await connection.execute(step.text.encode())
            await connection.execute(
                "INSERT INTO migrations (number, name, checksum) VALUES (%s, %s, %s)",
                (step.number, step.name, step.checksum),
            )
    return [step.name for step in steps[len(done) :]]


def _check(done: Sequence[tuple[Any, ...]], steps: Sequence[Migration]) -> None:
    if len(done) > len(steps):
        raise Invalid(
            f"The database was written by a newer Cerebro: it is at migration {done[-1][0]} ({done[-1][1]}), "
            f"and this Cerebro knows {len(steps)}.",
            "Start the newer version, or restore the backup made before the upgrade.",
        )
    for (number, name, checksum), step in zip(done, steps, strict=False):
        if checksum != step.checksum:
            raise Invalid(
                f"Migration {number} ({name}) is not the one this database was made with.",
                "A migration is never edited: add another one.",
            )


async def _jobs(connection: Connection) -> list[str]:
    """Procrastinate's schema: whole at first, then each of its own migrations that is new."""
    files = sorted(resources.files("procrastinate.sql").joinpath("migrations").iterdir(), key=lambda file: file.name)
    known = {file.name: file for file in files if file.name.endswith(".sql")}
    done = {row[0] for row in await (await connection.execute("SELECT name FROM job_migrations")).fetchall()}
    missing = [name for name in known if name not in done]
    async with connection.transaction():
        texts = [known[name].read_text(encoding="utf-8") for name in missing] if done else [SchemaManager.get_schema()]
        for text in texts if missing else ():
            await connection.execute(text.encode())
        for name in missing:
            await connection.execute("INSERT INTO job_migrations (name) VALUES (%s)", (name,))
    return [f"jobs {name}" for name in missing] if done else ["jobs"] * bool(missing)
