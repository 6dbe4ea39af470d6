"""A map that can be read: health rolled up, neighbours, groups; what may be drawn on it by hand."""

import pytest

from cerebro.casework.topology.draw import thing, with_owner, with_relation, without_relation
from cerebro.casework.topology.kept import Drawn, DrawnRelation
from cerebro.casework.topology.view import Asked, rolled_up, view
from cerebro.spine.entities import Entity, EntityKey, Relation
from cerebro.spine.errors import Invalid, NotFound
from cerebro.spine.topology import Topology

NOW_MS = 1_700_000_000_000


def key(text):
    return EntityKey.parse(text)


def topology(*links, attributes=None):
    relations = [Relation("t", key(source), key(target), kind, 1.0, 0, NOW_MS) for source, kind, target in links]
    ends = {end for each in relations for end in (each.source, each.target)}
    said = attributes or {}
    return Topology("t", NOW_MS, {e: Entity("t", e, said.get(e.text, {}), "", 0, NOW_MS) for e in ends}, (*relations,))


SHOP = topology(
    ("service/web", "calls", "service/shop"),
    ("service/shop", "calls", "service/pay"),
    ("service/pay", "runs_on", "host/h1"),
    ("service/mail", "runs_on", "host/h2"),
    ("service/mail", "member_of", "namespace/shop"),
)


def test_health_is_rolled_up_to_what_needs_it():
    """The worst of what a thing needs, however far; never of what needs it, nor of its neighbours in a namespace."""
    found = rolled_up(SHOP, {key("host/h1"): (4, 1), key("service/shop"): (2, 1), key("namespace/shop"): (3, 1)})

    assert {each.text: severity for each, severity in found.items()} == {
        "host/h1": 4, "service/pay": 4, "service/shop": 4, "service/web": 4, "namespace/shop": 3,
    }  # fmt: skip


def test_a_circle_of_calls_is_walked_once():
    ring = topology(("service/a", "calls", "service/b"), ("service/b", "calls", "service/a"))

    assert len(rolled_up(ring, {key("service/a"): (2, 1)})) == 2


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (Asked(focus=key("service/shop"), hops=1), {"service/shop", "service/web", "service/pay"}),
        (Asked(focus=key("service/shop"), hops=2, kinds=frozenset({"host"})), {"service/shop", "host/h1"}),
        (Asked(text="HOST h"), {"host/h1", "host/h2"}),
        (Asked(focus=key("service/nobody")), set()),
    ],
)
def test_a_part_of_a_map(asked, names):
    page = view(SHOP, {}, asked, silent_ms=1000, series={})

    assert {line.key.text for line in page.entities} == names and not page.truncated
    assert all({each.source.text, each.target.text} <= names for each in page.relations)


def test_a_crowd_is_grouped_and_the_sickest_come_first():
    links = [("service/gateway", "calls", f"service/team{n % 4}-{n}") for n in range(500)]
    said = {"service/team0-0": {"service.namespace": "money"}}
    page = view(topology(*links, attributes=said), {key("service/team1-9"): (4, 1)}, Asked(limit=50), silent_ms=1,
                series={})  # fmt: skip

    assert page.truncated and len(page.entities) == 50 and page.total_count == 501
    assert page.entities[0].key.text == "service/team1-9"
    assert {group.name: group.count for group in page.groups} == {
        "team0": 124, "team1": 125, "team2": 125, "team3": 125, "money": 1, "service": 1,
    }  # fmt: skip
    assert page.groups[0].name == "team1" and page.groups[0].health == "critical"
    assert ("service", "team2", 125) in [(each.source, each.target, each.count) for each in page.group_relations]


def drawn(source, kind, target, known=None):
    line = DrawnRelation(key(source), key(target), kind, "ann", 5)
    return with_relation(known or Drawn(), line, SHOP)


@pytest.mark.parametrize(
    ("source", "kind", "target", "words", "mend"),
    [
        ("service/pay", "calls", "service/web", "service/web calls service/shop calls service/pay", "take away one"),
        ("service/pay", "calls", "service/pay", "cannot need itself", "another target"),
        ("service/pay", "loves", "service/mail", "no relation 'loves'", "calls"),
        ("host/h1", "runs_on", "service/pay", "a host is a place", "round"),
    ],
)
def test_nonsense_is_refused_with_what_to_mend(source, kind, target, words, mend):
    with pytest.raises(Invalid) as refused:
        drawn(source, kind, target)

    assert words in refused.value.detail and mend in refused.value.mend


def test_a_circle_of_drawn_relations_is_refused():
    first = drawn("database/a", "stores_in", "database/b")
    with pytest.raises(Invalid, match="circle"):
        drawn("database/b", "stores_in", "database/a", first)


def test_what_was_drawn_can_be_taken_away_once():
    known = drawn("service/mail", "calls", "service/pay")
    ends = key("service/mail"), key("service/pay"), "calls"
    gone = without_relation(known, *ends, 9)

    assert gone.relations[0].ended_ms == 9
    with pytest.raises(NotFound):
        without_relation(gone, *ends, 10)
    assert len(drawn("service/mail", "calls", "service/pay", known).relations) == 1


def test_owners_come_and_go():
    known = with_owner(Drawn(), key("service/pay"), " money\x00 ")

    assert known.owners == {"service/pay": "money"}
    assert with_owner(known, key("service/pay"), "").owners == {}


@pytest.mark.parametrize("text", ["", "service", "service/", "a b/c", "service/a\u202e", "/x"])
def test_what_is_no_entity(text):
    with pytest.raises(Invalid):
        thing(text)
