"""Senders whose clocks are slow, jump, or are set back: nobody is silent for that, and what they say is judged."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.agents.support.observe import Rules, learn_names, new_watch, observe
from cerebro.agents.support.ratios import derived
from cerebro.spine.telemetry import SampleBatch, no_series

START_MS = 1_704_067_200_000
TICK_MS = 5000
HOUR = 720  # ticks
RULES = Rules(noise_budget=50.0, warmup_count=36, series_max=100, together=True)


@pytest.fixture
def told(name_of):
    """Play ticks of hosts with clocks of their own; what was found, and the watch."""

    def run(behind_s, values, *, kind="gauge"):
        """`behind_s` and `values`: a column a host, NaN for nothing sent."""
        counts = kind == "counter"
        names = [
            replace(name_of(number + 1, "http_requests_total" if counts else "system.cpu.busy", kind,
                            "" if counts else "1", entity=f"h{number}", labels=(("host", f"h{number}"),)), hi=7)
            for number in range(values.shape[1])
        ]  # fmt: skip
        watch, found = new_watch("t1", RULES), []
        learn_names(watch, names, RULES)
        hi, lo = (np.array([getattr(name, part) for name in names], np.uint64) for part in ("hi", "lo"))
        for tick, row in enumerate(values):
            now_ms, sent = START_MS + tick * TICK_MS, np.isfinite(row)
            at_ms = (now_ms - 1000 * np.broadcast_to(behind_s[tick], len(row))).astype(np.int64)
            batch = SampleBatch(hi[sent], lo[sent], at_ms[sent], row[sent], no_series())
            found += observe(watch, batch, RULES, now_ms)
            derived(watch.ratios, watch.series, batch)
        return found, watch

    return run


def idle(count, hosts=4, seed=1):
    return np.clip(0.05 + 0.01 * np.random.default_rng(seed).standard_normal((count, hosts)), 0, 1)


def set_back(count, hosts, at, by_s):
    behind = np.zeros((count, hosts))
    behind[at:, 0] = by_s
    return behind


@pytest.mark.parametrize("behind_s", [90.0, 1800.0, 26 * 3600.0])
def test_a_slow_clock_is_no_silence_but_silence_is(told, behind_s):
    values = idle(2 * HOUR)
    values[HOUR + 300 :, 0] = np.nan
    found, _ = told(set_back(2 * HOUR, 4, 0, behind_s), values)

    assert [(each.kind, each.entity.name) for each in found] == [("silence", "h0")]


@pytest.mark.parametrize("by_s", [60.0, 3600.0, 30 * 86_400.0])
def test_a_clock_that_is_set_back_costs_a_minute(told, by_s):
    """Nothing is told of it, and a fault after it is told as fast as ever."""
    values = idle(2 * HOUR)
    values[HOUR + 60 :, 0] = 0.97
    found, watch = told(set_back(2 * HOUR, 4, HOUR, by_s), values)

    (opened,) = (each for each in found if not each.cleared)
    assert (opened.kind, opened.entity.name) in (("level_shift", "h0"), ("spike", "h0"))
    assert opened.seen_ms - (START_MS + (HOUR + 60) * TICK_MS - 1000 * by_s) <= 30_000
    assert watch.tally.late <= 12


@pytest.mark.parametrize("by_s", [60.0, 3600.0, 30 * 86_400.0])
@pytest.mark.parametrize("at", [0, HOUR + 10, HOUR + 35], ids=["slow", "set back in the trouble", "set back after it"])
def test_the_aftermath_of_a_trouble_is_as_long_by_any_clock(told, at, by_s):
    """Two minutes after the last of it, and one more at most for a clock that was set back."""
    for after, is_over in ((20, False), (60, True)):
        values = idle(HOUR + 30 + after)
        values[HOUR : HOUR + 30, 0] = 0.97
        _, watch = told(set_back(len(values), 4, at, by_s), values)

        assert (watch.series.rows["calm_s"][0] == 0.0) == is_over
        assert (watch.series.rows["calm_s"][1:] == 0.0).all()


def test_everybody_set_back_is_nobody_silent(told):
    values = idle(2 * HOUR)
    behind = np.zeros((2 * HOUR, 4))
    behind[HOUR:] = 3600.0
    found, watch = told(behind, values)

    assert found == []
    assert watch.ticked_ms >= START_MS + (2 * HOUR - 4) * TICK_MS - 3_600_000
    assert watch.tally.judged > 4 * (2 * HOUR - 36 - 13) - 1


def test_a_clock_that_jumps_ahead_and_back_is_no_news(told):
    values, behind = idle(2 * HOUR), np.zeros((2 * HOUR, 4))
    behind[HOUR : HOUR + 20, 0] = -540.0
    found, watch = told(behind, values)

    assert found == []
    assert watch.tally.late <= 12


def test_a_counter_has_the_same_rate_after_its_clock_was_set_back(told):
    values = np.cumsum(np.random.default_rng(2).poisson(500, (2 * HOUR, 3)), axis=0).astype(float)
    found, watch = told(set_back(2 * HOUR, 3, HOUR, 3600.0), values, kind="counter")

    assert found == []
    assert watch.series.rows["value"][0] == pytest.approx(100.0, rel=0.2)


def test_entities_and_peers_follow_the_clock(told):
    values = idle(2 * HOUR)
    _, watch = told(set_back(2 * HOUR, 4, HOUR, 3600.0), values)
    newest_ms = START_MS + (2 * HOUR - 1) * TICK_MS - 3_600_000

    assert watch.together.peers["last_ms"][0] >= newest_ms - 15_000
    assert watch.concert.measures["at_ms"][0] == newest_ms


def test_a_backlog_between_new_samples_sets_nothing_back(told):
    """Another sender of the same series whose samples come late: they are counted, and nothing is judged twice."""
    values, behind = idle(2 * HOUR), np.zeros((2 * HOUR, 4))
    behind[HOUR::2, 0] = 1800.0
    _, watch = told(behind, values)

    assert watch.tally.late == HOUR // 2
    assert watch.series.rows["last_ms"][0] == START_MS + (2 * HOUR - 1) * TICK_MS


@pytest.mark.parametrize(("before_ms", "after_ms"), [(5000, 60_000), (60_000, 5000), (5000, 1000)])
def test_another_interval_between_scrapes_is_no_news(name_of, before_ms, after_ms):
    watch, name, found = new_watch("t1", RULES), name_of(), []
    learn_names(watch, [name], RULES)
    hi, lo = np.array([name.hi], np.uint64), np.array([name.lo], np.uint64)
    at_ms = START_MS
    for tick, value in enumerate(idle(1200, 1)[:, 0]):
        at_ms += before_ms if tick < 800 else after_ms
        batch = SampleBatch(hi, lo, np.array([at_ms]), np.array([value]), no_series())
        found += observe(watch, batch, RULES, at_ms)

    assert found == []
    assert watch.series.rows["interval_s"][0] == pytest.approx(after_ms / 1000, rel=0.01)
