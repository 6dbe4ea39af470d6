"""Small made-up pictures, and diagnoses of them."""

import numpy as np
import pytest

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.picture import NOBODY, Change, Picture, Sign, Tracks
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId

TENANT = TenantId("default")
BEFORE, DURING, STEP_MS = 60, 12, 60_000
ONSET_MS = (BEFORE + 2) * STEP_MS


def key(name):
    return EntityKey("service", name)


@pytest.fixture
def draw():
    """A picture of services; `ill` names what rises, by how much, from which step of the trouble on."""

    def make(series, calls=(), *, ill=(), alarmed=("front",), changes=(), silent=(), signal="", seed=1):
        chance = np.random.default_rng(seed)
        names = sorted({name for name, _ in series} | {n for pair in calls for n in pair} | set(silent) | set(alarmed))
        ill = {(name, metric): (size, since) for name, metric, size, since in ill}
        level = {"requests": 100.0, "failed.share": 0.0}
        rows = []
        for name, metric in series:
            usual = level.get(metric, 10.0)
            noise = 0.0 if metric == "failed.share" else 0.3
            values = usual + chance.normal(0.0, noise, BEFORE + DURING) if noise else np.full(BEFORE + DURING, usual)
            size, since = ill.get((name, metric), (0.0, 0))
            values[BEFORE + since :] += size
            rows.append(values)
        values = np.stack(rows) if rows else np.zeros((0, BEFORE + DURING))
        count = len(rows)
        return Picture(
            entities=tuple(key(name) for name in names),
            relations=tuple(Relation(TENANT, key(a), key(b), "calls") for a, b in calls),
            alarmed=tuple(key(name) for name in alarmed),
            onset_ms=ONSET_MS,
            end_ms=(BEFORE + DURING) * STEP_MS,
            tracks=Tracks(
                entity=np.array([names.index(name) for name, _ in series], np.int32),
                peer=np.full(count, NOBODY, np.int32),
                role=np.array([role_of(metric) for _, metric in series], np.int8),
                signal=tuple(metric for _, metric in series),
                before=values[:, :BEFORE],
                during=values[:, BEFORE:],
                at_ms=np.arange(BEFORE, BEFORE + DURING, dtype=np.int64) * STEP_MS,
                parallel=np.zeros(count, np.bool_),
            ),
            changes=tuple(Change(key(name), ONSET_MS - ago_ms, kind, title) for name, kind, ago_ms, title in changes),
            signs=tuple(Sign(key(name), "level_shift", signal, ONSET_MS, 5.0, "it is slow") for name in alarmed),
        )

    return make
