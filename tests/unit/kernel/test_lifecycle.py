import asyncio

import pytest

from cerebro.kernel.clock import SystemClock
from cerebro.kernel.lifecycle import run_process, run_tasks
from cerebro.spine.errors import Invalid, Unavailable


class Scripted:
    """A task that fails as it is told, then works until stopped."""

    def __init__(self, *failures, name="scripted"):
        self.name, self.failures, self.runs, self.finished = name, list(failures), 0, False

    async def run(self, stop):
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        await stop.wait()
        self.finished = True


class Stubborn:
    name = "stubborn"

    async def run(self, stop):
        await asyncio.Event().wait()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for is not ours to signal
            await asyncio.sleep(0.01)


async def test_a_passing_failure_starts_the_task_again_alone():
    """The others do not notice."""
    failing, steady, stop = Scripted(Unavailable("x"), Unavailable("y")), Scripted(), asyncio.Event()
    running = asyncio.create_task(run_tasks([failing, steady], stop, SystemClock()))
    await until(lambda: failing.runs == 3)
    assert steady.runs == 1
    stop.set()
    await running
    assert failing.finished
    assert steady.finished


@pytest.mark.parametrize("error", [Invalid("settings"), AssertionError("bug"), ZeroDivisionError()])
async def test_any_other_failure_ends_them_all_in_good_order(error):
    """The rest may finish what it has begun; then the failure is raised."""
    steady, stop = Scripted(), asyncio.Event()
    with pytest.raises(type(error)):
        await run_tasks([Scripted(error), steady], stop, SystemClock())
    assert steady.finished


async def test_who_does_not_stop_is_cancelled():
    """The wait after `stop` is bounded."""
    stop, clock = asyncio.Event(), SystemClock()
    running = asyncio.create_task(run_tasks([Stubborn()], stop, clock, patience_s=0.1))
    await asyncio.sleep(0.05)
    began_s = clock.monotonic_s()
    stop.set()
    await running
    assert clock.monotonic_s() - began_s < 1.5


async def test_a_pause_ends_when_stopped():
    """A task that waits to be started again does not hold the end up."""
    stop, failing = asyncio.Event(), Scripted(*(Unavailable("x") for _ in range(9)))
    running = asyncio.create_task(run_tasks([failing], stop, SystemClock()))
    await until(lambda: failing.runs == 3)
    stop.set()
    async with asyncio.timeout(1):
        await running


async def test_it_says_when_all_run():
    """For the supervisor that waits for it."""
    said, stop = [], asyncio.Event()
    running = asyncio.create_task(run_tasks([Scripted()], stop, SystemClock(), started=lambda: said.append(1)))
    await until(lambda: said)
    stop.set()
    await running


@pytest.mark.parametrize(("error", "code"), [(None, 0), (Unavailable("x"), 1), (AssertionError(), 70)])
def test_the_exit_code_says_how_it_ended(error, code):
    """0 in order, 1 a failure with a name, 70 a bug."""

    async def main(stop):
        if error:
            raise error

    assert run_process(main) == code
