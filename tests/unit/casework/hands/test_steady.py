"""Since when a thing is blamed: until then nothing is done about it by itself."""

from dataclasses import replace

import pytest

from cerebro.casework.hands.propose import blamed_since_ms, is_too_soon
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
    told = replace(case((5_000, "service/a"), (10_000, service.text)), causes=(cause,))

    assert is_too_soon(told, Choice(shipped()[playbook], service, 1.0, (), ""), now_ms, 20_000) is soon
