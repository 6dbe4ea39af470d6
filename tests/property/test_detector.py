"""Laws of the detector: restarts, the cut of batches and foreign series change nothing; no input breaks it."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import Rules, learn_names, new_watch, observe
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.spine.telemetry import SampleBatch, no_series

START_MS = 1_704_067_200_000
RULES = Rules(noise_budget=20.0, warmup_count=12, series_max=100, together=True)
NAMES = [
    SeriesName(number, number, metric, (), kind, unit, "host", f"h{number % 3}")
    for number, (metric, kind, unit) in enumerate(
        [
            ("system.cpu.busy", "gauge", "1"), ("http_requests_total", "counter", ""),
            ("queue.depth", "gauge", "{item}"),
            ("system.memory.usage", "gauge", "By"), ("errors", "delta", "{error}"), ("temperature", "gauge", ""),
        ]
    )
]  # fmt: skip
HI = np.array([name.hi for name in NAMES], np.uint64)


def story(seed, tick_count=500):
    """A few hundred ticks of all series: shifts, a reset, a silent host, late and repeated samples, NaN, a clock."""
    rng = np.random.default_rng(seed)
    n = len(NAMES)
    values = np.abs(rng.normal(0.1, 0.01, (tick_count, n)))
    values[:, 1] = np.cumsum(rng.poisson(40.0, tick_count))
    values[:, 2:] *= 100.0
    for _ in range(4):
        at, which = rng.integers(100, tick_count - 60), rng.integers(0, n)
        values[at : at + 30, which] *= rng.choice([8.0, 40.0])
    values[rng.random((tick_count, n)) < 0.01] = math.nan
    sent = rng.random((tick_count, n)) < 0.97
    silent = int(rng.integers(150, 300))
    sent[silent : silent + 40, np.arange(n) % 3 == 1] = False
    set_back = int(rng.integers(100, tick_count))
    batches = []
    for tick in range(tick_count):
        which = np.flatnonzero(sent[tick])
        rng.shuffle(which)
        late = rng.choice([0, 0, 0, 0, 7000], len(which))
        at_ms = START_MS + tick * 5000 - late - np.where((which % 3 == 2) & (tick >= set_back), 3_600_000, 0)
        batches.append(SampleBatch(HI[which], HI[which], at_ms.astype(np.int64), values[tick, which], no_series()))
    return batches


def tell(batches, restarts=frozenset()):
    """The findings as bytes, with the state thrown away and taken from its snapshot after some batches."""
    watch = new_watch("t1", RULES)
    learn_names(watch, NAMES, RULES)
    told = []
    for at, batch in enumerate(batches):
        if at in restarts:
            watch, _ = decode(encode(freeze(watch, at)))
        told += observe(watch, batch, RULES, START_MS + at * 5000 + 60_000)
    return [msgspec.json.encode(finding) for finding in told], watch


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), restarts=st.frozensets(st.integers(0, 499), max_size=6))
def test_a_restart_is_as_if_there_had_been_none(seed, restarts):
    """The findings after any restarts are, byte by byte, those without; so is the state."""
    batches = story(seed)

    plain, before = tell(batches)
    restarted, after = tell(batches, restarts)

    assert restarted == plain
    assert (before.series.rows[: len(NAMES)] == after.series.rows[: len(NAMES)]).all()
    assert before.budget == after.budget
    assert (before.together.joined == after.together.joined).all()
    assert (before.together.peers == after.together.peers).all()
    assert (before.concert.heard == after.concert.heard).all()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), restarts=st.frozensets(st.integers(100, 220), min_size=1, max_size=4))
def test_a_restart_while_something_climbs_to_its_limit_is_as_if_there_had_been_none(seed, restarts):
    chance = np.random.default_rng(seed)
    values = 0.4 + 0.005 * chance.standard_normal(240)
    values[200:] = np.minimum(0.42 + 0.03 * np.arange(40), 0.97)
    name = replace(NAMES[0], metric="k8s.container.memory_limit_utilization", hi=77, lo=77)
    one = np.array([77], np.uint64)
    heard = []
    for stops in (frozenset(), restarts):
        watch, told = new_watch("t1", RULES), []
        learn_names(watch, [name], RULES)
        for at, value in enumerate(values.tolist()):
            if at in stops:
                watch, _ = decode(encode(freeze(watch, at)))
            at_ms = np.array([START_MS + at * 15_000])
            told += observe(watch, SampleBatch(one, one, at_ms, np.array([value]), no_series()), RULES, int(at_ms[0]))
        heard.append([msgspec.json.encode(each) for each in told])

    assert any(b'"leak"' in each for each in heard[0])
    assert heard[1] == heard[0]


MOVED_RULES = replace(RULES, noise_budget=2000.0)
MOVED_NAMES = [
    SeriesName(
        1 + at // 4, 10 + at, metric, (("service.instance.id", f"i{at % 4}"),), "gauge", "", "service", f"s{at % 4}"
    )
    for at, metric in enumerate(["queue.depth"] * 4 + ["pool.used"] * 4 + ["inflight"] * 4)
]
MOVED_HI, MOVED_LO = (np.array([getattr(name, part) for name in MOVED_NAMES], np.uint64) for part in ("hi", "lo"))
MOVED_TICKS = 1200


def shard(seed):
    """Four services of three series each; one no longer moves as one, one leaves its peers, one fails."""
    rng = np.random.default_rng(seed)
    wave = np.cumsum(rng.standard_normal((MOVED_TICKS, 1)), axis=0) * 0.1
    own = rng.standard_normal((MOVED_TICKS, 4))
    values = 100.0 + wave + 3.0 * np.tile(own, 3) + 0.3 * rng.standard_normal((MOVED_TICKS, 12))
    broken, odd, failed = rng.choice(4, 3, replace=False)
    values[900:960, broken] = 200.0 - values[900:960, broken]
    values[1020:1100, odd + 4 * np.arange(3)] += 9.0
    values[1120:1150, failed] += 60.0
    return values


def judged(process, values, first, last):
    """What a process tells of some ticks, and publishes under keys of its own content."""
    told = {}
    for tick in range(first, last):
        at_ms = np.full(12, START_MS + tick * 60_000)
        batch = SampleBatch(MOVED_HI, MOVED_LO, at_ms, values[tick], no_series())
        for finding in observe(process, batch, MOVED_RULES, int(at_ms[0]) + 1000):
            told[finding.id] = msgspec.json.encode(finding)
    return told


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), frozen=st.integers(850, 1150), ran_on=st.integers(0, 60))
def test_a_shard_that_moves_to_another_process_tells_the_same(seed, frozen, ran_on):
    """Frozen at a sequence, run on a little here, thawed there and replayed from the sequence: the same findings, once.

    What both processes tell has one id, so that the bus keeps it once. Joint behaviour and peers take part.
    """
    values = shard(seed)
    here = new_watch("t1", MOVED_RULES)
    learn_names(here, MOVED_NAMES, MOVED_RULES)
    judged(here, values, 0, frozen)
    body = encode(freeze(here, frozen))
    ahead = judged(here, values, frozen, frozen + ran_on)
    whole = ahead | judged(here, values, frozen + ran_on, MOVED_TICKS)

    there, sequence = decode(body)
    moved = judged(there, values, sequence, MOVED_TICKS)
    kept = judged(decode(body)[0], values, sequence, MOVED_TICKS)  # and a third time, as after a crash of the second

    assert sequence == frozen
    assert moved == whole
    assert kept == moved
    assert (there.series.rows[:12] == here.series.rows[:12]).all()
    assert (there.together.joined == here.together.joined).all()
    assert (there.together.peers == here.together.peers).all()
    assert (there.budget, there.open_joint, there.open_peers) == (here.budget, here.open_joint, here.open_peers)


def test_the_shards_that_move_tell_of_entities_and_of_peers():
    told = []
    for seed in (1, 2):
        watch = new_watch("t1", MOVED_RULES)
        learn_names(watch, MOVED_NAMES, MOVED_RULES)
        told += [msgspec.json.decode(said) for said in judged(watch, shard(seed), 0, MOVED_TICKS).values()]

    assert {"joint", "peer"} <= {each["kind"] for each in told}


def test_the_stories_hold_something_to_tell():
    assert sum(len(tell(story(seed))[0]) for seed in range(3)) >= 6


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_series_in_a_batch_does_not_matter(seed):
    batches = story(seed, 200)
    rng = np.random.default_rng(seed)
    shuffled = []
    for batch in batches:
        order = rng.permutation(len(batch))
        shuffled.append(
            SampleBatch(batch.hi[order], batch.lo[order], batch.at_ms[order], batch.value[order], batch.series)
        )

    _, one = tell(batches)
    _, other = tell(shuffled)

    assert (one.series.rows[: len(NAMES)] == other.series.rows[: len(NAMES)]).all()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=120),
    steps_ms=st.lists(st.integers(-100_000, 4_000_000_000), min_size=120, max_size=120),
    which=st.integers(0, len(NAMES) - 1),
)
def test_no_values_and_no_times_break_the_state(values, steps_ms, which):
    watch = new_watch("t1", RULES)
    learn_names(watch, NAMES, RULES)
    at_ms = np.cumsum(np.array(steps_ms[: len(values)], np.int64)) + START_MS
    hi = np.full(len(values), which, np.uint64)

    observe(watch, SampleBatch(hi, hi, at_ms, np.array(values), no_series()), RULES, int(at_ms.max()))

    row = watch.series.rows[which]
    for field in row.dtype.names:
        if row.dtype[field].base.kind == "f":
            assert np.isfinite(row[field]).all(), field
    assert row["spread"] >= 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_same_story_is_told_the_same_way(seed):
    assert tell(story(seed))[0] == tell(story(seed))[0]
