"""When a trouble began: by its earliest sign that is not a late sign of another one."""

from dataclasses import replace

import pytest

from cerebro.casework import life
from cerebro.casework.cause.investigate import onset_of
from cerebro.casework.quiet import EDGE_MS
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity

T = 1_700_000_000_000
LIVE_MS = 1 << 60


def found(at_s, *, cleared=False):
    return Finding(
        id=f"f{at_s}", tenant="t", agent="support", kind="spike", entity=EntityKey("service", "worker"),
        at_ms=T + at_s * 1000, seen_ms=T + max(at_s, 0) * 1000, severity=Severity.MAJOR, p_value=1e-6, effect=4.0,
        signal="lag", title="lag rose", evidence=(), dedup_key=f"lag{at_s}", cleared=cleared,
    )  # fmt: skip


CASE = replace(life.opened("c1", found(0), "Because.", T), opened_ms=T)


def trouble(begin_s, end_s):
    """As `quiet.troubled` gives it, with its edges."""
    return T + begin_s * 1000 - EDGE_MS, (LIVE_MS if end_s is None else T + end_s * 1000 + EDGE_MS)


@pytest.mark.parametrize(
    ("signs", "troubles", "onset_s"),
    [
        ([-4, -1, 2], [], -4),
        ([-52, -1, 2], [trouble(-60, -15)], -1),  # a late sign of what was over
        ([-1, 2], [trouble(-60, -2)], -1),  # it came close behind the other one
        ([-52, -30], [trouble(-60, -40), trouble(-45, -15)], -15),  # nothing is known but that it is not the other one
        ([-52, -1], [trouble(-60, None)], -52),  # both go on: they may be one
        ([-52, -1], [trouble(-60, 5)], -52),  # it was not over yet
    ],
)
def test_a_trouble_begins_with_its_first_sign_but_not_within_one_that_was_over(signs, troubles, onset_s):
    assert onset_of(CASE, [found(at_s) for at_s in signs], troubles) == T + onset_s * 1000


def test_without_a_sign_that_lasts_it_begins_as_the_case_says():
    assert onset_of(CASE, [found(-4, cleared=True)], []) == CASE.began_ms
