"""The calls of an action, and what takes them back: the intent of each is written before it is made.

After a crash the executor is asked whether the call with this key happened; when nobody can tell, nothing is done a
second time, and a person must look.
"""

from collections.abc import Mapping
from dataclasses import replace

from cerebro.casework import metrics
from cerebro.casework.deeds import KeptAction
from cerebro.casework.executors.port import LOOK_S, SPARE_S, Executor, Reach, in_time
from cerebro.casework.hands.ends import Ends, free
from cerebro.casework.hands.ledger import CEREBRO, Entry, Ledger
from cerebro.casework.hands.plan import reached
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record
from cerebro.spine.actions import Action, ActionState, Call, Step
from cerebro.spine.cases import CaseState
from cerebro.spine.errors import Invalid, Unavailable
from cerebro.spine.identity import TenantId
from cerebro.spine.quote import named

log = get_log(__name__)

LEASE_SPARE_MS = 5_000
AGAIN_MS = 5_000  # between two attempts at a call that was not answered
ATTEMPTS_MAX = 4

S = ActionState
Kept = Record[KeptAction]


class Calls:
    """Makes calls, asks what came of them, and takes them back.

    Args:
        reach: The executors of each tenant.
        owner: This process; another one's call under way is left to it until its lease is over.
    """

    def __init__(self, kernel: Kernel, ledger: Ledger, ends: Ends, reach: Reach, owner: str) -> None:
        self._ledger, self._ends, self._reach, self._owner = ledger, ends, reach, owner
        self._clock, self._settings = kernel.clock, kernel.settings.hands
        self._quiet_ms = self._clock.now_ms()  # until when nothing could be asked or done

    async def is_stopped(self, tenant: TenantId) -> bool:
        """Whether the global stop is set: then no call is made, be it the next step or an undo, until it is lifted."""
        is_stopped = (await self._ledger.policy(tenant)).value.stopped
        self._quiet_ms = self._clock.now_ms() if is_stopped else self._quiet_ms
        return is_stopped

    async def begin(self, record: Kept, number: int) -> Kept:
        """Write the intent of a step, and make its call."""
        if await self.is_stopped(record.value.tenant):
            return record
        intent = replace(record.value.steps[number], state="begun", begun_ms=self._clock.now_ms())
        leased = self._leased(with_step(record.value, number, intent))
        return await self._call(await self._ledger.note(record, leased), number)

    async def resume(self, record: Kept, number: int) -> Kept:
        """A call was begun, and it is not known what came of it: ask, and never make it twice."""
        step = record.value.steps[number]
        happened, record = await self._whether_happened(record, number, step.call, step.key)
        if happened is None:
            return record
        if happened:
            log.info("call_resumed", action_id=record.key, step=number, happened=True)
            return await self._done(record, number, "It had happened before the interruption.")
        if not self._has_patience(step):
            return await self._not_made(record, number, "It was called again and again, and never answered.")
        if self._is_too_soon(record.value) or await self.is_stopped(record.value.tenant):
            return record
        log.info("call_resumed", action_id=record.key, step=number, happened=False)
        return await self._call(await self._ledger.note(record, self._leased(record.value)), number)

    async def undo(self, record: Kept) -> Kept:
        """Take back what happened, the last step first."""
        action = record.value
        is_stopped = await self.is_stopped(action.tenant)
        for number in reversed(range(len(action.steps))):
            step = action.steps[number]
            if is_stopped and (step.state == "undo_begun" or _can_be_undone(step)):
                return record
            if step.state == "undo_begun":
                return await self._resume_undo(record, number)
            if _can_be_undone(step) and step.state == "begun":
                return await self._settle(record, number)
            if _can_be_undone(step):
                return await self._undo_attempt(record, number)
        undone = any(step.state == "undone" for step in action.steps)
        text = "What it did is taken back." if undone else "There was nothing to take back."
        if action.learned == "helped":
            text = f"It had helped. {text}"
        harmed = CaseState.ESCALATED if action.harmful else CaseState.INVESTIGATING
        if not any(step.state != "planned" for step in action.steps):
            return await self._ends.end(record, S.FAILED, "action_failed", text, case_state=harmed)
        return await self._ends.end(record, S.UNDONE, "action_undone", text, case_state=harmed)

    async def _call(self, record: Kept, number: int) -> Kept:
        """Make the call whose intent is written."""
        action = record.value
        step = action.steps[number]
        try:
            said = await self._make(action.tenant, step.call, step.key)
        except Invalid as error:
            metrics.CALLS.labels(step.call.executor, "refused").inc()
            return await self._not_made(record, number, f"It was refused: {error}")
        except Unavailable as error:
            metrics.CALLS.labels(step.call.executor, "unknown").inc()
            log.warning("call_unanswered", action_id=action.id, step=number, reason=error.detail)
            return record
        metrics.CALLS.labels(step.call.executor, "done").inc()
        return await self._done(record, number, said)

    async def _done(self, record: Kept, number: int, said: str) -> Kept:
        action, now_ms = record.value, self._clock.now_ms()
        done = replace(action.steps[number], state="done", done_ms=now_ms, said=said[:500])
        done = replace(done, left=await self._left(action.tenant, done))
        return await self._ledger.note(record, free(with_step(action, number, done)))

    async def _whether_happened(self, record: Kept, number: int, call: Call, key: str) -> tuple[bool | None, Kept]:
        """Whether a call that was begun has happened; None where that is not known, with the record as it goes on.

        Where nobody can tell, and a person wants it undone, it is undone as though it had happened.
        """
        action = record.value
        if action.owner not in ("", self._owner) and self._clock.now_ms() < action.lease_ms:
            return None, record
        why, is_wanted = "Nobody can tell whether it happened.", _is_wanted_back(action)
        try:
            happened = await self._happened(action.tenant, call, key)
        except Unavailable as error:
            if self._may_ask(action.steps[number]):
                return None, await self._asked_in_vain(record, number)
            happened, why, is_wanted = None, error.detail, False
        except Invalid as error:
            happened, why = None, f"{why} {error}"
        if happened is None and is_wanted and action.steps[number].state == "begun":
            return True, record
        return happened, record if happened is not None else await self._stuck(record, number, why)

    async def _asked_in_vain(self, record: Kept, number: int) -> Kept:
        """That nobody answered for an undo is counted, now and then: after a few times it is a person's."""
        step = record.value.steps[number]
        if step.state != "undo_begun" or self._is_too_soon(record.value):
            return record
        asked = with_step(record.value, number, replace(step, undos=step.undos + 1))
        return await self._ledger.note(record, self._leased(asked))

    async def _not_made(self, record: Kept, number: int, why: str) -> Kept:
        """Nothing of a call happened, nor will: what was done before it is taken back."""
        action = record.value
        after = free(with_step(action, number, replace(action.steps[number], state="planned", said=why[:500])))
        if any(step.state == "done" for step in action.steps):
            return await self._ledger.put(record, replace(after, state=S.UNDOING), Entry("action_failed", why))
        record = await self._ledger.note(record, after)
        return await self._ends.end(record, S.FAILED, "action_failed", why)

    async def _stuck(self, record: Kept, number: int, why: str) -> Kept:
        step = record.value.steps[number]
        text = f"It stands half done: {step.call.operation} {step.call.target.said}. {why} A person must look."
        return await self._ends.end(record, S.ESCALATED, "escalated", text, case_state=CaseState.ESCALATED)

    async def _settle(self, record: Kept, number: int) -> Kept:
        """A call was begun and is to be undone: nothing is taken back that never happened."""
        step = record.value.steps[number]
        happened, record = await self._whether_happened(record, number, step.call, step.key)
        if happened is None:
            return record
        settled = replace(step, state="done" if happened else "planned", done_ms=self._clock.now_ms() * happened)
        return await self._ledger.note(record, free(with_step(record.value, number, settled)))

    async def _resume_undo(self, record: Kept, number: int) -> Kept:
        """An undo was begun; each of its calls is asked for like any call."""
        step, are_all_made = record.value.steps[number], True
        for count, call in enumerate(step.undo):
            happened, record = await self._whether_happened(record, number, call, undo_key(step, count))
            if happened is None:
                return record
            are_all_made = are_all_made and happened
        if are_all_made:
            undone = replace(step, state="undone", undone_ms=self._clock.now_ms())
            return await self._ledger.note(record, free(with_step(record.value, number, undone)))
        if not self._may_ask(step):
            return await self._stuck(record, number, "It was to be taken back again and again, and nobody answered.")
        if self._is_too_soon(record.value):
            return record
        return await self._undo_attempt(record, number)

    async def _undo_attempt(self, record: Kept, number: int) -> Kept:
        """Write the intent to take a step back, and do it; what someone changed since is left as they made it.

        Only before the first call: from there on, what is found may be its own work.
        """
        action = record.value
        step = action.steps[number]
        undo_ms = step.undo_ms if step.state == "undo_begun" else self._clock.now_ms()
        intent = replace(step, state="undo_begun", undo_ms=undo_ms, undos=step.undos + 1)
        try:
            found = await self._changed_since(action, step) if step.left else ""
        except Unavailable as error:
            log.warning("undo_unanswered", action_id=action.id, step=number, reason=error.detail)
            return await self._ledger.note(record, self._leased(with_step(action, number, intent)))
        if found:
            text = f"It was changed since, and is not taken back: {found}. A person must look."
            return await self._ends.end(record, S.ESCALATED, "escalated", text, case_state=CaseState.ESCALATED)
        called = self._leased(with_step(action, number, replace(intent, left={})))
        return await self._undo_call(await self._ledger.note(record, called), number)

    async def _left(self, tenant: TenantId, step: Step) -> dict[str, str]:
        """What a step left, by the names of the target's own state, as far as that says just what was shown."""
        if not step.undo:
            return {}
        try:
            state = await self._state(tenant, step.call)
        except (Invalid, Unavailable):
            return {}
        return {change.what: change.after for change in step.changes if state.get(change.what) == change.after}

    async def _changed_since(self, action: Action, step: Step) -> str:
        """What of a step someone has changed since; empty for nothing, or where nobody can tell.

        Raises:
            Unavailable: The other side does not answer now.
        """
        try:
            state = await self._state(action.tenant, step.call)
        except Invalid:
            return ""
        found = [
            f"{named(what)} was left at {named(left)}, and is {named(state[what])} now"
            for what, left in step.left.items()
            if what in state and state[what] not in _shown_of(action, step, what)
        ]
        if found and all([await self._is_made(action, call, undo_key(step, n)) for n, call in enumerate(step.undo)]):
            return ""  # it is as the undo would have it
        return "; ".join(found)

    async def _is_made(self, action: Action, call: Call, key: str) -> bool:
        try:
            return bool(await self._happened(action.tenant, call, key))
        except Invalid:
            return False

    async def _undo_call(self, record: Kept, number: int) -> Kept:
        action = record.value
        step, said = action.steps[number], ""
        for count, call in enumerate(step.undo):
            key = undo_key(step, count)
            try:
                if await self._happened(action.tenant, call, key):
                    continue
                if await self.is_stopped(action.tenant):
                    return record
                said = await self._make(action.tenant, call, key)
            except Invalid as error:
                return await self._stuck(record, number, f"The undo was refused: {error}")
            except Unavailable as error:
                log.warning("undo_unanswered", action_id=action.id, step=number, reason=error.detail)
                return record
        undone = replace(step, state="undone", undone_ms=self._clock.now_ms(), said=said[:500])
        return await self._ledger.note(record, free(with_step(action, number, undone)))

    def _leased(self, action: Action) -> Action:
        return replace(action, owner=self._owner, lease_ms=self._clock.now_ms() + self._lease_ms(action))

    def _lease_ms(self, action: Action) -> int:
        """For so long nobody else takes it up: an undo asks first, and may be several calls."""
        undos = max((len(step.undo) for step in action.steps), default=0) if action.state is S.UNDOING else 0
        return round(self._settings.call_timeout_s * 1000) * max(1, 2 * undos) + LEASE_SPARE_MS

    def _is_too_soon(self, action: Action) -> bool:
        """Whether the call under way was made a moment ago: who does not answer is given time."""
        return self._clock.now_ms() < action.lease_ms - self._lease_ms(action) + AGAIN_MS

    def _has_patience(self, step: Step) -> bool:
        """Whether a call that has had no answer may still be made: later, what it was decided by is no longer so."""
        return self._clock.now_ms() - step.begun_ms < self._patience_ms

    def _may_ask(self, step: Step) -> bool:
        """Whether it may still be asked what came of it, and an undo be tried.

        The time of a stop, or of nobody being up, does not count; and an undo has its attempts whatever the clock says.
        """
        if step.state == "undo_begun" and step.undos < ATTEMPTS_MAX:
            return True
        return self._clock.now_ms() - max(step.begun_ms, step.undo_ms, self._quiet_ms) < self._patience_ms

    @property
    def _patience_ms(self) -> int:
        return ATTEMPTS_MAX * round(self._settings.call_timeout_s * 1000)

    async def _make(self, tenant: TenantId, call: Call, key: str) -> str:
        limit_s = self._settings.call_timeout_s

        async def make() -> str:
            return await (await self._executor(tenant, call)).execute(call, key=key, timeout_s=limit_s)

        return await in_time(make(), limit_s + SPARE_S)

    async def _happened(self, tenant: TenantId, call: Call, key: str) -> bool | None:
        async def ask() -> bool | None:
            return await (await self._executor(tenant, call)).happened(call, key=key)

        return await in_time(ask(), self._settings.call_timeout_s)

    async def _state(self, tenant: TenantId, call: Call) -> Mapping[str, str]:
        executor = await self._executor(tenant, call)
        return await in_time(executor.state(call.target), LOOK_S)

    async def _executor(self, tenant: TenantId, call: Call) -> Executor:
        """Who makes the call; that other doors are silent takes of its time."""
        return reached(call, await self._reach.of(tenant))


def _is_wanted_back(action: Action) -> bool:
    """Whether it is a person who wants it undone."""
    return action.state is S.UNDOING and bool(action.story) and action.story[-1].actor != CEREBRO


def _can_be_undone(step: Step) -> bool:
    """Whether something of it may have happened that can be taken back."""
    return step.state in ("begun", "done") and bool(step.undo)


def _shown_of(action: Action, step: Step, what: str) -> set[str]:
    """The values of a name in its target's state that the action itself has found there or put there."""
    changes = [change for each in action.steps if each.call.target == step.call.target for change in each.changes]
    return {text for change in changes if change.what == what for text in (change.before, change.after)}


def with_step(action: Action, number: int, step: Step) -> Action:
    """The action with another step in this place."""
    return replace(action, steps=(*action.steps[:number], step, *action.steps[number + 1 :]))


def undo_key(step: Step, number: int) -> str:
    """The key under which a step is taken back."""
    return f"{step.key}-undo-{number}"
