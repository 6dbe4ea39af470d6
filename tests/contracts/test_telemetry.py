"""What every driver of telemetry promises."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.kernel.settings import RetentionSettings
from cerebro.kernel.telemetry.clickhouse import ClickHouseTelemetry
from cerebro.kernel.telemetry.memory import MemoryTelemetry
from cerebro.kernel.telemetry.migrate import migrate
from cerebro.kernel.telemetry.port import Window
from cerebro.spine.errors import Invalid, Unavailable
from cerebro.spine.identity import TenantId

START_MS = 1_795_000_000_000


@pytest.fixture(params=["memory", "clickhouse"])
async def telemetry(request):
    if request.param == "memory":
        driver = MemoryTelemetry()
    else:
        driver = ClickHouseTelemetry(request.getfixturevalue("store_url"))
        await migrate(driver, RetentionSettings(metrics_days=3650))
    yield driver
    await driver.close()


def rows(tenant, count=10, hi=1, lo=2, start_ms=START_MS, step_ms=1000):
    at_ms = start_ms + np.arange(count) * step_ms
    return pa.table(
        {
            "tenant": [tenant] * count,
            "hi": pa.array([hi] * count, pa.uint64()),
            "lo": pa.array([lo] * count, pa.uint64()),
            "at": pa.array(at_ms).cast(pa.timestamp("ms", "UTC")),
            "value": np.arange(count, dtype=float),
        }
    )


EVER = Window(0, START_MS * 2)


async def test_what_is_inserted_is_found_in_time_order(telemetry, tenant):
    """Late rows take their place."""
    await telemetry.insert("samples", rows(tenant, 3, start_ms=START_MS + 60_000), dedup_token=f"{tenant}-b")
    await telemetry.insert("samples", rows(tenant, 3), dedup_token=f"{tenant}-a")

    found = await telemetry.samples(tenant, [(1, 2)], EVER)

    assert found[1, 2]["at_ms"].to_pylist() == [START_MS + k for k in (0, 1000, 2000, 60_000, 61_000, 62_000)]
    assert found[1, 2]["value"].to_pylist() == [0, 1, 2, 0, 1, 2]
    assert found[1, 2].schema.names == ["at_ms", "value"]


async def test_a_token_stores_once(telemetry, tenant):
    """A retry after a lost answer changes nothing; another token is another block."""
    for token in ("one", "one", "two", "one"):
        await telemetry.insert("samples", rows(tenant), dedup_token=f"{tenant}-{token}")

    assert (await telemetry.samples(tenant, [(1, 2)], EVER))[1, 2].num_rows == 20


async def test_the_window_is_half_open(telemetry, tenant):
    """`start_ms <= at < end_ms`."""
    await telemetry.insert("samples", rows(tenant), dedup_token=f"{tenant}-a")

    found = await telemetry.samples(tenant, [(1, 2)], Window(START_MS + 1000, START_MS + 3000))

    assert found[1, 2]["value"].to_pylist() == [1, 2]
    assert await telemetry.samples(tenant, [(1, 2)], Window(START_MS + 1, START_MS + 1)) == {}


async def test_only_the_tenants_and_the_series_asked_for(telemetry, tenant):
    """Neighbours in the table are not neighbours in the answer; ids use all 64 bits."""
    high = (1 << 64) - 1
    await telemetry.insert("samples", rows(tenant, hi=high, lo=high), dedup_token=f"{tenant}-a")
    await telemetry.insert("samples", rows(tenant, hi=high, lo=5), dedup_token=f"{tenant}-b")
    await telemetry.insert("samples", rows(f"{tenant}x", hi=high, lo=high), dedup_token=f"{tenant}-c")

    found = await telemetry.samples(tenant, [(high, high), (7, 7)], EVER)

    assert list(found) == [(high, high)]
    assert found[high, high].num_rows == 10
    assert await telemetry.samples(TenantId("nobody"), [(high, high)], EVER) == {}
    assert await telemetry.samples(tenant, [], EVER) == {}


async def test_rows_that_do_not_fit_are_refused_whole(telemetry, tenant):
    """A column of another name is the caller's mistake, and leaves nothing behind."""
    await telemetry.insert("samples", rows(tenant), dedup_token=f"{tenant}-a")
    with pytest.raises(Invalid):
        await telemetry.insert(
            "samples", rows(tenant).rename_columns(["tenant", "hi", "low", "at", "value"]), dedup_token=f"{tenant}-b"
        )

    assert (await telemetry.samples(tenant, [(1, 2)], EVER))[1, 2].num_rows == 10


async def test_nothing_inserted_is_nothing_stored(telemetry, tenant):
    """An empty block does not spend its token."""
    await telemetry.insert("samples", rows(tenant, 0), dedup_token=f"{tenant}-a")
    await telemetry.insert("samples", rows(tenant, 1), dedup_token=f"{tenant}-a")

    assert (await telemetry.samples(tenant, [(1, 2)], EVER))[1, 2].num_rows == 1


async def test_after_close_it_is_unavailable(telemetry, tenant):
    """Closing twice is safe; using it says so."""
    await telemetry.close()
    await telemetry.close()

    with pytest.raises(Unavailable):
        await telemetry.insert("samples", rows(tenant), dedup_token=f"{tenant}-a")


async def test_memory_knows_no_sql():
    """And says what does."""
    with pytest.raises(Unavailable, match="SQL needs ClickHouse"):
        await MemoryTelemetry().query("SELECT 1")
    with pytest.raises(Unavailable, match="SQL needs ClickHouse"):
        await MemoryTelemetry().command("DROP TABLE samples")
