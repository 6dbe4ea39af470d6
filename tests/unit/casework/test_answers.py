"""Answers are made once for many, given a little stale while a fresh one is made, and forgotten by a change."""

import asyncio

import pytest

from cerebro.casework.answers import Answers
from cerebro.kernel.clock import VirtualClock
from cerebro.spine.identity import TenantId

US, THEM = TenantId("us"), TenantId("them")


class Source:
    """What is asked; it counts, and can be held back or made to fail."""

    def __init__(self):
        self.count, self.gate, self.fails = 0, asyncio.Event(), False
        self.gate.set()

    async def __call__(self):
        self.count += 1
        number = self.count
        await self.gate.wait()
        if self.fails:
            raise ValueError
        return number


@pytest.fixture
def clock():
    return VirtualClock(seed=1)


@pytest.fixture
def answers(clock):
    return Answers(clock)


async def ask(answers, source, tenant=US):
    return int((await answers.get(tenant, "/q", source, ttl_s=1.0)).body)


async def test_many_who_ask_at_once_are_one_question(answers):
    source = Source()
    assert await asyncio.gather(*(ask(answers, source) for _ in range(20))) == [1] * 20
    assert await ask(answers, source, THEM) == 2


async def test_who_asks_a_little_late_does_not_wait(answers, clock):
    source = Source()
    assert await ask(answers, source) == 1
    await clock.advance(1.5)
    source.gate.clear()
    assert [await ask(answers, source) for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(0.01)
    assert source.count == 2
    source.gate.set()
    await asyncio.sleep(0.01)
    assert await ask(answers, source) == 2
    await clock.advance(2.5)
    assert await ask(answers, source) == 3  # too old to be better than waiting


async def test_a_change_is_never_read_as_it_was_before(answers, clock):
    source = Source()
    assert await ask(answers, source) == 1
    await clock.advance(1.5)
    source.gate.clear()
    assert await ask(answers, source) == 1  # the second is under way, and has read what was before the change
    answers.forget(US)
    source.gate.set()
    await asyncio.sleep(0.01)
    assert await ask(answers, source) == 3


async def test_a_failure_behind_someones_back_is_the_next_askers(answers, clock):
    source = Source()
    assert await ask(answers, source) == 1
    await clock.advance(1.5)
    source.fails = True
    assert await ask(answers, source) == 1
    await asyncio.sleep(0.01)
    with pytest.raises(ValueError, match=r"^$"):
        await ask(answers, source)
    source.fails = False
    assert await ask(answers, source) == 4


async def test_what_is_heard_is_read_by_whoever_is_told_of_it(answers, clock):
    source = Source()
    assert await ask(answers, source) == 1
    await clock.advance(0.1)
    answers.hear(US)
    heard_s = clock.monotonic_s()
    source.gate.clear()
    assert [await ask(answers, source) for _ in range(3)] == [1, 1, 1]  # nobody has been told of the change yet
    answers.tell(US, heard_s)
    asked = asyncio.ensure_future(ask(answers, source))
    await asyncio.sleep(0.01)
    source.gate.set()
    assert await asked == 3  # the second was begun after the change, but a third is never wrong


async def test_what_was_made_after_a_change_stays_when_it_is_told(answers, clock):
    source = Source()
    assert await ask(answers, source) == 1
    await clock.advance(0.1)
    answers.hear(US)
    heard_s = clock.monotonic_s()
    await clock.advance(0.05)
    assert await ask(answers, source) == 1
    await asyncio.sleep(0.01)
    answers.tell(US, heard_s)
    assert await ask(answers, source) == 2
    assert source.count == 2
