"""VUS-PR against its definition, spelt out slowly."""

import numpy as np
import pytest

from cerebro.algorithms.volume import THRESHOLD_COUNT, ranges_of, vus_pr


def widened(label, ranges, window):
    wide = label.astype(float)
    for start, end in ranges:
        after = np.arange(end + 1, min(end + window // 2 + 1, len(label)))
        wide[after] += np.sqrt(1 - (after - end) / window)
        before = np.arange(max(start - window // 2, 0), start)
        wide[before] += np.sqrt(1 - (start - before) / window)
    return np.minimum(wide, 1.0)


def joined(ranges, half, count):
    whole = [[max(ranges[0][0] - half, 0), ranges[0][1] + half]]
    for start, end in ranges[1:]:
        if whole[-1][1] < start - half:
            whole.append([start - half, end + half])
        else:
            whole[-1][1] = end + half
    return [(start, min(end, count - 1)) for start, end in whole]


def slow_vus_pr(label, score, window):
    ranges, down, areas = ranges_of(label), -np.sort(-score), []
    core = label > 0
    for wide in range(window + 1):
        weight = widened(label, ranges, wide)
        recalls, precisions = [0.0], []
        for at in np.linspace(0, len(score) - 1, THRESHOLD_COUNT).astype(int):
            said = score >= down[at]
            true = (weight * said).sum()
            labels = np.where(core, 1.0, weight * said).sum()
            found = np.mean([said[start : end + 1].any() for start, end in joined(ranges, wide // 2, len(label))])
            recalls.append(min(true / ((label.sum() + labels) / 2), 1.0) * found)
            precisions.append(true / said.sum())
        areas.append(float(np.dot(np.diff(recalls), precisions)))
    return np.mean(areas)


@pytest.mark.parametrize("rounded", [False, True])
def test_it_is_the_published_definition(rounded):
    chance = np.random.default_rng(3)
    label = np.zeros(500)
    for _ in range(4):
        start = chance.integers(30, 460)
        label[start : start + chance.integers(1, 20)] = 1
    score = chance.normal(size=500) + 2.0 * label
    score = np.round(score) if rounded else score

    assert vus_pr(label, score, 30) == pytest.approx(slow_vus_pr(label, score, 30), abs=1e-12)


def test_a_random_score_reaches_about_the_share_of_labels():
    chance = np.random.default_rng(4)
    label = (np.arange(20_000) % 1000 < 50).astype(float)

    assert vus_pr(label, chance.random(20_000), 20) == pytest.approx(0.06, abs=0.03)
