"""How many spans a second of one core are judged for keeping, and how true the counts of what is kept are.

Made-up requests of eight services: six spans each, 40 operations of which four are rare, one request in 200 fails. They
come in ranges of five seconds at 10,000 spans a second, of which 500 a second may be stored.
"""

from collections.abc import Sequence
from itertools import pairwise
from time import process_time

import numpy as np
import pyarrow as pa

from cerebro.cli.bench.figure import Figure
from cerebro.cli.out import say
from cerebro.kernel.telemetry.sampled import WINDOW_S, Known, choose
from cerebro.spine.telemetry import SPAN_SCHEMA

PER_S, STORED_PER_S = 10_000, 500
SPANS, OPERATIONS, RARE, SERVICES = 6, 36, 4, 8
RANGES = 6
START_NS = 1_795_000_000_000_000_000
FAILING = 1 / 200


def run() -> Sequence[Figure]:
    """Decide on half a minute of spans."""
    ranges = [_requests(number) for number in range(RANGES + 1)]
    known, took_s = Known(), 0.0
    kept: list[pa.Table] = []
    for now, later in pairwise(ranges):
        begun_s = process_time()
        chosen = choose([now], [later], known, STORED_PER_S, frozenset())
        took_s += process_time() - begun_s
        known = chosen.known
        kept += chosen.tables
    whole, stored = pa.concat_tables(ranges[:-1]), pa.concat_tables(kept)
    weight = stored["weight"].to_numpy()
    failed, kept_failed = (int((table["status"].to_numpy() == 2).sum()) for table in (whole, stored))
    say(f"stored {stored.num_rows} of {whole.num_rows} spans; of {failed} that failed {kept_failed}")
    return [
        Figure("trace_spans_sampled_per_core", round(whole.num_rows / took_s), "1/s", PER_S, 10 * PER_S),
        Figure("trace_spans_stored", round(stored.num_rows / (RANGES * WINDOW_S)), "1/s", STORED_PER_S * 1.2, 500),
        Figure("trace_failed_kept", kept_failed / failed, "", 1.0, 1.0),
        Figure("trace_count_error", round(abs(weight.sum() / whole.num_rows - 1), 4), "", 0.1, 0.02),
        Figure("trace_p95_error", round(_tail_error(whole, stored), 4), "", 0.2, 0.05),
    ]


def _requests(number: int) -> pa.Table:
    """Five seconds of requests."""
    chance = np.random.default_rng(number)
    count = round(PER_S * WINDOW_S / SPANS)
    began_ns = START_NS + ((number + chance.random(count)) * WINDOW_S * 1e9).astype(np.int64)
    trace, place = np.repeat(np.arange(count), SPANS), np.tile(np.arange(SPANS), count)
    usual = (chance.integers(0, OPERATIONS // SPANS, count)[trace] * SPANS + place) % OPERATIONS
    rare = (chance.random(count) < 0.002)[trace] & (place == SPANS - 1)
    operation = np.where(rare, OPERATIONS + chance.integers(0, RARE, count)[trace], usual)
    failing = (chance.random(count) < FAILING)[trace] & (place == SPANS - 1)
    texts = ("status_message", "service", "entity_kind", "entity_name", "scope", "events", "links")
    columns: dict[str, object] = {name: ["service" if name == "entity_kind" else ""] * len(trace) for name in texts}
    columns |= {
        "at_ns": began_ns[trace],
        "duration_ns": chance.lognormal(16, 1, len(trace)).astype(np.int64),
        "trace_id": [f"{number:016x}{one:016x}" for one in trace.tolist()],
        "span_id": [f"{number:04x}{one:08x}{k:04x}" for one, k in zip(trace.tolist(), place.tolist(), strict=True)],
        "parent_span_id": [
            f"{number:04x}{one:08x}{k - 1:04x}" if k else ""
            for one, k in zip(trace.tolist(), place.tolist(), strict=True)
        ],
        "name": [f"operation {k}" for k in operation.tolist()],
        "kind": np.full(len(trace), 2),
        "status": np.where(failing, 2, 1),
        "entity_name": [f"service-{k % SERVICES}" for k in operation.tolist()],
        "attributes": [[("http.request.method", "GET"), ("http.route", "/cart")]] * len(trace),
        "resource": [[("service.name", "shop"), ("host.name", "web-1")]] * len(trace),
    }
    return pa.table({name: columns[name] for name in SPAN_SCHEMA.names}, schema=SPAN_SCHEMA)


def _tail_error(whole: pa.Table, stored: pa.Table) -> float:
    """By how much the 95th percentile of durations is missed when it is read from what is stored."""
    truth = float(np.quantile(whole["duration_ns"].to_numpy(), 0.95))
    took, weight = stored["duration_ns"].to_numpy(), stored["weight"].to_numpy()
    order = np.argsort(took)
    reached = np.cumsum(weight[order]) >= 0.95 * weight.sum()
    return abs(float(took[order][np.argmax(reached)]) / truth - 1)
