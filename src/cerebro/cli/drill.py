"""`cerebro drill`: break something on purpose and see what Cerebro makes of it; or score it over a whole suite."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cerebro.cli.out import as_json, complain, failures, say, table
from cerebro.kernel.settings import Settings, load_settings
from cerebro.proving import ledger, report
from cerebro.proving.drill import QUIET, Plan, Run
from cerebro.proving.model import CONTROL
from cerebro.proving.score import Scores, by_watcher, score
from cerebro.proving.suites.read import Suite, read_suite
from cerebro.spine.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from cerebro.cli.drill_live import RealStage

AGAIN_S = 16.0  # between two drills on a shop that is known by then

drill = typer.Typer(help="Break something on purpose, and watch; or score Cerebro over a suite of faults.")


@drill.callback(invoke_without_command=True)
def begin(
    context: typer.Context,
    kind: Annotated[str, typer.Option("--kind", help="Which fault; you are asked when you leave it out.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of what is drawn.")] = 0,
) -> None:
    """Without a command: start a small real shop, break it, and watch what Cerebro makes of it."""
    if context.invoked_subcommand:
        return
    from cerebro.cli import drill_live

    with failures():
        raise SystemExit(asyncio.run(drill_live.play(load_settings(), kind, seed)))


@drill.command("kinds")
def kinds() -> None:
    """Every fault and every control, and what honestly helps."""
    from cerebro.proving.faults import ALL

    rows = [[f.kind, f.cause_kind, f.title, ", ".join(f.remedies)] for f in ALL.values()]
    table(["kind", "cause", "what", "remedies"], rows, "")


@drill.command("run")
def run(  # noqa: PLR0917  typer names them
    suite: Annotated[str, typer.Option("--suite", help="short, full, wide, unseen, quiet, or a file.toml.")] = "short",
    seeds: Annotated[
        int, typer.Option("--seeds", help="Times each kind is played; the suite's own when left out.")
    ] = 0,
    real: Annotated[
        bool, typer.Option("--real/--simulated", help="On the real shop, or on simulated estates.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run of this suite was stopped.")] = False,
    topologies: Annotated[
        int,
        typer.Option(
            "--topologies", min=0, max=10_000, help="Spread simulated drills over so many estates; the suite's own."
        ),
    ] = 0,
    jobs: Annotated[
        int, typer.Option("--jobs", min=0, max=64, help="Processes for simulated drills; every core when left out.")
    ] = 0,
    write: Annotated[bool, typer.Option("--write", help=f"Renew the scores of this ground in {report.PAGE}.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with each run's timeline.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File of the runs, a JSON line each.")] = None,
) -> None:
    """Play every drill of a suite and score it, with plain alert rules beside it on the same runs."""
    with failures():
        if not 0 <= seeds <= 100_000:
            raise Invalid(f"--seeds {seeds} does not fit.", "Write a number from 1 to 100000.")
        settings, chosen, ground = load_settings(), read_suite(suite), "real" if real else "simulated"
        path = out or _home(settings) / f"{chosen.name}-{ground}.jsonl"
        began_s = time.monotonic()
        plans = list(chosen.plans(ground, seeds, topologies))
        runs = asyncio.run(_play(settings, chosen, ground, plans, path, resume=resume, quiet=json, jobs=jobs))
        took_s = time.monotonic() - began_s
        scores = [score(each) for each in by_watcher(runs).values()]
        words = f"cerebro drill run --suite {suite}" + (f" --seeds {seeds}" if seeds else "")
        words += (f" --topologies {topologies}" if topologies else "") + f" --{ground}"
        if html:
            _put(html, report.page(scores, runs, words))
        if write:
            report.renew(f"scores {ground}", report.chapter(scores, words, chosen.title))
        _tell(chosen.name, scores, path, html, as_object=json, took_s=took_s)


@drill.command("score")
def score_kept(
    files: Annotated[list[Path], typer.Argument(help="Files of runs, as `cerebro drill run --out` writes them.")],
    title: Annotated[str, typer.Option("--title", help="What was played, for the page.")] = "Runs that were kept",
    write: Annotated[bool, typer.Option("--write", help=f"Renew the scores of their ground in {report.PAGE}.")] = False,
    publish: Annotated[
        Path | None,
        typer.Option("--publish", help="Keep them in one file without their timelines; .gz packs it."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Count again what was played before, here or elsewhere: runs of several files in one table."""
    with failures():
        runs = ledger.load_each(files)
        if not runs:
            raise Invalid("There is no run in these files.", "Play some: cerebro drill run --out FILE.")
        scores = [score(each) for each in by_watcher(runs).values()]
        words = f"cerebro drill score {' '.join(map(str, files))}"
        if publish:
            ledger.publish(publish, runs)
        if write:
            report.renew(f"scores {runs[0].ground}", report.chapter(scores, words, title))
        _tell(title, scores, publish or files[0], None, as_object=json)


def _put(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}.", "Name a file that you may write.") from error


