"""What to do about a case: from its causes to an action that is shown, or to the reason why there is none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cerebro.casework.blame import blamed_since_ms, returned_ms
from cerebro.casework.cause.vocabulary import worth
from cerebro.casework.deeds import KeptAction
from cerebro.casework.executors.port import Executor, Reach
from cerebro.casework.hands.engine import Engine, needs_mending
from cerebro.casework.hands.felt import is_of_users, is_piled, shape_of
from cerebro.casework.hands.ledger import CEREBRO, Entry
from cerebro.casework.hands.patience import Patience, in_vain, last_done
from cerebro.casework.hands.plan import Plan, can, planned
from cerebro.casework.hands.policy import ASKED, NEEDED, ORDER, Bounds, bars, level_of, recent_of, tries_of
from cerebro.casework.hands.rank import (
    ASKED_MORE,
    RIVAL,
    Choice,
    Picture,
    doubt_of,
    is_hasty,
    is_outright,
    named_in,
    ranked,
    words_of,
)
from cerebro.casework.hands.store import Past, Policy
from cerebro.casework.hands.users import Users
from cerebro.casework.store import CASES, findings_of
from cerebro.kernel.kit import Kernel
from cerebro.kernel.lifecycle import survived
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record, Search
from cerebro.spine.actions import UNDER_WAY, WAITING, Action, ActionState, Expectation, Level, Reason, Risk, digest_of
from cerebro.spine.cases import Case, CaseState, Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import CerebroError, Invalid, Unavailable
from cerebro.spine.findings import ALERT
from cerebro.spine.identity import ActionId, TenantId

log = get_log(__name__)

CASES_MAX = 100
NAMED = ("span:", "log:")  # findings whose signal is a name from outside
CAUSES_MAX = 3
FINDINGS_MAX = 60
SECOND_BEST = 0.6  # of the best score: below it, what may be done by itself does not push in front of what may not
SHOWN_SHARE_MIN = 0.2  # of a cause, before anything is shown for it
AGAIN_MS, THOUGHTS_MAX = 5_000, 1000
SURE_SHARE = 0.9  # of the likeliest cause, from here on only what cannot be taken back waits
LOAD, LOAD_SHARE = "capacity", 0.5
PRESSED_MS = 600_000  # a case of which nothing new was learned for longer tells nothing of the load now
ANEW_MS = 60_000  # after an action that was not begun, before the same is thought of again
OLD_MS = 600_000  # twice the longest pause between two looks at a trouble that goes on
SMALL = frozenset({Risk.READ, Risk.SAFE})
CALM_MS = 60_000  # after an action that helped, before another is thought of


@dataclass(frozen=True, slots=True)
class Offer:
    """A choice with what would be done, and what Cerebro may do of it by itself."""

    choice: Choice
    plan: Plan
    level: Level
    why: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a tenant at one moment.

    Args:
        causes: Of the case that is thought over.
        failed: Whether something was done for it already, and did not help.
        loaded: What is overloaded by what the live cases say: it is not broken.
        surged: Of which more is asked than usual, by what they say: whatever it and others show may come of that.
        pressed: Of which any of them says so, however little it is blamed: what it shows itself may come of that.
    """

    policy: Policy
    recent: Sequence[KeptAction]
    pasts: Sequence[Past]
    executors: Sequence[Executor]
    causes: Sequence[Cause] = ()
    failed: bool = False
    loaded: frozenset[EntityKey] = frozenset()
    surged: frozenset[EntityKey] = frozenset()
    pressed: frozenset[EntityKey] = frozenset()


