"""Whatever the bytes, the numba walk over OTLP logs and spans and upb agree, or both refuse."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.intake.decode.records import logs_table, spans_table
from cerebro.intake.decode.records_upb import logs_upb, spans_upb
from cerebro.intake.decode.twins import Logs, Traces
from cerebro.spine.errors import Invalid

NAMES = [b"a", b"zz", b"http.method", b"service.name", b"", b"\xff", "é".encode()]
TEXTS = [b"", b"x", b"v" * 40, "é".encode(), b"\xff", b"a\x00b", b"ok\xed\xa0\x80"]
INTEGERS = [0, -1, 9, 10, 99, 100, 2**63 - 1, -(2**63), 10**18]
DOUBLES = [1.5, 0.0, 1e300, float("nan"), -0.0, 1e-7]
IDS = [b"", bytes(16), b"\x01" * 16, b"\xab" * 8, bytes(8), b"abc"]
TIMES = [0, 1, 1_700_000_000_000_000_000, 2**63 - 1, 2**64 - 1]
BODIES = 25


def put_value(value, chance, depth=0):
    match chance.randrange(10 if depth < 3 else 8):
        case 0:
            value.double_value = chance.choice(DOUBLES)
        case 1:
            value.bytes_value = b"\x00\xff"
        case 2:
            value.bool_value = chance.random() < 0.5
        case 3:
            value.int_value = chance.choice(INTEGERS)
        case 8:
            value.array_value.SetInParent()
            for _ in range(chance.randrange(3)):
                put_value(value.array_value.values.add(), chance, depth + 1)
        case 9:
            value.kvlist_value.SetInParent()
            for _ in range(chance.randrange(3)):
                put_value(value.kvlist_value.values.add(key=chance.choice(TEXTS)).value, chance, depth + 1)
        case _:
            value.string_value = chance.choice(TEXTS)


def put_attributes(attributes, chance):
    for _ in range(chance.randrange(4)):
        pair = attributes.add(key=chance.choice(NAMES))
        if chance.random() < 0.9:
            put_value(pair.value, chance)


def some_logs(chance):
    request = Logs()
    for _ in range(chance.randrange(3)):
        of_resource = request.resource_logs.add()
        if chance.random() < 0.8:
            put_attributes(of_resource.resource.attributes, chance)
        for _ in range(chance.randrange(3)):
            of_scope = of_resource.scope_logs.add()
            of_scope.scope.name = chance.choice(TEXTS)
            for _ in range(chance.randrange(4)):
                record = of_scope.log_records.add(
                    time_unix_nano=chance.choice(TIMES),
                    observed_time_unix_nano=chance.choice(TIMES),
                    severity_number=chance.choice([0, 9, 24, 25, -1]),
                    severity_text=chance.choice(TEXTS),
                    trace_id=chance.choice(IDS),
                    span_id=chance.choice(IDS),
                    flags=chance.randrange(3),
                )
                if chance.random() < 0.8:
                    put_value(record.body, chance)
                put_attributes(record.attributes, chance)
    return request.SerializeToString()


def some_spans(chance):
    request = Traces()
    for _ in range(chance.randrange(3)):
        of_resource = request.resource_spans.add()
        if chance.random() < 0.8:
            put_attributes(of_resource.resource.attributes, chance)
        for _ in range(chance.randrange(3)):
            of_scope = of_resource.scope_spans.add()
            of_scope.scope.name = chance.choice(TEXTS)
            for _ in range(chance.randrange(4)):
                put_span(of_scope.spans.add(), chance)
    return request.SerializeToString()


def put_span(span, chance):
    span.start_time_unix_nano, span.end_time_unix_nano = chance.choice(TIMES), chance.choice(TIMES)
    span.kind, span.name = chance.choice([0, 1, 5, 6, -1]), chance.choice(TEXTS)
    span.trace_id, span.span_id, span.parent_span_id = (chance.choice(IDS) for _ in range(3))
    if chance.random() < 0.8:
        span.status.code, span.status.message = chance.choice([0, 1, 2, 3, -1]), chance.choice(TEXTS)
    put_attributes(span.attributes, chance)
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        put_attributes(
            span.events.add(time_unix_nano=chance.choice(TIMES), name=chance.choice(TEXTS)).attributes, chance
        )
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        put_attributes(span.links.add(trace_id=chance.choice(IDS), span_id=chance.choice(IDS)).attributes, chance)


def damaged(body: bytes, chance: Random) -> bytes:
    bent = bytearray(body)
    for _ in range(chance.randrange(4) if bent else 0):
        at = chance.randrange(len(bent) or 1)
        match chance.randrange(4):
            case 0:
                bent[at : at + 1] = chance.randbytes(1)
            case 1:
                del bent[at : at + chance.randrange(1, 5)]
            case 2:
                bent[at:at] = chance.randbytes(chance.randrange(1, 5))
            case _:
                bent[at : at + 1] = bytes([(bent[at] if bent else 0) ^ 1 << chance.randrange(8)])
    return bytes(bent[: chance.randrange(len(bent) + 1)] if chance.random() < 0.1 else bent)


def entity_of(labels):
    return "labels", str(sorted(labels.items()))


def outcome(read, body):
    try:
        return read(body, entity_of)
    except Invalid:
        return "refused"


def agree(body, fast, slow) -> None:
    """What upb refuses is refused, and what both take is the same."""
    found, wanted = outcome(fast, body), outcome(slow, body)
    assert wanted != "refused" or found in ("refused", None), body
    if found not in ("refused", None):
        found.validate(full=True)
        assert found.equals(wanted), body


SIGNALS = [(some_logs, logs_table, logs_upb), (some_spans, spans_table, spans_upb)]


@pytest.mark.parametrize(("make", "fast", "slow"), SIGNALS, ids=["logs", "spans"])
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_the_walk_and_upb_agree_on_whatever_comes(make, fast, slow, seed):
    """Good, damaged and cut bodies."""
    chance = Random(seed)
    for _ in range(BODIES):
        agree(damaged(make(chance), chance), fast, slow)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("make", "fast", "slow"), SIGNALS, ids=["logs", "spans"])
def test_the_walk_and_upb_agree_on_a_million_bodies(make, fast, slow):
    """The same for a long time."""
    for seed in range(1_000_000):
        chance = Random(seed)
        agree(damaged(make(chance), chance), fast, slow)
