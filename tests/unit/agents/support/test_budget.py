"""The promise: on quiet telemetry of every sort, no more false findings than the budget; and faults are found.

Each stream below is quiet by construction, so every finding is false. The bound is what a Poisson count with the
promised mean would exceed once in ten thousand times, so a failing test means a broken promise and not bad luck.
"""

import math

import numpy as np
import pytest

from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.model import Test as Question
from cerebro.agents.support.watch import admit_series, no_priors, no_series, priors_of
from cerebro.algorithms.tails import COUNT, TOTAL

START_MS = 1_704_067_200_000
CHUNK = 120


def white(rng, n, t, state):
    return 0.2 + 0.02 * rng.standard_normal(n)


def correlated(rng, n, t, state):
    state["x"] = 0.95 * state.get("x", 0.0) + 0.02 * rng.standard_normal(n)
    return 0.4 + state["x"]


def slow(rng, n, t, state):
    state["x"] = 0.995 * state.get("x", 0.0) + 0.1 * rng.standard_normal(n)
    return 30.0 + state["x"]


def heavy(rng, n, t, state):
    return 0.1 + 0.01 * rng.standard_t(3, n)


def lognormal(rng, n, t, state):
    return 1e5 * np.exp(rng.standard_normal(n))


def pareto(rng, n, t, state):
    return 1e4 * rng.pareto(1.5, n)


def bursty(rng, n, t, state):
    on = state.get("on", np.zeros(n, bool))
    state["on"] = np.where(on, rng.random(n) < 0.7, rng.random(n) < 0.02)
    return state["on"] * 1e6 * np.exp(rng.standard_normal(n))


def mostly_zero(rng, n, t, state):
    return (rng.random(n) < 0.003) * rng.integers(1, 20, n)


def counts(rng, n, t, state):
    return rng.poisson(3.0, n)


def walk(rng, n, t, state):
    state["x"] = state.get("x", 1000.0) + rng.standard_normal(n)
    return state["x"]


def counter(rng, n, t, state):
    state["x"] = state.get("x", 0.0) + rng.poisson(50.0, n)
    return state["x"]


def daily(rng, n, t, state):
    return 100.0 * (1.0 + 0.5 * math.sin(2 * math.pi * t / 1440)) * (1.0 + 0.05 * rng.standard_normal(n))


def office(rng, n, t, state):
    """Steps up at nine and down at five on workdays: a season with edges."""
    busy = 540 <= t % 1440 < 1020 and t % 10080 < 7200
    return (500.0 if busy else 100.0) * (1.0 + 0.05 * rng.standard_normal(n))


def cron(rng, n, t, state):
    return 0.03 + 0.01 * np.abs(rng.standard_normal(n)) + (0.5 if t % 60 < 2 else 0.0)


SORTS = [
    (white, "system.cpu.busy", "gauge", "1"),
    (correlated, "system.cpu.busy", "gauge", "1"),
    (slow, "some.gauge", "gauge", ""),
    (heavy, "system.cpu.utilization", "gauge", "1"),
    (lognormal, "process.memory.usage", "gauge", "By"),
    (pareto, "disk.throughput", "gauge", "By"),
    (bursty, "disk.throughput", "gauge", "By"),
    (mostly_zero, "operations", "gauge", "{operation}"),
    (counts, "system.process.count", "gauge", "{process}"),
    (walk, "some.gauge", "gauge", ""),
    (counter, "http_requests_total", "counter", ""),
    (daily, "some.gauge", "gauge", ""),
    (office, "visitors", "gauge", "{visitor}"),
    (cron, "system.cpu.busy", "gauge", "1"),
]


