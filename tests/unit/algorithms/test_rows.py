"""Different rows of integers are those that numpy finds, in its order."""

import numpy as np
import pytest

from cerebro.algorithms.rows import different


@pytest.mark.parametrize("most", [3, 2**40])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_they_are_numpys_whether_or_not_they_fit_into_one_number(most, count):
    chance = np.random.default_rng(1)
    rows = [chance.integers(-most, most, count), chance.integers(0, 2, count), chance.integers(0, most, count)]
    found = different(*rows)

    if not count:
        assert found.columns.shape == (3, 0)
        return
    columns, first, inverse, counts = np.unique(
        np.stack(rows), axis=1, return_index=True, return_inverse=True, return_counts=True
    )
    assert np.array_equal(found.columns, columns)
    assert np.array_equal(found.first, first)
    assert np.array_equal(found.inverse, inverse.ravel())
    assert np.array_equal(found.counts, counts)
