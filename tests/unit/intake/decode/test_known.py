"""The set of series that were named: it finds what was added, through every growth, and nothing else."""

import numpy as np

from cerebro.intake.decode.known import KnownSeries


def some_ids(count, seed=1):
    return np.random.default_rng(seed).integers(0, 1 << 63, (2, count)).astype(np.uint64)


def test_finds_what_was_added_through_growth():
    known = KnownSeries(16)
    hi, lo = some_ids(20_000)

    for part in np.array_split(np.arange(20_000), 7):
        known.add(hi[part], lo[part])

    assert len(known) == 20_000
    assert np.array_equal(known.find(hi, lo), np.arange(20_000))
    assert (known.find(hi, lo + np.uint64(1)) == -1).all()
    assert (known.find(lo, hi) == -1).all()


def test_adding_again_changes_nothing():
    known = KnownSeries()
    hi, lo = some_ids(100)
    slots = known.add(hi, lo)

    assert np.array_equal(known.add(hi[::-1], lo[::-1]), slots[::-1])
    assert len(known) == 100


def test_series_of_one_metric_and_of_one_label_set_are_told_apart():
    known = KnownSeries()
    same = np.full(1000, 7, np.uint64)
    other = np.arange(1000, dtype=np.uint64)

    known.add(same, other)
    known.add(other, same)

    assert len(known) == 1999  # (7, 7) is in both
    assert (known.find(other, same) >= 0).all()


def test_forgets_all():
    known = KnownSeries()
    hi, lo = some_ids(10)
    known.add(hi, lo)
    known.clear()

    assert len(known) == 0 and (known.find(hi, lo) == -1).all()