def live(k, tick_count, per_sort, *, interval_s=60.0, seed=1, faults=None, sorts=SORTS):
    """Run all sorts under budget `k`; the ticks and series of the findings. `faults(values, tick)` changes values."""
    rng = np.random.default_rng(seed)
    names = [
        SeriesName(sort * 1000 + copy, sort, metric, (), kind, unit, "host", f"h{copy}")
        for sort, (_, metric, kind, unit) in enumerate(sorts)
        for copy in range(per_sort)
    ]
    series = no_series()
    admit_series(series, names, len(names))
    n, states = len(names), [{} for _ in sorts]
    rows = np.arange(n, dtype=np.int32)
    unit, priors, found = k / series.rows["weight"][:n].sum(), no_priors(), []
    for first in range(0, tick_count, CHUNK):
        ticks = range(first, min(first + CHUNK, tick_count))
        values = np.array(
            [
                np.concatenate([sort[0](rng, per_sort, t, state) for sort, state in zip(sorts, states, strict=True)])
                for t in ticks
            ]
        ).astype(float)
        if faults:
            faults(values, first)
        at_ms = np.repeat(START_MS + (np.array(ticks) * interval_s * 1000).astype(np.int64), n)
        judged = detect(
            series.rows, np.tile(rows, len(ticks)), at_ms, values.ravel(), unit=unit, priors=priors, warmup_count=36
        )
        found += [(first + int(k) // n, int(k) % n) for k in np.flatnonzero(judged.turn == 1)]
        priors = priors_of(series.rows[:n])
    return found


def poisson_bound(mean, p=1e-4):
    """The least count that a Poisson of this mean exceeds with a chance under `p`."""
    count, term, total = 0, math.exp(-mean), math.exp(-mean)
    while 1.0 - total > p:
        count += 1
        term *= mean / count
        total += term
    return count


@pytest.mark.parametrize(
    ("question", "heavy", "lent"),
    [(Question.SHIFT, 3, 0.3), (Question.SHIFT, 16, 1.2), (Question.SPIKE, 3, 0.435)],
)
def test_what_a_family_lends_of_stretches_is_that_of_its_middle_series(question, heavy, lent):
    """Three whose stretches were troubles do not make the other seventeen expect any; of spikes the mean is lent."""
    series = no_series()
    admit_series(series, [SeriesName(k, 1, "app.share", (), "gauge", "1", "host", f"h{k}") for k in range(20)], 20)
    tails = series.rows["tail"][:20, question]
    tails[:, COUNT] = 1000.0
    tails[:, TOTAL] = 300.0
    tails[:heavy, TOTAL] = 1200.0

    assert priors_of(series.rows[:20])[series.rows["family"][0], question] == pytest.approx(lent, rel=0.05)


@pytest.mark.parametrize("k", [1.0, 5.0, 20.0])
def test_two_quiet_weeks_keep_the_budget(k):
    """140 series at one sample a minute: 2.8 million samples."""
    found = live(k, 2 * 10_080, per_sort=10)

    assert len(found) <= poisson_bound(2 * k), found


def test_a_quiet_host_at_five_seconds_keeps_the_budget():
    """280 series for six hours."""
    found = live(5.0, 4320, per_sort=20, interval_s=5.0, seed=2)

    assert len(found) <= poisson_bound(5.0 * 6 / 168), found


@pytest.mark.long
@pytest.mark.parametrize("k", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("seed", [11, 12])
def test_eight_quiet_weeks_keep_the_budget(k, seed):
    """700 series at one sample a minute: 56 million samples each."""
    found = live(k, 8 * 10_080, per_sort=50, seed=seed)

    assert len(found) <= poisson_bound(8 * k), found


POWER = [SORTS[0], SORTS[1], SORTS[3], SORTS[4], SORTS[8], SORTS[11]]


@pytest.mark.parametrize(
    ("name", "sort", "size", "length", "within"),
    [
        ("spike", 0, 30.0, 1, 1),
        ("level shift", 0, 12.0, 30, 4),
        ("level shift, correlated", 1, 25.0, 30, 4),
        ("level shift, heavy tails", 3, 60.0, 30, 6),
        ("a tenfold in a log-normal", 4, None, 60, 25),
    ],
)
def test_faults_are_found_within_samples(name, sort, size, length, within):
    """After a week of quiet, a fault in one of many series is found within so many samples, in nine of ten copies.

    Sizes are in standard deviations of the noise. Budget 5; 84 series share it.
    """
    chosen = SORTS[sort]
    start, copies = 10_080, 20
    sigma = {0: 0.02, 1: 0.064, 3: 0.0173, 4: 1.0}[sort]

    def fault(values, first):
        for tick in range(start, start + length):
            if first <= tick < first + len(values):
                at = tick - first
                values[at, :copies] = values[at, :copies] * 1e3 if size is None else values[at, :copies] + size * sigma

    found = live(5.0, start + 100, copies, sorts=[chosen], faults=fault)

    caught = {row for tick, row in found if start <= tick < start + within}
    assert len(caught) >= 0.9 * copies, (name, len(caught))
    assert not [tick for tick, _ in found if tick < start]


def test_what_is_usual_by_day_is_strange_by_night():
    """The noon's traffic at night is found, though every day has seen as much and gone by unnoticed."""
    start = 9 * 1440 + 1080  # the sine's trough: 50 ± 2.5; its crest is 150

    def busy(values, first):
        for tick in range(start, start + 60):
            if first <= tick < first + len(values):
                values[tick - first, :] += 100.0

    found = live(5.0, start + 200, 10, sorts=[(daily, "some.gauge", "gauge", "")], faults=busy)

    late = {row for tick, row in found if start <= tick < start + 10}
    assert len(late) >= 9
    assert not [tick for tick, _ in found if tick < start]
