"""A drill that is told to stop: what it began is ended in order, once."""

import asyncio
import os
import signal

import pytest

from cerebro.cli.stopping import orderly

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_ends_what_was_begun(number):
    """The block is left through its own end, and a second signal does not cut that short."""
    ended = []

    async def drill() -> None:
        with orderly():
            try:
                os.kill(os.getpid(), number)
                await asyncio.sleep(30)
            finally:
                os.kill(os.getpid(), number)  # an impatient hand
                await asyncio.sleep(0.05)
                ended.append("shop")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(drill())

    assert ended == ["shop"]


async def test_signals_are_as_before_afterwards():
    """Nothing of ours stays in the way of the next Ctrl-C."""
    with orderly():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
