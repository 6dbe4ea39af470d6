"""How much faster than life the simulated estate runs, with every sample, log line and sampled span made."""

from time import perf_counter

from cerebro.cli.bench.figure import Figure
from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.estate import Estate

SERVICES, INTERVAL_S, TICKS = 30, 15.0, 2880  # half a day at a time
FLOOR, GOAL = 500.0, 5000.0


def run(seed: int = 3, round_count: int = 3) -> list[Figure]:
    """Play half a day a few times; the first round compiles and is not counted."""
    estate = Estate(SERVICES, seed, VirtualClock(), interval_s=INTERVAL_S)
    estate.step(1)
    begun, sample_count = perf_counter(), 0
    for _ in range(round_count):
        sample_count += len(estate.step(TICKS).samples)
    took_s = perf_counter() - begun
    return [
        Figure("simulator_times_real", round(round_count * TICKS * INTERVAL_S / took_s), "x", FLOOR, GOAL),
        Figure("simulator_samples", round(sample_count / took_s), "1/s", 20_000.0, 200_000.0),
    ]
