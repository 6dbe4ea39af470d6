"""The shop as one process: `python -m cerebro.proving.shop.house` keeps it and answers at its control door.

Every injection has a lease: it ends when its time is over, also when whoever asked for it is gone.
"""

import argparse
import asyncio
import hmac
import os
import signal
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from secrets import token_urlsafe
from typing import Any

import msgspec

from cerebro.kernel.children import start_of
from cerebro.kernel.clock import Clock, SystemClock
from cerebro.kernel.engines.ground import make_directory
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.settings import load_settings
from cerebro.proving.faults import fault_of
from cerebro.proving.model import Operation
from cerebro.proving.shop.breaks import BREAKS, End, Site
from cerebro.proving.shop.control import (
    FILE,
    LEASE_S_MAX,
    Ask,
    Begun,
    Doing,
    Executor,
    Problem,
    Row,
    Sign,
    Standing,
    Wanted,
    write_private,
)
from cerebro.proving.shop.exporter import Exporter
from cerebro.proving.shop.keeper import TICK_S, USERS, Keeper, settings_of_shop
from cerebro.proving.shop.operations import ELSEWHERE, name_of, operate
from cerebro.proving.shop.plan import SERVICES, entity_text
from cerebro.proving.shop.prospect import Prospect, catalogue, look_ahead, state_of
from cerebro.proving.shop.wire import LOOPBACK, Answer, Request, serve
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import CerebroError, Invalid, Unavailable

MODULE = "cerebro.proving.shop.house"

# What the key that Cerebro gets opens: it operates the shop, and neither breaks it nor sees what is broken.
FOR_OPERATORS = frozenset({"GET /operations", "GET /state", "GET /done", "POST /dry-run", "POST /operate"})
DONE_MAX = 1000
EXECUTORS = "executors"  # in Cerebro's data directory

log = get_log(__name__)


class Done(msgspec.Struct, frozen=True):
    """What an operation came to: what it was to change, and how the target is now."""

    ahead: Prospect
    state: dict[str, str]


@dataclass(slots=True)
class Lease:
    """An injection that runs, what ends it, and when it ends by itself."""

    begun: Begun
    end: End
    until_ms: int


