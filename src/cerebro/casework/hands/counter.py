"""What people and programs ask of the hands, apart from HTTP: shown, wished, approved, tuned."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import ceil
from typing import Any

import msgspec

from cerebro.algorithms.beta import beta_quantile
from cerebro.casework.deeds import ACTIONS, KeptAction
from cerebro.casework.desk import Stale
from cerebro.casework.executors.command import Command
from cerebro.casework.executors.port import Executor
from cerebro.casework.executors.supervisor import ControlDoor
from cerebro.casework.hands.answers import (
    ActionPage,
    Autonomy,
    Checked,
    Door,
    DoorLine,
    FaultLine,
    LevelLine,
    PlaybookLine,
    RecordLine,
    Turn,
    Wish,
)
from cerebro.casework.hands.backtest import DAYS, Backtest, backtest, past_cases, pictures
from cerebro.casework.hands.engine import Engine
from cerebro.casework.hands.ledger import Entry, Ledger
from cerebro.casework.hands.plan import planned
from cerebro.casework.hands.policy import ASKED, NEEDED, ORDER, Bounds, bound_now, level_of
from cerebro.casework.hands.rank import summed
from cerebro.casework.hands.reach import Doors
from cerebro.casework.hands.store import DOORS, DoorEntry, Moved, Past, Policy
from cerebro.casework.hands.users import StoredUsers
from cerebro.casework.notify import check_address
from cerebro.casework.playbooks.model import Playbook
from cerebro.casework.playbooks.read import BadPlaybook, Outside, outside, read, shipped
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.audit import Audit
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Record, Search
from cerebro.spine.actions import Action, ActionState, Expectation, Level, Reason, digest_of
from cerebro.spine.cases import LIVE, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import CerebroError, Invalid, NotFound
from cerebro.spine.identity import ActionId, CaseId, TenantId

DAY_MS = 86_400_000
NOBODY = Past("", "")


class Counter:
    """Serves the API; another process, the brain, does what is approved here."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._clock = kernel, kernel.clock
        self._users, self._doors = StoredUsers(kernel.telemetry, kernel.clock), Doors(kernel)
        self.engine = Engine(kernel, self._users, self._doors, kernel.clock.new_id())
        self.ledger: Ledger = self.engine.ledger
        self._audit, self._bounds = Audit(kernel.records, kernel.clock), Bounds.of(kernel.settings.hands)

    async def actions(self, tenant: TenantId, where: Mapping[str, Any], cursor: str, limit: int) -> ActionPage:
        """A page of actions, the newest first."""
        async with self._kernel.records.transaction() as transaction:
            search = Search(where, order="-made_ms", after=cursor, limit=limit)
            page = await transaction.find(ACTIONS, tenant, search)
        return ActionPage([record.value for record in page.records], page.cursor)

    async def may(self, principal: Principal, record: Record[KeptAction]) -> None:
        """Go on only when the principal may say yes to this playbook.

        Raises:
            Forbidden: They may not.
        """
        playbook = await self.engine.library.one(principal.tenant, record.value.playbook)
        principal.need(NEEDED[playbook.sign_off])

    async def wish(self, principal: Principal, wanted: Wish) -> Record[KeptAction]:
        """Show a person the action that they want; it is done once it is approved.

        Raises:
            NotFound: There is no such case or playbook.
            Stale: The case has ended.
            Invalid: It cannot be done there.
        """
        tenant, now_ms = principal.tenant, self._clock.now_ms()
        case = await self.ledger.case(tenant, CaseId(wanted.case))
        if case is None:
            raise NotFound(f"There is no case {wanted.case}.")
        if case.state not in LIVE:
            is_over = case.state is CaseState.CLOSED
            mend = "Have it shown for a case that is under way." if is_over else "Reopen the case first."
            raise Stale(f"The case is {case.state.value}: nothing is done for it any more.", mend)
        playbook = await self.engine.library.one(tenant, wanted.playbook)
        target, action_id = EntityKey.parse(wanted.target), self._clock.new_id()
        executors = await self._doors.of(tenant)
        plan = await planned(playbook, target, wanted.parameters, executors, key=action_id)
        action = Action(
            id=ActionId(action_id), tenant=tenant, case=case.id, playbook=playbook.name,
            playbook_version=playbook.version, title=playbook.title, target=target,
            cause_kind=next((each.kind for each in case.causes if each.entity == target), "unknown"),
            risk=playbook.risk, level=Level.ASK, state=ActionState.AWAITING, parameters=plan.parameters,
            steps=plan.steps, predicted=playbook.predicted,
            expect=Expectation(playbook.expect.of, playbook.expect.within_s, playbook.expect.hold_s),
            digest="", made_ms=now_ms, updated_ms=now_ms, due_ms=now_ms,
            expires_ms=now_ms + round(self._kernel.settings.hands.approval_s * 1000),
            door_level=plan.executor.level, needs=NEEDED[playbook.sign_off],
            reasons=(Reason("person", f"{principal.name} wants it."),),
        )  # fmt: skip
        action = replace(action, digest=digest_of(action))
        text = f"{principal.name} wants: {action.title} at {target.said}. {action.predicted}"
        return await self.ledger.put(None, action, Entry("action_proposed", text, principal.name))

    async def playbooks(self, tenant: TenantId) -> list[PlaybookLine]:
        """Every playbook with its level and record."""
        policy, pasts = (await self.ledger.policy(tenant)).value, summed(await self.ledger.pasts(tenant))
        found, executors = await self.engine.library.all(tenant), await self._doors.of(tenant)
        return [
            self._line(each, policy, pasts, executors) for each in sorted(found.values(), key=lambda each: each.name)
        ]

    def _line(
        self, playbook: Playbook, policy: Policy, pasts: Mapping[str, Past], executors: Sequence[Executor]
    ) -> PlaybookLine:
        plain = msgspec.to_builtins(playbook)
        names = {each.name for each in fields(PlaybookLine)} - {
            "level",
            "own",
            "undoable",
            "record",
            "risk",
            "level_max",
        }
        return PlaybookLine(
            **{name: plain[name] for name in names},
            risk=playbook.risk,
            level_max=playbook.level_max,
            level=self._level(playbook, policy, executors)[0],
            own=shipped().get(playbook.name) is not playbook,
            undoable=playbook.undoable,
            record=record_line(pasts.get(playbook.name, NOBODY)),
        )

    def _level(self, playbook: Playbook, policy: Policy, executors: Sequence[Executor]) -> tuple[Level, str]:
        """The level it has where no rule lowers it: that of the freest control door that can do it, if any."""
        first = playbook.steps[0]
        doors = [
            each.level
            for each in executors
            if isinstance(each, ControlDoor)
            and each.level
            and each.name == first.executor
            and each.can(first.operation)
        ]
        freest = max(doors, key=ORDER.index, default=None)
        return level_of(
            playbook=playbook.name, risk=playbook.risk, level_max=playbook.level_max, target=EntityKey("", ""),
            policy=replace(policy, rules=()), door=freest, share=0.0, bounds=self._bounds, now_ms=self._clock.now_ms(),
        )  # fmt: skip

    async def check(self, tenant: TenantId, text: str, *, past: bool = True, days: int = DAYS) -> Checked:
        """Whether a text is a playbook that can be used here; with `past`, what it would have done in the last days."""
        try:
            playbook = read(text)
        except BadPlaybook as error:
            return Checked([FaultLine(each.line, each.what, each.mend) for each in error.faults])
        executors = await self._doors.of(tenant)
        warnings = [_unknown(each) for each in outside(playbook, text) if not _knows(executors, each)]
        tried = await self.past_of(tenant, playbook, days) if past else None
        return Checked((), playbook.name, tried, warnings)

    async def past_of(self, tenant: TenantId, playbook: Playbook, days: int = DAYS) -> Backtest:
        """The playbook tried on the cases of the last days: of fewer days where there are very many, or none before."""
        now_ms = self._clock.now_ms()
        cases, done = await past_cases(self._kernel.records, tenant, now_ms - days * DAY_MS)
        tried = await pictures(playbook, cases, self._users, tenant)
        oldest_ms = min((case.opened_ms for case in cases), default=now_ms)
        reached = max(1, ceil((now_ms - oldest_ms) / DAY_MS))
        return backtest(playbook, tried, done, reached, await self._doors.of(tenant))

    async def keep(self, principal: Principal, text: str, replaces: str | None = None) -> Playbook:
        """Sign off a playbook.

        Args:
            principal: Who signs.
            text: Of the playbook.
            replaces: As of `Library.keep`.

        Raises:
            BadPlaybook: It is none.
            Forbidden: Whoever asks may not sign it off, or not the one whose place it takes.
            Conflict: Someone else signed off another text meanwhile.
        """
        playbook = read(text)
        principal.need(NEEDED[playbook.sign_off])
        if former := await self.engine.library.maybe(principal.tenant, playbook.name):
            principal.need(NEEDED[former.sign_off])
        await self.engine.library.keep(principal.tenant, playbook, text, principal.name, replaces)
        return playbook

    async def autonomy(self, tenant: TenantId) -> Autonomy:
        """What Cerebro may do by itself, playbook by playbook."""
        policy, pasts = (await self.ledger.policy(tenant)).value, summed(await self.ledger.pasts(tenant))
        rows, executors = [], await self._doors.of(tenant)
        for each in sorted((await self.engine.library.all(tenant)).values(), key=lambda each: each.name):
            level, why = self._level(each, policy, executors)
            record = record_line(pasts.get(each.name, NOBODY))
            moved = policy.moves.get(each.name, Moved("", 0))
            bound = bound_now(policy, each.name, level, self._clock.now_ms())
            rows.append(
                LevelLine(
                    each.name, each.title, each.risk, level, why, each.level_max, record, moved.by, moved.at_ms, bound
                )
            )  # fmt: skip
        return Autonomy(policy, rows)

    async def turn(self, principal: Principal, wanted: Turn) -> None:
        """Change what is allowed.

        Raises:
            NotFound: A level names no playbook.
            Invalid: A level is above what its playbook allows.
            Forbidden: A level at which nobody is asked, of a playbook that another role signs off.
        """
        for name, level in (wanted.levels or {}).items():
            playbook = await self.engine.library.one(principal.tenant, name)
            if ORDER.index(level) > ORDER.index(playbook.level_max):
                raise Invalid(
                    f"{name} allows at most {playbook.level_max}.", "Sign off a version of it that allows more."
                )
            if level not in ASKED:
                principal.need(NEEDED[playbook.sign_off])
        record = await self.ledger.policy(principal.tenant)
        old = record.value
        by, now_ms = principal.name, self._clock.now_ms()
        moved = dict.fromkeys(wanted.levels or {}, Moved(by, now_ms))
        after = replace(
            old,
            levels={**old.levels, **(wanted.levels or {})},
            moves={**old.moves, **moved},
            rules=old.rules if wanted.rules is None else tuple(each.rule() for each in wanted.rules),
        )
        if wanted.stopped is not None:
            after = replace(
                after, stopped=wanted.stopped, stopped_by=by, stopped_reason=wanted.reason, stopped_ms=now_ms
            )
        if wanted.frozen is not None:
            after = replace(after, frozen=wanted.frozen, frozen_by=by, frozen_reason=wanted.reason, frozen_ms=now_ms)
        await self.ledger.set_policy(principal.tenant, after, record.version, principal.name, "autonomy_set")

    async def doors(self, tenant: TenantId) -> list[DoorLine]:
        """All that it can act through: control doors, without their keys, and what the settings name."""
        answering = await self._doors.answering(tenant)
        return [
            *(
                DoorLine(e.name, e.kind, e.url, e.scope, e.level, e.by, e.made_ms, e.name in answering)
                for e in await self._doors.entries(tenant)
            ),
            *(
                DoorLine(each.name, each.name, "", (), each.level, "settings", 0, answers=True)
                for each in self._doors.set_up(tenant)
            ),
        ]

    async def add_door(self, principal: Principal, wanted: Door) -> DoorLine:
        """Register a control door; one of the same name is replaced.

        Raises:
            Invalid: Its address would carry the key in the clear.
        """
        try:
            check_address(wanted.url)
        except (CerebroError, ValueError) as error:  # an address that cannot even be split
            raise Invalid(
                "The control door's address is neither https nor http to this machine.", "Give it a certificate."
            ) from error
        tenant, now_ms = principal.tenant, self._clock.now_ms()
        entry = DoorEntry(
            wanted.name, "process", wanted.url, wanted.key, wanted.scope, wanted.level, principal.name, now_ms
        )
        async with self._kernel.records.transaction() as transaction:
            old = await transaction.load(DOORS, tenant, wanted.name)
            await transaction.save(DOORS, tenant, wanted.name, entry, version=old.version if old else 0)
            detail = {"url": entry.url, "scope": entry.scope, "level": entry.level}
            await self._audit.append(
                tenant, principal.name, "control_door_added", f"door/{entry.name}", detail, transaction=transaction
            )
        self._doors.look_anew(tenant)
        return DoorLine(entry.name, entry.kind, entry.url, entry.scope, entry.level, entry.by, now_ms, answers=False)

    async def drop_door(self, principal: Principal, name: str) -> None:
        """Forget a control door.

        Raises:
            NotFound: There is none of this name.
        """
        async with self._kernel.records.transaction() as transaction:
            if await transaction.load(DOORS, principal.tenant, name) is None:
                raise NotFound(f"There is no control door {name!r}.")
            await transaction.delete(DOORS, principal.tenant, name)
            await self._audit.append(
                principal.tenant, principal.name, "control_door_dropped", f"door/{name}", {}, transaction=transaction
            )
        self._doors.look_anew(principal.tenant)


