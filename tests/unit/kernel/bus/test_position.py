import asyncio

import pytest

from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.port import StreamSpec
from cerebro.kernel.bus.position import Place, places, trim_to_slowest
from cerebro.kernel.clock import VirtualClock
from cerebro.spine.errors import Conflict, Invalid, Unavailable

MIB = 1 << 20


class LosesAnswers(MemoryBus):
    """Stores, then says that it did not answer."""

    lose = False

    async def put(self, bucket, key, value, *, revision=None):
        stored = await super().put(bucket, key, value, revision=revision)
        if self.lose:
            self.lose = False
            raise Unavailable("The answer was lost.")
        return stored


@pytest.fixture
def bus():
    return LosesAnswers(VirtualClock())


async def test_a_new_reader_stands_before_the_first_message(bus):
    """Sequence 0 is before every message."""
    place = await Place.claim(bus, "metrics", "recorder", "pod-1")
    assert (place.after, place.intent) == (0, None)


async def test_the_next_owner_finds_the_open_intent(bus):
    """A reader that died between intent and commit leaves the range to be done again, exactly."""
    first = await Place.claim(bus, "metrics", "recorder", "pod-1")
    await first.commit(7)
    await first.intend(8, 12)

    second = await Place.claim(bus, "metrics", "recorder", "pod-2")
    assert (second.after, second.intent) == (7, (8, 12))
    await second.commit(12)
    assert (second.after, second.intent) == (12, None)


async def test_who_was_overtaken_can_write_nothing(bus):
    """The fence: a reader thought dead that wakes up again is told, and nothing is changed."""
    first = await Place.claim(bus, "metrics", "recorder", "pod-1")
    await first.intend(1, 5)
    second = await Place.claim(bus, "metrics", "recorder", "pod-2")

    for late in (first.commit(5), first.intend(1, 5)):
        with pytest.raises(Conflict, match="pod-2"):
            await late
    assert second.intent == (1, 5)
    await second.commit(5)
    assert (await places(bus, "metrics"))["recorder"].after == 5


async def test_a_lost_answer_does_not_fence_the_owner(bus):
    """The write was stored, the answer was not heard: the same call again succeeds."""
    place = await Place.claim(bus, "metrics", "recorder", "pod-1")
    for write in (lambda: place.intend(1, 5), lambda: place.commit(5)):
        bus.lose = True
        with pytest.raises(Unavailable):
            await write()
        await write()
    assert (place.after, place.intent) == (5, None)


async def test_one_of_several_claimants_owns_it(bus):
    """All claims end; only the last of them can write."""
    claimed = await asyncio.gather(*(Place.claim(bus, "logs", "recorder", f"pod-{n}") for n in range(5)))
    results = await asyncio.gather(*(place.commit(1) for place in claimed), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 4


async def test_names_with_a_dot_are_refused(bus):
    """They would be taken for another stream's reader."""
    with pytest.raises(Invalid):
        await Place.claim(bus, "metrics", "rec.order", "pod-1")


async def filled(bus, count, bytes_max=MIB):
    await bus.declare(StreamSpec("metrics", ("telemetry.*.metrics",), bytes_max, 3600))
    for number in range(count):
        await bus.publish("telemetry.a.metrics", b"x" * 10_000, dedup_key=str(number))


async def test_a_stream_is_trimmed_to_its_slowest_reader(bus):
    """What one reader still needs stays."""
    await filled(bus, 10)
    for reader, after in (("recorder", 8), ("detector", 4)):
        await (await Place.claim(bus, "metrics", reader, "x")).commit(after)

    assert await trim_to_slowest(bus, "metrics") == 4
    assert (await bus.state("metrics")).first_sequence == 5
    assert await trim_to_slowest(bus, "metrics") == 0


async def test_a_crowded_stream_waits_for_its_main_reader_alone(bus):
    """More than half full: a slow detector misses messages, a sender does not wait."""
    await filled(bus, 10, bytes_max=150_000)
    for reader, after in (("recorder", 8), ("detector", 4)):
        await (await Place.claim(bus, "metrics", reader, "x")).commit(after)
    assert await trim_to_slowest(bus, "metrics") == 8


async def test_nothing_goes_before_the_main_reader_has_come(bus):
    """A detector that is quick must not throw away what has never been recorded."""
    await filled(bus, 3)
    await (await Place.claim(bus, "metrics", "detector", "x")).commit(3)
    assert await trim_to_slowest(bus, "metrics") == 0
