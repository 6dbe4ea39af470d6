"""What `kernel/bus/port.py` promises, asked of every driver."""

import asyncio
from dataclasses import replace

import pytest

from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.nats import NatsBus
from cerebro.kernel.bus.port import StreamSpec
from cerebro.kernel.clock import SystemClock
from cerebro.spine.errors import Conflict, LimitReached, TooLarge, Unavailable

KIB = 1 << 10
MIB = 1 << 20


@pytest.fixture(params=["nats", "memory"])
async def each_bus(request):
    if request.param == "memory":
        made = MemoryBus(SystemClock())
    else:
        made = await NatsBus.connect(request.getfixturevalue("nats_server"))
    yield made
    await made.close()


@pytest.fixture
async def stream(each_bus, tenant):
    """A stream of this test's own with the subjects `<tenant>.*`."""
    spec = StreamSpec(tenant, (f"{tenant}.*",), 64 * MIB, 3600.0)
    await each_bus.declare(spec)
    return spec


def reading(stream, after=0, count_max=1000, bytes_max=64 * MIB, wait_s=0.0, subject=""):
    bounds = {"count_max": count_max, "bytes_max": bytes_max, "wait_s": wait_s}
    return {"stream": stream.name, "after": after, "subject": subject} | bounds


async def test_messages_come_back_in_order(each_bus, stream):
    """What was published is read in the order of its sequences, from any place."""
    for number in range(5):
        assert await each_bus.publish(f"{stream.name}.a", b"%d" % number, dedup_key=str(number)) == number + 1

    found = await each_bus.read(**reading(stream))
    assert [(m.sequence, m.subject, m.body) for m in found] == [
        (n + 1, f"{stream.name}.a", b"%d" % n) for n in range(5)
    ]
    assert [m.sequence for m in await each_bus.read(**reading(stream, after=3))] == [4, 5]


async def test_the_same_key_stores_nothing_again(each_bus, stream):
    """A retry gives the sequence of the first try, even when others came between."""
    first = await each_bus.publish(f"{stream.name}.a", b"x", dedup_key="k")
    await each_bus.publish(f"{stream.name}.a", b"y", dedup_key="other")

    assert await each_bus.publish(f"{stream.name}.a", b"x", dedup_key="k") == first
    assert (await each_bus.state(stream.name)).last_sequence == 2


async def test_a_key_is_forgotten_in_time(each_bus, tenant):
    """After `dedup_s` the same key is a new message."""
    await each_bus.declare(StreamSpec(tenant, (f"{tenant}.*",), MIB, 3600.0, dedup_s=0.2))
    await each_bus.publish(f"{tenant}.a", b"x", dedup_key="k")
    await asyncio.sleep(0.6)

    assert await each_bus.publish(f"{tenant}.a", b"x", dedup_key="k") == 2


async def test_a_full_stream_refuses_and_keeps(each_bus, tenant):
    """`bytes_max` drops nothing old; once trimmed the same message is taken, under the same key."""
    spec = StreamSpec(tenant, (f"{tenant}.*",), 100 * KIB, 3600.0)
    await each_bus.declare(spec)
    taken = 0
    with pytest.raises(LimitReached):
        for number in range(100):
            await each_bus.publish(f"{tenant}.a", b"x" * 10 * KIB, dedup_key=str(number))
            taken += 1
    assert 5 <= taken < 11
    assert len(await each_bus.read(**reading(spec))) == taken

    await each_bus.trim(tenant, upto=taken - 1)
    assert await each_bus.publish(f"{tenant}.a", b"x" * 10 * KIB, dedup_key=str(taken)) == taken + 1


async def test_limits_can_be_changed_while_messages_stay(each_bus, stream):
    """Declaring again changes the limits only."""
    await each_bus.publish(f"{stream.name}.a", b"x", dedup_key="k")
    await each_bus.declare(replace(stream, bytes_max=MIB))

    state = await each_bus.state(stream.name)
    assert (state.bytes_max, state.first_sequence, state.last_sequence) == (MIB, 1, 1)


async def test_old_messages_go(each_bus, tenant):
    """A message older than `age_s_max` is gone, and the next sequence goes on counting."""
    spec = StreamSpec(tenant, (f"{tenant}.*",), MIB, 0.3)
    await each_bus.declare(spec)
    await each_bus.publish(f"{tenant}.a", b"x", dedup_key="k")
    await asyncio.sleep(0.9)

    assert not await each_bus.read(**reading(spec))
    assert await each_bus.publish(f"{tenant}.a", b"y", dedup_key="l") == 2


