"""What the labels of series tell of the map."""

import pyarrow as pa
import pytest

from cerebro.casework.topology.series import sighted_in_series
from cerebro.spine.telemetry import SERIES_SCHEMA


def series(metric, labels):
    row = {
        "hi": 1, "lo": 2, "metric": metric, "labels": sorted(labels.items()), "type": "histogram", "unit": "s",
        "entity_kind": "service", "entity_name": "worker",
    }  # fmt: skip
    return pa.Table.from_pylist([row], SERIES_SCHEMA)


@pytest.mark.parametrize(
    ("metric", "labels", "kind"),
    [
        ("messaging.process.duration_count", {"messaging.destination.name": "jobs"}, "consumes_from"),
        ("messaging_process_duration_seconds_count", {"messaging_destination_name": "jobs"}, "consumes_from"),
        ("messaging.client.sent.messages", {"messaging.destination.name": "jobs"}, "publishes_to"),
        ("messaging.queue.depth", {"messaging.destination.name": "jobs"}, ""),
        ("messaging.process.duration_count", {}, ""),
    ],
)
def test_messages_that_are_taken_or_given_tell_of_their_queue(metric, labels, kind):
    (sighted,) = sighted_in_series(series(metric, labels), 1_000)
    links = [f"{source.text} {how} {target.text}" for source, target, how in sighted.links]

    assert links == ([f"service/worker {kind} queue/jobs"] if kind else [])