async def _play(
    settings: Settings,
    suite: Suite,
    ground: str,
    plans: Sequence[Plan],
    path: Path,
    *,
    resume: bool,
    quiet: bool,
    jobs: int,
) -> list[Run]:
    """Play what is missing; every run of the suite, those of before included, in the order of its plans."""
    if kept := ledger.prepare(path, resume=resume):
        complain(f"The runs of before are kept in {kept}; to go on with them: --resume --out {kept}")
    before = [run for run in ledger.load(path) if run.ground == ground]
    left = ledger.missing(plans, before, ground)
    if not quiet:
        again = f", {len(plans) - len(left)} of them done before" if len(left) < len(plans) else ""
        say(f"{suite.title}: {len(plans)} drills on the {ground} ground{again}.")
    if ground == "real":
        await _play_real(settings, left, path, quiet)
    else:
        await _play_simulated(settings, left, path, quiet, jobs)
    order = {ledger.key_of(plan): number for number, plan in enumerate(plans)}
    runs = [run for run in ledger.load(path) if run.ground == ground and ledger.key_of(run.plan) in order]
    return sorted(runs, key=lambda run: (order[ledger.key_of(run.plan)], run.watcher))


async def _play_simulated(settings: Settings, plans: Sequence[Plan], path: Path, quiet: bool, jobs: int) -> None:
    from cerebro.cli import drill_simulated

    teller = Teller(len(plans), path, quiet)
    async for _, runs in drill_simulated.play_all(plans, settings, drill_simulated.job_count(jobs, len(plans))):
        teller.done(runs)


async def _play_real(settings: Settings, plans: Sequence[Plan], path: Path, quiet: bool) -> None:
    from cerebro.cli.drill_live import real_stage
    from cerebro.cli.stopping import orderly

    if not plans:
        return
    try:
        with orderly():
            async with real_stage(settings, complain, max(plan.fault_s for plan in plans), eager=True) as stage:
                await _play_on(stage, plans, path, quiet)
    except asyncio.CancelledError:
        complain("Stopped; nothing is left behind. Go on with the same words and --resume.")
        raise SystemExit(130) from None


async def _play_on(stage: "RealStage", plans: Sequence[Plan], path: Path, quiet: bool) -> None:
    from cerebro.proving.drill import after_prelude, prelude

    known = {QUIET, *(fault.kind for fault in stage.ground.faults())}
    if unknown := sorted({plan.kind for plan in plans} - known):
        complain(f"Left out, for this ground cannot have them: {', '.join(unknown)}.")
    possible = [plan for plan in plans if plan.kind in known]
    teller = Teller(len(possible), path, quiet)
    for number, plan in enumerate(possible):
        acquainted = replace(plan, quiet_s=min(plan.quiet_s, AGAIN_S)) if number else plan
        before = await prelude(stage, acquainted)
        stage.get_used(before.looks)
        runs = await after_prelude(stage, acquainted, "real", before)
        teller.done(runs)
        # whatever was done about it, the next drill begins as the first one did, and people have said what it was
        real = runs[0].observation.injection.fault.cause_kind != CONTROL
        try:
            await stage.clear("useful" if real else "noise")
        except Unavailable as error:
            if number + 1 < len(possible):
                raise
            complain(error.detail)  # nothing is played on it any more


class Teller:
    """Keeps what is done, and says so with how long the rest will take."""

    def __init__(self, count: int, path: Path, quiet: bool) -> None:
        self._count, self._path, self._quiet = count, path, quiet
        self._done, self._began_s = 0, time.monotonic()

    def done(self, runs: Sequence[Run]) -> None:
        """One plan was played."""
        ledger.append(self._path, runs)
        self._done += 1
        if self._quiet:
            return
        each_s = (time.monotonic() - self._began_s) / self._done
        left = f"{(self._count - self._done) * each_s:.0f} s to go" if self._done < self._count else "done"
        say(f"{self._done:4}/{self._count}  {_line(runs)}  ({left})")


def _line(runs: Sequence[Run]) -> str:
    told = ", ".join(f"{run.watcher} {_verdict(run)}" for run in runs)
    target = runs[0].observation.injection.target.text
    return f"{runs[0].plan.kind:28} {target if target != '/' else '-':28} {told}"


def _verdict(run: Run) -> str:
    if run.observation.case_ms >= 0:
        return f"case after {run.observation.case_ms / 1000:.0f} s"
    return f"{run.quiet_case_count} false cases" if run.quiet_case_count else "no case"


def _tell(
    suite: str, scores: Sequence[Scores], path: Path, html: Path | None, *, as_object: bool, took_s: float | None = None
) -> None:
    if as_object:
        first, *others = [report.as_object(each) for each in scores]
        took = {} if took_s is None else {"took_s": round(took_s, 1)}
        as_json({"suite": suite, **first, **took, "beside": others})
        return
    table(*report.side_by_side(scores), empty="Nothing was broken: the runs were quiet.")
    for each in scores:
        say(report.summary(each))
    say(f"Runs: {path}" + (f"   Page: {html}" if html else ""))


def _home(settings: Settings) -> Path:
    """Beside the data of this installation."""
    return settings.data_dir / "drills"
