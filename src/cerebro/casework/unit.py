"""What one transaction of casework loads, changes and writes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from cerebro.casework import metrics, notify, silence
from cerebro.casework.correlate import Docket, Limits
from cerebro.casework.silence import Silence
from cerebro.casework.store import (
    CASES,
    FINDINGS,
    JOINABLE,
    NOTICES,
    SCENES,
    KeptFinding,
    Scene,
    every,
    keep_case,
    mark,
)
from cerebro.kernel.records.port import Search, Transaction
from cerebro.spine.cases import LIVE, Case, CaseState
from cerebro.spine.findings import Finding
from cerebro.spine.identity import SELF_TENANT, CaseId, TenantId

WAITING_MAX = 1000  # clearings looked at for one batch


@dataclass(slots=True)
class KnownDocket:
    """The docket of a tenant as this process last read or wrote it; good while its version is the stored one."""

    version: int = -1
    docket: Docket = field(default_factory=Docket)


@dataclass(slots=True)
class Unit:
    """What one transaction has loaded and changed, and writes once, at its end."""

    transaction: Transaction
    tenant: TenantId
    now_ms: int
    limits: Limits
    notifies: bool
    silences: list[Silence] = field(default_factory=list)
    rows: dict[str, tuple[KeptFinding, int]] = field(default_factory=dict)  # by mark, with the version found
    clearings: dict[str, tuple[KeptFinding, int]] = field(default_factory=dict)  # kept ones that found no case, by mark
    _cases: dict[CaseId, tuple[Case | None, int]] = field(default_factory=dict)
    _now: dict[CaseId, Case] = field(default_factory=dict)
    known: KnownDocket = field(default_factory=KnownDocket)
    told: frozenset[str] = notify.TOLD  # kinds of changes that a notice is made of
    decides: bool = True  # where findings go; else it changes cases that it is told of, and locks nothing but these
    _is_listed: bool = False  # the list of joinable cases is to be written

    async def open(self) -> Docket:
        """Become the one who decides: lock the list of the cases that can be joined, and know them all."""
        record = await self.transaction.load(SCENES, self.tenant, JOINABLE)
        if record is None:
            await self._found()
            record = await self.transaction.load(SCENES, self.tenant, JOINABLE)
            assert record is not None
        if record.version != self.known.version:
            self.known.docket = Docket()
            for case_id in record.value.cases:
                found = await self.transaction.load(CASES, self.tenant, case_id, lock=False)
                if found is not None and self._joinable(found.value):
                    self.known.docket.put(found.value)
            self.known.version = record.version
        for line in list(self.known.docket.lines.values()):
            if line.state is CaseState.RESOLVED and self.now_ms - line.resolved_ms >= self.limits.reopen_ms:
                self._is_listed |= self.known.docket.drop(line.id)
        return self.known.docket

    async def _found(self) -> None:
        """Begin the list with the cases that are live: the first time, or after an upgrade."""
        live = [case.key async for case in every(self.transaction, CASES, self.tenant, Search({"live": True}))]
        await self.transaction.save(SCENES, self.tenant, JOINABLE, Scene(tuple(map(CaseId, live))), version=0)

    async def case(self, case_id: CaseId) -> Case | None:
        """The case as it stands in this transaction, locked."""
        if case_id not in self._now:
            record = await self.transaction.load(CASES, self.tenant, case_id)
            if record is None:
                return None
            self._cases[case_id] = record.value, record.version
            self._now[case_id] = record.value
        return self._now[case_id]

    def put(self, case: Case, finding: Finding | None = None) -> None:
        """The case is to be this one; with `finding`, it has taken in that one and is what it was otherwise."""
        self._cases.setdefault(case.id, (None, 0))
        self._now[case.id] = case
        docket = self.known.docket
        if not self.decides:
            return
        if not self._joinable(case):
            self._is_listed |= docket.drop(case.id)
        else:
            self._is_listed |= docket.note(case, finding) if finding else docket.put(case)

    async def move(self, source: CaseId, target: CaseId, keys: Collection[str]) -> None:
        """The findings of these troubles belong to another case; at most `WAITING_MAX`, the newest."""
        search = Search({"case": source, "dedup_key": tuple(sorted(keys))}, order="-seen_ms", limit=WAITING_MAX)
        for record in (await self.transaction.find(FINDINGS, self.tenant, search)).records:
            self.rows[record.value.mark] = replace(record.value, case=target), record.version

    def version(self, case_id: CaseId) -> int:
        """The version of the case as it was loaded."""
        return self._cases[case_id][1]

    async def unseen(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that are not kept yet, each once."""
        by_mark: dict[str, Finding] = {}
        for finding in findings:
            by_mark.setdefault(mark(finding), finding)
        marks, ids = tuple(by_mark), tuple({finding.id for finding in findings})
        seen = await self.transaction.find(FINDINGS, self.tenant, Search({"mark": marks}, limit=len(marks)))
        named = await self.transaction.find(FINDINGS, self.tenant, Search({"key": ids}, limit=len(ids)))
        known = {record.value.mark for record in seen.records}
        taken = {record.key for record in named.records}
        unseen: dict[str, Finding] = {}
        for key, finding in by_mark.items():
            if key not in known and finding.id not in taken:
                unseen.setdefault(finding.id, finding)
        return list(unseen.values())

    async def look_for_clearings(self, findings: Sequence[Finding]) -> None:
        """Load the clearings that came before what they clear; at most `WAITING_MAX`, the newest."""
        keys = tuple({finding.dedup_key for finding in findings if not finding.cleared})
        if keys:
            search = Search({"dedup_key": keys, "case": "", "cleared": True}, order="-seen_ms", limit=WAITING_MAX)
            page = await self.transaction.find(FINDINGS, self.tenant, search)
            self.clearings |= {record.value.mark: (record.value, record.version) for record in page.records}

    def waiting(self, key: str) -> list[KeptFinding]:
        """The clearings of a trouble that have found no case so far."""
        rows = (row for row, _ in (self.clearings | self.rows).values())
        return [row for row in rows if row.dedup_key == key and row.cleared and not row.case]

    def write(self, row: KeptFinding) -> None:
        """The finding is to be kept as this row."""
        _, version = self.rows.get(row.mark) or self.clearings.get(row.mark) or (row, 0)
        self.rows[row.mark] = row, version

    async def save(self) -> list[Case]:
        """Write what is new or other than before, with a notice of every change worth one; the changed cases."""
        fresh: dict[str, KeptFinding] = {row.id: row for row, version in self.rows.values() if version == 0}
        if fresh:
            await self.transaction.create(FINDINGS, self.tenant, fresh)
        for row, version in self.rows.values():
            if version:
                await self.transaction.save(FINDINGS, self.tenant, row.id, row, version=version)
        changed = [case for case_id, case in self._now.items() if case != self._cases[case_id][0]]
        for case in changed:
            await self._save_case(case)
        if not self.decides and any(self._stands(self._cases[case.id][0]) != self._stands(case) for case in changed):
            await self._relist(changed)
        if self._is_listed:
            listed = Scene(tuple(self.known.docket.lines))
            self.known.version = await self.transaction.save(
                SCENES, self.tenant, JOINABLE, listed, version=self.known.version
            )
        return changed

    async def _save_case(self, case: Case) -> None:
        before, version = self._cases[case.id]
        await self.transaction.save(CASES, self.tenant, case.id, keep_case(case), version=version)
        quiet = silence.hushed(self.silences, case.entities, self.now_ms)
        told_count = len(before.timeline) if before else 0
        for place, entry in enumerate(case.timeline[told_count:], told_count):
            metrics.CHANGES.labels(entry.kind).inc()
            if self.notifies and entry.kind in self.told and not quiet:
                notice = notify.notice(case, entry, place)
                await self.transaction.save(NOTICES, SELF_TENANT, notice.id, notice, version=0)

    async def _relist(self, changed: Sequence[Case]) -> None:
        """Bring the list of joinable cases up to these: whoever decides then reads them anew."""
        record = await self.transaction.load(SCENES, self.tenant, JOINABLE)
        if record is None:
            return  # nobody has decided anything yet; who does begins with what is live
        left = [each for each in record.value.cases if each not in {case.id for case in changed}]
        listed = Scene((*left, *(case.id for case in changed if self._joinable(case))))
        await self.transaction.save(SCENES, self.tenant, JOINABLE, listed, version=record.version)

    def _stands(self, case: Case | None) -> tuple[bool, bool, int]:
        """What of a case's state matters to the findings that come."""
        return (case is None, case is not None and case.state in LIVE, case.resolved_ms if case else 0)

    def _joinable(self, case: Case) -> bool:
        if case.state is CaseState.RESOLVED:
            return self.now_ms - case.resolved_ms < self.limits.reopen_ms
        return case.state in LIVE
