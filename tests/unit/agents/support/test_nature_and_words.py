"""How series are read and spoken of."""

import numpy as np
import pytest

from cerebro.agents.support.band import within
from cerebro.agents.support.model import Reading, blank_rows
from cerebro.agents.support.nature import (
    BYTES,
    COUNTS,
    FAULTS,
    PERCENT,
    SECONDS,
    SHARE,
    UNKNOWN,
    kind_of,
    nature_of,
    reading_of,
)  # fmt: skip
from cerebro.agents.support.watch import start_row
from cerebro.agents.support.words import amount, subject_of


@pytest.mark.parametrize(
    ("metric", "type", "unit", "reading", "kind"),
    [
        ("system.cpu.busy", "gauge", "1", Reading.VALUE, SHARE),
        ("system.network.io", "counter", "By", Reading.RATE, BYTES),
        ("system.network.errors", "counter", "{error}", Reading.RATE, FAULTS),
        ("system.linux.psi.time", "counter", "s", Reading.RATE, SHARE),
        ("process_resident_memory_bytes", "unknown", "", Reading.VALUE, BYTES),
        ("http_requests_total", "unknown", "", Reading.RATE, COUNTS),
        ("http_request_duration_seconds", "gauge", "", Reading.VALUE, SECONDS),
        ("latency_seconds_bucket", "histogram", "", Reading.RATE, COUNTS),
        ("node_load1", "gauge", "", Reading.VALUE, UNKNOWN),
        ("disk_used_percent", "gauge", "", Reading.VALUE, PERCENT),
        ("up", "gauge", "", Reading.ANSWER, UNKNOWN),
        ("queue.depth", "delta", "{item}", Reading.VALUE, COUNTS),
    ],
)
def test_the_nature_of_a_series_is_in_its_name_type_and_unit(name_of, metric, type, unit, reading, kind):
    name = name_of(metric=metric, type=type, unit=unit)

    assert reading_of(name) is reading
    assert kind_of(name, reading) == kind


@pytest.mark.parametrize(
    ("metric", "type", "unit", "seen", "told", "shown"),
    [
        ("wait_seconds_total", "counter", "s", [0.0, 0.2], -0.0051, 0.0),
        ("queue.depth", "gauge", "{item}", [4.0], -2.0, 0.0),
        ("system.memory.usage", "gauge", "By", [4.0], -2.0, 0.0),
        ("system.cpu.busy", "gauge", "1", [0.9], 1.02, 1.0),
        ("process.cpu.utilization", "gauge", "1", [1.7], 1.68, 1.68),  # two cores: it was seen there
        ("disk_used_percent", "gauge", "", [97.0], 101.0, 100.0),
        ("clock.offset", "gauge", "s", [-0.3, 0.1], -0.2, -0.2),
        ("temperature", "gauge", "", [1.0], -3.0, -3.0),
    ],
)
def test_what_is_told_as_expected_is_what_the_series_can_take(name_of, metric, type, unit, seen, told, shown):
    rows = blank_rows(1)
    start_row(rows, 0, name_of(metric=metric, type=type, unit=unit))

    clipped = within(rows[0], np.array([told, np.nan], np.float32), np.array([*seen, np.nan], np.float32))

    assert clipped[0] == pytest.approx(shown)
    assert np.isnan(clipped[1])


def test_a_unit_moves_the_bounds_with_it(name_of):
    """Ten milliseconds matter, written as 10 ms or as 0.01 s."""
    seconds, millis = (nature_of(name_of(metric="wait", type="gauge", unit=unit)) for unit in ("s", "ms"))

    assert millis.change_min == pytest.approx(1000 * seconds.change_min)
    assert millis.offset == pytest.approx(1000 * seconds.offset)
    assert nature_of(name_of(metric="used", unit="GiBy")).offset == pytest.approx(4096 / 2**30)


def test_what_people_are_paged_for_has_more_of_the_budget(name_of):
    host = nature_of(name_of()).weight
    core = nature_of(name_of(labels=(("cpu.logical_number", "3"),))).weight
    process = nature_of(name_of(metric="process.cpu.utilization", kind="process")).weight

    assert host == 20.0
    assert core == process == 0.3


@pytest.mark.parametrize(
    ("value", "metric", "type", "unit", "said"),
    [
        (0.9712, "system.cpu.busy", "gauge", "1", "97.1 %"),
        (3.5 * 2**20, "system.network.io", "counter", "By", "3.5 MiB/s"),
        (0.0321, "http.server.duration", "gauge", "s", "32.1 ms"),
        (2.5, "http.server.duration", "gauge", "s", "2.5 s"),
        (1250.0, "system.process.created", "counter", "{process}", "1.2 k process/s"),
        (12.0, "node_load1", "gauge", "", "12"),
        (float("nan"), "node_load1", "gauge", "", "no number"),
    ],
)
def test_amounts_are_said_with_their_unit(name_of, value, metric, type, unit, said):
    assert amount(value, name_of(metric=metric, type=type, unit=unit)) == said


def test_the_subject_names_what_tells_it_apart_and_not_the_host(name_of):
    labels = (("disk.io.direction", "read"), ("host.name", "web-7"), ("system.device", "sda"))

    assert subject_of(name_of(metric="system.disk.io", labels=labels)) == "disk traffic (read, sda)"
