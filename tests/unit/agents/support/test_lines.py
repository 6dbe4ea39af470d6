"""Log lines: new, exploding and vanished templates, what is grave, restarts, bad input."""

import msgspec
import pyarrow as pa
import pytest

from cerebro.agents.support.admit import Change
from cerebro.agents.support.lines import Kept, again, keep, new_lines, share_of, take, tick_lines
from cerebro.agents.support.observe import Rules, take_changes
from cerebro.agents.support.plans import RENEWAL_MS, RENEWED_MS, renewals_of, settled_ms
from cerebro.agents.support.shares import LINES
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.spine.findings import Finding
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA

START_MS = 1_750_000_000_000 // 60_000 * 60_000
RULES = Rules(noise_budget=5.0, warmup_count=36, series_max=1000)


def table(at_ms: int, bodies, *, service="shop", level=9, trace=""):
    n = len(bodies)
    at = [(at_ms + k) * 1_000_000 for k in range(n)]
    columns = {
        "at_ns": at, "observed_ns": at, "severity": [level] * n, "severity_text": [""] * n, "body": bodies,
        "service": [service] * n, "entity_kind": ["service"] * n, "entity_name": [service] * n,
        "trace_id": [trace] * n, "span_id": [""] * n, "scope": [""] * n, "attributes": [[]] * n, "resource": [[]] * n,
    }  # fmt: skip
    return pa.table(columns, schema=LOG_SCHEMA)


def usual(minute: int) -> list[str]:
    count = 20 + (minute * 7) % 5
    return [f"served order {minute * 100 + k} in {10 + k} ms" for k in range(count)] + ["heartbeat"] * 2


def run(minutes, lines, more=None) -> list[Finding]:
    findings = []
    for minute in minutes:
        at_ms = START_MS + minute * 60_000 + 1000
        bodies = usual(minute) + (more(minute) if more else [])
        findings += take(lines, table(at_ms, bodies), RULES, at_ms + 2000)
    return findings


@pytest.fixture(scope="module")
def grown() -> bytes:
    """Two hours of a calm service, as a snapshot."""
    lines = new_lines(DEFAULT_TENANT, RULES)
    assert run(range(120), lines) == []
    return frozen(lines)


def frozen(lines) -> bytes:
    return msgspec.msgpack.encode((encode(freeze(lines.watch, 1)), msgspec.json.encode(keep(lines))))


def thawed(body: bytes):
    counts, kept = msgspec.msgpack.decode(body)
    return again(msgspec.json.decode(kept, type=Kept), decode(counts)[0])


def test_a_new_grave_template_is_told_once_with_its_lines_and_a_query(grown):
    found = run(range(120, 126), thawed(grown), lambda m: [f"payment {m} failed: card refused"] * 30 if m > 121 else [])
    new = [each for each in found if each.kind == "new_template"]
    assert len(new) == 1 and not new[0].cleared
    assert new[0].entity.text == "service/shop" and new[0].signal.startswith("log:")
    assert "payment 122 failed: card refused" in new[0].evidence[0].sample["lines"]
    assert "body LIKE '%payment%failed:%card%refused%'" in new[0].evidence[0].query


def test_what_was_new_and_stopped_is_cleared(grown):
    found = run(range(120, 132), thawed(grown), lambda m: ["payment failed: card refused"] * 30 if m == 121 else [])
    mine = [each for each in found if each.kind == "new_template"]
    assert [each.cleared for each in mine] == [False, True] and len({each.dedup_key for each in mine}) == 1


def test_a_few_new_lines_of_an_earlier_trouble_do_not_make_this_one_as_old(grown):
    said = {121: ["message 7 failed"] * 2, 122: ["message 9 failed"] * 30}
    found = run(range(120, 124), thawed(grown), lambda minute: said.get(minute, []))

    (new,) = (each for each in found if each.kind == "new_template")
    assert new.at_ms // 60_000 == START_MS // 60_000 + 122


def test_a_grave_line_that_was_only_rare_is_no_finding(grown):
    assert run(range(120, 126), thawed(grown), lambda m: ["payment failed: card refused"] if m == 121 else []) == []


REFUSED = "connect to upstream shop-db: connection refused"


@pytest.mark.parametrize(("replaced", "minutes", "told"), [("shop-db", 1, 0), ("shop-db", 4, 1), ("cart", 1, 1)])
def test_what_a_planned_restart_makes_them_say_is_news_only_when_it_stays(grown, replaced, minutes, told):
    lines = thawed(grown)
    start_ms = START_MS + 120 * 60_000
    event = {"at_ns": start_ms * 1_000_000, "id": "1", "kind": "restart", "source": "s", "entity_kind": "service",
             "entity_name": replaced, "title": "t", "body": "{}"}  # fmt: skip
    take_changes(lines.watch, renewals_of(pa.Table.from_pylist([event], schema=EVENT_SCHEMA), start_ms))

    found = run(range(120, 128), lines, lambda minute: [REFUSED] * 30 if minute < 120 + minutes else [])

    assert [each.kind for each in found if not each.cleared] == ["new_template"] * told


