"""The count of false findings: what is quiet, what the budget allows there, and how sure the ratio is."""

import numpy as np
import pytest

from cerebro.cli.bench.promise import WEEK_MS, Count, allowance, ratio_of
from cerebro.cli.bench.promise_sets import MONDAY_MS, NEAR_MS, Stream, Tenant, name_of, near

HOUR_MS = 3_600_000


def stream(number, quiet, hours=7 * 24):
    at_ms = MONDAY_MS + np.arange(hours * 60) * 60_000
    return Stream(name_of(number, "value", "service", f"s{number}"), at_ms, np.zeros(len(at_ms)), quiet(at_ms))


def test_a_label_makes_its_surroundings_unquiet():
    at_ms = np.arange(0, 24 * HOUR_MS, 60_000)
    label = at_ms == 12 * HOUR_MS

    marked = near(at_ms, label)

    assert marked.sum() == 2 * NEAR_MS // 60_000 + 1
    assert not near(at_ms, label & False).any()


def test_the_budget_allows_k_a_week_for_the_share_that_is_quiet():
    whole = stream(0, lambda at: np.ones(len(at), bool))
    half = stream(1, lambda at: at < MONDAY_MS + WEEK_MS // 2)
    tenant = Tenant("set", "t", (whole, half))

    allowed = allowance(tenant, MONDAY_MS, 4.0)

    assert allowed.sum() == pytest.approx(4.0 * 0.75)
    assert allowed[0] == pytest.approx(4.0 / 7)
    assert allowed[-1] == pytest.approx(2.0 / 7)


def test_the_interval_holds_the_ratio_and_is_wide_where_little_was_seen():
    days = np.zeros(28, np.int64)
    days[::7] = 2
    none = Count("t", "set", 1.0, np.zeros(28, np.int64), np.full(28, 1 / 7), {}, 0, 0, 0.0)
    some = Count("t", "set", 1.0, days, np.full(28, 1 / 7), {"spike": 8}, 3, 0, 0.0)

    empty, full = ratio_of("set", 1.0, [none]), ratio_of("set", 1.0, [some, none])

    assert (empty.ratio, empty.low) == (0.0, 0.0)
    assert empty.high == pytest.approx(3.69 / 4, rel=0.01)
    assert full.ratio == pytest.approx(1.0)
    assert full.low < 0.6 < 1.4 < full.high
    assert (full.kinds, full.others) == ({"spike": 8}, 3)
