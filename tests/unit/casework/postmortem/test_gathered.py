"""What a draft is made of: what was done for its case, and when the case's troubles were known."""

import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.api_post_mortem import post_mortem
from cerebro.casework.deeds import ACTIONS
from cerebro.casework.desk import Desk
from cerebro.casework.hands.ledger import Ledger
from cerebro.casework.hands.store import keep_action
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.spine.actions import Action, ActionState, Call, Expectation, Level, Risk, Step
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import TenantId

TENANT = TenantId("t")
PAY, MAIL = EntityKey("service", "pay"), EntityKey("service", "mail")


@pytest.fixture
def kernel():
    return simulated_kernel(Settings(), VirtualClock(start_ms=1_700_000_000_000))


def finding(kernel, entity, signal="rate"):
    now_ms = kernel.clock.now_ms()
    return Finding(
        id=kernel.clock.new_id(), tenant=TENANT, agent="support", kind="spike", entity=entity, at_ms=now_ms - 4000,
        seen_ms=now_ms, severity=Severity.MAJOR, p_value=1e-6, effect=4.0, signal=signal,
        title=f"{signal} of {entity.name}", evidence=(), dedup_key=f"{entity.name}:{signal}",
    )  # fmt: skip


def action(case):
    return Action(
        "a1", TENANT, case, "rollback", 1, "Roll pay back", PAY, "deploy", Risk.GUARDED, Level.ASK,
        ActionState.AWAITING, {}, (Step(Call("process", "rollback", PAY), (), "k"),), "Errors fall.", Expectation(),
        "d", 1, 1, 1,
    )  # fmt: skip


async def drafted(kernel, case):
    return (await post_mortem(kernel, TENANT, case, "en", "http://here")).markdown


async def test_what_another_case_asked_for_first_was_asked_for_here_too(kernel):
    desk, ledger = Desk(kernel), Ledger(kernel)
    (one, other) = await desk.admit(TENANT, [finding(kernel, PAY), finding(kernel, MAIL)])
    kept = keep_action(action(other.case))
    async with kernel.records.transaction() as transaction:
        await transaction.save(ACTIONS, TENANT, kept.id, kept, version=0)
    case = await ledger.case(TENANT, one.case)
    assert "Cerebro did nothing by itself" in await drafted(kernel, case.id)
    await ledger.share(case, kept)

    text = await drafted(kernel, case.id)
    assert "Asked for already" in text and "**Roll pay back**" in text
    assert "Cerebro did nothing by itself" not in text
    assert (await drafted(kernel, other.case)).count("**Roll pay back**") == 1


async def test_what_was_taken_out_of_a_case_was_noticed_with_its_first_finding(kernel):
    desk = Desk(kernel)
    (kept, _) = await desk.admit(TENANT, [finding(kernel, PAY), finding(kernel, PAY, "errors")])
    await kernel.clock.advance(3 * 3600)
    await desk.admit(TENANT, [finding(kernel, PAY, "errors")])
    new = await desk.split(TENANT, kept.case, frozenset({"pay:errors"}), frozenset(), "ann")

    text = await drafted(kernel, new.value.id)
    assert "| Noticed | 2023-11-14 22:13:20, 4 s later |" in text and "to be noticed" not in text