def test_only_the_first_of_many_restarts_is_waited_for():
    every = [Change(("service", "db"), "restart", at, at + RENEWAL_MS, 1.0) for at in (0, 200_000, 400_000)]

    assert settled_ms(every[:1], ("service", "db"), "refused", 30_000) == RENEWED_MS
    assert settled_ms(every, ("service", "db"), "refused", 410_000) == 410_000


def test_an_ordinary_new_template_is_no_finding(grown):
    assert run(range(120, 126), thawed(grown), lambda m: ["catalogue reloaded from disk"] if m > 121 else []) == []


def test_a_template_that_explodes_is_told(grown):
    found = run(range(120, 128), thawed(grown), lambda m: ["heartbeat"] * 400 if m > 121 else [])
    kinds = {each.kind for each in found}
    assert "exploding_template" in kinds
    first = next(each for each in found if each.kind == "exploding_template")
    assert "heartbeat" in first.title and first.evidence[0].sample["lines"]


@pytest.mark.parametrize("wrong_ms", [-3_600_000, 3_600_000])
def test_lines_of_a_wrong_clock_count_in_our_hour(grown, wrong_ms):
    """A clock that jumps by an hour makes nothing new or vanished, and what explodes after it is told."""
    lines, found = thawed(grown), []
    for minute in range(120, 140):
        now_ms = START_MS + minute * 60_000 + 1000
        bodies = usual(minute) + (["heartbeat"] * 400 if minute > 133 else [])
        found += take(lines, table(now_ms + wrong_ms, bodies), RULES, now_ms + 2000)
        found += tick_lines(lines, now_ms + 10_000, RULES)

    assert {each.kind for each in found} == {"exploding_template"}


def test_a_template_that_vanishes_is_told(grown):
    lines, found = thawed(grown), []
    for minute in range(120, 140):
        at_ms = START_MS + minute * 60_000 + 1000
        found += take(lines, table(at_ms, ["heartbeat"] * 2), RULES, at_ms + 2000)
    assert "vanished_template" in {each.kind for each in found}


def test_a_start_does_not_flood():
    lines = new_lines(DEFAULT_TENANT, RULES)
    assert run(range(10), lines, lambda m: [f"error number {m}: {'abcdefghij'[m]} failed"] * (m + 1)) == []


def test_a_restart_in_the_middle_gives_the_same_findings(grown):
    more = lambda m: ["payment failed: card refused"] * 20 + ["heartbeat"] * 300 if m > 122 else []  # noqa: E731
    whole = run(range(120, 130), thawed(grown), more)
    half = thawed(grown)
    found = run(range(120, 125), half, more)
    found += run(range(125, 130), thawed(frozen(half)), more)
    assert [each.id for each in found] == [each.id for each in whole] and whole


def test_bad_lines_are_bounded_and_harmless():
    lines = new_lines(DEFAULT_TENANT, RULES)
    bodies = ["", " ", "\x00\x01\x02", "\x1b[31mred\x1b[0m", "x" * 1_000_000, "\ufffd" * 100, "😀 " * 50]
    assert take(lines, table(START_MS, bodies), RULES, START_MS) == []
    assert all(len(line) <= 300 for pair in lines.pairs for line in pair.samples)
    assert take(lines, table(START_MS, []), RULES, START_MS) == []


def test_log_lines_have_a_part_of_the_budget():
    lines = new_lines(DEFAULT_TENANT, RULES)

    assert lines.watch.budget.spending.per_week == pytest.approx(5.0 * LINES.whole)
    assert lines.watch.budget.tenant_per_week == pytest.approx(5.0)
    assert share_of(RULES).parts == LINES


def test_a_value_that_a_small_set_did_not_hold_is_told():
    """A key with two values gets a third; one with many values says nothing."""

    def said(minute, state):
        states = ["READY", "BUSY", state or "READY"] * 6
        return [f"worker pool state={each} owner=team{minute}{chr(97 + k)}" for k, each in enumerate(states)]

    lines = new_lines(DEFAULT_TENANT, RULES)
    assert run(range(90), lines, lambda minute: said(minute, "")) == []
    again_lines = thawed(frozen(lines))
    found = run(range(90, 96), again_lines, lambda minute: said(minute, "DEGRADED"))
    told = [each for each in found if each.kind == "parameter"]
    assert len(told) == 1 and told[0].title.startswith("Service shop names a value never seen in its place: “worker")
    assert any("state=DEGRADED" in line for line in told[0].evidence[0].sample["lines"])
    assert [each.id for each in run(range(90, 96), lines, lambda minute: said(minute, "DEGRADED"))] == [
        each.id for each in found
    ]
