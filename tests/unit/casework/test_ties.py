"""What ties troubles together: the map, rules, history; rules refused with line and mend; their preview."""

import pytest

from cerebro.casework.correlate import Docket, Limits, NoTies
from cerebro.casework.decide import decide
from cerebro.casework.history import PAIRS_MAX, learned
from cerebro.casework.preview import replayed
from cerebro.casework.rules import DEFAULT_TEXT, BadRules, Rules, Shared, read_rules
from cerebro.casework.store import History
from cerebro.casework.ties import MapTies, Together
from cerebro.spine.entities import Entity, EntityKey, Relation
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.topology import Topology

LIMITS = Limits(join_ms=300_000, hold_ms=60_000, reopen_ms=1_800_000)
T = 1_700_000_000_000


def key(text):
    return EntityKey.parse(text if "/" in text else f"service/{text}")


def a_map(*links, attributes=None):
    relations = tuple(Relation("t", key(s), key(t), kind, 1.0, 0, T) for s, kind, t in links)
    said = {key(text): values for text, values in (attributes or {}).items()}
    ends = {end for each in relations for end in (each.source, each.target)} | set(said)
    return Topology("t", T, {end: Entity("t", end, said.get(end, {})) for end in ends}, relations)


def tied(ties, one):
    return {other.name: tie.reason for other, tie in ties.of(key(one)).items()}


CHAIN = a_map(("web", "calls", "shop"), ("shop", "calls", "pay"), ("pay", "calls", "bank"), ("mail", "calls", "pay"))


def test_the_map_ties_over_two_relations_one_way():
    assert tied(MapTies(CHAIN, Rules()), "shop") == {
        "web": "is called by service/web",
        "pay": "calls service/pay",
        "bank": "needs service/bank through service/pay",
        "mail": "needs service/pay as service/mail does",
    }
    assert tied(MapTies(CHAIN, Rules(hops=1)), "shop") == {
        "web": "is called by service/web", "pay": "calls service/pay",
    }  # fmt: skip
    assert tied(MapTies(CHAIN, Rules(hops=0)), "shop") == {}


def test_ties_go_both_ways():
    """What is tied to a thing is tied back: else the order of findings would matter."""
    hub = a_map(*((f"s{n}", "calls", f"s{(7 * n + k) % 40}") for n in range(40) for k in (1, 2, 3)))
    ties = MapTies(hub, Rules(shared=(Shared("x", ("team",), 60.0),)))

    for each in hub.entities:
        for other, tie in ties.of(each).items():
            assert ties.of(other)[each].within_ms == tie.within_ms


def test_neighbours_on_a_host_are_tied_to_it_and_not_to_each_other():
    ties = MapTies(a_map(("a", "runs_on", "host/h"), ("b", "runs_on", "host/h"), ("a", "calls", "b")), Rules())

    assert tied(ties, "a") == {"h": "runs on host/h", "b": "calls service/b"}
    assert tied(MapTies(a_map(("a", "runs_on", "host/h"), ("b", "runs_on", "host/h")), Rules()), "a") == {
        "h": "runs on host/h"
    }


def test_what_everyone_needs_ties_nobody():
    """A hub is tied to each of its callers, and does not tie them to each other."""
    hub = a_map(*((f"s{n}", "calls", "hub") for n in range(20)))
    ties = MapTies(hub, Rules())

    assert set(tied(ties, "s3")) == {"hub"} and len(tied(ties, "hub")) == 20


def test_shared_labels_tie_and_other_labels_keep_apart():
    said = {
        name: {"k8s.namespace.name": "shop", "env": env} for name, env in (("a", "prod"), ("b", "prod"), ("c", "t"))
    }
    rule = Shared("one namespace", ("k8s.namespace.name",), 60.0)
    ties = MapTies(a_map(attributes=said), Rules(shared=(rule,), apart=("env",)))

    assert tied(ties, "a") == {"b": "shares k8s.namespace.name=shop (rule “one namespace”)"}


def test_what_came_together_often_is_tied():
    """Three times of four; two of two are too few."""
    history = History()
    for number in range(4):
        history = learned(history, key("a"), [], 1)
        history = learned(history, key("b"), [key("a")] if number else [], 1)
    past = {key("a"): {key("b"): Together(history.together["service/a\nservice/b"], history.alone["service/a"])}}

    assert tied(MapTies(a_map(), Rules(), past), "a") == {"b": "had trouble with service/b in 3 of 4 earlier cases"}
    assert tied(MapTies(a_map(), Rules(history_min=4), past), "a") == {}
    assert tied(MapTies(a_map(), Rules(history=False), past), "a") == {}
    assert "service/a\nservice/b" not in learned(history, key("a"), [key("b")], -3).together


