"""From a run as it was seen to what counts: values in, values out, by the words of the page of drills.

Where two readings are possible, the one that is worse for the watcher is taken: decision 77.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cerebro.proving.faults import FROM_AFAR
from cerebro.proving.model import CONTROL, CYCLE, Health, Injection, Look, Observation, Operation
from cerebro.proving.record import CaseTold, Record
from cerebro.proving.watch import CEREBRO, Act

ERROR_SHARE_MIN = 0.02  # users feel it from here on
SLOWER_MIN = 1.5  # times the p95 of the quiet stretch
SLOWER_MS_MIN = 20.0
CALM_LOOKS = 2  # healthy looks in a row that count as recovered
MENDED_LOOKS = 4  # healthy looks in a row, after something was done, that end a brisk drill's fault
AT_ONCE_MS = 1_000  # between an act and the end that it has brought


def usual_of(looks: Sequence[Look]) -> Health:
    """What users are used to: the middle of the later half of the looks, when it has warmed up."""
    later = [look.health for look in looks[len(looks) // 2 :]] or [Health(0, 0, 0, 0.0, 0.0, 0.0)]

    def middle(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    return replace(
        later[-1],
        request_count=round(middle([each.request_count for each in later])),
        error_share=middle([each.error_share for each in later]),
        p50_ms=middle([each.p50_ms for each in later]),
        p95_ms=middle([each.p95_ms for each in later]),
    )


def is_felt(usual: Health, now: Health) -> bool:
    """Whether users notice: more errors than a few, or a p95 well above what they are used to."""
    if now.request_count == 0:
        return usual.request_count > 0
    slow_ms = max(usual.p95_ms * SLOWER_MIN, usual.p95_ms + SLOWER_MS_MIN)
    return now.error_share >= max(ERROR_SHARE_MIN, 3 * usual.error_share) or now.p95_ms >= slow_ms


def is_mended(usual: Health, looks: Sequence[Look]) -> bool:
    """Whether users felt it, and for a while do so no more."""
    felt = [is_felt(usual, look.health) for look in looks]
    return any(felt) and not any(felt[-MENDED_LOOKS:])


def felt_by_users(usual: Health, looks: Sequence[Look]) -> tuple[int, int]:
    """When users first felt it and when they were served as before for good, by the looks' own time; -1 for never."""
    felt = [is_felt(usual, look.health) for look in looks]
    if True not in felt:
        return -1, -1
    first, last = felt.index(True), len(felt) - 1 - felt[::-1].index(True)
    recovered = len(felt) - 1 - last >= CALM_LOOKS
    return looks[first].end_ms, looks[last].end_ms if recovered else -1


def suffered_until(usual: Health, during: Sequence[Look], cycle_s: float = 0.0) -> int:
    """The end of the last look that hurt, where the stretch then stays calm to its end; -1 otherwise.

    Calm is two looks at least; of a trouble that comes and goes, a whole turn of it: a lull is no end.
    """
    felt = [is_felt(usual, look.health) for look in during]
    calm = felt[::-1].index(True) if True in felt else 0
    if calm < CALM_LOOKS:
        return -1
    last_ms = during[-1 - calm].end_ms
    return last_ms if during[-1].end_ms - last_ms >= cycle_s * 1000 else -1


def counted(record: Record, injection: Injection) -> Observation:
    """What the watcher made of the fault.

    Cases that were open before it do not count for it; acts before it are harm.
    """
    looks = record.felt.looks()
    during = [look for look in looks if look.end_ms <= record.until_ms]
    effect_ms, recovery_ms = felt_by_users(record.usual, looks)
    suffered_ms = suffered_until(record.usual, during, float(injection.parameters.get(CYCLE, "0")))
    opened = [case for case in record.cases if case.opened_ms >= 0]
    stayed = [case for case in opened if not case.merged_into]
    rank, cause_ms = _cause(stayed, injection)
    ours = [act for act in record.acts if act.done and act.by == CEREBRO and _helps(act.operation, injection)]
    helped = any(0 <= act.at_ms <= suffered_ms for act in ours)
    prevented = effect_ms < 0 and _is_prevented(ours, injection, record.until_ms)
    harmful = [
        act
        for act in record.acts
        if act.at_ms < 0 or not _helps(act.operation, injection) or _is_late(act, record, looks)
    ]
    return Observation(
        injection,
        finding_ms=record.finding_ms,
        case_ms=min((case.opened_ms for case in opened), default=-1),
        cause_ms=cause_ms,
        recovery_ms=recovery_ms,
        cause_rank=rank,
        resolved_unaided=helped or prevented,
        action_count=_action_count(record.acts),
        harmful_count=_action_count(harmful),
        case_count=len(opened),
        effect_ms=effect_ms,
    )


def quiet_cases(record: Record) -> int:
    """How many cases were opened before the fault; in a quiet stretch, all."""
    return sum(case.opened_ms < 0 for case in record.cases)


def _cause(cases: Sequence[CaseTold], injection: Injection) -> tuple[int, int]:
    """The rank of the true cause in the case that was opened first, and when it was first the likeliest there.

    0 and -1 for never: whoever is called looks at the first case, and not at the best of several.
    """
    if not cases:
        return 0, -1
    first, target = min(cases, key=lambda case: case.opened_ms), injection.target
    rank = min((each.rank for each in first.causes if each.entity == target), default=0)
    return rank, min((at_ms for at_ms, name in first.named if name == target.text), default=-1)


def _is_prevented(acts: Sequence[Act], injection: Injection, until_ms: int) -> bool:
    """Whether an act has ended the fault, by the ground's own record, before the drill would have."""
    end_ms = injection.end_ms - injection.start_ms
    return 0 < end_ms < until_ms and any(abs(act.at_ms - end_ms) <= AT_ONCE_MS for act in acts)


def _helps(operation: Operation, injection: Injection) -> bool:
    """Whether an operation is among those that honestly help, and done where it can; against a control nothing does."""
    if any(_helps(operation, each) for each in injection.followers):
        return True
    remedies = {remedy.partition(":")[0] for remedy in injection.fault.remedies}
    there = operation.target == injection.target or operation.name in FROM_AFAR
    return injection.fault.cause_kind != CONTROL and operation.name in remedies and there


def _is_late(act: Act, record: Record, looks: Sequence[Look]) -> bool:
    """Whether it was done after the drill had ended the fault, to users who had felt nothing for a look and more."""
    if act.at_ms < record.until_ms:
        return False
    place = next((k for k, look in enumerate(looks) if look.end_ms >= act.at_ms), len(looks) - 1)
    return not any(is_felt(record.usual, look.health) for look in looks[max(0, place - 1) : place + 1])


def _action_count(acts: Sequence[Act]) -> int:
    """Actions, of however many acts each: a restart of two replicas is one, as it is where there is one call for it."""
    return len(set(_names(acts)))


def _names(acts: Sequence[Act]) -> Iterator[str]:
    return (act.action or f"#{number}" for number, act in enumerate(acts))
