"""The catalogue of faults holds together."""

import pytest

from cerebro.proving.faults import ALL, CONTROLS, FIRST_TWELVE, OPERATIONS, THE_REST, fault_of
from cerebro.proving.model import CONTROL
from cerebro.spine.errors import Invalid


def test_every_kind_is_declared_once_and_its_remedies_exist():
    """A remedy is an operation that someone can do."""
    declared = (*FIRST_TWELVE, *THE_REST, *CONTROLS)

    assert len(ALL) == len(declared) >= 42
    assert not [(f.kind, r) for f in declared for r in f.remedies if r not in OPERATIONS]
    assert all(f.remedies or f.ends_alone for f in declared)


def test_controls_are_marked_and_nothing_else_is():
    """What must raise nothing is told apart from what must."""
    assert {f.kind for f in ALL.values() if f.cause_kind == CONTROL} == {f.kind for f in CONTROLS}


def test_an_unknown_kind_is_answered_with_those_there_are():
    """The line says what to write."""
    with pytest.raises(Invalid, match="crash"):
        fault_of("no_such_thing")
