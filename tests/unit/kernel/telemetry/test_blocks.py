"""Messages of several tenants become one block a table."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.kernel.bus.port import Message
from cerebro.kernel.telemetry.blocks import EVENTS, LOGS, METRICS
from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import EVENT_SCHEMA, SERIES_SCHEMA, SampleBatch, no_series
from cerebro.spine.wire import Kind, encode_samples, encode_table


def message(tenant, at_ms, series=None):
    count = len(at_ms)
    ids = np.arange(count, dtype=np.uint64)
    batch = SampleBatch(ids, ids, np.array(at_ms, np.int64), np.ones(count), series or no_series())
    return METRICS.decode(Message(f"telemetry.{tenant}.metrics", encode_samples(batch), 1))


def one_series():
    row = {
        "hi": 1,
        "lo": 2,
        "metric": "m",
        "labels": [("a", "b")],
        "type": "gauge",
        "unit": "",
        "entity_kind": "host",
        "entity_name": "x",
    }
    return pa.Table.from_pylist([row], schema=SERIES_SCHEMA)


def test_tenants_become_a_column():
    """In the order of the messages."""
    series, samples = METRICS.blocks([message("b", [1, 2]), message("a", [3], one_series()), message("b", [4])])

    assert samples.rows["tenant"].to_pylist() == ["b", "b", "a", "b"]
    assert samples.rows["at"].cast(pa.int64()).to_pylist() == [1, 2, 3, 4]
    assert samples.newest_ms == 4
    assert series.rows["tenant"].to_pylist() == ["a"]
    assert series.rows["first_seen"].cast(pa.int64()).to_pylist() == [3]


def test_times_that_no_table_can_hold_are_left_out_and_counted():
    """Before 1970 and after 2100."""
    _, samples = METRICS.blocks([message("a", [-1, 5, 1 << 62])])

    assert (samples.rows.num_rows, samples.refused_count, samples.newest_ms) == (1, 2, 5)


def test_a_message_without_samples_still_names_its_series():
    """A collector may name without measuring."""
    series, samples = METRICS.blocks([message("a", [], one_series())])

    assert (series.rows.num_rows, samples.rows.num_rows) == (1, 0)


def test_columns_of_another_schema_are_invalid():
    """Logs on the stream of events, or half a table."""
    row = {
        "at_ns": 1,
        "id": "1",
        "kind": "deploy",
        "source": "ci",
        "entity_kind": "service",
        "entity_name": "x",
        "title": "t",
        "body": "{}",
    }
    body = encode_table(Kind.EVENTS, pa.Table.from_pylist([row], schema=EVENT_SCHEMA))
    piece = EVENTS.decode(Message("telemetry.a.events", body, 1))

    assert EVENTS.blocks([piece])[0].rows.column_names[0] == "at"
    with pytest.raises(Invalid):
        LOGS.decode(Message("telemetry.a.logs", body, 1))
    with pytest.raises(Invalid):
        LOGS.decode(Message("telemetry.a.logs", encode_table(Kind.LOGS, pa.table({"x": [1]})), 1))
