"""How fast bodies become columns, on one core, nothing else running."""

from collections.abc import Callable, Mapping
from time import process_time

import numpy as np
from numpy.typing import NDArray

from cerebro.cli.bench import bodies
from cerebro.cli.bench.figure import Figure
from cerebro.intake.decode.columns import Decoded
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_logs import decode_otlp_logs
from cerebro.intake.decode.otlp_metrics import decode_otlp_metrics
from cerebro.intake.decode.otlp_traces import decode_otlp_traces
from cerebro.intake.decode.remote_write import decode_remote_write

SERIES_COUNT, ROW_COUNT = 10_000, 10_000
ROUNDS = 15


def run() -> list[Figure]:
    """Samples, records and spans a second of processor time; the best of some rounds, each on a body of 10,000."""
    remote_write = bodies.remote_write(SERIES_COUNT).body
    points = bodies.otlp_metrics(SERIES_COUNT).body
    histograms = bodies.otlp_metrics(0, SERIES_COUNT // 10).body
    logs, traces = bodies.otlp_logs(ROW_COUNT).body, bodies.otlp_traces(ROW_COUNT).body
    named, named_points, named_histograms, nothing = KnownSeries(), KnownSeries(), KnownSeries(), KnownSeries()
    named.add(*_ids(decode_remote_write(remote_write, named)))
    named_points.add(*_ids(decode_otlp_metrics(points, named_points)))
    named_histograms.add(*_ids(decode_otlp_metrics(histograms, named_histograms)))
    goal, goal_new, goal_rows = 3_000_000.0, 193_000.0, 100_000.0
    measured = [
        ("decode_remote_write", lambda: len(decode_remote_write(remote_write, named).hi), 1_350_000.0, goal),
        ("decode_remote_write_all_new", lambda: _name_all(remote_write, nothing), 100_000.0, goal_new),
        ("decode_otlp_points", lambda: len(decode_otlp_metrics(points, named_points).hi), 1_350_000.0, goal),
        (
            "decode_otlp_histograms",
            lambda: len(decode_otlp_metrics(histograms, named_histograms).hi),
            1_350_000.0,
            goal,
        ),
        ("decode_otlp_logs", lambda: len(decode_otlp_logs(logs, _entity_of)), 20_000.0, goal_rows),
        ("decode_otlp_traces", lambda: len(decode_otlp_traces(traces, _entity_of)), 20_000.0, goal_rows),
    ]
    return [Figure(name, round(_rate(work)), "1/s", floor, best) for name, work, floor, best in measured]


def _rate(work: Callable[[], int]) -> float:
    best = 0.0
    for _ in range(ROUNDS):
        begun = process_time()
        count = work()
        best = max(best, count / max(process_time() - begun, 1e-9))
    return best


def _ids(decoded: Decoded) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return decoded.ids(decoded.new)


def _name_all(body: bytes, known: KnownSeries) -> int:
    decoded = decode_remote_write(body, known)
    return len(decoded.name(decoded.new, _entity_of))


def _entity_of(labels: Mapping[str, str]) -> tuple[str, str]:
    return "service", labels.get("service.name") or labels.get("job") or "unknown"
