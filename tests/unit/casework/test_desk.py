"""What the desk does with findings, silences and time, on the in-memory store of record."""

import asyncio
import json

import pytest

from cerebro.casework import life
from cerebro.casework.desk import Desk, Stale
from cerebro.casework.silence import Silence
from cerebro.casework.store import CASES, FINDINGS, NOTICES, every
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import CaseworkSettings, Settings
from cerebro.spine.cases import CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, NotFound
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import SELF_TENANT

TENANT = "acme"


class Loud:
    """A bus that only hears."""

    def __init__(self):
        self.heard = []

    async def broadcast(self, subject, body):
        self.heard.append((subject, json.loads(body)))


@pytest.fixture
def kernel(clock):
    settings = Settings(casework=CaseworkSettings(webhook_url="http://127.0.0.1:1/hook"))
    return Kernel(settings, clock, Loud(), None, MemoryRecords())


@pytest.fixture
def clock():
    return VirtualClock(start_ms=1_000_000_000)


@pytest.fixture
def finding(clock):
    def make(key="cpu", entity="host/web-7", severity=2, cleared=False, ago_s=0, signal="cpu"):
        at_ms = clock.now_ms() - ago_s * 1000
        return Finding(
            id=clock.new_id(), tenant=TENANT, agent="support", kind="level_shift", entity=EntityKey.parse(entity),
            at_ms=at_ms - 10_000, seen_ms=at_ms, severity=Severity(severity), p_value=1e-6, effect=4.0, signal=signal,
            title=f"{key} of {entity} left its band", evidence=(), dedup_key=f"{entity}:{key}", cleared=cleared,
        )  # fmt: skip

    return make


async def kept(kernel, collection, tenant=TENANT):
    async with kernel.records.transaction() as transaction:
        return [record.value async for record in every(transaction, collection, tenant)]


async def only_case(kernel):
    (case,) = await kept(kernel, CASES)
    return case


async def test_a_finding_opens_a_case_and_the_next_near_it_joins(kernel, finding, clock):
    desk = Desk(kernel)

    await desk.admit(TENANT, [finding("cpu")])
    await clock.advance(60)
    await desk.admit(TENANT, [finding("load", "process/web-7:nginx", severity=3)])

    case = await only_case(kernel)
    assert case.severity == 3 and case.finding_count == 2
    assert [entry.kind for entry in case.timeline] == ["opened", "finding_joined", "severity_rose"]
    assert "shares host/web-7" in case.timeline[1].text and "50 s after" in case.timeline[1].text
    assert [subject for subject, _ in kernel.bus.heard].count("live.acme.case") == 2


async def test_far_in_time_or_elsewhere_is_another_case(kernel, finding, clock):
    desk = Desk(kernel)

    await desk.admit(TENANT, [finding("cpu"), finding("cpu", "host/web-8"), finding("latency", "service/shop")])
    await clock.advance(kernel.settings.casework.join_s + 20)
    await desk.admit(TENANT, [finding("disk")])

    assert len(await kept(kernel, CASES)) == 4


async def test_a_case_resolves_itself_when_quiet_and_reopens_when_it_does_not_hold(kernel, finding, clock):
    desk = Desk(kernel)
    await desk.admit(TENANT, [finding("cpu"), finding("load")])
    await clock.advance(30)
    await desk.admit(TENANT, [finding("cpu", cleared=True)])
    await clock.advance(100)
    await desk.sweep(TENANT)
    assert (await only_case(kernel)).state is CaseState.OPEN, "one signal is still off"

    await desk.admit(TENANT, [finding("load", cleared=True)])
    await clock.advance(59)
    await desk.sweep(TENANT)
    assert (await only_case(kernel)).state is CaseState.OPEN, "not quiet for long enough"
    await clock.advance(1)
    await desk.sweep(TENANT)
    assert (await only_case(kernel)).state is CaseState.RESOLVED

    await clock.advance(600)
    await desk.admit(TENANT, [finding("cpu")])
    case = await only_case(kernel)
    assert case.state is CaseState.INVESTIGATING and case.resolved_ms == 0
    assert [entry.kind for entry in case.timeline][-4:] == ["cleared", "resolved", "returned", "reopened"]


async def test_long_after_its_end_a_case_stays_resolved(kernel, finding, clock):
    desk = Desk(kernel)
    await desk.admit(TENANT, [finding("cpu")])
    await desk.admit(TENANT, [finding("cpu", cleared=True, ago_s=-1)])
    await clock.advance(61)
    await desk.sweep(TENANT)
    await clock.advance(kernel.settings.casework.reopen_s)
    await desk.admit(TENANT, [finding("cpu")])

    assert sorted(case.state.value for case in await kept(kernel, CASES)) == ["open", "resolved"]


