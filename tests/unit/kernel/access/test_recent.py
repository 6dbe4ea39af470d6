"""Answers kept for seconds."""

import asyncio

import pytest

from cerebro.kernel.access.recent import Recent
from cerebro.spine.errors import Unavailable


class Source:
    def __init__(self) -> None:
        self.asked, self.answer, self.is_away = 0, "one", False

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("away")
        return self.answer


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def recent(clock):
    return Recent(clock, fresh_s=3, stale_s=60, names_max=3)


async def test_a_busy_name_is_fetched_once(recent, source):
    """A hundred at once and again at once are one question."""
    await asyncio.gather(*(recent.get("a", source) for _ in range(100)))
    await recent.get("a", source)

    assert source.asked == 1


async def test_an_answer_is_asked_for_anew_after_its_time(recent, source, clock):
    """So long a revoked credential may still work, and no longer."""
    await recent.get("a", source)
    source.answer = "two"
    await clock.advance(2.9)
    assert await recent.get("a", source) == "one"
    await clock.advance(0.1)
    assert await recent.get("a", source) == "two"


async def test_an_old_answer_bridges_a_short_absence_of_the_database(recent, source, clock):
    """For a minute; what was never known is not made up."""
    await recent.get("a", source)
    source.is_away = True
    await clock.advance(59)
    assert await recent.get("a", source) == "one"
    with pytest.raises(Unavailable):
        await recent.get("b", source)
    await clock.advance(1)
    with pytest.raises(Unavailable):
        await recent.get("a", source)


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(recent, source):
    """The question goes on when the first who asked is gone."""
    first = asyncio.create_task(recent.get("a", source))
    second = asyncio.create_task(recent.get("a", source))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == "one"


async def test_memory_is_bounded(recent, source):
    """The oldest goes."""
    for name in "abcd":
        await recent.get(name, source)
    await recent.get("d", source)
    assert source.asked == 4
    await recent.get("a", source)
    assert source.asked == 5
