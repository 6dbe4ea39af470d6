"""What Cerebro did itself: told as a change by what it was done to, it is no reason of a trouble."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cerebro.casework.cause.changed import FLAGS, RENEWING, puts_back
from cerebro.casework.cause.picture import Change
from cerebro.casework.deeds import ACTIONS
from cerebro.kernel.records.port import Search, Transaction
from cerebro.spine.actions import Action, ActionState
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId

ACTIONS_READ_MAX = 100  # the newest of a tenant: those of the last hour, and more
EARLY_MS, LATE_MS = 5_000, 90_000  # a change is told a little before it is done by clocks that differ, or a while after
SOON_MS = 15_000  # where no process has to start for it
# Kinds of change that are over after such an operation. What is rolled back or restored says so itself.
ENDED_BY = {"end_query": frozenset({"migration"}), "flag_off": FLAGS, "turn_off": FLAGS}
STAYS = frozenset({"flag_off", "turn_off"})  # done is done, whoever closed the case before it was verified


@dataclass(frozen=True, slots=True)
class Done:
    """One step of an action.

    Args:
        target: What it was done to.
        ended: The case for which it ended what changes of the target did, for as long as nobody does them again; empty
            for none.
        kinds: Of these changes.
    """

    target: EntityKey
    begun_ms: int
    ended_ms: int
    ended: str = ""
    kinds: frozenset[str] = frozenset()

    def told_by(self, change: Change) -> bool:
        """Whether the change is this step, as others tell it."""
        late_ms = LATE_MS if change.kind in RENEWING else SOON_MS
        return self.target == change.entity and self.begun_ms - EARLY_MS <= change.at_ms <= self.ended_ms + late_ms


async def done_lately(transaction: Transaction, tenant: TenantId) -> list[Done]:
    """What Cerebro has done, whatever case it was for."""
    page = await transaction.find(ACTIONS, tenant, Search({}, order="-made_ms", limit=ACTIONS_READ_MAX))
    return [each for record in page.records for each in steps_of(record.value)]


def steps_of(action: Action) -> list[Done]:
    """The steps that were begun, and those that were taken back again."""
    done = []
    for step in action.steps:
        if step.undo_ms and step.state in ("undo_begun", "undone"):
            done.append(Done(step.call.target, step.undo_ms, max(step.undone_ms, step.undo_ms)))
        if step.begun_ms:
            operation, ended_ms = step.call.operation, max(step.done_ms, step.begun_ms)
            ends = step.state == "done" and (action.state is ActionState.HELPED or operation in STAYS)
            kinds = ENDED_BY.get(operation, frozenset()) if ends else frozenset()
            done.append(Done(step.call.target, step.begun_ms, ended_ms, action.case if kinds else "", kinds))
    return done


def of_others(changes: Iterable[Change], done: Sequence[Done], case: str = "", since_ms: int = 0) -> tuple[Change, ...]:
    """The changes without our own; that we put something back still ends what the change before it could do.

    A step is told once as each kind of change; what comes after that is someone else's, however soon. A migration
    whose work was ended for another case is no reason of this one, nor is a flag that was turned off for it; nor what
    was ended for an earlier trouble of the case itself.

    Args:
        since_ms: When the trouble that the case is in was noticed.
    """
    given, ours = list(changes), set[int]()
    order = sorted(range(len(given)), key=lambda k: given[k].at_ms)
    for each in sorted(done, key=lambda one: (one.begun_ms, one.ended_ms)):
        told: set[str] = set()
        for k in order:
            if k not in ours and given[k].kind not in told and each.told_by(given[k]):
                ours.add(k)
                told.add(given[k].kind)
    return tuple(
        change
        for k, change in enumerate(given)
        if (k not in ours or puts_back(change)) and not any(_is_over(change, each, case, since_ms) for each in done)
    )


def _is_over(change: Change, done: Done, case: str, since_ms: int) -> bool:
    """Whether what the change did was ended, for another trouble: it is no reason of what comes later."""
    elsewhere = bool(done.ended) and (done.ended != case or done.ended_ms < since_ms)
    return elsewhere and change.kind in done.kinds and done.target == change.entity and change.at_ms < done.begun_ms
