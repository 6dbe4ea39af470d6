"""A tenant at its limit keeps its series; the idle ones make room; the store's are never refused."""

import numpy as np
import pytest

from cerebro.intake.limits import HOUR_MS, IDLE_HOURS, Catalogue

NOW = 1_700_000_000_000


def ids(*numbers):
    return np.ones(len(numbers), np.uint64), np.array(numbers, np.uint64)


@pytest.fixture
def catalogue():
    one = Catalogue(series_max=10)
    one.load(*ids(), NOW)
    return one


def name(catalogue, *numbers, at_ms=NOW):
    taken = catalogue.admit(*ids(*numbers), at_ms)
    hi, lo = ids(*numbers)
    catalogue.confirm(hi[taken], lo[taken], at_ms)
    return taken.tolist()


def test_new_series_beyond_the_limit_are_refused_one_by_one(catalogue):
    assert name(catalogue, *range(8)) == [True] * 8
    assert name(catalogue, *range(8, 14)) == [True, True, False, False, False, False]


def test_known_series_go_on_at_the_limit(catalogue):
    name(catalogue, *range(20))

    assert name(catalogue, 3, 99, 7) == [True, False, True]
    assert catalogue.has(*ids(3, 99)).tolist() == [True, False]


def test_until_the_store_was_read_nothing_of_it_is_refused():
    catalogue = Catalogue(series_max=10)
    assert name(catalogue, *range(15)) == [True] * 15  # among them the store's, as it turns out

    catalogue.load(*ids(*range(5, 15)), NOW)

    assert name(catalogue, *range(5, 15)) == [True] * 10
    assert name(catalogue, 99) == [False]


def test_memory_is_bounded_even_when_the_store_never_answers():
    catalogue = Catalogue(series_max=10)
    for start in range(0, 1000, 100):
        name(catalogue, *range(start, start + 100))

    assert len(catalogue) == 20


def test_series_that_nobody_sent_for_a_day_make_room(catalogue):
    name(catalogue, *range(10))
    later = NOW + (IDLE_HOURS + 1) * HOUR_MS
    named = catalogue.named
    catalogue.saw(named, named.find(*ids(1, 2)), later)

    assert name(catalogue, 50, 51, at_ms=later) == [True, True]
    assert catalogue.has(*ids(0, 1, 2, 50)).tolist() == [False, True, True, True]
    assert len(catalogue) == 4


def test_slots_of_a_set_that_was_swept_away_mark_nothing(catalogue):
    name(catalogue, *range(10))
    stale = catalogue.named
    later = NOW + (IDLE_HOURS + 1) * HOUR_MS
    name(catalogue, 50, at_ms=later)

    catalogue.saw(stale, np.arange(10), later)

    assert len(catalogue.named) == 1


def test_a_series_is_named_again_until_the_bus_has_its_labels(catalogue):
    catalogue.admit(*ids(1), NOW)

    assert catalogue.named.find(*ids(1)).tolist() == [-1]
    catalogue.confirm(*ids(1), NOW)
    assert catalogue.named.find(*ids(1)).tolist() == [0]
