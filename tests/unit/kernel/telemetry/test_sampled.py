"""Traces that are thinned: unbiased sums, every odd one kept, whole traces, the same again after a death."""

import asyncio

import numpy as np
import pyarrow as pa
import pytest

from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.position import places
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.telemetry.memory import MemoryTelemetry
from cerebro.kernel.telemetry.sampled import Known, SampledRecorder, choose, note_watched
from cerebro.spine.telemetry import SPAN_SCHEMA
from cerebro.spine.wire import Kind, encode_table

START_NS = 1_795_000_000_000_000_000
SPANS = 4  # of a trace


def traces(count, seed=0, *, start_s=0.0, lasting_s=5.0, failing=0, rare=0):
    """Whole traces of four spans; the first `failing` fail, the next `rare` call what the others do not."""
    chance = np.random.default_rng(seed)
    at_ns = START_NS + ((start_s + chance.random(count) * lasting_s) * 1e9).astype(np.int64)
    rows = {name: [""] * (count * SPANS) for name in SPAN_SCHEMA.names}
    number = np.repeat(np.arange(count), SPANS)
    place = np.tile(np.arange(SPANS), count)
    rows["at_ns"] = np.repeat(at_ns, SPANS)
    rows["duration_ns"] = (chance.lognormal(16, 1, count * SPANS)).astype(np.int64)
    rows["trace_id"] = [f"{seed:08x}{n:024x}" for n in number]
    rows["span_id"] = [f"{seed:04x}{n:08x}{k:04x}" for n, k in zip(number, place, strict=True)]
    rows["parent_span_id"] = [f"{seed:04x}{n:08x}{k - 1:04x}" if k else "" for n, k in zip(number, place, strict=True)]
    is_rare = (number >= failing) & (number < failing + rare) & (place == SPANS - 1)
    rows["name"] = [f"refund {n % 3}" if odd else f"op{k}" for n, k, odd in zip(number, place, is_rare, strict=True)]
    rows["kind"], rows["status"] = [2] * len(number), np.where((number < failing) & (place == SPANS - 1), 2, 1)
    rows["entity_kind"], rows["entity_name"] = ["service"] * len(number), [f"s{k}" for k in place]
    rows |= {"service": rows["entity_name"], "attributes": [[]] * len(number), "resource": [[]] * len(number)}
    return pa.table(rows, schema=SPAN_SCHEMA)


def thinned(table, per_s, watched=frozenset(), known=None, later=()):
    chosen = choose([table], later, known or Known(), per_s, watched)
    return chosen.tables[0], chosen


def test_all_is_kept_within_the_limit():
    kept, chosen = thinned(traces(100), 1000.0)
    assert kept.num_rows == 400 and kept["weight"].to_pylist() == [1.0] * 400 and not chosen.dropped


def test_odd_traces_are_kept_whole_and_the_rest_within_the_limit():
    table = traces(5000, failing=60, rare=6)
    kept, chosen = thinned(table, 400.0)
    names = set(kept["trace_id"].to_pylist())
    ids = table["trace_id"].to_pylist()[::SPANS]
    assert set(ids[:66]) <= names
    slowest = np.argmax(table["duration_ns"].to_numpy())
    assert table["trace_id"][slowest].as_py() in names
    assert kept.num_rows == SPANS * len(names)
    assert kept.num_rows == pytest.approx(2000, rel=0.15)
    assert sum(chosen.dropped.values()) == table.num_rows - kept.num_rows
    assert set(chosen.dropped) == {"ordinary"}


def test_traces_of_open_cases_are_kept_and_errors_beyond_the_limit_are_thinned():
    table = traces(2000, failing=0, rare=20)
    kept, _ = thinned(table.set_column(11, "entity_name", _named(table)), 400.0, frozenset({"service/case"}))
    assert set(table["trace_id"].to_pylist()[: 20 * SPANS]) <= set(kept["trace_id"].to_pylist())
    kept, chosen = thinned(traces(5000, failing=5000), 400.0)
    assert kept.num_rows == pytest.approx(1600, rel=0.15) and set(chosen.dropped) == {"error"}


def _named(table):
    names = ["case" if name.startswith("refund") else "shop" for name in table["name"].to_pylist()]
    return pa.array(names)


def test_counts_errors_and_quantiles_are_unbiased():
    """Over many sets of traces the mean of each estimate is the truth, within four of its standard errors."""
    misses = {name: [] for name in ("spans", "errors", "seconds", "op", "slow")}
    for seed in range(60):
        table = traces(600, seed, failing=200, rare=15)
        kept, _ = thinned(table, 100.0)
        for name, count in _sums(kept).items():
            misses[name].append(count - _sums(table)[name])
    for name, each in misses.items():
        error = np.std(each) / np.sqrt(len(each))
        assert abs(np.mean(each)) <= 4 * error and error > 0, name


