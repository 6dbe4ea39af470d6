"""From runs to scores; values in, values out."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cerebro.proving import ledger, report
from cerebro.proving.drill import QUIET, Plan, Run, recounted
from cerebro.proving.faults import fault_of
from cerebro.proving.model import Injection, Observation, Operation
from cerebro.proving.record import CaseTold, Felt, Record
from cerebro.proving.score import by_watcher, median, rate, score, wilson
from cerebro.proving.suites.read import names, read_suite, suite_of
from cerebro.proving.watch import Act, Note
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, NotFound

CART = EntityKey("service", "cart")
START = 1_000_000
STRETCH = {"quiet_s": 60, "fault_s": 60, "after_s": 60}


def injection(kind="crash", length_ms=60_000):
    return Injection("one", fault_of(kind), CART, START, START + length_ms, 1)


def run(kind="crash", quiet_case_count=0, watcher="cerebro", seed=1, **seen):
    return Run(
        "simulated", watcher, Plan(kind, seed, 3600, 60, 60), Observation(injection(kind), **seen),
        quiet_case_count, 3600.0, (Note(0, "fault", "<script>"),),
    )  # fmt: skip


def test_intervals_of_few_runs_are_wide():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert wilson(3, 3).low == pytest.approx(0.438, abs=0.001)
    assert (median([]).value, median([5.0]).low, median([5.0]).high) == (-1.0, 5.0, 5.0)
    assert rate(0, 10).high == pytest.approx(0.37, abs=0.01)


def test_a_quiet_stretch_that_runs_share_counts_once():
    """Ten drills on one estate lived through one quiet hour, and saw its one false case once."""
    shared = [replace(each, plan=replace(each.plan, topology=3)) for each in [run(quiet_case_count=1)] * 10]

    assert (score(shared).false_cases.count, score(shared).false_cases.hours) == (1, 1.0)


def test_estates_of_two_suites_are_two():
    """They have a number in common: with another size, or watched for longer, it is another quiet stretch."""
    plans = [replace(run().plan, topology=1, **other) for other in ({}, {"services": 30}, {"quiet_s": 7200.0})]
    found = score([replace(run(quiet_case_count=1), plan=each) for each in [*plans, *plans]]).false_cases

    assert (found.count, found.hours) == (3, 3.0)


def test_every_kind_comes_to_every_estate():
    plans = list(read_suite("full").plans("simulated", 250, 100))

    for kind in {plan.kind for plan in plans}:
        assert len({plan.topology for plan in plans if plan.kind == kind}) == 100


def test_drills_are_spread_over_estates_of_all_sizes():
    """Every estate gets as many drills as any other, of many kinds; sizes fill the range evenly in ratios."""
    plans = list(read_suite("wide").plans("simulated"))
    kinds = {number: {plan.kind for plan in plans if plan.topology == number} for number in range(1, 101)}
    sizes = {plan.topology: plan.services for plan in plans}

    assert len(plans) == 46 * 23
    assert all(len(each) >= 10 for each in kinds.values())
    assert [sum(low <= size < 5 * low for size in sizes.values()) for low in (5, 25, 125)] == [35, 34, 31]
    assert {plan.topology for plan in read_suite("wide").plans("real")} == {0}
    assert [plan.topology for plan in read_suite("short").plans("simulated", 1, 3)][:4] == [1, 2, 3, 1]


def test_controls_and_quiet_stretches_count_against():
    """A case in a control is a false one; it is no detection."""
    scores = score([run(case_ms=4000, case_count=1), run("nothing", 1, case_ms=100, case_count=2), run(seed=2)])

    assert (scores.total.run_count, scores.total.detected.count) == (2, 1)
    assert scores.false_cases.count == 3
    assert scores.false_cases.hours == pytest.approx(3 + 120 / 3600)
    assert [row.kind for row in scores.controls] == ["nothing"]


def test_a_run_is_counted_again_when_it_is_read():
    """By the rules of now; one whose record was not kept stays as it was."""
    act = Act(500, Operation("rollback", CART))
    kept = replace(run(harmful_count=0), record=Record("1", acts=(act,), cases=(CaseTold("c", -5), CaseTold("d", 9))))

    again = recounted(kept)

    assert (again.observation.harmful_count, again.quiet_case_count, again.observation.case_ms) == (1, 1, 9)
    assert recounted(run(harmful_count=7)) == run(harmful_count=7)


def test_a_quiet_stretch_counts_its_cases_once():
    quiet = replace(run("nothing"), plan=Plan(QUIET, 1, 60, 0, 0), quiet_s=3600.0)
    scores = score([recounted(replace(quiet, record=Record("1", cases=(CaseTold("c", 5), CaseTold("d", 9)))))])

    assert (scores.false_cases.count, scores.false_cases.hours) == (2, 1.0)
    assert scores.controls[0].detected.count == 1


def test_what_false_cases_alone_would_have_made_is_told():
    """At two false cases an hour, a minute of watching has one in thirty."""
    minute = Record("1", felt=Felt((60_000,), (1,), (0.0,), (1.0,)))
    runs = [replace(run(quiet_case_count=2, case_ms=10), record=minute)]

    assert score(runs).by_chance == pytest.approx(1 / 30, rel=0.02)
    assert "false cases alone would have made it 3%" in report.summary(score(runs))


def test_what_was_prevented_is_told_apart_from_what_was_mended():
    mended = run(seed=2, resolved_unaided=True, effect_ms=900, recovery_ms=9000)
    runs = [run(resolved_unaided=True), mended, run(seed=3)]

    assert (score(runs).total.resolved_unaided.count, score(runs).total.prevented) == (2, 1)


def test_harm_where_nothing_was_wrong_is_told_apart():
    scores = score([run(harmful_count=1), run("nothing", harmful_count=2)])

    assert "harmful 1, and 2 where nothing was wrong" in report.summary(scores)
    assert report.as_object(scores)["harmful"] == 3


def test_one_object_for_programs():
    found = report.as_object(score([run(case_ms=4000, case_count=1), run("hang")]))

    wanted = {"detected", "cause_top1", "resolved_unaided", "harmful", "false_cases_per_hour", "median_s", "by_kind"}
    assert wanted <= set(found)
    assert (found["detected"], found["median_s"], found["cause_top1"]) == (0.5, 4.0, 0.0)
    assert [row["kind"] for row in found["by_kind"]] == ["crash", "hang"]


def test_the_page_stands_alone_and_is_safe():
    """Nothing is fetched from outside, and telemetry's words are no markup."""
    runs = [run(case_ms=4000, case_count=1)]
    page = report.page([score(runs)], runs, "cerebro drill run")

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http.server", "")


