"""Which notices are due when, and what they are signed with."""

import json

import pytest

from cerebro.casework import life, notify
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity

T = 1_700_000_000_000
FINDING = Finding(
    id="f1", tenant="t", agent="support", kind="spike", entity=EntityKey("host", "a"), at_ms=T, seen_ms=T,
    severity=Severity.MAJOR, p_value=1e-6, effect=4.0, signal="cpu", title="cpu rose", evidence=(), dedup_key="k",
)  # fmt: skip
CASE = life.opened("c1", FINDING, "Because.", T)
NOTICE = notify.notice(CASE, CASE.timeline[0], 0)


def test_a_notice_says_what_changed_of_which_case():
    told = json.loads(NOTICE.body)

    assert told["change"] == "opened" and told["case"]["id"] == "c1" and told["case"]["severity"] == 3
    assert told["version"] == 1 and told["tenant"] == "t" and "timeline" not in told["case"]
    assert notify.notice(CASE, CASE.timeline[0], 0).id == NOTICE.id != notify.notice(CASE, CASE.timeline[0], 1).id


@pytest.mark.parametrize(
    ("attempts", "least_s", "most_s"), [(1, 1, 3), (2, 2, 6), (5, 16, 48), (12, 1800, 5400), (19, 1800, 5400)]
)
def test_pauses_double_up_to_an_hour_and_are_spread(attempts, least_s, most_s):
    tried = life.replace(NOTICE, attempt_count=attempts)

    waits_s = [(notify.ended(tried, T, "refused", spread).due_ms - T) / 1000 for spread in (0.0, 1.0)]

    assert waits_s == [least_s, most_s]


def test_after_the_last_attempt_it_is_kept_as_dead():
    tried = life.replace(NOTICE, attempt_count=notify.ATTEMPTS_MAX)

    assert notify.ended(tried, T, "x" * 1000, 0.5).state == "dead"
    assert len(notify.ended(tried, T, "x" * 1000, 0.5).error) == notify.ERROR_CHARS_MAX
    assert notify.ended(tried, T, "", 0.5).state == "sent"
