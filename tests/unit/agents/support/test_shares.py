"""The parts of the noise budget: together the whole and no more, whoever spends them; and how all of them stand."""

from dataclasses import replace

import msgspec
import pytest

from cerebro.agents.support import shares
from cerebro.agents.support.admit import Admission, admitted, budget_of
from cerebro.agents.support.flow import rules_of
from cerebro.agents.support.lines import new_lines
from cerebro.agents.support.model import SHARES, SILENCE_SHARE
from cerebro.agents.support.observe import new_watch
from cerebro.agents.support.shares import DETECTORS, LINES, METRICS, SPANS, Parts, check_shares
from cerebro.agents.support.span_watch import new_spans
from cerebro.agents.support.standing import Standing, all_together, standing_of
from cerebro.algorithms.spending import WEEK_MS, Spending, spend
from cerebro.kernel.settings import SupportSettings
from cerebro.spine.identity import DEFAULT_TENANT

START_MS = 1_704_067_200_000


def test_the_parts_are_the_whole_and_not_more():
    every = [getattr(parts, name) for parts in DETECTORS.values() for name in Parts.__dataclass_fields__]

    assert sum(every) == pytest.approx(1.0, abs=1e-9)
    assert min(every) >= 0.0
    assert float(SHARES.sum()) + SILENCE_SHARE == pytest.approx(1.0)
    with pytest.raises(ValueError, match="add up to"):
        check_shares(DETECTORS | {"more": Parts(0.1)})


def test_the_states_of_a_tenant_spend_the_setting_and_no_more():
    rules = rules_of(SupportSettings(noise_budget=7.0))
    states = (new_watch(DEFAULT_TENANT, rules), new_lines(DEFAULT_TENANT, rules), new_spans(DEFAULT_TENANT, rules))
    budgets = [getattr(state, "watch", state).budget for state in states]

    assert [budget.parts for budget in budgets] == [METRICS, LINES, SPANS]
    assert sum(budget.spending.per_week for budget in budgets) == pytest.approx(7.0)
    assert [budget.tenant_per_week for budget in budgets] == pytest.approx([7.0] * 3)
    for budget in budgets:
        units = budget.joint_unit + budget.concert_unit + budget.peer_unit + budget.novel_unit + budget.newcomer_unit
        series = budget.parts.of(budget.parts.series) * budget.spending.rate
        assert units + series == pytest.approx(budget.spending.per_week)


def test_every_detector_is_one_that_the_shares_know():
    assert set(DETECTORS) == {"metrics", "lines", "spans"}
    assert shares.ALONE.whole == pytest.approx(1.0)


def test_what_detectors_noted_is_added_up():
    noted = {}
    for number, (name, parts) in enumerate(list(DETECTORS.items())[:2]):
        budget = budget_of(5.0, parts)
        running = spend(spend(Spending(budget.spending.per_week), START_MS, 1.0), START_MS + WEEK_MS, 1.0)
        budget = replace(budget, spending=running)
        for at in range(number + 1):
            found = Admission(START_MS + WEEK_MS, f"{name}{at}", "drift", 1 + number, -1, ("host", "h"), -1)
            budget = admitted(budget, found, rows=None, urgent=False)
        noted[name] = msgspec.json.decode(msgspec.json.encode(standing_of(budget)), type=Standing)

    whole = all_together(noted, 5.0)

    assert whole.per_week == pytest.approx(5.0)
    assert whole.spent_week == pytest.approx(5.0 * (METRICS.whole + LINES.whole), abs=1e-3)
    assert (whole.admitted_week, whole.charged_week, whole.remaining_week) == (3, 3, 2.0)
    assert whole.by_severity["notice"]["admitted"] == 1
    assert whole.by_severity["minor"]["admitted"] == 2
    assert [day.admitted for day in whole.history] == [3]
    assert [each.admitted_week for each in whole.detectors.values()] == [1, 2, 0]
    assert all_together({}, 5.0).remaining_week == 5.0
