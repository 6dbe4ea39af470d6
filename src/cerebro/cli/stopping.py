"""Ctrl-C and other ways to be told to end: what was begun is ended in order, once."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def orderly() -> Iterator[None]:
    """Told to end in any way, this task is cancelled, once: what it started is ended in order."""
    loop, me, asked = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert me is not None

    def ask() -> None:
        if not asked.is_set():
            asked.set()
            me.cancel()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, ask)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
