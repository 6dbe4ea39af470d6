"""The map of any past moment, from what was sighted and what people drew."""

import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.topology.atlas import Atlas, KeptMap, Page, drawn_map
from cerebro.casework.topology.kept import SHEETS, Drawn, DrawnRelation, Head
from cerebro.casework.topology.sighted import CALLS, RUNS_ON, Sighted
from cerebro.casework.topology.survey import SEEN_STEP_MS, Survey
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Conflict

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SHOP, PAYMENT, DB, HOST = (EntityKey.parse(text) for text in ("service/shop", "service/pay", "database/db", "host/h"))


def survey():
    return Survey(gap_ms=HOUR_MS, keep_ms=30 * DAY_MS)


def kept(drawn):
    return tuple(drawn.sheet(number, 0) for number in range(SHEETS))


def at(rows, at_ms, **more):
    found = drawn_map("t", at_ms, KeptMap(tuple(Page.of("t", sheet) for sheet in kept(rows)), **more), HOUR_MS)
    return {e.text for e in found.entities}, {f"{r.source.text} {r.kind} {r.target.text}" for r in found.relations}


def seen(at_ms, *links, **more):
    return Sighted(at_ms, at_ms, links=dict.fromkeys(links, 1.0), **more)


def test_a_map_has_a_past():
    """What went, and came back, is missing in between."""
    drawn = survey()
    drawn.tell(seen(0, (SHOP, PAYMENT, CALLS)))
    drawn.tell(seen(DAY_MS, (SHOP, DB, CALLS)))
    drawn.tell(seen(2 * DAY_MS, (SHOP, PAYMENT, CALLS)))

    calls = [at(drawn, day * DAY_MS + 60_000)[1] for day in range(3)]
    assert calls == [
        {"service/shop calls service/pay"},
        {"service/shop calls database/db"},
        {"service/shop calls service/pay"},
    ]
    assert at(drawn, DAY_MS // 2) == (set(), set())


def test_what_is_kept_is_what_was_drawn():
    """Through sheets and back, in any order of sights, nothing changes."""
    sights = [seen(hour * HOUR_MS, (SHOP, PAYMENT, CALLS), (PAYMENT, HOST, RUNS_ON)) for hour in (0, 1, 5, 6)]
    first, second = survey(), survey()
    for one, other in zip(sights, reversed(sights), strict=True):
        first.tell(one)
        second.tell(other)
    again = Survey.of(kept(first), Head(), HOUR_MS, 30 * DAY_MS)

    for moment in range(0, 8 * HOUR_MS, HOUR_MS // 2):
        assert at(first, moment) == at(again, moment)
    assert at(first, HOUR_MS) == at(second, HOUR_MS)


def test_a_database_that_tells_of_itself_is_one_thing():
    """A client calls `database/db`; its exporter says it is `service/db`."""
    drawn, itself = survey(), EntityKey("service", "db")
    drawn.tell(seen(0, (SHOP, DB, CALLS)))
    drawn.tell(Sighted(0, 0, {itself: {}}))

    assert at(drawn, 1) == ({"service/shop", "service/db"}, {"service/shop calls service/db"})


def test_an_address_that_a_service_answers_at_is_that_service():
    """And one where several answer is a gateway, and stays what it is."""
    drawn, address = survey(), EntityKey("external", "10.0.0.7")
    drawn.tell(seen(0, (SHOP, address, CALLS), (PAYMENT, HOST, RUNS_ON)))

    assert at(drawn, 1, aliases={"10.0.0.7": ("service/pay",)})[1] >= {"service/shop calls service/pay"}
    assert "external/10.0.0.7" in at(drawn, 1, aliases={"10.0.0.7": ("service/pay", "service/shop")})[0]


def test_what_people_drew_is_there_until_they_take_it_away():
    """With its own past."""
    line = DrawnRelation(SHOP, DB, "stores_in", "ann", drawn_ms=100, ended_ms=200)
    drawn = survey()
    drawn.tell(seen(0, (SHOP, PAYMENT, CALLS)))

    told = [
        "service/shop stores_in database/db" in at(drawn, ms, drawn=Drawn((line,)))[1] for ms in (50, 100, 150, 200)
    ]
    assert told == [False, True, True, False]


def test_sights_of_what_is_known_are_kept_now_and_then():
    """A thing that is seen every second is written once a minute."""
    drawn = survey()
    drawn.tell(seen(0, (SHOP, PAYMENT, CALLS)))
    drawn.kept(range(SHEETS))
    drawn.tell(seen(SEEN_STEP_MS // 2, (SHOP, PAYMENT, CALLS)))
    assert not drawn.dirty
    drawn.tell(seen(SEEN_STEP_MS, (SHOP, PAYMENT, CALLS)))
    assert drawn.dirty and not drawn.is_new


@pytest.fixture
def kernel():
    return simulated_kernel(Settings(), VirtualClock(start_ms=DAY_MS))


async def test_the_atlas_shows_what_a_surveyor_kept(kernel):
    """Within a second, and the same map object while nothing changes."""
    surveyor, atlas = Surveyor(kernel), Atlas(kernel)
    await surveyor.tell("t", seen(DAY_MS, (SHOP, PAYMENT, CALLS)))
    first = await atlas.at("t", DAY_MS)
    assert first.targets(SHOP, CALLS) == (PAYMENT,)
    await surveyor.tell("t", seen(DAY_MS, (SHOP, DB, CALLS)))
    await kernel.clock.advance(3)
    assert (await atlas.at("t", DAY_MS)).targets(SHOP, CALLS) == (PAYMENT, DB)
    assert await atlas.at("t", DAY_MS) is await atlas.at("t", DAY_MS + 1)
    assert not (await atlas.at("t", DAY_MS - HOUR_MS)).entities


async def test_two_surveyors_do_not_overwrite_each_other(kernel):
    """The one that finds the map changed stops; its sights come again with the next spans."""
    one, other = Surveyor(kernel), Surveyor(kernel)
    await other.tell("t", seen(DAY_MS, (SHOP, DB, CALLS)))
    await one.tell("t", seen(DAY_MS, (SHOP, PAYMENT, CALLS)))
    with pytest.raises(Conflict):
        await other.tell("t", seen(DAY_MS, (SHOP, HOST, RUNS_ON)))
