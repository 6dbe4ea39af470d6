"""What a drill says at its end: what was seen, who was blamed, what was done, and nothing that was not."""

import io
from dataclasses import replace
from types import SimpleNamespace

from rich.console import Console

from cerebro.cli import drill_live
from cerebro.cli.drill_board import Board, Story
from cerebro.cli.drill_live import (
    EAGER_BUDGET,
    Beside,
    Teller,
    _acts_of,
    eager_settings,
    joined,
    top_cause,
    verdict,
)
from cerebro.kernel.settings import Settings
from cerebro.proving.model import Fault, Health, Injection
from cerebro.proving.watch import Seen
from cerebro.spine.cases import Case, CaseState, Cause, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId, FindingId

CART, POSTGRES = EntityKey("service", "cart"), EntityKey("service", "postgres")


def cause(entity: EntityKey, rank: int, kind: str = "resource") -> Cause:
    return Cause(entity, kind, 0.6, rank, "because")


def case(*causes: Cause) -> Case:
    return Case(CaseId("c"), DEFAULT_TENANT, CaseState.OPEN, Severity.MAJOR, "t", 1, 1, (), (), causes=causes)


def finding(number: str, seen_ms: int, *, cleared: bool = False) -> Finding:
    kept = (FindingId(number), DEFAULT_TENANT, "support", "level_shift", CART, seen_ms, seen_ms, Severity.MAJOR)
    return Finding(*kept, 0.01, 9.0, "cpu", "CPU of service cart rose", (), number, cleared)


class Stage:
    """A ground on which all is well, beside a Cerebro with one case; its hour goes on with each look."""

    def __init__(self, opened_ms: int, *, takes: bool) -> None:
        self.hour_ms, self.started_ms, self.opened_ms, self.takes = 1000, 0, opened_ms, takes
        self.ground = self
        self.cerebro = SimpleNamespace(seen=self.seen, client=SimpleNamespace(url="http://here", put=lambda *_: None))

    def now_ms(self) -> int:
        self.hour_ms += 1
        return self.hour_ms

    async def pass_time(self, duration_s: float) -> None:
        self.hour_ms += 1000

    async def felt(self, over_s: float) -> Health:
        return Health(self.hour_ms - 1000, self.hour_ms, 100, 0.0, 5.0, 10.0)

    async def inject(self, kind: str, *, seed: int) -> Injection:
        self.started_ms = self.hour_ms
        return Injection("i", Fault(kind, "A crash", "resource", "", ("restart",)), CART, self.hour_ms, 0, seed)

    async def end(self, injection: Injection) -> None: ...

    async def seen(self, since_ms: int) -> Seen:
        """The case was opened with a false finding; what is found of the fault is in it, and acted on, or is not."""
        old = finding("old", self.opened_ms)
        if not self.started_ms:
            return Seen([old], [replace(case(cause(POSTGRES, 1)), opened_ms=self.opened_ms, findings=(old.id,))])
        new = finding("new", self.started_ms + 2000)
        if not self.takes:
            return Seen([old, new], [replace(case(cause(POSTGRES, 1)), opened_ms=self.opened_ms, findings=(old.id,))])
        done = Entry(self.started_ms + 3000, "cerebro", "action_done", "Restarted cart.", "ACT-1")
        one = replace(case(cause(CART, 1)), opened_ms=self.opened_ms, findings=(old.id, new.id), timeline=(done,))
        return Seen([old, new], [one])


async def told(stage: Stage, monkeypatch) -> tuple[str, list[str], list[str]]:
    """What a drill of three short stretches says, what its board holds, and its summary."""
    for name in ("QUIET_S", "FAULT_S", "AFTER_S"):
        monkeypatch.setattr(drill_live, name, 0.05)
    out = io.StringIO()
    board = Board(stage.cerebro.client, "d", Story(0, 0))
    teller = Teller(Console(file=out, width=160), stage, board)
    fault = (await stage.inject("crash", seed=1)).fault
    stage.started_ms = 0
    await teller.play(fault, 1)
    await teller.sum_up(fault, 60.0)
    return out.getvalue(), [step.what for step in board.story.steps], board.story.summary


async def test_a_case_that_was_open_before_and_takes_the_faults_findings_is_the_faults(monkeypatch):
    """Who watches sees the case being joined, the cause and the act, and the end says so."""
    said, steps, summary = await told(Stage(1500, takes=True), monkeypatch)

    assert "in a case that was open before" in said
    assert steps.count("case") == 1 and steps.count("finding_joined") == 1 and "action_done" in steps
    assert summary[0].startswith("Cerebro took it into a case that was open before")
    assert summary[1] == "It blamed service/cart, and that is where it was."
    assert summary[2] == "It acted by itself."


