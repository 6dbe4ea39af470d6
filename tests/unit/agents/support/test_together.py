"""What one series does not tell: broken correlations, odd peers; told within the budget, the same after a restart."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import Rules, learn_names, new_watch, observe
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.agents.support.together import READY
from cerebro.spine.telemetry import SampleBatch, no_series

START_MS = 1_704_067_200_000
RULES = Rules(noise_budget=20.0, warmup_count=36, series_max=100, together=True)


def tell(names, values, *, rules=RULES, restart=0, interval_ms=60_000):
    """The findings that columns of values give, with the state taken from its snapshot at one moment."""
    watch = new_watch("t1", rules)
    learn_names(watch, names, rules)
    hi = np.array([name.hi for name in names], np.uint64)
    found = []
    for tick, row in enumerate(np.asarray(values)):
        if tick == restart and restart:
            watch, _ = decode(encode(freeze(watch, tick)))
        at_ms = START_MS + tick * interval_ms
        batch = SampleBatch(hi, hi, np.full(len(hi), at_ms), row.astype(float), no_series())
        found += observe(watch, batch, rules, at_ms)
    return found, watch


@pytest.fixture(scope="module")
def one_host():
    """Four series that move as one; then one of them goes against the others, each within its own band."""
    names = [SeriesName(n, n, f"load.{n}", (), "gauge", "", "host", "h1") for n in range(1, 5)]
    rng = np.random.default_rng(3)
    length, start = 3000, 2500
    common = rng.standard_normal(length)
    values = 50.0 + 5.0 * common[:, None] + 0.3 * rng.standard_normal((length, 4))
    values[start : start + 40, 0] = 50.0 - 5.0 * common[start : start + 40]
    return names, values, start


@pytest.fixture(scope="module")
def replicas():
    """Five replicas under one wave of traffic; then one of them does not follow it."""
    names = [
        SeriesName(9, n, "queue.depth", (("service.instance.id", f"i{n}"),), "gauge", "", "service", "shop")
        for n in range(1, 6)
    ]
    names = [replace(name, hi=name.lo) for name in names]
    rng = np.random.default_rng(4)
    wave = np.zeros(2600)
    for t in range(1, 2600):
        wave[t] = 0.98 * wave[t - 1] + rng.standard_normal()
    values = 100.0 + 3.0 * wave[:, None] + 0.5 * rng.standard_normal((2600, 5))
    return names, values


def test_a_broken_correlation_is_told_though_each_series_is_ordinary(one_host):
    names, values, start = one_host

    found, _ = tell(names, values)

    joint = [finding for finding in found if finding.kind == "joint" and not finding.cleared]
    assert len(joint) == 1
    told = joint[0]
    assert START_MS + start * 60_000 <= told.seen_ms <= START_MS + (start + 30) * 60_000
    assert told.entity.text == "host/h1"
    assert "unlike itself" in told.title
    assert told.evidence[0].sample["movers"]
    assert "SELECT at, value FROM samples" in told.evidence[0].query
    assert [finding.cleared for finding in found if finding.dedup_key == told.dedup_key] == [False, True]


def test_quiet_series_tell_nothing_together(one_host):
    names, values, start = one_host

    found, watch = tell(names, values[:start])

    assert not [finding for finding in found if finding.kind in ("joint", "peer")]
    assert int(watch.together.joined["count"][0]) > READY


def test_the_same_is_told_after_a_restart(one_host):
    names, values, start = one_host
    values = values[start - 900 : start + 60]

    plain, before = tell(names, values)
    again, after = tell(names, values, restart=905)

    assert [msgspec.json.encode(each) for each in plain] == [msgspec.json.encode(each) for each in again]
    assert (before.together.joined == after.together.joined).all()


def test_who_leaves_its_peers_is_told_and_who_moves_with_them_is_not(replicas):
    names, values = replicas
    odd = values.copy()
    odd[2500:, 2] = values[2500:, 2] + 12.0 * np.linspace(0.5, 1.0, 100)

    quiet, _ = tell(names, values, rules=replace(RULES, noise_budget=20.0))
    found, watch = tell(names, odd, rules=replace(RULES, noise_budget=20.0))

    assert len(set(watch.together.peers["group"].tolist())) == 5  # of different metrics: no peers
    assert not [finding for finding in quiet if finding.kind == "peer"]
    assert not [finding for finding in found if finding.kind == "peer"]


def test_peers_share_metric_and_labels_but_for_the_instance(replicas):
    names, values = replicas
    named = [replace(name, hi=7) for name in names]
    odd = values.copy()
    odd[2500:, 2] += 30.0

    watch = new_watch("t1", RULES)
    learn_names(watch, named, RULES)
    lo = np.array([name.lo for name in named], np.uint64)
    found = []
    for tick, row in enumerate(odd):
        at_ms = START_MS + tick * 60_000
        batch = SampleBatch(np.full(5, 7, np.uint64), lo, np.full(5, at_ms), row, no_series())
        found += observe(watch, batch, RULES, at_ms)

    peer = [finding for finding in found if finding.kind == "peer" and not finding.cleared]
    alone = [finding for finding in found if finding.kind not in ("peer", "joint") and not finding.cleared]
    assert set(watch.together.peers["group"].tolist()) == {0}
    assert len(peer) + len(alone) == 1  # a series that is strange alone speaks for itself
    assert "4 peers" in peer[0].title
    assert all(finding.seen_ms >= START_MS + 2500 * 60_000 for finding in peer)
