"""From runs to scores; values in, values out."""

from dataclasses import replace

import msgspec
import pytest

from cerebro.proving import ledger, report
from cerebro.proving.drill import Lasted, Look, Plan, Run, felt_by_users, is_felt, observed, usual_of, well_by
from cerebro.proving.faults import fault_of
from cerebro.proving.model import Health, Injection, Observation, Operation
from cerebro.proving.score import by_watcher, median, rate, score, wilson
from cerebro.proving.suites.read import names, read_suite, suite_of
from cerebro.proving.watch import Act, Note, Seen
from cerebro.spine.cases import Case, CaseState, Cause, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, NotFound
from cerebro.spine.findings import Severity

CART, CATALOGUE = EntityKey("service", "cart"), EntityKey("service", "catalogue")
START = 1_000_000
STRETCH = {"quiet_s": 60, "fault_s": 60, "after_s": 60}


def injection(kind="crash", length_ms=60_000):
    return Injection("one", fault_of(kind), CART, START, START + length_ms, 1)


def health(error_share=0.0, p95_ms=20.0, count=100):
    return Health(0, 0, count, error_share, 10.0, p95_ms)


def case(opened_ms, causes=(), timeline=()):
    return Case(
        "c", "default", CaseState.OPEN, Severity.MAJOR, "It <b>fails</b>", opened_ms, opened_ms, (CART,), (),
        causes=causes, timeline=timeline,
    )  # fmt: skip


def cause(entity, rank):
    return Cause(entity, "code", 0.5, rank, "because")


def run(kind="crash", quiet_case_count=0, watcher="cerebro", seed=1, **seen):
    return Run(
        "simulated", watcher, Plan(kind, seed, 3600, 60, 60), Observation(injection(kind), **seen),
        quiet_case_count, 3600.0, (Note(0, "fault", "<script>"),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "felt"),
    [
        (health(), False),
        (health(error_share=0.01), False),  # under the least share that anyone notices
        (health(error_share=0.03), True),
        (health(p95_ms=35.0), False),  # half as slow again, and still quick
        (health(p95_ms=45.0), True),
        (health(count=0), True),  # nobody is served at all
    ],
)
def test_what_users_notice(now, felt):
    assert is_felt(health(), now) is felt


def test_recovered_is_for_good():
    """A short calm between two troubles is no recovery."""
    bad, good = health(error_share=0.5), health()

    def told(*shapes):
        return felt_by_users(health(), [Look(START + 10_000 * k, shape) for k, shape in enumerate(shapes, 1)], START)

    assert told(good, bad, good, good, bad, good, good) == (20_000, 50_000)
    assert told(good, bad, good) == (20_000, -1)
    assert told(good, good) == (-1, -1)


def test_the_usual_is_the_middle_of_the_later_half():
    looks = [Look(k, health(p95_ms=900.0 if k < 5 else 20.0 + k)) for k in range(10)]

    assert usual_of(looks).p95_ms == 27.0


def test_only_what_came_after_the_start_counts_for_the_fault():
    seen = Seen(cases=[case(START - 1), case(START + 7000), case(START + 9000)])
    told = observed(seen, injection(), (5000, -1))

    assert (told.case_ms, told.case_count, told.effect_ms) == (7000, 2, 5000)
    assert (told.cause_rank, told.cause_ms, told.resolved_unaided, told.finding_ms) == (0, -1, False, -1)


def test_the_best_rank_of_the_true_cause_counts():
    named = Entry(START + 8000, "cerebro", "cause_named", "It is cart.")
    seen = Seen(cases=[case(START + 7000, (cause(CATALOGUE, 1), cause(CART, 2)), (named,))])
    told = observed(seen, injection(), (-1, -1))

    assert (told.cause_rank, told.cause_ms) == (2, 8000)


@pytest.mark.parametrize(
    ("kind", "operation", "harmful"),
    [("crash", "restart", 0), ("crash", "rollback", 1), ("nothing", "restart", 1)],
)
def test_an_action_that_does_not_mend_is_harmful(kind, operation, harmful):
    """And against a control, every action is."""
    told = injection(kind)
    seen = Seen(acts=[Act(START + 1, Operation(operation, told.target))])

    assert observed(seen, told, (-1, -1)).harmful_count == harmful


