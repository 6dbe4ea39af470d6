"""The one place where actions are written: with the case's timeline, the audit chain and what was learned, at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import msgspec

from cerebro.casework import life, metrics
from cerebro.casework.deeds import ACTIONS, KeptAction
from cerebro.casework.desk import Also, Desk, Stale
from cerebro.casework.hands.policy import STARTED, own_level
from cerebro.casework.hands.rank import moved_level, summed
from cerebro.casework.hands.store import (
    LOCKS,
    PASTS,
    POLICIES,
    POLICY,
    Lock,
    Moved,
    Past,
    Policy,
    keep_action,
    past_key,
)  # fmt: skip
from cerebro.casework.notify import OF_ACTIONS
from cerebro.casework.playbooks.model import Playbook
from cerebro.casework.store import CASES
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Record, Search, Transaction
from cerebro.spine.actions import MOVES, Action, ActionState, Level, Turn
from cerebro.spine.cases import LIVE, Case, CaseState
from cerebro.spine.errors import Conflict, NotFound
from cerebro.spine.identity import CaseId, TenantId

CEREBRO = life.CEREBRO
MERGES_MAX = 10
RECENT_MAX = 200
OF_CASE_MAX = 50


class Locked(Conflict):
    """Another action works on the entity."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a change of an action is told."""

    kind: str  # in the timeline and the audit log
    text: str
    by: str = CEREBRO
    case_state: CaseState | None = None


