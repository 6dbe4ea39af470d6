"""What the agent notices, what it leaves alone, and how it tells it."""

import hashlib
import json
import math

import numpy as np
import pytest

from cerebro.agents.support.admit import Opinion
from cerebro.agents.support.describe import Moment
from cerebro.agents.support.model import Test as Question
from cerebro.agents.support.model import Turn
from cerebro.agents.support.observe import OPEN_PER_ENTITY_MAX, Rules, _fails_less, new_watch, observe, take_opinions
from cerebro.algorithms.tails import TOP
from cerebro.spine.findings import Severity
from cerebro.spine.telemetry import SampleBatch, no_series

HOUR = 720  # samples at 5 s
START_MS = 1_704_067_200_000
NOTHING = -np.inf


def quiet(count, series=1, level=0.05, seed=1):
    return np.clip(level + 0.01 * np.random.default_rng(seed).standard_normal((count, series)), 0.0, 1.0)


def test_a_busy_processor_is_found_in_thirty_seconds_and_cleared_within_a_minute(watch, play, name_of):
    """The main job: idle, then full for two minutes, then idle again."""
    values = quiet(HOUR + 60)
    values[HOUR : HOUR + 24] = 0.97

    found = play(watch, [name_of()], values)

    opened, cleared = found
    assert opened.title.startswith("CPU utilisation of host web-7")
    assert opened.title.endswith("to 97 %")
    assert opened.severity is Severity.MAJOR
    assert opened.entity.text == "host/web-7"
    assert opened.seen_ms - opened.at_ms <= 30_000
    assert not opened.cleared
    assert cleared.cleared
    assert cleared.dedup_key == opened.dedup_key
    assert cleared.id != opened.id
    assert 30_000 <= cleared.seen_ms - (opened.at_ms + 24 * 5000) <= 60_000
    assert not watch.open_rows


@pytest.mark.parametrize("pause", [60, 12])  # samples of 5 s: a quarter of an hour apart, or in each other's aftermath
def test_real_troubles_that_come_and_go_make_no_series_deaf(watch, play, name_of, pause):
    """Each time full for a minute and again, four times, said to be real troubles at the end; ten such in a row."""
    trouble = quiet(pause + 132, seed=2)
    for begin in (0, 36, 72, 108):
        trouble[pause + begin : pause + begin + 12] = 0.97
    play(watch, [name_of()], quiet(HOUR))
    before, start_ms = float(watch.series.rows["tail"][0, :4, TOP].max()), START_MS + HOUR * 5000
    for number in range(10):
        found = play(watch, [name_of()], trouble, start_ms=start_ms + number * len(trouble) * 5000)
        take_opinions(watch, [Opinion(finding.dedup_key, "useful", finding.seen_ms) for finding in found])

        assert found, number

    assert float(watch.series.rows["tail"][0, :4, TOP].max()) <= before + 0.1


@pytest.mark.parametrize("minutes", [4, 5, 7])
def test_a_busy_processor_is_found_minutes_after_an_uneasy_start(watch, play, name_of, minutes):
    """A newcomer starts Cerebro, which is busy for a minute itself, and tries it out soon after."""
    values = quiet(minutes * 12 + 20, level=0.03)
    values[:14] = 0.6 + 0.4 * np.random.default_rng(3).random((14, 1))
    values[minutes * 12 :] = 1.0
    others = [name_of(number, "system.x", unit="{x}") for number in range(2, 72)]
    noise = 100 + np.random.default_rng(4).standard_normal((len(values), len(others)))

    found = play(watch, [name_of(), *others], np.hstack([values, noise]))

    assert [finding.signal for finding in found] == ["system.cpu.busy"]
    assert found[0].seen_ms - found[0].at_ms <= 15_000


