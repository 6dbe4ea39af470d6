"""The task of the brain that diagnoses: live cases, soon after they open and again as findings join."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from cerebro.casework.blame import returned_ms
from cerebro.casework.cause.assemble import around, picture_of
from cerebro.casework.cause.diagnose import Diagnosis, diagnose
from cerebro.casework.cause.held import HISTORY_MS, Held, Source, grid_around
from cerebro.casework.cause.looks import Looks
from cerebro.casework.cause.ours import Done, done_lately, of_others
from cerebro.casework.cause.troubles import Trouble, newest_trouble
from cerebro.casework.cause.usual import without
from cerebro.casework.desk import Desk
from cerebro.casework.life import TIMELINE_MAX
from cerebro.casework.metrics import DIAGNOSES, DIAGNOSIS_SECONDS
from cerebro.casework.quiet import EDGE_MS, Stretch, troubled_before
from cerebro.casework.store import CASES, findings_of, known_tenants
from cerebro.casework.topology.atlas import Atlas
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.observe.traces import span
from cerebro.kernel.records.port import Search
from cerebro.kernel.telemetry.sampled import note_watched
from cerebro.spine.cases import LIVE, Case, CaseState, Cause, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import CerebroError, Invalid, NotFound
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.topology import Topology

log = get_log(__name__)

ROUND_S = 2.0
CASES_MAX = 200  # live cases of one tenant that are looked at
HOPS, ENTITIES_MAX = 3, 500
FINDINGS_READ_MAX = 200
DEAD_ENDS_TOLD = 3
NEWS = ("finding_joined", "returned")
LATE_NEWS_MS = 15_000  # what joins so soon after a deed is of the time before it
SHARE_STEP = 0.05  # shares that move by less are the same to a reader


class Investigator:
    """Finds the causes of cases and writes them down.

    Args:
        kernel: Of the process.
        source: Where telemetry is looked for.
        apart: Whether to think on a thread of its own, so that nothing waits; not in a simulation, that must replay.
    """

    name = "investigator"

    def __init__(self, kernel: Kernel, source: Source, *, apart: bool = True) -> None:
        self._kernel, self._source, self._apart = kernel, source, apart
        self._desk, self._atlas = Desk(kernel), Atlas(kernel)
        self._looks = Looks(kernel.bus, kernel.clock.new_id(), round(kernel.settings.hands.steady_s * 1000))
        self._samples_traces = kernel.settings.retention.traces_spans_per_s_max > 0
        self._watched: dict[TenantId, list[str]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Round after round until `stop`."""
        while not stop.is_set():
            async with self._kernel.records.transaction() as transaction:
                tenants = await known_tenants(transaction)
            for tenant in tenants:
                await self.round(tenant)
            await pause(self._kernel.clock, stop, ROUND_S)

    async def round(self, tenant: TenantId) -> None:
        """Look at every live case that is due and ours."""
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(CASES, tenant, Search({"live": True}, order="-opened_ms", limit=CASES_MAX))
        cases = [record.value for record in page.records]
        if self._samples_traces:
            await self._watch(tenant, cases)
        for case in await self._looks.take(tenant, cases, self._now_ms()):
            await self.look(tenant, case)

    async def _watch(self, tenant: TenantId, cases: Sequence[Case]) -> None:
        """Have the traces kept that touch an entity of a live case."""
        entities = sorted({entity.text for case in cases for entity in case.entities})[:ENTITIES_MAX]
        if entities != self._watched.get(tenant):
            await note_watched(self._kernel.bus, tenant, entities)
            self._watched[tenant] = entities

    async def look(self, tenant: TenantId, case: Case) -> None:
        """Diagnose one case and write down what was found, if it says more than before."""
        begun_ms = self._now_ms()
        with span("diagnose", tenant, case_id=case.id), DIAGNOSIS_SECONDS.time():
            try:
                told = await self._diagnosis(tenant, case)
            except CerebroError as error:
                DIAGNOSES.labels("failed").inc()
                log.warning("diagnosis_failed", tenant=tenant, case_id=case.id, reason=error.detail)
                return
        if await self._looks.finish(tenant, case, self._now_ms(), begun_ms):
            DIAGNOSES.labels("made").inc()
            try:
                await self._desk.change(
                    tenant, case.id, lambda now: as_of(diagnosed(now, told, self._now_ms()), told, begun_ms)
                )
            except (Invalid, NotFound) as error:  # one that cannot be written down keeps no other from its own
                log.warning("diagnosis_not_kept", tenant=tenant, case_id=case.id, reason=error.detail)

    async def _diagnosis(self, tenant: TenantId, case: Case) -> Diagnosis:
        topology = await self._atlas.at(tenant, self._now_ms())
        entities = around(case, topology, HOPS, ENTITIES_MAX)
        async with self._kernel.records.transaction() as transaction:
            trouble = newest_trouble(case, await findings_of(transaction, tenant, case.id, FINDINGS_READ_MAX))
            done = await done_lately(transaction, tenant)
        others = (*await troubled_before(self._kernel, trouble.case), *trouble.before)
        onset_ms = onset_of(trouble.case, trouble.findings, others)
        interval_ms = await self._source.interval_ms(tenant, entities, self._now_ms())
        grid = grid_around(onset_ms, self._now_ms(), _known_ms(onset_ms, entities, topology), interval_ms)
        held = without(await self._source.held(tenant, entities, grid), others, onset_ms)
        if not self._apart:
            return _thought(trouble, held, topology, done, onset_ms)
        return await asyncio.to_thread(_thought, trouble, held, topology, done, onset_ms)

    def _now_ms(self) -> int:
        return self._kernel.clock.now_ms()