class Ledger:
    """Reads and writes actions of every tenant."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._desk = Desk(kernel)
        self._audit = Audit(kernel.records, kernel.clock)

    async def open_actions(self, tenant: TenantId) -> Sequence[Record[KeptAction]]:
        """Those under way, and then those that wait, the one due first: many that wait hold up none that was begun."""
        under_way = await self._find(tenant, Search({"under_way": True}, order="due_ms", limit=RECENT_MAX))
        known = {record.key for record in under_way}
        found = await self._find(tenant, Search({"open": True}, order="due_ms", limit=RECENT_MAX))
        return [*under_way, *(record for record in found if record.key not in known)]

    async def lately(self, tenant: TenantId) -> Sequence[Record[KeptAction]]:
        """The newest ones, to be changed."""
        return await self._find(tenant, Search({}, order="-made_ms", limit=RECENT_MAX))

    async def recent(self, tenant: TenantId) -> Sequence[KeptAction]:
        """The newest ones, and those begun last however many were only thought of since."""
        found = await self.lately(tenant)
        if len(found) == RECENT_MAX:
            known, where = {record.key for record in found}, {"state": tuple(sorted(STARTED))}
            begun = await self._find(tenant, Search(where, order="-started_ms", limit=RECENT_MAX))
            found = [*found, *(record for record in begun if record.key not in known)]
        return [record.value for record in found]

    async def of_case(self, tenant: TenantId, case: CaseId) -> Sequence[KeptAction]:
        """The actions of a case, the newest first."""
        found = await self._find(tenant, Search({"case": case}, order="-made_ms", limit=OF_CASE_MAX))
        return [record.value for record in found]

    async def own(self, case: Case, recent: Sequence[KeptAction]) -> Sequence[KeptAction]:
        """What was thought of or done for a case, the newest first; asked for where the newest of all are not all."""
        if len(recent) < RECENT_MAX:
            return [action for action in recent if action.case == case.id or action.id in case.actions]
        own = await self.of_case(case.tenant, case.id)
        return [*own, *await self.shared(case.tenant, case.id, [each.id for each in own])]

    async def of_story(self, tenant: TenantId, case: CaseId) -> Sequence[KeptAction]:
        """As `of_case`, with those of the cases that were merged into it."""
        where = {"case": await self.story_of(tenant, case)}
        found = await self._find(tenant, Search(where, order="-made_ms", limit=OF_CASE_MAX))
        return [record.value for record in found]

    async def story_of(self, tenant: TenantId, case_id: CaseId) -> tuple[str, ...]:
        """The ids under which a case's story was kept: its own, and those of the cases that were merged into it."""
        case = await self.case(tenant, case_id)
        merged = [entry.reference for entry in case.timeline if entry.kind == "merged"] if case else []
        return tuple(dict.fromkeys([str(case_id), *([str(case.id)] if case else []), *merged]))

    async def one(self, tenant: TenantId, action_id: str) -> Record[KeptAction]:
        """An action.

        Raises:
            NotFound: The tenant has none of this id.
        """
        async with self._kernel.records.transaction() as transaction:
            found = await transaction.load(ACTIONS, tenant, action_id, lock=False)
        if found is None:
            raise NotFound(f"There is no action {action_id}.", "cerebro actions lists them.")
        return found

    async def case(self, tenant: TenantId, case_id: CaseId) -> Case | None:
        """The case, or the one that it was merged into."""
        async with self._kernel.records.transaction() as transaction:
            for _ in range(MERGES_MAX):
                found = await transaction.load(CASES, tenant, case_id, lock=False)
                if found is None or not (into := found.value.labels.get("merged_into")):
                    return found.value if found else None
                case_id = CaseId(into)
        return None

    async def policy(self, tenant: TenantId) -> Record[Policy]:
        """What the tenant allows; version 0 when nobody has said anything yet."""
        async with self._kernel.records.transaction() as transaction:
            found = await transaction.load(POLICIES, tenant, POLICY, lock=False)
        return found or Record(POLICY, Policy(), 0)

    async def pasts(self, tenant: TenantId) -> Sequence[Past]:
        """What became of every playbook."""
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(PASTS, tenant, Search({}, limit=1000))
        return [record.value for record in page.records]

    async def put(
        self, record: Record[KeptAction] | None, after: Action, entry: Entry, learned: Also | None = None
    ) -> Record[KeptAction]:
        """Write a change that people read of: into the action, its case and the audit chain, all or none.

        Args:
            learned: What else is written with it.

        Raises:
            Stale: Someone else changed the action first.
            Locked: Another action works on the entity.
        """
        before = record.value if record else None
        assert before is None or before.state is after.state or after.state in MOVES[before.state]
        now_ms = self._kernel.clock.now_ms()
        turn = Turn(now_ms, entry.by, after.state, entry.text)
        after = replace(after, updated_ms=now_ms, story=(*after.story, turn))

        async def also(transaction: Transaction) -> None:
            await self._save(transaction, record, after)
            await self._lock(transaction, before, after)
            if learned:
                await learned(transaction)
            detail = {"state": after.state, "text": entry.text, "digest": after.digest, "case": after.case}
            await self._audit.append(
                after.tenant, entry.by, entry.kind, f"action/{after.id}", detail, transaction=transaction
            )

        await self._with_case(after, entry, also, now_ms)
        metrics.ACTIONS.labels(after.state.value).inc()
        await self._tell(after)
        return Record(after.id, keep_action(after), (record.version if record else 0) + 1)

    async def propose(self, action: Action, entry: Entry) -> Record[KeptAction] | None:
        """Write what Cerebro has thought of; None where the case has another that is open by now: another brain's."""

        async def alone(transaction: Transaction) -> None:
            count = await transaction.count(ACTIONS, action.tenant, {"case": action.case, "open": True})
            if count > 1:  # this one is written already
                raise _Taken(f"Another action of case {action.case} is open.")

        try:
            return await self.put(None, action, entry, alone)
        except Locked:
            return None

    async def note(self, record: Record[KeptAction], after: Action) -> Record[KeptAction]:
        """Write what only the hands themselves need.

        Raises:
            Stale: Someone else changed the action first.
        """
        after = replace(after, updated_ms=self._kernel.clock.now_ms())
        async with self._kernel.records.transaction() as transaction:
            await self._save(transaction, record, after)
        return Record(after.id, keep_action(after), record.version + 1)

    async def put_learned(
        self, record: Record[KeptAction], after: Action, entry: Entry, playbook: Playbook | None
    ) -> Record[KeptAction]:
        """As `put`; the playbook's record, and the level it has earned, follow the outcome at once."""

        async def learned(transaction: Transaction) -> None:
            await self._learn(transaction, after, playbook)

        after = replace(after, learned="helped" if after.state is ActionState.HELPED else "not_helped")
        return await self.put(record, after, entry, learned)

    async def _learn(self, transaction: Transaction, action: Action, playbook: Playbook | None) -> None:
        tenant, helped = action.tenant, action.learned == "helped"
        kept = await transaction.load(POLICIES, tenant, POLICY)  # first, as who sets it does: neither waits for ever
        found = await transaction.load(PASTS, tenant, past_key(action.playbook, action.cause_kind))
        old = found.value if found else Past(action.playbook, action.cause_kind)
        past = replace(
            old, helped=old.helped + helped, not_helped=old.not_helped + (not helped),
            harmful=old.harmful + action.harmful, since_moved=old.since_moved + 1,
            judged_helped=old.judged_helped + (bool(action.verdict) and helped),
            judged_not=old.judged_not + (bool(action.verdict) and not helped),
        )  # fmt: skip
        await self._save_past(transaction, tenant, past, found)
        if playbook is None:
            return
        policy = kept.value if kept else Policy()
        level, _ = own_level(
            playbook=playbook.name, risk=playbook.risk, level_max=playbook.level_max, policy=policy,
            door=action.door_level,
        )  # fmt: skip
        whole = summed(each.value for each in await self._pasts_of(transaction, tenant, action.playbook))
        wished = any(reason.what == "person" for reason in action.reasons)
        past = whole[action.playbook]
        after = moved_level(playbook, level, past, harmed=action.harmful, wished=wished)
        if after is level:
            return
        text = f"{action.playbook} moves from {level} to {after} by its record."
        await self._set_level(transaction, tenant, action.playbook, after)
        await self._begin_anew(transaction, tenant, action.playbook)
        await self._audit.append(
            tenant, CEREBRO, "autonomy_moved", f"playbook/{action.playbook}", {"text": text}, transaction=transaction
        )

    async def judge(self, tenant: TenantId, action_id: str, verdict: str, by: str) -> Record[KeptAction]:
        """A person's word on an action: it counts for its playbook; the last word holds.

        Raises:
            Stale: It was never begun, or is not over.
        """
        record = await self.one(tenant, action_id)
        old = record.value
        if not old.started_ms or not old.ended_ms:
            raise Stale(f"The action is {old.state.value}: there is nothing to judge.", "Judge what was done.")
        after = replace(old, verdict=verdict, verdict_by=by)

        async def learned(transaction: Transaction) -> None:
            found = await transaction.load(PASTS, tenant, past_key(old.playbook, old.cause_kind))
            past = found.value if found else Past(old.playbook, old.cause_kind)
            is_first = not old.verdict
            past = replace(
                past,
                good=max(0, past.good + (verdict == "good") - (old.verdict == "good")),
                bad=max(0, past.bad + (verdict == "bad") - (old.verdict == "bad")),
                judged_helped=min(past.helped, past.judged_helped + (is_first and old.learned == "helped")),
                judged_not=min(past.not_helped, past.judged_not + (is_first and old.learned == "not_helped")),
            )
            await self._save_past(transaction, tenant, past, found)

        said = Entry("action_judged", f"{by} finds that this was {verdict}.", by)
        return await self.put(record, after, said, learned)

    async def set_policy(self, tenant: TenantId, policy: Policy, version: int, by: str, what: str) -> None:
        """Change what the tenant allows; a level that someone sets is not moved by what was before.

        Raises:
            Conflict: Someone else changed it first.
        """
        before = (await self.policy(tenant)).value.levels
        async with self._kernel.records.transaction() as transaction:
            await transaction.save(POLICIES, tenant, POLICY, policy, version=version)
            for playbook in [each for each, level in policy.levels.items() if before.get(each) is not level]:
                await self._begin_anew(transaction, tenant, playbook)
            await self._audit.append(tenant, by, what, "policy", msgspec.to_builtins(policy), transaction=transaction)
        await self._kernel.bus.broadcast(f"live.{tenant}.autonomy", msgspec.json.encode({"by": by, "what": what}))

    async def escalate(self, case: Case, text: str) -> None:
        """Call a person: Cerebro has done what it may."""
        now_ms = self._kernel.clock.now_ms()

        def verb(found: Case) -> Case:
            if found.state is CaseState.ESCALATED or found.state not in LIVE:
                return found
            return life.acted(found, "escalated", text, now_ms, state=CaseState.ESCALATED)

        await self._desk.change(case.tenant, case.id, verb)

    async def share(self, case: Case, action: KeptAction) -> None:
        """The action that another case asks for would be this one's, too: it refers to that."""
        now_ms = self._kernel.clock.now_ms()
        text = f"Asked for already, by another case of the same entity: {action.title} at {action.target.said}."

        def verb(found: Case) -> Case:
            if action.id in found.actions:
                return found
            return life.acted(found, "action_shared", text, now_ms, action=action.id)

        await self._desk.change(case.tenant, case.id, verb)

    async def shared(self, tenant: TenantId, case_id: CaseId, but: Collection[str]) -> Sequence[KeptAction]:
        """The actions that a case refers to beside these, the newest first."""
        case = await self.case(tenant, case_id)
        wanted = tuple(str(number) for number in (case.actions if case else ()) if number not in but)
        if not wanted:
            return ()
        return [each.value for each in await self._find(tenant, Search({"key": wanted}, order="-made_ms"))]

    async def _find(self, tenant: TenantId, search: Search) -> Sequence[Record[KeptAction]]:
        async with self._kernel.records.transaction() as transaction:
            return (await transaction.find(ACTIONS, tenant, search)).records

    async def _save(self, transaction: Transaction, record: Record[KeptAction] | None, after: Action) -> None:
        version = record.version if record else 0
        try:
            await transaction.save(ACTIONS, after.tenant, after.id, keep_action(after), version=version)
        except Conflict as error:
            raise Stale(f"Someone else changed action {after.id} first.", "Load it again, decide again.") from error

    async def _lock(self, transaction: Transaction, before: Action | None, after: Action) -> None:
        """An action that begins takes its entity; one that ends lets go of it."""
        holds = {ActionState.EXECUTING, ActionState.VERIFYING, ActionState.UNDOING}
        had, has = before is not None and before.state in holds, after.state in holds
        key = after.target.text
        if has and not had:
            lock = await transaction.load(LOCKS, after.tenant, key)
            if lock and lock.value.action != after.id:
                raise _Taken(f"Another action works on {key}.")
            if not lock:
                try:
                    await transaction.save(LOCKS, after.tenant, key, Lock(after.id, after.started_ms), version=0)
                except Conflict as error:
                    raise _Taken(f"Another action works on {key}.") from error
        elif had and not has:
            await transaction.delete(LOCKS, after.tenant, key)

    async def _with_case(self, action: Action, entry: Entry, also: Also, now_ms: int) -> None:
        case = await self.case(action.tenant, action.case)
        tells = () if action.level is Level.SILENT else OF_ACTIONS

        def verb(found: Case) -> Case:
            # What is taken back long after the case was over opens it no more.
            state = entry.case_state if found.state in LIVE else None
            return life.acted(found, entry.kind, entry.text, now_ms, by=entry.by, action=action.id, state=state)

        try:
            if case is None:
                async with self._kernel.records.transaction() as transaction:
                    await also(transaction)
            else:
                await self._desk.change(action.tenant, case.id, verb, also=also, tells=tells)
        except _Taken as error:
            raise Locked(error.detail) from error

    async def _pasts_of(self, transaction: Transaction, tenant: TenantId, playbook: str) -> Sequence[Record[Past]]:
        return (await transaction.find(PASTS, tenant, Search({"playbook": playbook}, limit=RECENT_MAX))).records

    async def _save_past(
        self, transaction: Transaction, tenant: TenantId, past: Past, found: Record[Past] | None
    ) -> None:
        key = past_key(past.playbook, past.cause_kind)
        await transaction.save(PASTS, tenant, key, past, version=found.version if found else 0)

    async def _begin_anew(self, transaction: Transaction, tenant: TenantId, playbook: str) -> None:
        """Count the outcomes since the level was last moved from here on."""
        for record in await self._pasts_of(transaction, tenant, playbook):
            if record.value.since_moved:
                await self._save_past(transaction, tenant, replace(record.value, since_moved=0), record)

    async def _set_level(self, transaction: Transaction, tenant: TenantId, playbook: str, level: Level) -> None:
        found = await transaction.load(POLICIES, tenant, POLICY)
        policy = found.value if found else Policy()
        levels, now_ms = {**policy.levels, playbook: level}, self._kernel.clock.now_ms()
        moves = {**policy.moves, playbook: Moved(CEREBRO, now_ms)}
        after = replace(policy, levels=levels, moves=moves)
        await transaction.save(POLICIES, tenant, POLICY, after, version=found.version if found else 0)

    async def _tell(self, action: Action) -> None:
        line = {
            "id": action.id, "case": action.case, "playbook": action.playbook, "title": action.title,
            "target": action.target, "state": action.state, "updated_ms": action.updated_ms,
        }  # fmt: skip
        await self._kernel.bus.broadcast(f"live.{action.tenant}.action", msgspec.json.encode(line))


class _Taken(Stale):
    """The lock is another's: trying the same transaction again is no use."""
