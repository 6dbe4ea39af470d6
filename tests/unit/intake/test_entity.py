"""One rule from labels to the watched thing, whatever the labels hold."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.intake.entity import NAME_CHARS_MAX, UNKNOWN, clean, entity_of, host_of_instance

HOST = {"host.name": "web-7"}
PROCESS = {"process.executable.name": "nginx"}


@pytest.mark.parametrize(
    ("labels", "entity"),
    [
        ({}, UNKNOWN),
        ({"instance": "web-7:9100"}, ("host", "web-7")),
        (HOST | {"instance": "10.0.0.7:9100"}, ("host", "web-7")),
        (PROCESS, ("process", "nginx")),
        (PROCESS | HOST, ("process", "web-7:nginx")),
        (PROCESS | {"instance": "web-7:9100"}, ("process", "web-7:nginx")),
        (PROCESS | HOST | {"job": "web"}, ("service", "web")),
        (PROCESS | HOST | {"job": "web", "service.name": "checkout"}, ("service", "checkout")),
        ({"service_name": "checkout", "host_name": "web-7"}, ("service", "checkout")),
        ({"service.name": "\x00 \u200b", "job": "web"}, ("service", "web")),
        ({"service.name": "'; DROP TABLE metrics; --"}, ("service", "'; DROP TABLE metrics; --")),
        ({"service.name": "<script>\x1b[31malert(1)"}, ("service", "<script>[31malert(1)")),
        ({"instance": "[2001:db8::7]:9100"}, ("host", "2001:db8::7")),
        ({"instance": ":9100"}, UNKNOWN),
    ],
)
def test_the_first_rule_that_names_something_wins(labels, entity):
    assert entity_of(labels) == entity


def test_an_instance_loses_only_its_port():
    assert host_of_instance("2001:db8::7") == "2001:db8::7"
    assert host_of_instance("web-7:http") == "web-7:http"
    assert host_of_instance("[::1") == "::1"


@given(
    st.dictionaries(
        st.sampled_from(["service.name", "job", "host.name", "instance", "process.executable.name"]), st.text()
    )
)
def test_whatever_the_labels_the_name_is_short_visible_and_never_empty(labels):
    kind, name = entity_of(labels)

    assert kind in {"service", "process", "host"}
    assert 0 < len(name) <= NAME_CHARS_MAX
    assert not any(unicodedata.category(mark) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for mark in name)


def test_a_huge_value_costs_little_and_is_cut():
    assert len(clean("\u202e" * 10 + "a" * 10_000_000)) <= NAME_CHARS_MAX


@given(st.text())
def test_cleaning_twice_changes_nothing(text):
    assert clean(clean(text)) == clean(text)
