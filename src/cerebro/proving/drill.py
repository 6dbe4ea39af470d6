"""One drill: a quiet stretch, a fault, its end, and what came of it, told by whoever watched."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from cerebro.proving.count import CALM_LOOKS, counted, is_felt, is_mended, quiet_cases, usual_of
from cerebro.proving.model import CONTROL, Declared, Fault, Injection, Look, Observation
from cerebro.proving.record import Record, Watched, recorded
from cerebro.proving.watch import Note, Seen, Stage, Watcher
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey

QUIET = "quiet"  # the kind of a run without any fault or control
NO_FAULT = Fault(QUIET, "Nothing at all", CONTROL, "nothing")
NOBODY = EntityKey("", "")
TITLE_CHARS_MAX = 160
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
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is kept: what one watcher made of it.

    Args:
        ground: `real` or `simulated`.
        watcher: Whose observation this is.
        observation: What it comes to, as it was counted last.
        quiet_case_count: Cases opened before the fault: false ones, every one.
        quiet_s: For how long nothing was wrong and it was watched.
        record: What the observation is counted from; none of runs from before it was kept.
    """

    ground: str
    watcher: str
    plan: Plan
    observation: Observation
    quiet_case_count: int = 0
    quiet_s: float = 0.0
    notes: tuple[Note, ...] = ()
    record: Record | None = None


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
    then: Sequence[Seen] = ()
    try:
        during = await _watch(stage, plan.fault_s, "fault", tell, mended if brisk else _never)
        then = [await each.seen(began_ms) for each in stage.watchers]
    finally:
        injection = await stage.ground.end(injection)
    after = await _watch(stage, plan.after_s, "after", tell, recovered if brisk else _never)
    watched = Watched(usual, during, after)
    return [
        _run(Run(ground, each.name, plan, Observation(injection)), watched, await each.seen(began_ms), early, began_ms)
        for each, early in zip(stage.watchers, then, strict=True)
    ]


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


async def _quiet_run(stage: Stage, watcher: Watcher, plan: Plan, ground: str, began_ms: int) -> Run:
    seen = await watcher.seen(began_ms)
    now_ms = stage.now_ms()
    nothing = Injection("", NO_FAULT, NOBODY, began_ms, now_ms, plan.seed)
    run = Run(ground, watcher.name, plan, Observation(nothing), 0, _s(now_ms - began_ms))
    notes = tuple(_case_note(case, began_ms) for case in seen.cases)[:NOTES_MAX]
    return recounted(replace(run, notes=notes, record=recorded(began_ms, Watched(), seen, seen)))


def _run(run: Run, watched: Watched, seen: Seen, then: Seen, began_ms: int) -> Run:
    """The run with what the watcher made of it."""
    injection = run.observation.injection
    kept = replace(
        run,
        quiet_s=_s(injection.start_ms - began_ms),
        record=recorded(injection.start_ms, watched, seen, then),
    )
    run = recounted(kept)
    return replace(run, notes=_notes(seen, injection, (run.observation.effect_ms, run.observation.recovery_ms)))


def recounted(run: Run) -> Run:
    """The run as the present rules count it; one from before its record was kept stays as it was counted then."""
    if run.record is None:
        return run
    observation = counted(run.record, run.observation.injection)
    is_quiet = run.plan.kind == QUIET
    cases = observation.case_count if is_quiet else quiet_cases(run.record)
    return replace(run, observation=observation, quiet_case_count=cases)


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
