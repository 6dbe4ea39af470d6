"""Since when a thing is blamed: until then nothing is done about it by itself."""

from cerebro.casework.hands.propose import blamed_since_ms
from cerebro.spine.cases import Case, CaseState, Entry
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