def _knows(executors: Sequence[Executor], wanted: Outside) -> bool:
    """Whether one of the control doors has told of the operation, or the settings allow the command."""
    return any(
        isinstance(each, ControlDoor | Command) and each.name == wanted.executor and each.can(wanted.operation)
        for each in executors
    )


def _unknown(wanted: Outside) -> FaultLine:
    if wanted.executor == Command.name:
        said = f"No ssh command here is called {wanted.operation!r}."
        return FaultLine(wanted.line, said, "Mend its spelling, or allow it in reach.ssh_commands.")
    said = f"No control door here knows {wanted.operation!r}."
    return FaultLine(wanted.line, said, "Mend its spelling, or see that a control door that can do it is up.")


def record_line(past: Past) -> RecordLine:
    """A record as people read it."""
    well, badly = past.labels()
    rate, low = (1.0 + well) / (2.0 + well + badly), beta_quantile(0.1, 1.0 + well, 1.0 + badly)
    return RecordLine(past.helped, past.not_helped, past.harmful, past.good, past.bad, round(rate, 3), round(low, 3))


def why(action: Action) -> Sequence[str]:
    """The answer to “why did you do that”, from the action's own record."""
    yes = f"{action.approved_by} approved it as it was shown." if action.approved_by else "Nobody has approved it."
    return [*(reason.text for reason in action.reasons), yes, *([action.outcome] if action.outcome else [])]