def test_watchers_stand_beside_one_another():
    runs = [run(watcher="alert rules"), run(case_ms=4000, case_count=1)]
    columns, rows = report.side_by_side([score(each) for each in by_watcher(runs).values()])

    assert columns[3] == "cerebro: case"
    assert rows[0][:5] == ["crash", "1", "0/1", "1/1", "4"]


def test_a_suite_that_was_stopped_goes_on(tmp_path):
    """A line cut off in the middle was not done; the lines before it were."""
    path = tmp_path / "runs" / "short.jsonl"
    ledger.prepare(path, resume=False)
    ledger.append(path, [run(), run("hang")])
    with path.open("ab") as file:
        file.write(msgspec.json.encode(run("bad_flag"))[:50])

    ledger.prepare(path, resume=True)
    runs = ledger.load(path)
    plans = list(read_suite("short").plans("simulated"))
    left = {plan.kind for plan in ledger.missing(plans, runs, "simulated")}

    assert runs == [run(), run("hang")]
    assert left == {plan.kind for plan in plans} - {"crash", "hang"}


def test_whole_runs_are_never_written_again(tmp_path, monkeypatch):
    """Nothing can be lost between two writes: the file is cut, where it must be, and nothing else."""
    path = tmp_path / "short.jsonl"
    ledger.append(path, [run()])
    monkeypatch.setattr(Path, "write_bytes", lambda *_: pytest.fail("the runs were written again"))
    ledger.prepare(path, resume=True)
    with path.open("ab") as file:
        file.write(b'{"ground":')
    ledger.prepare(path, resume=True)

    assert ledger.load(path) == [run()]
    assert path.read_bytes().endswith(b"}\n")


def test_a_suite_begun_anew_keeps_the_runs_of_before(tmp_path):
    """Each pass beside the file under a number of its own; an empty file is nothing to keep."""
    path = tmp_path / "short.jsonl"
    assert ledger.prepare(path, resume=False) is None
    assert ledger.prepare(path, resume=False) is None
    for number, kind in enumerate(("crash", "hang"), 1):
        ledger.append(path, [run(kind)])
        assert ledger.prepare(path, resume=False) == tmp_path / f"short.{number}.jsonl"

    assert path.read_bytes() == b""
    assert ledger.load(tmp_path / "short.1.jsonl") == [run()]
    assert ledger.load(tmp_path / "short.2.jsonl") == [run("hang")]


