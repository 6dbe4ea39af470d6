"""Drills on simulated estates, several at a time: each in a process of its own, so that every core is used."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cerebro.kernel.children import die_with_parent
from cerebro.kernel.settings import Settings
from cerebro.proving.drill import Plan, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS_MAX = 64
FEW = 6  # drills for which a second process costs more than it saves


def job_count(wanted: int, plan_count: int) -> int:
    """How many processes: as wanted, else as many as there are cores to run on; one for a few drills."""
    return max(1, min(wanted or len(os.sched_getaffinity(0)), plan_count // FEW or 1, JOBS_MAX))


async def play_all(plans: Sequence[Plan], settings: Settings, jobs: int) -> AsyncIterator[tuple[Plan, list[Run]]]:
    """Every plan with its runs, in the order they are done; the runs of a plan do not depend on it."""
    if jobs == 1:
        for plan in plans:
            yield plan, await play(plan, settings)
        return
    waiting, loop = iter(plans), asyncio.get_running_loop()
    with _pool(jobs) as pool:
        underway: dict[asyncio.Future[list[Run]], Plan] = {}
        while True:
            while len(underway) < 2 * jobs and (following := next(waiting, None)):  # so that nobody waits for work
                underway[loop.run_in_executor(pool, play_here, following, settings)] = following
            if not underway:
                return
            done, _ = await asyncio.wait(underway, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                yield underway.pop(future), future.result()


async def play(plan: Plan, settings: Settings) -> list[Run]:
    """One drill on an estate of its own."""
    from cerebro.app.inside import simulated_stage
    from cerebro.proving.drill import run_plan

    return await run_plan(await simulated_stage(plan, settings), plan, "simulated")


def play_here(plan: Plan, settings: Settings) -> list[Run]:
    """The same in a process of the pool."""
    return asyncio.run(play(plan, settings))


@contextmanager
def _pool(jobs: int) -> "Iterator[ProcessPoolExecutor]":
    """Processes that end with us: left in the middle, they are not waited for."""
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (os.getpid(),))
    whole = False
    try:
        yield pool
        whole = True
    finally:
        workers = () if whole else tuple((pool._processes or {}).values())
        pool.shutdown(wait=whole, cancel_futures=True)
        for worker in workers:
            worker.terminate()


def _begin(parent: int) -> None:
    """A worker leaves Ctrl-C to its parent, and dies with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if ask := die_with_parent(signal.SIGKILL, parent):
        ask()
