"""What is broken off because its caller gave up is no failure of who was asked."""

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause.answers import FAILED, lines_of
from cerebro.casework.cause.assemble import _failed
from cerebro.casework.cause.held import Grid, Held, Series
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import STRINGS

CART = EntityKey("service", "cart")
STEPS = 20


def test_a_span_that_was_cancelled_has_not_failed():
    rows = [
        (2, "", [("error.type", "CancelledError")]),
        (2, "context canceled", []),
        (2, "", [("error.type", "psycopg.errors.QueryCanceled")]),  # the database's own time-out
        (2, "HTTP 503", []),
        (1, "", []),
    ]
    status, message, attributes = zip(*rows, strict=True)
    table = pa.table(
        {"status": pa.array(status, pa.uint8()), "status_message": list(message),
         "attributes": pa.array(attributes, STRINGS)}
    )  # fmt: skip

    assert _failed(table).tolist() == [False, False, True, True, False]


@pytest.mark.parametrize(("error", "failing"), [("CancelledError", 0.0), ("ValueError", 50.0)])
def test_requests_that_were_cancelled_have_not_failed(error, failing):
    count = np.full(STEPS, 10.0).cumsum()
    labels = ({}, {"error.type": error})
    series = [Series(CART, "http.server.request.duration_count", each, "counter") for each in labels]
    values = np.stack([count, count])
    lines = lines_of(Held(Grid(0, 1000, STEPS, 10), series, values, values), {})

    failed = [line.values[-1] for line in lines if line.signal == FAILED]
    assert (failed or [0.0]) == [failing]