def test_a_long_history_forgets_what_was_rare():
    history = History(together={f"a\n{n}": 1 for n in range(PAIRS_MAX)} | {"b\nc": 9})

    kept = learned(history, key("x"), [], 1)
    assert len(kept.together) <= PAIRS_MAX and kept.together["b\nc"] == 9


@pytest.mark.parametrize(
    ("text", "line", "words", "mend"),
    [
        ("map: {hops: 1, within: 5x}", 1, "no length", "5m"),
        ("map: {hops: 9}", 1, "from 0 to 2", "Try 2"),
        ("map:\n  within: 0s", 2, "no length", "5m"),
        ("together:\n  - name: a\n    labels: [x]\n    within: 9h", 4, "never ends", "1h"),
        ("together:\n  - name: a\n    labels: [x]", 2, "never ends", "within: 2m"),
        ("together:\n  - {name: a, labels: [x], within: 1m}\n  - {name: b, labels: [x], within: 2m}", 3,
         "contradict", "Keep one"),
        ("together:\n  - {name: a, within: 1m}", 2, "no label", "labels:"),
        ("map: {hops: 1}\napart: [host.name]", 2, "contradiction", "hops: 0"),
        ("mapp: {hops: 1}", 1, "Nobody knows 'mapp'", "map, history"),
        ("map: {hops: 1}\nmap: {hops: 2}", 2, "twice", "Keep one"),
        ("map: [", 1, "not YAML", "Mend"),
        ("a: &a [*a]", 1, "itself", "Write"),
        ("- 1", 1, "no names", "map"),
        ("x" * 20_000, 1, "too long", "KiB"),
    ],
)  # fmt: skip
def test_rules_are_refused_with_line_and_mend(text, line, words, mend):
    with pytest.raises(BadRules) as refused:
        read_rules(text)

    fault = refused.value.faults[0]
    assert fault.line == line and words in fault.what and mend in fault.mend
    assert f"Line {line}:" in refused.value.detail


def test_the_usual_rules_are_those_of_the_text():
    assert read_rules(DEFAULT_TEXT) == read_rules("") == Rules()
    assert read_rules("history: {times: 0}").history is False


def finding(number, entity, at_s, signal="rate"):
    at_ms = T + at_s * 1000
    return Finding(
        id=f"f{number}", tenant="t", agent="support", kind="spike", entity=key(entity), at_ms=at_ms, seen_ms=at_ms,
        severity=Severity.MAJOR, p_value=1e-6, effect=4.0, signal=signal, title=f"{signal} of {entity}", evidence=(),
        dedup_key=f"{entity}:{signal}",
    )  # fmt: skip


def test_a_join_says_why():
    docket = Docket()
    first = decide(finding(1, "pay", 0), (), "", (), now_ms=T, new_id=lambda: "c1").changed[0]
    docket.put(first)
    joining = docket.joining(finding(2, "shop", 20), LIMITS, MapTies(CHAIN, Rules()))

    assert joining.cases == ("c1",)
    assert joining.reason == "It is about service/shop, which calls service/pay; their troubles began 20 s apart."
    late = docket.joining(finding(3, "shop", 400), LIMITS, MapTies(CHAIN, Rules()))
    assert late.cases == () and docket.joining(finding(4, "shop", 20), LIMITS, NoTies()).cases == ()


def test_what_rules_would_have_done():
    """Two storms a day apart: alone four cases, by the map two; a trouble elsewhere stays by itself."""
    week = [
        finding(n, entity, day * 86_400 + second)
        for n, (day, entity, second) in enumerate(
            [(0, "pay", 0), (0, "shop", 30), (1, "pay", 0), (1, "shop", 30), (1, "far", 40), (1, "shop", 31)]
        )
    ]
    alone, mapped = (replayed(week, ties, LIMITS) for ties in (NoTies(), MapTies(CHAIN, Rules())))

    assert (alone.case_count, mapped.case_count, mapped.finding_count) == (5, 3, 6)
    assert [join.entity for join in mapped.joins] == ["service/shop", "service/shop"]
    assert mapped.findings_per_case == 2.0 and "calls service/pay" in mapped.joins[0].reason
