"""The hands at work: an action goes one small written step at a time, so that a crash between two is no secret."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from cerebro.casework.deeds import KeptAction
from cerebro.casework.desk import Stale
from cerebro.casework.executors.port import Reach
from cerebro.casework.hands.calls import Calls
from cerebro.casework.hands.ends import Ends
from cerebro.casework.hands.felt import REQUESTS_MIN, feels_bad
from cerebro.casework.hands.ledger import CEREBRO, Entry, Ledger, Locked
from cerebro.casework.hands.library import Library
from cerebro.casework.hands.look import NOBODY, Look, folded
from cerebro.casework.hands.looks import Looks
from cerebro.casework.hands.plan import Plan, planned, reached
from cerebro.casework.hands.policy import ASKED, Bar, Bounds, bars, level_of, recent_of, tries_of
from cerebro.casework.hands.rank import doubt_of, probe_holds
from cerebro.casework.hands.users import Users
from cerebro.casework.playbooks.model import Playbook
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record
from cerebro.spine.actions import UNDER_WAY, WAITING, Action, ActionState, Step, digest_of
from cerebro.spine.cases import LIVE, Case, CaseState
from cerebro.spine.errors import Invalid, LimitReached, Unavailable
from cerebro.spine.identity import TenantId

log = get_log(__name__)

SETTLE_MS = 4_000  # after a call, before it is looked at what came of it
CANARY_MS = 12_000  # between the first replica and the others
PATIENCE_MS = 30_000  # with one that others carry the load of while it starts: only then is it harm
REPLANS_MAX = 3
ENDS_CALLS = frozenset({"open_circuit"})  # operations after which nobody calls the target, and that is as it should be
RUNNING_OUT = frozenset({"filling", "filling_disk"})  # marks of a limit that is met soon
LONGER = 2  # times its time, for what is getting better, or could not be looked at
WORSE_LOOKS = 2  # in a row, before it is called harm
HELD_MS = 30_000  # an action that could not be begun for so long is thought over again before it is
UNBEGUN = "It was approved, and nobody was up to begin it in time."

S = ActionState
Kept = Record[KeptAction]


class Engine:
    """Brings actions forward.

    Args:
        kernel: Its records hold the actions.
        users: Where it is read what users feel.
        reach: The executors of each tenant.
        owner: This process; another one's call under way is left to it until its lease is over.
    """

    def __init__(self, kernel: Kernel, users: Users, reach: Reach, owner: str) -> None:
        self.ledger, self.library = Ledger(kernel), Library(kernel)
        self.looks = Looks(kernel, users)
        self._users, self._reach = users, reach
        self._clock, self._settings = kernel.clock, kernel.settings.hands
        self._bounds = Bounds.of(kernel.settings.hands)
        self._ends = Ends(self.ledger, self.library, kernel.clock)
        self._calls = Calls(kernel, self.ledger, self._ends, reach, owner)
        self._worse: dict[str, int] = {}

    async def advance(self, record: Kept) -> Kept:
        """One step on, when it is time for one."""
        action = record.value
        if action.state in WAITING:
            return await self._wait(record)
        if action.state is S.APPROVED:
            return await self._begin(record)
        if action.state is S.EXECUTING:
            return await self._execute(record)
        if action.state is S.VERIFYING:
            return await self._verify(record)
        return await self._calls.undo(record) if action.state is S.UNDOING else record

    async def run(self, tenant: TenantId, record: Kept, steps_max: int = 40) -> Kept:
        """On and on, until there is nothing to do but wait."""
        for _ in range(steps_max):
            try:
                after = await self.advance(record)
            except Stale as error:
                log.debug("action_crossed", action_id=record.key, detail=error.detail)
                return record
            if after is record or after.value.owner:  # nobody answered: the others have their turn first
                return after
            record = after
        return record

    # Waiting, and beginning.

    async def _wait(self, record: Kept) -> Kept:
        action = record.value
        case = await self.ledger.case(action.tenant, action.case)
        if case is None or case.state not in LIVE:
            text = "The case ended before anyone approved it."
            return await self._ends.end(record, S.EXPIRED, "action_expired", text)
        if self._is_late(action):
            return await self._ends.end(record, S.EXPIRED, "action_expired", "Nobody approved it in time.")
        return record

    async def _begin(self, record: Kept) -> Kept:
        """Look at everything once more, and take the entity: from here on it is done."""
        action, now_ms = record.value, self._clock.now_ms()
        playbook = await self.library.one(action.tenant, action.playbook)
        case = await self._case_if_it_may(record, playbook)
        if isinstance(case, Record):
            return case
        seen = await self.looks.since(case, action.target, case.began_ms)
        if action.approved_by == CEREBRO and (over := await self._needless(action, playbook, case, seen)):
            return await self._ends.end(record, S.EXPIRED, "action_expired", over.value, lapsed=True)
        record, is_shown = await self._shown_now(record, playbook)
        if not is_shown:
            return record
        still = await self._case_if_it_may(record, playbook)  # all that was asked since has taken its time
        if isinstance(still, Record):
            return still
        action = record.value
        begun = replace(action, state=S.EXECUTING, started_ms=now_ms, before=folded(seen.now), due_ms=now_ms, held="")
        why = seen.sentence(seen.suffering) if seen.suffering else ""
        text = f"Begun: {action.title} at {action.target.said}. {why}".strip()
        try:
            return await self.ledger.put(record, begun, Entry("action_begun", text, case_state=CaseState.ACTING))
        except Locked:
            return await self._held(record, (Bar.BUSY,))

    async def _case_if_it_may(self, record: Kept, playbook: Playbook) -> Case | Kept:
        """The case that it may be begun for now; else how it goes on instead."""
        action = record.value
        case, recent = await self.ledger.case(action.tenant, action.case), await self.ledger.recent(action.tenant)
        policy = (await self.ledger.policy(action.tenant)).value
        if case is None or case.state not in LIVE:
            return await self._ends.end(record, S.EXPIRED, "action_expired", "The case ended before it was begun.")
        if self._is_late(action):
            why = f"It could not be begun: {action.held}" if action.held else UNBEGUN
            return await self._ends.end(record, S.EXPIRED, "action_expired", why, lapsed=True)
        if action.approved_by == CEREBRO and (over := await self._given_up(case, recent)):
            return await self._ends.end(record, S.EXPIRED, "action_expired", over.value, lapsed=True)
        found = bars(
            playbook=action.playbook, cool_down_s=playbook.cool_down_s * self._settings.cool_down_share,
            target=action.target, policy=policy, recent=recent_of(recent), bounds=self._bounds,
            now_ms=self._clock.now_ms(), by_person=action.approved_by != CEREBRO,
        )  # fmt: skip
        return await self._held(record, found) if found else case

    async def _given_up(self, case: Case, recent: Sequence[KeptAction]) -> Bar | None:
        """Why nothing more is done for the case unasked; None while something may be."""
        if case.state is CaseState.ESCALATED:
            return Bar.CALLED
        own = await self.ledger.own(case, recent)
        return Bar.TRIED if tries_of(own) >= self._settings.tries_max else None

    async def _needless(self, action: Action, playbook: Playbook, case: Case, seen: Look) -> Bar | None:
        """Why nobody who was not asked should do it any more; None while what it was decided by is still so."""
        if not needs_mending(action, case, seen):
            return Bar.CALM
        if self._clock.now_ms() - action.made_ms >= HELD_MS and self._is_doubted(action, playbook, case):
            return Bar.UNSURE
        if not (probes := playbook.trigger.probes):
            return None
        gauges = await self._users.gauges(action.tenant, action.target, sorted({each.metric for each in probes}))
        return None if all(probe_holds(each, gauges) for each in probes) else Bar.UNLIKE

    def _is_doubted(self, action: Action, playbook: Playbook, case: Case) -> bool:
        """Whether it would not be thought of unasked by what is known of the causes by now."""
        cause = next((each for each in case.causes if each.entity == action.target), None)
        if cause is None or cause.share < self._bounds.share_min[playbook.risk]:
            return True
        return case.looked_ms < action.made_ms or bool(doubt_of(playbook, cause, case.causes, failed=False))

    async def _held(self, record: Kept, found: Sequence[Bar]) -> Kept:
        """Not now: what passes is waited for, until it is too late to begin."""
        action = record.value
        if action.held == found[0].value:
            return record
        return await self.ledger.note(record, replace(action, held=found[0].value))

    def _is_late(self, action: Action) -> bool:
        return self._clock.now_ms() >= (action.expires_ms or action.made_ms + round(self._settings.approval_s * 1000))

    async def _shown_now(self, record: Kept, playbook: Playbook) -> tuple[Kept, bool]:
        """Whether a fresh dry run shows what is approved, and that may still be done; else how it goes on instead.

        What has changed is shown anew, and approved anew: by Cerebro itself only where it may do it unasked now. It is
        then as this very dry run has it, and another would only show how a count or the like has moved on.
        """
        action = record.value
        try:
            plan = await self._planned_anew(action, playbook)
        except Unavailable as error:
            log.warning("action_waits", action_id=action.id, reason=error.detail)
            return await self._held(record, (Bar.UNANSWERED,)), False
        except Invalid as error:
            return await self._ends.end(record, S.FAILED, "action_failed", f"It cannot be done now: {error}"), False
        level, why = action.level, ""
        if action.approved_by == CEREBRO:
            level, why = level_of(
                playbook=playbook.name, risk=playbook.risk, level_max=playbook.level_max, target=action.target,
                policy=(await self.ledger.policy(action.tenant)).value, door=plan.executor.level, share=plan.share,
                bounds=self._bounds, now_ms=self._clock.now_ms(),
            )  # fmt: skip
        fresh = replace(action, steps=plan.steps)
        digest = digest_of(fresh)
        is_same = digest == action.approved_digest == action.digest
        asks = action.approved_by == CEREBRO and level in ASKED
        if is_same and not asks:
            return record, True
        shown = replace(
            fresh, digest=digest, level=level, state=S.AWAITING, approved_by="", approved_digest="", held=""
        )
        again = sum(turn.state is S.AWAITING for turn in action.story)
        if again >= REPLANS_MAX:
            text = f"{Bar.CHANGED.value} Again and again."
            return await self._ends.end(record, S.FAILED, "action_failed", text), False
        text = f"It is asked for now: {why}." if is_same else f"{Bar.CHANGED.value} It is shown as it would be now."
        record = await self.ledger.put(record, shown, Entry("action_shown_anew", text))
        if asks or action.approved_by != CEREBRO:
            return record, False
        return await self.approve(record, CEREBRO, digest), True

    async def _planned_anew(self, action: Action, playbook: Playbook) -> Plan:
        executors = await self._reach.of(action.tenant)
        calls = [step.call for step in action.steps]
        for call in calls:
            reached(call, executors)
        doors = {call.executor: call.door for call in calls}
        return await planned(playbook, action.target, action.parameters, executors, key=action.id, doors=doors)

    async def approve(self, record: Kept, by: str, digest: str) -> Kept:
        """Someone says yes to exactly what was shown.

        Raises:
            Stale: It is another than what was shown, has expired, or can no longer be approved.
        """
        action, now_ms = record.value, self._clock.now_ms()
        if action.state is S.EXPIRED or (action.state in WAITING and self._is_late(action)):
            said = f"It has expired: it cannot be approved any more. {action.outcome}".strip()
            raise Stale(said, f"Have it shown anew: {_proposing(action)}")
        if action.state not in WAITING:
            raise Stale(f"The action is {action.state.value}: it cannot be approved any more.")
        if digest != action.digest:
            raise Stale(Bar.CHANGED.value, "Look at it again, and approve what you see.")
        after = replace(action, state=S.APPROVED, approved_by=by, approved_digest=digest, due_ms=now_ms)
        return await self.ledger.put(record, after, Entry("action_approved", f"{by} approved: {action.title}.", by))

    async def refuse(self, record: Kept, by: str, text: str, digest: str = "") -> Kept:
        """Someone says no; with a digest, to what was shown under it.

        Raises:
            Stale: It is under way or over, or another by now.
        """
        if digest and digest != record.value.digest:
            raise Stale(Bar.CHANGED.value, "Look at it again, and say no to what you see.")
        if record.value.state not in WAITING | {S.APPROVED}:
            raise Stale(f"The action is {record.value.state.value}: it cannot be refused any more.")
        said = f"{by} refused: {record.value.title}. {text}".strip()
        return await self._ends.end(record, S.REFUSED, "action_refused", said, by=by)

    async def withdraw(self, action: KeptAction) -> None:
        """Something better is proposed: this one no longer waits for anyone."""
        record = await self.ledger.one(action.tenant, action.id)
        if record.value.state in WAITING:
            text = "The cause is clearer now; something else is proposed."
            await self._ends.end(record, S.EXPIRED, "action_expired", text, lapsed=True)

    async def take_back(self, record: Kept, by: str, reason: str = "") -> Kept:
        """Someone wants it undone.

        Raises:
            Stale: There is nothing to take back now.
        """
        action = record.value
        if action.state not in (S.HELPED, S.UNVERIFIED, S.VERIFYING, S.EXECUTING, S.ESCALATED):
            raise Stale(f"The action is {action.state.value}: there is nothing to undo.")
        if not any(step.undo and step.state != "planned" for step in action.steps):
            raise Stale("Nothing of this action can be taken back.", "Its runbook says why.")
        now_ms = self._clock.now_ms()
        steps = tuple(_to_undo_anew(step, now_ms) for step in action.steps)
        after = replace(action, state=S.UNDOING, steps=steps, ended_ms=0, due_ms=now_ms)
        return await self.ledger.put(
            record, after, Entry("action_undo_asked", f"{by} wants it undone. {reason}".strip(), by)
        )

    # Doing.

    async def _execute(self, record: Kept) -> Kept:
        action = record.value
        number = next((n for n, step in enumerate(action.steps) if step.state != "done"), -1)
        if number < 0:
            text = f"Done. Now watched for up to {action.expect.within_s:.0f} s."
            after = replace(action, state=S.VERIFYING, healthy_ms=0)
            return await self.ledger.put(record, after, Entry("action_done", text, case_state=CaseState.VERIFYING))
        if await self._calls.is_stopped(action.tenant):
            return record
        if action.steps[number].state == "begun":
            return await self._calls.resume(record, number)
        if (
            _is_next_replica(action, number)
            and (otherwise := await self._unless_first_is_well(record, number)) is not None
        ):
            return otherwise
        return await self._calls.begin(record, number)

    async def _unless_first_is_well(self, record: Kept, number: int) -> Kept | None:
        """None when the next replica may be seen to after the one before it; else how it goes on instead."""
        action, last = record.value, record.value.steps[number - 1]
        since_ms = self._clock.now_ms() - last.done_ms
        if since_ms < CANARY_MS:
            return record
        if (seen := await self._since(record, last)) is None:
            return None
        # What hurts may be what the others are left with, that have not been seen to yet.
        hurts = not seen.blind and bool(seen.worse_than(action.before))
        worse = hurts and not await self._is_well(action, last, seen)
        if worse and since_ms >= PATIENCE_MS:
            after = replace(action, state=S.UNDOING, harmful=True)
            text = "Users were worse off after the first replica: the others are left alone."
            return await self.ledger.put(record, after, Entry("action_harmed", text))
        told_of = not (seen.blind and action.before)
        patience_ms = PATIENCE_MS if told_of else action.expect.within_s * 1000
        if worse or (seen.blind and since_ms < patience_ms):
            return record
        if told_of:
            return None
        text = "Nothing tells what users feel since the first replica: the others are left alone."
        return await self.ledger.put(record, replace(action, state=S.UNDOING), Entry("action_not_helped", text))

    async def _since(self, record: Kept, last: Step) -> Look | None:
        """What users have felt of late, since the replica before; nothing where the case is gone."""
        action = record.value
        case = await self.ledger.case(action.tenant, action.case)
        if case is None:
            return None
        seen = await self.looks.since(case, action.target, self._of_late_ms(last))
        return await self.looks.since(case, action.target, last.done_ms) if seen.blind else seen

    async def _is_well(self, action: Action, last: Step, seen: Look) -> bool:
        """Whether the replica that was seen to last serves its own users as usual since."""
        usual, replica = seen.usual.get(action.target.text, NOBODY), last.call.arguments.get("replica", "")
        if not replica or usual.count < REQUESTS_MIN:
            return False
        felt = await self._users.felt_of_replica(
            action.tenant, action.target, replica, self._of_late_ms(last), self._clock.now_ms()
        )
        return felt.count >= REQUESTS_MIN and not feels_bad(usual, felt)

    def _of_late_ms(self, last: Step) -> int:
        return max(last.done_ms, self._clock.now_ms() - CANARY_MS)

    async def abandon(self, tenant: TenantId, action_id: str, why: str) -> None:
        """What cannot go on, for a reason that nobody foresaw, is a person's."""
        record = await self.ledger.one(tenant, action_id)
        if record.value.state is S.APPROVED:
            await self._ends.end(record, S.FAILED, "action_failed", why)
        elif record.value.state in UNDER_WAY:
            await self._ends.end(record, S.ESCALATED, "escalated", why, case_state=CaseState.ESCALATED)
        elif record.value.state in WAITING:
            await self._ends.end(record, S.EXPIRED, "action_expired", why)

    # Verifying.

    async def _verify(self, record: Kept) -> Kept:
        action = record.value
        case = await self.ledger.case(action.tenant, action.case)
        if case is not None and case.state is CaseState.CLOSED:
            text = "It was not verified, for someone closed the case; what it did stays until someone takes it back."
            return await self._ends.end(record, S.UNVERIFIED, "action_not_verified", text)
        since_ms, now_ms = max(step.done_ms for step in action.steps), self._clock.now_ms()
        if case is None or now_ms - since_ms < max(SETTLE_MS, round(self._settings.look_s * 300)):
            return record
        try:
            seen = await self.looks.since(case, action.target, since_ms)
        except (LimitReached, Unavailable) as error:
            if now_ms - since_ms < LONGER * round(action.expect.within_s * 1000):
                raise
            text = f"It was not verified, for what users feel could not be read: {error.detail} What it did stays."
            return await self._ends.end(
                record, S.UNVERIFIED, "action_not_verified", text, case_state=CaseState.INVESTIGATING
            )
        return await self._judge(record, case, seen, since_ms)

    async def _judge(self, record: Kept, case: Case, seen: Look, since_ms: int) -> Kept:
        """Whether it helped, harmed or did nothing, as far as can be told by now."""
        action, now_ms = record.value, self._clock.now_ms()
        if any(step.call.operation in ENDS_CALLS for step in action.steps):
            seen = seen.without_calls_to(action.target)
        well = is_well(action, case, seen) and (seen.whole or not seen.silent(action.before))
        if well and action.healthy_ms and now_ms - action.healthy_ms >= round(action.expect.hold_s * 1000):
            return await self._helped(record, seen, since_ms)
        settled = not seen.blind and now_ms - since_ms >= round(self._settings.look_s * 1000)
        if worse := seen.worse_than(action.before) if settled else ():
            count = self._worse[action.id] = self._worse.get(action.id, 0) + 1
            if count >= WORSE_LOOKS and not well:
                self._worse.pop(action.id)
                text = f"Users are worse off than before it. {seen.sentence(worse)}"
                after = replace(action, state=S.UNDOING, harmful=True)
                return await self.ledger.put(record, after, Entry("action_harmed", text))
        else:
            self._worse.pop(action.id, None)
        within_ms = round(action.expect.within_s * 1000) * (LONGER if seen.better_than(action.before) else 1)
        if not well and now_ms - since_ms >= within_ms:
            suffering = seen.suffering
            text = f"It did not help in {(now_ms - since_ms) / 1000:.0f} s. "
            text += seen.sentence(suffering) if suffering else ""
            return await self.ledger.put(
                record, replace(action, state=S.UNDOING), Entry("action_not_helped", text.strip())
            )
        if well != bool(action.healthy_ms):
            return await self.ledger.note(record, replace(action, healthy_ms=now_ms if well else 0))
        return record

    async def _helped(self, record: Kept, seen: Look, since_ms: int) -> Kept:
        after_s = (record.value.healthy_ms - since_ms) / 1000
        names = tuple(sorted(seen.now))
        text = f"It helped: users have been served as before since {after_s:.0f} s after it."
        if record.value.expect.of == "signals":
            text = "It helped: the case's findings there are over."
        elif names:
            text += f" {seen.sentence(names)}"
        return await self._ends.end(record, S.HELPED, "action_helped", text)