def test_the_evidence_can_be_checked_and_drawn(watch, play, name_of):
    values = quiet(HOUR)
    values[-4:] = 0.97
    name = name_of()

    (finding,) = play(watch, [name], values)

    (evidence,) = finding.evidence
    sample = evidence.sample
    assert len(sample["at_ms"]) == len(sample["value"]) == len(sample["low"]) == len(sample["high"]) == 120
    assert sample["value"][-1] == pytest.approx(0.97)
    assert sample["high"][-1] < 0.97
    assert sample["series"] == f"{name.hi}-{name.lo}"
    canonical = json.dumps(sample, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert evidence.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert f"hi = {name.hi} AND lo = {name.lo}" in evidence.query
    assert "tenant = 't1'" in evidence.query
    assert evidence.start_ms == sample["at_ms"][0]
    assert evidence.end_ms == sample["at_ms"][-1] + 1
    assert 0.0 < finding.p_value < 0.05


def test_nothing_is_said_before_the_warm_up_ends(watch, play, name_of, rules):
    values = quiet(rules.warmup_count - 1)
    values[20:] = 0.99

    assert play(watch, [name_of()], values) == []
    assert watch.tally.judged == 0


def test_a_counter_that_restarts_is_no_news(watch, play, name_of):
    """Requests a second stay the same; the process restarts every ten minutes."""
    steps = np.random.default_rng(2).poisson(500, 2 * HOUR).astype(float)
    values = np.cumsum(steps)
    for restart in range(120, 2 * HOUR, 120):
        values[restart:] -= values[restart] - 3.0

    found = play(watch, [name_of(metric="http_requests_total", type="counter", unit="")], values)

    assert found == []
    assert watch.tally.reset == 11


def test_errors_that_appear_are_major(watch, play, name_of):
    chance = np.random.default_rng(3)
    rates = chance.poisson(2.0, 4 * HOUR).astype(float)
    rates[-20:] += 3000.0

    found = play(
        watch, [name_of(metric="http.errors", type="counter", unit="{error}", kind="service")], np.cumsum(rates)
    )

    assert found[0].severity is Severity.MAJOR
    assert "/s" in found[0].title


def test_an_improvement_is_only_noticed(watch, play, name_of):
    values = 0.8 + 0.01 * np.random.default_rng(4).standard_normal(3 * HOUR)
    values[-20:] = 0.02

    found = play(watch, [name_of()], values)

    assert [finding.severity for finding in found] == [Severity.NOTICE]


@pytest.mark.parametrize(
    ("metric", "labels", "told"),
    [
        ("http.server.request.duration_count", (("http.response.status_code", "504"),), False),
        ("http.server.request.duration_count", (("error.type", "TimeoutError"),), False),
        ("http.server.request.duration_count", (("http.response.status_code", "200"),), True),
        ("payments_refused_total", (), False),
        ("payments_total", (), True),
    ],
)
def test_failures_that_become_fewer_are_no_news_and_answers_that_do_are(watch, play, name_of, metric, labels, told):
    """A trouble that was long enough to be learned ends."""
    rates = np.random.default_rng(8).poisson(20.0, 2 * HOUR).astype(float)
    rates[-20:] = 0.0
    name = name_of(metric=metric, labels=labels, type="counter", unit="{request}", kind="service")

    found = play(watch, [name], np.cumsum(rates))

    assert [finding.entity.kind for finding in found] == ["service"] * told


@pytest.mark.parametrize(("test", "told"), [(Question.SHIFT, False), (Question.VARIANCE, True)])
def test_failures_that_become_restless_are_news_wherever_they_are_just_now(name_of, test, told):
    name = name_of(metric="http.errors", type="counter", unit="{error}", kind="service")
    moment = Moment(0, 2000, 1000, 1.0, 2.0, test, Turn.OPENED, 0.01, 3.0)

    assert _fails_less(name, moment) is not told


def test_what_stays_away_becomes_the_usual(watch, play, name_of):
    """After two hours at a new level the episode ends, saying so, and the new level is no news."""
    values = np.concatenate([quiet(HOUR), 0.6 + quiet(4 * HOUR, seed=5)])

    opened, settled = play(watch, [name_of()], values)

    assert not opened.cleared
    assert settled.cleared
    assert "settled at 6" in settled.title
    assert settled.dedup_key == opened.dedup_key


def test_a_trouble_is_learned_by_none_of_the_series_of_its_entity(watch, play, name_of):
    """What swings with it too little to be told is told when it rises alone; its twin elsewhere took it for usual."""
    names = [name_of(1), name_of(2, "app.share"), name_of(3, "app.share", entity="web-8")]
    busy, share = quiet(2 * HOUR), quiet(2 * HOUR, seed=2)
    busy[HOUR : HOUR + 360] = 0.97
    for hit in range(HOUR, HOUR + 340, 12):
        share[hit : hit + 8] += 0.03 * (1 + hit % 3)
    share[-20:] += 0.12

    found = play(watch, names, np.hstack([busy, share, share]), rules=Rules(200.0, 36, 1000))

    told = [(finding.signal, finding.entity.name) for finding in found if not finding.cleared]
    assert told == [("system.cpu.busy", "web-7"), ("app.share", "web-7")]


def test_what_stays_as_long_as_a_trouble_may_last_becomes_the_usual_of_the_whole_entity(watch, play, name_of):
    busy, share = quiet(4 * HOUR), quiet(4 * HOUR, seed=2)
    busy[HOUR:] += 0.8
    share[HOUR:] += 0.08

    found = play(watch, [name_of(1), name_of(2, "app.share")], np.hstack([busy, share]))

    assert {finding.signal for finding in found} == {"system.cpu.busy"}
    state = watch.series.rows[1]
    assert state["level"] + state["local"] == pytest.approx(0.13, abs=0.01)
    assert state["calm_s"] == 0.0


def test_what_follows_a_trouble_is_learned_by_none_of_the_series_of_its_entity(watch, play, name_of):
    """Replicas that start anew, caches that fill: they come with every trouble, and make the next one no more usual."""
    names = [name_of(1), name_of(2, "app.share"), name_of(3, "app.share", entity="web-8")]
    busy, share = quiet(2 * HOUR), quiet(2 * HOUR, seed=2)
    for hit in range(HOUR, HOUR + 180, 60):
        busy[hit : hit + 10] = 0.97
        share[hit + 19 : hit + 21] += 0.05

    play(watch, names, np.hstack([busy, share, share]), rules=Rules(200.0, 36, 1000))

    mine, elsewhere = watch.series.rows["tail"][1:3, Question.SPIKE, TOP]
    assert mine < 0.5 * elsewhere


def test_what_begins_with_a_trouble_before_it_is_told_is_learned_by_none_of_the_series_of_its_entity(
    watch, play, name_of
):
    names = [name_of(1), name_of(2, "app.share"), name_of(3, "app.share", entity="web-8")]
    busy, share = quiet(2 * HOUR), quiet(2 * HOUR, seed=2)
    share[HOUR : HOUR + 3] += 0.05  # not told by itself: young as it is, its tails are heavy
    busy[HOUR + 1 : HOUR + 20] = 0.97

    play(watch, names, np.hstack([busy, share, share]), rules=Rules(5.0, 36, 1000))

    mine, elsewhere = watch.series.rows["tail"][1:3, Question.SPIKE, TOP]
    assert mine < 0.5 * elsewhere


def test_a_small_change_is_left_alone_however_rare(watch, play, name_of):
    """From 50.0 % to 50.9 % on a series that never moves: not worth a word."""
    values = np.full(2 * HOUR, 0.5)
    values[-60:] = 0.509

    assert play(watch, [name_of()], values) == []


def test_a_storm_is_told_in_few_findings(watch, play, name_of):
    """Sixty series of one host move at once: a handful of findings, the others counted in them."""
    names = [name_of(number, metric=f"app.share.{number}", labels=(("shard", str(number)),)) for number in range(60)]
    values = quiet(2 * HOUR, 60)
    values[-10:] = 0.9

    found = play(watch, names, values, rules=Rules(100.0, 36, 1000))

    assert 1 <= len(found) <= OPEN_PER_ENTITY_MAX
    assert watch.tally.suppressed >= 40
    assert "more series of host web-7 moved" in found[0].evidence[0].sentence


def test_a_host_that_falls_silent_is_one_finding(watch, play, name_of):
    names = [name_of(number, entity="web-7") for number in range(1, 11)]
    names += [name_of(number, entity="web-8") for number in range(11, 21)]
    values = quiet(3 * HOUR, 20)
    values[2 * HOUR : 2 * HOUR + 60, :10] = NOTHING

    opened, cleared = play(watch, names, values)

    assert opened.kind == "silence"
    assert opened.title.startswith("Host web-7 stopped reporting")
    assert opened.severity is Severity.MAJOR
    assert opened.evidence[0].sample["series_count"] == 10
    assert cleared.cleared
    assert cleared.title == "Host web-7 reports again"
    assert cleared.dedup_key == opened.dedup_key


def test_when_everything_was_silent_it_was_us(watch, play, name_of):
    """After an hour without any telemetry nobody is accused."""
    names = [name_of(1, entity="web-7"), name_of(2, entity="web-8")]
    play(watch, names, quiet(HOUR, 2))

    found = play(watch, names, quiet(100, 2), start_ms=1_704_067_200_000 + 2 * HOUR * 5000)

    assert found == []


def test_processes_come_and_go_in_silence(watch, play, name_of):
    names = [name_of(1, "process.cpu.utilization", kind="process", entity="web-7:make"), name_of(2)]
    values = quiet(2 * HOUR, 2)
    values[HOUR:, 0] = NOTHING

    assert play(watch, names, values) == []


def test_up_that_says_zero_is_a_silence(watch, play, name_of):
    names = [name_of(1, "up", unit="", kind="service", entity="checkout"), name_of(2, entity="web-8")]
    values = np.column_stack([np.ones(3 * HOUR), quiet(3 * HOUR)[:, 0]])
    values[2 * HOUR :, 0] = 0.0

    (found,) = play(watch, names, values)

    assert found.kind == "silence"
    assert found.entity.text == "service/checkout"


def test_late_and_repeated_samples_change_nothing(watch, play, name_of, rules):
    name = name_of()
    play(watch, [name], quiet(100))
    row = watch.series.rows[0].copy()
    hi, lo = np.array([name.hi] * 3, np.uint64), np.array([name.lo] * 3, np.uint64)
    at_ms = np.array([int(row["last_ms"]), int(row["last_ms"]) - 1, 5], np.int64)

    found = observe(
        watch, SampleBatch(hi, lo, at_ms, np.array([9.0, 9.0, 9.0]), no_series()), rules, int(row["last_ms"])
    )

    assert found == []
    assert watch.tally.late == 3
    row["late_count"] = 1
    assert watch.series.rows[0] == row


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300, -1e300, 5e-324])
@pytest.mark.parametrize(
    ("metric", "type", "unit"), [("a", "gauge", ""), ("b_total", "counter", ""), ("c", "gauge", "By")]
)
def test_no_number_spoils_the_state(watch, play, name_of, bad, metric, type, unit):
    """Whatever comes, the state stays finite and goes on working."""
    values = 10.0 + np.random.default_rng(6).standard_normal(400)
    values = np.cumsum(values) if type == "counter" else values
    values[100:400:37] = bad

    play(watch, [name_of(metric=metric, type=type, unit=unit)], values)

    row = watch.series.rows[0]
    for field in ("level", "local", "spread", "drift", "z_1", "new_level", "interval_s"):
        assert math.isfinite(row[field]), field
    assert np.isfinite(row["tail"]).all()


