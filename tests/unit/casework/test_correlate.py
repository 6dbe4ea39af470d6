"""Which case a finding joins: tables whose every row changes one thing of the row above."""

import doctest
from importlib import import_module

import pytest

from cerebro.casework import life
from cerebro.casework.correlate import Docket, Limits, NoTies, scene
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity

LIMITS = Limits(join_ms=300_000, hold_ms=60_000, reopen_ms=1_800_000)
T = 1_700_000_000_000


def finding(entity="host/web-7", at_s=0, key="load", number=1, severity=2):
    at_ms = T + at_s * 1000
    return Finding(
        id=f"f{number}", tenant="t", agent="support", kind="level_shift", entity=EntityKey.parse(entity), at_ms=at_ms,
        seen_ms=at_ms, severity=Severity(severity), p_value=1e-6, effect=4.0, signal=key, title=f"{key} rose.",
        evidence=(), dedup_key=f"{entity}:{key}",
    )  # fmt: skip


def correlate(found, cases, limits):
    return Docket(cases).joining(found, limits, NoTies())


CASE = life.opened("c1", finding(key="cpu", number=0), "", T)  # of host/web-7, at T


@pytest.mark.parametrize(
    ("entity", "at_s", "joins", "words"),
    [
        ("host/web-7", 60, True, "same host, 60 s after"),
        ("process/web-7:nginx", 60, True, "shares host/web-7"),
        ("disk/web-7:sda", 60, True, "shares host/web-7"),
        ("host/web-8", 60, False, "near in time"),
        ("process/web-8:nginx", 60, False, "near in time"),
        ("service/web-7", 60, False, "near in time"),
        ("host/web-7", 300, True, "5 min after"),
        ("host/web-7", 301, False, "near in time"),
        ("host/web-7", -300, True, "5 min before"),
        ("host/web-7", -301, False, "near in time"),
        ("host/web-7", 0, True, "at the same time"),
    ],
)
def test_a_live_case_is_joined(entity, at_s, joins, words):
    joining = correlate(finding(entity, at_s), [CASE], LIMITS)

    assert bool(joining.cases) is joins
    assert words in joining.reason and joining.reason.endswith(".")


def test_the_same_trouble_joins_however_late():
    assert correlate(finding(key="cpu", at_s=86_400), [CASE], LIMITS).cases == ("c1",)


def test_a_finding_between_two_cases_shows_them_to_be_one():
    later = life.opened("c2", finding(key="disk", at_s=500, number=2), "", T + 500_000)

    assert correlate(finding(at_s=250), [later, CASE], LIMITS).cases == ("c1", "c2"), "the older one takes the other in"
    assert correlate(finding(at_s=100), [later, CASE], LIMITS).cases == ("c1",)


@pytest.mark.parametrize(("at_s", "reopens"), [(1799 + 600, True), (1800 + 600, False), (500, True), (-400, False)])
def test_a_case_that_resolved_a_short_time_ago_is_reopened(at_s, reopens):
    resolved = life.replace(CASE, state=CaseState.RESOLVED, resolved_ms=T + 600_000)

    assert bool(correlate(finding(at_s=at_s), [resolved], LIMITS).cases) is reopens


def test_a_live_case_wins_over_a_resolved_one():
    resolved = life.replace(CASE, id="c0", state=CaseState.RESOLVED, resolved_ms=T)

    assert correlate(finding(at_s=10), [resolved, CASE], LIMITS).cases == ("c1",)


@pytest.mark.parametrize(
    ("entity", "name"),
    [
        ("host/web-7", "host/web-7"),
        ("process/web-7:nginx", "host/web-7"),
        ("process/fe80::1:nginx", "host/fe80::1"),
        ("process/nginx", "process/nginx"),
        ("process/:nginx", "process/:nginx"),
        ("host/a:b", "host/a:b"),
        ("service/shop:eu", "service/shop:eu"),
    ],
)
def test_scenes(entity, name):
    assert scene(EntityKey.parse(entity)) == name


@pytest.mark.parametrize("name", ["correlate", "rules", "silence", "notify", "questions"])
def test_examples_run(name):
    failed, _ = doctest.testmod(import_module(f"cerebro.casework.{name}"))

    assert not failed
