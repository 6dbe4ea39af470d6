"""Whatever the bytes, the numba walk over OTLP metrics and upb agree, or both refuse."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.intake.decode import otlp_metrics
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.decode.twins import Metrics
from cerebro.spine.errors import Invalid

POINT_NAMES = [b"a", b"zz", b"http.method", b"http.route", b"service.name", b"__name__", b"", "é".encode(), b"lf", b"l",
               b"le2", b"le", b"k8s.pod.name"]  # fmt: skip
RESOURCE_NAMES = [b"service.name", b"service.namespace", b"host.name", b"process.pid", b"os.type", b"k8s.pod.name"]
TEXTS = [b"", b"x", b"value" * 12, "é".encode(), b"\xff"]
INTEGERS = [0, -1, 9, 10, 99, 100, 2**63 - 1, -(2**63), 123456789, 10**18]
DOUBLES = [0.0, 1.5, float("nan"), float("inf"), -1e-310]
BOUNDS = [0, 0.005, 0.5, 1, 10, 1e6, 1e21, 1e-7, float("inf")]
TIMES = [0, 1, 1_700_000_000_000_000_000, 2**64 - 1]
BODIES = 25


def put_value(value, chance):
    match chance.randrange(20):
        case 0:
            value.double_value = 1.5
        case 1:
            value.array_value.values.add().int_value = 3
        case 2 | 3:
            value.bool_value = chance.random() < 0.5
        case 4 | 5 | 6:
            value.int_value = chance.choice(INTEGERS)
        case _:
            value.string_value = chance.choice(TEXTS)


def put_attributes(attributes, names, chance):
    chosen = chance.sample(names, chance.randrange(6))
    if chance.random() < 0.5:
        chosen.sort()
    if chance.random() < 0.05 and chosen:
        chosen.append(chosen[-1])
    for name in chosen:
        put_value(attributes.add(key=name).value, chance)


def put_metric(metric, chance):
    metric.name = chance.choice([b"m", b"m", b"rt", b"rt", b"http.server.duration", b"", b"\xff"])
    metric.unit = chance.choice([b"", b"s", b"By", b"\xfe"])
    kind = chance.choice(["gauge", "sum", "sum", "histogram", "histogram", "histogram", "summary", "none"])
    if kind == "none":
        return
    body = getattr(metric, kind)
    body.SetInParent()
    if kind in ("sum", "histogram"):
        body.aggregation_temporality = chance.randrange(4)
    if kind == "sum":
        body.is_monotonic = chance.random() < 0.5
    for _ in range(chance.randrange(3)):
        put_point(body.data_points.add(time_unix_nano=chance.choice(TIMES)), kind, chance)


def put_point(point, kind, chance):
    put_attributes(point.attributes, POINT_NAMES, chance)
    point.flags = chance.choice([0, 0, 0, 0, 1, 2])
    if kind in ("gauge", "sum"):
        match chance.randrange(4):
            case 0 | 1:
                point.as_double = chance.choice(DOUBLES)
            case 2:
                point.as_int = chance.choice(INTEGERS)
        if chance.random() < 0.1:
            point.exemplars.add(as_int=3)
        return
    point.count = chance.choice([0, 3, 2**64 - 1])
    if chance.random() < 0.7:
        point.sum = 2.5
    if kind == "summary":
        point.quantile_values.add(quantile=0.5, value=2)
    elif count := chance.randrange(5):
        point.bucket_counts.extend(chance.choice([0, 1, 2**60, 2**64 - 1]) for _ in range(count))
        point.explicit_bounds.extend(
            chance.choice([*BOUNDS, chance.random()]) for _ in range(count - (chance.random() < 0.9))
        )


def a_body(chance: Random) -> bytes:
    request = Metrics()
    for _ in range(chance.randrange(3)):
        of_resource = request.resource_metrics.add()
        if chance.random() < 0.9:
            put_attributes(of_resource.resource.attributes, RESOURCE_NAMES, chance)
        for _ in range(chance.randrange(3)):
            of_scope = of_resource.scope_metrics.add()
            of_scope.scope.name = b"library"
            for _ in range(chance.randrange(3)):
                put_metric(of_scope.metrics.add(), chance)
    return request.SerializeToString()


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


def fast(body, known):
    """What the kernel makes of it: columns, a refusal, or nothing where upb has to read it."""
    try:
        decoded = otlp_metrics._decode_compiled(body, known)
    except Invalid:
        return "refused"
    return None if decoded is None else (decoded, decoded.name(decoded.new, entity_of))


def slow(body, known):
    try:
        decoded = decode_otlp_metrics(body, known, compiled=False)
    except Invalid:
        return "refused"
    return decoded, decoded.name(decoded.new, entity_of)


def agree(body: bytes, known: KnownSeries) -> bool:
    """Whether both took it; what upb refuses is refused, and what both take is the same."""
    found, wanted = fast(body, known), slow(body, known)
    assert wanted != "refused" or found in ("refused", None), body
    if found in ("refused", None):
        return False
    ours, theirs = found[0], wanted[0]
    assert ours.refused == theirs.refused, body
    for column in ("hi", "lo", "at_ms", "series_index"):
        assert np.array_equal(getattr(ours, column), getattr(theirs, column)), (body, column)
    assert ours.value.tobytes() == theirs.value.tobytes(), body
    for column in ("slot", "label_count", "label_bytes_max"):
        assert np.array_equal(getattr(ours.series, column), getattr(theirs.series, column)), (body, column)
    found[1].validate(full=True)
    assert found[1].equals(wanted[1]), body
    return True


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_the_walk_and_upb_agree_on_whatever_comes(seed):
    """Good, damaged and cut bodies; the second time with half of their series known."""
    chance = Random(seed)
    for _ in range(BODIES):
        body, known = damaged(a_body(chance), chance), KnownSeries()
        if agree(body, known):
            decoded = decode_otlp_metrics(body, known)
            known.add(*decoded.ids(decoded.new[::2]))
            agree(body, known)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_walk_and_upb_agree_on_a_million_bodies():
    """The same for a long time."""
    for seed in range(1_000_000):
        chance = Random(seed)
        agree(damaged(a_body(chance), chance), KnownSeries())
