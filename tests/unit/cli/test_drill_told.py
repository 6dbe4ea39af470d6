"""What a drill says at its end: what was seen, who was blamed, what was done, and nothing that was not."""

from cerebro.cli.drill_live import EAGER_BUDGET, Beside, _acts_of, eager_settings, top_cause, verdict
from cerebro.kernel.settings import Settings
from cerebro.spine.cases import Case, CaseState, Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId

CART, POSTGRES = EntityKey("service", "cart"), EntityKey("service", "postgres")


def cause(entity: EntityKey, rank: int, kind: str = "resource") -> Cause:
    return Cause(entity, kind, 0.6, rank, "because")


def case(*causes: Cause) -> Case:
    return Case(CaseId("c"), DEFAULT_TENANT, CaseState.OPEN, Severity.MAJOR, "t", 1, 1, (), (), causes=causes)


def test_the_likeliest_cause_counts_and_not_knowing_is_none():
    assert top_cause(case(cause(CART, 2), cause(POSTGRES, 1))) == cause(POSTGRES, 1)
    assert top_cause(case(cause(CART, 2), cause(POSTGRES, 1, "unknown"))) == cause(CART, 2)
    assert top_cause(case()) is None


def test_the_verdict_is_honest():
    """Each of seeing, understanding and mending may have failed."""
    assert "escaped" in verdict({"users": 3.0}, None, CART)[0]
    assert verdict({"case": 9.0}, None, CART)[1:] == ["It named no cause.", "It did nothing by itself."]
    assert verdict({"case": 9.0}, cause(CART, 1), CART)[1] == "It blamed service/cart, and that is where it was."
    assert "the truth was service/cart" in verdict({"case": 9.0}, cause(POSTGRES, 1), CART)[1]
    assert verdict({"case": 9.0, "done": 20.0}, None, CART)[2] == "It acted by itself."
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

    assert _acts_of(step) == []
    assert [(act.at_ms, act.operation.name) for act in _acts_of(undone)] == [(5, "restart")]


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
