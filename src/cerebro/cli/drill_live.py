"""A drill in life: the real shop beside the real Cerebro, and a story told while it happens."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from random import SystemRandom
from typing import Any

import msgspec
from rich.console import Console
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from cerebro.cli.client import Client
from cerebro.cli.drill_board import Board, Step, Story
from cerebro.cli.out import clean
from cerebro.cli.serve import greeting
from cerebro.cli.shop import shut, way_in
from cerebro.cli.stopping import orderly
from cerebro.kernel import supervise
from cerebro.kernel.children import die_with_parent
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.engines.ground import make_directory
from cerebro.kernel.settings import Settings, as_environment
from cerebro.proving.count import CALM_LOOKS, ERROR_SHARE_MIN, is_felt, usual_of
from cerebro.proving.model import CONTROL, Fault, Ground, Health, Injection, Look, Operation
from cerebro.proving.shop.control import Wanted
from cerebro.proving.shop.ground import Shop
from cerebro.proving.watch import CEREBRO, Act, Seen, Watcher
from cerebro.spine.cases import Case, CaseState, Cause, Entry
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, NotFound, Unavailable
from cerebro.spine.findings import Finding

RATE = 50.0  # users a second: enough to tell a change from chance within seconds
EXPORT_S = 1.0  # so that a minute is enough to learn what is usual
DAY_S = 86_400.0
QUIET_S, FAULT_S, AFTER_S = 65.0, 48.0, 30.0  # with both starts, under three minutes
STEP_S = 4.0
WELL_P95_MS = 1000.0  # until it is known what users are used to
START_LOOK_S = 0.1
SETTLE_S, TIDY_COUNT = 300.0, 2  # at most until users are well, and how often the shop is put in order in it
LEASE_MORE_S = 60.0  # beyond the fault itself: to be begun, and to be ended by hand
HEALTH_LAG_MS = 1500  # a request that has just begun is not in the record yet
PAGE = 200
WIDTH = 120  # of what is told where there is no terminal
OFFERED = ("bad_deploy_errors", "outside_api_slow", "slow_cpu", "crash", "hang", "bad_flag", "queue_backlog")

NOT_CLOSED = ",".join(state.value for state in CaseState if state is not CaseState.CLOSED)
UNKNOWN = "unknown"
FINDINGS_TOLD = 8  # one by one
HOURLY_MAX = 10_000  # actions: a suite has a year's troubles in an hour
EAGER_FORGETS = 20.0  # times as fast as in life: the same series speak in drill after drill
EAGER_BUDGET = 2000.0  # false findings a week; with the usual few, a minute's acquaintance proves nothing
# Lines of a case's timeline that are told, by the beginning of their kind: the word before them, and its colour.
DEEDS = (
    ("action_done", ("done", "bold cyan")),
    ("action_helped", ("helped", "bold green")),
    ("action", ("action", "bold cyan")),
    ("escalated", ("asks", "bold yellow")),
    ("post_mortem", ("story", "bold")),
)

Progress = Callable[[str], None]


class Beside:
    """The Cerebro that runs here, as a watcher: what its own API tells.

    Args:
        client: Of its API.
        about: Whose cases are the drill's; None where Cerebro was started for it and watches nothing else.
    """

    name = "cerebro"

    def __init__(self, client: Client, about: Collection[EntityKey] | None = None) -> None:
        self.client, self._about = client, about

    async def seen(self, since_ms: int) -> Seen:
        """Findings and cases since then."""
        return await asyncio.to_thread(self._seen, since_ms)

    def _seen(self, since_ms: int) -> Seen:
        lines = [line for line in self._pages("/api/v1/findings", since=since_ms) if self._is_ours([line["entity"]])]
        told = self._pages("/api/v1/cases", order="opened")
        cases = [line for line in told if line["opened_ms"] >= since_ms and self._is_ours(line["entities"])]
        findings = [msgspec.convert({**line, "evidence": []}, Finding) for line in lines]
        whole = [self._case(line["id"]) for line in cases]
        numbers = dict.fromkeys(number for case in whole for number in case.actions)  # one may be of several cases
        acts = [act for number in numbers for act in self._acts(number)]
        return Seen(
            sorted(findings, key=lambda finding: finding.seen_ms),
            sorted(whole, key=lambda case: case.opened_ms),
            sorted(acts, key=lambda act: act.at_ms),
        )

    def close_cases(self, verdict: str = "") -> None:
        """Close every case of the drill that a finding could still join: the next trouble is another story.

        Args:
            verdict: What its findings were worth, `useful` or `noise`; empty when nobody says.
        """
        for line in self._pages("/api/v1/cases", state=NOT_CLOSED):
            if not self._is_ours(line["entities"]):
                continue
            with suppress(Invalid, NotFound):  # it was merged into another one this moment
                if verdict:
                    self.client.post(f"/api/v1/cases/{line['id']}/feedback", {"verdict": verdict})
                self.client.post(f"/api/v1/cases/{line['id']}/close", {"text": "The drill is over."})

    def _is_ours(self, entities: Sequence[Mapping[str, str]]) -> bool:
        """Whether a case is about what the drill breaks: the cases of what else Cerebro watches are people's."""
        return self._about is None or any(EntityKey(each["kind"], each["name"]) in self._about for each in entities)

    def _pages(self, path: str, **parameters: object) -> list[Any]:
        """The newest page: a drill is short."""
        found: list[Any] = self.client.get(path, limit=PAGE, **parameters)["items"]
        return found

    def _case(self, case_id: str) -> Case:
        found = self.client.get(f"/api/v1/cases/{case_id}")
        return msgspec.convert({**found, "findings": [finding["id"] for finding in found["findings"]]}, Case)

    def _acts(self, number: str) -> list[Act]:
        """What an action has truly done so far: the calls that were begun, undoing included."""
        try:
            return _acts_of(self.client.get(f"/api/v1/actions/{number}"))
        except NotFound:
            return []


