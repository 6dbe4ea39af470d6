"""The role `brain`: findings from the bus into cases, what is due by time alone, and notices to the outside."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from cerebro.casework import metrics, notify
from cerebro.casework.cause.investigate import Investigator
from cerebro.casework.cause.stored import StoreSource
from cerebro.casework.desk import Desk
from cerebro.casework.executors.webhook import Webhook
from cerebro.casework.hands.asker import Asker
from cerebro.casework.hands.reach import Doors
from cerebro.casework.hands.users import StoredUsers
from cerebro.casework.hands.work import Hands
from cerebro.casework.seal import Sealer
from cerebro.casework.store import NOTICES, Notice, known_tenants
from cerebro.casework.topology.surveyor import Surveyor
from cerebro.kernel.bus.port import Message
from cerebro.kernel.bus.position import Entry, Place, key_of, load, trim_to_slowest
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel, Task
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import span
from cerebro.kernel.records.port import Search
from cerebro.spine.errors import Conflict, Invalid, Unavailable
from cerebro.spine.findings import Finding
from cerebro.spine.identity import SELF_TENANT, TenantId

log = get_log(__name__)

STREAM = "findings"
READER = "brain"
BATCH_MAX = 100  # messages of one reading
ADMITTED_MAX = 500  # findings of one transaction
BATCH_BYTES_MAX = 8 << 20
WAIT_S = 1.0
STANDBY_S = 10.0
SWEEP_S = 5.0
ROUND_S = 1.0  # between two looks for notices that are due
ROUND_MAX = 50
TRIM_S = 60.0  # between two trims of the stream

NUL = b"\\u0000"  # as JSON has it

_decoder = msgspec.json.Decoder(list[Finding])


def tasks(kernel: Kernel) -> Sequence[Task]:
    """What the role `brain` runs.

    Raises:
        Invalid: The address of the webhook or of the chat would carry cases in the clear.
    """
    hands = Hands(kernel, StoredUsers(kernel.telemetry, kernel.clock), Doors(kernel))
    investigator = Investigator(kernel, StoreSource(kernel.telemetry))
    found: list[Task] = [Brain(kernel), Sweeper(kernel), Sealer(kernel), investigator, hands, Surveyor(kernel)]
    if kernel.settings.casework.webhook_url:
        found.append(Messenger(kernel))
    if kernel.settings.hands.chat_url:
        found.append(Asker(kernel))
    return found


class Brain:
    """Reads findings and brings them into cases.

    A batch is committed to the store of record before the reader's place moves on; what a crash
    between the two delivers again is known there and changes nothing.
    """

    name = "brain"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._desk = Desk(kernel)
        self._trimmed_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set; while another brain owns the place, stand by."""
        while not stop.is_set():
            place = await Place.claim(self._kernel.bus, STREAM, READER, self._kernel.clock.new_id())
            try:
                await self._read(place, stop)
            except Conflict as error:
                log.warning("brain_stands_by", reason=error.detail)
                await self._stand_by(stop)

    async def _read(self, place: Place, stop: asyncio.Event) -> None:
        while not stop.is_set():
            messages = await self._kernel.bus.read(
                STREAM, after=place.after, count_max=BATCH_MAX, bytes_max=BATCH_BYTES_MAX, wait_s=WAIT_S
            )
            if messages:
                await self.take(messages)
                await place.commit(messages[-1].sequence)
                await self._trim()

    async def _trim(self) -> None:
        """Let go of what is in the store of record, now and then."""
        now_s = self._kernel.clock.monotonic_s()
        if now_s - self._trimmed_s > TRIM_S:
            self._trimmed_s = now_s
            await trim_to_slowest(self._kernel.bus, STREAM, main=READER)

    async def _stand_by(self, stop: asyncio.Event) -> None:
        """Return when findings wait and the owner of the place has not moved for `STANDBY_S`."""
        before: Entry | None = None
        while not stop.is_set():
            found = await load(self._kernel.bus, key_of(STREAM, READER))
            state = await self._kernel.bus.state(STREAM)
            if found and found[0] == before and before.after < state.last_sequence:
                return
            before = found[0] if found else None
            await pause(self._kernel.clock, stop, STANDBY_S)

    async def take(self, messages: Iterable[Message]) -> None:
        """Admit the findings of some messages, tenant by tenant.

        Raises:
            Unavailable: The store of record does not take them now. Take the same messages again.
        """
        by_tenant: dict[TenantId, list[Finding]] = {}
        for message in messages:
            for finding in _read(message):
                by_tenant.setdefault(finding.tenant, []).append(finding)
        for tenant, findings in by_tenant.items():
            for first in range(0, len(findings), ADMITTED_MAX):
                some = findings[first : first + ADMITTED_MAX]
                with span("admit", tenant, findings=len(some)), metrics.BATCH_SECONDS.time():
                    await self._admit(tenant, some)

    async def _admit(self, tenant: TenantId, findings: Sequence[Finding]) -> None:
        try:
            await self._desk.admit(tenant, findings)
        except Invalid as error:
            if len(findings) == 1:
                metrics.FINDINGS.labels("refused").inc()
                log.warning("finding_refused", tenant=tenant, finding_id=findings[0].id, reason=error.detail)
                return
            for finding in findings:
                await self._admit(tenant, [finding])