def _thought(trouble: Trouble, held: Held, topology: Topology, done: Sequence[Done], onset_ms: int) -> Diagnosis:
    picture = picture_of(trouble.case, trouble.findings, held, topology, onset_ms)
    changes = of_others(picture.changes, done, trouble.case.id, trouble.case.opened_ms)
    return diagnose(replace(picture, changes=changes))


def _known_ms(onset_ms: int, entities: Sequence[EntityKey], topology: Topology) -> int:
    """For how long most of these entities were watched before the trouble."""
    seen = [topology.entities[each].first_seen_ms for each in entities if each in topology.entities]
    return max(0, onset_ms - int(median(seen))) if seen else HISTORY_MS


def onset_of(case: Case, findings: Sequence[Finding], troubles: Sequence[Stretch]) -> int:
    """When the trouble began: the earliest onset that its findings give.

    What began in another trouble that was over before this case was opened is a late sign of that one. Where nothing
    else is known, this one began when the last of those was over.

    Args:
        case: As if it had been opened for this trouble; see `newest_trouble`.
        troubles: The others, those that the case itself had before among them.
    """
    told = [each.at_ms for each in findings if not each.cleared]
    cores = [(begin_ms + EDGE_MS, over_ms - EDGE_MS) for begin_ms, over_ms in troubles]
    ended = [core for core in cores if core[1] <= case.opened_ms]
    since = [max((over_ms for begin_ms, over_ms in ended if begin_ms <= at < over_ms), default=at) for at in told]
    fresh = [at for at, after in zip(told, since, strict=True) if at == after]
    return min(fresh) if fresh else max(since, default=case.began_ms or case.opened_ms)


def diagnosed(case: Case, told: Diagnosis, now_ms: int) -> Case:
    """The case with its causes; as it is when they say nothing new or it is over."""
    if case.state not in LIVE or not told.causes or same(case.causes, told.causes) or is_mending(case):
        return case
    since_ms = {cause.entity: cause.since_ms for cause in case.causes if cause.since_ms >= returned_ms(case)}
    causes = tuple(replace(cause, since_ms=since_ms.get(cause.entity, now_ms)) for cause in told.causes)
    after = replace(case, causes=causes, updated_ms=max(case.updated_ms, now_ms))
    lines = [Entry(now_ms, "cerebro", "cause_named", _said(told.causes), reference=told.causes[0].entity.text)]
    if not case.causes:
        lines += [Entry(now_ms, "cerebro", "dead_end", end.why) for end in told.dead_ends[:DEAD_ENDS_TOLD]]
        lines += [Entry(now_ms, "cerebro", "gap", gap) for gap in told.gaps]
    if _first(case.causes) == _first(told.causes):
        lines = []
    room = max(0, TIMELINE_MAX - len(case.timeline))
    return replace(after, timeline=(*case.timeline, *lines[:room]))


def as_of(case: Case, told: Diagnosis, begun_ms: int) -> Case:
    """The case, whose causes are as of a look that was begun then: where it has told any, and they change still."""
    if case.state not in LIVE or not told.causes or is_mending(case):
        return case
    return replace(case, looked_ms=max(case.looked_ms, begun_ms))


def is_mending(case: Case) -> bool:
    """Whether something is done about its cause and nothing new was noticed since.

    What is seen meanwhile is a mixture of the trouble and its end, and tells less than what it was done for.
    """
    if case.state not in (CaseState.ACTING, CaseState.VERIFYING) or not case.causes:
        return False
    begun_ms = max((entry.at_ms for entry in case.timeline if entry.kind == "action_begun"), default=0)
    news_ms = max((entry.at_ms for entry in case.timeline if entry.kind in NEWS), default=0)
    return news_ms <= begun_ms + LATE_NEWS_MS


def same(before: Sequence[Cause], now: Sequence[Cause]) -> bool:
    """Whether a reader would be told nothing new."""
    if [_told(each) for each in before] != [_told(each) for each in now]:
        return False
    return all(abs(one.share - other.share) < SHARE_STEP for one, other in zip(before, now, strict=True))


def _told(cause: Cause) -> object:
    return cause.entity, cause.kind, frozenset(mark.word for mark in cause.marks)


def _first(causes: Sequence[Cause]) -> object:
    return (causes[0].entity, causes[0].kind) if causes else None


def _said(causes: Sequence[Cause]) -> str:
    first = causes[0]
    if first.kind == "unknown":
        return "What there is to see does not tell the cause."
    return f"Likely cause: {first.entity.said} ({first.kind}, {100 * first.share:.0f} %). {first.explanation}"