def _is_next_replica(action: Action, number: int) -> bool:
    """Whether a step does to another replica what the one before it did."""
    if not number:
        return False
    call, last = action.steps[number].call, action.steps[number - 1].call
    return "replica" in call.arguments and call.operation == last.operation


def needs_mending(action: Action, case: Case, seen: Look) -> bool:
    """Whether there is something that this action is expected to mend."""
    if action.expect.of == "signals" or seen.blind or runs_out(action, case):
        return bool(case.active_keys)
    return bool(seen.suffering)


def runs_out(action: Action, case: Case) -> bool:
    """Whether the target will meet a limit of its own soon: nobody has to suffer before something is done about it."""
    marks = {mark.word for cause in case.causes if cause.entity == action.target for mark in cause.marks}
    return not RUNNING_OUT.isdisjoint(marks)


def is_well(action: Action, case: Case, seen: Look) -> bool:
    """Whether what was expected is so now."""
    if action.expect.of == "signals" or (seen.blind and not action.before):
        there = [signal for signal in case.signals if signal.entity == action.target] or case.signals
        return all(signal.cleared for signal in there)
    return not seen.blind and not seen.suffering


def _proposing(action: Action) -> str:
    """The command that has the same shown anew."""
    values = (f"{name}={value}" for name, value in sorted(action.parameters.items()))
    words = shlex.join([action.case, action.playbook, action.target.text, *values])
    return f"cerebro actions propose {words}"


def _to_undo_anew(step: Step, now_ms: int) -> Step:
    """A step as a person wants it undone: an undo that was given up is tried again, and so is who did not answer."""
    if step.state == "undo_begun":
        return replace(step, state="done", undos=0)
    return replace(step, undo_ms=now_ms) if step.state == "begun" else step
