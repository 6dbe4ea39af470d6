"""What mostly has one value is judged by how it moves now and then, and not as if it never did."""

import numpy as np

from cerebro.algorithms.shift import shifts


def test_a_gauge_that_is_mostly_zero_may_be_one_now_and_then():
    before = np.zeros((1, 200))
    before[0, ::8] = 1.0
    usual = np.array([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])

    assert shifts(before, usual).nats[0] < 3.0
    assert shifts(before, np.full((1, 6), 20.0)).nats[0] > 8.0