def _acts_of(action: Mapping[str, Any]) -> list[Act]:
    """What was begun of an action; what only takes an act back is no act of its own."""
    acts = []
    for step in action["steps"]:
        call = step["call"]
        operation = Operation(call["operation"], msgspec.convert(call["target"], EntityKey), call["arguments"])
        if step["begun_ms"]:
            done = step["done_ms"] > 0
            acts.append(Act(step["begun_ms"], operation, action["id"], action["approved_by"], done))
    return acts


class RealStage:
    """The shop and the Cerebro beside it, in real time."""

    step_s = STEP_S
    brisk = True

    def __init__(self, shop: Shop, cerebro: Beside) -> None:
        self._clock = SystemClock()
        self.shop, self.cerebro = shop, cerebro
        self.ground: Ground = shop
        self.watchers: Sequence[Watcher] = (cerebro,)
        self._usual: Health | None = None  # what users are used to, once it is known

    def now_ms(self) -> int:
        """The time."""
        return self._clock.now_ms()

    async def pass_time(self, duration_s: float) -> None:
        """Wait."""
        await asyncio.sleep(duration_s)

    async def felt(self, over_s: float) -> Health:
        """What users felt over the last seconds of which the record is whole."""
        end_ms = self.now_ms() - HEALTH_LAG_MS
        return await self.shop.health(end_ms - round(over_s * 1000), end_ms)

    def get_used(self, looks: Sequence[Look]) -> None:
        """Keep what users are used to since the first quiet stretch: every later drill begins when they have it again.

        Args:
            looks: What users felt in a quiet stretch; of a later one than the first, nothing is kept.
        """
        usual = usual_of(looks)
        if self._usual is None and usual.request_count:
            self._usual = usual

    async def settle(self) -> None:
        """Put the shop in order, again half way, and wait until users are well.

        Raises:
            Unavailable: They are not in all that time.
        """
        for _ in range(TIDY_COUNT):
            await self.shop.tidy()
            if await self._is_well_within(SETTLE_S / TIDY_COUNT):
                return
        raise Unavailable(
            f"The shop does not get well: its users were not served as usual in {SETTLE_S:.0f} s.",
            "Look at it: cerebro shop status; or end it: cerebro shop down. A suite goes on with --resume.",
        )

    async def _is_well_within(self, duration_s: float) -> bool:
        """Whether users are well for a while before the time is over."""
        until_ms, calm = self.now_ms() + round(duration_s * 1000), 0
        while calm < CALM_LOOKS and self.now_ms() < until_ms:
            await self.pass_time(STEP_S)
            calm = calm + 1 if self._is_well(await self.felt(STEP_S)) else 0
        return calm >= CALM_LOOKS

    def _is_well(self, felt: Health) -> bool:
        """Whether users are served as they are used to be."""
        if self._usual:
            return not is_felt(self._usual, felt)
        return felt.request_count > 0 and felt.error_share < ERROR_SHARE_MIN and felt.p95_ms < WELL_P95_MS

    async def clear(self, verdict: str = "") -> None:
        """Put the shop in order, wait until users are well, and close every case, as people do when it is over.

        Args:
            verdict: What people then say of the findings, `useful` or `noise`; empty for nothing.

        Raises:
            Unavailable: Users do not get well.
        """
        await self.settle()
        await asyncio.to_thread(self.cerebro.close_cases, verdict)

    async def begin_afresh(self) -> None:
        """Close what late findings of the last drill have opened."""
        await asyncio.to_thread(self.cerebro.close_cases)


