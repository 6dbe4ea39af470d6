"""When nothing was wrong: the times that no other case covers, of which it is learned what is usual.

A trouble that came shortly after another one is not held against the other's failures and waits.
"""

from collections.abc import Iterable, Sequence

from cerebro.casework.store import CASES
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Search
from cerebro.spine.cases import Case, CaseState

EDGE_MS = 10_000  # before the first sign and after the last one, that may be trouble too
CASES_MAX = 50  # the newest; older ones are hardly within the time that is looked back on

Stretch = tuple[int, int]  # Unix milliseconds, the end excluded


async def troubled_before(kernel: Kernel, case: Case) -> tuple[Stretch, ...]:
    """The times of the tenant's other cases that were opened before this one.

    Not those that began before it: a late sign of one of them, told by the minute, may be what takes this one's
    beginning back to before theirs.
    """
    async with kernel.records.transaction() as transaction:
        page = await transaction.find(CASES, case.tenant, Search({}, order="-opened_ms", limit=CASES_MAX))
    others = (record.value for record in page.records if record.key != case.id)
    return troubled(
        each for each in others if each.opened_ms < case.opened_ms and each.labels.get("merged_into") != case.id
    )


def troubled(cases: Iterable[Case]) -> tuple[Stretch, ...]:
    """From the first sign of each case to its last; one that is not over lasts to the end of time."""
    return tuple((each.began_ms - EDGE_MS, _end_ms(each) + EDGE_MS) for each in cases)


def _end_ms(case: Case) -> int:
    if case.cleared_ms:
        return case.cleared_ms
    return case.updated_ms if case.state is CaseState.CLOSED else 1 << 60


def quiet(start_ms: int, end_ms: int, troubles: Sequence[Stretch]) -> list[Stretch]:
    """What is left of a time without the troubles, in its order.

    >>> quiet(0, 100, [(10, 30), (20, 40), (90, 200)])
    [(0, 10), (40, 90)]
    """
    found, at_ms = [], start_ms
    for begin_ms, over_ms in sorted(troubles):
        if min(begin_ms, end_ms) > at_ms:
            found.append((at_ms, min(begin_ms, end_ms)))
        at_ms = max(at_ms, over_ms)
    return [*found, (at_ms, end_ms)] if at_ms < end_ms else found


def newest(stretches: Sequence[Stretch], length_ms: int) -> list[Stretch]:
    """The last of them, together no longer than so.

    >>> newest([(0, 10), (20, 30)], 15)
    [(5, 10), (20, 30)]
    """
    found: list[Stretch] = []
    for begin_ms, over_ms in reversed(stretches):
        if length_ms <= 0:
            break
        found.append((max(begin_ms, over_ms - length_ms), over_ms))
        length_ms -= over_ms - begin_ms
    return found[::-1]
