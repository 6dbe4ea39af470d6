"""Findings on a real bus become cases in a real database, once, whatever dies on the way."""

import asyncio

import pytest

from cerebro.casework.flow import Brain, Sweeper
from cerebro.casework.store import CASES, FINDINGS
from cerebro.kernel.bus.position import load
from cerebro.spine.cases import CaseState


async def test_findings_become_a_case_that_resolves_itself(kernel, running, publish, kept, until):
    running(Brain(kernel))
    running(Sweeper(kernel))

    await publish("cpu")
    await publish("load", "process/web-7:nginx")
    await until(lambda: kept_case(kept, finding_count=2))
    await publish("cpu", cleared=True)
    await publish("load", "process/web-7:nginx", cleared=True)

    case = await until(lambda: kept_case(kept, state=CaseState.RESOLVED))
    assert [entry.kind for entry in case.timeline] == ["opened", "finding_joined", "cleared", "cleared", "resolved"]


async def kept_case(kept, **fields):
    cases = await kept(CASES)
    return next((c for c in cases if all(getattr(c, name) == value for name, value in fields.items())), None)


async def test_a_death_between_the_transaction_and_the_place_repeats_nothing(
    kernel, running, publish, kept, until, monkeypatch
):
    """The batch is in the database, the reader dies before its place says so; the next one reads it again."""
    died = asyncio.Event()

    async def die(*_arguments):
        died.set()
        raise SystemError("killed here")

    for key in ("cpu", "load", "disk"):
        await publish(key)
    with monkeypatch.context() as fault:
        fault.setattr("cerebro.kernel.bus.position.Place.commit", die)
        first = running(Brain(kernel))
        with pytest.raises(SystemError):
            await first
    before = await kept(CASES)
    assert died.is_set() and before, "the work was done, the place was not moved"

    last = await publish("memory")
    running(Brain(kernel))
    await until(lambda: place_at(kernel, last))

    (case,) = await kept(CASES)
    assert case.finding_count == 4 and case.id == before[0].id
    assert len(await kept(FINDINGS)) == 4


async def place_at(kernel, sequence):
    found = await load(kernel.bus, "findings.brain")
    return found and found[0].after >= sequence


async def test_two_brains_have_one_owner(kernel, running, publish, kept, until):
    """The brain that came last reads; the other finds that its place is gone, and stands by."""
    running(Brain(kernel))
    await asyncio.sleep(0.1)
    running(Brain(kernel))

    for number in range(20):
        last = await publish(f"signal {number}")
    await until(lambda: place_at(kernel, last))

    (case,) = await kept(CASES)
    assert case.finding_count == 20 == len(await kept(FINDINGS))


async def test_what_is_no_finding_is_passed_over(kernel, running, publish, kept, until, tenant):
    running(Brain(kernel))
    for number, body in enumerate((b"", b"{", b'{"id": 1}', b"\xff\x00")):
        await kernel.bus.publish(f"findings.{tenant}", body, dedup_key=f"{tenant}{number}")
    last = await publish("nul\0 in its name")

    await until(lambda: place_at(kernel, last))

    assert [finding.signal for finding in await kept(FINDINGS)] == ["nul\ufffd in its name"], (
        "no trouble hides behind a NUL"
    )
