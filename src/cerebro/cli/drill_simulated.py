"""Drills on simulated estates, several at a time, each core with a process of its own.

Plans that share an estate share its quiet stretch, too: a process plays it once, and then makes a copy of itself for
each plan. A copy shares all memory that it does not change, so it costs milliseconds, and it cannot change what the
next plan finds.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import msgspec

from cerebro.kernel.children import die_with_parent
from cerebro.kernel.settings import Settings
from cerebro.proving.drill import Plan, Run
from cerebro.spine.errors import CerebroError, Invalid, Unavailable

JOBS_MAX = 64
FEW = 6  # drills for which a second process costs more than it saves
READ_BYTES = 1 << 20

Told = tuple[Plan, list[Run]]


class Answer(msgspec.Struct, frozen=True):
    """What came of a plan: its runs, or why there are none."""

    runs: list[Run] = []
    refused: str = ""
    mend: str = ""


def job_count(wanted: int, plan_count: int) -> int:
    """How many processes: as wanted, else as many as there are cores to run on; one for a few drills."""
    return max(1, min(wanted or len(os.sched_getaffinity(0)), plan_count // FEW or 1, JOBS_MAX))


async def play_all(plans: Sequence[Plan], settings: Settings, jobs: int) -> AsyncIterator[Told]:
    """Every plan with its runs, in the order they are done; the runs of a plan do not depend on it."""
    if jobs == 1 and not any(plan.topology for plan in plans):
        for plan in plans:
            yield plan, await play(plan, settings)
        return
    async for told in _spread(together(plans, jobs), settings, jobs):
        yield told


def together(plans: Sequence[Plan], jobs: int) -> list[list[Plan]]:
    """The plans by the estates that they share, in parts enough for every process; the others one by one."""
    estates: dict[object, list[Plan]] = {}
    for number, plan in enumerate(plans):
        key = (plan.topology, plan.services, plan.quiet_s) if plan.topology else -1 - number
        estates.setdefault(key, []).append(plan)
    parts = -(-jobs // max(1, len(estates)))
    return [list(some) for each in estates.values() for some in _cut(each, parts)]


def _cut(plans: Sequence[Plan], parts: int) -> Iterator[Sequence[Plan]]:
    length = -(-len(plans) // parts)
    for _, some in groupby(enumerate(plans), lambda pair: pair[0] // length):
        yield [plan for _, plan in some]


async def play(plan: Plan, settings: Settings) -> list[Run]:
    """One drill on an estate of its own."""
    from cerebro.app.inside import simulated_stage
    from cerebro.proving.drill import run_plan

    return await run_plan(await simulated_stage(plan, settings), plan, "simulated")


def play_shared(plans: Sequence[Plan], settings: Settings) -> Iterator[Answer]:
    """Several drills on one estate, each as if it had been alone there. To be run in a process without a loop."""
    from cerebro.app.inside import simulated_stage
    from cerebro.proving.drill import after_prelude, prelude

    stage = asyncio.run(simulated_stage(plans[0], settings))
    before = asyncio.run(prelude(stage, plans[0]))
    gc.collect()
    gc.freeze()  # so that a copy's collector leaves the memory alone that both of us read
    try:
        for plan in plans:
            yield in_copy(lambda plan=plan: asyncio.run(after_prelude(stage.knowing(plan), plan, "simulated", before)))  # type: ignore[misc]
    finally:
        gc.unfreeze()


def in_copy(work: Callable[[], list[Run]]) -> Answer:
    """Do the work in a copy of this process, and give its answer.

    Raises:
        Unavailable: The copy died.
    """
    source, sink = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _answer(work, parent, sink)
    os.close(sink)
    with os.fdopen(source, "rb") as pipe:
        body = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise Unavailable(
            f"A drill's process ended with {os.waitstatus_to_exitcode(status)}.",
            "Go on with --resume and fewer --jobs.",
        )
    return msgspec.msgpack.decode(body, type=Answer)


def _answer(work: Callable[[], list[Run]], parent: int, sink: int) -> None:
    """What the copy does; it does not return."""
    code = 1
    try:
        _begin(parent)
        with os.fdopen(sink, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(_asked(work)))
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _asked(work: Callable[[], list[Run]]) -> Answer:
    try:
        return Answer(work())
    except CerebroError as error:
        return Answer(refused=error.detail, mend=error.mend)


def _runs_of(answer: Answer) -> list[Run]:
    if answer.refused:
        raise Invalid(answer.refused, answer.mend)
    return answer.runs


async def _spread(groups: Sequence[Sequence[Plan]], settings: Settings, jobs: int) -> AsyncIterator[Told]:
    """Give each process a group whenever it has none, and tell what comes."""
    waiting, told = iter(groups), asyncio.Queue[Told | BaseException | None]()
    with ThreadPoolExecutor(jobs) as threads, _workers(jobs, settings) as lines:
        feeding = [asyncio.create_task(_feed(line, waiting, told, threads)) for line in lines]
        for _ in feeding:
            while (each := await told.get()) is not None:
                if isinstance(each, BaseException):
                    raise each
                yield each
        await asyncio.gather(*feeding)


async def _feed(
    line: Connection,
    waiting: Iterator[Sequence[Plan]],
    told: asyncio.Queue[Told | BaseException | None],
    threads: ThreadPoolExecutor,
) -> None:
    """Groups for one process, until there are no more."""
    loop = asyncio.get_running_loop()
    try:
        for group in waiting:
            line.send(list(group))
            for plan in group:
                body = await loop.run_in_executor(threads, line.recv_bytes)
                told.put_nowait((plan, _runs_of(msgspec.msgpack.decode(body, type=Answer))))
    except (EOFError, OSError) as error:
        gone = Unavailable("A process of the drills has died.", "Go on with --resume and fewer --jobs.")
        gone.__cause__ = error
        told.put_nowait(gone)
    except CerebroError as error:
        told.put_nowait(error)
    else:
        told.put_nowait(None)


def _work(line: Connection, settings: Settings, parent: int) -> None:
    """The life of a process: a group of plans after another, until nobody asks."""
    _begin(parent)
    while True:
        try:
            plans = line.recv()
        except EOFError:
            return
        for answer in _answers(plans, settings):
            line.send_bytes(msgspec.msgpack.encode(answer))


def _answers(plans: Sequence[Plan], settings: Settings) -> Iterator[Answer]:
    if len(plans) > 1:
        return play_shared(plans, settings)
    return iter([_asked(lambda: asyncio.run(play(plans[0], settings)))])


@contextmanager
def _workers(jobs: int, settings: Settings) -> Iterator[list[Connection]]:
    """Processes that end with us: left in the middle, they are not waited for."""
    context = multiprocessing.get_context("spawn")
    lines: list[Connection] = []
    workers: list[SpawnProcess] = []
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(theirs, settings, os.getpid()), daemon=True)
            worker.start()
            theirs.close()
            lines.append(ours)
            workers.append(worker)
        yield lines
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        for line in lines:
            line.close()


def _begin(parent: int) -> None:
    """A worker leaves Ctrl-C to its parent, and dies with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if ask := die_with_parent(signal.SIGKILL, parent):
        ask()
