"""The labelled data set: complete, repeatable, readable by Cerebro's own decoders."""

import asyncio
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.entity import entity_of
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.dataset import Order, write_dataset
from cerebro.proving.estate.estate import Estate
from cerebro.proving.estate.likeness import Group, likeness
from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SAMPLE_SCHEMA, SERIES_SCHEMA, SPAN_SCHEMA


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two hours of six services with three faults, and what progress was told."""
    out = tmp_path_factory.mktemp("estate") / "set"
    told = []
    write_dataset(Order(6, 1 / 12, 5, out, 3), lambda share, words: told.append((share, words)))
    return out, told


def test_every_file_has_its_schema(made):
    """The spine's, row for row."""
    out, told = made
    schemas = {"samples": SAMPLE_SCHEMA, "series": SERIES_SCHEMA, "logs": LOG_SCHEMA, "spans": SPAN_SCHEMA}
    tables = {name: pq.read_table(out / f"{name}.parquet") for name in (*schemas, "events", "labels", "nodes", "edges")}

    assert all(tables[name].schema.names == schema.names for name, schema in schemas.items())
    assert tables["events"].schema.names == EVENT_SCHEMA.names
    assert all(tables[name].num_rows for name in ("samples", "logs", "spans", "labels", "nodes", "edges"))
    assert (out / "metrics.om.txt").read_text().endswith("# EOF\n")
    assert told[-1][0] == 1.0


def test_every_sample_has_a_named_series(made):
    """And every series' entity is the one that the doors would give it."""
    out, _ = made
    samples, series = pq.read_table(out / "samples.parquet"), pq.read_table(out / "series.parquet").to_pylist()

    assert set(samples.column("lo").unique().to_pylist()) <= {each["lo"] for each in series}
    assert all(entity_of(dict(each["labels"])) == (each["entity_kind"], each["entity_name"]) for each in series)


def test_the_truth_lies_within_the_time(made):
    """Each label has a target of the topology, a start and an end."""
    out, _ = made
    labels = pq.read_table(out / "labels.parquet").to_pylist()
    names = {*pq.read_table(out / "nodes.parquet").column("name").to_pylist()}
    names |= {*pq.read_table(out / "nodes.parquet").column("host").to_pylist()}

    assert sum(not each["kind"].startswith("harmless_deploy") for each in labels) >= 2
    assert all(each["target_name"] in names and each["start_ms"] <= each["end_ms"] for each in labels)


def test_the_doors_read_the_otlp_slice_as_the_same_series(made):
    """Histograms, counters and gauges come back under the very ids of `series.parquet`."""
    out, _ = made
    decoded = decode_otlp_metrics((out / "otlp" / "metrics.pb").read_bytes(), KnownSeries(), compiled=False)
    batch = decoded.batch(decoded.name(decoded.new, entity_of))
    named = {(each["hi"], each["lo"]) for each in pq.read_table(out / "series.parquet").to_pylist()}
    found = {*zip(batch.hi.tolist(), batch.lo.tolist(), strict=True)}
    spans = json.loads((out / "otlp" / "traces.json").read_text())["resourceSpans"][0]["scopeSpans"][0]["spans"]

    assert len(found & named) > 0.9 * len(named)
    assert len(bytes.fromhex(spans[0]["traceId"])) == 16


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"services": 6, "days": 0.0, "seed": 1, "faults": 0}, "--days"),
        ({"services": 6, "days": 0.01, "seed": 1, "faults": 900}, "--faults 0 to 2"),
        ({"services": 6, "days": 0.01, "seed": -1, "faults": 0}, "--seed"),
        ({"services": 2, "days": 0.01, "seed": 1, "faults": 0}, "--services"),
    ],
)
def test_a_wrong_number_gets_a_line_that_says_what_to_write(order, words, tmp_path):
    """Before anything is written."""
    with pytest.raises(Invalid, match=words):
        write_dataset(Order(out=tmp_path / "set", **order), lambda *_: None)
    assert not (tmp_path / "set").exists()


def test_a_directory_in_use_is_left_alone(made):
    """Nothing is written over."""
    with pytest.raises(Invalid, match="holds something"):
        write_dataset(Order(6, 0.01, 1, made[0], 0), lambda *_: None)


async def test_it_speaks_on_the_bus_as_the_clock_goes():
    """One message of each signal an interval; series are named once."""
    clock = VirtualClock()
    bus = MemoryBus(clock)
    for stream in ALL:
        await bus.declare(stream)
    estate, stop = Estate(6, 2, clock), asyncio.Event()
    running = asyncio.create_task(estate.run(bus, stop))
    await clock.advance(61)
    stop.set()
    await clock.advance(16)
    await running

    assert estate.motion.now_ms == 1_700_000_075_000
    assert (await estate.health(0, clock.now_ms())).request_count > 100


def test_likeness_tells_noise_from_a_day():
    """The strength of the day is near one for a pure day and near nothing for noise."""
    minutes = np.arange(7 * 1440)
    chance = np.random.default_rng(1)
    table = np.stack([np.sin(minutes * 2 * np.pi / 1440), chance.normal(size=len(minutes))], axis=1) + 10
    found = likeness([Group(60.0, table, np.zeros(2, bool))])

    assert found.measures["strength of the day"][0] > 0.95
    assert found.measures["strength of the day"][1] < 0.05
    assert found.measures["memory of one step"][0] > 0.99
