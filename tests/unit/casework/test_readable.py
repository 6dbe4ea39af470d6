"""Answers of the store as Python's values: whatever a sender's clock can tell."""

from datetime import UTC, datetime

import pyarrow as pa

from cerebro.casework.reread import readable


def test_times_of_nanoseconds_are_cut_to_what_python_knows():
    """A span ends at any nanosecond; its proof can still be asked again."""
    at = pa.array([1_795_254_542_490_426_309], pa.timestamp("ns", "UTC"))
    table = pa.table({"trace": ["a"], "at": at, "whole": at.cast(pa.timestamp("ms", "UTC"), safe=False)})

    (row,) = readable(table).to_pylist()

    assert row["at"] == datetime(2026, 11, 21, 9, 49, 2, 490426, UTC)
    assert (row["trace"], row["whole"].microsecond) == ("a", 490_000)
