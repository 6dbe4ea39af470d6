"""One owner a look: whoever asks, however often, whatever dies."""

from dataclasses import replace

from cerebro.casework.cause.diagnose import Diagnosis
from cerebro.casework.cause.investigate import as_of, diagnosed
from cerebro.casework.cause.looks import AGAIN_MS, FIRST_MS, LEASE_MS, SETTLING_MS, SOON_MS, Look, Looks, is_due
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.spine.cases import Case, CaseState, Cause, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import CaseId

CART, DESK = EntityKey("service", "cart"), EntityKey("service", "desk")


def case_of(tenant, name="c1", findings=1, state=CaseState.OPEN):
    return Case(
        CaseId(name), tenant, state, Severity.MAJOR, "slow", 0, 0, (CART,), (), finding_count=findings, began_ms=0
    )


def told(share=0.8, kind="resource"):
    return Diagnosis((Cause(CART, kind, share, 1, "It burns its processor."),))


async def test_of_two_brains_one_looks(clock, tenant):
    bus, case = MemoryBus(clock), case_of(tenant)
    one, two = Looks(bus, "one"), Looks(bus, "two")

    assert await one.take(tenant, [case], FIRST_MS - 1) == []
    assert await one.take(tenant, [case], FIRST_MS) == [case]
    assert await two.take(tenant, [case], FIRST_MS) == []
    assert not await two.finish(tenant, case, FIRST_MS, FIRST_MS)
    assert await one.finish(tenant, case, FIRST_MS, FIRST_MS)
    assert await two.take(tenant, [case], FIRST_MS) == []


async def test_a_look_whose_owner_died_is_taken_up(clock, tenant):
    bus, case = MemoryBus(clock), case_of(tenant)
    one, two = Looks(bus, "one"), Looks(bus, "two")
    await one.take(tenant, [case], FIRST_MS)

    assert await two.take(tenant, [case], FIRST_MS + LEASE_MS - 1) == []
    assert await two.take(tenant, [case], FIRST_MS + LEASE_MS) == [case]
    assert not await one.finish(tenant, case, FIRST_MS + LEASE_MS, FIRST_MS), "it comes back, and is too late"


def looked(case, seconds, look=None, steady_ms=0, takes=0):
    """When looks at it are begun, second by second, if each takes so many seconds."""
    look, found = look or Look(), []
    for second in range(seconds):
        if second * 1000 >= look.at_ms and is_due(case, look, second * 1000, steady_ms):
            over_ms = (second + takes) * 1000
            look = Look("", 0, look.count + 1, over_ms, case.finding_count, second * 1000)
            found.append(second)
    return found


def test_a_case_is_looked_at_ever_more_rarely_and_no_more_once_nothing_holds(tenant):
    over, goes_on = case_of(tenant), replace(case_of(tenant), active_keys=("slow",))

    assert looked(over, 4000) == [3, 7, 12, 20, 32, 52, 82]
    assert looked(goes_on, 1000)[:7] == looked(over, 1000)
    assert looked(goes_on, 1000)[7:9] == [142, 202]
    told_of = diagnosed(goes_on, told(), 3000)
    assert looked(told_of, 4000)[-1] - looked(told_of, 4000)[-2] == AGAIN_MS[-1] / 1000


def test_a_cause_that_is_settling_is_looked_at_often_and_once_when_it_has(tenant):
    """The pauses would be forty seconds by then: what is done would go by the very look that first blamed it."""
    case = diagnosed(case_of(tenant), told(), 39_000)
    seen = Look("", 0, 4, 39_000, 1, 38_000)

    assert looked(case, 70, seen) == []
    assert looked(case, 70, seen, 20_000) == [45, 51, 57, 59]
    assert looked(case, 70, seen, 20_000, takes=3) == [45, 54, 59], "the next is begun once it has settled"
    assert looked(case, 70, seen, 20_000, takes=7) == [45, 58, 65], "one that was begun before it had is not the last"
    busy = replace(case, state=CaseState.VERIFYING)
    assert looked(busy, 70, seen, 20_000) == []
    assert SOON_MS[2] > SETTLING_MS


def test_a_case_that_was_reopened_is_looked_at_soon_however_often_it_was_before(tenant):
    back = Entry(1_200_000, "cerebro", "reopened", "Reopened: it is slow.")
    case = replace(case_of(tenant), timeline=(back,))

    assert looked(case, 1210, Look("", 0, 16, 400_000, 1, 399_000))[-1:] == [1200 + FIRST_MS // 1000]
    over_since = Look("", 0, 16, 1_201_000, 1, 1_199_000)  # begun before it came back, and over after that
    assert looked(case, 1210, over_since)[-1:] == [1200 + FIRST_MS // 1000]


def test_causes_are_as_of_the_last_look_that_bore_them_out(tenant):
    """Who came among them later has been one since then; after a reopening everybody is new."""
    case = as_of(diagnosed(case_of(tenant), told(), 3000), told(), 2000)
    both = Diagnosis((*told(0.6).causes, Cause(DESK, "code", 0.3, 2, "It is slow.")))
    later = as_of(diagnosed(case, both, 9000), both, 8000)
    back = replace(later, timeline=(*later.timeline, Entry(60_000, "cerebro", "reopened", "It is back.")))

    assert (case.looked_ms, later.looked_ms) == (2000, 8000)
    assert [cause.since_ms for cause in later.causes] == [3000, 9000]
    assert as_of(later, Diagnosis(()), 20_000).looked_ms == 8000, "a look that tells nothing bears nothing out"
    assert as_of(replace(later, state=CaseState.RESOLVED), both, 20_000).looked_ms == 8000
    assert {cause.since_ms for cause in diagnosed(back, told(0.9), 70_000).causes} == {70_000}


def test_a_diagnosis_is_told_once(tenant):
    case = diagnosed(case_of(tenant), told(), 1000)

    assert [entry.kind for entry in case.timeline] == ["cause_named"]
    assert case.causes[0].entity == CART
    assert diagnosed(case, told(0.82), 2000) == case, "shares that move a little are no news"
    assert len(diagnosed(case, told(0.8, "deploy"), 2000).timeline) == 2
    assert diagnosed(case_of(tenant, state=CaseState.RESOLVED), told(), 1000).causes == ()


def test_what_is_done_about_a_cause_does_not_change_it_until_there_is_news(tenant):
    case = diagnosed(case_of(tenant), told(), 1000)
    begun = (*case.timeline, Entry(2000, "cerebro", "action_begun", "Begun."))
    mending = replace(case, state=CaseState.VERIFYING, timeline=begun)
    again = replace(mending, timeline=(*begun, Entry(60_000, "cerebro", "finding_joined", "More of it.")))

    assert diagnosed(mending, told(0.8, "deploy"), 30_000) == mending
    assert diagnosed(again, told(0.8, "deploy"), 61_000).causes[0].kind == "deploy"
