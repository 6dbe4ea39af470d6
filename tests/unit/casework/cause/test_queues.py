"""What waits in a queue, and by whose doing."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.fuse import fuse
from cerebro.casework.cause.marks import marks_of
from cerebro.casework.cause.queues import undrained
from cerebro.casework.cause.view import View
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId

SERIES = [
    ("jobs", "messaging.queue.depth"),
    ("jobs", "messaging.queue.published"),
    ("jobs", "messaging.queue.redelivered"),
    ("worker", "process.cpu.utilization"),
    ("front", "duration.mean"),
]
TENANT = TenantId("default")
PILED = ("jobs", "messaging.queue.depth", 400.0, 3)


def key(name):
    return EntityKey("service", name)


@pytest.fixture
def queued(draw):
    """A worker that takes from a queue into which the front puts."""

    def make(*ill):
        picture = draw(SERIES, ill=(PILED, *ill), alarmed=("jobs",), signal="messaging.queue.depth")
        picture.tracks.before[2] = picture.tracks.during[2] = 0.0
        for _, _, back, since in (each for each in ill if each[1].endswith("redelivered")):
            picture.tracks.during[2, since:] = back
        relations = (
            Relation(TENANT, key("worker"), key("jobs"), "consumes_from"),
            Relation(TENANT, key("front"), key("jobs"), "publishes_to"),
        )
        return replace(picture, relations=relations)

    return make


@pytest.mark.parametrize(
    ("ill", "left"),
    [
        ((), True),
        ((("jobs", "messaging.queue.published", 30.0, 0),), False),  # it is flooded
        ((("jobs", "messaging.queue.redelivered", 4.0, 3),), False),  # a message that nobody can digest comes back
        ((("jobs", "messaging.queue.redelivered", 4.0, 10),), False),  # since two steps ago
        ((("jobs", "messaging.queue.redelivered", 4.0, 11),), True),  # once; whoever dies leaves something that does
    ],
)
def test_what_piles_up_though_no_more_is_put_in_is_left_there_by_who_takes_from_it(queued, ill, left):
    picture = queued(*ill)
    names = [each.name for each in picture.entities]

    found = {names[queue]: [names[k] for k in by] for queue, by in undrained(picture, clues(picture)).items()}

    assert found == ({"jobs": ["worker"]} if left else {})


def test_who_leaves_it_there_is_blamed_with_the_queues_own_numbers(queued):
    cause = diagnose(queued()).causes[0]

    assert cause.entity.name == "worker"
    assert [mark.word for mark in cause.marks] == ["undrained"]
    assert "messaging.queue.depth of service/jobs rose" in cause.evidence[0].sentence


def test_a_queue_that_is_flooded_is_not_laid_on_who_takes_from_it(queued):
    picture = queued(("jobs", "messaging.queue.published", 30.0, 0))
    found = clues(picture)
    view = View(picture, found, fuse(picture, found))
    worker = [each.name for each in picture.entities].index("worker")

    assert marks_of(view, worker) == ()
    assert np.isfinite(view.fused.score).all()


def test_with_who_takes_from_a_queue_no_load_begins(draw):
    series = [("worker", "requests.rate"), ("jobs", "messaging.queue.depth"), ("front", "duration.mean")]
    picture = draw(series, (("front", "store"),), ill=(("worker", "requests.rate", 90.0, 3),))

    def marks(relations):
        drawn = replace(picture, relations=relations)
        found = clues(drawn)
        worker = [each.name for each in drawn.entities].index("worker")
        return [mark.word for mark in marks_of(View(drawn, found, fuse(drawn, found)), worker)]

    assert marks(()) == ["surged"]
    assert marks((Relation(TENANT, key("worker"), key("jobs"), "consumes_from"),)) == []


@pytest.mark.parametrize(("waiting", "said"), [(400.0, ["undrained"]), (40.0, [])])
def test_who_takes_from_it_again_leaves_nothing_there(queued, waiting, said):
    picture = queued()
    picture.tracks.during[0, -1] = waiting
    found = clues(picture)
    worker = [each.name for each in picture.entities].index("worker")

    assert [mark.word for mark in marks_of(View(picture, found, fuse(picture, found)), worker)] == said


def test_a_series_of_the_queue_that_is_always_0_does_not_say_that_it_was_drained(draw):
    """Everything is handed out and nothing is acknowledged: none is ready, and the oldest grows older."""
    series = [
        ("jobs", "messaging.queue.oldest_message.age"), ("jobs", "messages_ready"),
        ("jobs", "messaging.queue.published"), ("front", "duration.mean"),
    ]  # fmt: skip
    picture = draw(series, ill=(("jobs", "messaging.queue.oldest_message.age", 400.0, 3),), alarmed=("jobs",))
    rows = {signal: row for row, signal in enumerate(picture.tracks.signal)}
    picture.tracks.before[rows["messages_ready"]] = picture.tracks.during[rows["messages_ready"]] = 0.0
    relations = (Relation(TENANT, key("worker"), key("jobs"), "consumes_from"),)
    picture = replace(picture, relations=relations, entities=(*picture.entities, key("worker")))
    found = clues(picture)
    worker = [each.name for each in picture.entities].index("worker")

    assert [mark.word for mark in marks_of(View(picture, found, fuse(picture, found)), worker)] == ["undrained"]
