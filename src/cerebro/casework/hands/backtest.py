"""What a playbook would have done about past cases: how often it fits, and what became of its like there.

A case of the past is read in a few columns of its record, all of them at once: what was blamed, what was said of it,
what was done. What users felt then is not read again, so a playbook's `shapes` keep none of them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cerebro.casework.deeds import ACTIONS, KeptAction
from cerebro.casework.hands.rank import Picture, fit
from cerebro.casework.hands.users import Moment, StoredUsers
from cerebro.casework.playbooks.model import Playbook
from cerebro.casework.store import CASES, every
from cerebro.kernel.records.port import Collection, Records, Search
from cerebro.spine.actions import Action, ActionState
from cerebro.spine.cases import Cause, Signal
from cerebro.spine.identity import ActionId, CaseId, TenantId

CASES_SHOWN, CASES_TRIED = 50, 1000
PAGE = 500
WORDS_CHARS_MAX = 20_000
PROBE_MS = 300_000  # after a case began, in which a gauge that a playbook probes is looked at


@dataclass(frozen=True, slots=True)
class PastCase:
    """The columns of a case that a playbook is tried on."""

    id: CaseId
    opened_ms: int
    began_ms: int = 0
    objective: str = ""
    causes: tuple[Cause, ...] = ()
    signals: tuple[Signal, ...] = ()
    actions: tuple[ActionId, ...] = ()


PAST_CASES = Collection(CASES.name, PastCase, CASES.fields)
Tried = Sequence[tuple[PastCase, Picture]]


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


async def past_cases(records: Records, tenant: TenantId) -> tuple[list[PastCase], dict[str, list[KeptAction]]]:
    """The newest cases that had a cause, and the actions of each by its id."""
    done: dict[str, list[KeptAction]] = {}
    async with records.transaction() as transaction:
        page = await transaction.find(PAST_CASES, tenant, Search({}, order="-opened_ms", limit=CASES_TRIED))
        cases = [record.value for record in page.records if record.value.causes]
        if acted := tuple(case.id for case in cases if case.actions):
            async for record in every(transaction, ACTIONS, tenant, Search({"case": acted}, limit=PAGE)):
                done.setdefault(record.value.case, []).append(record.value)
    return cases, done


async def pictures(playbook: Playbook, cases: Sequence[PastCase], users: StoredUsers, tenant: TenantId) -> Tried:
    """What is known of the likeliest cause of each case, with what the playbook probes as it was then."""
    blamed = [min(case.causes, key=lambda each: each.rank) for case in cases]
    natures = await users.natures(tenant, {cause.entity for cause in blamed})
    probed = sorted({probe.metric for probe in playbook.trigger.probes})
    moments = [
        Moment(cause.entity, begin_ms := case.began_ms or case.opened_ms, begin_ms + PROBE_MS)
        for case, cause in zip(cases, blamed, strict=True)
    ]
    gauges = await users.gauges_then(tenant, moments, probed) if probed and moments else [{}] * len(cases)
    return [
        (case, Picture(cause, natures[cause.entity], _words(case, cause), frozenset({case.objective} - {""}), "", then))
        for case, cause, then in zip(cases, blamed, gauges, strict=True)
    ]


def _words(case: PastCase, cause: Cause) -> str:
    there = [f"{each.key} {each.title}" for each in case.signals if each.entity == cause.entity]
    proof = [cause.explanation, *(each.sentence for each in cause.evidence)]
    return " ".join((*proof, *there)).lower()[:WORDS_CHARS_MAX]


def backtest(playbook: Playbook, pictures: Tried, done: Mapping[str, Sequence[Action]], days: int) -> Backtest:
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
