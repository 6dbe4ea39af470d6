"""How a process of ours lives: its tasks run together, fall and rise alone, and end in good order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError

if TYPE_CHECKING:
    from cerebro.kernel.kit import Task  # it imports Arrow, which the supervisor does without

PAUSE_FIRST_S, PAUSE_MAX_S = 0.2, 15.0
STABLE_S = 30.0  # a task that ran this long without failing begins its pauses afresh
PATIENCE_S = 8.0  # below the supervisor's, so that we end by ourselves
CANCEL_S = 1.0

T = TypeVar("T")
log = get_log(__name__)


async def run_tasks(
    tasks: Sequence["Task"],
    stop: asyncio.Event,
    clock: Clock,
    *,
    started: Callable[[], None] = lambda: None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Run the tasks together until `stop`, each started again with growing pauses when it fails for a passing reason.

    Args:
        tasks: Of one process; a task that returns before `stop` has done its work.
        stop: Set by a signal or by whoever wants the end.
        clock: For the pauses.
        started: Called once when all of them run.
        patience_s: How long they may take to finish after `stop`; then they are cancelled.

    Raises:
        CerebroError: One that does not pass, from any task; the others have been stopped.
        Exception: A bug in a task, the same way.
    """
    running = {asyncio.create_task(_keep_running(task, stop, clock), name=task.name) for task in tasks}
    stopping = asyncio.create_task(stop.wait())
    await asyncio.sleep(0)
    started()
    pending = set(running)
    while pending and not stop.is_set() and not _failed(running):
        await asyncio.wait(pending | {stopping}, return_when=asyncio.FIRST_COMPLETED)
        pending = {each for each in running if not each.done()}
    stop.set()
    await stopping
    await _finish(pending, patience_s)
    for failed in _failed(running):
        log.error("task_failed", task=failed.get_name(), error=str(failed.exception()))
    if failures := _failed(running):
        raise failures[0].exception() or AssertionError("a failed task has an exception")


async def _keep_running(task: "Task", stop: asyncio.Event, clock: Clock) -> None:
    failures = 0
    while not stop.is_set():
        began_s = clock.monotonic_s()
        try:
            await task.run(stop)
        except CerebroError as error:
            if not error.retry:
                raise
            failures = 1 if clock.monotonic_s() - began_s > STABLE_S else failures + 1
            pause_s = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** (failures - 1)) * clock.chance.uniform(0.5, 1.0)
            log.warning("task_paused", task=task.name, error=str(error), code=error.code, pause_s=round(pause_s, 2))
            await _sleep_unless(stop, clock, pause_s)
        else:
            return


async def _sleep_unless(stop: asyncio.Event, clock: Clock, pause_s: float) -> None:
    waits = {asyncio.ensure_future(clock.sleep(pause_s)), asyncio.ensure_future(stop.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


async def _finish(pending: set[asyncio.Task[None]], patience_s: float) -> None:
    """Wait for the rest, then cancel it, then leave it."""
    if not pending:
        return
    _, late = await asyncio.wait(pending, timeout=patience_s)
    for each in late:
        log.warning("task_cancelled", task=each.get_name(), patience_s=patience_s)
        each.cancel()
    if late:
        await asyncio.wait(late, timeout=CANCEL_S)


def _failed(running: set[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    return [each for each in running if each.done() and not each.cancelled() and each.exception()]


async def survived(work: Awaitable[T], event: str, **about: str) -> T | None:
    """The answer of work on one thing of many; None where a bug ended it, which must not keep the others from theirs.

    The bug is in the log, with its traceback.

    Raises:
        CerebroError: As the work does; that is no bug.
    """
    try:
        return await work
    except CerebroError:
        raise
    except Exception:
        log.exception(event, **about)
        return None


def run_process(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main` until SIGTERM or SIGINT sets its event; the exit code of the process.

    0 after an orderly end, 1 after a `CerebroError`, 70 (EX_SOFTWARE, sysexits.h) after a bug: the
    supervisor starts us again in each case, and the log says why it had to.
    """
    try:
        asyncio.run(_until_signal(main))
    except CerebroError as error:
        log.error("process_ended", code=error.code, error=str(error))  # noqa: TRY400  a sentence, not a traceback
        return 1
    except Exception:
        log.exception("process_crashed")
        return 70
    return 0


async def _until_signal(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await main(stop)