@asynccontextmanager
async def real_stage(
    settings: Settings, progress: Progress, fault_s: float, *, eager: bool = False
) -> AsyncIterator[RealStage]:
    """The shop, and Cerebro when it is not up; both are ended afterwards when we started them.

    A shop that was up before is put in order, before and afterwards.

    Args:
        settings: Of this installation.
        progress: Told what is being done.
        fault_s: How long a fault lasts at most: not much later it ends by itself, whatever becomes of us.
        eager: A Cerebro that is started here has a wide noise budget: it has a minute to know the shop, not a week.

    Raises:
        Invalid: Something of it cannot run here; the mend says what to change.
        Unavailable: It did not start, or the shop that was up before does not get well, or not in order.
    """
    started = not supervise.status(settings)
    try:
        if started:
            progress("Starting Cerebro …")
            await _start_cerebro(eager_settings(settings) if eager else settings, progress)
            if eager:
                progress(
                    f"It may err {EAGER_BUDGET / 168:.0f} times an hour here, for it knows the shop for a minute only."
                )
        shop = Shop(settings, lease_s=fault_s + LEASE_MORE_S)
        was_up = shop.is_up
        async with _lent(shop, progress) if was_up else _opened(shop, settings, progress):
            stage = RealStage(shop, Beside(Client(settings), None if started else shop.entities))
            if was_up:
                progress("Putting the shop in order, and waiting until its users are well …")
                await stage.settle()
            yield stage
    finally:
        if started:
            progress("Stopping Cerebro …")
            await asyncio.to_thread(supervise.down, settings)


@asynccontextmanager
async def _opened(shop: Shop, settings: Settings, progress: Progress) -> AsyncIterator[None]:
    """A shop of ours, with a key of its own, as long as it is needed."""
    progress("Opening the shop: a dozen processes with users in them …")
    url, key = way_in(settings)
    try:
        await shop.up(Wanted(RATE, DAY_S, url, key, EXPORT_S), with_us=True)
        yield
    finally:
        progress("Closing the shop …")
        await shop.down()
        await asyncio.to_thread(shut, settings, key)


@asynccontextmanager
async def _lent(shop: Shop, progress: Progress) -> AsyncIterator[None]:
    """A shop of someone else's: no fault stays in it, nor what was done about one."""
    try:
        yield
    finally:
        if shop.is_up:
            progress("Putting the shop in order …")
            await asyncio.shield(shop.tidy())


def eager_settings(settings: Settings) -> Settings:
    """The same with the noise budget of a short acquaintance, and with bounds and a memory for months in an hour."""
    budget = max(settings.support.noise_budget, EAGER_BUDGET)
    support = settings.support.model_copy(update={"noise_budget": budget, "forgets": EAGER_FORGETS})
    hands = settings.hands.model_copy(
        update={"entity_per_hour_max": HOURLY_MAX, "tenant_per_hour_max": HOURLY_MAX, "cool_down_share": 0.0}
    )
    return settings.model_copy(update={"support": support, "hands": hands})


async def _start_cerebro(settings: Settings, progress: Progress) -> None:
    """`cerebro up`, which ends when we do, by whatever hand; the address and the first login go to the reader."""
    said = make_directory(settings.data_dir, 0o711) / "drill.log"
    with said.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cerebro.cli.main", "up",
            env=as_environment(settings), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip
    try:
        while supervise.READY not in said.read_text():
            if child.returncode is not None:
                why = said.read_text().strip()[-500:]
                raise Unavailable(f"Cerebro did not start: {why}", "See: cerebro doctor.")
            await asyncio.sleep(START_LOOK_S)
    except asyncio.CancelledError:
        if child.returncode is None:
            child.terminate()
            await child.wait()
        raise
    for line in greeting(settings):
        progress(line)