class House:
    """The keeper behind its control door."""

    def __init__(self, keeper: Keeper, clock: Clock, token: str, operator_key: str) -> None:
        self._keeper, self._clock, self._token, self._operator_key = keeper, clock, token, operator_key
        self._done: OrderedDict[str, Done] = OrderedDict()  # by key, the oldest forgotten first
        self._leases: dict[str, Lease] = {}
        self._ended: dict[str, Begun] = {}
        self._underway: set[asyncio.Future[Any]] = set()
        self._changing = asyncio.Lock()  # one change at a time, each whole
        self.stop = asyncio.Event()
        self._routes: Mapping[str, Callable[[Request], Awaitable[Any]]] = {
            "POST /inject": self._inject,
            "POST /end": self._end,
            "POST /operate": self._operate,
            "GET /operations": self._operations,
            "GET /state": self._state,
            "GET /done": self._was_done,
            "POST /dry-run": self._dry_run,
            "GET /felt": self._felt,
            "GET /standing": self._standing,
            "POST /tidy": self._tidy,
            "POST /down": self._down,
        }

    async def __call__(self, request: Request) -> Answer:
        """One request at the control door."""
        shown, wanted = request.headers.get("authorization", ""), f"{request.method} {request.path}"
        is_owner = hmac.compare_digest(shown, f"Bearer {self._token}")
        if not is_owner and not (
            hmac.compare_digest(shown, f"Bearer {self._operator_key}") and wanted in FOR_OPERATORS
        ):
            return _problem(401, Invalid("The shop's door wants its token.", "It stands in door.json."))
        route = self._routes.get(wanted)
        if route is None:
            return _problem(404, Invalid(f"No {wanted} here."))
        try:
            # Shielded: what was begun is finished, also when the one who asked has gone.
            said = await asyncio.shield(self._begin(route(request)))
        except CerebroError as error:
            return _problem(503 if error.retry else 400, error)
        except msgspec.MsgspecError as error:
            return _problem(400, Invalid(f"That cannot be read: {error}."))
        return Answer(200, msgspec.json.encode(said))

    def _begin(self, doing: Awaitable[Any]) -> "asyncio.Future[Any]":
        task = asyncio.ensure_future(doing)
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)
        return task

    async def keep(self) -> None:
        """Look after processes and leases until told to stop."""
        while not self.stop.is_set():
            if not self._changing.locked():
                self._keeper.tick()
            for lease in [each for each in self._leases.values() if each.until_ms <= self._clock.now_ms()]:
                log.info("shop_fault_lease_ended", kind=lease.begun.kind, injection_id=lease.begun.id)
                await self._finish(lease.begun.id)
            await asyncio.sleep(TICK_S)

    async def _inject(self, request: Request) -> Begun:
        ask = msgspec.json.decode(request.body, type=Ask)
        fault, chance = fault_of(ask.kind), Random(ask.seed)  # noqa: S311  repeatable on purpose
        plan = BREAKS.get(fault.kind)
        if plan is None:
            raise Invalid(f"The shop cannot have {ask.kind!r}.", f"It can have: {', '.join(BREAKS)}.")
        name = name_of(EntityKey.parse(ask.target)) if ask.target else chance.choice(plan.targets)
        if name not in plan.targets:
            raise Invalid(f"{name} cannot have {ask.kind!r}.", f"These can: {', '.join(plan.targets)}.")
        lease_s = min(max(ask.lease_s, 1.0), LEASE_S_MAX)
        until_ms = self._clock.now_ms() + round(lease_s * 1000)
        site = Site(self._keeper, self._clock.new_id(), name, until_ms, chance)
        async with self._changing:
            start_ms = self._clock.now_ms()
            try:
                end = await plan.begin(site)
            except CerebroError:
                self._keeper.relieve(site.id)
                raise
        cause = entity_text(plan.cause or name)
        begun = Begun(site.id, ask.kind, cause, start_ms, 0, ask.seed, {"lease_s": f"{lease_s:g}"})
        self._leases[site.id] = Lease(begun, end, until_ms)
        return begun

    async def _end(self, request: Request) -> Begun:
        return await self._finish(msgspec.json.decode(request.body, type=Begun).id)

    async def _finish(self, number: str) -> Begun:
        lease = self._leases.pop(number, None)
        if lease is None:
            if number in self._ended:
                return self._ended[number]
            raise Invalid(f"There was no injection {number!r}.", "Ask for the standing: it lists those that run.")
        async with self._changing:
            await lease.end()
        ended = msgspec.structs.replace(lease.begun, end_ms=self._clock.now_ms())
        self._ended[number] = ended
        return ended

    async def _operate(self, request: Request) -> Done:
        """Do it once; whoever asks again with the same key hears what came of it the first time."""
        doing = msgspec.json.decode(request.body, type=Doing)
        async with self._changing:
            if doing.key in self._done:
                return self._done[doing.key]
            operation = Operation(doing.name, EntityKey.parse(doing.target), doing.parameters)
            ahead = look_ahead(self._keeper, operation)
            await operate(self._keeper, operation)
            done = Done(ahead, state_of(self._keeper, name_of(operation.target)))
        if doing.key:
            self._done[doing.key] = done
            if len(self._done) > DONE_MAX:
                self._done.popitem(last=False)
        return done

    async def _dry_run(self, request: Request) -> Prospect:
        doing = msgspec.json.decode(request.body, type=Doing)
        return look_ahead(self._keeper, Operation(doing.name, EntityKey.parse(doing.target), doing.parameters))

    async def _was_done(self, request: Request) -> dict[str, bool]:
        """Whether an operation with this key was done; the last thousand are remembered."""
        return {"done": request.query.get("key", "") in self._done}

    async def _operations(self, _request: Request) -> list[dict[str, str]]:
        return catalogue()

    async def _state(self, request: Request) -> dict[str, str]:
        return state_of(self._keeper, name_of(EntityKey.parse(request.query.get("target", ""))))

    async def _felt(self, request: Request) -> msgspec.Raw:
        load = self._keeper.replicas["load"][0]
        start_ms, end_ms = int(request.query["start_ms"]), int(request.query["end_ms"])
        target = f"/felt?start_ms={start_ms}&end_ms={end_ms}"
        try:
            answer = await self._keeper.lines.ask(load.port, "GET", target, headers={}, timeout_s=10)
        except (OSError, TimeoutError) as error:
            raise Unavailable("The shop's load generator does not answer.") from error
        return msgspec.Raw(answer.body)

    async def _standing(self, _request: Request) -> Standing:
        rows = [msgspec.convert(row, Row) for row in self._keeper.footprint()]
        return Standing(rows, [lease.begun for lease in self._leases.values()], self._keeper.wanted.export_url)

    async def _tidy(self, _request: Request) -> dict[str, bool]:
        """End every fault, one that is just being injected too, and put everything back as planned."""
        async with self._changing:
            pass  # whoever asked for it may have gone before it had a lease
        await self.end_all()
        async with self._changing:
            await self._keeper.as_planned()
        return {"done": True}

    async def _down(self, _request: Request) -> dict[str, bool]:
        self.stop.set()
        return {"done": True}

    async def break_off(self) -> None:
        """Leave what is half done: all of it is about to end."""
        underway = list(self._underway)
        for task in underway:
            task.cancel()
        await asyncio.gather(*underway, return_exceptions=True)

    async def end_all(self) -> None:
        """End whatever still runs."""
        for number in list(self._leases):
            await self._finish(number)


