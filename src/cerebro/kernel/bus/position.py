"""A reader's durable place in a stream: how far its work is done, and what it is about to do.

The protocol by which a range of messages is worked on exactly once by readers that may die at any
moment: write the *intent* (first to last sequence), do the work of exactly this range under a token
made of it, then commit. Whoever comes next finds an open intent and does the same range again under
the same token, which the store recognises. Every write is a compare-and-set: a reader that was
thought dead and is not finds that it is no longer the owner, and stops.
"""

from dataclasses import dataclass, replace

import msgspec

from cerebro.kernel.bus.port import Bus
from cerebro.spine.errors import Conflict, Invalid

BUCKET = "places"
VERSION = 1
CLAIMS_MAX = 10
FULL_SHARE = 0.5  # a stream fuller than this is held back by its main reader alone


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored.

    Args:
        owner: Who reads; for people.
        epoch: Counts the claims: a place with our epoch is ours, whatever its revision.
        after: The last sequence whose work is done.
        intent: First and last sequence of the work that has begun.
    """

    owner: str
    epoch: int
    after: int = 0
    intent: tuple[int, int] | None = None
    version: int = VERSION


class Place:
    """A place that we own. Make it with `claim`; one task uses it."""

    def __init__(self, bus: Bus, key: str, entry: Entry, revision: int) -> None:
        self._bus, self._key, self._entry, self._revision = bus, key, entry, revision

    @classmethod
    async def claim(cls, bus: Bus, stream: str, reader: str, owner: str) -> "Place":
        """Become the owner of the reader's place, which starts before the first message.

        Raises:
            Conflict: Others claim it at the same time, again and again.
        """
        key = key_of(stream, reader)
        for _ in range(CLAIMS_MAX):
            found = await load(bus, key)
            before, revision = found or (Entry("", 0), 0)
            entry = replace(before, owner=owner, epoch=before.epoch + 1)
            try:
                return cls(bus, key, entry, await bus.put(BUCKET, key, msgspec.json.encode(entry), revision=revision))
            except Conflict:
                continue
        raise Conflict(f"Several readers claim {key} at the same time.", "Run one of them.")

    @property
    def after(self) -> int:
        """The last sequence whose work is done."""
        return self._entry.after

    @property
    def intent(self) -> tuple[int, int] | None:
        """The range whose work has begun and is not known to be done: do exactly this one first."""
        return self._entry.intent

    async def intend(self, first: int, last: int) -> None:
        """Say which range is worked on next. The sequences between may have gaps.

        Raises:
            Conflict: Someone else owns the place now: stop.
            Unavailable: It may be stored or not: call again, the same.
        """
        assert self._entry.intent in (None, (first, last)), "the open intent has to be done first"
        assert self._entry.after < first <= last
        await self._write(replace(self._entry, intent=(first, last)))

    async def commit(self, last: int) -> None:
        """The work up to `last` is done.

        Raises:
            Conflict: Someone else owns the place now: stop; they do the same range under the same token.
            Unavailable: It may be stored or not: call again, the same.
        """
        assert self._entry.intent is None or self._entry.intent[1] == last
        assert last >= self._entry.after
        await self._write(replace(self._entry, after=last, intent=None))

    async def _write(self, entry: Entry) -> None:
        body = msgspec.json.encode(entry)
        try:
            self._revision = await self._bus.put(BUCKET, self._key, body, revision=self._revision)
        except Conflict:
            found = await load(self._bus, self._key)
            if found is None or found[0].epoch != entry.epoch:
                owner = found[0].owner if found else "nobody"
                raise Conflict(f"{self._key} belongs to {owner} now, not to {entry.owner}.") from None
            # A write of ours was stored and its answer was lost: only the owner of the epoch writes.
            self._revision = await self._bus.put(BUCKET, self._key, body, revision=found[1])
        self._entry = entry


def key_of(stream: str, reader: str) -> str:
    """Where a place is kept; readers have no dot in their names, so that a stream's places are told apart."""
    if "." in stream or "." in reader:
        raise Invalid(f"{stream}.{reader} is no place: streams and readers have no dot in their names.")
    return f"{stream}.{reader}"


async def load(bus: Bus, key: str) -> tuple[Entry, int] | None:
    """What is stored under the key, and its revision.

    Raises:
        Invalid: A later version of Cerebro wrote it.
    """
    found = await bus.get(BUCKET, key)
    if found is None:
        return None
    entry = msgspec.json.decode(found.value, type=Entry)
    if entry.version not in (VERSION, VERSION - 1):
        raise Invalid(f"The place {key} has version {entry.version}; this reader knows {VERSION}.", "Upgrade it.")
    return entry, found.revision


async def places(bus: Bus, stream: str) -> dict[str, Entry]:
    """Every reader of the stream that has ever claimed a place, by name."""
    keys = [key for key in await bus.keys(BUCKET) if key.startswith(f"{stream}.")]
    found = {key.removeprefix(f"{stream}."): await load(bus, key) for key in keys}
    return {reader: entry[0] for reader, entry in found.items() if entry}


async def trim_to_slowest(bus: Bus, stream: str, main: str = "recorder") -> int:
    """Drop what every reader has done with; the last sequence that was dropped, 0 for none.

    Until `main`, the reader for which the stream exists, has claimed its place, nothing goes. When
    the stream is more than half full it alone holds the rest back: a slow detector may miss
    messages, a sender must not wait for it.
    """
    readers = await places(bus, stream)
    if main not in readers:
        return 0
    state = await bus.state(stream)
    crowded = state.byte_count > state.bytes_max * FULL_SHARE
    upto = readers[main].after if crowded else min(entry.after for entry in readers.values())
    if upto < state.first_sequence:
        return 0
    await bus.trim(stream, upto=upto)
    return upto
