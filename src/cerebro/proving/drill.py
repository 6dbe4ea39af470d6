"""One drill: a quiet stretch, a fault, its end, and what came of it, told by whoever watched."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from cerebro.proving.faults import ON_ITSELF
from cerebro.proving.model import CONTROL, Declared, Fault, Health, Injection, Observation, Operation
from cerebro.proving.watch import Act, Note, Seen, Stage, Watcher
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey

ERROR_SHARE_MIN = 0.02  # users feel it from here on
SLOWER_MIN = 1.5  # times the p95 of the quiet stretch
SLOWER_MS_MIN = 20.0
CALM_LOOKS = 2  # healthy looks in a row that count as recovered
MENDED_LOOKS = 4  # healthy looks in a row, after something was done, that end a brisk drill's fault
QUIET = "quiet"  # the kind of a run without any fault or control
NO_FAULT = Fault(QUIET, "Nothing at all", CONTROL, "nothing")
NOBODY = EntityKey("", "")
TITLE_CHARS_MAX = 160
AT_ONCE_MS = 1_000  # between an act and the end that it has brought
NOTES_MAX = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of a suite.

    Args:
        kind: Of the fault; `quiet` for none.
        seed: Of everything that is drawn.
        quiet_s: Before the fault, for whoever watches to learn what is usual.
        fault_s: How long the fault lasts.
        after_s: How long is watched after it.
        services: Of a simulated ground.
        topology: Number of the simulated estate that it shares with other plans; 0 for one of its own.
        own: The fault, where a suite's file declares it.
    """

    kind: str
    seed: int
    quiet_s: float
    fault_s: float
    after_s: float
    services: int = 12
    topology: int = 0
    own: Declared | None = None


