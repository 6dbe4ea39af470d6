"""The API of actions, playbooks and autonomy. Nothing is done that was not shown: an approval names what it is of."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from cerebro.casework.answers import Json, answer
from cerebro.casework.deeds import KeptAction
from cerebro.casework.hands import answers
from cerebro.casework.hands.backtest import DAYS, DAYS_MAX, Backtest
from cerebro.casework.hands.counter import Counter, why
from cerebro.casework.hands.presses import Links
from cerebro.kernel.access.guard import Guard, Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Record
from cerebro.kernel.web.door import needs
from cerebro.spine.actions import ActionState
from cerebro.spine.errors import Invalid
from cerebro.spine.identity import CaseId

Reader = Annotated[Principal, Depends(needs("read"))]
Responder = Annotated[Principal, Depends(needs("respond"))]
Operator = Annotated[Principal, Depends(needs("operate"))]
Id = Annotated[str, Path(max_length=64)]
Text = Annotated[str, Query(max_length=300)]
FORM_BYTES_MAX = 65_536  # a press comes with the whole message

Kept = Record[KeptAction]


def router(kernel: Kernel) -> APIRouter:
    """The routes."""
    counter, routes = Counter(kernel), APIRouter(tags=["hands"])
    _read_actions(routes, counter)
    _decide(routes, counter)
    _links(routes, counter, kernel)
    _playbooks(routes, counter)
    _autonomy(routes, counter)
    return routes


def _read_actions(routes: APIRouter, counter: Counter) -> None:
    @routes.get("/actions", response_model=answers.ActionPage)
    async def actions(
        principal: Reader,
        *,
        state: Annotated[str, Query(max_length=200, description="One state, or several with commas.")] = "",
        case: Text = "",
        target: Text = "",
        playbook: Text = "",
        cursor: Annotated[str, Query(max_length=1000)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Json:
        """Actions, the newest first, each with its diff, prediction, risk, undo, reasons and story."""
        where: dict[str, Any] = {"case": case, "target": target, "playbook": playbook}
        where = {name: value for name, value in where.items() if value}
        if case:
            where["case"] = await counter.ledger.story_of(principal.tenant, CaseId(case))
        if state:
            where["state"] = _states(state)
        page = await counter.actions(principal.tenant, where, cursor, limit)
        if case and set(where) == {"case"} and not page.cursor:
            known = [each.id for each in page.items]
            others = await counter.ledger.shared(principal.tenant, CaseId(case), known)
            page = answers.ActionPage([*page.items, *others], "")
        return answer(page)

    @routes.get("/actions/{action_id}", response_model=KeptAction)
    async def action(principal: Reader, action_id: Id) -> Json:
        """One action."""
        return answer((await counter.ledger.one(principal.tenant, action_id)).value)

    @routes.get("/actions/{action_id}/why", response_model=list[str])
    async def because(principal: Reader, action_id: Id) -> Json:
        """Why it was done, from the record."""
        return answer(why((await counter.ledger.one(principal.tenant, action_id)).value))


def _decide(routes: APIRouter, counter: Counter) -> None:
    async def decided(principal: Principal, action_id: str, deed: Callable[[Kept], Awaitable[Kept]]) -> Json:
        record = await counter.ledger.one(principal.tenant, action_id)
        await counter.may(principal, record)
        return answer((await deed(record)).value)

    @routes.post("/actions", response_model=KeptAction, status_code=201)
    async def wish(principal: Operator, asked: answers.Wish) -> Json:
        """Be shown what a playbook would do to a target, for a case; approve it to have it done."""
        return answer((await counter.wish(principal, asked)).value, 201)

    @routes.post("/actions/{action_id}/approve", response_model=KeptAction)
    async def approve(principal: Responder, action_id: Id, asked: answers.Approval) -> Json:
        """Say yes to what was shown; when something else would now be done, it is shown anew instead."""
        return await decided(
            principal, action_id, lambda record: counter.engine.approve(record, principal.name, asked.digest)
        )

    @routes.post("/actions/{action_id}/refuse", response_model=KeptAction)
    async def refuse(principal: Responder, action_id: Id, asked: answers.Words | None = None) -> Json:
        """Say no."""
        reason = asked.reason if asked else ""
        return await decided(principal, action_id, lambda record: counter.engine.refuse(record, principal.name, reason))

    @routes.post("/actions/{action_id}/undo", response_model=KeptAction)
    async def undo(principal: Responder, action_id: Id, asked: answers.Words | None = None) -> Json:
        """Have it taken back."""
        reason = asked.reason if asked else ""
        return await decided(
            principal, action_id, lambda record: counter.engine.take_back(record, principal.name, reason)
        )

    @routes.post("/actions/{action_id}/verdict", response_model=KeptAction)
    async def verdict(principal: Responder, action_id: Id, asked: answers.Verdict) -> Json:
        """Say whether it was good; its playbook learns from it."""
        judged = await counter.ledger.judge(principal.tenant, action_id, asked.verdict, principal.name)
        return answer(judged.value)


def _links(routes: APIRouter, counter: Counter, kernel: Kernel) -> None:
    links = Links(counter, kernel)

    @routes.post("/actions/{action_id}/link", response_model=answers.LinkLine, status_code=201)
    async def link(principal: Responder, action_id: Id) -> Json:
        """A signed token by which you can approve or refuse this from a mail or a chat, for a short time."""
        return answer(await links.make(principal, action_id), 201)

    @routes.post("/approvals", response_model=KeptAction)
    async def approval(request: Request) -> Json:
        """Answer a signed link: JSON with `token` and `verdict`, or the form that a chat's button posts."""
        body = await request.body()
        if len(body) > FORM_BYTES_MAX:
            raise Invalid("The answer is too long.")
        guard: Guard = request.app.state.guard
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return answer(await links.pressed(guard, request.headers, body))
        try:
            asked = answers.Answer.model_validate_json(body)
        except ValueError as error:
            raise Invalid("The answer cannot be read.", "Send `token` and `verdict`: approve or refuse.") from error
        return answer(await links.answered(guard, asked))