async def test_a_false_case_that_takes_nothing_of_the_fault_is_no_score(monkeypatch):
    """What it blames is not what Cerebro made of the fault."""
    said, steps, summary = await told(Stage(1500, takes=False), monkeypatch)

    assert "service/postgres" in said
    assert "finding_joined" not in steps
    assert "escaped" in summary[0]


def test_only_a_finding_of_the_fault_joins_an_open_case():
    before, after, over = finding("a", 5), finding("b", 12), finding("c", 11, cleared=True)
    taken = replace(case(), opened_ms=6, findings=(before.id, after.id, over.id))

    assert joined(taken, [before, over, after], 10) == after
    assert joined(taken, [before, over], 10) is None
    assert joined(replace(taken, findings=(before.id,)), [after], 10) is None
    assert joined(replace(taken, opened_ms=10), [after], 10) is None


def test_the_likeliest_cause_counts_and_not_knowing_is_none():
    assert top_cause(case(cause(CART, 2), cause(POSTGRES, 1))) == cause(POSTGRES, 1)
    assert top_cause(case(cause(CART, 2), cause(POSTGRES, 1, "unknown"))) == cause(CART, 2)
    assert top_cause(case()) is None


def test_the_verdict_is_honest():
    """Each of seeing, understanding and mending may have failed."""
    assert "escaped" in verdict({"users": 3.0}, None, CART)[0]
    assert "open before, 4 s" in verdict({"joined": 4.0, "done": 8.0}, cause(CART, 1), CART)[0]
    assert "opened a case 9 s" in verdict({"joined": 4.0, "case": 9.0}, None, CART)[0]
    assert verdict({"case": 9.0}, None, CART)[1:] == ["It named no cause.", "It did nothing by itself."]
    assert verdict({"case": 9.0}, cause(CART, 1), CART)[1] == "It blamed service/cart, and that is where it was."
    assert "the truth was service/cart" in verdict({"case": 9.0}, cause(POSTGRES, 1), CART)[1]
    assert verdict({"case": 9.0, "done": 20.0}, None, CART)[2] == "It acted by itself."
    assert "someone had approved" in verdict({"case": 9.0, "approved": 15.0, "done": 20.0}, None, CART)[2]
    assert verdict({"case": 9.0, "done": 20.0, "helped": 30.0}, None, CART)[2].endswith("and that helped.")


def test_a_short_acquaintance_gets_a_wide_budget_and_a_wider_one_stays():
    """And bounds for months in an hour; nothing else of the settings is touched."""
    usual, wide = Settings(), Settings(support={"noise_budget": 5000.0})

    assert eager_settings(usual).support.noise_budget == EAGER_BUDGET
    assert eager_settings(wide).support.noise_budget == 5000.0
    assert eager_settings(usual).hands.cool_down_share == 0.0
    assert eager_settings(usual).support.forgets > 1.0
    assert eager_settings(usual).model_copy(update={"support": usual.support, "hands": usual.hands}) == usual


def test_only_what_was_begun_counts_as_done():
    """A step that was only planned is no act; one that was taken back is one."""
    call = {
        "executor": "process",
        "operation": "restart",
        "target": {"kind": "service", "name": "cart"},
        "arguments": {},
    }
    step = {"call": call, "undo": None, "state": "planned", "begun_ms": 0, "done_ms": 0}
    undone = step | {"undo": call | {"operation": "scale"}, "state": "undone", "begun_ms": 5, "done_ms": 9}

    lost = step | {"state": "begun", "begun_ms": 7}
    found = _acts_of({"id": "a1", "approved_by": "anna", "steps": [step, undone, lost]})

    assert [(act.at_ms, act.operation.name, act.done) for act in found] == [(5, "restart", True), (7, "restart", False)]
    assert {(act.action, act.by) for act in found} == {("a1", "anna")}


def test_beside_a_cerebro_that_watches_more_only_the_drills_own_cases_are_closed():
    def line(number, kind, name):
        return {"id": number, "entities": [{"kind": kind, "name": name}]}

    class Told:
        def __init__(self):
            self.closed = []

        def get(self, path, **parameters):
            return {"items": [line("mine", "service", "cart"), line("theirs", "service", "billing")]}

        def post(self, path, body):
            self.closed.append(path)

    for about, closed in ((None, ["mine", "theirs"]), ({CART}, ["mine"])):
        client = Told()
        Beside(client, about).close_cases()
        assert client.closed == [f"/api/v1/cases/{number}/close" for number in closed]
