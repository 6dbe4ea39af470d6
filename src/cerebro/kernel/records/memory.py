"""Records in memory, for the seeded simulation: the same promises, gone with the process."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from cerebro.kernel.records.port import Collection, Page, Record, Scalar, Search, Transaction
from cerebro.kernel.records.shape import decode, encode, is_list, make_cursor, plain, read_cursor, storable
from cerebro.spine.errors import Conflict
from cerebro.spine.identity import TenantId

T = TypeVar("T")
Where = Mapping[str, Scalar | tuple[Scalar, ...]]
Place = tuple[str, TenantId, str]  # collection, tenant, key


@dataclass(frozen=True, slots=True)
class Row:
    """One stored value: its JSON, its version, and its fields as columns would hold them."""

    body: bytes
    version: int
    fields: Mapping[str, Any]


class MemoryRecords:
    """The driver without a database. Locks are by key, as in PostgreSQL."""

    def __init__(self) -> None:
        self.rows: dict[Place, Row] = {}
        self.locks = Locks()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        transaction = MemoryTransaction(self)
        try:
            yield transaction
            transaction.commit()
        finally:
            self.locks.release(transaction)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """As the port says."""
        return self._begin()

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryTransaction:
    """Changes kept apart until the end."""

    def __init__(self, records: MemoryRecords) -> None:
        self.done = asyncio.Event()  # set once committed or given up
        self._records = records
        self._changes: dict[Place, Row | None] = {}

    async def load(
        self, collection: Collection[T], tenant: TenantId, key: str, *, lock: bool = True
    ) -> Record[T] | None:
        """As the port says."""
        place = (collection.name, tenant, key)
        if lock and self._row(place):
            await self._records.locks.take(self, place)
        row = self._row(place)
        return decode(collection, key, row.body, row.version) if row else None

    async def save(self, collection: Collection[T], tenant: TenantId, key: str, value: T, *, version: int) -> int:
        """As the port says."""
        row = Row(encode(value), version + 1, _fields(collection, value))
        place = (collection.name, tenant, storable(key))
        await self._records.locks.take(self, place)
        for group in collection.unique:
            values = tuple(row.fields[field] for field in group)
            await self._records.locks.take(self, (f"{collection.name} by {group}", tenant, repr(values)))
        found = self._row(place)
        if (found.version if found else 0) != version or self._is_taken(collection, place, row):
            what = "exists already" if version == 0 else f"is no longer at version {version}"
            raise Conflict(f"{key} of {collection.name} {what}.", "Load it again, decide again.")
        self._changes[place] = row
        return row.version

    async def create(self, collection: Collection[T], tenant: TenantId, values: Mapping[str, T]) -> None:
        """As the port says."""
        before = dict(self._changes)
        try:
            for key, value in values.items():
                await self.save(collection, tenant, key, value, version=0)
        except Conflict:
            self._changes = before
            raise

    async def delete(self, collection: Collection[T], tenant: TenantId, key: str) -> None:
        """As the port says."""
        place = (collection.name, tenant, key)
        if self._row(place):
            await self._records.locks.take(self, place)
            self._changes[place] = None

    async def find(self, collection: Collection[T], tenant: TenantId, search: Search) -> Page[T]:
        """As the port says."""
        order, backwards = search.order.lstrip("-"), search.order.startswith("-")
        assert order == "key" or not is_list(collection, order), f"a list has no order: {order}"
        place = read_cursor(search) if search.after else ()
        found = [
            ((key,) if order == "key" else (row.fields[order], key), row)
            for key, row in self._visible(collection, tenant)
            if _matches(collection, key, row, search.where)
        ]
        found.sort(key=lambda entry: entry[0], reverse=backwards)
        if place:
            found = [entry for entry in found if (entry[0] < place if backwards else entry[0] > place)]
        shown = found[: search.limit]
        last = shown[-1][0] if len(found) > search.limit else None
        return Page(
            [decode(collection, spot[-1], row.body, row.version) for spot, row in shown],
            make_cursor(search.order, last[0], last[-1]) if last else "",
        )

    async def count(self, collection: Collection[T], tenant: TenantId, where: Where) -> int:
        """As the port says."""
        return sum(_matches(collection, key, row, where) for key, row in self._visible(collection, tenant))

    def commit(self) -> None:
        """Make the changes seen by all, at once."""
        for place, row in self._changes.items():
            if row is None:
                self._records.rows.pop(place, None)
            else:
                self._records.rows[place] = row

    def _row(self, place: Place) -> Row | None:
        return self._changes[place] if place in self._changes else self._records.rows.get(place)

    def _visible(self, collection: Collection[T], tenant: TenantId) -> Iterator[tuple[str, Row]]:
        for place, row in (self._records.rows | self._changes).items():
            if row is not None and place[:2] == (collection.name, tenant):
                yield place[2], row

    def _is_taken(self, collection: Collection[T], place: Place, row: Row) -> bool:
        others = [other for key, other in self._visible(collection, place[1]) if key != place[2]]
        return any(
            all(other.fields[field] == row.fields[field] for field in group)
            for group in collection.unique
            for other in others
        )


class Locks:
    """Who holds which key, and who waits for it. A circle of waiting is refused, not waited out."""

    def __init__(self) -> None:
        self._owner: dict[Place, MemoryTransaction] = {}
        self._wants: dict[MemoryTransaction, Place] = {}

    async def take(self, taker: MemoryTransaction, place: Place) -> None:
        """Hold the key until the transaction ends.

        Raises:
            Conflict: Its holder waits, at the end of the chain, for one of ours.
        """
        while (holder := self._owner.setdefault(place, taker)) is not taker:
            self._wants[taker] = place
            try:
                self._refuse_circle(taker)
                await holder.done.wait()
            finally:
                del self._wants[taker]

    def release(self, owner: MemoryTransaction) -> None:
        """Let go of everything the transaction holds, and wake who waits."""
        self._owner = {place: holder for place, holder in self._owner.items() if holder is not owner}
        owner.done.set()

    def _refuse_circle(self, taker: MemoryTransaction) -> None:
        holder = self._owner[self._wants[taker]]
        while holder is not taker:
            if holder not in self._wants:
                return
            holder = self._owner[self._wants[holder]]
        raise Conflict("Two changes crossed.", "Load again, decide again.")


def _fields(collection: Collection[T], value: T) -> dict[str, Any]:
    """The fields as PostgreSQL's generated columns would have them."""
    built = msgspec.to_builtins(value)
    return {
        field: [plain(one) for one in built[field]] if is_list(collection, field) else plain(built[field])
        for field in collection.fields
    }


def _matches(collection: Collection[T], key: str, row: Row, where: Where) -> bool:
    for field, wanted in where.items():
        wanteds = [plain(one) for one in wanted] if isinstance(wanted, tuple) else [plain(wanted)]
        have = key if field == "key" else row.fields[field]
        haves = have if is_list(collection, field) else [have]
        if not any(one in wanteds for one in haves):
            return False
    return True