async def test_a_body_too_large_is_refused(each_bus, stream):
    """A body over the limit is refused, one at the limit is taken."""
    with pytest.raises(TooLarge):
        await each_bus.publish(f"{stream.name}.a", b"x" * (each_bus.body_bytes_max + 1), dedup_key="k")
    assert await each_bus.publish(f"{stream.name}.a", b"x" * each_bus.body_bytes_max, dedup_key="k") == 1


async def test_a_subject_nobody_stores_is_unavailable(each_bus, tenant):
    """Nothing is thrown away silently."""
    with pytest.raises(Unavailable):
        await each_bus.publish(f"{tenant}.nowhere", b"x", dedup_key="k")


async def test_reading_is_bounded_in_count_and_bytes(each_bus, stream):
    """At most `count_max` messages and `bytes_max` bytes, but always at least one."""
    for number in range(6):
        await each_bus.publish(f"{stream.name}.a", b"x" * 1000, dedup_key=str(number))

    assert len(await each_bus.read(**reading(stream, count_max=4))) == 4
    assert len(await each_bus.read(**reading(stream, bytes_max=3500))) == 3
    assert len(await each_bus.read(**reading(stream, bytes_max=10))) == 1


async def test_a_filter_narrows_the_stream(each_bus, stream):
    """Only the subjects asked for, with the stream's own sequences."""
    for number, word in enumerate("abab"):
        await each_bus.publish(f"{stream.name}.{word}", b"x", dedup_key=str(number))

    assert [m.sequence for m in await each_bus.read(**reading(stream, subject=f"{stream.name}.b"))] == [2, 4]
    assert [m.sequence for m in await each_bus.read(**reading(stream, subject=f"{stream.name}.*"))] == [1, 2, 3, 4]


async def test_an_empty_stream_waits_no_longer_than_asked(each_bus, stream):
    """Nothing there: an empty answer, at once or after the wait."""
    clock = SystemClock()
    began_s = clock.monotonic_s()
    assert not await each_bus.read(**reading(stream))
    assert not await each_bus.read(**reading(stream, wait_s=0.3))
    assert 0.25 < clock.monotonic_s() - began_s < 1.5


async def test_a_waiting_reader_is_woken_at_once(each_bus, stream):
    """What comes during the wait is returned when it comes, to every reader that waits."""
    clock = SystemClock()
    readers = [asyncio.create_task(each_bus.read(**reading(stream, wait_s=30))) for _ in range(3)]
    filtered = asyncio.create_task(each_bus.read(**reading(stream, wait_s=30, subject=f"{stream.name}.b")))
    await asyncio.sleep(0.1)
    began_s = clock.monotonic_s()
    await each_bus.publish(f"{stream.name}.a", b"x", dedup_key="k")

    for found in await asyncio.gather(*readers):
        assert [m.sequence for m in found] == [1]
    assert clock.monotonic_s() - began_s < 0.5
    await each_bus.publish(f"{stream.name}.b", b"x", dedup_key="l")
    assert [m.sequence for m in await filtered] == [2]


async def test_trimmed_messages_are_skipped(each_bus, stream):
    """A reader before the gap goes on after it; an emptied stream knows where it was."""
    for number in range(4):
        await each_bus.publish(f"{stream.name}.a", b"x", dedup_key=str(number))
    await each_bus.trim(stream.name, upto=2)
    assert [m.sequence for m in await each_bus.read(**reading(stream))] == [3, 4]

    await each_bus.trim(stream.name, upto=4)
    state = await each_bus.state(stream.name)
    assert (state.first_sequence, state.last_sequence) == (5, 4)
    assert await each_bus.publish(f"{stream.name}.a", b"x", dedup_key="new") == 5


async def test_a_new_stream_is_empty(each_bus, stream):
    """`first_sequence == last_sequence + 1`, from the beginning."""
    state = await each_bus.state(stream.name)
    assert (state.first_sequence, state.last_sequence, state.byte_count) == (1, 0, 0)


async def test_many_publish_at_once(each_bus, stream):
    """Hundreds in flight: each is stored once, with a sequence of its own."""
    sequences = await asyncio.gather(
        *(each_bus.publish(f"{stream.name}.a", b"%d" % number, dedup_key=str(number)) for number in range(300))
    )
    assert sorted(sequences) == list(range(1, 301))
    found = await each_bus.read(**reading(stream))
    assert {m.sequence: m.body for m in found} == {s: b"%d" % n for n, s in enumerate(sequences)}


