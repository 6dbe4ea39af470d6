"""Remote write: what is taken and as what, what is refused and why, and what no body may do."""

import struct
from time import process_time

import numpy as np
import pytest

from cerebro.intake.decode.columns import STALE_BITS
from cerebro.intake.decode.identity import series_id
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.proto.remote_pb2 import MetricMetadata, WriteRequest
from cerebro.intake.decode.remote_write import decode_remote_write
from cerebro.spine.errors import Invalid, TooLarge
from cerebro.spine.telemetry import SERIES_SCHEMA
from cerebro.spine.wire import decode_samples, encode_samples

EITHER = pytest.mark.parametrize("compiled", [True, False], ids=["numba", "upb"])


def request(*series, metadata=()):
    body = WriteRequest()
    for labels, samples in series:
        each = body.timeseries.add()
        for name, value in labels:
            each.labels.add(name=name.encode(), value=value if isinstance(value, bytes) else value.encode())
        for at_ms, value in samples:
            each.samples.add(timestamp=at_ms, value=value)
    for family, kind, unit in metadata:
        body.metadata.add(metric_family_name=family.encode(), type=kind, unit=unit.encode())
    return body.SerializeToString()


def entity_of(labels):
    return "host", labels.get("instance", "unknown")


UP = [("__name__", "up"), ("instance", "web-1"), ("job", "api")]


@EITHER
def test_a_body_becomes_columns_and_names(compiled):
    body = request((UP, [(1000, 1.0), (2000, 0.0)]), ([("job", "b"), ("__name__", "requests_total")], [(5, 7.5)]))
    decoded = decode_remote_write(body, KnownSeries(), compiled=compiled)
    table = decoded.name(decoded.new, entity_of)

    assert decoded.at_ms.tolist() == [1000, 2000, 5]
    assert decoded.value.tolist() == [1.0, 0.0, 7.5]
    assert decoded.series_index.tolist() == [0, 0, 1]
    assert (int(decoded.hi[0]), int(decoded.lo[0])) == series_id("up", dict(UP))
    assert table.schema == SERIES_SCHEMA
    assert table.to_pylist() == [
        {
            "hi": int(decoded.hi[0]), "lo": int(decoded.lo[0]), "metric": "up", "type": "unknown", "unit": "",
            "labels": [("instance", "web-1"), ("job", "api")], "entity_kind": "host", "entity_name": "web-1",
        },
        {
            "hi": int(decoded.hi[2]), "lo": int(decoded.lo[2]), "metric": "requests_total",
            "type": "counter", "unit": "", "labels": [("job", "b")], "entity_kind": "host", "entity_name": "unknown",
        },
    ]  # fmt: skip
    batch = decode_samples(encode_samples(decoded.batch(table)))
    assert batch.value.tolist() == [1.0, 0.0, 7.5] and batch.series.equals(table)


@EITHER
def test_only_series_not_known_are_named_and_each_once(compiled):
    body, known = request((UP, [(1, 1.0)]), (UP[::-1], [(2, 1.0)])), KnownSeries()
    first = decode_remote_write(body, known, compiled=compiled)
    known.add(*first.ids(first.new))
    again = decode_remote_write(body, known, compiled=compiled)

    assert first.new.tolist() == [0] and len(again.new) == 0
    assert again.series.slot.tolist() == [0, 0]
    assert not len(again.series.text)


@EITHER
def test_a_selection_keeps_samples_and_forgets_series_without_any(compiled):
    other = [("__name__", "down")]
    decoded = decode_remote_write(request((UP, [(1, 1.0)]), (other, [(2, 2.0)])), KnownSeries(), compiled=compiled)
    left = decoded.select(decoded.at_ms == 2)

    assert left.value.tolist() == [2.0] and left.metrics(left.new) == ["down"]


@EITHER
@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([("job", "a")], "missing_name"),
        ([("__name__", ""), ("job", "a")], "missing_name"),
        ([("__name__", "up"), ("", "a")], "empty_label_name"),
        ([("__name__", "up"), ("a", "1"), ("a", "1")], "duplicate_label"),
        ([("__name__", "up"), ("__name__", "down")], "duplicate_label"),
        ([("__name__", "up"), ("b", "1"), ("a", "1"), ("b", "2")], "duplicate_label"),
        ([("__name__", "up"), *((f"l{i}", "x") for i in range(600))], "too_many_labels"),
        ([("__name__", "up"), ("a", "x" * 70_000)], "labels_too_large"),
        ([("__name__", "up"), ("a", b"\xff\xfe")], "invalid_utf8"),
        ([("__name__", b"\xc0\x80")], "invalid_utf8"),
    ],
)
def test_a_bad_series_is_refused_alone(labels, reason, compiled):
    decoded = decode_remote_write(
        request((labels, [(1, 1.0), (2, 1.0)]), (UP, [(3, 1.0)])), KnownSeries(), compiled=compiled
    )

    assert decoded.refused == {reason: 2}
    assert decoded.metrics(decoded.new) == ["up"] and decoded.at_ms.tolist() == [3]


