"""The recorder writes every message once: with engines that die, with readers that die, with bad messages."""

import asyncio
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from cerebro.kernel.bus.position import places
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.telemetry import recorder
from cerebro.kernel.telemetry.blocks import METRICS
from cerebro.kernel.telemetry.recorder import Recorder
from cerebro.spine.errors import LimitReached, Unavailable
from cerebro.spine.telemetry import SampleBatch, no_series
from cerebro.spine.wire import encode_samples

COUNTS = """
SELECT (SELECT count() FROM samples WHERE tenant = {t:String}) AS samples,
       (SELECT count() FROM series WHERE tenant = {t:String}) AS series,
       (SELECT sum(count) FROM samples_5m WHERE tenant = {t:String}) AS in_5m,
       (SELECT sum(count) FROM samples_1h WHERE tenant = {t:String}) AS in_1h
"""
SUMS = """
SELECT (SELECT sum(value) FROM samples WHERE tenant = {t:String}) AS raw,
       (SELECT sum(sum) FROM samples_5m WHERE tenant = {t:String}) AS in_5m,
       (SELECT sum(sum) FROM samples_1h WHERE tenant = {t:String}) AS in_1h
"""


async def publish(bus, tenant, batches, name):
    for number, batch in enumerate(batches):
        last = await bus.publish(
            f"telemetry.{tenant}.metrics", encode_samples(batch), dedup_key=f"{tenant}{name}{number}"
        )
    return last


async def recorded(bus, last):
    found = (await places(bus, "metrics")).get("recorder")
    return found is not None and found.after >= last


async def record_until(last, bus, telemetry, eventually):
    stop = asyncio.Event()
    task = asyncio.create_task(Recorder(METRICS, bus, telemetry, SystemClock(), "test").run(stop))
    await eventually(lambda: recorded(bus, last))
    stop.set()
    await task


async def counts(telemetry, tenant):
    return (await telemetry.query(COUNTS, {"t": tenant})).to_pylist()[0]


async def test_a_death_at_any_step_loses_and_repeats_nothing(bus, telemetry, tenant, make_batch, record, eventually):
    """kill -9 after the intent, between the tables, before and after the commit: every row is there once."""
    steps = ["intended", "series inserted", "samples inserted", "committed", "samples inserted"]
    expected = []
    for number, step in enumerate(steps):
        batches = [make_batch(400, seed=number * 3 + k) for k in range(3)]
        expected += batches
        last = await publish(bus, tenant, batches, step + str(number))
        assert await asyncio.to_thread(record(step).wait, 20) == -9

    record("never")
    await eventually(lambda: recorded(bus, last))

    total = 400 * 3 * len(steps)
    assert await counts(telemetry, tenant) == dict.fromkeys(("samples", "series", "in_5m", "in_1h"), total)
    sums = (await telemetry.query(SUMS, {"t": tenant})).to_pylist()[0]
    assert list(sums.values()) == pytest.approx([sum(batch.value.sum() for batch in expected)] * 3)


async def test_the_answer_of_an_insert_is_lost_again_and_again(bus, telemetry, tenant, make_batch, eventually):
    """Every insert succeeds and says it did not, twice: the token makes it one."""
    last = await publish(bus, tenant, [make_batch(500, seed=k) for k in range(4)], "lost")
    await record_until(last, bus, Forgetful(telemetry), eventually)

    assert await counts(telemetry, tenant) == dict.fromkeys(("samples", "series", "in_5m", "in_1h"), 2000)


class Forgetful:
    """Telemetry whose answers are lost two times out of three."""

    def __init__(self, telemetry):
        self._telemetry, self._count = telemetry, 0

    async def insert(self, table, rows, *, dedup_token):
        await self._telemetry.insert(table, rows, dedup_token=dedup_token)
        self._count += 1
        if self._count % 3:
            raise Unavailable("The answer was lost.")


async def test_bad_messages_are_set_aside_and_stop_nobody(bus, telemetry, tenant, make_batch, eventually):
    """Not Arrow, another kind, a time no table can hold, values that are not finite."""
    odd = SampleBatch(
        np.array([1, 1, 1, 1], np.uint64),
        np.array([1, 2, 3, 4], np.uint64),
        np.array([-5, 1_795_000_000_000, 1_795_000_000_000, 1 << 60], np.int64),
        np.array([1.0, np.nan, np.inf, 2.0]),
        no_series(),
    )
    await bus.publish(f"telemetry.{tenant}.metrics", b"not a message", dedup_key=f"{tenant}-bad1")
    await bus.publish(f"telemetry.{tenant}.metrics", encode_samples(odd)[:60], dedup_key=f"{tenant}-bad2")
    last = await publish(bus, tenant, [odd, make_batch(10)], "odd")
    await record_until(last, bus, telemetry, eventually)

    assert await counts(telemetry, tenant) == {"samples": 12, "series": 10, "in_5m": 10, "in_1h": 10}


