"""Numbered migrations of the telemetry tables, and their retention as the settings say it.

A migration is a file `schema/NNNN_name.sql` of statements that may run twice. What has been applied
stands in the table `schema_versions` with the file's digest. Retention is no migration: it follows
the settings at every start.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from cerebro.kernel.observe.log import get_log
from cerebro.kernel.settings import RetentionSettings
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.spine.errors import Invalid

log = get_log(__name__)

FILE = re.compile(r"(\d{4})_(\w+)\.sql")
VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_versions (
    version UInt32, name String, digest String, applied DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = MergeTree ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a version of the tables to the next."""

    version: int
    name: str
    digest: str
    statements: tuple[str, ...]


def migrations() -> Sequence[Migration]:
    """Every migration of this release, in order."""
    found = [
        (match, file)
        for file in files(__package__).joinpath("schema").iterdir()
        if (match := FILE.fullmatch(file.name))
    ]
    ordered = sorted(found, key=lambda each: each[1].name)
    return [_migration(int(match[1]), match[2], file.read_text()) for match, file in ordered]


async def migrate(telemetry: Telemetry, retention: RetentionSettings, cluster: str = "") -> int:
    """Bring the tables to this release, and their retention to the settings; return the version they now have.

    Run it from one process at a time. With `cluster`, the statements take their distributed form.

    Raises:
        Invalid: The tables are newer than this release, or a migration was changed after it was applied.
    """
    await telemetry.command(_form(VERSIONS, cluster))
    applied = await telemetry.query("SELECT version, name, digest FROM schema_versions ORDER BY version")
    digests = {row["version"]: row["digest"] for row in applied.to_pylist()}
    known = migrations()
    _check(digests, known)
    for migration in known:
        if migration.version not in digests:
            await _apply(telemetry, migration, cluster)
    await _keep(telemetry, retention, cluster)
    return known[-1].version


def statements_of(text: str) -> tuple[str, ...]:
    """The statements of a file: each ends with `;` at the end of a line."""
    bare = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    return tuple(part.strip() for part in re.split(r";\s*$", bare, flags=re.MULTILINE) if part.strip())


def distributed_form(statement: str, cluster: str) -> str:
    """The statement as a cluster runs it: on every node, on replicated tables."""
    on = re.sub(
        r"\A(CREATE (?:TABLE|MATERIALIZED VIEW) IF NOT EXISTS \w+|ALTER TABLE \w+)",
        rf"\1 ON CLUSTER '{cluster}'",
        statement.strip(),
    )
    return re.sub(
        r"ENGINE = (\w*MergeTree)\b",
        r"ENGINE = Replicated\1('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')",
        on,
    ).replace("non_replicated_deduplication_window", "replicated_deduplication_window")


def retention_of(retention: RetentionSettings) -> Sequence[str]:
    """The statements that give every table the life that the settings say."""
    lives = {
        "samples": ("hour", retention.metrics_days),
        "samples_5m": ("hour", retention.rollup_days),
        "samples_1h": ("hour", retention.rollup_days),
        "logs": ("hour", retention.logs_days),
        "spans": ("hour", retention.traces_days),
        "events": ("toDateTime(at)", retention.events_days),
    }
    return [f"ALTER TABLE {table} MODIFY TTL {column} + INTERVAL {days} DAY" for table, (column, days) in lives.items()]


def _migration(version: int, name: str, text: str) -> Migration:
    return Migration(version, name, hashlib.sha256(text.encode()).hexdigest(), statements_of(text))


def _form(statement: str, cluster: str) -> str:
    return distributed_form(statement, cluster) if cluster else statement


def _check(digests: dict[int, str], known: Sequence[Migration]) -> None:
    if (newest := max(digests, default=0)) > known[-1].version:
        raise Invalid(
            f"The telemetry tables have version {newest}; this release knows {known[-1].version}.", "Upgrade Cerebro."
        )
    changed = [each.name for each in known if digests.get(each.version, each.digest) != each.digest]
    if changed:
        raise Invalid(f"The migration {changed[0]} was changed after it had been applied.", "Write a new one instead.")


async def _apply(telemetry: Telemetry, migration: Migration, cluster: str) -> None:
    for statement in migration.statements:
        await telemetry.command(_form(statement, cluster))
    row = f"({migration.version}, '{migration.name}', '{migration.digest}')"
    await telemetry.command(f"INSERT INTO schema_versions (version, name, digest) VALUES {row}")  # noqa: S608  all ours
    log.info("telemetry_migrated", version=migration.version, name=migration.name)


async def _keep(telemetry: Telemetry, retention: RetentionSettings, cluster: str) -> None:
    """Change a table's TTL only where it differs: a change makes the engine look at every part."""
    found = await telemetry.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")
    engines = {row["name"]: row["engine_full"] for row in found.to_pylist()}
    for statement in retention_of(retention):
        table, wanted = (
            statement.split()[2],
            re.sub(r"INTERVAL (\d+) DAY", r"toIntervalDay(\1)", statement.split(" TTL ")[1]),
        )
        if f"TTL {wanted}" not in engines.get(table, ""):
            await telemetry.command(_form(statement, cluster))
            log.info("retention_changed", table=table, life=wanted)
