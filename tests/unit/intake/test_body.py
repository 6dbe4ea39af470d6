"""Bodies are bounded at every step, before the memory is spent."""

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.intake.body import Gone, Room, TooSlow, read_body, unfold_gzip, unfold_snappy
from cerebro.intake.trouble import Busy
from cerebro.spine.errors import Invalid, TooLarge

MIB = 1 << 20


def receiving(*parts, end=True):
    """An ASGI `receive` that gives these parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if end else {"type": "http.disconnect"})

    async def receive():
        return messages.pop(0)

    return receive


async def test_a_body_arrives_in_parts():
    assert await read_body(receiving(b"ab", b"c"), {}, bytes_max=3, timeout_s=1) == b"abc"


async def test_an_announced_length_over_the_limit_is_refused_unread():
    async def receive():
        raise AssertionError("read")

    with pytest.raises(TooLarge, match="the limit is 10"):
        await read_body(receive, {"content-length": "11"}, bytes_max=10, timeout_s=1)


async def test_a_body_that_grows_past_the_limit_is_refused_there():
    with pytest.raises(TooLarge):
        await read_body(receiving(b"x" * 6, b"x" * 6, b"never read"), {}, bytes_max=10, timeout_s=1)


@pytest.mark.parametrize("length", ["-1", "1e9", "ten", "", "9" * 40])
async def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(Invalid):
        await read_body(receiving(), {"content-length": length}, bytes_max=10, timeout_s=1)


async def test_a_sender_that_hangs_up_gets_no_answer():
    with pytest.raises(Gone):
        await read_body(receiving(b"a", end=False), {}, bytes_max=10, timeout_s=1)


async def test_a_sender_that_stalls_is_cut_off():
    async def receive():
        await asyncio.sleep(60)

    with pytest.raises(TooSlow):
        await read_body(receive, {}, bytes_max=10, timeout_s=0.01)


async def test_bodies_share_one_room_and_leave_it():
    room = Room(10)
    with room.for_body(receiving(b"x" * 8)) as first:
        await read_body(first, {}, bytes_max=10, timeout_s=1)
        with pytest.raises(Busy), room.for_body(receiving(b"x" * 8)) as second:
            await read_body(second, {}, bytes_max=10, timeout_s=1)
        assert room.used_bytes == 8
    assert room.used_bytes == 0


@given(st.binary(max_size=5000))
def test_what_was_folded_unfolds(content):
    assert unfold_snappy(bytes(cramjam.snappy.compress_raw(content)), MIB) == content
    assert unfold_gzip(gzip.compress(content), MIB) == content
    assert unfold_gzip(gzip.compress(content) + gzip.compress(content), MIB) == content * 2


@given(st.binary(max_size=200))
def test_any_bytes_unfold_or_are_refused(content):
    for unfold in (unfold_snappy, unfold_gzip):
        with contextlib.suppress(Invalid):
            assert len(unfold(content, MIB)) <= MIB


@given(st.integers(0, 60))
def test_a_gzip_body_cut_short_is_refused(cut):
    with pytest.raises(Invalid):
        unfold_gzip(gzip.compress(bytes(range(256)))[: 20 + cut], MIB)


def test_a_bomb_is_never_held_unfolded():
    bomb = zlib.compress(b"\x00" * (200 * MIB), 9, wbits=31)

    tracemalloc.start()
    with pytest.raises(TooLarge, match="more than"):
        unfold_gzip(bomb, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 8 * MIB


@pytest.mark.parametrize(
    "claim",
    [
        b"\x80\x80\x80\x80\x08",
        b"\xff\xff\xff\xff\x0f",
        b"\x80\x80\x80\x10",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ],
)
def test_snappy_that_claims_to_be_huge_is_refused_before_it_is_unfolded(claim):
    with pytest.raises(Invalid):
        unfold_snappy(claim + b"\x00" * 10, 64 * MIB)


def test_a_snappy_bomb_within_its_claim_is_refused_by_the_limit():
    bomb = bytes(cramjam.snappy.compress_raw(b"\x00" * (4 * MIB)))

    with pytest.raises(TooLarge, match="unfolds to 4194304"):
        unfold_snappy(bomb, MIB)
