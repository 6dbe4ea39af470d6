"""The life of a case, step by step."""

from dataclasses import replace

import pytest

from cerebro.casework import life
from cerebro.casework.correlate import Limits
from cerebro.casework.life import Refusal
from cerebro.spine.cases import MOVES, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity

LIMITS = Limits(join_ms=300_000, hold_ms=60_000, reopen_ms=1_800_000)
T = 1_700_000_000_000


def finding(key="cpu", *, seen_ms=T, severity=2, cleared=False, entity="host/a", number=None, title=""):
    return Finding(
        id=number or f"{key}{seen_ms}{cleared}", tenant="t", agent="support", kind="spike",
        entity=EntityKey.parse(entity), at_ms=seen_ms - 1000, seen_ms=seen_ms,
        severity=Severity(severity), p_value=1e-6, effect=4.0, signal=key,
        title=title or f"{key} rose", evidence=(), dedup_key=key, cleared=cleared,
    )  # fmt: skip


CASE = life.opened("c1", finding(), "Because.", T)


def kinds(case):
    return [entry.kind for entry in case.timeline]


def test_severity_title_and_entities_follow_from_what_is_active():
    worse = life.joined(CASE, finding("load", severity=4, entity="process/a:x", seen_ms=T + 5000), "Near.", T)
    assert worse.severity == 4 and worse.title == "load rose (and 1 more)"
    assert [entity.text for entity in worse.entities] == ["host/a", "process/a:x"]

    better = life.cleared(worse, finding("load", seen_ms=T + 9000, cleared=True), T)
    assert better.severity == 2 and better.title == "cpu rose" and better.cleared_ms == 0

    over = life.cleared(better, finding("cpu", seen_ms=T + 9500, cleared=True), T)
    assert over.cleared_ms == T + 9500 and over.active_keys == ()
    assert over.severity == 4, "with nothing active, as bad as it was"


@pytest.mark.parametrize(
    ("quiet_ms", "reopenings", "resolves"),
    [
        (59_999, 0, False),
        (60_000, 0, True),
        (60_000, 3, True),
        (60_000, 4, False),
        (120_000, 4, True),
        (1_919_999, 40, False),
        (1_920_000, 40, True),
    ],
)
def test_it_resolves_after_the_hold_which_grows_when_it_flaps(quiet_ms, reopenings, resolves):
    entry = replace(CASE.timeline[0], kind="reopened")
    quiet = life.cleared(CASE, finding(seen_ms=T + 1, cleared=True), T)
    quiet = replace(quiet, timeline=quiet.timeline + (entry,) * reopenings)

    settled = life.settled(quiet, T + 1 + quiet_ms, LIMITS)

    assert (settled.state is CaseState.RESOLVED) is resolves and (settled != quiet) is resolves


def test_an_old_clearing_and_an_old_raise_change_no_present():
    now = life.joined(CASE, finding(seen_ms=T + 100), "", T)
    assert life.cleared(now, finding(seen_ms=T + 50, cleared=True), T).active_keys == ("cpu",)
    over = life.cleared(now, finding(seen_ms=T + 200, cleared=True), T)
    assert life.joined(over, finding(seen_ms=T + 150), "", T).active_keys == ()


def test_a_resolved_case_reopens_only_for_what_is_active():
    quiet = life.cleared(CASE, finding(seen_ms=T + 10, cleared=True), T)
    resolved = life.settled(quiet, T + 100_000, LIMITS)
    assert life.joined(resolved, finding(seen_ms=T + 5), "", T).state is CaseState.RESOLVED
    back = life.joined(resolved, finding(seen_ms=T + 110_000), "", T)
    assert back.state is CaseState.INVESTIGATING and kinds(back)[-2:] == ["returned", "reopened"]


DEEDS = {
    "acknowledge": lambda case: life.acknowledged(case, "anna", T),
    "assign": lambda case: life.assigned(case, "bert", "anna", T),
    "comment": lambda case: life.commented(case, "a word", "anna", T),
    "close": lambda case: life.closed(case, "done", "anna", T),
    "reopen": lambda case: life.reopened(case, "", "anna", T),
    "silence": lambda case: life.silenced(case, "hush", "anna", T, "s1"),
}


@pytest.mark.parametrize("state", list(CaseState))
@pytest.mark.parametrize("deed", DEEDS)
def test_every_deed_in_every_state_moves_along_the_map_or_is_refused(deed, state):
    before = replace(CASE, state=state)

    after = DEEDS[deed](before)

    if isinstance(after, Refusal):
        assert (deed == "reopen" and state is not CaseState.RESOLVED) or (
            state is CaseState.CLOSED and deed != "comment"
        )
    else:
        assert after.state == state or after.state in MOVES[state]
        assert len(after.timeline) == len(before.timeline) + 1 and after.timeline[-1].actor == "anna"


def test_merging_keeps_everything_and_points_on():
    other = life.acknowledged(life.opened("c2", finding("disk", severity=4), "", T + 1), "anna", T + 2)
    other = life.assigned(other, "anna", "anna", T + 3)

    whole, gone = life.merged(CASE, other, T + 4)

    assert whole.severity == 4 and whole.assignee == "anna" and whole.state is CaseState.INVESTIGATING
    assert set(whole.findings) == {*CASE.findings, *other.findings} and whole.finding_count == 2
    assert kinds(whole) == ["opened", "opened", "acknowledged", "assigned", "merged"]
    assert gone.state is CaseState.CLOSED and gone.labels["merged_into"] == "c1"


def test_a_storm_stays_small():
    case = CASE
    for number in range(700):
        case = life.joined(case, finding(f"k{number}", number=f"n{number}", severity=1 + number % 4), "Near.", T)

    assert (
        len(case.signals) == life.SIGNALS_MAX and len(case.findings) == life.FINDINGS_MAX and case.finding_count == 701
    )
    assert case.severity == 4 and kinds(case).count("finding_joined") == life.SIGNAL_ENTRIES_MAX + 1
    assert min(signal.severity for signal in case.signals) > 1, "the worst are followed"
    assert not isinstance(life.commented(case, "still room for people", "anna", T), Refusal)


def test_titles_are_one_line_of_bounded_length():
    case = life.opened("c1", finding(title="a\nb\t" + "x" * 900), "", T)

    assert case.title.startswith("a b x") and len(case.title) == life.TITLE_CHARS_MAX
