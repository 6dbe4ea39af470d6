"""A supplier outside whose answers cannot be read, though whoever counts calls takes them for answers."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause.assemble import picture_of
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.held import READ_LINES, READ_SPANS, Grid, Held, Series
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.entities import Entity, EntityKey, Relation
from cerebro.spine.findings import Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId
from cerebro.spine.telemetry import EVENT_SCHEMA
from cerebro.spine.topology import Topology

FRONT, PAYMENT, LEDGER = (EntityKey("service", name) for name in ("front", "payment", "ledger"))
SUPPLIER = EntityKey("external", "supplier")
GRID = Grid(0, 15_000, 60, 40)
CALLS = ((FRONT, PAYMENT), (PAYMENT, SUPPLIER), (PAYMENT, LEDGER))
ILL, EVERY_S = 0.8, 2  # of the answers that fail; a request is traced
CLAIM, NOTHING = "supplier answered with what cannot be read", "supplier was asked"


def counted(entity, peer, failing):
    """A hundred requests a step, as who asks or who answers counts them."""
    side, labels = ("client", {"server.address": peer.name}) if peer else ("server", {})
    share = np.where(np.arange(GRID.count) >= GRID.split, failing, 0.0)
    values = {"count": np.ones(GRID.count), "sum": np.full(GRID.count, 0.02), "failed": share}
    names = {"count": "duration_count", "sum": "duration_sum", "failed": "failed"}
    return [
        (Series(entity, f"http.{side}.request.{names[part]}", labels, "counter"), (100.0 * each).cumsum())
        for part, each in values.items()
    ]


def told(schema, rows):
    """A table of rows; what they do not give is empty."""
    blank = {pa.string(): "", pa.uint8(): 0, pa.int64(): 0}
    columns = {field.name: [row.get(field.name, blank.get(field.type, [])) for row in rows] for field in schema}
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema})


def held(text, *, failing=ILL, ledger=0.0, said_by="failed", gauge=0.1):
    """Payment fails from the trouble on; `said_by` has the text in its lines: its failed requests, or the others."""
    series = [
        *counted(FRONT, PAYMENT, failing), *counted(PAYMENT, None, failing),
        *counted(PAYMENT, SUPPLIER, 0.0), *counted(PAYMENT, LEDGER, ledger),
        (Series(PAYMENT, "system.filesystem.utilization", {}, "gauge"),
         np.where(np.arange(GRID.count) >= GRID.split, gauge, 0.1)),
    ]  # fmt: skip
    spans, lines = [], []
    for number in range(GRID.end_ms // 1000 // EVERY_S):
        at_ns = number * EVERY_S * 1_000_000_000
        ill = at_ns >= GRID.split_ms * 1_000_000 and number % 10 < 10 * failing
        row = {"at_ns": at_ns, "observed_ns": at_ns, "trace_id": f"{number:032x}", "entity_kind": "service"}
        row |= {"span_id": f"{number:016x}", "entity_name": "payment"}
        spans.append(row | {"name": "POST /charge", "kind": 2, "duration_ns": 2_000_000, "status": 2 if ill else 1})
        lines.append(row | {"body": f"charged order {number}", "severity": 9})
        if at_ns >= GRID.split_ms * 1_000_000 and (ill if said_by == "failed" else not ill):
            lines.append(row | {"body": text, "severity": 17})
    values = np.stack([each for _, each in series])
    return Held(GRID, [each for each, _ in series], values, values, told(READ_SPANS, spans), told(READ_LINES, lines))


def diagnosed(found):
    topology = Topology(
        DEFAULT_TENANT, GRID.end_ms,
        {key: Entity(DEFAULT_TENANT, key, 0, GRID.end_ms) for key in (FRONT, PAYMENT, LEDGER, SUPPLIER)},
        tuple(Relation(DEFAULT_TENANT, one, other, "calls") for one, other in CALLS),
    )  # fmt: skip
    case = Case(
        CaseId("c"), DEFAULT_TENANT, CaseState.OPEN, Severity.MAJOR, "it fails", GRID.split_ms, 0, (FRONT,), (),
        began_ms=GRID.split_ms,
    )  # fmt: skip
    return diagnose(picture_of(case, (), found, topology)).causes


def test_a_supplier_is_blamed_for_answers_that_cannot_be_read():
    """They count as good ones; but the requests that fail are those in which they are said to be no answers."""
    first = diagnosed(held(CLAIM))[0]

    assert (first.entity, first.kind) == (SUPPLIER, "external")
    assert [(mark.word, mark.claimed) for mark in first.marks] == [("garbled", False)]
    assert diagnosed(held(NOTHING))[0].entity == PAYMENT


def changed(found, title):
    row = {
        "at_ns": (GRID.split_ms - 30_000) * 1_000_000, "id": "1", "kind": "deploy", "entity_kind": "service",
        "entity_name": "payment", "title": title,
    }  # fmt: skip
    return replace(found, events=told(EVENT_SCHEMA, [row]))


@pytest.mark.parametrize(
    "how",
    [
        {"failing": 0.0, "said_by": "others"},  # it is well
        {"said_by": "others"},  # whoever writes into its lines is no one that it fails
        {"ledger": ILL},  # what else it needs fails it
        {"gauge": 1.0},  # its own disk is full
    ],
)
def test_a_claim_that_answers_cannot_be_read_has_no_effect(how):
    assert named(diagnosed(held(CLAIM, **how))) == named(diagnosed(held(NOTHING, **how)))


def test_a_claim_that_answers_cannot_be_read_has_no_effect_where_the_speaker_was_changed():
    one, other = (diagnosed(changed(held(text), "release 7")) for text in (CLAIM, NOTHING))

    assert named(one) == named(other)
    assert one[0].entity == PAYMENT


def test_where_requests_are_not_told_one_by_one_a_claim_that_answers_cannot_be_read_has_no_effect():
    one, other = (diagnosed(replace(held(text), spans=READ_SPANS.empty_table())) for text in (CLAIM, NOTHING))

    assert named(one) == named(other)


def named(causes):
    """Who is blamed, by how much, and with which marks."""
    return [(each.entity, each.kind, round(each.share, 6), each.marks) for each in causes]