async def play(settings: Settings, kind: str, seed: int) -> int:
    """One drill for a newcomer, told as it happens; the exit code."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    seed = seed or SystemRandom().randrange(1, 1_000_000)
    fault = _choose(Shop(settings), kind, seed, console)
    try:
        with orderly():
            await _told(settings, console, fault, seed)
    except asyncio.CancelledError:
        console.print("Stopped. Nothing is left behind.")
        return 130
    return 0


async def _told(settings: Settings, console: Console, fault: Fault, seed: int) -> None:
    """The drill itself, on a stage of its own."""
    began_s = time.monotonic()
    async with real_stage(settings, lambda line: console.print(Text(clean(line), "dim")), FAULT_S, eager=True) as stage:
        board = _board(stage)
        teller = Teller(console, stage, board)
        try:
            await teller.play(fault, seed)
            await teller.sum_up(fault, time.monotonic() - began_s)
        except asyncio.CancelledError:
            board.turn("stopped")
            await board.send()
            raise
        await _linger(console, stage)


def _board(stage: RealStage) -> Board:
    """Where the console is told."""
    now_ms = stage.now_ms()
    return Board(stage.cerebro.client, SystemClock().new_id(), Story(now_ms, now_ms + round(QUIET_S * 1000)))


def _choose(shop: Shop, kind: str, seed: int, console: Console) -> Fault:
    """The fault that was named, or picked, or drawn.

    Raises:
        Invalid: The shop does not know it.
    """
    known = {fault.kind: fault for fault in shop.faults() if fault.cause_kind != CONTROL}
    offered = [each for each in OFFERED if each in known]
    if not kind and sys.stdin.isatty():
        console.print("What shall break?")
        for number, each in enumerate(offered, 1):
            console.print(f"  {number}  {known[each].title}")
        word = Prompt.ask("A number, a kind (cerebro drill kinds), or Enter for any", default="", show_default=False)
        kind = offered[int(word) - 1] if word.isdigit() and 0 < int(word) <= len(offered) else word.strip()
    kind = kind or offered[seed % len(offered)]
    if kind not in known:
        raise Invalid(f"The shop has no fault {kind!r}.", f"Write one of: {', '.join(sorted(known))}.")
    return known[kind]


async def _linger(console: Console, stage: RealStage) -> None:
    """Leave a newcomer time for the console."""
    if not sys.stdin.isatty():
        return
    console.print(f"Look around at [bold]{stage.cerebro.client.url}[/]; press Enter when you have seen enough.")
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin)


def top_cause(case: Case) -> Cause | None:
    """The likeliest cause that the case names, if any."""
    return min((cause for cause in case.causes if cause.kind != UNKNOWN), key=lambda cause: cause.rank, default=None)


def verdict(marks: Mapping[str, float], blamed: Cause | None, target: EntityKey) -> list[str]:
    """What Cerebro made of the fault, honestly, a line each for seeing, understanding and mending."""
    if "case" in marks:
        seen = f"Cerebro opened a case {marks['case']:.0f} s after the fault began."
    elif "joined" in marks:
        seen = f"Cerebro took it into a case that was open before, {marks['joined']:.0f} s after the fault began."
    else:
        return ["Cerebro opened no case: this fault escaped it, and that is the honest score."]
    if blamed is None:
        cause = "It named no cause."
    elif blamed.entity == target:
        cause = f"It blamed {blamed.entity.text}, and that is where it was."
    else:
        cause = f"It blamed {blamed.entity.text}; the truth was {target.text}."
    if "done" in marks:
        who = "It acted once someone had approved it" if "approved" in marks else "It acted by itself"
        acted = who + (", and that helped." if "helped" in marks else ".")
    else:
        acted = "It did nothing by itself."
    return [seen, cause, acted]


def joined(case: Case, findings: Sequence[Finding], since_ms: int) -> Finding | None:
    """The first finding since then in a case that was open before: what began since then is its story too."""
    if case.opened_ms >= since_ms:
        return None
    new = (found for found in findings if found.seen_ms >= since_ms and not found.cleared and found.id in case.findings)
    return min(new, key=lambda found: found.seen_ms, default=None)


class Teller:
    """Tells a drill line by line, each with the seconds since the fault began."""

    def __init__(self, console: Console, stage: RealStage, board: Board) -> None:
        self._console, self._stage, self._board = console, stage, board
        self._told: set[str] = set()
        self._looks: list[Look] = []
        self._injection: Injection | None = None
        self._marks: dict[str, float] = {}
        self._blamed: Cause | None = None
        self._finding_count = 0

    async def play(self, fault: Fault, seed: int) -> None:
        """Quiet, fault, end; each look is told."""
        self._say("", "bold", f"Now {QUIET_S:.0f} s in which nothing is wrong, to learn what is usual.")
        self._console.print(Text(f"To watch in the console: {self._stage.cerebro.client.url}/drills", "dim"))
        self._begun_ms = self._stage.now_ms()
        await self._board.send()
        await self._watch(QUIET_S)
        usual = usual_of(self._looks)
        self._injection = await self._stage.ground.inject(fault.kind, seed=seed)
        where = self._injection.target.text
        self._say("fault", "bold red", f"{fault.title}, at {where}. Users would notice: {fault.symptom}.")
        self._board.inject(self._injection, self._injection.start_ms + round(FAULT_S * 1000))
        await self._board.send()
        try:
            await self._watch(FAULT_S, usual)
        finally:
            await self._stage.ground.end(self._injection)
        self._say("end", "bold", "The fault ends.")
        ended_ms = self._stage.now_ms()
        self._board.turn("after", ended_ms + round(AFTER_S * 1000))
        self._board.note(Step(ended_ms, "end", ""))
        await self._watch(AFTER_S, usual, until=self._settled)

    def _settled(self) -> bool:
        """Whether nothing more is to be expected: users are well, and no case is open that the fault brought."""
        return "recovery" in self._marks and ("resolved" in self._marks or not self._marks.keys() & {"case", "joined"})

    async def sum_up(self, fault: Fault, took_s: float) -> None:
        """What it comes to."""
        assert self._injection is not None
        marks, target = self._marks, self._injection.target
        said = verdict(marks, self._blamed, target)
        line = ", ".join(f"{name} after {at_s:.0f} s" for name, at_s in marks.items())
        self._console.rule()
        self._console.print(f"[bold]{fault.title}[/] at {target.text}: {line or 'nobody noticed anything'}.")
        helps = ", ".join(fault.remedies) or "nothing but waiting"
        for words in (*said, f"What honestly helps against it: {helps}. The drill took {took_s:.0f} s."):
            self._console.print(words)
        self._board.story.summary = [*said, f"What honestly helps against it: {helps}."]
        self._board.turn("over")
        await self._board.send()

    async def _watch(
        self, duration_s: float, usual: Health | None = None, until: Callable[[], bool] = lambda: False
    ) -> None:
        until_s = time.monotonic() + duration_s
        calm = 0
        while (left_s := until_s - time.monotonic()) > 0 and not until():
            with self._console.status(f"{self._phase()}; {left_s:.0f} s to go", spinner="dots"):
                await self._stage.pass_time(min(STEP_S, left_s))
                health = await self._stage.felt(STEP_S)
            look = Look(self._stage.now_ms(), health)
            self._looks.append(look)
            self._board.look(look)
            await self._tell_seen()
            if usual is not None:
                calm = 0 if is_felt(usual, health) else calm + 1
                self._tell_felt(look, calm)
            await self._board.send()

    def _tell_felt(self, look: Look, calm: int) -> None:
        """What users feel, when that turns; `calm` counts the looks in which they felt nothing."""
        felt = f"{look.health.error_share:.0%} of requests fail, the slowest 5 % take over {look.health.p95_ms:.0f} ms"
        if calm == 0 and "users" not in self._marks:
            self._mark("users", "yellow", f"Users feel it: {felt}.")
            self._board.note(Step(look.end_ms, "users", felt))
        if calm >= CALM_LOOKS and "users" in self._marks and "recovery" not in self._marks:
            self._mark("recovery", "green", f"Users are served as before: {felt}.")
            self._board.note(Step(look.end_ms, "recovery", felt))
        if calm == 0 and self._marks.pop("recovery", None) is not None:
            self._say("users", "yellow", f"It is back: {felt}.")
            self._board.note(Step(look.end_ms, "back", felt))

    async def _tell_seen(self) -> None:
        """Findings and cases not told before; a case of the quiet stretch is followed as long as it is open."""
        since_ms = self._injection.start_ms if self._injection else self._begun_ms
        seen = await self._stage.cerebro.seen(self._begun_ms)
        for finding in seen.findings:
            if finding.seen_ms >= since_ms and self._new(finding.id):
                self._tell_finding(finding)
        for case in seen.cases:
            self._tell_case(case, joined(case, seen.findings, since_ms))
        self._blamed = self._blame(seen.cases) or self._blamed

    def _tell_case(self, case: Case, by: Finding | None) -> None:
        """All that is new of a case.

        Args:
            case: The case.
            by: What took the fault into it, where it was open before.
        """
        page = f"{self._stage.cerebro.client.url}/cases/{case.id}"
        if by and self._new(f"{case.id} joined"):
            self._mark("joined", "bold magenta", f"{by.title}: in a case that was open before\n{page}")
            self._board.note(Step(by.seen_ms, "finding_joined", case.title, case=case.id))
        tell = self._mark if self._is_ours(case) else self._say
        if self._new(case.id):
            tell("case", "bold magenta", f"{case.title}\n{page}")
            self._board.note(Step(case.opened_ms, "case", case.title, case=case.id))
        self._tell_cause(case, tell)
        for entry in case.timeline:
            self._tell_deed(case, entry)
        if case.resolved_ms and self._new(f"{case.id} {case.resolved_ms}"):
            tell("resolved", "green", f"The case is over: {case.title}\nIts post-mortem: {page}/post-mortem")
            self._board.note(Step(case.resolved_ms, "resolved", case.title, case=case.id))

    def _is_ours(self, case: Case) -> bool:
        """Whether it is about the fault: opened since, or open before and then joined by what the fault brought."""
        since_ms = self._injection.start_ms if self._injection else self._begun_ms
        return case.opened_ms >= since_ms or f"{case.id} joined" in self._told

    def _blame(self, cases: Sequence[Case]) -> Cause | None:
        """Whom the fault's case blames; one that was opened for it goes before one that was open."""
        if not self._injection:
            return None
        start_ms = self._injection.start_ms
        ours = sorted((case for case in cases if self._is_ours(case)), key=lambda case: case.opened_ms < start_ms)
        return next((cause for case in ours if (cause := top_cause(case))), None)

    def _tell_finding(self, finding: Finding) -> None:
        """The first few in full; the rest of them are in the case, and only counted here."""
        self._finding_count += not finding.cleared
        if self._finding_count <= FINDINGS_TOLD:
            word = "over" if finding.cleared else "finding"
            self._mark(word, "green" if finding.cleared else "cyan", finding.title)
            what = "cleared" if finding.cleared else "finding"
            self._board.note(Step(finding.seen_ms, what, finding.title, finding=finding.id))
        elif self._finding_count == FINDINGS_TOLD + 1 and not finding.cleared:
            self._say("finding", "cyan", "… and more of them; all are in the console.")

    def _tell_cause(self, case: Case, tell: Callable[[str, str, str], None]) -> None:
        """Whom Cerebro blames, when it first says so and whenever it thinks again."""
        first = top_cause(case)
        if first and self._new(f"{case.id} blames {first.entity.text}"):
            words = f" {first.explanation}" if first.explanation else ""
            tell("cause", "bold blue", f"{first.entity.text} ({first.kind}, {first.share:.0%}).{words}")
            text = f"{first.entity.text}, {first.share:.0%}.{words}"
            self._board.note(Step(self._stage.now_ms(), "cause", text, case=case.id))

    def _tell_deed(self, case: Case, entry: Entry) -> None:
        """What was done about it, line by line as the case's own timeline has it."""
        told = next((told for prefix, told in DEEDS if entry.kind.startswith(prefix)), None)
        if entry.kind == "action_approved" and entry.actor != CEREBRO and self._injection:
            self._marks.setdefault("approved", self._age_s())
        if told and self._new(f"{case.id} {entry.at_ms} {entry.kind} {entry.reference}"):
            self._mark(*told, entry.text)
            self._board.note(Step(entry.at_ms, entry.kind, entry.text, case=case.id))

    def _new(self, key: str) -> bool:
        """Whether it was not told before; from now on it was."""
        fresh = key not in self._told
        self._told.add(key)
        return fresh

    def _mark(self, what: str, style: str, text: str) -> None:
        if self._injection and what != "over":
            self._marks.setdefault(what, self._age_s())
        self._say(what, style, text)

    def _say(self, what: str, style: str, text: str) -> None:
        at = f"{self._age_s():+5.0f} s" if self._injection else "       "
        row = Table.grid(padding=(0, 1))
        row.add_column(width=7, justify="right", style="dim")
        row.add_column(width=8, style=style)
        row.add_column(style="" if what else style)
        row.add_row(at.strip(), what, Text("\n".join(clean(line) for line in text.split("\n"))))
        self._console.print(row)

    def _age_s(self) -> float:
        return (self._stage.now_ms() - self._injection.start_ms) / 1000 if self._injection else 0.0

    def _phase(self) -> str:
        return f"{self._injection.fault.kind} at {self._injection.target.text}" if self._injection else "quiet"
