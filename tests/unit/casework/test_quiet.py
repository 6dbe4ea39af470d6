"""What is usual is learned of the times that no other case covers."""

from hypothesis import given
from hypothesis import strategies as st

from cerebro.casework.quiet import newest, quiet

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
