"""What is broken off because its caller gave up is no failure of who was asked."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause.answers import FAILED, read
from cerebro.casework.cause.assemble import _cancelled
from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.casework.cause.spans import Spans, summarised
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import STRINGS

CART = EntityKey("service", "cart")
STEPS, SPLIT = 20, 10


@pytest.mark.parametrize(
    ("error", "message", "lasted", "failing"),
    [
        ("CancelledError", "", 9, False),
        ("CancelledError", "", 90, True),  # who has waited for so long had reason to give up
        ("", "context canceled", 9, False),
        ("psycopg.errors.QueryCanceled", "", 9, True),  # the database's own time-out
        ("", "HTTP 503", 9, True),
    ],
)
def test_a_span_that_its_caller_gave_up_early_has_not_failed(error, message, lasted, failing):
    """Nor has what was asked for it, however long that took."""
    table = pa.table(
        {
            "status_message": [message, message],
            "attributes": pa.array([[("error.type", error)] if error else []] * 2, STRINGS),
        }
    )
    cancelled = _cancelled(table, table["attributes"].combine_chunks())
    before, during = (
        Spans.of(
            entity=np.zeros(2, np.int32), operation=np.array(["pay", "store"], object), span=np.array(["a", "b"]),
            parent=np.array(["", "a"]), duration_ms=duration_ms, failed=failed, cancelled=cancelled,
        )
        for duration_ms, failed in (
            (np.array([10.0, 1.0]), np.zeros(2, np.bool_)), (np.array([lasted, 8.0]), np.ones(2, np.bool_))
        )
    )  # fmt: skip
    tallies = summarised(before, during, 1).tallies

    hits = sum(tallies.hits_during[k] for k, kind in enumerate(tallies.kind) if kind == "error")
    assert bool(hits) is failing


@pytest.mark.parametrize(
    ("error", "lasted", "failing"),
    [("CancelledError", 1.0, 0.0), ("CancelledError", 9.0, 50.0), ("ValueError", 1.0, 50.0)],
)
def test_requests_that_were_given_up_early_have_not_failed(error, lasted, failing):
    count, usual, other = np.full(STEPS, 10.0), np.ones(STEPS), np.where(np.arange(STEPS) < SPLIT, 0.0, lasted)
    labels = ({}, {}, {"error.type": error}, {"error.type": error})
    parts = ("count", "sum") * 2
    series = [
        Series(CART, f"http.server.request.duration_{part}", each, "counter")
        for part, each in zip(parts, labels, strict=True)
    ]
    late = count * (np.arange(STEPS) >= SPLIT)
    values = np.stack([each.cumsum() for each in (count, count * usual, late, late * other)])
    lines, _ = read(Held(Grid(0, 1000, STEPS, SPLIT), series, values, values), {})

    failed = [line.values[-1] for line in lines if line.signal == FAILED]
    assert (failed or [0.0]) == [failing]
