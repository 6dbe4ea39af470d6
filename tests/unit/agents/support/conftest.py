"""Streams of samples and the series they belong to, for the tests of the agent that watches them."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import Rules, Watch, learn_names, new_watch, observe
from cerebro.spine.findings import Finding
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, no_series

START_MS = 1_704_067_200_000  # a Monday, 00:00 UTC


@pytest.fixture
def rules() -> Rules:
    return Rules(noise_budget=5.0, warmup_count=36, series_max=10_000)


@pytest.fixture
def name_of() -> Callable[..., SeriesName]:
    def make(number=1, metric="system.cpu.busy", type="gauge", unit="1", kind="host", entity="web-7", labels=()):
        return SeriesName(number * 1000 + 7, number, metric, labels, type, unit, kind, entity)

    return make


@pytest.fixture
def play(rules) -> Callable[..., list[Finding]]:
    """Send columns of values, one row a tick, to a watch; NaN in `skip` sends nothing for that series."""

    def run(watch: Watch, names, values, *, interval_s=5.0, start_ms=START_MS, named=True, rules=rules):
        if named:
            learn_names(watch, names, rules)
        values = np.asarray(values, float).reshape(len(values), len(names))
        hi = np.array([name.hi for name in names], np.uint64)
        lo = np.array([name.lo for name in names], np.uint64)
        found: list[Finding] = []
        for tick, row in enumerate(values):
            at_ms = start_ms + round(tick * interval_s * 1000)
            sent = row != -np.inf  # minus infinity: nothing is sent
            times = np.full(int(sent.sum()), at_ms, np.int64)
            batch = SampleBatch(hi[sent], lo[sent], times, row[sent], no_series())
            found += observe(watch, batch, rules, at_ms)
        return found

    return run


@pytest.fixture
def watch(rules) -> Iterator[Watch]:
    yield new_watch("t1", rules)


@pytest.fixture
def table_of() -> Callable[..., pa.Table]:
    def make(names):
        fields = ("hi", "lo", "metric", "labels", "type", "unit", "entity_kind", "entity_name")
        return pa.Table.from_pylist([{f: getattr(n, f) for f in fields} for n in names], schema=SERIES_SCHEMA)

    return make