class Sweeper:
    """Does what only the passing of time brings: cases that resolve, silences that end."""

    name = "sweeper"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._desk = Desk(kernel)

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every `SWEEP_S` until `stop` is set."""
        while not stop.is_set():
            async with self._kernel.records.transaction() as transaction:
                tenants = await known_tenants(transaction)
            for tenant in tenants:
                await self._desk.sweep(tenant)
            await pause(self._kernel.clock, stop, SWEEP_S)


class Messenger:
    """Tells the outside what has changed, each change at least once, oldest first.

    A notice is written in the transaction of its change, so none is lost; it is tried again with
    growing pauses, and a failure ends the round, for the next notice would go to the same place.
    """

    name = "messenger"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._clock = kernel.clock
        self._secret = kernel.settings.casework.webhook_secret
        notify.check_address(kernel.settings.casework.webhook_url)
        self._webhook = Webhook(kernel.settings.casework.webhook_url)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set."""
        try:
            while not stop.is_set():
                if not await self.round():
                    await pause(self._clock, stop, ROUND_S)
        finally:
            await self._webhook.close()

    async def round(self) -> int:
        """Send what is due now, up to the first failure; how many went out."""
        search = Search({"state": "due"}, order="due_ms", limit=ROUND_MAX)
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(NOTICES, SELF_TENANT, search)
        sent_count = 0
        for record in page.records:
            if record.value.due_ms > self._clock.now_ms() or not await self._attempt(record.key):
                break
            sent_count += 1
        return sent_count

    async def _attempt(self, key: str) -> bool:
        """Send one notice; whether it arrived. One that someone else is sending is left to them."""
        async with self._kernel.records.transaction() as transaction:
            record = await transaction.load(NOTICES, SELF_TENANT, key)
            if record is None or record.value.state != "due" or record.value.due_ms > self._clock.now_ms():
                return True
            notice = notify.begun(record.value, self._clock.now_ms())
            await transaction.save(NOTICES, SELF_TENANT, key, notice, version=record.version)
        error = await self._send(notice)
        after = notify.ended(notice, self._clock.now_ms(), error, self._clock.chance.random())
        with suppress(Conflict):  # the lease was over, and someone else has taken it up
            async with self._kernel.records.transaction() as transaction:
                if error:
                    await transaction.save(NOTICES, SELF_TENANT, key, after, version=record.version + 1)
                else:
                    await transaction.delete(NOTICES, SELF_TENANT, key)
        metrics.NOTICES.labels("failed" if error else "sent").inc()
        if after.state == "dead":
            log.error("notice_given_up", notice_id=key, case_id=notice.case, change=notice.change, reason=error)
        elif error:
            log.warning("notice_failed", notice_id=key, case_id=notice.case, attempt=notice.attempt_count, reason=error)
        return not error

    async def _send(self, notice: Notice) -> str:
        """Why the notice did not arrive; empty when it did."""
        headers = {"x-cerebro-delivery": notice.id, "x-cerebro-change": notice.change}
        if self._secret:
            headers["x-cerebro-signature"] = notify.sign(self._secret, notice.body, self._clock.now_ms() // 1000)
        try:
            await self._webhook.post(notice.body, headers)
        except Unavailable as error:
            return error.detail
        return ""


def _read(message: Message) -> Sequence[Finding]:
    """The findings in the message, one or a list; a message that holds none is counted and passed over."""
    tenant = message.subject.rpartition(".")[2]
    body = message.body if message.body[:1] == b"[" else b"[" + message.body + b"]"
    try:
        findings = _decoder.decode(body)
        if NUL in body:  # the store of record cannot hold it, and no trouble may hide behind it
            findings = msgspec.convert(_without_nul(msgspec.to_builtins(findings)), list[Finding])
    except msgspec.MsgspecError as error:
        reason = str(error)
    else:
        if all(finding.tenant == tenant for finding in findings):
            return findings
        reason = "it names another tenant than its subject"
    metrics.FINDINGS.labels("unreadable").inc()
    log.warning("finding_unreadable", subject=message.subject, sequence=message.sequence, reason=reason)
    return ()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(inner) for name, inner in value.items()}
    return [_without_nul(inner) for inner in value] if isinstance(value, list | tuple) else value