class Proposer:
    """Thinks of actions for cases.

    Args:
        kernel: Its records hold cases and actions.
        engine: That brings a proposed action forward.
    """

    def __init__(self, kernel: Kernel, engine: Engine, users: Users, reach: Reach) -> None:
        self._kernel, self._engine, self._users, self._reach = kernel, engine, users, reach
        self._clock, self._bounds = kernel.clock, Bounds.of(kernel.settings.hands)
        self._tries_max = kernel.settings.hands.tries_max
        self._cool_down_share = kernel.settings.hands.cool_down_share
        self._thought: dict[str, tuple[int, int]] = {}
        self._steady_ms = round(kernel.settings.hands.steady_s * 1000)
        self._patience = Patience(kernel.settings.hands.give_up_s)

    async def round(self, tenant: TenantId) -> None:
        """Look at every live case that has a cause.

        Raises:
            CerebroError: One of them could not be thought over for now; the others were.
        """
        async with self._kernel.records.transaction() as transaction:
            page = await transaction.find(CASES, tenant, Search({"live": True}, order="-opened_ms", limit=CASES_MAX))
        cases = [record.value for record in page.records if record.value.causes]
        self._patience.keep(tenant, {case.id for case in cases})
        if not cases:
            return
        scene, failed = await self._scene(tenant, cases), None
        for case in sorted(cases, key=lambda each: (-each.severity, each.opened_ms, each.id)):
            try:
                made = await survived(self.consider(case, scene), "case_failed_unforeseen", case_id=case.id)
            except CerebroError as error:  # one case that cannot be looked at must not keep the others from it
                log.warning("case_not_thought_over", case_id=case.id, reason=error.detail)
                failed, made = failed or (error if error.retry else None), None
            if made:
                scene = await self._scene(tenant, cases)
        if failed:
            raise failed

    async def _scene(self, tenant: TenantId, cases: Sequence[Case]) -> Scene:
        ledger = self._engine.ledger
        policy, recent = (await ledger.policy(tenant)).value, await ledger.recent(tenant)
        pasts, executors = await ledger.pasts(tenant), await self._reach.of(tenant)
        since_ms = self._clock.now_ms() - PRESSED_MS
        lately = [each for each in cases if each.updated_ms >= since_ms and each.state is not CaseState.ESCALATED]
        return Scene(
            policy, recent, pasts, executors,
            loaded=overloaded(cases), surged=_surged_first(cases), pressed=asked_more(_causes_of(lately), 0.0),
        )  # fmt: skip

    async def consider(self, case: Case, scene: Scene) -> Record[KeptAction] | None:
        """Propose the best action for the case, and begin it where allowed; None when there is nothing to do."""
        own = await self._engine.ledger.own(case, scene.recent)
        if case.state is CaseState.ESCALATED or scene.policy.stopped or any(each.state in UNDER_WAY for each in own):
            self._patience.renew(case)
            return None
        now_ms = self._clock.now_ms()
        rests = any(each.state is ActionState.HELPED and now_ms - each.ended_ms < CALM_MS for each in own)
        if rests or is_old(case, now_ms) or not self._is_steady(case, now_ms) or self._is_known(case, now_ms):
            return None
        if tries_of(own) >= self._tries_max:
            if await self._is_left(case, last_done(own)):
                await self._give_up(case, own, "Cerebro has tried what it may.")
            return None
        failed = any(each.state is ActionState.UNDONE for each in own)
        scene = replace(scene, causes=case.causes, failed=failed)
        over: set[tuple[str, object]] = {
            (each.playbook, each.target)
            for each in own
            if each.state not in WAITING and not _lapsed(case, each, now_ms)
        }
        offers = await self._offers(case, scene, over)
        chosen, waiting = _chosen(offers), [each for each in own if each.state in WAITING]
        if chosen or waiting or _is_awaited(case, scene.recent):
            self._patience.renew(case)
        elif self._patience.is_over(case, now_ms) and await self._is_left(case, in_vain(own)):
            await self._give_up(case, own, "What Cerebro did has not helped, and nothing else fits or may be done now.")
        return None if chosen is None else await self._follow(case, chosen, waiting, scene.recent)

    async def _follow(
        self, case: Case, chosen: Offer, waiting: Sequence[KeptAction], recent: Sequence[KeptAction]
    ) -> Record[KeptAction] | None:
        """Propose the one that was chosen, unless it is better left for later or waits for a person already."""
        if chosen.level not in ASKED:
            soon = is_too_soon(case, chosen.choice, self._clock.now_ms(), self._steady_ms)
            return None if soon else await self._propose(case, chosen, waiting)
        if waiting:
            return None
        if asked := _asked_for(chosen, recent):
            await self._engine.ledger.share(case, asked)
            return None
        return await self._propose(case, chosen, waiting)

    async def _is_left(self, case: Case, done: KeptAction | None) -> bool:
        """Whether what was done has left something to mend."""
        return done is not None and needs_mending(
            done, case, await self._engine.looks.since(case, done.target, case.began_ms)
        )

    async def _give_up(self, case: Case, own: Sequence[KeptAction], why: str) -> None:
        tried = "; ".join(f"{each.title}: {each.state.value}" for each in reversed(own))
        await self._engine.ledger.escalate(case, f"{why} {tried}.")

    def _is_known(self, case: Case, now_ms: int) -> bool:
        """Whether the same causes were thought over a moment ago, and nobody has looked since."""
        said = hash((case.looked_ms, *((each.entity, each.kind, each.share, each.marks) for each in case.causes)))
        before = self._thought.get(case.id, (0, 0))
        if before[0] == said and now_ms - before[1] < AGAIN_MS:
            return True
        self._thought[case.id] = said, now_ms
        while len(self._thought) > THOUGHTS_MAX:
            self._thought.pop(next(iter(self._thought)))
        return False

    def _is_steady(self, case: Case, now_ms: int) -> bool:
        """Whether first guesses are over: the likeliest cause is nearly sure, or has been the likeliest for a while.

        One that is named outright has been a cause for a while: who is the likeliest beside it may change by the look.
        """
        first = min(case.causes, key=lambda each: each.rank)
        if first.share >= SURE_SHARE or now_ms - blamed_since_ms(case) >= self._steady_ms:
            return True
        best = next(iter(considered(case.causes)), None)
        return best is not None and is_outright(best) and now_ms - best.since_ms >= self._steady_ms

    async def _offers(self, case: Case, scene: Scene, tried: set[tuple[str, object]]) -> list[Offer]:
        """What could be done about the likeliest cause that leaves something to do."""
        playbooks = (await self._engine.library.all(case.tenant)).values()
        for cause in considered(case.causes):
            picture = await self.picture(case, cause)
            known = [each for each in playbooks if can(each, cause.entity, scene.executors)]
            choices = ranked(known, picture, scene.pasts, self._clock.chance)
            left = [each for each in choices if (each.playbook.name, each.target) not in tried]
            if offers := [offer for each in left[:4] if (offer := await self._offer(case, each, picture, scene))]:
                return offers
        return []

    async def picture(self, case: Case, cause: Cause) -> Picture:
        """What is known of the cause, for choosing."""
        nature = await self._users.nature(case.tenant, cause.entity)
        seen = await self._engine.looks.since(case, cause.entity, case.began_ms)
        probed = {
            p.metric for each in (await self._engine.library.all(case.tenant)).values() for p in each.trigger.probes
        }
        gauges = await self._users.gauges(case.tenant, cause.entity, sorted(probed)) if probed else {}
        shape = shape_of(cause.entity, seen.usual, seen.now)
        burnt = frozenset({case.objective} - {""})
        return Picture(cause, nature, words_of(cause), burnt, shape, gauges, named_in(cause))

    async def _offer(self, case: Case, choice: Choice, picture: Picture, scene: Scene) -> Offer | None:
        """The choice as it would be done; None when it cannot be done, or must not be now."""
        playbook, cause, now_ms = choice.playbook, picture.cause, self._clock.now_ms()
        if (choice.target in scene.loaded or cause.kind == LOAD) and LOAD not in playbook.trigger.causes:
            return None  # it is not broken
        key = self._clock.new_id()
        try:
            plan = await planned(playbook, choice.target, {}, scene.executors, key=key, words=picture.named)
        except (Invalid, Unavailable) as error:
            log.debug("playbook_does_not_fit", playbook=playbook.name, target=choice.target.text, reason=error.detail)
            return None
        level, why = level_of(
            playbook=playbook.name, risk=playbook.risk, level_max=playbook.level_max, target=choice.target,
            policy=scene.policy, door=plan.executor.level, share=plan.share, bounds=self._bounds, now_ms=now_ms,
        )  # fmt: skip
        if choice.doubt and level not in ASKED:
            level, why = Level.ASK, choice.doubt
        needed = self._bounds.share_min[playbook.risk]
        if cause.share < needed and level not in ASKED:
            level, why = Level.ASK, f"the cause has {cause.share:.0%} of the blame, and {needed:.0%} are needed"
        doubt = doubt_of(playbook, cause, scene.causes, failed=scene.failed)
        if doubt and level not in ASKED:
            level, why = Level.ASK, doubt
        asked = scene.surged | asked_more(scene.causes, RIVAL) | (scene.pressed & {choice.target})
        surged = next(iter(sorted(asked)), None)
        if surged and ASKED_MORE not in playbook.trigger.marks and level not in ASKED:
            level, why = Level.ASK, f"more is asked of {surged.said} than usual, and that may be all that is wrong"
        if _is_awaited(case, scene.recent, choice.target):
            return None  # two at once could not be told apart
        held = bars(
            playbook=playbook.name, cool_down_s=playbook.cool_down_s * self._cool_down_share, target=choice.target,
            policy=scene.policy,
            recent=recent_of(scene.recent), bounds=self._bounds, now_ms=now_ms, by_person=level in ASKED,
        )  # fmt: skip
        return None if held else Offer(choice, plan, level, why)

    async def _propose(self, case: Case, offer: Offer, waiting: Sequence[KeptAction]) -> Record[KeptAction] | None:
        action = self._action(case, offer)
        if offer.level not in ASKED:
            seen = await self._engine.looks.since(case, action.target, case.began_ms)
            if not needs_mending(action, case, seen):
                if not await self._is_told_of_users(case, action.target):
                    return None
                action = _for_signals(action)
            if seen.suffering and await self._engine.looks.is_over(case, action.target, seen):
                return None  # a short trouble lies in the look for half a minute; when it comes again it is thought of
            if seen.suffering:
                users = Reason("users", seen.sentence(seen.suffering), float(len(seen.suffering)))
                action = replace(action, reasons=(*action.reasons, users))
        for each in waiting:
            await self._engine.withdraw(each)
        text = f"Proposed: {action.title} at {action.target.said}. {action.predicted}"
        record = await self._engine.ledger.propose(action, Entry("action_proposed", text))
        if record is None:
            return None
        log.info("action_proposed", action_id=action.id, playbook=action.playbook, level=action.level.value)
        if offer.level in ASKED:
            return record
        return await self._engine.approve(record, CEREBRO, action.digest)

    async def _is_told_of_users(self, case: Case, target: EntityKey) -> bool:
        """Whether a finding still holds that some of what users ask for fails, or takes longer, or that much waits.

        One page of many that is slow hardly moves what all of them take together. A finding of what is rarely asked for
        holds until it is asked for again, so the requests themselves must say that it is so now.
        """
        async with self._kernel.records.transaction() as transaction:
            found = await findings_of(transaction, case.tenant, case.id, FINDINGS_MAX)
        mine = (each.signal for each in found if each.dedup_key in case.active_keys and each.kind != ALERT)
        told = [signal for signal in mine if not signal.startswith(NAMED) and is_of_users(signal)]
        if any(is_piled(signal) for signal in told):
            return True
        return bool(told) and await self._engine.looks.is_felt_by_some(case, target)

    def _action(self, case: Case, offer: Offer) -> Action:
        playbook, now_ms, choice = offer.choice.playbook, self._clock.now_ms(), offer.choice
        cause_kind = next((each.kind for each in case.causes if each.entity == choice.target), "unknown")
        action_id = offer.plan.steps[0].key.rpartition("-")[0]  # the dry run's, so that keys of calls name the action
        action = Action(
            id=ActionId(action_id),
            tenant=case.tenant,
            case=case.id,
            playbook=playbook.name,
            playbook_version=playbook.version,
            title=playbook.title,
            target=choice.target,
            cause_kind=cause_kind,
            risk=playbook.risk,
            level=offer.level,
            state=ActionState.PROPOSED if offer.level is Level.SUGGEST else ActionState.AWAITING,
            parameters=offer.plan.parameters,
            steps=offer.plan.steps,
            predicted=playbook.predicted,
            expect=Expectation(playbook.expect.of, playbook.expect.within_s, playbook.expect.hold_s),
            digest="",
            made_ms=now_ms,
            updated_ms=now_ms,
            due_ms=now_ms,
            expires_ms=now_ms + round(self._kernel.settings.hands.approval_s * 1000),
            door_level=offer.plan.executor.level,
            needs=NEEDED[playbook.sign_off],
            reasons=(*choice.reasons, Reason("policy", f"It may {offer.level.value}: {offer.why}.")),
        )
        return replace(action, digest=digest_of(action))