@pytest.mark.parametrize("begun", [2.0**53, 2.0**63, 1e25])
def test_a_counter_that_is_too_large_to_tell_its_steps_is_no_news(watch, play, name_of, begun):
    """From 2^53 on single steps are lost, from 1e25 on all are: what is left of its rate is no change of it."""
    steps = np.random.default_rng(7).poisson(500, 3 * HOUR)

    found = play(
        watch, [name_of(metric="bytes_total", type="counter", unit="By")], begun + np.cumsum(steps).astype(float)
    )

    assert found == []
    assert watch.tally.reset == 0


def test_a_constant_never_speaks(watch, play, name_of):
    names = [name_of(1, "build.number", unit=""), name_of(2, "limit", unit="By"), name_of(3)]

    assert play(watch, names, np.full((3 * HOUR, 3), 42.0)) == []


def test_a_new_scrape_interval_is_learned(watch, play, name_of):
    """From 5 s to 30 s: no silence, no news, and the interval is known."""
    name, other = name_of(1), name_of(2, entity="web-8")
    play(watch, [name, other], quiet(HOUR, 2))
    start_ms = int(watch.series.rows["last_ms"][0]) + 5000

    found = play(watch, [name, other], quiet(200, 2), interval_s=30.0, start_ms=start_ms)

    assert found == []
    assert watch.series.rows["interval_s"][0] == pytest.approx(30.0, rel=0.01)


def test_series_beyond_the_limit_are_counted_and_left_alone(play, name_of):
    rules = Rules(5.0, 36, series_max=3)
    watch = new_watch("t1", rules)
    names = [name_of(number) for number in range(10)]

    play(watch, names, quiet(50, 10), rules=rules)

    assert watch.series.count == 3
    assert watch.series.turned_away_count == 7
    assert not watch.unnamed


def test_unnamed_series_are_remembered_for_a_look_up(watch, play, name_of):
    name = name_of()
    play(watch, [name], quiet(3), named=False)
    assert watch.unnamed == {(name.hi, name.lo)}

    play(watch, [name], quiet(3))
    assert watch.unnamed == set()
    assert watch.series.rows["count"][0] == 3


def test_the_budget_counts_what_it_admits(watch, play, name_of):
    values = quiet(HOUR + 60)
    values[HOUR : HOUR + 24] = 0.97
    play(watch, [name_of()], values)

    assert len(watch.budget.admissions) == 1
    assert watch.budget.test_count == watch.tally.judged > HOUR - 100
    assert 0.0 < watch.budget.spending.spent < 5.0 * 2 / 168
