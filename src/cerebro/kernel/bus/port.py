"""The bus: streams that keep messages in order, small shared state, and live broadcasts.

Readers keep their own place, as `position.py` does with a compare-and-set, so that a reader
commits its place and its work together. The bus is the road, not the record.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A durable, ordered sequence of messages, bounded in bytes and in age.

    Args:
        name: Of the stream; letters, digits and `_`.
        subjects: What it stores; `*` stands for one word, `>` for the rest.
        bytes_max: When reached, `publish` answers `LimitReached`; nothing old is dropped for it.
        age_s_max: Messages older than this go.
        dedup_s: For how long a `dedup_key` is remembered.
    """

    name: str
    subjects: tuple[str, ...]
    bytes_max: int
    age_s_max: float
    dedup_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message. `sequence` counts from 1 in its stream and is never used twice."""

    subject: str
    body: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class StreamState:
    """How full a stream is. An empty stream has `first_sequence == last_sequence + 1`."""

    first_sequence: int
    last_sequence: int
    byte_count: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A value of the shared state, with the revision that a compare-and-set must name."""

    value: bytes
    revision: int


class Bus(Protocol):
    """Streams, shared state (`bucket`/`key`), objects, broadcasts."""

    async def declare(self, stream: StreamSpec) -> None:
        """Make the stream, or bring its limits to these. Its messages stay."""
        ...

    async def publish(self, subject: str, body: bytes, *, dedup_key: str) -> int:
        """Store the message durably, then return its sequence.

        The same `dedup_key` again, while remembered, stores nothing and returns the first one's sequence.

        Raises:
            LimitReached: The stream is full. Slow down; nothing was stored.
            TooLarge: The body is over `body_bytes_max`; nothing was stored.
            Unavailable: No answer in time. Publish again with the same key.
        """
        ...

    async def read(
        self, stream: str, *, after: int, count_max: int, bytes_max: int, wait_s: float, subject: str = ""
    ) -> Sequence[Message]:
        """The next messages after sequence `after`, in order, at least one unless `wait_s` passes.

        Returns as soon as something is there: never waits to fill up. Several readers do not
        disturb each other. Messages already gone are skipped, so the first sequence may jump.
        `subject` narrows the stream to a filter with wildcards.

        Raises:
            Unavailable: The bus does not answer. Read again from the same place.
        """
        ...

    async def trim(self, stream: str, *, upto: int) -> None:
        """Drop every message with a sequence of at most `upto`."""
        ...

    async def state(self, stream: str) -> StreamState:
        """How full the stream is now."""
        ...

    async def get(self, bucket: str, key: str) -> Stored | None:
        """The value of the key, or `None`."""
        ...

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Store the value durably and return its new revision.

        `revision=None` overwrites whatever is there; `0` only creates; another number is a
        compare-and-set against that revision.

        Raises:
            Conflict: The key has another revision. Nothing was stored.
        """
        ...

    async def keys(self, bucket: str) -> Sequence[str]:
        """Every key of the bucket, sorted; empty when there is no such bucket."""
        ...

    async def put_object(self, bucket: str, name: str, body: bytes) -> None:
        """Store a body of any size; whole or not at all."""
        ...

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        """The last body stored under the name, or `None`."""
        ...

    async def broadcast(self, subject: str, body: bytes) -> None:
        """Tell whoever listens now; nobody keeps it."""
        ...

    def listen(self, subject: str) -> AsyncIterator[Message]:
        """Broadcasts from now on (sequence 0); at most 1,000 wait, then the oldest go and are counted."""
        ...

    async def close(self) -> None:
        """Let go of the connection. Safe to call twice."""
        ...
