"""Ways through a program, as spans tell them."""

import numpy as np

from cerebro.casework.cause.spans import Spans, summarised


def orders(count, *, failing):
    """An order asks for stock and is then written down; where stock fails, nothing is written."""
    rows = []
    for number in range(count):
        rows.append((f"o{number}", "", "order", failing))
        rows.append((f"s{number}", f"o{number}", "stock", failing))
        if not failing:
            rows.append((f"w{number}", f"o{number}", "write", False))
    ids, parents, names, failed = zip(*rows, strict=True)
    return Spans.of(
        entity=np.zeros(len(rows), np.int32),
        operation=np.array(names, object),
        span=np.array(ids),
        parent=np.array(parents),
        duration_ms=np.full(len(rows), 5.0),
        failed=np.array(failed, np.bool_),
    )


def test_a_way_that_failing_has_cut_short_is_not_another_way():
    tallies = summarised(orders(50, failing=False), orders(50, failing=True), 1).tallies
    ways = [k for k, kind in enumerate(tallies.kind) if kind == "branch"]

    assert ways
    assert all(tallies.of_during[k] == 0 for k in ways)
