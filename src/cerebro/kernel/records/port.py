"""What must be right: cases, findings, users, keys. Typed collections with optimistic versions.

A collection is a table whose `body` is the value as JSON; the fields it can be searched by
are named here and are generated columns made in a migration. The audit log and background
jobs have homes of their own (`kernel/audit.py`, `kernel/jobs.py`) on the same PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cerebro.spine.identity import TenantId

T = TypeVar("T")
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Collection(Generic[T]):
    """A table of values of one type, a frozen dataclass or msgspec Struct.

    Args:
        name: The table.
        type: Of the values; encoded as JSON by msgspec.
        fields: Top-level fields of the value that `find` can filter and order by. A list field
            (`tuple[str, ...]`) is filtered by containment; an `EntityKey` is compared as its
            text, `host/web-7`. They are always present and never `None`.
        unique: Groups of fields that no two values of a tenant may share.
    """

    name: str
    type: type[T]
    fields: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A stored value with the version that a change must name."""

    key: str
    value: T
    version: int


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for: every filter must hold; a tuple holds when one of its values does.

    `key` can be filtered by like a field.
    """

    where: Mapping[str, Scalar | tuple[Scalar, ...]]
    order: str = "key"  # `key` or a field; a leading `-` turns it round; ties go by key, the same way round
    after: str = ""  # the `cursor` of the page before
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of what was found; `cursor` is empty on the last."""

    records: Sequence[Record[T]]
    cursor: str


class Transaction(Protocol):
    """Reads and changes that happen together or not at all."""

    async def load(
        self, collection: Collection[T], tenant: TenantId, key: str, *, lock: bool = True
    ) -> Record[T] | None:
        """The value of the key, locked until the transaction ends; `lock=False` only to show it."""
        ...

    async def save(self, collection: Collection[T], tenant: TenantId, key: str, value: T, *, version: int) -> int:
        """Store the value and return its new version; `version=0` only creates.

        Raises:
            Conflict: The key has another version or exists already, or a `unique` group is taken.
                Nothing was stored; after `version=0` the transaction may go on.
            Invalid: The value holds what JSON in PostgreSQL cannot: a NUL, or half a surrogate pair.
        """
        ...

    async def create(self, collection: Collection[T], tenant: TenantId, values: Mapping[str, T]) -> None:
        """Store new values by their keys, all at once: many cost little more than one.

        Raises:
            Conflict: A key exists already, or a `unique` group is taken. Nothing was stored.
            Invalid: As `save` does.
        """
        ...

    async def delete(self, collection: Collection[T], tenant: TenantId, key: str) -> None:
        """Forget the key; nothing happens when it is not there."""
        ...

    async def find(self, collection: Collection[T], tenant: TenantId, search: Search) -> Page[T]:
        """One page of the values that match.

        Raises:
            Invalid: `after` is not the cursor of a page in this order.
        """
        ...

    async def count(
        self, collection: Collection[T], tenant: TenantId, where: Mapping[str, Scalar | tuple[Scalar, ...]]
    ) -> int:
        """How many values match."""
        ...


class Records(Protocol):
    """The store of record."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Serialisable as far as it reads by key: a loaded record is locked, so that changes queue up.

        Raises:
            Unavailable: The database does not answer, or is failing over. Run the whole transaction again.
            LimitReached: No room on its disk.
            Conflict: Two transactions crossed. Run the whole transaction again.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        ...
