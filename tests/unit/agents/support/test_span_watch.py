"""Spans: operations and edges by the minute, what is slower, failing, new or lost; restarts."""

import msgspec
import pyarrow as pa

from cerebro.agents.support.observe import Rules
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.agents.support.span_watch import KeptSpans, again_spans, keep_spans, new_spans, take_spans
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import SPAN_SCHEMA

START_MS = 1_750_000_000_000 // 60_000 * 60_000
MINUTES = 300
RULES = Rules(noise_budget=5.0, warmup_count=36, series_max=1000)


def table(minute, *, slow=1.0, failing=False, called="stock", count=20):
    """`count` requests at the shop, each of which calls another service once."""
    rows = []
    for k in range(count + minute % 3):
        at = (START_MS + minute * 60_000 + k * 1000) * 1_000_000
        inner = int((20 + (k * 7 + minute) % 9) * 1e6 * slow)
        root, child = f"{minute:08x}{k:08x}", f"{minute:08x}{k + 4096:08x}"
        status = 2 if failing and k % 2 else 0
        rows.append((at, inner + 5_000_000, root, "", "GET /cart", "shop", status))
        rows.append((at, inner, child, root, "reserve", called, status))
    columns = {name: [""] * len(rows) for name in SPAN_SCHEMA.names}
    columns |= {"kind": [2] * len(rows), "attributes": [[]] * len(rows), "resource": [[]] * len(rows)}
    columns["entity_kind"] = ["service"] * len(rows)
    for at, name in enumerate(("at_ns", "duration_ns", "span_id", "parent_span_id", "name", "entity_name", "status")):
        columns[name] = [row[at] for row in rows]
    columns["service"] = columns["entity_name"]
    return pa.table(columns, schema=SPAN_SCHEMA)


def run(spans, minutes, **more):
    found = []
    for minute in minutes:
        found += take_spans(spans, table(minute, **more), RULES, START_MS + minute * 60_000 + 59_000)
    return found


def grown():
    spans = new_spans(DEFAULT_TENANT, RULES)
    assert run(spans, range(MINUTES)) == []
    return spans


def copied(spans):
    kept = msgspec.json.decode(msgspec.json.encode(keep_spans(spans)), type=KeptSpans)
    return again_spans(kept, decode(encode(freeze(spans.watch, 1)))[0])


def test_what_is_slower_failing_new_or_lost_is_told():
    spans = grown()
    slower = run(copied(spans), range(MINUTES, MINUTES + 8), slow=10.0)
    assert "duration" in {each.kind for each in slower}
    assert any("reserve" in each.signal for each in slower)
    failing = run(copied(spans), range(MINUTES, MINUTES + 8), failing=True)
    assert "errors" in {each.kind for each in failing}
    moved = run(copied(spans), range(MINUTES, MINUTES + 14), called="stock-v2")
    assert {"new_edge", "lost_edge"} <= {each.kind for each in moved}
    assert all(each.evidence[0].query.startswith("SELECT at, duration_ns") for each in slower + failing + moved)


def test_a_restart_in_the_middle_gives_the_same_findings():
    spans = grown()
    whole = run(copied(spans), range(MINUTES, MINUTES + 8), slow=10.0)
    half = copied(spans)
    found = run(half, range(MINUTES, MINUTES + 3), slow=10.0)
    found += run(copied(half), range(MINUTES + 3, MINUTES + 8), slow=10.0)
    assert [each.id for each in found] == [each.id for each in whole] and whole


def test_no_spans_and_odd_spans_are_harmless():
    spans = new_spans(DEFAULT_TENANT, RULES)
    assert take_spans(spans, SPAN_SCHEMA.empty_table(), RULES, START_MS) == []
    odd = table(0).set_column(1, SPAN_SCHEMA.field("duration_ns"), pa.array([-5] * 40, pa.int64()))
    assert take_spans(spans, odd, RULES, START_MS) == []