async def test_the_store_dies_while_it_inserts(make_store, tenant):
    """kill -9 at odd moments leaves a part of the block in a part of the tables: the same token again completes it."""
    store, count = make_store(), 100_000
    telemetry = await store.open()
    for number, pause_s in enumerate((0.05, 0.1, 0.15)):
        rows = samples(tenant, count, number)
        task = asyncio.create_task(telemetry.insert("samples", rows, dedup_token=f"{number}"))
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(store.kill_and_start)
        with suppress(Unavailable):
            await task
        await telemetry.insert("samples", rows, dedup_token=f"{number}")

        found = await counts(telemetry, tenant)
        assert found == {"samples": count * (number + 1), "series": 0} | dict.fromkeys(
            ("in_5m", "in_1h"), count * (number + 1)
        )
    await telemetry.close()


def samples(tenant, count, seed):
    chance = np.random.default_rng(seed)
    at_ms = 1_795_000_000_000 + chance.integers(0, 3 * 86_400_000, count)  # four days: as many parts
    ids = chance.integers(0, 50_000, count).astype(np.uint64)
    at = pa.array(at_ms).cast(pa.timestamp("ms", "UTC"))
    return pa.table(
        {"tenant": [tenant] * count, "hi": ids % np.uint64(7), "lo": ids, "at": at, "value": chance.random(count)}
    )


async def test_the_recorder_waits_for_a_store_that_is_down(make_store, bus, tenant, make_batch, eventually):
    """Down before it starts and in the middle: nothing is lost, nobody has to lend a hand."""
    store = make_store()
    telemetry = await store.open()
    store.process.kill()
    store.process.wait()
    await publish(bus, tenant, [make_batch(300, seed=1)], "down")
    stop = asyncio.Event()
    task = asyncio.create_task(Recorder(METRICS, bus, telemetry, SystemClock(), "test").run(stop))
    await asyncio.sleep(0.8)
    await asyncio.to_thread(store.start)
    last = await publish(bus, tenant, [make_batch(300, seed=2)], "again")
    await eventually(lambda: recorded(bus, last))
    stop.set()
    await task

    assert await counts(telemetry, tenant) == dict.fromkeys(("samples", "series", "in_5m", "in_1h"), 600)
    await telemetry.close()


async def test_a_full_disk_is_a_limit_and_passes(make_store, tenant):
    """A store without the room it needs takes nothing in and says so; with room again it takes the same block."""
    store = make_store()
    telemetry = await store.open()
    await asyncio.to_thread(store.kill_and_start, disk_free_bytes_min=1 << 55)
    with pytest.raises(LimitReached, match="disk"):
        await telemetry.insert("samples", samples(tenant, 10, 1), dedup_token="full")
    await asyncio.to_thread(store.kill_and_start, disk_free_bytes_min=1 << 20)
    await telemetry.insert("samples", samples(tenant, 10, 1), dedup_token="full")

    assert (await counts(telemetry, tenant))["in_5m"] == 10
    await telemetry.close()


async def test_two_recorders_write_each_message_once(bus, telemetry, tenant, make_batch, eventually, monkeypatch):
    """The later one takes the place; the earlier stands by, and takes over when the later is gone with work undone."""
    monkeypatch.setattr(recorder, "STAND_BY_S", 1.0)
    stops = [asyncio.Event(), asyncio.Event()]
    tasks = []
    for number, stop in enumerate(stops):
        tasks.append(asyncio.create_task(Recorder(METRICS, bus, telemetry, SystemClock(), f"test {number}").run(stop)))
        last = await publish(bus, tenant, [make_batch(200, seed=number)], f"two{number}")
        await eventually(lambda: recorded(bus, last))  # noqa: B023  awaited at once
    stops[1].set()
    await tasks[1]
    last = await publish(bus, tenant, [make_batch(200, seed=2)], "two2")
    await eventually(lambda: recorded(bus, last))
    stops[0].set()
    await tasks[0]

    assert await counts(telemetry, tenant) == dict.fromkeys(("samples", "series", "in_5m", "in_1h"), 600)
