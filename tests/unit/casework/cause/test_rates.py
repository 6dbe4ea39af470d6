"""Counters that are told seldom, by few or by many, as they stand or as what came on top."""

import asyncio

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause.answers import DURATION, REQUESTS, SILENT, read
from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.casework.cause.rates import by_the_second, unread
from cerebro.casework.cause.window import WindowSource
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, SeriesType, series_id

SHOP = EntityKey("service", "shop")
COUNT, SUM = "http.server.request.duration_count", "http.server.request.duration_sum"
STEPS, EVERY = 120, 12  # of 5 s; a sample a minute


def sent(values, first, every=EVERY):
    """The same, of which one in so many is told."""
    kept = np.full(len(values), np.nan)
    kept[first::every] = values[first::every]
    return kept


def told_seldom(type_="histogram", every=EVERY, until=STEPS):
    """What is read of two replicas that tell once in so many steps, each in its own moment; asked thrice from 80 on."""
    asked = np.where(np.arange(STEPS) < 80, 10.0, 30.0)
    rows = []
    for number in range(2):
        for metric, each in ((COUNT, 1.0), (SUM, 0.2)):
            climbed = np.cumsum(asked * each * 5.0)
            values = sent(climbed, 3 + 4 * number, every)
            if type_.startswith("delta"):
                told = np.flatnonzero(np.isfinite(values))
                values[told] = np.diff(values[told], prepend=0.0)
            if number:
                values[until:] = np.nan
            rows.append((Series(SHOP, metric, {"service.instance.id": str(number)}, type_), values))
    last = np.stack([values for _, values in rows])
    held = Held(Grid(0, 5_000, STEPS, 70), [series for series, _ in rows], last, last)
    return {line.signal: line.values for line in read(held, {})[0]}


@pytest.mark.parametrize("type_", ["histogram", "delta_histogram"])
@pytest.mark.parametrize("every", [1, 2, 12])
def test_however_seldom_counters_are_told_they_are_rates(type_, every):
    found = told_seldom(type_, every)

    assert found[REQUESTS][[60, 119]].tolist() == pytest.approx([20.0, 60.0])
    assert found[DURATION][[60, 119]].tolist() == pytest.approx([0.2, 0.2])
    assert np.isfinite(found[REQUESTS][40:]).all()
    assert np.nanmax(found[SILENT]) == 0.0


def test_who_tells_once_a_minute_is_silent_after_two():
    found = told_seldom(until=70)

    assert found[SILENT][[80, 89, 90]].tolist() == [0.0, 0.0, 1.0]
    assert found[REQUESTS][[89, 119]].tolist() == pytest.approx([40.0, 30.0])  # until then it is taken to go on


def test_what_is_told_in_each_step_is_not_carried_over_one_that_is_missing():
    values = np.arange(20.0) * 5.0
    values[10] = np.nan

    rates = by_the_second(values[None], 5_000)[0]

    assert np.flatnonzero(np.isnan(rates)).tolist() == [0, 10, 11]


def test_no_rate_stands_for_more_than_some_minutes_or_over_a_reset():
    seldom = np.full((2, 400), np.nan)
    seldom[0, ::80] = np.arange(5.0)
    seldom[1, ::10] = np.concatenate([np.arange(20.0), np.arange(20.0)])

    rates = by_the_second(seldom, 5_000)

    assert np.isnan(rates[0]).all()
    assert np.isnan(rates[1, 200])
    assert rates[1, [190, 211]].tolist() == [0.02, 0.02]


@pytest.mark.parametrize(
    ("every", "type_", "gap"), [(80, "counter", True), (12, "counter", False), (80, "delta", False)]
)
def test_a_counter_that_gives_no_rate_is_a_gap(every, type_, gap):
    values = sent(np.arange(400.0), 0, every)[None]
    held = Held(Grid(0, 5_000, 400, 300), [Series(SHOP, "orders", {}, type_)], values, values)

    assert unread(held) == [f"Counters of {SHOP.said} are told too seldom to say how fast they climb."] * gap


def test_increases_within_a_step_are_added_up():
    names = {"delta": SeriesType.DELTA, "whole": SeriesType.COUNTER}
    hi, lo = (np.array(part, np.uint64) for part in zip(*(series_id(name, {}) for name in names), strict=True))
    columns = (
        hi,
        lo,
        list(names),
        [[], []],
        [each.value for each in names.values()],
        ["", ""],
        ["service"] * 2,
        ["shop"] * 2,
    )
    series = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, SERIES_SCHEMA, strict=True)],
        schema=SERIES_SCHEMA,
    )
    at_ms = np.array([1_000, 4_000, 6_000, 1_000, 4_000, 6_000])
    source = WindowSource()
    source.note_samples(
        SampleBatch(hi.repeat(3), lo.repeat(3), at_ms, np.array([3.0, 4.0, 5.0, 3.0, 7.0, 12.0]), series)
    )

    held = asyncio.run(source.held(TenantId("default"), (SHOP,), Grid(0, 5_000, 2, 1)))

    assert {each.metric: row.tolist() for each, row in zip(held.series, held.last, strict=True)} == {
        "delta": [7.0, 5.0], "whole": [7.0, 12.0],
    }  # fmt: skip
