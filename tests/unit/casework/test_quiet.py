"""What is usual is learned of the times that no other case covers."""

from hypothesis import given
from hypothesis import strategies as st

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.quiet import newest, quiet, troubled, troubled_before
from cerebro.casework.store import CASES, keep_case
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.findings import Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId

T = 1_700_000_000_000

SPANS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=8)


@given(SPANS)
def test_what_is_left_touches_no_trouble_and_misses_nothing(troubles):
    """Whatever overlaps, lies inside another or is empty."""
    calm = {at for begin, over in quiet(10, 90, troubles) for at in range(begin, over)}
    wrong = {at for begin, over in troubles for at in range(begin, over)}
    assert calm == set(range(10, 90)) - wrong


@given(SPANS, st.integers(0, 50))
def test_the_newest_are_no_longer_than_asked(troubles, length):
    """And nothing newer is left out."""
    calm = quiet(0, 100, troubles)
    kept = newest(calm, length)
    assert sum(over - begin for begin, over in kept) == min(length, sum(over - begin for begin, over in calm))
    assert not kept or kept[-1][1] == calm[-1][1]


def case(number, began_s, opened_s, cleared_s, **labels):
    return Case(
        CaseId(number), DEFAULT_TENANT, CaseState.CLOSED, Severity.MAJOR, "t", T + opened_s * 1000, 1, (), (),
        began_ms=T + began_s * 1000, cleared_ms=T + cleared_s * 1000, labels=labels,
    )  # fmt: skip


async def test_a_late_sign_hides_no_trouble_that_was_over_before():
    """Errors of the trouble before the last, told by the minute, take this one's beginning back to before the last."""
    kernel = simulated_kernel(Settings(), VirtualClock(seed=1))
    mine, last = case("mine", -120, 0, 90), case("last", -76, -75, -20)
    others = [last, case("later", -150, 5, 60), case("part", -30, -1, 3, merged_into="mine")]
    async with kernel.records.transaction() as transaction:
        for each in (mine, *others):
            await transaction.save(CASES, DEFAULT_TENANT, each.id, keep_case(each), version=0)

    assert await troubled_before(kernel, mine) == troubled([last])