def test_a_file_that_runs_cannot_be_written_on_is_left_as_it_is(tmp_path):
    """Packed runs whether or not they are gone on with, and what is none of ours."""
    packed, page = tmp_path / "runs.jsonl.gz", tmp_path / "page.md"
    ledger.publish(packed, [run()])
    page.write_bytes(b"# Drills\nthe scores")
    for path, resume, said in (
        (packed, True, "Name a plain file"),
        (packed, False, "Name a plain file"),
        (page, True, "is no run"),
    ):
        before = path.read_bytes()
        with pytest.raises(Invalid, match=said):
            ledger.prepare(path, resume=resume)
        assert path.read_bytes() == before


def test_what_is_published_can_be_counted_again(tmp_path):
    """Without timelines, each run once, and the same runs give the same bytes."""
    noted = replace(run(), notes=(Note(0, "fault", "A replica dies"),))
    first, second, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "kept" / "runs.jsonl.gz"
    ledger.append(first, [noted, run("hang")])
    ledger.append(second, [run("hang"), run("bad_flag")])
    runs = ledger.load_each([first, second])
    ledger.publish(packed, runs)
    written = packed.read_bytes()
    ledger.publish(packed, ledger.load_each([packed]))

    assert [each.plan.kind for each in runs] == ["bad_flag", "crash", "hang"]
    assert score(ledger.load(packed)) == score(runs)
    assert not any(each.notes for each in ledger.load(packed))
    assert packed.read_bytes() == written


def test_files_that_cannot_be_scored_are_refused(tmp_path):
    """Each with what to name instead."""
    real, torn = tmp_path / "real.jsonl", tmp_path / "torn.jsonl.gz"
    ledger.append(real, [replace(run(), ground="real"), run("hang")])
    torn.write_bytes(b"no gzip")
    for paths, said in (([real], "Score them apart"), ([torn], "cannot be read"), ([tmp_path / "no"], "no file")):
        with pytest.raises(Invalid) as refused:
            ledger.load_each(paths)
        assert said in str(refused.value)


def test_two_runs_of_one_plan_are_refused(tmp_path):
    """Neither is left out silently: the line names the run and both files; on the real shop, wherever it stood."""
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for ground, quiet_s in (("simulated", 3600), ("real", 16)):
        before, after = replace(run(case_ms=4000), ground=ground), replace(run(case_ms=9000), ground=ground)
        ledger.publish(first, [before])
        ledger.publish(second, [replace(after, plan=replace(after.plan, quiet_s=quiet_s))])
        with pytest.raises(Invalid, match=r"a\.jsonl and .*b\.jsonl .*crash, seed 1, .*cerebro\. Score them apart"):
            ledger.load_each([first, second])


def test_the_same_kinds_of_two_suites_count_together(tmp_path):
    """Another size of the estate is another plan; the order of the files makes no difference."""
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    ledger.publish(first, [run()])
    ledger.publish(second, [replace(run(), plan=replace(run().plan, services=30))])
    runs = ledger.load_each([first, second])

    assert [each.plan.services for each in runs] == [12, 30]
    assert ledger.load_each([second, first]) == runs


def test_every_suite_of_ours_can_be_read():
    for name in names():
        assert list(read_suite(name).plans("real"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "which kinds"),
        ({"kinds": ["crush"], "simulated": STRETCH}, "no kind 'crush'"),
        ({"kinds": ["crash"], "sedes": 2}, "no 'sedes'"),
        ({"kinds": ["crash"], "seeds": 0, "simulated": STRETCH}, "seeds = 0"),
        ({"kinds": ["crash"]}, "on the simulated ground"),
        ({"kinds": ["crash"], "simulated": {**STRETCH, "after_s": "long"}}, "after_s = 'long'"),
        ({"kinds": ["crash"], "simulated": {"quiet_s": 1, "fault_s": 1}}, "has no 'after_s'"),
    ],
)
def test_a_fault_in_a_suite_says_what_to_write(found, said):
    with pytest.raises(Invalid, match=said) as caught:
        suite_of("mine", found)

    assert caught.value.mend.startswith(("Write", "It has"))


def test_a_suite_that_is_not_there_names_those_that_are():
    with pytest.raises(NotFound, match="full, quiet, short"):
        read_suite("large")
