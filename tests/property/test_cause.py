"""Laws of a diagnosis: order means nothing, and shares are shares."""

import random
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.picture import NOBODY, Change, Picture, Sign, Tracks
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId

COUNT, METRICS = 6, ("duration.mean", "cpu.utilization", "failed.share")


def keys():
    return [EntityKey("service", f"s{k}") for k in range(COUNT)]


def drawn(seed, edges, order):
    """One picture; `order` says in which order its entities, rows and relations stand."""
    chance = np.random.default_rng(seed)
    values = chance.normal(10.0, 1.0, (COUNT, len(METRICS), 50))
    ill = chance.integers(0, COUNT, 2)
    values[ill, :, 40:] += chance.uniform(0, 40, (2, len(METRICS), 1))
    names = keys()
    shuffled = [names[k] for k in order]
    rows = [(k, m) for k in order for m in range(len(METRICS))]
    random.Random(seed).shuffle(rows)
    count = len(rows)
    relations = [Relation(TenantId("t"), names[a], names[b], "calls") for a, b in edges]
    changes = [Change(names[int(ill[0])], 38_000, "deploy", "r1"), Change(names[0], 38_000, "config", "c1")]
    return Picture(
        entities=tuple(shuffled),
        relations=tuple(relations if order[0] < order[1] else reversed(relations)),
        alarmed=(names[0],),
        onset_ms=40_000,
        end_ms=50_000,
        tracks=Tracks(
            np.array([order.index(k) for k, _ in rows], np.int32),
            np.full(count, NOBODY, np.int32),
            np.array([(1, 0, 2)[m] for _, m in rows], np.int8),
            tuple(METRICS[m] for _, m in rows),
            np.stack([values[k, m, :40] for k, m in rows]),
            np.stack([values[k, m, 40:] for k, m in rows]),
            np.arange(40, 50, dtype=np.int64) * 1000,
            np.zeros(count, np.bool_),
        ),
        changes=tuple(changes if order[0] < order[1] else reversed(changes)),
        signs=(Sign(names[0], "level_shift", "duration.mean", 40_000, 3.0, "slow"),),
    )


def said(picture):
    told = diagnose(picture)
    causes = [(c.entity, c.kind, round(c.share, 6), c.rank, c.explanation) for c in told.causes]
    return causes, sorted((end.entity, end.why) for end in told.dead_ends)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=12),
    st.permutations(range(COUNT)),
)
def test_the_order_of_things_never_changes_the_result(seed, edges, order):
    assert said(drawn(seed, edges, list(range(COUNT)))) == said(drawn(seed, edges, list(order)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(allow_nan=True, allow_infinity=True))
def test_shares_are_shares_whatever_came(seed, wild):
    picture = drawn(seed, [(0, 1), (1, 2), (2, 0)], list(range(COUNT)))
    during = picture.tracks.during.copy()
    during[seed % len(during), seed % during.shape[1]] = wild

    causes = diagnose(replace(picture, tracks=replace(picture.tracks, during=during))).causes

    assert all(0.0 <= cause.share <= 1.0 for cause in causes)
    assert sum(cause.share for cause in causes) <= 1.0 + 1e-9
