"""Whose failure it is when a message cannot be worked."""

import pyarrow as pa
import pytest

from cerebro.casework.cause.assemble import picture_of
from cerebro.casework.cause.held import Grid, Held
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.entities import Entity, EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.telemetry import SPAN_SCHEMA
from cerebro.spine.topology import Topology

WORKER, ORDERS = EntityKey("service", "worker"), EntityKey("queue", "orders")
GRID = Grid(0, 15_000, 60, 40)
CLIENT, CONSUMER = 3, 5
FINE, FAILED = 1, 2


def taken(number, kind, operation):
    """A message that is taken and worked; from the middle on none can be."""
    at_ms = number * 5_000
    said = [("messaging.destination.name", "orders"), ("messaging.operation.type", operation)]
    return [
        at_ms * 1_000_000, 2_000_000, f"{number:032x}", f"{number:016x}", "", f"{operation} orders", kind,
        FAILED if at_ms >= GRID.split_ms else FINE, "", WORKER.name, WORKER.kind, WORKER.name, "", said, [], "[]", "[]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "operation", "is_asked"),
    [(CONSUMER, "process", False), (CONSUMER, "receive", True), (CLIENT, "receive", True)],
)
def test_the_working_of_a_message_is_the_workers_own_and_its_taking_is_asked_of_the_queue(kind, operation, is_asked):
    columns = zip(*(taken(number, kind, operation) for number in range(180)), strict=True)
    spans = pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, SPAN_SCHEMA, strict=True)], schema=SPAN_SCHEMA
    )
    entities = {key: Entity(DEFAULT_TENANT, key, 0, 0) for key in (WORKER, ORDERS)}
    case = Case("c", "default", CaseState.OPEN, Severity.MAJOR, "", 0, 0, (WORKER,), ())

    picture = picture_of(case, (), Held(GRID, spans=spans), Topology(DEFAULT_TENANT, 0, entities))

    tallies, queue = picture.tallies, picture.entities.index(ORDERS)
    calls = [row for row, kind in enumerate(tallies.kind) if kind == "call"]
    errors = [row for row, kind in enumerate(tallies.kind) if kind == "error"]
    assert [int(tallies.peer[row]) for row in calls] == [queue] * is_asked
    assert [tallies.hits_during[row] for row in errors] == [0.0 if is_asked else 60.0]
    assert any(each.target == ORDERS for each in picture.relations) == is_asked