async def test_a_compare_and_set_lets_one_win(each_bus, tenant):
    """Of several writers that saw the same revision, one stores and the others are told."""
    created = await each_bus.put(tenant, "k", b"0", revision=0)
    results = await asyncio.gather(
        *(each_bus.put(tenant, "k", b"%d" % n, revision=created) for n in range(5)), return_exceptions=True
    )
    won = [r for r in results if isinstance(r, int)]

    assert len(won) == 1
    assert sum(isinstance(r, Conflict) for r in results) == 4
    stored = await each_bus.get(tenant, "k")
    assert stored.revision == won[0] > created
    with pytest.raises(Conflict):
        await each_bus.put(tenant, "k", b"x", revision=0)
    assert await each_bus.put(tenant, "k", b"forced") > won[0]


async def test_shared_state_keeps_any_bytes_under_any_key(each_bus, tenant):
    """Keys are listed sorted; what is not there is `None`; an empty value is a value."""
    assert await each_bus.get(tenant, "nothing") is None
    assert list(await each_bus.keys(tenant)) == []
    await each_bus.put(tenant, "b.x-1", bytes(range(256)))
    await each_bus.put(tenant, "a/y_2=", b"")

    assert list(await each_bus.keys(tenant)) == ["a/y_2=", "b.x-1"]
    assert (await each_bus.get(tenant, "b.x-1")).value == bytes(range(256))
    assert (await each_bus.get(tenant, "a/y_2=")).value == b""
    assert await each_bus.get(tenant, "nothing") is None


async def test_objects_of_any_size(each_bus, tenant):
    """The last body stored under a name, whole."""
    body = bytes(range(256)) * (5 * MIB // 256) + b"tail"
    assert await each_bus.get_object(tenant, "snapshot/1 ä") is None
    await each_bus.put_object(tenant, "snapshot/1 ä", b"first")
    await each_bus.put_object(tenant, "snapshot/1 ä", body)
    await each_bus.put_object(tenant, "empty", b"")

    assert await each_bus.get_object(tenant, "snapshot/1 ä") == body
    assert await each_bus.get_object(tenant, "empty") == b""
    assert await each_bus.get_object(tenant, "other") is None


async def test_objects_written_at_once_stay_whole(each_bus, tenant):
    """Of several writers at once one body stands, not a mixture."""
    bodies = [bytes([n]) * (2 * MIB + n) for n in range(4)]
    await each_bus.put_object(tenant, "o", b"")
    await asyncio.gather(*(each_bus.put_object(tenant, "o", body) for body in bodies))
    assert await each_bus.get_object(tenant, "o") in bodies


async def test_broadcasts_reach_who_listens_now(each_bus, tenant):
    """Listeners hear what comes after they began, by wildcard; nobody keeps the rest."""
    await each_bus.broadcast(f"live.{tenant}.case", b"before")
    listener = each_bus.listen(f"live.{tenant}.*")
    await each_bus.broadcast(f"live.{tenant}.case", b"1")
    await each_bus.broadcast("live.someone-else.case", b"2")
    await each_bus.broadcast(f"live.{tenant}.gauge", b"3")

    heard = [await asyncio.wait_for(anext(listener), 2) for _ in range(2)]
    assert [(m.subject, m.body, m.sequence) for m in heard] == [
        (f"live.{tenant}.case", b"1", 0),
        (f"live.{tenant}.gauge", b"3", 0),
    ]
    await listener.aclose()


async def test_a_slow_listener_misses_the_oldest(each_bus, tenant):
    """At most 1,000 wait."""
    listener = each_bus.listen(f"live.{tenant}")
    for number in range(1200):
        await each_bus.broadcast(f"live.{tenant}", b"%d" % number)
    await asyncio.sleep(0.5)

    heard = [int((await asyncio.wait_for(anext(listener), 2)).body) for _ in range(1000)]
    assert heard == list(range(200, 1200))
    await listener.aclose()


async def test_closing_twice_is_safe(each_bus, stream):
    """After it every call is `Unavailable`."""
    await each_bus.close()
    await each_bus.close()
    with pytest.raises(Unavailable):
        await each_bus.publish(f"{stream.name}.a", b"x", dedup_key="k")