@EITHER
def test_a_label_with_an_empty_value_is_no_label(compiled):
    decoded = decode_remote_write(request(([*UP, ("zone", "")], [(1, 1.0)])), KnownSeries(), compiled=compiled)

    assert int(decoded.lo[0]) == series_id("up", dict(UP))[1]
    assert decoded.series.label_count.tolist() == [2]


@EITHER
def test_200_labels_are_left_to_the_door_with_their_count(compiled):
    labels = [("__name__", "up"), *((f"label_{i:03d}", "x" * i) for i in range(1, 201))]
    decoded = decode_remote_write(request((labels, [(1, 1.0)])), KnownSeries(), compiled=compiled)

    assert decoded.series.label_count.tolist() == [200]
    assert decoded.series.label_bytes_max.tolist() == [200]
    assert decoded.labels(decoded.new) == [dict(labels[1:])]


@EITHER
def test_values_keep_every_bit(compiled):
    bits = [int(STALE_BITS), 0x7FF8000000000001, 0xFFF0000000000000, 1, 0x8000000000000000]
    values = [struct.unpack("<d", struct.pack("<Q", each))[0] for each in bits]
    times = [0, -1, 2**63 - 1, -(2**63), 1_700_000_000_000]
    decoded = decode_remote_write(request((UP, list(zip(times, values)))), KnownSeries(), compiled=compiled)  # noqa: B905

    assert decoded.value.view(np.uint64).tolist() == bits
    assert decoded.at_ms.tolist() == times


@EITHER
def test_metadata_says_what_a_series_is_now_and_later(compiled):
    known = KnownSeries()
    said = [("heat", MetricMetadata.GAUGE, "celsius"), ("rpc", MetricMetadata.SUMMARY, "seconds"), ("x", 0, "")]
    heat, quantile, count = ([("__name__", name)] for name in ("heat", "rpc", "rpc_count"))
    decode_remote_write(request(metadata=said), known, compiled=compiled)
    decoded = decode_remote_write(
        request((heat, [(1, 1.0)]), (quantile, [(1, 1.0)]), (count, [(1, 1.0)])), known, compiled=compiled
    )
    table = decoded.name(decoded.new, entity_of)

    assert table["type"].to_pylist() == ["gauge", "gauge", "counter"]
    assert table["unit"].to_pylist() == ["celsius", "seconds", ""]


@EITHER
def test_native_histograms_and_exemplars_are_counted(compiled):
    body = WriteRequest()
    body.ParseFromString(request((UP, [(1, 1.0)])))
    body.timeseries[0].histograms.append(b"")
    body.timeseries[0].exemplars.extend([b"", b""])
    decoded = decode_remote_write(body.SerializeToString(), KnownSeries(), compiled=compiled)

    assert decoded.refused == {"native_histogram": 1} and decoded.ignored == {"exemplar": 2}


@EITHER
def test_an_empty_body_holds_nothing(compiled):
    decoded = decode_remote_write(b"", KnownSeries(), compiled=compiled)

    assert len(decoded) == 0 and len(decoded.new) == 0
    assert decoded.name(decoded.new, entity_of).num_rows == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x0a\x05\x0a", "beyond its message"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "longer than 64 bits"),
        (b"\x08\x01", "wire type"),
        (b"\x0b\x0c", "groups"),
        (b"\x02\x00", "number 0"),
        (b"{}", "groups"),
        (b"\x0a\x04\x12\x02\x08\x01", "wire type"),
        (b"\x28", "beyond its message"),
    ],
)
def test_a_broken_body_is_told_what_and_where(body, words):
    with pytest.raises(Invalid, match=words) as caught:
        decode_remote_write(body, KnownSeries())

    assert "byte " in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * 4_000_000,
        b"\x0a\x02\x0a\x00" * 2_000_000,
        b"\x1a\x00" * 4_000_000,
        b"\x0a\x02\x12\x00" * 4_000_000,
        request(([("__name__", "up"), *((f"{i:09d}", "x") for i in range(511, 0, -1))], [(1, 1.0)])) * 800,
    ],
    ids=["empty series", "empty labels", "empty metadata", "samples without a name", "labels the wrong way round"],
)
def test_a_body_that_means_harm_costs_little(body):
    begun = process_time()
    try:
        refused = decode_remote_write(body, KnownSeries()).refused
    except TooLarge:
        refused = {}

    assert process_time() - begun < 5
    assert len(refused) <= 1
