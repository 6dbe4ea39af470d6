"""Selectors are read as Prometheus writes them, and none of their words reaches the SQL."""

import pytest

from cerebro.agents.support.select import Selector, parse_selector
from cerebro.spine.errors import Invalid


def test_a_selector_is_read():
    found = parse_selector(' http.requests { job = "a\\"b", path=~"/v[12]/.*" , az!="" } ')
    assert found == Selector("http.requests", (("job", "=", 'a"b'), ("path", "=~", "/v[12]/.*"), ("az", "!=", "")))
    assert parse_selector("up{}") == parse_selector("up") == Selector("up")


def test_its_words_are_parameters():
    clauses, parameters = parse_selector('up{job="\'; DROP TABLE samples; --"}').clauses()
    assert "DROP" not in clauses
    assert parameters["value_0"] == "'; DROP TABLE samples; --"
    assert parse_selector('up{job=~"a|b"}').clauses()[1]["value_0"] == "^(?:a|b)$"


@pytest.mark.parametrize("text", ["", "{}", '{a="b"}', "up{a}", 'up{a="b" c="d"}', 'up{a=~"("}', "up{", "up}", "9up"])
def test_what_is_none_is_said(text):
    with pytest.raises(Invalid):
        parse_selector(text)


def test_a_selector_has_its_limit():
    with pytest.raises(Invalid, match="at most"):
        parse_selector("up{" + ",".join(f'l{n}="x"' for n in range(30)) + "}")
