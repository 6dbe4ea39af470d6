"""The four figures of template mining, by hand."""

from cerebro.cli.bench.templates import score


def test_everything_right_is_one():
    lines = ["took 5 ms", "took 6 ms", "started"]
    assert score(lines, ["took <*> ms", "took <*> ms", "started"]) == (1.0, 1.0, 1.0, 1.0)


def test_a_group_that_is_split_in_truth_counts_against_both():
    lines = ["took 5 ms", "took 6 ms", "started"]
    grouped, by_group, exact, by_template = score(lines, ["took 5 ms", "took 6 ms", "started"])
    assert (grouped, exact) == (1 / 3, 1 / 3)
    assert by_group == by_template == 2 / 5
