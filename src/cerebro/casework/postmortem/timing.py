"""When a case was noticed and when it ended, whatever people did to its borders meanwhile."""

from cerebro.casework.life import CEREBRO
from cerebro.spine.cases import LIVE, Case, CaseState


def ended_ms(case: Case) -> int:
    """When nothing hurt any more as the record has it, or someone closed it all the same.

    0 while it lasts, and where it went on in another case.
    """
    if case.state in LIVE or went_on_in(case):
        return 0
    shut_ms = case.updated_ms
    if case.state is CaseState.CLOSED:
        shut_ms = max((entry.at_ms for entry in case.timeline if entry.kind == "closed"), default=shut_ms)
    return case.cleared_ms or case.resolved_ms or shut_ms


def went_on_in(case: Case) -> str:
    """The case that this one became part of; empty for none."""
    return case.labels.get("merged_into", "")


def merged_ms(case: Case) -> int:
    """When the case became part of another."""
    merged = (entry.at_ms for entry in case.timeline if entry.reference == went_on_in(case))
    return max(merged, default=case.updated_ms)


def noticed_ms(case: Case, seen_ms: int = 0) -> int:
    """When the first of its troubles was known.

    That is before the case was opened where an older one was merged into it, and where it was taken out of another.

    Args:
        seen_ms: When the first finding that it holds now was seen; 0 where that is not known.
    """
    known = [entry.at_ms for entry in case.timeline if entry.kind == "opened"]
    if is_parted(case):
        known += [seen_ms, *(signal.raised_ms for signal in case.signals)]
    return min((at_ms for at_ms in known if at_ms and at_ms >= case.began_ms), default=case.opened_ms)


def is_parted(case: Case) -> bool:
    """Whether it was taken out of another case, or another out of it: when it was opened says little then."""
    return any(entry.kind == "split" or (entry.kind == "opened" and entry.actor != CEREBRO) for entry in case.timeline)
