"""Several measures of one entity that move at once: told early, within the budget, the same after a restart."""

import msgspec
import numpy as np
import pytest

from cerebro.agents.support.concert import MEASURES_MIN, Concert, enrol_measures, stem_of
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import Rules, learn_names, new_watch, observe
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.spine.telemetry import SampleBatch, no_series

START_MS = 1_704_067_200_000
RULES = Rules(noise_budget=5.0, warmup_count=36, series_max=1000, together=True)
LENGTH, START = 140, 120
MEASURES = ("requests", "queue.depth", "cpu", "threads", "sessions")


def named(entity, metrics=MEASURES):
    return [SeriesName(1 + k, 100 * entity + k, each, (), "gauge", "{thing}", "service", f"s{entity}")
            for k, each in enumerate(metrics)]  # fmt: skip


def estate(seed, *, moved=(), by=4.0):
    """Four services with noise of 5 %; of the first, some measures grow by a factor."""
    names = [name for entity in range(4) for name in named(entity)]
    values = 100.0 * np.exp(0.05 * np.random.default_rng(seed).standard_normal((LENGTH, len(names))))
    values[START:, list(moved)] *= by
    return names, values


def told(names, values, *, restart=0):
    watch = new_watch("t1", RULES)
    learn_names(watch, names, RULES)
    hi, lo = (np.array([getattr(name, part) for name in names], np.uint64) for part in ("hi", "lo"))
    found = []
    for tick, row in enumerate(values):
        if restart and tick == restart:
            watch, _ = decode(encode(freeze(watch, tick)))
        at_ms = START_MS + tick * 15_000
        found += observe(watch, SampleBatch(hi, lo, np.full(len(hi), at_ms), row, no_series()), RULES, at_ms)
    return found, watch


@pytest.mark.parametrize("seed", range(3))
def test_several_measures_are_told_with_the_first_round(seed):
    found, _ = told(*estate(seed, moved=(0, 1, 2, 3)))

    (first, *_) = found
    assert (first.kind, first.entity.text, first.seen_ms) == ("joint", "service/s0", START_MS + START * 15_000)
    assert "moved at once" in first.title and 0.0 < first.p_value < 1e-3
    assert len(first.evidence[0].sample["movers"]) >= MEASURES_MIN


@pytest.mark.parametrize("seed", range(3))
def test_one_measure_or_changes_that_do_not_matter_are_no_concert(seed):
    alone, _ = told(*estate(seed, moved=(0,)))
    small, _ = told(*estate(seed, moved=(0, 1, 2, 3, 4), by=1.25))

    assert [each for each in alone + small if each.signal == "concert"] == []


def test_a_restart_in_the_middle_tells_the_same():
    names, values = estate(5, moved=(0, 1, 2, 3))
    whole, here = told(names, values)
    parted, there = told(names, values, restart=START + 1)

    assert [msgspec.to_builtins(each) for each in parted] == [msgspec.to_builtins(each) for each in whole]
    assert (here.concert.heard == there.concert.heard).all()
    assert (here.concert.measures == there.concert.measures).all()
    assert here.open_concerts == there.open_concerts and len(here.open_concerts) == 1


def test_all_series_of_one_metric_are_one_measure():
    concert = Concert()
    histogram = [f"took_{part}" for part in ("bucket", "sum", "count")]
    enrol_measures(concert, named(0, histogram))
    enrol_measures(concert, [*named(0, histogram), *named(1, MEASURES)])

    assert concert.measure.tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert concert.heard["measures"].tolist() == [1, 5] and concert.whole == 1
    assert stem_of("jobs_total") == "jobs"