def _sums(table):
    weight = table["weight"].to_numpy() if "weight" in table.column_names else np.ones(table.num_rows)
    took_s = table["duration_ns"].to_numpy() / 1e9
    return {
        "spans": weight.sum(),
        "errors": weight[table["status"].to_numpy() == 2].sum(),
        "seconds": (weight * took_s).sum(),
        "op": weight[np.array(table["name"].to_pylist()) == "op3"].sum(),
        "slow": weight[took_s > 0.02].sum(),
    }


def test_a_trace_that_goes_on_is_decided_as_before():
    table = traces(3000)
    place = np.arange(table.num_rows) % SPANS
    early, late = table.filter(pa.array(place >= 2)), table.filter(pa.array(place < 2))
    first, chosen = thinned(early, 100.0)
    second, _ = thinned(late, 100.0, known=chosen.known)
    assert set(first["trace_id"].to_pylist()) == set(second["trace_id"].to_pylist())


def test_an_error_that_comes_later_counts():
    table = traces(3000, failing=30)
    place = np.arange(table.num_rows) % SPANS
    early, late = table.filter(pa.array(place < 2)), table.filter(pa.array(place >= 2))
    kept, _ = thinned(early, 100.0, later=[late])
    assert set(table["trace_id"].to_pylist()[: 30 * SPANS]) <= set(kept["trace_id"].to_pylist())


def test_odd_spans_are_harmless():
    empty, _ = thinned(SPAN_SCHEMA.empty_table(), 10.0)
    assert empty.num_rows == 0 and "weight" in empty.column_names
    table = traces(200)
    for name, value in (("trace_id", ""), ("parent_span_id", "x"), ("span_id", "x")):
        at = table.schema.get_field_index(name)
        odd = table.set_column(at, SPAN_SCHEMA.field(name), pa.array([value] * table.num_rows))
        assert 0 < thinned(odd, 20.0)[0].num_rows <= table.num_rows
    at = pa.array(np.full(table.num_rows, -5), pa.int64())
    thinned(table.set_column(0, SPAN_SCHEMA.field("at_ns"), at), 20.0)


class Dying(MemoryTelemetry):
    """Dies before or after the insert, as often as it is told to."""

    def __init__(self):
        super().__init__()
        self.deaths, self.tried = [], []

    async def insert(self, table, rows, *, dedup_token):
        self.tried.append((dedup_token, rows))
        death = self.deaths.pop(0) if self.deaths else ""
        if death == "before":
            raise RuntimeError(death)
        await super().insert(table, rows, dedup_token=dedup_token)
        if death == "after":
            raise RuntimeError(death)


async def test_entities_of_open_cases_reach_the_recorder():
    """What whoever keeps cases notes decides from the next range on."""
    bus = MemoryBus(SystemClock())
    for spec in ALL:
        await bus.declare(spec)
    recorder = SampledRecorder(bus, MemoryTelemetry(), SystemClock(), "test", 200)
    assert await recorder._watched("main") == []
    await note_watched(bus, "main", ["service/shop"])
    assert await recorder._watched("main") == ["service/shop"]


async def recorded(deaths):
    """What is stored of three ranges' messages when the recorder dies so."""
    bus, telemetry, clock = MemoryBus(SystemClock()), Dying(), SystemClock()
    telemetry.deaths = deaths
    for spec in ALL:
        await bus.declare(spec)
    for seed in range(1, 7):
        body = encode_table(Kind.SPANS, traces(250, seed, start_s=seed, lasting_s=1.0, failing=5))
        last = await bus.publish("telemetry.main.traces", body, dedup_key=str(seed))
    while True:
        recorder = SampledRecorder(bus, telemetry, clock, "test", 200)
        recorder.window_s, recorder.bytes_max = 0.1, 150_000
        stop = asyncio.Event()
        task = asyncio.create_task(recorder.run(stop))
        while not task.done():
            entry = (await places(bus, "traces")).get("recorder")
            if entry and entry.after >= last:
                stop.set()
                await task
                return telemetry
            await asyncio.sleep(0.01)
        assert isinstance(task.exception(), RuntimeError)


async def test_a_death_before_or_after_an_insert_keeps_the_same_once():
    whole = await recorded([])
    for deaths in (["before"], ["after"], ["before", "before", "after"]):
        again = await recorded(deaths)
        assert len(again.tried) > len(whole.tried)
        by_token = {}
        for token, rows in again.tried:
            ids = rows["span_id"].to_pylist()
            assert by_token.setdefault(token, ids) == ids
        stored = again._tables["spans"]
        assert len(set(stored["span_id"].to_pylist())) == stored.num_rows < 6 * 250 * SPANS
