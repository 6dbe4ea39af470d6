"""New paths of errors, new operations of services that are known, paths that explode; restarts."""

import msgspec
import pyarrow as pa
import pytest

from cerebro.agents.support.observe import Rules
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.agents.support.span_watch import KeptSpans, again_spans, keep_spans, new_spans, take_spans
from cerebro.agents.support.span_words import translated, with_trace
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, FindingId
from cerebro.spine.telemetry import SPAN_SCHEMA

START_MS = 1_750_000_000_000 // 60_000 * 60_000
MINUTES = 150
RULES = Rules(noise_budget=5.0, warmup_count=36, series_max=1000)


def table(minute, *, failing="", failing_count=12, operation="GET /cart", called="reserve"):
    """20 requests a minute at the shop that go on to stock and its database; `failing` is where an error begins."""
    rows = []
    for k in range(20):
        at = (START_MS + minute * 60_000 + k * 2000) * 1_000_000
        ids = [f"{minute:06x}{k:04x}{place:06x}" for place in range(3)]
        steps = ((operation, "shop"), (called, "stock"), ("SELECT", "stock-db"))
        ends = [name for _, name in steps].index(failing) if failing and k < failing_count else -1
        for place, (name, entity) in enumerate(steps):
            above = ids[place - 1] if place else ""
            rows.append((at, 5_000_000 + (k * 7 + minute) % 9, ids[place], above, name, entity, 2 * (place <= ends)))
    columns = {name: [""] * len(rows) for name in SPAN_SCHEMA.names}
    columns |= {"kind": [2] * len(rows), "attributes": [[]] * len(rows), "resource": [[]] * len(rows)}
    columns["entity_kind"] = ["service"] * len(rows)
    for at, name in enumerate(("at_ns", "duration_ns", "span_id", "parent_span_id", "name", "entity_name", "status")):
        columns[name] = [row[at] for row in rows]
    columns["trace_id"] = [row[2][:10] for row in rows]
    columns["service"] = columns["entity_name"]
    return pa.table(columns, schema=SPAN_SCHEMA)


def run(spans, minutes, **more):
    found = []
    for minute in minutes:
        found += take_spans(spans, table(minute, **more), RULES, START_MS + minute * 60_000 + 59_000)
    return found


@pytest.fixture(scope="module")
def grown():
    spans = new_spans(DEFAULT_TENANT, RULES)
    assert run(spans, range(MINUTES)) == []
    return spans


def copied(spans):
    kept = msgspec.json.decode(msgspec.json.encode(keep_spans(spans)), type=KeptSpans)
    return again_spans(kept, decode(encode(freeze(spans.watch, 1)))[0])


def test_a_new_path_is_told_once_with_a_trace_and_its_end(grown):
    spans = copied(grown)
    found = [each for each in run(spans, range(MINUTES, MINUTES + 4), failing="stock-db") if not each.cleared]
    told = [each for each in found if each.kind == "error_path" and "never seen" in each.title]
    assert len(told) == 1
    assert told[0].signal == "span:service/shop GET /cart → service/stock reserve → service/stock-db SELECT"
    assert told[0].entity.text == "service/stock-db"
    sample = told[0].evidence[0].sample
    assert sample["trace_id"] in {row[:10] for row in table(MINUTES)["span_id"].to_pylist()}
    assert "name = 'SELECT'" in told[0].evidence[0].query
    over = [each for each in run(spans, range(MINUTES + 4, MINUTES + 12)) if each.cleared]
    assert told[0].dedup_key in {each.dedup_key for each in over}


def test_a_path_is_as_old_as_the_trouble_it_is_told_in(grown):
    spans = copied(grown)
    run(spans, [MINUTES], failing="stock-db", failing_count=2)
    found = run(spans, [MINUTES + 1], failing="stock-db")

    (told,) = (each for each in found if each.kind == "error_path" and "never seen" in each.title)
    assert told.at_ms // 60_000 == START_MS // 60_000 + MINUTES + 1


def test_another_origin_is_another_path(grown):
    found = run(copied(grown), range(MINUTES, MINUTES + 2), failing="stock")
    assert {each.entity.text for each in found if each.kind == "error_path"} == {"service/stock"}


def test_a_few_errors_and_a_system_just_seen_are_not_told(grown):
    assert run(copied(grown), [MINUTES], failing="stock", failing_count=2) == []
    fresh = new_spans(DEFAULT_TENANT, RULES)
    assert run(fresh, range(10), failing="stock-db") == []
    assert run(fresh, range(10, 20), operation="GET /new") == []


def test_a_new_operation_of_a_known_service_is_told_once(grown):
    found = run(copied(grown), range(MINUTES, MINUTES + 3), called="reserve-all")
    told = [each for each in found if each.kind == "new_operation"]
    assert [(each.entity.text, each.signal) for each in told] == [("service/stock", "span:reserve-all")]
    assert told[0].evidence[0].sample["count"] >= 5


def test_a_path_that_explodes_is_told_with_its_operation_and_a_trace():
    """Its counts are judged as those of operations are; here, how that is said."""
    path = "service/shop GET /cart → service/stock reserve"
    sample = {"metric": "path.errors", "labels": {"of": path}, "value": [1.0, 30.0], "expected": [1.0, 1.0]}
    proof = Evidence("More than usual.", "promql", "", START_MS, START_MS, "", sample)
    entity, now_ms = EntityKey("service", "stock"), START_MS
    counted = Finding(
        FindingId("1"), DEFAULT_TENANT, "support", "spike", entity, now_ms, now_ms, Severity.MAJOR, 1e-6, 9.0,
        "path.errors", "", (proof,), "key",
    )  # fmt: skip
    said = translated(counted)
    assert said is not None and said.kind == "error_path" and "name = 'reserve'" in said.evidence[0].query
    assert said.title == f"Errors 30 a minute, usually 1, of the path “{path}”"
    traced = with_trace(said, "abc")
    assert traced.evidence[0].sample["trace_id"] == "abc" and traced.evidence[0].digest != said.evidence[0].digest
    spans = new_spans(DEFAULT_TENANT, RULES)
    run(spans, range(2), failing="stock")
    assert ("service", "stock", "path.errors", path) in spans.minutes.at


def test_a_restart_in_the_middle_gives_the_same(grown):
    whole = run(copied(grown), range(MINUTES, MINUTES + 10), failing="stock-db")
    half = copied(grown)
    found = run(half, range(MINUTES, MINUTES + 1), failing="stock-db")
    found += run(copied(half), range(MINUTES + 1, MINUTES + 10), failing="stock-db")
    assert [each.id for each in found] == [each.id for each in whole] and whole
