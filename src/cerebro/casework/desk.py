"""The only writer of findings, cases and silences. Each call is one transaction, then one word to who listens."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec

from cerebro.casework import life, metrics, silence
from cerebro.casework.correlate import Limits, Ties
from cerebro.casework.decide import decide
from cerebro.casework.history import BY_HAND, learn
from cerebro.casework.lines import case_line, finding_line
from cerebro.casework.regroup import merged_by, split_by
from cerebro.casework.silence import Silence
from cerebro.casework.store import (
    CASES,
    FINDINGS,
    SILENCES,
    SILENCES_MAX,
    TENANTS,
    KeptCase,
    KeptFinding,
    Known,
    every,
    keep_case,
    keep_finding,
    running_silences,
)
from cerebro.casework.tying import Tying
from cerebro.casework.unit import WAITING_MAX, KnownDocket, Unit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record, Search, Transaction
from cerebro.spine.cases import LIVE, Case, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Conflict, LimitReached, NotFound, Unavailable
from cerebro.spine.findings import Finding
from cerebro.spine.identity import SELF_TENANT, CaseId, TenantId

log = get_log(__name__)

ATTEMPTS_MAX = 5  # of a transaction that crosses another
REMEMBERED_MAX = 50

T = TypeVar("T")
Verb = Callable[[Case], "Case | life.Refusal"]
Also = Callable[[Transaction], Awaitable[None]]


class Stale(Conflict):
    """The case is another than the one that the caller saw, or does not allow this; asking again is no use."""


class Desk:
    """Where findings are taken in, cases are changed and silences kept.

    Args:
        kernel: Its records are the truth; its bus carries what has changed to who listens.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._clock = kernel.clock
        self._settings = kernel.settings.casework
        self._limits = Limits.of(kernel.settings.casework)
        self._notifies = bool(kernel.settings.casework.webhook_url)
        self._known: set[TenantId] = set()
        self._dockets: dict[TenantId, KnownDocket] = {}
        self._tying = Tying(kernel)

    async def admit(self, tenant: TenantId, findings: Sequence[Finding]) -> Sequence[KeptFinding]:
        """Bring the findings into their cases, all or none; what was admitted before is passed over.

        Returns:
            The findings that were new, as they are kept.
        """

        ties = await self._tying.of(tenant)

        async def work(transaction: Transaction) -> tuple[list[KeptFinding], list[Case]]:
            unit = await self._unit(transaction, tenant)
            await self._know(transaction, tenant)
            unseen = await unit.unseen(findings)
            await unit.look_for_clearings(unseen)
            for finding in unseen:
                await self._take(unit, finding, ties)
            new = [row for row, version in unit.rows.values() if version == 0]
            return new, await unit.save()

        new, changed = await self._atomically(work)
        self._known.add(tenant)
        metrics.FINDINGS.labels("repeated").inc(len(findings) - len(new))
        for row in new:
            metrics.FINDINGS.labels(_outcome(row)).inc()
            metrics.FINDING_AGE_SECONDS.observe(max(0, self._clock.now_ms() - row.seen_ms) / 1000)
            await self._tell(tenant, "finding", finding_line(row, row.case, row.silence))
        await self._tell_cases(tenant, changed)
        return new

    async def change(
        self,
        tenant: TenantId,
        case_id: CaseId,
        verb: Verb,
        *,
        version: int | None = None,
        also: Also | None = None,
        tells: Collection[str] = (),
    ) -> Record[KeptCase]:
        """Do to the case what a person asks.

        Args:
            verb: From the case as it is to the case as it shall be, or to the reason why not.
            version: The one that the person saw; `None` when they do not mind which.
            also: Happens last in the same transaction, or the change does not.
            tells: Kinds of changes that are told outside beside those that always are.

        Raises:
            NotFound: The tenant has no such case.
            Stale: It has another version, or the verb refused.
        """

        async def work(transaction: Transaction) -> tuple[Case, int, list[Case]]:
            unit = await self._unit(transaction, tenant, decides=False)
            case = await unit.case(case_id)
            if case is None:
                raise NotFound(f"There is no case {case_id}.")
            if version is not None and version != unit.version(case_id):
                raise Stale(f"Someone else changed case {case_id} first.", "Load it again, and decide again.")
            after = verb(case)
            if isinstance(after, life.Refusal):
                raise Stale(after.value)
            unit.put(after)
            unit.told |= frozenset(tells)
            changed = await unit.save()
            if also:
                await also(transaction)
            return after, unit.version(case_id), changed

        after, before_version, changed = await self._atomically(work)
        await self._tell_cases(tenant, changed)
        return Record(after.id, keep_case(after), before_version + bool(changed))

    async def merge(
        self, tenant: TenantId, case_id: CaseId, other_id: CaseId, by: str, *, also: Also | None = None
    ) -> Record[KeptCase]:
        """Make two cases one, as a person asks; such two are tied from now on.

        Raises:
            NotFound: The tenant has no such case.
            Stale: One of them is closed.
        """

        async def work(unit: Unit) -> Case:
            case, other = await self._found(unit, case_id), await self._found(unit, other_id)
            made = merged_by(case, other, by, unit.now_ms)
            if isinstance(made, life.Refusal):
                raise Stale(made.value)
            for each in made:
                unit.put(each)
            await learn(unit.transaction, tenant, case, [other], weight=BY_HAND)
            return made[0]

        return await self._regroup(tenant, work, also)

    async def split(
        self,
        tenant: TenantId,
        case_id: CaseId,
        keys: frozenset[str],
        entities: frozenset[EntityKey],
        by: str,
        *,
        also: Also | None = None,
    ) -> Record[KeptCase]:
        """Make a case of some of a case's troubles, as a person asks: those of these keys and of these entities.

        Raises:
            NotFound: The tenant has no such case.
            Stale: It is closed, or one of the two would be left with nothing.
        """

        async def work(unit: Unit) -> Case:
            case = await self._found(unit, case_id)
            chosen = {signal.key for signal in case.signals if signal.key in keys or signal.entity in entities}
            made = split_by(case, chosen, CaseId(self._clock.new_id()), by, unit.now_ms)
            if isinstance(made, life.Refusal):
                raise Stale(made.value)
            for each in made:
                unit.put(each)
            await unit.move(case_id, made[1].id, chosen)
            await learn(unit.transaction, tenant, made[0], [made[1]], weight=-BY_HAND)
            return made[1]

        return await self._regroup(tenant, work, also)

    async def _regroup(
        self, tenant: TenantId, change: Callable[[Unit], Awaitable[Case]], also: Also | None
    ) -> Record[KeptCase]:
        async def work(transaction: Transaction) -> tuple[Case, int, list[Case]]:
            unit = await self._unit(transaction, tenant)
            case = await change(unit)
            changed = await unit.save()
            if also:
                await also(transaction)
            return case, unit.version(case.id), changed

        case, before_version, changed = await self._atomically(work)
        await self._tell_cases(tenant, changed)
        return Record(case.id, keep_case(case), before_version + 1)

    async def _found(self, unit: Unit, case_id: CaseId) -> Case:
        case = await unit.case(case_id)
        if case is None:
            raise NotFound(f"There is no case {case_id}.")
        return case

    async def silence(self, wanted: Silence, also: Also | None = None) -> Silence:
        """Keep the silence from its start on.

        Raises:
            Invalid: It covers everything, or lasts too long.
            LimitReached: As many run as a tenant may have.
        """
        kept = self.checked(wanted)

        async def work(transaction: Transaction) -> None:
            if await transaction.count(SILENCES, kept.tenant, {"live": True}) >= SILENCES_MAX:
                raise LimitReached(f"{SILENCES_MAX} silences run already.", "End some of them first.")
            await self._know(transaction, kept.tenant)
            await transaction.save(SILENCES, kept.tenant, kept.id, kept, version=0)
            if also:
                await also(transaction)

        await self._atomically(work)
        self._known.add(kept.tenant)
        return kept

    def checked(self, wanted: Silence) -> Silence:
        """The silence as it is kept.

        Raises:
            Invalid: It covers everything, or lasts too long.
        """
        return silence.asked(wanted, self._settings.silence_s_max)

    async def end_silence(self, tenant: TenantId, silence_id: str, also: Also | None = None) -> None:
        """The silence is over: what it held back and still stands is told now.

        Raises:
            NotFound: The tenant has no such silence running.
        """

        ties = await self._tying.of(tenant)

        async def work(transaction: Transaction) -> list[Case]:
            record = await transaction.load(SILENCES, tenant, silence_id)
            if record is None or not record.value.live:
                raise NotFound(f"There is no silence {silence_id} running.")
            over = replace(record.value, live=False, ends_ms=min(record.value.ends_ms, self._clock.now_ms()))
            await transaction.save(SILENCES, tenant, silence_id, over, version=record.version)
            unit = await self._unit(transaction, tenant)
            await self._release(unit, silence_id, ties)
            changed = await unit.save()
            if also:
                await also(transaction)
            return changed

        await self._tell_cases(tenant, await self._atomically(work))

    async def sweep(self, tenant: TenantId) -> None:
        """Do what is due by time alone: resolve the cases that have been quiet, end the silences that are over."""
        async with self._kernel.records.transaction() as transaction:
            settling = [record.value async for record in every(transaction, CASES, tenant, Search({"settling": True}))]
            silences = await running_silences(transaction, tenant)
        now_ms = self._clock.now_ms()
        for case in settling:
            if life.settled(case, now_ms, self._limits) != case:
                await self._settle(tenant, case.id)
        for each in silences:
            if each.ends_ms <= now_ms:
                await self._expire(tenant, each)

    async def _settle(self, tenant: TenantId, case_id: CaseId) -> None:
        def verb(case: Case) -> Case:
            return life.settled(case, self._clock.now_ms(), self._limits)

        try:
            record = await self.change(tenant, case_id, verb)
        except NotFound:
            return
        if record.value.state is CaseState.RESOLVED:
            await self._remember(tenant, record.value)
        log.info("case_resolved", tenant=tenant, case_id=case_id, state=record.value.state.value)

    async def _remember(self, tenant: TenantId, case: Case) -> None:
        """Note which troubles came together with those of a case that is over: of the last `REMEMBERED_MAX` such."""
        over = Search({"state": CaseState.RESOLVED.value}, order="-updated_ms", limit=REMEMBERED_MAX)
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(CASES, tenant, over)
            others = [
                record.value
                for record in page.records
                if record.key != case.id and abs(record.value.began_ms - case.began_ms) <= self._limits.join_ms
            ]
            await learn(transaction, tenant, case, others, weight=1)

    async def _expire(self, tenant: TenantId, over: Silence) -> None:
        try:
            await self.end_silence(tenant, over.id)
        except NotFound:
            return  # someone ended it between our look and now
        log.info("silence_ended", tenant=tenant, silence_id=over.id)

    async def _unit(self, transaction: Transaction, tenant: TenantId, *, decides: bool = True) -> Unit:
        unit = Unit(transaction, tenant, self._clock.now_ms(), self._limits, self._notifies)
        unit.known = self._dockets.setdefault(tenant, KnownDocket())
        unit.silences = await running_silences(transaction, tenant)
        unit.decides = decides
        if decides:
            await unit.open()
        return unit

    async def _take(self, unit: Unit, finding: Finding, ties: Ties) -> None:
        """Put one finding where it belongs."""
        quiet = None if finding.cleared else silence.covering(unit.silences, finding, unit.now_ms)
        if quiet:
            unit.write(keep_finding(finding, silence=quiet.id))
            return
        docket, reason = unit.known.docket, ""
        if finding.cleared:
            wanted: Sequence[CaseId] = docket.holding(finding.dedup_key)
        else:
            joining = docket.joining(finding, self._limits, ties)
            wanted, reason = joining.cases, joining.reason
        found = [case for case_id in wanted if (case := await unit.case(case_id)) is not None]
        if any((case.state in LIVE) != docket.lines[case.id].live for case in found):
            raise Conflict("Someone ended or reopened a case meanwhile.", "Decide again.")
        made = decide(
            finding,
            found,
            reason,
            [] if finding.cleared else unit.waiting(finding.dedup_key),
            now_ms=unit.now_ms,
            new_id=self._clock.new_id,
        )
        is_plain = len(made.changed) == 1 and not finding.cleared
        for case in made.changed:
            unit.put(case, finding if is_plain else None)
        unit.write(keep_finding(finding, made.case))
        for claimed in made.claimed:
            unit.write(keep_finding(claimed, made.case))

    async def _release(self, unit: Unit, silence_id: str, ties: Ties) -> None:
        """Take in what a silence held back, unless it has cleared since or another silence covers it."""
        held = Search({"silence": silence_id, "case": ""}, order="seen_ms", limit=WAITING_MAX)
        page = await unit.transaction.find(FINDINGS, unit.tenant, held)
        await unit.look_for_clearings([record.value for record in page.records])
        for record in page.records:
            row = record.value
            if all(clearing.seen_ms < row.seen_ms for clearing in unit.waiting(row.dedup_key)):
                unit.rows[row.mark] = row, record.version
                await self._take(unit, row, ties)

    async def _know(self, transaction: Transaction, tenant: TenantId) -> None:
        if tenant in self._known or await transaction.load(TENANTS, SELF_TENANT, tenant):
            return
        await transaction.save(TENANTS, SELF_TENANT, tenant, Known(tenant), version=0)

    async def _atomically(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """The work in one transaction, again when it crossed another one.

        Raises:
            Unavailable: It crossed others `ATTEMPTS_MAX` times.
        """
        for _ in range(ATTEMPTS_MAX):
            is_done = False
            try:
                async with self._kernel.records.transaction() as transaction:
                    made = await work(transaction)
                is_done = True
            except Stale:
                raise
            except Conflict as error:
                log.debug("transaction_crossed", detail=error.detail)
            finally:
                if not is_done:
                    self._dockets.clear()  # they may hold what was not stored
            if is_done:
                return made
        raise Unavailable("Other changes kept crossing this one.", "Try again in a moment.")

    async def _tell_cases(self, tenant: TenantId, changed: Sequence[Case]) -> None:
        for case in changed:
            await self._tell(tenant, "case", case_line(case))

    async def _tell(self, tenant: TenantId, kind: str, line: object) -> None:
        await self._kernel.bus.broadcast(f"live.{tenant}.{kind}", msgspec.json.encode(line))


def _outcome(row: KeptFinding) -> str:
    if row.silence:
        return "silenced"
    return ("cleared" if row.cleared else "joined") if row.case else "waiting"
