"""A change just before names a cause; the longer before it was, the less."""

import numpy as np
import pytest

from cerebro.casework.cause.changed import CHANGE_WITHIN_MS, FADES_MS, GRACE_MS
from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.fuse import fuse
from cerebro.casework.cause.vocabulary import CHANGED, CLEAR

SERIES = [("front", "duration.mean"), ("cart", "duration.mean"), ("cart", "process.cpu.utilization")]
ILL = (("front", "duration.mean", 30.0, 2), ("cart", "duration.mean", 30.0, 2), ("cart", SERIES[2][1], 30.0, 2))
MINUTE_MS = 60_000
LEAKS_FOR_MS = 6 * MINUTE_MS  # until a slow leak is felt


def busy(draw, *changes):
    """The cart burns its processor, after these changes of it: (kind, how long before the onset, title)."""
    return draw(SERIES, (("front", "cart"),), ill=ILL, changes=[("cart", *change) for change in changes])


def first(picture):
    return diagnose(picture).causes[0]


def changed(cause):
    """The marks that speak of a change, with their nats."""
    return {mark.word: mark.nats for mark in cause.marks if mark.word in CHANGED.values()}


@pytest.mark.parametrize(
    ("ago_ms", "nats"), [(0, 2 * CLEAR), (GRACE_MS // 2, 2 * CLEAR), (LEAKS_FOR_MS, CLEAR), (FADES_MS - 1, CLEAR)]
)
def test_a_change_shortly_before_names_the_cause_outright(draw, ago_ms, nats):
    cause = first(busy(draw, ("deploy", ago_ms, "cart 1.5 deployed")))

    assert (cause.entity.name, cause.kind) == ("cart", "deploy")
    assert changed(cause)["deployed"] > nats * 0.95


@pytest.mark.parametrize("ago_ms", [FADES_MS + MINUTE_MS, 25 * MINUTE_MS, CHANGE_WITHIN_MS])
def test_a_change_long_before_names_nothing_and_is_told(draw, ago_ms):
    cause = first(busy(draw, ("deploy", ago_ms, "cart 1.5 deployed")))

    assert (cause.entity.name, cause.kind) == ("cart", "resource")
    assert not changed(cause)
    assert "cart 1.5 deployed" in cause.explanation


def test_the_longer_before_the_less_a_change_accuses(draw):
    def more(ago_ms):
        picture = busy(draw, ("deploy", ago_ms, "cart 1.5 deployed"))
        fused = fuse(picture, clues(picture))
        return (fused.score - fused.unchanged).max()

    assert more(0) == pytest.approx(1.5)
    assert more(0) > more(LEAKS_FOR_MS) > more(25 * MINUTE_MS) > 0
    assert more(25 * MINUTE_MS) < 0.3


def leaking(draw, *changes):
    """The memory of the cart fills for minutes before anyone suffers."""
    series = [("front", "duration.mean"), ("cart", "jvm.memory.used:limit_ratio"), ("cart", "duration.mean")]
    picture = draw(series, (("front", "cart"),), ill=ILL[:2], changes=[("cart", *change) for change in changes])
    tracks = picture.tracks
    tracks.before[1], tracks.during[1] = 0.4, np.linspace(0.5, 0.97, tracks.during.shape[1])
    return picture


def test_a_slow_leak_is_laid_on_the_deploy_that_brought_it(draw):
    cause = first(leaking(draw, ("deploy", LEAKS_FOR_MS, "cart 1.5 deployed")))

    assert (cause.entity.name, cause.kind) == ("cart", "deploy")
    assert {mark.word for mark in cause.marks} >= {"filling", "deployed"}
    assert changed(cause)["deployed"] > CLEAR


def test_what_is_named_outright_is_so_whatever_was_done_long_before(draw):
    alone, long_after = first(leaking(draw)), first(leaking(draw, ("config", 25 * MINUTE_MS, "cart reconfigured")))

    assert long_after.share >= alone.share
    assert (long_after.kind, long_after.marks) == (alone.kind, alone.marks)


@pytest.mark.parametrize(("after_ms", "kind"), [(GRACE_MS, "deploy"), (GRACE_MS + 1, "resource"), (50_000, "resource")])
def test_what_is_deployed_once_the_trouble_is_there_began_nothing(draw, after_ms, kind):
    cause = first(busy(draw, ("deploy", -after_ms, "hot-fix")))

    assert (cause.entity.name, cause.kind) == ("cart", kind)


def test_what_is_rolled_back_within_the_first_minute_is_no_reason(draw):
    deployed, back = ("deploy", MINUTE_MS, "cart 1.5 deployed"), ("deploy", -50_000, "cart rolled back to 1.4")

    assert first(busy(draw, deployed, back)).kind == "resource"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("flag", 90_000, "cart: bundles turned on")], {"flagged"}),
        ([("flag", 90_000, "cart: bundles turned on"), ("flag", 60_000, "cart: bundles turned off")], set()),
        ([("flag", 90_000, "cart: bundles turned on"), ("flag", 60_000, "cart: notes turned off")], {"flagged"}),
        ([("feature_flag", 90_000, "bundles enabled"), ("flag", -50_000, "bundles disabled")], set()),
        ([("flag", 60_000, "cart: bundles turned off")], set()),
        ([("flag", 60_000, "cart: bundles turned off"), ("flag", 30_000, "cart: bundles turned on")], {"flagged"}),
        ([("deploy", 90_000, "cart 1.5 deployed"), ("flag", 60_000, "cart: bundles turned off")], {"deployed"}),
        ([("config", 60_000, "cart: compression turned off")], {"configured"}),  # a setting may well be a reason
    ],
)
def test_a_flag_that_was_turned_off_ends_what_turning_it_on_could_do(draw, changes, words):
    assert changed(first(busy(draw, *changes))).keys() == words
