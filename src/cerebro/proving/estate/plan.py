"""When what breaks in a data set: faults one after another, harmless changes all the time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cerebro.proving.estate.effects import EFFECTS
from cerebro.proving.faults import ALL
from cerebro.proving.model import CONTROL

QUIET_SHARE = 0.08  # of the whole at its start, in which nothing breaks: something to learn from
CONTROL_SHARE = 0.15  # of the planned faults that are none
FAULT_S_MIN, FAULT_S_MAX = 600.0, 2400.0
DEPLOYS_PER_DAY = 0.2  # of each service, harmless


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come: its kind, its time from the start, and the seed of its target and strength."""

    kind: str
    start_s: float
    end_s: float
    seed: int


def plan(fault_count: int, duration_s: float, service_count: int, seed: int) -> Sequence[Planned]:
    """Faults spread over the time, none before the last has ended; every kind comes up before one comes twice."""
    chance = np.random.default_rng([seed, 7])
    real = [kind for kind in EFFECTS if ALL[kind].cause_kind != CONTROL]
    controls = [kind for kind in EFFECTS if ALL[kind].cause_kind == CONTROL]
    planned = []
    begin_s = QUIET_SHARE * duration_s
    slot_s = (duration_s - begin_s) / max(fault_count, 1)
    order = [real[k] for _ in range(fault_count // len(real) + 1) for k in chance.permutation(len(real))]
    for number in range(fault_count):
        kind = str(chance.choice(controls)) if chance.random() < CONTROL_SHARE else order[number]
        lasts_s = min(float(chance.uniform(FAULT_S_MIN, FAULT_S_MAX)), 0.5 * slot_s)
        start_s = begin_s + slot_s * number + float(chance.uniform(0.05, 0.4)) * slot_s
        planned.append(Planned(kind, start_s, start_s + lasts_s, number))
    deploy_count = int(chance.poisson(DEPLOYS_PER_DAY * service_count * duration_s / 86_400.0))
    for number in range(deploy_count):
        start_s = float(chance.uniform(0.0, 0.95 * duration_s))
        planned.append(Planned("harmless_deploy", start_s, start_s + 3600.0, 1_000_000 + number))
    return sorted(planned, key=lambda each: (each.start_s, each.seed))