async def _export(keeper: Keeper, clock: Clock) -> None:
    """Tell of the engines, if anyone is told."""
    if keeper.wanted.export_url:
        await Exporter(keeper, clock, keeper.wanted.export_s).run()


def targets() -> list[str]:
    """All that can be operated here, as Cerebro calls it."""
    return [entity_text(name) for name in (*SERVICES, *ELSEWHERE) if name != USERS]


def _executor_file(keeper: Keeper) -> Path:
    """Where Cerebro finds whom to ask."""
    return keeper.home.parent / EXECUTORS / "shop.json"


def _introduce(file: Path, executor: Executor) -> None:
    """Tell Cerebro whom to ask."""
    make_directory(file.parent, 0o700)
    write_private(file, msgspec.json.encode(executor))


def _problem(status: int, error: CerebroError) -> Answer:
    return Answer(status, msgspec.json.encode(Problem(error.code, error.detail, error.mend)))


async def run(wanted: Wanted) -> None:
    """Keep the shop until told to stop.

    Raises:
        CerebroError: It does not come up.
    """
    clock, settings = SystemClock(), settings_of_shop(load_settings())
    keeper = Keeper(settings, wanted, clock)
    token, operator_key = token_urlsafe(24), token_urlsafe(24)
    house = House(keeper, clock, token, operator_key)
    opening, sign = asyncio.ensure_future(keeper.open()), keeper.home / FILE

    def ask_to_stop() -> None:
        house.stop.set()
        opening.cancel()  # nothing is cancelled where the shop is open already

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ask_to_stop)
    try:
        await opening
        server = await serve(house, 0)
        port = int(server.sockets[0].getsockname()[1])
        me = os.getpid(), start_of(os.getpid())
        _introduce(
            _executor_file(keeper),
            Executor("shop", "process", f"http://{LOOPBACK}:{port}", operator_key, *me, targets()),
        )
        write_private(sign, msgspec.json.encode(Sign(port, token, *me)))
        exporting = asyncio.create_task(_export(keeper, clock))
        await house.keep()
        server.close()
        exporting.cancel()
        await asyncio.gather(exporting, return_exceptions=True)
        await house.break_off()
        await house.end_all()
    finally:
        keeper.close()
        sign.unlink(missing_ok=True)
        _executor_file(keeper).unlink(missing_ok=True)


def main() -> None:
    """The entry point of the program."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--wish", type=Path, required=True, help="the file with what is wanted")
    try:
        asyncio.run(run(msgspec.json.decode(parser.parse_args().wish.read_bytes(), type=Wanted)))
    except asyncio.CancelledError:
        log.info("shop_not_opened", reason="it was told to stop")
    except (CerebroError, OSError) as error:  # a full disk, among others
        log.error("shop_failed", error=str(error))  # noqa: TRY400  a sentence, not a traceback
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
