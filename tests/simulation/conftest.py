"""One thread for everything, and a clock that moves only when nobody has a turn left: so a seed decides the order."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import structlog

TURNS_MAX = 60


class InLine(ThreadPoolExecutor):
    """An executor that waits for nobody: the result is there when `submit` returns."""

    def submit(self, fn: Callable, /, *args: object, **kwargs: object) -> Future:
        done: Future = Future()
        done.set_result(fn(*args, **kwargs))
        return done


async def settled() -> None:
    """Return when every other task waits for something; one that never does gets its turns, and no more."""
    ready = vars(asyncio.get_running_loop())["_ready"]
    for _ in range(TURNS_MAX):
        await asyncio.sleep(0)
        if not ready:
            return


@pytest.fixture(autouse=True)
async def one_thread(monkeypatch):
    asyncio.get_running_loop().set_default_executor(InLine(1))
    monkeypatch.setattr("cerebro.kernel.clock._settle", settled)


@pytest.fixture(autouse=True)
def few_words():
    """Foul weather is meant: only errors are worth a line."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)
