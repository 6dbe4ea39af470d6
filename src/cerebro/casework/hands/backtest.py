"""What a playbook would have done about past cases: how often it fits, and what became of its like there.

A case of the past is read in a few columns of its record, all of them at once: what was blamed, what was said of it,
what was done. What users felt then is not read again, so a playbook's `shapes` keep none of them out. What can be
reached is what can be reached now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cerebro.casework.deeds import ACTIONS, KeptAction
from cerebro.casework.executors.port import Executor
from cerebro.casework.hands.plan import can
from cerebro.casework.hands.propose import considered
from cerebro.casework.hands.rank import Picture, fit, words_of
from cerebro.casework.hands.users import Moment, StoredUsers
from cerebro.casework.playbooks.model import Playbook
from cerebro.casework.store import CASES, every
from cerebro.kernel.records.port import Collection, Records, Search
from cerebro.spine.actions import Action
from cerebro.spine.cases import Cause, Signal
from cerebro.spine.identity import ActionId, CaseId, TenantId

CASES_SHOWN, CASES_TRIED = 50, 1000
DAYS, DAYS_MAX = 30, 366  # that are looked back on
PAGE = 500
MOMENTS_MAX = 1000  # whose gauges are asked for at once
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
    labels: Mapping[str, str] = field(default_factory=dict)


PAST_CASES = Collection(CASES.name, PastCase, CASES.fields)
Tried = Sequence[tuple[PastCase, Sequence[Picture]]]


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a playbook fits the past.

    Args:
        days: Over how long.
        from_ms: When the oldest case that was looked at was opened; 0 where there was none.
        to_ms: When the newest one was.
        case_count: Cases with a cause that were looked at.
        ran: Those it would have been thought of for.
        out_of_reach: Those it fits as well, but where nothing here can make its calls now.
        helped: Those that it would have been thought of for and where an action with the same first operation on the
            same target helped, by its outcome or a person's verdict in the place of that.
        not_helped: Where such an action did not.
        untried: Where nothing of the kind was done, or nobody can tell what came of it.
        cases: Some of them.
    """

    days: int
    from_ms: int
    to_ms: int
    case_count: int
    ran: int
    out_of_reach: int
    helped: int
    not_helped: int
    untried: int
    cases: tuple[str, ...]


async def past_cases(
    records: Records, tenant: TenantId, since_ms: int = 0
) -> tuple[list[PastCase], dict[str, list[KeptAction]]]:
    """The newest cases that had a cause and were opened since then, and the actions of each by its id.

    A case that became part of another is looked at there; an action that several cases share belongs to each of them.
    """
    async with records.transaction() as transaction:
        page = await transaction.find(PAST_CASES, tenant, Search({}, order="-opened_ms", limit=CASES_TRIED))
        newest = [record.value for record in page.records if record.value.opened_ms >= since_ms]
        cases = [case for case in newest if case.causes and "merged_into" not in case.labels]
        ids = tuple(dict.fromkeys(str(action) for case in cases for action in case.actions))
        search = Search({"key": ids}, limit=PAGE)
        found = {each.key: each.value async for each in every(transaction, ACTIONS, tenant, search)} if ids else {}
    return cases, {case.id: [found[each] for each in case.actions if each in found] for case in cases}


async def pictures(playbook: Playbook, cases: Sequence[PastCase], users: StoredUsers, tenant: TenantId) -> Tried:
    """What is known of each cause that is `considered`, case by case, with what the playbook probes as it was then."""
    blamed = [(case, cause) for case in cases for cause in considered(case.causes)]
    natures = await users.natures(tenant, {cause.entity for _, cause in blamed})
    probed = sorted({probe.metric for probe in playbook.trigger.probes})
    moments = [
        Moment(cause.entity, begin_ms := case.began_ms or case.opened_ms, begin_ms + PROBE_MS) for case, cause in blamed
    ]
    gauges: list[Mapping[str, float]] = [] if probed else [{}] * len(moments)
    for start in range(0, len(moments), MOMENTS_MAX) if probed else ():
        gauges += await users.gauges_then(tenant, moments[start : start + MOMENTS_MAX], probed)
    found: dict[str, list[Picture]] = {case.id: [] for case in cases}
    for (case, cause), then in zip(blamed, gauges, strict=True):
        burnt = frozenset({case.objective} - {""})
        found[case.id].append(Picture(cause, natures[cause.entity], words_of(cause), burnt, "", then))
    return [(case, found[case.id]) for case in cases]


def backtest(
    playbook: Playbook,
    pictures: Tried,
    done: Mapping[str, Sequence[Action]],
    days: int,
    executors: Sequence[Executor],
) -> Backtest:
    """Try the playbook's trigger on the causes of each case, as the proposer would.

    Args:
        playbook: New or old.
        pictures: Past cases, each with what was known of its causes, in the order in which they are thought of.
        done: The actions of each case, by its id.
        days: Over how long the cases reach.
        executors: That there are now.
    """
    fitting = [(case, [each for each in known if fit(playbook, each)[0]]) for case, known in pictures]
    fitting = [(case, known) for case, known in fitting if known]
    near = [(case, [each for each in known if can(playbook, each.cause.entity, executors)]) for case, known in fitting]
    ran = [(case, known[0]) for case, known in near if known]
    ends = [_end(playbook, picture, done.get(case.id, ())) for case, picture in ran]
    opened_ms = [case.opened_ms for case, _ in pictures]
    return Backtest(
        days=days,
        from_ms=min(opened_ms, default=0),
        to_ms=max(opened_ms, default=0),
        case_count=len(pictures),
        ran=len(ran),
        out_of_reach=len(fitting) - len(ran),
        helped=ends.count("helped"),
        not_helped=ends.count("not_helped"),
        untried=ends.count("untried"),
        cases=tuple(case.id for case, _ in ran[:CASES_SHOWN]),
    )


def _end(playbook: Playbook, picture: Picture, actions: Sequence[Action]) -> str:
    like = {
        _outcome(action)
        for action in actions
        if action.target == picture.cause.entity and action.steps[0].call.operation == playbook.steps[0].operation
    }
    return next((end for end in ("helped", "not_helped") if end in like), "untried")


def _outcome(action: Action) -> str:
    """What its playbook has learned from it, or a person's verdict in the place of that; empty for nothing.

    Its state tells less: one that helped may be taken back later, and one that harmed may not.
    """
    if action.verdict:
        return "helped" if action.verdict == "good" else "not_helped"
    return action.learned
