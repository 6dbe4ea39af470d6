"""How an action ends: told in its case, kept in the audit chain, and learned from, once."""

from dataclasses import replace

from cerebro.casework.deeds import KeptAction
from cerebro.casework.hands.ledger import CEREBRO, Entry, Ledger
from cerebro.casework.hands.library import Library
from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record
from cerebro.spine.actions import UNDER_WAY, Action, ActionState
from cerebro.spine.cases import CaseState

log = get_log(__name__)

S = ActionState
Kept = Record[KeptAction]


class Ends:
    """Ends actions."""

    def __init__(self, ledger: Ledger, library: Library, clock: Clock) -> None:
        self._ledger, self._library, self._clock = ledger, library, clock

    async def end(
        self, record: Kept, state: ActionState, kind: str, text: str, *, by: str = CEREBRO,
        case_state: CaseState | None = None, lapsed: bool = False,
    ) -> Kept:  # fmt: skip
        """The action is over; its playbook learns from it.

        Args:
            record: Of the action.
            state: Its last.
            kind: How that is told in the timeline.
            text: Its outcome.
            by: Whose word ends it.
            case_state: That its case goes to.
            lapsed: Nobody has said no to it, nor left it unanswered: the same may be thought of again.
        """
        action, now_ms = record.value, self._clock.now_ms()
        after = free(replace(action, state=state, ended_ms=now_ms, outcome=text, held="", lapsed=lapsed))
        entry = Entry(kind, text, by, case_state)
        if _teaches(action, state, by):
            playbook = await self._library.maybe(action.tenant, action.playbook)
            record = await self._ledger.put_learned(record, after, entry, playbook)
        else:
            record = await self._ledger.put(record, after, entry)
        log.info("action_ended", action_id=action.id, state=state.value, playbook=action.playbook)
        return record


def _teaches(action: Action, state: ActionState, by: str) -> bool:
    """Whether its playbook learns from this end: once, and from harm also where it could not be taken back."""
    is_told = state in (S.HELPED, S.UNDONE) or (state is S.ESCALATED and action.harmful)
    has_taught = bool(action.learned) or any(turn.state is S.HELPED for turn in action.story)
    return is_told and by == CEREBRO and action.state in UNDER_WAY and not has_taught


def free(action: Action) -> Action:
    """The action with nobody working it."""
    return replace(action, owner="", lease_ms=0)
