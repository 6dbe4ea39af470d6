"""The record of refusals names metric and label, and stays small whatever is sent."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cerebro.intake.refusals import LABELS_MAX, METRICS_MAX, VALUES_MAX, Refusals


def test_the_label_that_explodes_is_named():
    refusals = Refusals()
    series = tuple({"job": "shop", "user_id": str(i), "status": str(i % 3)} for i in range(40))
    refusals.add("cardinality", "http_requests_total", 40, 5, series)
    refusals.add("cardinality", "up", 1, 6, ({"job": "shop"},))

    worst = refusals.worst("cardinality")

    assert (worst.metric, worst.label, worst.label_values, worst.count) == ("http_requests_total", "user_id", 40, 40)
    assert refusals.list()[0].metric == "up"
    assert refusals.worst("too_old") is None


def test_the_record_is_bounded():
    refusals = Refusals()
    for i in range(1000):
        labels = {f"l{k}-{i}" * 100: "v" * 10_000 for k in range(50)}
        refusals.add("cardinality", f"m{i}", 1, i, (labels,))

    assert len(refusals.list()) == METRICS_MAX
    entry = next(iter(refusals._entries.values()))
    assert len(entry.values) == LABELS_MAX
    assert len(refusals.list()[0].example) < 300


def test_values_of_one_label_are_counted_up_to_a_bound():
    refusals = Refusals()
    for i in range(10 * VALUES_MAX):
        refusals.add("cardinality", "m", 1, i, ({"id": str(i)},))

    assert refusals.worst("cardinality").label_values == VALUES_MAX
    assert refusals.worst("cardinality").count == 10 * VALUES_MAX


@given(st.dictionaries(st.text(), st.text(), max_size=5), st.text())
def test_hostile_text_is_shown_without_control_characters(labels, metric):
    refusals = Refusals()
    refusals.add("cardinality", metric, 1, 0, (labels,))

    [shown] = refusals.list()
    text = shown.metric + shown.label + shown.example
    assert not any(unicodedata.category(mark) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for mark in text)
