"""Since when a thing is blamed: until then nothing is done about it by itself."""

from dataclasses import replace

import pytest

from cerebro.casework.blame import blamed_since_ms
from cerebro.casework.hands.propose import OLD_MS, is_old, is_too_soon
from cerebro.casework.hands.rank import Choice
from cerebro.casework.playbooks.read import shipped
from cerebro.spine.cases import Case, CaseState, Cause, Entry, Mark
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import CaseId, TenantId


def case(*named: tuple[int, str]) -> Case:
    lines = tuple(Entry(at_ms, "cerebro", "cause_named", "Likely cause", reference=who) for at_ms, who in named)
    return Case(CaseId("c"), TenantId("t"), CaseState.OPEN, Severity.MINOR, "", 0, 0, (), (), timeline=lines)


def test_another_kind_of_cause_of_the_same_thing_does_not_begin_anew():
    """Of a replica that hangs it is first seen that calls fail, then what it holds."""
    assert blamed_since_ms(case((5, "service/a"), (10, "service/b"), (18, "service/b"), (30, "service/b"))) == 10


def test_another_thing_begins_anew():
    """A first guess that was left once is as new as any."""
    assert blamed_since_ms(case((5, "service/b"), (10, "service/a"), (18, "service/b"))) == 18
    assert blamed_since_ms(case()) == 0


@pytest.mark.parametrize(
    ("playbook", "word", "now_ms", "soon"),
    [
        ("restart-service", "busy_cpu", 29_999, True),
        ("restart-service", "busy_cpu", 30_000, False),
        ("stop-job", "overlap", 11_000, False),
        ("scale-out", "busy_cpu", 11_000, False),
    ],
)
def test_a_restart_waits_until_its_cause_is_steady(playbook, word, now_ms, soon):
    """Of a job that ran into the next, only the busy processor was known when the service was restarted."""
    service = EntityKey("service", "b")
    cause = Cause(service, "code", 0.99, 1, "", marks=(Mark(word, 9.0),))
    told = replace(case((5_000, "service/a"), (10_000, service.text)), causes=(cause,), looked_ms=now_ms)

    assert is_too_soon(told, Choice(shipped()[playbook], service, 1.0, (), ""), now_ms, 20_000) is soon


def test_the_look_that_first_blamed_it_is_not_enough_however_long_ago_it_was():
    """A busy program tells of itself late: what its trouble is may lie in the store, and nobody has read it."""
    service = EntityKey("service", "b")
    cause = Cause(service, "code", 0.99, 1, "", marks=(Mark("busy_cpu", 9.0),))
    told = replace(case((10_000, service.text)), causes=(cause,), looked_ms=9_000)
    choice = Choice(shipped()["restart-service"], service, 1.0, (), "")

    assert is_too_soon(told, choice, 36_000, 20_000)
    assert is_too_soon(replace(told, looked_ms=29_999), choice, 36_000, 20_000)
    assert not is_too_soon(replace(told, looked_ms=30_000), choice, 36_000, 20_000)


@pytest.mark.parametrize(("playbook", "soon"), [("restart-service", True), ("stop-job", True), ("scale-out", False)])
def test_what_is_not_the_likeliest_waits_since_it_is_blamed_at_all(playbook, soon):
    """That another has been the likeliest for a minute says nothing of it, and a mark at its bound little."""
    first, second = EntityKey("service", "a"), EntityKey("service", "b")
    causes = (
        Cause(first, "code", 0.50, 1, "", since_ms=10_000),
        Cause(second, "code", 0.42, 2, "", marks=(Mark("busy_cpu", 9.0), Mark("overlap", 9.0)), since_ms=70_000),
    )
    told = replace(case((10_000, first.text)), causes=causes, looked_ms=89_000)
    choice = Choice(shipped()[playbook], second, 1.0, (), "")

    assert is_too_soon(told, choice, 89_000, 20_000) is soon
    assert not is_too_soon(replace(told, looked_ms=90_000), choice, 90_000, 20_000)


def test_causes_of_a_trouble_before_and_those_that_nobody_has_looked_at_for_long_are_old():
    told = replace(case((10_000, "service/a")), looked_ms=20_000)
    back = replace(told, timeline=(*told.timeline, Entry(1_000_000, "cerebro", "reopened", "Back.")))

    assert not is_old(told, 20_000 + OLD_MS)
    assert is_old(told, 20_001 + OLD_MS)
    assert is_old(replace(back, looked_ms=999_999), 1_000_001)
    assert not is_old(replace(back, looked_ms=1_000_000), 1_000_001)
    assert blamed_since_ms(back) == 1_000_000
