"""What lines say is a claim, until something that is measured bears it out."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.fuse import fuse
from cerebro.casework.cause.homemade import GIVEN_UP
from cerebro.casework.cause.marks import marks_of
from cerebro.casework.cause.picture import NOBODY, Tallies
from cerebro.casework.cause.view import View

FRONT, STORE = 0, 1


def saying(picture, speaker, peer, word):
    """The picture with a fifth of the speaker's lines saying so now, and none before."""
    kind = "said" if peer == NOBODY else "blames"
    counts = (np.array([count]) for count in (0.0, 1000.0, 200.0, 1000.0))
    one = (np.array([speaker], np.int32), np.array([peer], np.int32), (kind,), (word,), np.array([17], np.int8))
    return replace(picture, tallies=Tallies(*one, *counts))


def claims(picture, entity):
    """Each mark of the entity, and whether it is only claimed."""
    found = clues(picture)
    return {mark.word: mark.claimed for mark in marks_of(View(picture, found, fuse(picture, found)), entity)}


@pytest.mark.parametrize(("redelivered", "claimed"), [(0.0, True), (5.0, False)])
def test_what_a_thing_says_of_itself_takes_a_gauge_of_the_same(draw, redelivered, claimed):
    series = [("front", "duration.mean"), ("front", "queue.redelivered")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    picture.tracks.before[1], picture.tracks.during[1] = 0.0, redelivered

    assert claims(saying(picture, FRONT, NOBODY, "poison"), FRONT)["poison"] is claimed


@pytest.mark.parametrize(
    ("signal", "then", "now", "claimed"),
    [
        ("failed.share", 0.0, 0.0, True),
        ("failed.share", 0.0, 30.0, False),
        ("calls.lost.share", 0.0, 40.0, False),
        ("duration.mean", 0.1, 0.11, True),
        ("duration.mean", 0.1, 0.3, False),
    ],
)
def test_what_is_said_of_another_takes_calls_that_suffer(draw, signal, then, now, claimed):
    series = [("front", "duration.mean"), ("store", signal)]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    picture.tracks.before[1], picture.tracks.during[1] = then, now

    assert claims(saying(picture, FRONT, STORE, "refused"), STORE)["refused"] is claimed


@pytest.mark.parametrize(("failing", "gave_up", "heard"), [(0.0, 0.0, False), (30.0, 0.0, True), (0.0, 30.0, True)])
def test_lines_accuse_nobody_whom_all_callers_measure_to_be_well(draw, failing, gave_up, heard):
    """What a caller gave up itself is a failing call, too, whoever's doing it is."""
    series = [("front", "duration.mean"), ("front", GIVEN_UP), ("store", "failed.share")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    picture.tracks.peer[1] = STORE
    picture.tracks.before[1:], picture.tracks.during[1], picture.tracks.during[2] = 0.0, gave_up, failing

    found = clues(saying(picture, FRONT, STORE, "untrusted"))

    assert bool(found.nats[[table == "tallies" for table in found.table]].max() > 0) is heard


def test_of_whom_nobody_measures_calls_lines_are_all_there_is(draw):
    picture = draw([("front", "duration.mean")], (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))

    found = clues(saying(picture, FRONT, STORE, "untrusted"))

    assert found.nats[[table == "tallies" for table in found.table]].max() > 0
    assert claims(saying(picture, FRONT, STORE, "untrusted"), STORE) == {"untrusted": True}
