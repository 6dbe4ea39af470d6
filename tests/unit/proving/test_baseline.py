"""Alert rules as people have them: thresholds held for a while, over a window."""

import numpy as np
import pyarrow as pa

from cerebro.proving.baseline import AlertRules, quantile
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, no_series

STEP_MS = 15_000
BOUNDS = ("0.1", "1", "+Inf")
DURATION = "http.server.request.duration"


def batch(step, values):
    """One look at a service: failed, served, its buckets, its CPU."""
    names = [(f"{DURATION}_count", {"error.type": "500"}), (f"{DURATION}_count", {})]
    names += [(f"{DURATION}_bucket", {"le": bound}) for bound in BOUNDS] + [("process.cpu.utilization", {})]
    lo = np.arange(len(names), dtype=np.uint64)
    rows = [(1, int(k), m, sorted(labels.items()), "counter", "", "service", "cart") for k, (m, labels) in
            zip(lo, names, strict=True)]  # fmt: skip
    columns = [pa.array(column, f.type) for column, f in zip(zip(*rows, strict=True), SERIES_SCHEMA, strict=True)]
    series = pa.Table.from_arrays(columns, schema=SERIES_SCHEMA) if step == 0 else no_series()
    at_ms = np.full(len(lo), step * STEP_MS, np.int64)
    return SampleBatch(np.ones(len(lo), np.uint64), lo, at_ms, np.array(values, np.float64), series)


async def alerts(values_of, steps=60):
    rules = AlertRules()
    for step in range(steps):
        rules.take(batch(step, values_of(step)))
    return await rules.seen(0)


async def test_quiet_fires_nothing():
    assert not (await alerts(lambda step: [step, 100 * step, 90 * step, 100 * step, 100 * step, 0.5])).cases


async def test_errors_fire_after_they_held_and_clear_after_they_ended():
    """A tenth of the requests fails between steps 20 and 40."""

    def values(step):
        failed = 10 * max(0, min(step, 40) - 20)
        return [failed, 100 * step, 90 * step, 100 * step, 100 * step, 0.5]

    (case,) = (await alerts(values)).cases
    fired = case.opened_ms / STEP_MS

    assert case.title == "More than 5 % of the requests of service/cart fail"
    assert 28 <= fired <= 36  # half of the window, then held for two minutes
    assert 40 <= case.resolved_ms / STEP_MS <= 49


async def test_a_spike_of_cpu_is_no_alert_and_a_plateau_is():
    def values(step):
        return [0, 0, 0, 0, 0, 0.97 if step in (15, 16) or step >= 30 else 0.2]

    (case,) = (await alerts(values)).cases

    assert case.opened_ms == 38 * STEP_MS


def test_the_quantile_is_that_of_prometheus():
    bounds = np.array([0.1, 1.0, np.inf])
    buckets = np.array([[0.0, 100.0, 100.0], [100.0, 100.0, 100.0], [0.0, 0.0, 10.0], [0.0, 0.0, 0.0]])

    assert quantile(buckets, bounds, 0.95).round(4).tolist() == [0.955, 0.095, 1.0, 0.0]