async def test_what_was_admitted_before_changes_nothing(kernel, finding, clock):
    """Delivered again, alone, twice in one batch, or named anew by an agent that forgot: once."""
    desk = Desk(kernel)
    first = finding("cpu")
    await desk.admit(TENANT, [first, first])
    before = await only_case(kernel)
    again = Finding(**{name: getattr(first, name) for name in first.__slots__} | {"id": clock.new_id()})

    assert await desk.admit(TENANT, [first, again]) == []
    assert await Desk(kernel).admit(TENANT, [again]) == []

    assert await only_case(kernel) == before
    assert len(await kept(kernel, FINDINGS)) == 1
    assert len(await kept(kernel, NOTICES, SELF_TENANT)) == 1


async def test_a_clearing_before_its_finding_finds_it(kernel, finding):
    desk = Desk(kernel)
    raised, cleared = finding("cpu", ago_s=20), finding("cpu", cleared=True)

    await desk.admit(TENANT, [cleared])
    await desk.admit(TENANT, [raised])

    case = await only_case(kernel)
    assert case.active_keys == () and case.cleared_ms == cleared.seen_ms
    assert {row.case for row in await kept(kernel, FINDINGS)} == {case.id}


async def test_two_desks_at_once_open_one_case(kernel, finding):
    """Two brains read different findings of one scene at the same moment."""
    findings = [finding(f"signal {n}") for n in range(12)]

    await asyncio.gather(*(Desk(kernel).admit(TENANT, [one]) for one in findings))

    case = await only_case(kernel)
    assert case.finding_count == 12


def silence(clock, entity="host/web-7", signal="", length_s=600):
    now_ms = clock.now_ms()
    return Silence(clock.new_id(), TENANT, entity, signal, now_ms, now_ms + length_s * 1000, "anna", "maintenance")


async def test_silenced_findings_are_kept_but_open_nothing(kernel, finding, clock):
    desk = Desk(kernel)
    quiet = await desk.silence(silence(clock))

    await clock.advance(10)
    await desk.admit(TENANT, [finding("cpu"), finding("cpu", "process/web-7:nginx")])

    assert await kept(kernel, CASES) == []
    assert {row.silence for row in await kept(kernel, FINDINGS)} == {quiet.id}
    assert await kept(kernel, NOTICES, SELF_TENANT) == []


async def test_what_still_stands_when_a_silence_ends_is_told_then(kernel, finding, clock):
    """A silence delays a page; it must not swallow a trouble that outlives it."""
    desk = Desk(kernel)
    await desk.silence(silence(clock))
    await clock.advance(10)
    await desk.admit(TENANT, [finding("cpu"), finding("load")])
    await clock.advance(60)
    await desk.admit(TENANT, [finding("load", cleared=True)])
    await desk.sweep(TENANT)
    assert await kept(kernel, CASES) == []

    await clock.advance(600)
    await desk.sweep(TENANT)

    case = await only_case(kernel)
    assert case.active_keys == ("host/web-7:cpu",) and case.finding_count == 1
    await desk.sweep(TENANT)
    assert len(await kept(kernel, CASES)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"entity": "", "signal": ""}, "names an entity or a signal"),
        ({"length_s": 8 * 86_400}, "at most"),
        ({"length_s": 0}, "more than 0"),
        ({"entity": "web-7"}, "not an entity"),
    ],
)
async def test_a_silence_names_something_and_ends(kernel, clock, change, words):
    with pytest.raises(Invalid, match=words):
        await Desk(kernel).silence(silence(clock, **change))


async def test_people_change_cases_only_as_they_saw_them(kernel, finding, clock):
    desk = Desk(kernel)
    await desk.admit(TENANT, [finding("cpu")])
    case = await only_case(kernel)

    record = await desk.change(TENANT, case.id, lambda c: life.acknowledged(c, "anna", clock.now_ms()), version=1)
    assert record.value.state is CaseState.INVESTIGATING and record.version == 2
    with pytest.raises(Stale, match="Someone else"):
        await desk.change(TENANT, case.id, lambda c: life.closed(c, "", "bert", clock.now_ms()), version=1)
    with pytest.raises(Stale, match="acknowledged already"):
        await desk.change(TENANT, case.id, lambda c: life.acknowledged(c, "bert", clock.now_ms()))
    with pytest.raises(NotFound):
        await desk.change("other", case.id, lambda c: life.closed(c, "", "bert", clock.now_ms()))


async def test_a_case_reopened_by_a_person_waits_for_one(kernel, finding, clock):
    desk = Desk(kernel)
    await desk.admit(TENANT, [finding("cpu"), finding("cpu", cleared=True, ago_s=-1)])
    await clock.advance(90)
    await desk.sweep(TENANT)
    await clock.advance(7200)
    case = await only_case(kernel)
    await desk.change(TENANT, case.id, lambda c: life.reopened(c, "not convinced", "anna", clock.now_ms()))
    await clock.advance(7200)
    await desk.sweep(TENANT)
    assert (await only_case(kernel)).state is CaseState.INVESTIGATING

    await desk.admit(TENANT, [finding("cpu")])
    assert (await only_case(kernel)).finding_count == 2, "it takes findings again"
