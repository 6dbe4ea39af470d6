"""The budget: what it lets through costs, what people say returns or takes, and plans move prices without muting."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cerebro.agents.support.admit import (
    LEAN_MIN,
    Admission,
    Budget,
    Change,
    Opinion,
    admitted,
    leaning_at,
    opined,
    review,
    set_prices,
    share_repeats,
)
from cerebro.agents.support.observe import learn_names, take_changes, take_opinions, tick
from cerebro.agents.support.plans import changes_of
from cerebro.agents.support.standing import standing_of
from cerebro.agents.support.untaught import KEPT_MS, TAUGHT, forget, keep, kept_left, not_past, nothing_kept
from cerebro.algorithms.spending import WEEK_MS, Spending
from cerebro.algorithms.tails import COUNT, TOP, TOTAL
from cerebro.spine.telemetry import EVENT_SCHEMA

START_MS = 1_704_067_200_000


@pytest.fixture
def rows(watch, rules, name_of):
    learn_names(
        watch, [name_of(number, metric="some.gauge", unit="", entity=f"h{number}") for number in range(4)], rules
    )
    rows = watch.series.rows[:4]
    rows["last_ms"], rows["count"], rows["interval_s"] = START_MS, 1000, 60.0
    return rows


def admission(at_ms=START_MS, key="k1", row=0):
    return Admission(at_ms, key, "level_shift", 1, 12, ("host", "h0"), row)


def test_what_is_shared_out_never_exceeds_the_budget(rows):
    """Whatever the weights and the changes in progress, the plain shares sum to at most the budget."""
    changes = [(np.array([0, 1]), 4.0), (np.array([2]), 0.25)]
    changed = sum(float(rows["weight"][which].sum()) * (factor - 1.0) for which, factor in changes)

    budget = review(Budget(Spending(5.0)), rows, START_MS + 60_000, 36, changed)
    set_prices(budget, rows, 0, (), changes)

    shares = budget.unit * rows["weight"] * rows["price"][:, 0]
    assert float(shares.sum()) == pytest.approx(0.8 * budget.spending.rate, rel=1e-6)
    assert rows["price"][0, 0] == pytest.approx(4.0 * rows["price"][3, 0])
    assert (rows["price"] > 0).all()


def test_an_unused_budget_makes_thresholds_easier_and_findings_undo_it(rows):
    budget = review(Budget(Spending(5.0, at_ms=START_MS)), rows, START_MS, 36)
    rows["last_ms"] = START_MS + WEEK_MS
    eased = review(budget, rows, START_MS + WEEK_MS, 36)

    assert eased.eases[1].factor == pytest.approx(4.0)

    told = eased
    for count in range(5):
        told = admitted(told, admission(START_MS + WEEK_MS, f"k{count}", row=-1), rows, urgent=False)

    assert told.eases[1].factor == pytest.approx(1.0)
    assert told.eases[0].factor == pytest.approx(4.0)  # of the other class of series


def test_a_series_that_has_just_spoken_pays_for_it_and_useful_gives_it_back(rows):
    before = float(rows["price"][0, 0])
    leanings = {}
    told = admitted(Budget(Spending(5.0)), admission(), rows, urgent=False)

    assert rows["price"][0, 0] == pytest.approx(before / 4.0)

    said = opined(told, Opinion("k1", "useful", START_MS), rows, leanings)

    assert rows["price"][0, 0] == pytest.approx(before)
    assert standing_of(said).remaining_week == 5.0
    assert standing_of(said).useful_week == 1
    assert leaning_at(leanings["level_shift", 12, "host", "h0"], START_MS) > 0


def test_an_entity_pays_for_what_its_series_repeat_but_not_for_a_first_time(rows):
    rows["weight"] = [1.0, 1.0, 20.0, 0.3]
    members = np.arange(4)
    admitted(Budget(Spending(5.0)), admission(), rows, urgent=False)
    share_repeats(rows, members)

    assert rows["repeat"].tolist() == pytest.approx([np.log(4.0), 0.0, 0.0, 0.0])

    before = rows["price"][:, 0].copy()
    for key in ("k2", "k3"):
        admitted(Budget(Spending(5.0)), admission(key=key), rows, urgent=False)
    share_repeats(rows, members)

    assert rows["repeat"].tolist() == pytest.approx(np.log([64.0, 16.0, 1.0, 16.0]))  # the heavy one pays nothing
    assert (rows["price"][:, 0] / before).tolist() == pytest.approx([1 / 16, 1 / 16, 1.0, 1 / 16])
    share_repeats(rows, members)
    assert rows["repeat"].tolist() == pytest.approx(np.log([64.0, 16.0, 1.0, 16.0]))


@pytest.mark.parametrize(("verdict", "left"), [("useful", 1.0), ("noise", 2.0)])
def test_a_real_trouble_is_no_nature_of_its_series(watch, rows, verdict, left):
    """The series of the entity count as many episodes as before it; others do not."""
    watch.series.rows["episode_count"][:4] = 1.0
    watch.untaught = keep(watch.untaught, watch.series.rows, [0, 1, 2, 3], START_MS)
    watch.series.rows["episode_count"][:4] = 2.0
    watch.budget = admitted(watch.budget, admission(row=-1), rows, urgent=False)

    take_opinions(watch, [Opinion("k1", verdict, START_MS)])

    assert watch.series.rows["episode_count"][:4].tolist() == [left, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(("verdict", "left"), [("useful", 3.0), ("noise", 5.0)])
def test_what_a_real_trouble_has_taught_is_taken_back_and_one_that_lasts_will_teach_nothing(watch, rows, verdict, left):
    """Of every series of its entity, also of one that told nothing: it has learned the trouble as an ordinary day."""
    state = watch.series.rows
    state["tail"][:2, 1, TOTAL], state["tail"][:2, 1, COUNT], state["tail"][:2, 1, TOP] = 3.0, 3.0, 3.0
    for row, key in enumerate(("k0", "k1")):
        watch.untaught = keep(watch.untaught, state, [row], START_MS)
        entity = (watch.series.names[row].entity_kind, watch.series.names[row].entity_name)
        each = replace(admission(key=key, row=-1), entity=entity)
        watch.budget = admitted(watch.budget, each, rows, urgent=False)
    state["tail"][:2, 1, TOTAL], state["tail"][:2, 1, COUNT], state["tail"][:2, 1, TOP] = 5.0, 5.0, 5.0
    state["episode"][1], state["opened_ms"][1] = 1, START_MS - 60_000

    take_opinions(watch, [Opinion(key, verdict, START_MS) for key in ("k0", "k1")])
    take_opinions(watch, [Opinion(key, "useful", START_MS) for key in ("k0", "k1")])  # too late, if it was noise

    assert state["tail"][:2, 1][:, TAUGHT].tolist() == [[left] * 3] * 2
    assert state["real"][:2].tolist() == [0, 1]


def test_what_was_known_before_a_trouble_is_kept_for_a_shift_and_is_not_that_of_the_next(rows):
    later_ms = START_MS + KEPT_MS
    rows["tail"][0, 1, TOP] = 1.0
    table = keep(nothing_kept(), rows, [0], START_MS)
    rows["tail"][0, 1, TOP] = 2.0
    still = keep(not_past(table, later_ms - 1), rows, [0], later_ms - 1)
    anew = keep(not_past(table, later_ms), rows, [0], later_ms)

    assert [float(each["tail"][0, 1, TAUGHT.index(TOP)]) for each in (still, anew)] == [1.0, 2.0]
    assert len(forget(anew, rows, [0], START_MS)) == 1  # an opinion of the first trouble, which is their past
    assert rows["tail"][0, 1, TOP] == 2.0


def test_what_was_known_before_a_trouble_stays_with_its_series_when_others_are_forgotten(rows):
    rows["episode_count"][:3] = [1.0, 2.0, 3.0]
    table = kept_left(keep(nothing_kept(), rows, [0, 1, 2], START_MS), np.array([-1, 0, 1, 2]))

    assert (table["row"].tolist(), table["episode_count"].tolist()) == ([0, 1], [2.0, 3.0])


def test_noise_moves_thresholds_of_its_kind_only_and_no_further_than_a_bound(watch, rules, rows):
    for number in range(20):
        watch.budget = admitted(watch.budget, admission(key=f"k{number}", row=-1), rows, urgent=False)
    family = int(rows["family"][0])
    watch.budget = replace(
        watch.budget, admissions=tuple(replace(each, family=family) for each in watch.budget.admissions)
    )

    assert take_opinions(watch, [Opinion(f"k{n}", "noise", START_MS) for n in range(20)]) == 20
    assert take_opinions(watch, [Opinion("k3", "noise", START_MS)]) == 0  # said before
    tick(watch, START_MS + 60_000, rules)

    shift, spike = float(rows["price"][0, 1]), float(rows["price"][0, 0])
    assert shift == pytest.approx(spike * np.exp(LEAN_MIN), rel=0.01)
    assert rows["price"][1, 1] == pytest.approx(rows["price"][1, 0])  # of another entity
    assert standing_of(watch.budget).noise_week == 20


def test_a_deploy_makes_shifts_of_its_entity_cheaper_for_a_while(watch, rules, rows):
    take_changes(watch, [Change(("host", "h1"), "deploy", START_MS, START_MS + 900_000, 4.0)])

    tick(watch, START_MS + 60_000, rules)
    during = rows["price"][:, 0].copy()
    rows["last_ms"] = START_MS + 960_000
    tick(watch, START_MS + 960_000, rules)

    assert during[1] == pytest.approx(4.0 * during[0])
    assert rows["price"][1, 0] == pytest.approx(rows["price"][0, 0])
    assert not watch.changes


@pytest.mark.parametrize(
    ("kind", "body", "minutes", "factor"),
    [
        ("deploy", "{}", 15, 4.0),
        ("schedule", json.dumps({"duration_s": 600}), 10, 0.25),
        ("maintenance", json.dumps({"until_ms": START_MS + 120_000}), 2, 0.25),
        ("schedule", "not json", 60, 0.25),
        ("schedule", json.dumps({"duration_s": 1e12}), 1440, 0.25),
        ("schedule", json.dumps([1]), 60, 0.25),
    ],
)
def test_events_become_priors(kind, body, minutes, factor):
    event = {"at_ns": START_MS * 1_000_000, "id": "1", "kind": kind, "source": "s", "entity_kind": "service",
             "entity_name": "shop", "title": "t", "body": body}  # fmt: skip

    found = list(changes_of(pa.Table.from_pylist([event], schema=EVENT_SCHEMA), START_MS))

    assert found == [Change(("service", "shop"), kind, START_MS, START_MS + minutes * 60_000, factor)]


def test_other_events_and_past_ones_are_no_priors():
    base = {"at_ns": START_MS * 1_000_000, "id": "1", "source": "s", "entity_kind": "service", "entity_name": "shop",
            "title": "t", "body": "{}"}  # fmt: skip
    events = pa.Table.from_pylist([base | {"kind": "note"}, base | {"kind": "deploy"}], schema=EVENT_SCHEMA)

    assert list(changes_of(events, START_MS + 900_000)) == []
