"""The share of failures and the mean duration, from counters that say it only together."""

import numpy as np
import pytest

from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.ratios import Ratios, derive, enrol, flow_of, frozen, is_failure, place_of, thawed
from cerebro.spine.telemetry import series_id

MINUTE_MS = 60_000
LABELS = {"status": "http.response.status_code", "route": "http.route"}


def named(metric, kind="histogram", unit="s", **labels):
    pairs = tuple(sorted((LABELS.get(name, name), value) for name, value in labels.items()))
    hi, lo = series_id(metric, dict(pairs))
    return SeriesName(hi, lo, metric, pairs, kind, unit, "service", "pay")


OK = named("http.server.request.duration_count", route="/", status="200")
BAD = named("http.server.request.duration_count", route="/", status="500")
SUM = named("http.server.request.duration_sum", route="/", status="200")


CAME = named("jobs_enqueued_total", "counter", "")
WENT = named("jobs_dequeued_total", "counter", "")


class Fed:
    """Groups that are fed one look after the other."""

    def __init__(self, *names):
        self.ratios, self.names, self.now_ms = Ratios(), list(names), 1_000_000

    def look(self, **values):
        """Readings by the name of a constant above; what was told, by metric."""
        self.now_ms += MINUTE_MS
        enrol(self.ratios, self.names)
        rows = [self.names.index(globals()[name]) for name in values]
        told = derive(
            self.ratios,
            np.array(rows, np.int32),
            np.full(len(rows), self.now_ms),
            np.array(list(values.values()), float),
        )
        if told is None:
            return {}
        known = {(n.hi, n.lo): n.metric for pair in self.ratios.names for n in pair if n}
        keys = zip(told.hi.tolist(), told.lo.tolist(), strict=True)
        return {known[key].rpartition(":")[2]: value for key, value in zip(keys, told.value.tolist(), strict=True)}


def test_failures_are_a_share_and_durations_a_mean():
    fed = Fed(OK, BAD, SUM)
    assert fed.look(OK=1000, BAD=10, SUM=50) == {}
    assert fed.look(OK=1080, BAD=30, SUM=60) == {"error_ratio": 0.2, "mean": 0.1}
    assert fed.look(OK=1180, BAD=30, SUM=65) == {"error_ratio": 0.0, "mean": 0.05}


def test_what_comes_in_and_does_not_go_out_is_a_share():
    fed = Fed(CAME, WENT)
    assert fed.look(CAME=1000, WENT=900) == {}
    assert fed.look(CAME=1100, WENT=1000) == {"unserved_ratio": 0.0}
    assert fed.look(CAME=1200, WENT=1025) == {"unserved_ratio": 0.75}
    assert fed.look(CAME=1300, WENT=1300) == {"unserved_ratio": 0.0}


def test_a_counter_of_bytes_or_one_alone_leaves_nothing_undone():
    assert flow_of(named("system.network.io", "counter", "By")) is None
    assert flow_of(named("jobs_enqueued", "gauge", "")) is None
    fed = Fed(CAME)
    assert [fed.look(CAME=each) for each in (0, 100, 200)] == [{}, {}, {}]


def test_the_first_failure_counts_although_its_series_is_new():
    fed = Fed(OK)
    fed.look(OK=1000)
    assert fed.look(OK=1090) == {"error_ratio": 0.0}
    fed.names.append(BAD)
    assert fed.look(OK=1180, BAD=30) == {"error_ratio": 0.25}


def test_a_group_that_is_new_counts_from_what_it_says_and_a_reset_from_nothing():
    fed = Fed(OK, BAD)
    assert fed.look(OK=10**9, BAD=10**8) == {}
    assert fed.look(OK=30, BAD=10) == {"error_ratio": 0.25}


def test_few_requests_are_waited_for():
    fed = Fed(OK, BAD)
    fed.look(OK=0, BAD=0)
    fed.now_ms -= MINUTE_MS - 1000
    assert fed.look(OK=1, BAD=1) == {}
    assert fed.look(OK=3, BAD=1) == {"error_ratio": 0.25}


def test_what_is_late_or_not_a_number_is_passed_over():
    fed = Fed(OK, BAD)
    fed.look(OK=0, BAD=0)
    fed.now_ms -= 2 * MINUTE_MS
    assert fed.look(OK=100, BAD=100) == {}
    fed.now_ms += 2 * MINUTE_MS
    assert fed.look(OK=float("nan"), BAD=50) == {"error_ratio": 1.0}


def test_a_snapshot_in_between_changes_nothing():
    whole, cut = Fed(OK, BAD, SUM), Fed(OK, BAD, SUM)
    for fed in (whole, cut):
        fed.look(OK=100, BAD=1, SUM=9)
        fed.look(OK=190, BAD=11, SUM=12)
    cut.ratios = thawed(cut.names, *frozen(cut.ratios))
    assert whole.look(OK=280, BAD=21, SUM=15) == cut.look(OK=280, BAD=21, SUM=15) == {"error_ratio": 0.1, "mean": 0.03}
    assert thawed(cut.names, b"12345678", b"of another shape").enrolled == 1


@pytest.mark.parametrize(
    ("labels", "failed"),
    [
        ({"code": "500"}, True), ({"code": "404"}, False), ({"status": "error"}, True), ({"status": "ok"}, False),
        ({"error.type": "TimeoutError"}, True), ({"rpc.grpc.status_code": "14"}, True), ({"grpc_code": "5"}, False),
        ({"success": "false"}, True), ({"result": "5xx"}, True), ({"path": "/error"}, False), ({"status": ""}, False),
    ],
)  # fmt: skip
def test_labels_say_whether_it_failed(labels, failed):
    assert is_failure(tuple(labels.items())) is failed


def test_who_is_turned_away_has_failed_and_who_turned_it_away_has_not():
    labels = (("error.type", "429"), ("http.response.status_code", "429"))

    assert is_failure(labels, asked=True)
    assert not is_failure(labels)
    assert not is_failure((("http.response.status_code", "404"),), asked=True)


def test_only_counters_that_say_something_of_outcomes_are_taken_together():
    assert place_of(named("queue.depth", "gauge")) is None
    assert place_of(named("bytes_total", "counter")) is None
    assert place_of(named("http_requests_total", "counter", "", code="500"))[0] == "http_requests"
    assert place_of(named("http.server.request.duration_bucket", le="1")) is None
