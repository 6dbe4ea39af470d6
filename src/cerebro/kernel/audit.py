"""The hash-chained log of every change: who did what to which thing, when.

Each entry holds the hash of the one before it, so that an entry that was altered, taken out or put in
breaks the chain at its place. One chain a tenant. A checkpoint in the ordinary log, shipped elsewhere,
is what shows that the end was cut off: whoever can rewrite the whole database can rewrite a whole chain.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace

import msgspec

from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Collection, Page, Record, Records, Search, Transaction
from cerebro.spine.errors import Conflict
from cerebro.spine.identity import TenantId

log = get_log(__name__)
ORIGIN = "0" * 64  # what the first entry names as the hash before it
HEAD = "head"
PAGE = 1000
TRIES = 5  # of an own transaction, when two begin a tenant's chain at once


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, as it was written."""

    seq: int  # from 1, without a gap
    at_ms: int
    actor: str  # a login, `key:NAME` or "cerebro"
    action: str  # login user_made case_acknowledged …
    object: str  # user/ann, case/0190…
    detail: str  # a JSON object, canonical; a text, so that the database keeps every digit
    previous: str  # hash of the entry before, hex
    hash: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of a chain."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found. `broken_at` is 0 and `reason` empty when every entry stands as written."""

    count: int
    broken_at: int = 0
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.broken_at


ENTRIES = Collection("audit", AuditEntry, ("seq", "actor", "action", "object"), unique=(("seq",),))
HEADS = Collection("audit_heads", AuditHead)


class Audit:
    """Adds to the chains and checks them. Keeps nothing: make one wherever it is needed."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records, self._clock = records, clock

    async def append(
        self,
        tenant: TenantId,
        actor: str,
        action: str,
        object: str,
        detail: Mapping[str, object] | None = None,
        *,
        transaction: Transaction | None = None,
    ) -> AuditEntry:
        """Write one entry, together with the change it tells of when that one's `transaction` is given.

        Append last in a transaction: from here to its end all other appends of the tenant wait.
        The first entries of a tenant can cross in a `Conflict`.
        """
        draft = AuditEntry(0, self._clock.now_ms(), actor, action, object, canonical(detail or {}).decode(), ORIGIN, "")
        if transaction is not None:
            return await _append(transaction, tenant, draft)
        for left in range(TRIES - 1, -1, -1):
            try:
                async with self._records.transaction() as own:
                    return await _append(own, tenant, draft)
            except Conflict:
                if not left:
                    raise
        raise AssertionError

    async def page(self, tenant: TenantId, search: Search) -> Page[AuditEntry]:
        """Entries, newest first when `search.order` is `-seq`."""
        async with self._records.transaction() as transaction:
            return await transaction.find(ENTRIES, tenant, search)

    async def verify(self, tenant: TenantId) -> Verdict:
        """Walk the tenant's chain from its beginning and name the first entry that does not stand."""
        last = AuditHead(0, ORIGIN)
        try:
            end = await self._end(tenant)
            async for record in self._walk(tenant):
                if reason := _fault(last, record):
                    return Verdict(last.seq, last.seq + 1, reason)
                last = AuditHead(record.value.seq, record.value.hash)
                if last.seq == end.seq and last.hash != end.hash:
                    return Verdict(last.seq, last.seq, f"Entry {last.seq} is not the one that was recorded as the end.")
            later_end = await self._end(tenant)  # others may have appended since
        except msgspec.ValidationError:
            return Verdict(last.seq, last.seq + 1, f"What follows entry {last.seq} has not the form of an entry.")
        if last.seq < end.seq:
            return Verdict(last.seq, last.seq + 1, f"The entries from {last.seq + 1} to {end.seq} were cut off.")
        if last.seq > later_end.seq:
            return Verdict(
                later_end.seq, later_end.seq + 1, f"The recorded end is entry {later_end.seq}, and more follow."
            )
        return Verdict(last.seq)

    async def checkpoint(self, tenant: TenantId) -> AuditHead | None:
        """Write the end of the chain to the ordinary log, where it is out of the database's reach."""
        async with self._records.transaction() as transaction:
            head = await transaction.load(HEADS, tenant, HEAD, lock=False)
        if head:
            log.info("audit_checkpoint", tenant=tenant, seq=head.value.seq, hash=head.value.hash)
        return head.value if head else None

    async def _end(self, tenant: TenantId) -> AuditHead:
        async with self._records.transaction() as transaction:
            found = await transaction.load(HEADS, tenant, HEAD, lock=False)
        return found.value if found else AuditHead(0, ORIGIN)

    async def _walk(self, tenant: TenantId) -> AsyncIterator[Record[AuditEntry]]:
        cursor = ""
        while True:
            page = await self.page(tenant, Search({}, "seq", cursor, PAGE))
            for record in page.records:
                yield record
            cursor = page.cursor
            if not cursor:
                return


async def _append(transaction: Transaction, tenant: TenantId, draft: AuditEntry) -> AuditEntry:
    found = await transaction.load(HEADS, tenant, HEAD)
    head, version = (found.value, found.version) if found else (AuditHead(0, ORIGIN), 0)
    entry = sealed(replace(draft, seq=head.seq + 1, previous=head.hash))
    await transaction.save(HEADS, tenant, HEAD, AuditHead(entry.seq, entry.hash), version=version)
    await transaction.save(ENTRIES, tenant, _key(entry.seq), entry, version=0)
    return entry


def canonical(value: object) -> bytes:
    """JSON with sorted names and no blanks: the same bytes for the same value."""
    return msgspec.json.encode(value, order="sorted")


def sealed(entry: AuditEntry) -> AuditEntry:
    """The entry with its hash: SHA-256 of everything else in it, the hash before included."""
    body = canonical({name: value for name, value in asdict(entry).items() if name != "hash"})
    return replace(entry, hash=hashlib.sha256(body).hexdigest())


def _fault(expected: AuditHead, record: Record[AuditEntry]) -> str:
    """Why this record cannot be the one after `expected`; empty when it can."""
    entry = record.value
    if entry.seq != expected.seq + 1 or record.key != _key(entry.seq):
        return f"Entry {expected.seq + 1} is missing."
    if entry.previous != expected.hash:
        return f"Entry {entry.seq} does not follow from the one before it."
    return "" if sealed(entry).hash == entry.hash else f"Entry {entry.seq} was altered after it was written."


def _key(seq: int) -> str:
    return f"{seq:016d}"
