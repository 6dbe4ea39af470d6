"""Whatever the bytes, the numba walk over remote write and upb agree, or both refuse."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.proto.remote_pb2 import WriteRequest
from cerebro.intake.decode.remote_write import decode_remote_write
from cerebro.spine.errors import Invalid

NAMES = [b"job", b"instance", b"a", b"zz", b"le", b"container", b"container_id", b"container_name", "é".encode(), b""]
TEXTS = [b"", b"x", b"value" * 50, "é".encode(), b"\xff", b"a\x00b"]
VALUES = [0.0, 1.5, float("nan"), float("-inf"), -1e-310]
TIMES = [0, -1, 1_700_000_000_000, 2**63 - 1, -(2**63)]
BODIES = 25  # a seed stands for so many bodies, so that hypothesis' own cost does not rule


def a_body(chance: Random) -> bytes:
    request = WriteRequest()
    for _ in range(chance.randrange(5)):
        series = request.timeseries.add()
        names = [b"__name__", *chance.sample(NAMES, chance.randrange(5))]
        if chance.random() < 0.5:
            names.sort()
        if chance.random() < 0.1:
            names.append(names[-1])
        for name in names[chance.random() < 0.1 :]:
            series.labels.add(name=name, value=chance.choice(TEXTS))
        for _ in range(chance.randrange(4)):
            series.samples.add(value=chance.choice(VALUES), timestamp=chance.choice(TIMES))
        if chance.random() < 0.1:
            series.histograms.append(b"x")
            series.exemplars.append(b"x")
    if chance.random() < 0.2:
        request.metadata.add(type=chance.randrange(9), metric_family_name=b"x", unit=b"s")
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


def outcome(body, known, compiled):
    try:
        decoded = decode_remote_write(body, known, compiled=compiled)
    except Invalid:
        return None
    return decoded, decoded.name(decoded.new, entity_of)


def agree(body: bytes, known: KnownSeries) -> bool:
    """Whether both took it; what upb refuses is refused, and what both take is the same."""
    fast, slow = outcome(body, known, compiled=True), outcome(body, known, compiled=False)
    assert slow is not None or fast is None, body
    if fast is None:
        return False
    ours, theirs = fast[0], slow[0]
    assert ours.refused == theirs.refused and ours.ignored == theirs.ignored, body
    for column in ("hi", "lo", "at_ms", "series_index"):
        assert np.array_equal(getattr(ours, column), getattr(theirs, column)), (body, column)
    assert ours.value.tobytes() == theirs.value.tobytes(), body
    for column in ("slot", "label_count", "label_bytes_max"):
        assert np.array_equal(getattr(ours.series, column), getattr(theirs.series, column)), (body, column)
    fast[1].validate(full=True)
    assert fast[1].equals(slow[1]), body
    return True


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_the_walk_and_upb_agree_on_whatever_comes(seed):
    """Good, damaged and cut bodies; the second time with half of their series known."""
    chance = Random(seed)
    for _ in range(BODIES):
        body, known = damaged(a_body(chance), chance), KnownSeries()
        if agree(body, known):
            decoded = decode_remote_write(body, known)
            known.add(*decoded.ids(decoded.new[::2]))
            agree(body, known)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_walk_and_upb_agree_on_a_million_bodies():
    """The same for a long time."""
    for seed in range(1_000_000):
        chance = Random(seed)
        agree(damaged(a_body(chance), chance), KnownSeries())