def _for_signals(action: Action) -> Action:
    """The action, watched by the case's findings where users as a whole would show nothing."""
    after = replace(action, expect=replace(action.expect, of="signals"))
    return replace(after, digest=digest_of(after))


def _is_awaited(case: Case, recent: Iterable[KeptAction], *targets: EntityKey) -> bool:
    """Whether something is under way at one of these or near the case, and what it comes to is waited for."""
    around = {*targets, *case.entities, *(each.entity for each in case.causes)}
    return any(each.state in UNDER_WAY and each.target in around for each in recent)


def considered(causes: Sequence[Cause]) -> list[Cause]:
    """The causes that something is thought of for, the one that is best named first."""
    first = sorted(causes[:CAUSES_MAX], key=lambda each: (-_named(each), each.rank))
    return [each for each in first if each.share >= SHOWN_SHARE_MIN and each.kind != "unknown"]


def _named(cause: Cause) -> float:
    """Its share of the blame, counted more when the evidence tells what is wrong with it, too."""
    return cause.share * (1 + max(map(worth, cause.marks), default=0))


def overloaded(cases: Sequence[Case]) -> frozenset[EntityKey]:
    """What is rather overloaded than anything else, by one of the cases: in another it may look broken."""
    firsts = (each for case in cases for each in case.causes if each.rank == 1)
    return frozenset(each.entity for each in firsts if each.kind == LOAD and each.share >= LOAD_SHARE)


