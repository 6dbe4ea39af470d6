"""SQL that a person wrote sees its tenant's rows and nothing else, whatever it says."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.spine.errors import CerebroError, Forbidden, Invalid, LimitReached

SECRET = "the-others-secret"
START_MS = 1_795_000_000_000


filled: set[str] = set()


@pytest.fixture
async def two_tenants(telemetry, store_url):
    """Ten rows of ours, a hundred of another tenant with a secret in its logs: written once for each store."""
    for name, count, body in (("ours", 10, "ours"), ("other", 100, SECRET)):
        if f"{store_url}/{name}" not in filled:
            filled.add(f"{store_url}/{name}")
            await fill(telemetry, name, count, body)
    return "ours"


async def fill(telemetry, name, count, body):
    at = pa.array(START_MS + np.arange(count)).cast(pa.timestamp("ms", "UTC"))
    ids = pa.array(np.arange(count), pa.uint64())
    rows = pa.table({"tenant": [name] * count, "hi": ids, "lo": ids, "at": at, "value": np.ones(count)})
    await telemetry.insert("samples", rows, dedup_token=f"confine-{name}")
    logs = pa.table({"tenant": [name] * count, "at": at.cast(pa.timestamp("ns", "UTC")), "body": [body] * count})
    await telemetry.insert("logs", logs, dedup_token=f"confine-{name}")


OURS = [
    ("SELECT count() FROM samples", [10]),
    ("SELECT count() FROM cerebro.samples AS s", [10]),
    ("SELECT count() FROM samples AS logs", [10]),
    ("SELECT sum(count) FROM samples_5m", [10]),
    ("SELECT sum(count) FROM samples_1h FINAL", [10]),
    ("SELECT uniqExact(tenant) FROM logs", [1]),
    ("SELECT count() FROM samples WHERE tenant = 'other'", [0]),
    ("SELECT count() FROM samples WHERE tenant = 'other' OR 1", [10]),
    ("SELECT count() FROM samples PREWHERE tenant = 'other' OR 1", [10]),
    ("SELECT count() FROM samples UNION ALL SELECT count() FROM logs", [10, 10]),
    ("SELECT (SELECT count() FROM samples)", [10]),
    ("WITH everything AS (SELECT * FROM samples) SELECT count() FROM everything", [10]),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT count() FROM r, samples",
        [30],
    ),
    ("SELECT count() FROM samples AS a JOIN samples AS b ON a.lo = b.lo", [10]),
    ("SELECT count() FROM samples AS a FULL JOIN logs AS b ON a.tenant = b.tenant AND 0", [20]),
    ("SELECT count() FROM samples AS a, samples AS b", [100]),
    ("SELECT count() FROM samples WHERE lo IN (SELECT lo FROM samples)", [10]),
    ("SELECT count() FROM (SELECT * FROM (SELECT * FROM cerebro.logs))", [10]),
    ("SELECT max(tenant = 'other') FROM samples", [0]),
    ("SELECT countIf(body LIKE '%secret%') FROM logs", [0]),
    ("SELECT sum(number) FROM numbers(5) AS n;", [10]),
    ("FROM samples SELECT count() -- a comment", [10]),
    ("SELECT count() FROM samples WHERE {p:String} = 'a'' OR 1 --' OR 1", [10]),
]


@pytest.mark.parametrize("sql, expected", OURS)
async def test_honest_and_sly_questions_see_our_rows(telemetry, two_tenants, sql, expected):
    """The filter holds under every shape of SELECT."""
    found = await telemetry.query(sql, {"p": "x"} if "{p:" in sql else None, tenant=two_tenants)

    assert found.column(0).to_pylist() == expected


HOSTILE = [
    "SELECT count() FROM samples SETTINGS additional_table_filters = {}",
    "SELECT count() FROM samples SETTINGS readonly = 0",
    "SELECT * FROM (SELECT * FROM logs SETTINGS additional_table_filters = {'cerebro.logs': '1'})",
    "SET additional_table_filters = {}",
    "SELECT 1; SELECT body FROM logs",
    "SELECT 1; DROP TABLE logs",
    "SELECT body FROM logs PARALLEL WITH SELECT 1",
    "SELECT * FROM merge('cerebro', '.*')",
    "SELECT * FROM merge('^samples')",
    "SELECT * FROM remote('127.0.0.1', 'cerebro.logs')",
    "SELECT * FROM cluster('default', cerebro.logs)",
    "SELECT * FROM view(SELECT * FROM logs)",
    "SELECT * FROM viewIfPermitted(SELECT * FROM logs ELSE null('x Int8'))",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/a', 'CSV')",
    "SELECT * FROM executable('id', 'TSV', 'x String')",
    "SELECT * FROM sqlite('/tmp/a', 'b')",
    "SELECT * FROM loop(cerebro.logs)",
    "SELECT * FROM mergeTreeIndex('cerebro', 'logs')",
    "SELECT * FROM mergeTreeProjection('cerebro', 'logs', 'p')",
    "SELECT * FROM dictionary('d')",
    "SELECT * FROM input('x Int8')",
    "SELECT * FROM samples_to_5m",
    "SELECT * FROM cerebro.samples_to_1h",
    "SELECT * FROM `samples_to_5m` AS samples",
    "SELECT * FROM `.inner.samples`",
    "SELECT * FROM schema_versions",
    "SELECT * FROM system.tables",
    "SELECT * FROM `system`.`parts`",
    "SELECT * FROM system.query_log UNION ALL SELECT * FROM system.processes",
    "SELECT (SELECT count() FROM system.parts)",
    "SELECT toUInt8((SELECT any(name) FROM system.tables))",
    "WITH samples AS (SELECT * FROM system.columns) SELECT * FROM samples",
    "SELECT 'samples' IN system.tables",
    "SELECT ('a', 'b') GLOBAL NOT IN (system.tables)",
    "SELECT count() FROM samples WHERE lo IN (SELECT lo FROM samples_to_5m)",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM INFORMATION_SCHEMA.COLUMNS",
    "SELECT * FROM default.anything",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT joinGet('cerebro.logs', 'body', 1)",
    "SELECT file('/etc/passwd')",
    "SELECT FILE('/etc/passwd')",
    "SELECT getSetting('additional_table_filters')",
    "SELECT hasColumnInTable('system', 'tables', 'name')",
    "SELECT hostName()",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM numbers(1000)",
    "SELECT reverseDNSQuery('127.0.0.1')",
    "INSERT INTO samples SELECT * FROM samples",
    "INSERT INTO FUNCTION file('/tmp/stolen') SELECT * FROM logs",
    "SELECT * FROM logs INTO OUTFILE '/tmp/stolen' FORMAT CSV",
    "SELECT * FROM logs INTO OUTFILE '/tmp/stolen'",
    "SELECT * FROM logs FORMAT Null",
    "CREATE TABLE mine AS logs",
    "CREATE TEMPORARY TABLE mine AS SELECT * FROM logs",
    "CREATE VIEW mine AS SELECT * FROM logs",
    "ALTER TABLE logs DELETE WHERE 1",
    "DELETE FROM logs WHERE 1",
    "TRUNCATE TABLE logs",
    "DROP TABLE logs",
    "RENAME TABLE logs TO mine",
    "OPTIMIZE TABLE logs FINAL",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO cerebro",
    "EXPLAIN SELECT * FROM logs",
    "DESCRIBE TABLE system.tables",
    "SHOW TABLES",
    "USE system",
    "ATTACH TABLE x UUID '00000000-0000-0000-0000-000000000001'",
    "BACKUP TABLE logs TO File('/tmp/stolen')",
    "SELECT 1 /* */ ; /* */ SELECT body FROM logs",
    "SELECT * FROM logs WHERE body = $$a;b$$",
    "",
    "   ;;  ",
    "not sql",
    "SELECT 'x' AS `a\nTableIdentifier samples`, * FROM `system`.`one\n`",
]


@pytest.mark.parametrize("sql", HOSTILE)
async def test_hostile_statements_are_refused(telemetry, two_tenants, sql):
    """Refused with a sentence, and the sentence does not carry what was asked for."""
    with pytest.raises((Forbidden, Invalid)) as refusal:
        await telemetry.query(sql, tenant=two_tenants)

    assert SECRET not in str(refusal.value)
    assert (await telemetry.query("SELECT count() AS n FROM logs WHERE tenant = 'other'")).to_pylist() == [{"n": 100}]


LEAKY = [
    "SELECT throwIf(count() > 0, any(body)) FROM logs",
    "SELECT toUInt64(any(body)) FROM logs",
    "SELECT CAST(body AS UInt64) FROM logs WHERE tenant = 'other'",
    "SELECT intDiv(1, count() - 110) FROM samples",
    "SELECT JSONExtract(any(body), 'Tuple(UInt8)') FROM logs",
]


@pytest.mark.parametrize("sql", LEAKY)
async def test_errors_tell_nothing_of_others(telemetry, two_tenants, sql):
    """A failing expression has seen our rows only."""
    try:
        found = str(await telemetry.query(sql, tenant=two_tenants))
    except CerebroError as error:
        found = str(error)

    assert SECRET not in found


@pytest.mark.parametrize("tenant_name", ["a' OR '1'='1", "\\' OR 1 --", "x'}", "other\\", ""])
async def test_a_tenant_is_a_value_not_sql(telemetry, two_tenants, tenant_name):
    """Whatever it is called."""
    found = await telemetry.query("SELECT count() AS n FROM logs", tenant=tenant_name)

    assert found.to_pylist() == [{"n": 0}]


async def test_a_question_has_limits(telemetry, two_tenants):
    """Memory and result size of one query end with a limit, not with the store."""
    with pytest.raises(LimitReached):
        await telemetry.query("SELECT groupArray(number) FROM numbers(1000000000) AS n", tenant=two_tenants)
    with pytest.raises(LimitReached):
        await telemetry.query("SELECT number, toString(number) FROM numbers(100000000) AS n", tenant=two_tenants)
