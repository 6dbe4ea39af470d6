"""Laws of who may come in, and of the audit log."""

import asyncio
import base64
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.kernel.access.guard import Guard
from cerebro.kernel.access.limits import RateLimit, TooManyRequests
from cerebro.kernel.access.model import User
from cerebro.kernel.access.permissions import Role
from cerebro.kernel.access.tokens import Tokens
from cerebro.kernel.audit import ENTRIES, Audit
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.spine.errors import Unauthenticated
from cerebro.spine.identity import TenantId

OURS = TenantId("ours")
KEY = "k" * 43
USER = User("ann", Role.ADMIN, "", 0, 7)

bits = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["cbr", "_", ".", "Bearer", "Basic", " ", "cbf", "0" * 64]
)
texts = st.lists(bits, max_size=8).map("".join)
headers = st.one_of(
    texts,
    texts.map("Bearer {}".format),
    texts.map("Bearer cbr_{}".format),
    st.binary(max_size=60).map(lambda body: f"Basic {base64.b64encode(body).decode()}"),
)


@settings(max_examples=200, deadline=None)
@given(headers)
def test_whatever_a_header_holds_it_is_refused_in_one_way(header):
    """Nothing that is no credential of ours is let in, and nothing makes the guard stumble."""
    clock = VirtualClock()
    guard = Guard(MemoryRecords(), clock, Tokens(KEY, 900, clock))
    with pytest.raises(Unauthenticated):
        asyncio.run(guard.authenticate(header))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_token_with_any_letter_changed_is_refused(data):
    """Wherever: header, claims or signature."""
    tokens = Tokens(KEY, 900, VirtualClock())
    text, _ = tokens.sign(OURS, USER)
    place = data.draw(st.integers(0, len(text) - 2))  # the very last letter holds two bits that mean nothing
    letter = data.draw(st.sampled_from("ABCxyz019-_.=").filter(lambda new: new != text[place]))
    changed = text[:place] + letter + text[place + 1 :]

    with pytest.raises(Unauthenticated):
        tokens.read(changed)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, 50), st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), min_size=1, max_size=12))
def test_nobody_gets_more_than_the_burst_and_the_rate(per_s, visits):
    """However he spreads his requests."""

    async def let_through() -> tuple[int, float]:
        clock = VirtualClock()
        limit, count = RateLimit(per_s, clock, burst_s=2), 0
        for wait_s, tries in visits:
            await clock.advance(wait_s)
            for _ in range(tries):
                try:
                    limit.take("a")
                except TooManyRequests as refused:
                    assert 0 < refused.retry_after_s <= 1 / per_s + 1e-6
                else:
                    count += 1
        return count, clock.monotonic_s()

    count, duration_s = asyncio.run(let_through())

    assert count <= max(per_s * 2, 1) + per_s * duration_s + 1e-6


CHANGES = ("actor", "action", "object", "detail", "at_ms", "previous", "hash", "gone")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 7), st.sampled_from(CHANGES))
def test_no_entry_is_altered_unseen(count, index, change):
    """Any field of any entry, or the entry itself: `verify` finds it, and not before its place."""
    asyncio.run(_alter_and_verify(count, index % count + 1, change))


async def _alter_and_verify(count: int, seq: int, change: str) -> None:
    records = MemoryRecords()
    audit = Audit(records, VirtualClock())
    for number in range(count):
        await audit.append(OURS, "ann", "done", f"case/{number}")
    place = (ENTRIES.name, OURS, f"{seq:016d}")
    row = records.rows[place]
    entry = msgspec.json.decode(row.body)
    if change == "gone":
        del records.rows[place]
    else:
        entry[change] = entry[change] + 1 if change == "at_ms" else entry[change] + "x"
        records.rows[place] = replace(row, body=msgspec.json.encode(entry))
    verdict = await audit.verify(OURS)

    assert not verdict.intact
    assert verdict.broken_at == seq
