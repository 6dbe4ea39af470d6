"""Series that come and go: the state stays within its bound, those that stay keep what was learned of them."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.observe import Rules, learn_names, new_watch, observe
from cerebro.agents.support.ratios import derived
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.spine.telemetry import SampleBatch, no_series

START_MS, MINUTE_MS = 1_704_067_200_000, 60_000
RULES = Rules(noise_budget=200.0, warmup_count=12, series_max=60, together=True)
HOSTS = [
    SeriesName(1 + at // 4, 100 + at, metric, (("code", "200"), ("host", f"h{at % 4}")), kind, "", "host", f"h{at % 4}")
    for at, (metric, kind) in enumerate(
        [("queue.depth", "gauge")] * 4 + [("pool.used", "gauge")] * 4 + [("http_requests_total", "counter")] * 4
    )
]
POD_COUNT, LIFE = 12, 90  # pods of a generation, and its minutes


def pods(generation):
    return [
        SeriesName(9, 10_000 + generation * POD_COUNT + at, "pod.memory", (("pod", f"p{generation}-{at}"),), "gauge",
                   "By", "pod", f"p{generation}-{at}")
        for at in range(POD_COUNT)
    ]  # fmt: skip


def minutes(count, churn=True, seed=3):
    """Batches of each minute with the names that are new in it."""
    chance = np.random.default_rng(seed)
    steady = 50.0 + chance.standard_normal((count, len(HOSTS)))
    steady[:, 8:] = np.cumsum(chance.poisson(3000, (count, 4)), axis=0)
    steady[700:730, 1] += 60.0
    noise = chance.standard_normal((count, POD_COUNT))
    for minute in range(count):
        names, values, fresh = list(HOSTS), steady[minute], HOSTS if minute == 0 else []
        if churn:
            generation = pods(minute // LIFE)
            names, values = [*names, *generation], np.concatenate([values, 1e8 + 1e6 * noise[minute]])
            fresh = [*fresh, *(generation if minute % LIFE == 0 else [])]
        hi, lo = (np.array([getattr(name, part) for name in names], np.uint64) for part in ("hi", "lo"))
        at_ms = np.full(len(names), START_MS + minute * MINUTE_MS)
        yield fresh, SampleBatch(hi, lo, at_ms, values, no_series())


def run(count, *, churn=True, restarts=(), rules=RULES):
    watch, found = new_watch("t1", rules), []
    for minute, (fresh, batch) in enumerate(minutes(count, churn)):
        if minute in restarts:
            watch, _ = decode(encode(freeze(watch, minute)))
        learn_names(watch, fresh, rules)
        found += observe(watch, batch, rules, int(batch.at_ms[0]))
        derived(watch.ratios, watch.series, batch)
    return found, watch


def test_those_that_stay_keep_what_was_learned_of_them():
    found, watch = run(1500)
    _, alone = run(1500, churn=False)

    assert watch.series.count <= RULES.series_max
    assert watch.series.turned_away_count == 0
    assert watch.series.names[: len(HOSTS)] == HOSTS
    for field in ("count", "level", "spread", "tail", "daily", "loud"):
        assert (watch.series.rows[field][: len(HOSTS)] == alone.series.rows[field][: len(HOSTS)]).all(), field
    same = [watch.together.slots["host", f"h{at}"] for at in range(4)]
    assert (watch.together.joined["count"][same] == alone.together.joined["count"][:4]).all()
    assert (watch.ratios.previous[8:12] == alone.ratios.previous[8:12]).all()
    assert {each.entity.name for each in found if each.kind in ("spike", "level_shift")} >= {"h1"}


def test_every_row_is_found_under_its_name():
    _, watch = run(1500)
    series = watch.series
    hi, lo = (np.array([getattr(name, part) for name in series.names], np.uint64) for part in ("hi", "lo"))

    assert (series.index.find(hi, lo) == np.arange(series.count)).all()
    assert sorted(row for rows in series.by_entity.values() for row in rows) == list(range(series.count))
    assert (series.rows["count"][: series.count] > 0).all()
    assert set(watch.recent.ordered()["row"].tolist()) <= set(range(series.count))
    assert not series.rows["count"][series.count :].any()


def test_a_restart_between_changes_nothing():
    plain, before = run(1200)
    again, after = run(1200, restarts=(300, 541, 720, 1100))

    assert [msgspec.json.encode(each) for each in again] == [msgspec.json.encode(each) for each in plain]
    assert after.series.names == before.series.names
    assert (after.series.rows[: after.series.count] == before.series.rows[: before.series.count]).all()
    assert (after.concert.heard == before.concert.heard).all()


def test_where_nobody_is_gone_new_ones_are_turned_away_and_taken_in_later():
    rules = replace(RULES, series_max=14)
    _, watch = run(60, rules=rules)
    assert watch.series.count == 14 and watch.series.turned_away_count == POD_COUNT - 2
    assert not watch.unnamed

    _, watch = run(400, rules=rules)
    assert watch.series.count == 14
    assert watch.series.names[-1].entity_name.startswith("p4-")  # of the generation that reports now
    assert watch.series.names[: len(HOSTS)] == HOSTS


def test_an_episode_of_what_is_gone_ends_after_a_day():
    chance, name = np.random.default_rng(1), replace_name("h9")
    watch, found = new_watch("t1", RULES), []
    learn_names(watch, [*HOSTS[:4], name], RULES)
    for minute in range(600 + 1500):
        value = np.append(
            50.0 + chance.standard_normal(4), 50.0 + (500.0 if minute >= 590 else chance.standard_normal())
        )
        sent = np.array([True] * 4 + [minute < 600])
        names = [*HOSTS[:4], name]
        hi, lo = (np.array([getattr(each, part) for each in names], np.uint64)[sent] for part in ("hi", "lo"))
        at_ms = np.full(sent.sum(), START_MS + minute * MINUTE_MS)
        found += observe(watch, SampleBatch(hi, lo, at_ms, value[sent], no_series()), RULES, int(at_ms[0]))

    mine = [each for each in found if each.entity.name == "h9" and each.kind != "silence"]
    assert [each.cleared for each in mine] == [False, True]
    assert mine[1].title.endswith("is no longer reported")
    assert not watch.open_rows


def replace_name(host):
    return replace(HOSTS[0], lo=999, labels=(("host", host),), entity_kind="pod", entity_name=host)


def held(watch):
    """What grows with series, in bytes and entries."""
    series, together = watch.series, watch.together
    arrays = (series.rows, series.index.name, series.index.slot, together.peers, together.joined, watch.recent.ring)
    return sum(array.nbytes for array in arrays) + len(series.by_entity) + len(together.groups) + len(series.names)


@pytest.mark.parametrize(
    "size", [1000, pytest.param(50_000, marks=[pytest.mark.long, pytest.mark.timeout(900)], id="a million series")]
)
def test_twenty_generations_stay_within_the_room_of_two(size):
    """Pods that are all replaced every hour and a half: half of all that there is room for is new at once."""
    rules = Rules(noise_budget=5.0, warmup_count=12, series_max=2 * size, together=True)
    watch, room = new_watch("t1", rules), 0
    for generation in range(20):
        names = [
            SeriesName(9, generation * size + at + 1, "pod.memory", (("pod", f"{generation}-{at}"),), "gauge", "By",
                       "pod", f"{generation}-{at}")
            for at in range(size)
        ]  # fmt: skip
        learn_names(watch, names, rules)
        hi, lo = np.full(size, 9, np.uint64), np.array([name.lo for name in names], np.uint64)
        for part in range(3):
            at_ms = np.full(size, START_MS + generation * 90 * MINUTE_MS + part * 15 * MINUTE_MS)
            observe(watch, SampleBatch(hi, lo, at_ms, np.full(size, 1e8), no_series()), rules, int(at_ms[0]))
        if generation == 4:
            room = held(watch)

    assert watch.series.count <= rules.series_max
    assert watch.series.turned_away_count == 0
    assert held(watch) <= room
