"""How long a diagnosis of a large neighbourhood takes: 500 entities with 20 metrics each."""

from time import perf_counter

import numpy as np

from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.picture import NOBODY, Picture, Role, Tracks
from cerebro.cli.bench.cause_case import calls, service
from cerebro.cli.bench.figure import Figure

BEFORE, DURING = 120, 40  # steps
FLOOR_S, GOAL_S = 5.0, 2.0


def run(entity_count: int = 500, metric_count: int = 20, seed: int = 1) -> list[Figure]:
    """The middle of three diagnoses of a made-up picture: a tree of calls, one leaf of it slow."""
    picture = made_up(entity_count, metric_count, seed)
    seconds = []
    for _ in range(3):
        begun = perf_counter()
        diagnose(picture)
        seconds.append(perf_counter() - begun)
    return [Figure("cause seconds, 500 entities x 20 metrics", round(sorted(seconds)[1], 3), "s", FLOOR_S, GOAL_S)]


def made_up(entity_count: int, metric_count: int, seed: int) -> Picture:
    """Noise everywhere, and a slowness that travels from the last entity to the first."""
    chance = np.random.default_rng(seed)
    count = entity_count * metric_count
    before = chance.normal(10.0, 1.0, (count, BEFORE))
    during = chance.normal(10.0, 1.0, (count, DURING))
    names = [f"service-{k:03d}" for k in range(entity_count)]
    pairs = [(names[(k - 1) // 3], names[k]) for k in range(1, entity_count)]
    ill = entity_count - 1
    while ill:
        during[ill * metric_count, DURING // 2 :] += 20.0
        ill = (ill - 1) // 3
    roles = [Role.LATENCY, Role.ERRORS, Role.TRAFFIC] + [Role.RESOURCE] * (metric_count - 3)
    return Picture(
        entities=tuple(service(name) for name in names),
        relations=calls(pairs),
        alarmed=(service(names[0]),),
        onset_ms=BEFORE * 60_000,
        end_ms=(BEFORE + DURING) * 60_000,
        tracks=Tracks(
            entity=np.repeat(np.arange(entity_count, dtype=np.int32), metric_count),
            peer=np.full(count, NOBODY, np.int32),
            role=np.tile(np.array(roles, np.int8), entity_count),
            signal=tuple(f"metric-{k}" for _ in range(entity_count) for k in range(metric_count)),
            before=before,
            during=during,
            at_ms=np.arange(DURING, dtype=np.int64) * 60_000 + BEFORE * 60_000,
            parallel=np.zeros(count, np.bool_),
        ),
    )
