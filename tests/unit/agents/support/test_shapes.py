"""How far what a histogram counts lies from where it usually does."""

import numpy as np
import pytest

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.ratios import OUTCOMES, Ratios, derived
from cerebro.agents.support.shapes import WAIT_MS, Shapes, enrol_shapes, frozen_shapes, shifts, thawed_shapes
from cerebro.agents.support.watch import admit_series, no_series
from cerebro.spine.telemetry import SampleBatch, series_id
from cerebro.spine.telemetry import no_series as no_names

BOUNDS = (0.01, 0.1, 1.0, np.inf)
MINUTE_MS = 60_000


def bucket(bound, code="200", kind="histogram"):
    labels = {"http_response_status_code": code, "le": "+Inf" if bound == np.inf else f"{bound:g}", "route": "/pay"}
    hi, lo = series_id("http_duration_seconds_bucket", labels)
    return SeriesName(hi, lo, "http_duration_seconds_bucket", tuple(labels.items()), kind, "s", "service", "pay")


NAMES = [bucket(bound, code) for code in ("200", "500") for bound in BOUNDS]


class Fed:
    """Two outcomes of one histogram, fed with durations."""

    def __init__(self, kind="histogram"):
        self.shapes, self.delta, self.now_ms = Shapes(), kind != "histogram", 1_000_000
        enrol_shapes(self.shapes, [bucket(bound, code, kind) for code in ("200", "500") for bound in BOUNDS], OUTCOMES)
        self.total = np.zeros(8)

    def look(self, durations, failed=0, after_ms=MINUTE_MS, parts=1):
        """What was told when these came, the buckets in so many batches."""
        self.now_ms += after_ms
        new = [sum(d <= bound for d in which) for which in (durations[failed:], durations[:failed]) for bound in BOUNDS]
        self.total = np.array(new, float) if self.delta else self.total + new
        told = []
        for rows in np.array_split(np.arange(8, dtype=np.int32)[::-1].copy(), parts):
            if found := shifts(self.shapes, rows, np.full(len(rows), self.now_ms), self.total[rows]):
                told += found.value.tolist()
        return told


def usual(count=1000, seed=1):
    return np.random.default_rng(seed).lognormal(-3.0, 0.5, count)


@pytest.mark.parametrize("kind", ["histogram", "delta_histogram"])
def test_a_tenth_that_is_slower_is_told_though_the_rest_is_as_ever(kind):
    fed, said = Fed(kind), []
    for seed in range(20):
        said += fed.look(usual(seed=seed))
    assert max(said) <= 0.02  # what chance gives is taken off
    slow = usual(seed=99)
    slow[:150] = 5.0
    fed.look(slow)
    assert fed.look(usual(seed=100)) == [pytest.approx(0.15 - 1.36 / 1000**0.5, abs=0.03)]


def test_two_halves_that_part_are_told_where_the_mean_stays():
    fed = Fed()
    for _ in range(5):
        fed.look(np.full(1000, 0.05))
    fed.look(np.r_[np.full(500, 0.005), np.full(500, 0.095)])
    assert fed.look(usual())[0] > 0.4


def test_buckets_of_one_round_may_come_in_several_batches():
    whole, cut = Fed(), Fed()
    for seed in range(8):
        assert cut.look(usual(seed=seed), failed=seed, parts=4) == whole.look(usual(seed=seed), failed=seed)


def test_few_are_waited_for_and_none_say_nothing():
    fed = Fed()
    assert [fed.look(usual(5)) for _ in range(3)] == [[]] * 3
    for _ in range(12):
        fed.look(usual(10))
    told = [fed.look(usual(10), after_ms=WAIT_MS // 4) for _ in range(8)]
    assert 1 <= sum(map(len, told)) <= 3
    assert [fed.look([]) for _ in range(12)][-1] == []


def test_a_restart_goes_on_where_it_was():
    one, other = Fed(), Fed()
    for seed in range(6):
        one.look(usual(seed=seed))
        other.look(usual(seed=seed))
    names = [bucket(bound, code) for code in ("200", "500") for bound in BOUNDS]
    other.shapes = thawed_shapes(names, frozen_shapes(other.shapes), OUTCOMES)
    assert [one.look(usual(seed=seed)) for seed in range(6, 9)] == [
        other.look(usual(seed=seed)) for seed in range(6, 9)
    ]
    assert thawed_shapes(names, (b"", b"12345678", b""), OUTCOMES).looks.tolist() == []


def test_a_counter_that_was_set_to_zero_and_odd_numbers_are_harmless():
    fed = Fed()
    for seed in range(5):
        fed.look(usual(seed=seed))
    fed.total[:] = 0.0
    said = fed.look(usual(seed=6)) + fed.look(usual(seed=7)) + fed.look(usual(seed=8))
    assert max(said) <= 0.02
    rows = np.arange(8, dtype=np.int32)
    for value in (np.nan, -1.0, 1e300, 5e-324):
        fed.now_ms += MINUTE_MS
        shifts(fed.shapes, rows, np.full(8, fed.now_ms), np.full(8, value))
    assert np.isfinite(fed.shapes.usual).all()


def test_it_is_published_as_a_series_of_its_own_beside_the_others():
    series, batches = no_series(), []
    admit_series(series, NAMES, 100)
    ratios, total = Ratios(), np.zeros(8)
    for minute in range(6):
        new = usual(seed=minute)
        total[:4] += [float((new <= bound).sum()) for bound in BOUNDS]
        at_ms = np.full(8, 1_000_000 + minute * MINUTE_MS)
        hi, lo = (np.array([getattr(name, part) for name in NAMES], np.uint64) for part in ("hi", "lo"))
        if told := derived(ratios, series, SampleBatch(hi, lo, at_ms, total.copy(), no_names())):
            batches.append(told)
    assert [batch.series.num_rows for batch in batches] == [1] + [0] * (len(batches) - 1)
    (name,) = batches[0].series.to_pylist()
    assert name["metric"] == "http_duration_seconds:shift_ratio"
    assert dict(name["labels"]) == {"route": "/pay"} and name["entity_name"] == "pay"
    assert (batches[0].hi[0], batches[0].lo[0]) == series_id(name["metric"], dict(name["labels"]))
