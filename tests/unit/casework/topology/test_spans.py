"""Who calls whom, from spans in any order and any number of bodies."""

import itertools

import pyarrow as pa
import pytest

from cerebro.casework.topology.spans import WAITING_MS, SpanMemory, sighted_in_spans
from cerebro.spine.telemetry import SPAN_SCHEMA

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
NOW_NS = 1_700_000_000_000_000_000


def span(service, number, parent=0, kind=SERVER, attributes=(), resource=(), at_ns=NOW_NS, trace=7):
    """One row of SPAN_SCHEMA."""
    said = [("service.name", service), *dict(resource).items()]
    identity = [f"{trace:032x}", f"{number:016x}", f"{parent:016x}" if parent else ""]
    return [
        at_ns, 1000, *identity, "work", kind, 0, "", service, "service", service, "", list(dict(attributes).items()),
        said, "[]", "[]",
    ]  # fmt: skip


def spans(*rows):
    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, SPAN_SCHEMA, strict=True)], schema=SPAN_SCHEMA
    )


def told(*tables):
    """Every link of the tables in turn, as text, with how often it was seen."""
    memory, found = SpanMemory(), {}
    for table in tables:
        for (source, target, kind), count in sighted_in_spans(table, memory).links.items():
            text = f"{source.text} {kind} {target.text}"
            found[text] = found.get(text, 0) + count
    return found


CALL = (
    span("shop", 1),
    span("shop", 2, 1, CLIENT, {"server.address": "pay.internal"}),
    span("payment", 3, 2),
    span("payment", 4, 3, CLIENT, {"db.system.name": "postgresql", "db.namespace": "money"}),
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
def test_a_call_is_found_in_any_order_of_its_spans(order):
    """Each span in a body of its own: the child may come before its parent."""
    assert told(*(spans(CALL[place]) for place in order)) == told(spans(*CALL))
    assert told(spans(*CALL)) == {
        "service/shop calls external/pay.internal": 1,
        "service/shop calls service/payment": 1,
        "service/payment calls database/money": 1,
    }


def test_what_answered_at_an_address_is_remembered():
    """The address of a client span whose child is known is another name of that service."""
    aliases = sighted_in_spans(spans(*CALL), SpanMemory()).aliases

    assert {(address, entity.text) for address, entity in aliases} == {("pay.internal", "service/payment")}


def test_a_queue_stands_between_who_sends_and_who_works():
    """The parent of a consumer's span is its publisher."""
    consumed = span("mailer", 2, 1, CONSUMER, {"messaging.destination.name": "mails", "messaging.system": "nats"})

    assert told(spans(span("shop", 1), consumed)) == {
        "service/shop publishes_to queue/mails": 1,
        "service/mailer consumes_from queue/mails": 1,
    }


def test_a_span_that_waits_too_long_is_let_go():
    """Its parent is not looked for for ever."""
    child = spans(span("payment", 3, 2))
    late = spans(span("shop", 2, at_ns=NOW_NS + 3 * WAITING_MS * 1_000_000))
    later = spans(span("shop", 9, at_ns=NOW_NS + 2 * WAITING_MS * 1_000_000))

    assert told(child, later, late) == {}


def test_resources_say_where_a_service_runs():
    """Host, pod, instance and namespace become relations; what is worth keeping is kept."""
    said = {"host.name": "web-7", "service.instance.id": "a1", "team": "money", "process.pid": "4"}
    sighted = sighted_in_spans(spans(span("payment", 1, resource=said), span("payment", 2)), SpanMemory())

    assert {f"{s.text} {kind} {t.text}" for s, t, kind in sighted.links} == {
        "service/payment runs_on host/web-7",
        "instance/payment:a1 instance_of service/payment",
        "instance/payment:a1 runs_on host/web-7",
    }
    assert {key.text: kept for key, kept in sighted.entities.items()} == {
        "service/payment": {"host.name": "web-7", "team": "money"}
    }


def test_hostile_ids_and_names_do_no_harm():
    """Ids that are no hexadecimal text, names with signs that cannot be seen."""
    rows = [span("shop", 1), span("shop", 2, 1, CLIENT, {"server.address": "a\u202e\x00b"})]
    rows[0][3], rows[1][2] = "zzzzzzzzzzzzzzzz", "ü" * 32

    assert told(spans(*rows)) == {"service/shop calls external/ab": 1}
