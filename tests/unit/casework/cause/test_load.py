"""Where more load begins: at the entrance, also where what stands for the users tells of itself."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.load import load_of
from cerebro.casework.cause.queues import takers_of
from cerebro.casework.cause.reach import needs_of
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId

CALLS = (("users", "front"), ("front", "cart"), ("cart", "store"))
SERIES = [(name, "requests.rate") for name in ("users", "front", "cart", "store")] + [("cart", "duration.mean")]


@pytest.mark.parametrize(("users_are_asked", "begins"), [(0.02, True), (10.0, False)])
def test_more_load_begins_at_who_is_called_by_someone_asked_next_to_nothing(draw, users_are_asked, begins):
    """What sends users' requests has a probe or two of its own; a caller with users of its own hands load on."""
    asked_more = [(name, "requests.rate", 40.0, 3) for name in ("front", "cart", "store")]
    picture = draw(SERIES, CALLS, ill=(*asked_more, ("cart", "duration.mean", 5.0, 3)), alarmed=("cart",))
    picture.tracks.before[0] = picture.tracks.during[0] = users_are_asked

    assert (diagnose(picture).causes[0].entity.name == "front") is begins


@pytest.mark.parametrize(("taken_more", "begins"), [(35.0, ["front", "worker"]), (110.0, ["worker"])])
def test_an_entrance_asked_again_by_those_who_wait_for_a_queue_begins_nothing(draw, taken_more, begins):
    series = [*SERIES, ("worker", "requests.rate"), ("worker", "duration.mean")]
    ill = [("front", "requests.rate", 40.0, 3), ("worker", "requests.rate", taken_more, 3)]
    drawn = draw(series, CALLS, ill=(*ill, ("worker", "duration.mean", 9.0, 3)), alarmed=("worker",))
    takes = Relation(TenantId("default"), *(EntityKey("service", name) for name in ("worker", "jobs")), "consumes_from")
    drawn = replace(drawn, relations=(*drawn.relations, takes))
    drawn.tracks.before[0] = drawn.tracks.during[0] = 0.02  # a probe of the users' own
    begun = load_of(clues(drawn), needs_of(drawn), takers_of(drawn)).begun

    assert [drawn.entities[k].name for k in np.flatnonzero(begun)] == begins