@pytest.mark.parametrize(
    ("kind", "operation", "harmful"),
    [("crash", "restart", 1), ("traffic_surge", "scale", 0), ("retry_storm", "shed", 0)],
)
def test_what_mends_one_is_harmful_done_to_another(kind, operation, harmful):
    """Unless it can help from elsewhere."""
    told = injection(kind)
    seen = Seen(acts=[Act(START + 1, Operation(operation, EntityKey("service", "another")))])

    assert observed(seen, told, (-1, -1)).harmful_count == harmful


def test_resolved_unaided_needs_an_act_and_a_recovery_before_the_end():
    act = Seen(acts=[Act(START + 1, Operation("restart", CART))])
    felt, well = (1000, 30_000), Lasted(START + 60_000, START + 40_000)

    assert observed(act, injection(), felt, well).resolved_unaided
    assert not observed(act, injection(), (1000, 70_000), Lasted(START + 60_000)).resolved_unaided  # the drill ended it
    assert not observed(Seen(), injection(), felt, well).resolved_unaided  # it passed by itself
    late = Seen(acts=[Act(START + 50_000, Operation("restart", CART))])
    assert not observed(late, injection(), felt, well).resolved_unaided  # it had passed before anything was done
    assert observed(act, injection(), (1000, -1), well).resolved_unaided  # the drill's own end disturbed users anew


@pytest.mark.parametrize(
    ("shapes", "well_s"), [("bbgg", 30), ("bbg", 0), ("gggg", 0), ("bggbggg", 50), ("bggb", 0), ("", 0)]
)
def test_users_are_served_as_before_once_a_stretch_ends_with_calm_looks(shapes, well_s):
    """One calm look before the drill ends its fault says nothing: the next could have been bad."""
    of = {"b": health(error_share=0.5), "g": health()}
    looks = [Look(START + 10_000 * k, of[shape]) for k, shape in enumerate(shapes, 1)]

    assert well_by(health(), looks) == (START + well_s * 1000 if well_s else 0)


def test_what_was_done_before_the_fault_is_harm_too():
    seen = Seen(acts=[Act(START - 9, Operation("restart", CART)), Act(START + 9, Operation("restart", CART))])

    told = observed(seen, injection(), (1000, 30_000))

    assert (told.action_count, told.harmful_count) == (2, 1)


def test_a_fault_that_an_act_has_ended_before_anyone_felt_it_is_resolved_too():
    ended = injection(length_ms=20_000)
    act = Act(START + 20_000, Operation("restart", CART))
    until_ms = START + 60_000
    assert observed(Seen([], [], [act]), ended, (-1, -1), Lasted(until_ms)).resolved_unaided
    assert not observed(Seen([], [], []), ended, (-1, -1), Lasted(until_ms)).resolved_unaided  # it ended by itself
    late = Act(START + 40_000, Operation("restart", CART))
    assert not observed(Seen([], [], [late]), ended, (-1, -1), Lasted(until_ms)).resolved_unaided
    assert not observed(Seen([], [], [act]), injection(length_ms=60_000), (-1, -1), Lasted(until_ms)).resolved_unaided


def test_intervals_of_few_runs_are_wide():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert wilson(3, 3).low == pytest.approx(0.438, abs=0.001)
    assert (median([]).value, median([5.0]).low, median([5.0]).high) == (-1.0, 5.0, 5.0)
    assert rate(0, 10).high == pytest.approx(0.37, abs=0.01)


def test_a_quiet_stretch_that_runs_share_counts_once():
    """Ten drills on one estate lived through one quiet hour, and saw its one false case once."""
    shared = [replace(each, plan=replace(each.plan, topology=3)) for each in [run(quiet_case_count=1)] * 10]

    assert (score(shared).false_cases.count, score(shared).false_cases.hours) == (1, 1.0)


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