def _playbooks(routes: APIRouter, counter: Counter) -> None:
    @routes.get("/playbooks", response_model=answers.PlaybookPage)
    async def playbooks(principal: Reader) -> Json:
        """Every playbook with its level and what became of it here."""
        return answer(answers.PlaybookPage(await counter.playbooks(principal.tenant)))

    @routes.post("/playbooks", response_model=answers.PlaybookLine, status_code=201)
    async def keep(principal: Operator, asked: answers.SignOff) -> Json:
        """Sign off a playbook of your own; one with the name of a shipped one takes its place."""
        playbook = await counter.keep(principal, asked.text, asked.replaces)
        lines = await counter.playbooks(principal.tenant)
        return answer(next(line for line in lines if line.name == playbook.name), 201)

    @routes.post("/playbooks/check", response_model=answers.Checked)
    async def check(principal: Reader, asked: answers.Draft) -> Json:
        """Read a playbook's text: every fault with its line and mend; and what it would have done on past cases."""
        return answer(await counter.check(principal.tenant, asked.text, past=asked.backtest, days=asked.days))

    @routes.get("/playbooks/{name}", response_model=answers.PlaybookLine)
    async def playbook(principal: Reader, name: Id) -> Json:
        """One playbook."""
        await counter.engine.library.one(principal.tenant, name)
        return answer(next(line for line in await counter.playbooks(principal.tenant) if line.name == name))

    @routes.get("/playbooks/{name}/text", response_model=answers.PlaybookText)
    async def text(principal: Reader, name: Id) -> Json:
        """One playbook as it was written, to begin another version from."""
        return answer(answers.PlaybookText(name, await counter.engine.library.text(principal.tenant, name)))

    @routes.get("/playbooks/{name}/backtest", response_model=Backtest)
    async def backtest(
        principal: Reader,
        name: Id,
        *,
        days: Annotated[int, Query(ge=1, le=DAYS_MAX, description="Of past cases, at most.")] = DAYS,
    ) -> Json:
        """What it would have done on past cases, and what became of its like there."""
        found = await counter.engine.library.one(principal.tenant, name)
        return answer(await counter.past_of(principal.tenant, found, days))


def _autonomy(routes: APIRouter, counter: Counter) -> None:
    @routes.get("/autonomy", response_model=answers.Autonomy)
    async def autonomy(principal: Reader) -> Json:
        """What Cerebro may do by itself: the switches, the rules, and each playbook's level."""
        return answer(await counter.autonomy(principal.tenant))

    @routes.post("/autonomy", response_model=answers.Autonomy)
    async def turn(principal: Operator, asked: answers.Turn) -> Json:
        """Stop, freeze, set levels or rules; what is left out stays."""
        await counter.turn(principal, asked)
        return answer(await counter.autonomy(principal.tenant))

    @routes.get("/executors", response_model=answers.DoorPage)
    async def doors(principal: Reader) -> Json:
        """What it can act through: control doors, without their keys, and what the settings name."""
        return answer(answers.DoorPage(await counter.doors(principal.tenant)))

    @routes.post("/executors", response_model=answers.DoorLine, status_code=201)
    async def add_door(principal: Operator, asked: answers.Door) -> Json:
        """Register a program's control door, so that playbooks can act on it."""
        return answer(await counter.add_door(principal, asked), 201)

    @routes.delete("/executors/{name}", status_code=204, response_model=None)
    async def drop_door(principal: Operator, name: Id) -> None:
        """Forget a control door."""
        await counter.drop_door(principal, name)


def _states(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [name for name in chosen if name not in set(ActionState)]:
        raise Invalid(f"{unknown[0]!r} is no state of an action.", f"Choose from: {', '.join(ActionState)}.")
    return chosen