def asked_more(causes: Iterable[Cause], share: float) -> frozenset[EntityKey]:
    """Of which of them more is asked than usual, among those that have as much of the blame: all behind it feels it."""
    likely = (each for each in causes if each.share >= share)
    return frozenset(each.entity for each in likely if any(mark.word == ASKED_MORE for mark in each.marks))


def _surged_first(cases: Sequence[Case]) -> frozenset[EntityKey]:
    return asked_more((each for each in _causes_of(cases) if each.rank == 1), LOAD_SHARE)


def _causes_of(cases: Sequence[Case]) -> Iterator[Cause]:
    return (each for case in cases for each in case.causes)


def is_old(case: Case, now_ms: int) -> bool:
    """Whether its causes are those of a trouble before, or were borne out too long ago to do anything by."""
    return case.looked_ms < returned_ms(case) or now_ms - case.looked_ms > OLD_MS


def is_too_soon(case: Case, choice: Choice, now_ms: int, steady_ms: int) -> bool:
    """Whether the cause is not known well enough yet for what cannot be taken back, or is not even the likeliest.

    It is, once it has been blamed for a while, and a look that was begun after that has borne it out.
    """
    mine = next((each for each in case.causes if each.entity == choice.target), None)
    if mine is None or choice.playbook.risk in SMALL or (mine.rank == 1 and not is_hasty(choice.playbook, mine)):
        return False
    settled_ms = blamed_since_ms(case, choice.target) + steady_ms
    return now_ms < settled_ms or case.looked_ms < settled_ms


def _lapsed(case: Case, action: Action, now_ms: int) -> bool:
    """Whether it was another case's, and ended with that; or was not begun though nobody said no, a while ago."""
    if action.lapsed or (action.state is ActionState.FAILED and not action.started_ms):
        return now_ms - action.ended_ms >= ANEW_MS
    return action.case != case.id and action.state is ActionState.EXPIRED


def _asked_for(offer: Offer, recent: Sequence[KeptAction]) -> KeptAction | None:
    """The same, when it waits for a yes already: for one entity it is asked once, whatever its cases."""
    playbook, target = offer.choice.playbook.name, offer.choice.target
    same = (each for each in recent if each.state in WAITING and (each.playbook, each.target) == (playbook, target))
    return next(same, None)


def _chosen(offers: Sequence[Offer]) -> Offer | None:
    """The best offer; one that may be done now goes before a somewhat better one that must be asked for."""
    if not offers:
        return None
    best = offers[0]
    free = [each for each in offers if each.level not in ASKED and each.choice.score >= SECOND_BEST * best.choice.score]
    return max(free, key=lambda each: (each.choice.score, ORDER.index(each.level))) if free else best
