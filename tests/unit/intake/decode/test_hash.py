"""The hash that names series is the published one, at every length and place."""

import numpy as np
import xxhash

from cerebro.intake.decode.compiled import kernel
from cerebro.intake.decode.hash import xxh64
from cerebro.intake.decode.identity import canonical, series_id
from cerebro.intake.decode.wire import address


@kernel
def hash_of(body, start, end):
    return xxh64(address(body) + start, address(body) + end)


def test_equals_the_library_at_every_length_and_place():
    body = np.random.default_rng(1).bytes(600)
    column = np.frombuffer(body, np.uint8)

    for start in (0, 1, 7):
        for size in range(300):
            assert int(hash_of(column, start, start + size)) == xxhash.xxh64_intdigest(body[start : start + size])


def test_a_known_vector():
    """The value that the specification's authors print for the empty input."""
    assert int(hash_of(np.zeros(1, np.uint8), 0, 0)) == 0xEF46DB3751D8E999


def test_a_series_keeps_its_name_for_ever():
    """These two numbers are in stores and on buses: they may not change."""
    labels = {"job": "api", "instance": "web-1", "__name__": "up", "empty": ""}

    assert canonical(labels) == b"instance\xffweb-1\xffjob\xffapi\xff"
    assert series_id("up", labels) == (xxhash.xxh64_intdigest(b"up"), xxhash.xxh64_intdigest(canonical(labels)))
    assert series_id("up", {}) == (0x23AF5A217B078E8F, 0xEF46DB3751D8E999)
