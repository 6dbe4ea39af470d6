"""What lines say is a claim, until something that is measured bears it out."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.asked import Answered
from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.edges import measured, told
from cerebro.casework.cause.fuse import fuse
from cerebro.casework.cause.kinds import kind_of
from cerebro.casework.cause.marks import marks_of
from cerebro.casework.cause.picture import NOBODY, Calls, Tallies
from cerebro.casework.cause.testimony import believed
from cerebro.casework.cause.view import View
from cerebro.spine.cases import Mark
from cerebro.spine.entities import EntityKey

FRONT, STORE = 0, 1
WELL, FAILING, SLOW = Calls(False, False, True), Calls(True, False, False), Calls(False, True, False)
IDLE, CEASED = Calls(False, False, False), Calls(False, False, False, ceased=True)


def saying(speaker, peer, word):
    """A fifth of the speaker's lines say so now, and none before."""
    kind = "said" if peer == NOBODY else "blames"
    counts = (np.array([count]) for count in (0.0, 1000.0, 200.0, 1000.0))
    one = (np.array([speaker], np.int32), np.array([peer], np.int32), (kind,), (word,), np.array([17], np.int8))
    return Tallies(*one, *counts)


def seen(picture):
    found = clues(picture)
    return View(picture, found, fuse(picture, found))


def claims(picture, entity):
    """Each mark of the entity, and whether it is only claimed."""
    return {mark.word: mark.claimed for mark in marks_of(seen(picture), entity)}


@pytest.fixture
def picture(draw):
    """Front calls the store, and its users wait."""
    series = [("front", "duration.mean"), ("front", "queue.redelivered")]
    found = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    found.tracks.before[1] = found.tracks.during[1] = 0.0
    return found


@pytest.mark.parametrize(("redelivered", "claimed"), [(0.0, True), (5.0, False)])
def test_what_a_thing_says_of_itself_takes_a_gauge_of_the_same(picture, redelivered, claimed):
    picture.tracks.during[1] = redelivered

    assert claims(replace(picture, tallies=saying(FRONT, NOBODY, "poison")), FRONT)["poison"] is claimed


@pytest.mark.parametrize(
    ("word", "calls", "own", "claimed"),
    [
        ("denied", FAILING, WELL, False),
        ("denied", SLOW, WELL, True),  # who is turned away fails
        ("locked", SLOW, WELL, False),  # and who waits for a lock waits
        ("denied", IDLE, FAILING, True),
        ("denied", CEASED, FAILING, False),  # its users are told that it cannot
        ("denied", CEASED, IDLE, True),  # it hangs, and calls nobody
        ("late", IDLE, FAILING, True),
    ],
)
def test_what_is_said_of_another_takes_calls_that_suffer(picture, word, calls, own, claimed):
    edges = {(FRONT, STORE): calls, (FRONT, NOBODY): own}

    assert claims(replace(picture, tallies=saying(FRONT, STORE, word), edges=edges), STORE)[word] is claimed


@pytest.mark.parametrize(("calls", "claimed"), [(SLOW, False), (FAILING, False), (WELL, True)])
def test_what_a_store_says_of_its_locks_is_borne_out_by_those_who_wait(picture, calls, claimed):
    edges = {(FRONT, STORE): calls}

    assert claims(replace(picture, tallies=saying(STORE, NOBODY, "locked"), edges=edges), STORE)["locked"] is claimed


@pytest.mark.parametrize(("signal", "claimed"), [("queue.redelivered", True), ("postgresql.sessions.waiting", False)])
def test_calls_that_suffer_do_not_bear_out_a_word_that_may_be_old(picture, signal, claimed):
    """Who says at any time that it waited for a lock is slow for whatever reason its store is slow; a gauge tells."""
    words = saying(FRONT, STORE, "locked")
    words.of_before[:] = 0.0
    picture.tracks.entity[1], picture.tracks.during[1] = STORE, 5.0
    tracks = replace(picture.tracks, signal=("duration.mean", signal))
    ill = replace(picture, tracks=tracks, tallies=words, edges={(FRONT, STORE): SLOW})

    assert claims(ill, STORE)["locked"] is claimed


def test_what_any_trouble_looks_like_is_heard_though_it_may_have_been_said_before(picture):
    words = saying(FRONT, STORE, "late")
    words.of_before[:] = 0.0

    assert claims(replace(picture, tallies=words, edges={(FRONT, STORE): SLOW}), STORE)["late"] is False


def test_of_whom_nothing_is_measured_a_line_is_a_claim(picture):
    assert claims(replace(picture, tallies=saying(FRONT, STORE, "untrusted")), STORE) == {"untrusted": True}


@pytest.mark.parametrize(
    ("edges", "kept"),
    [
        ({}, True),
        ({(FRONT, STORE): WELL}, False),
        ({(FRONT, STORE): WELL, (2, STORE): FAILING}, False),  # its own calls decide
        ({(FRONT, STORE): FAILING, (2, STORE): WELL}, True),
        ({(FRONT, STORE): IDLE, (2, STORE): WELL}, True),
        ({(2, STORE): WELL}, False),  # it was never seen to call it
        ({(2, STORE): WELL, (3, STORE): SLOW}, True),
        ({(2, STORE): IDLE}, True),
    ],
)
def test_lines_accuse_nobody_whose_calls_are_measured_to_be_well(edges, kept):
    assert (len(believed(saying(FRONT, STORE, "untrusted"), edges)) == 1) is kept


def test_what_things_say_of_themselves_is_heard_whatever_their_calls():
    assert len(believed(saying(FRONT, NOBODY, "no_space"), {(FRONT, NOBODY): WELL})) == 1


def test_a_claim_tells_no_kind(picture):
    view = seen(picture)

    assert kind_of(view, FRONT, [], [Mark("no_space", 9.0)]) == "resource"
    assert kind_of(view, FRONT, [], [Mark("untrusted", 9.0, claimed=True)]) == kind_of(view, FRONT, [], [])


def answered(count, failed, spent):
    found = Answered()
    found.parts = {"count": count, "sum": spent} | ({} if failed is None else {"failed": failed})
    return found


@pytest.mark.parametrize(
    ("count", "failed", "mean", "expected"),
    [
        ([100] * 12, None, [0.1] * 12, WELL),  # of who never failed nothing is told of failures
        ([100] * 12, [0] * 10 + [30, 30], [0.1] * 12, FAILING),
        ([1] * 12, [0] * 10 + [1, 1], [0.1] * 12, FAILING),
        ([100] * 12, [0] * 8 + [30] + [0] * 3, [0.1] * 12, IDLE),  # it did suffer: neither ill now nor well
        ([100] * 12, None, [0.1] * 10 + [0.3, 0.3], SLOW),
        ([100] * 8 + [0] * 4, None, [0.1] * 12, CEASED),
        ([0] * 12, None, [0.1] * 12, IDLE),
    ],
)
def test_calls_are_judged_by_their_caller_against_what_is_usual(count, failed, mean, expected):
    count, pair = np.array(count, float), (EntityKey("service", "front"), EntityKey("service", "store"))
    failed = None if failed is None else np.array(failed, float)

    assert measured({pair: answered(count, failed, count * np.array(mean))}, 8) == {pair: expected}


@pytest.mark.parametrize(
    ("before", "during", "failing", "well"),
    [((0, 100), (30, 100), True, False), ((0, 100), (2, 100), False, True), ((0, 0), (0, 5), False, False)],
)
def test_calls_that_are_told_one_by_one_take_some_before_they_say_anything(before, during, failing, well):
    found = told(before, during)

    assert (found.failing, found.well) == (failing, well)
