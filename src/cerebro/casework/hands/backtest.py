"""What a playbook would have done about past cases: how often it fits, and what became of its like there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cerebro.casework.hands.rank import Picture, fit
from cerebro.casework.playbooks.model import Playbook
from cerebro.spine.actions import Action, ActionState
from cerebro.spine.cases import Case

CASES_SHOWN = 50
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a playbook fits the past.

    Args:
        days: Over how long.
        case_count: Cases with a cause that were looked at.
        ran: Those it would have been thought of for.
        helped: Those of them where an action with the same first operation on the same target helped.
        not_helped: Where such an action did not.
        untried: Where nothing of the kind was done.
        cases: Some of them.
    """

    days: int
    case_count: int
    ran: int
    helped: int
    not_helped: int
    untried: int
    cases: tuple[str, ...]


def backtest(
    playbook: Playbook, pictures: Sequence[tuple[Case, Picture]], done: Mapping[str, Sequence[Action]], days: int
) -> Backtest:
    """Try the playbook's trigger on the likeliest cause of each case.

    Args:
        playbook: New or old.
        pictures: Past cases, each with what was known of its likeliest cause.
        done: The actions of each case, by its id.
        days: Over how long the cases reach.
    """
    ran = [(case, picture) for case, picture in pictures if fit(playbook, picture)[0]]
    ends = [_end(playbook, picture, done.get(case.id, ())) for case, picture in ran]
    return Backtest(
        days, len(pictures), len(ran), ends.count("helped"), ends.count("not helped"), ends.count("untried"),
        tuple(case.id for case, _ in ran[:CASES_SHOWN]),
    )  # fmt: skip


def _end(playbook: Playbook, picture: Picture, actions: Sequence[Action]) -> str:
    like = [
        action
        for action in actions
        if action.target == picture.cause.entity
        and action.steps[0].call.operation == playbook.steps[0].operation
        and action.state in (ActionState.HELPED, ActionState.UNDONE)
    ]
    if not like:
        return "untried"
    return "helped" if any(action.state is ActionState.HELPED for action in like) else "not helped"
