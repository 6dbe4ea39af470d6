"""What is used of a limit, wherever both are told."""

import numpy as np
import pytest

from cerebro.agents.support.fullness import Fullness, fullness_of, words_of
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.watch import admit_series, no_series
from cerebro.spine.telemetry import SampleBatch, series_id
from cerebro.spine.telemetry import no_series as nothing_named


def named(metric, kind="gauge", **labels):
    pairs = tuple(sorted(labels.items()))
    hi, lo = series_id(metric, dict(pairs))
    return SeriesName(hi, lo, metric, pairs, kind, "", "service", "pay")


class Fed:
    """A watch that is fed one look after the other."""

    def __init__(self, *names):
        self.known, self.series, self.at_ms = Fullness(), no_series(), 1_000_000
        admit_series(self.series, names, 100)

    def look(self, *values):
        self.at_ms += 15_000
        hi, lo = (np.array([getattr(name, part) for name, _ in values], np.uint64) for part in ("hi", "lo"))
        readings = np.array([value for _, value in values], float)
        at_ms = np.full(len(values), self.at_ms)
        told = fullness_of(self.known, self.series, SampleBatch(hi, lo, at_ms, readings, nothing_named()))
        return told and (told.series.column("metric").to_pylist(), told.value.tolist())


OPEN, MOST = named("process_open_fds", job="pay"), named("process_max_fds", job="pay")


def test_what_is_used_is_told_as_a_part_of_its_limit_and_named_once():
    fed = Fed(OPEN, MOST)
    assert fed.look((OPEN, 256), (MOST, 1024)) == (["process_open_fds:limit_ratio"], [0.25])
    assert fed.look((OPEN, 512)) == ([], [0.5])


@pytest.mark.parametrize(
    ("used", "limit"),
    [
        (named("db.client.connection.count", state="used"), named("db.client.connection.max")),
        (named("jvm.memory.used", pool="eden"), named("jvm.memory.limit", pool="eden")),
        (named("hikaricp_connections_active"), named("hikaricp_connections_max")),
        (named("jvm.file_descriptor.count"), named("jvm.file_descriptor.limit")),
    ],
)
def test_names_that_runtimes_have(used, limit):
    assert Fed(used, limit).look((limit, 10), (used, 4))[1] == [0.4]


@pytest.mark.parametrize(
    ("used", "limit"),
    [
        (named("db.client.connection.count", state="idle"), named("db.client.connection.max")),
        (named("jvm.memory.used", pool="eden"), named("jvm.memory.limit", pool="old")),
        (named("jobs.count", kind="counter"), named("jobs.max")),
        (named("queue.depth"), named("queue.capacity")),
    ],
)
def test_what_is_no_pair_is_told_by_nobody(used, limit):
    assert Fed(used, limit).look((limit, 10), (used, 4)) is None


def test_a_limit_of_nothing_is_none():
    assert Fed(OPEN, MOST).look((OPEN, 256), (MOST, -1)) is None


def test_what_is_derived_derives_nothing():
    told = named("process_open_fds:limit_ratio")
    assert Fed(told, MOST).look((MOST, 10), (told, 4)) is None
    assert words_of("jobs") is None
