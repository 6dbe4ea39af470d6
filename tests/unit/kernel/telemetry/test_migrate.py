"""Migrations: their statements, their distributed form, their order."""

from cerebro.kernel.settings import RetentionSettings
from cerebro.kernel.telemetry.migrate import distributed_form, migrations, retention_of, statements_of


def test_statements_end_with_the_line():
    """A `;` inside a line, and comments, are not ends."""
    text = "-- a comment; with one\nCREATE TABLE a (x String DEFAULT ';' );\n\n-- more\nSELECT 1;\n"

    assert statements_of(text) == ("CREATE TABLE a (x String DEFAULT ';' )", "SELECT 1")


def test_numbers_are_dense_and_statements_may_run_twice():
    """1, 2, 3 …; every statement says IF NOT EXISTS or is harmless."""
    found = migrations()

    assert [each.version for each in found] == list(range(1, len(found) + 1))
    assert all("IF NOT EXISTS" in statement for each in found for statement in each.statements)


def test_the_distributed_form_names_the_cluster_and_replicates():
    """Nothing else changes."""
    form = distributed_form("CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = AggregatingMergeTree ORDER BY x", "main")

    assert form.startswith("CREATE TABLE IF NOT EXISTS a ON CLUSTER 'main' (")
    assert "ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')" in form
    assert distributed_form("ALTER TABLE a MODIFY TTL x", "main") == "ALTER TABLE a ON CLUSTER 'main' MODIFY TTL x"


def test_retention_follows_the_settings():
    """Each signal its own."""
    found = "\n".join(
        retention_of(RetentionSettings(metrics_days=1, rollup_days=2, logs_days=3, traces_days=4, events_days=5))
    )

    for table, days in {"samples": 1, "samples_5m": 2, "samples_1h": 2, "logs": 3, "spans": 4, "events": 5}.items():
        assert f"ALTER TABLE {table} MODIFY TTL" in found and f"INTERVAL {days} DAY" in found