@dataclass(frozen=True, slots=True)
class Prelude:
    """The quiet stretch before a fault, when it is over.

    Args:
        began_ms: When it began, by the stage's hour.
        looks: What users felt in it.
    """

    began_ms: int
    looks: tuple["Look", ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is kept: what one watcher made of it.

    Args:
        ground: `real` or `simulated`.
        watcher: Whose observation this is.
        quiet_case_count: Cases opened before the fault: false ones, every one.
        quiet_s: For how long nothing was wrong and it was watched.
    """

    ground: str
    watcher: str
    plan: Plan
    observation: Observation
    quiet_case_count: int = 0
    quiet_s: float = 0.0
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What users felt over one step."""

    end_ms: int
    health: Health


Listener = Callable[[str, Sequence[Look]], None]  # phase, looks so far
Ends = Callable[[Sequence[Look]], Awaitable[bool]]  # whether nothing more is to be waited for


def _nobody(_phase: str, _looks: Sequence[Look]) -> None:
    """Nobody listens."""


async def _never(_looks: Sequence[Look]) -> bool:
    """The whole stretch is watched."""
    return False


async def run_plan(stage: Stage, plan: Plan, ground: str, tell: Listener = _nobody) -> list[Run]:
    """Play the plan once; a run for each watcher.

    Raises:
        Invalid: The ground does not know the kind.
    """
    return await after_prelude(stage, plan, ground, await prelude(stage, plan, tell), tell)


async def prelude(stage: Stage, plan: Plan, tell: Listener = _nobody) -> Prelude:
    """Play the quiet stretch that a plan begins with: the same for every plan on the same estate."""
    began_ms = stage.now_ms()
    return Prelude(began_ms, tuple(await _watch(stage, plan.quiet_s, "quiet", tell)))


async def after_prelude(stage: Stage, plan: Plan, ground: str, before: Prelude, tell: Listener = _nobody) -> list[Run]:
    """Play what comes after the quiet stretch; a run for each watcher.

    Raises:
        Invalid: The ground does not know the kind.
    """
    began_ms = before.began_ms
    if plan.kind == QUIET:
        await _watch(stage, plan.fault_s + plan.after_s, "quiet", tell)
        return [await _quiet_run(stage, watcher, plan, ground, began_ms) for watcher in stage.watchers]
    usual = usual_of(before.looks)
    await stage.begin_afresh()
    injection = await stage.ground.inject(plan.kind, seed=plan.seed)
    brisk = stage.brisk and injection.fault.cause_kind != CONTROL

    async def mended(looks: Sequence[Look]) -> bool:
        return is_mended(usual, looks) and await _has_acted(stage, injection.start_ms)

    async def recovered(looks: Sequence[Look]) -> bool:
        return len(looks) >= CALM_LOOKS and not any(is_felt(usual, look.health) for look in looks[-CALM_LOOKS:])

    during: list[Look] = []
    try:
        during = await _watch(stage, plan.fault_s, "fault", tell, mended if brisk else _never)
    finally:
        injection = await stage.ground.end(injection)
    after = await _watch(stage, plan.after_s, "after", tell, recovered if brisk else _never)
    felt = felt_by_users(usual, [*during, *after], injection.start_ms)
    runs = [
        (Run(ground, each.name, plan, Observation(injection)), await each.seen(began_ms)) for each in stage.watchers
    ]
    lasted = Lasted(during[-1].end_ms if during else injection.start_ms, well_by(usual, during))
    return [_scored(run, seen, injection, felt, began_ms, lasted) for run, seen in runs]


@dataclass(frozen=True, slots=True)
class Lasted:
    """What users felt while the drill had not ended the fault; what came after that is nobody's deed.

    Args:
        until_ms: When they were last looked at.
        well_ms: When they were first seen to be served as before, and then were until the last look; 0 for never.
    """

    until_ms: int = 0
    well_ms: int = 0


NEVER_WELL = Lasted()


def well_by(usual: Health, during: Sequence[Look]) -> int:
    """The end of the first of the calm looks that a stretch ends with; 0 where these are too few, or nothing hurt."""
    felt = [is_felt(usual, look.health) for look in during]
    calm = felt[::-1].index(True) if True in felt else 0
    return during[-calm].end_ms if calm >= CALM_LOOKS else 0


def is_mended(usual: Health, looks: Sequence[Look]) -> bool:
    """Whether users felt it, and for a while do so no more."""
    felt = [is_felt(usual, look.health) for look in looks]
    return any(felt) and not any(felt[-MENDED_LOOKS:])


async def _has_acted(stage: Stage, since_ms: int) -> bool:
    """Whether anyone who watches has done something since."""
    return any([(await watcher.seen(since_ms)).acts for watcher in stage.watchers])


async def _watch(stage: Stage, duration_s: float, phase: str, tell: Listener, over: Ends = _never) -> list[Look]:
    """Let time pass, look by look, until its end or until nothing more is to be waited for."""
    looks: list[Look] = []
    end_ms = stage.now_ms() + round(duration_s * 1000)
    while (left_ms := end_ms - stage.now_ms()) > 0:
        from_ms = stage.now_ms()
        await stage.pass_time(min(stage.step_s, left_ms / 1000))
        looks.append(Look(stage.now_ms(), await stage.ground.health(from_ms, stage.now_ms())))
        tell(phase, looks)
        if await over(looks):
            break
    return looks


def usual_of(looks: Sequence[Look]) -> Health:
    """What users are used to: the middle of the later half of the looks, when it has warmed up."""
    later = [look.health for look in looks[len(looks) // 2 :]] or [Health(0, 0, 0, 0.0, 0.0, 0.0)]

    def middle(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    return replace(
        later[-1],
        request_count=round(middle([each.request_count for each in later])),
        error_share=middle([each.error_share for each in later]),
        p50_ms=middle([each.p50_ms for each in later]),
        p95_ms=middle([each.p95_ms for each in later]),
    )


def is_felt(usual: Health, now: Health) -> bool:
    """Whether users notice: more errors than a few, or a p95 well above what they are used to."""
    if now.request_count == 0:
        return usual.request_count > 0
    slow_ms = max(usual.p95_ms * SLOWER_MIN, usual.p95_ms + SLOWER_MS_MIN)
    return now.error_share >= max(ERROR_SHARE_MIN, 3 * usual.error_share) or now.p95_ms >= slow_ms


def felt_by_users(usual: Health, looks: Sequence[Look], start_ms: int) -> tuple[int, int]:
    """When users first felt it and when they were served as before for good, ms after the start; -1 for never."""
    felt = [is_felt(usual, look.health) for look in looks]
    if True not in felt:
        return -1, -1
    first, last = felt.index(True), len(felt) - 1 - felt[::-1].index(True)
    recovered = len(felt) - 1 - last >= CALM_LOOKS
    return looks[first].end_ms - start_ms, looks[last].end_ms - start_ms if recovered else -1


async def _quiet_run(stage: Stage, watcher: Watcher, plan: Plan, ground: str, began_ms: int) -> Run:
    seen = await watcher.seen(began_ms)
    nothing = Injection("", NO_FAULT, NOBODY, began_ms, stage.now_ms(), plan.seed)
    observation = Observation(nothing, action_count=len(seen.acts), harmful_count=len(seen.acts))
    notes = tuple(_case_note(case, began_ms) for case in seen.cases)[:NOTES_MAX]
    return Run(ground, watcher.name, plan, observation, len(seen.cases), _s(stage.now_ms() - began_ms), notes)


def _scored(  # noqa: PLR0917
    run: Run, seen: Seen, injection: Injection, felt: tuple[int, int], began_ms: int, lasted: Lasted
) -> Run:
    """The run with what the watcher made of it."""
    before = [case for case in seen.cases if case.opened_ms < injection.start_ms]
    return replace(
        run,
        observation=observed(seen, injection, felt, lasted),
        quiet_case_count=len(before),
        quiet_s=_s(injection.start_ms - began_ms),
        notes=_notes(seen, injection, felt),
    )


def observed(seen: Seen, injection: Injection, felt: tuple[int, int], lasted: Lasted = NEVER_WELL) -> Observation:
    """What the watcher made of the fault. Cases that were open before it do not count for it; acts before it are harm.

    Args:
        felt: When users felt it, and were served as before for good, whatever ended it.
        lasted: What they felt while it lasted.
    """
    start_ms = injection.start_ms
    findings = [f for f in seen.findings if f.seen_ms >= start_ms and not f.cleared]
    cases = [case for case in seen.cases if case.opened_ms >= start_ms]
    acts = [act for act in seen.acts if act.at_ms >= start_ms]
    needless = len(seen.acts) - len(acts)
    effect_ms, recovery_ms = felt
    rank, cause_ms = _cause(cases, injection)
    helped = any(act.at_ms < lasted.well_ms for act in acts)
    return Observation(
        injection,
        finding_ms=min((f.seen_ms - start_ms for f in findings), default=-1),
        case_ms=min((case.opened_ms - start_ms for case in cases), default=-1),
        cause_ms=cause_ms,
        recovery_ms=recovery_ms,
        cause_rank=rank,
        resolved_unaided=helped or (effect_ms < 0 and _is_prevented(acts, injection, lasted.until_ms)),
        action_count=len(seen.acts),
        harmful_count=needless + sum(not _helps(act.operation, injection) for act in acts),
        case_count=len(cases),
        effect_ms=effect_ms,
    )


def _is_prevented(acts: Sequence[Act], injection: Injection, until_ms: int) -> bool:
    """Whether an act has ended the fault, by the ground's own record, before the drill would have."""
    early = injection.start_ms < injection.end_ms < until_ms
    did_it = (act for act in acts if abs(act.at_ms - injection.end_ms) <= AT_ONCE_MS)
    return early and any(_helps(act.operation, injection) for act in did_it)


def _cause(cases: Sequence[Case], injection: Injection) -> tuple[int, int]:
    """The best rank of the true cause in any case, and when it was named; 0 and -1 when it was not."""
    named = [
        (cause.rank, max((entry.at_ms for entry in case.timeline if entry.kind.startswith("cause")), default=-1))
        for case in cases
        for cause in case.causes
        if cause.entity == injection.target
    ]
    if not named:
        return 0, -1
    rank, at_ms = min(named)
    return rank, at_ms - injection.start_ms if at_ms >= 0 else -1


def _helps(operation: Operation, injection: Injection) -> bool:
    """Whether an operation is among those that honestly help, and done where it can; against a control nothing does."""
    remedies = {remedy.partition(":")[0] for remedy in injection.fault.remedies}
    there = operation.target == injection.target or operation.name not in ON_ITSELF
    return injection.fault.cause_kind != CONTROL and operation.name in remedies and there


def _notes(seen: Seen, injection: Injection, felt: tuple[int, int]) -> tuple[Note, ...]:
    """The run in lines, in the order of time."""
    start_ms, fault = injection.start_ms, injection.fault
    notes = [Note(0, "fault", f"{fault.title} ({fault.kind}) at {injection.target.text}")]
    notes.append(Note(injection.end_ms - start_ms, "end", "The fault ends."))
    if felt[0] >= 0:
        notes.append(Note(felt[0], "effect", f"Users feel it: {fault.symptom}."))
    if felt[1] >= 0:
        notes.append(Note(felt[1], "recovery", "Users are served as before."))
    for finding in seen.findings:
        what = "cleared" if finding.cleared else "finding"
        notes.append(Note(finding.seen_ms - start_ms, what, finding.title[:TITLE_CHARS_MAX], finding.id))
    notes += [_case_note(case, start_ms) for case in seen.cases]
    for case in seen.cases:
        if case.resolved_ms:
            notes.append(Note(case.resolved_ms - start_ms, "resolved", case.title[:TITLE_CHARS_MAX], case.id))
    notes += [
        Note(act.at_ms - start_ms, "act", f"{act.operation.name} {act.operation.target.text}") for act in seen.acts
    ]
    return tuple(sorted(notes, key=lambda note: note.at_ms)[:NOTES_MAX])


def _case_note(case: Case, start_ms: int) -> Note:
    return Note(case.opened_ms - start_ms, "case", case.title[:TITLE_CHARS_MAX], case.id)


def _s(duration_ms: int) -> float:
    return duration_ms / 1000
