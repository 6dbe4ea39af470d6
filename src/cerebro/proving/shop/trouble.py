"""Faults inside a process: each does to it what it is named for, for as long as the registry says."""

import asyncio
import os
import resource
import time
from pathlib import Path

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.plan import MEMORY_BYTES_MAX, SERVICES
from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.registry import Board
from cerebro.proving.shop.telling import Telling
from cerebro.proving.shop.vitals import resident_bytes

OUT_OF_MEMORY = 137  # the exit code of a process that the kernel ended for want of memory
SCAN_BYTES = 512  # of leaked memory, one byte in so many is read at every request, as a collector would
SPARE_DESCRIPTORS = 2
SLICE_S, LOOK_S = 0.1, 0.2  # of burning and resting; between two looks whether there is anything to burn
FEATURE_FAILS = 0.7  # of requests that meet the experiment


class Troubles:
    """What befalls this process."""

    def __init__(self, board: Board, telling: Telling, clock: Clock) -> None:
        self._board, self._telling, self._clock = board, telling, clock
        self._leaked: list[bytes] = []
        self._opened: list[int] = []
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        telling.gauge("system.clock.offset", "s", lambda: (self.now_ms() - clock.now_ms()) / 1000)

    async def befall(self) -> None:
        """What a request suffers before it is worked.

        Raises:
            Refused: The version or the feature fails it.
        """
        build, chance = self._board.build, self._clock.chance
        if build.wait_ms:
            await asyncio.sleep(build.wait_ms / 1000 * chance.uniform(0.7, 1.3))
        leak = self._board.trouble("memory_leak")
        if kept_bytes := int(leak.amount) if leak else build.leak_bytes:
            self._leaked.append(chance.randbytes(kept_bytes))
        if self._leaked:
            sum(sum(each[::SCAN_BYTES]) for each in self._leaked)
        if build.error_share > chance.random():
            self._telling.log("ERROR", "unhandled error in request", version=self._board.version)
            raise Refused(500, "internal error")
        self._fail_by_flag()

    def _fail_by_flag(self) -> None:
        experiment = SERVICES[self._board.name].experiment
        if experiment and self._board.entry.flags.get(experiment) and self._clock.chance.random() < FEATURE_FAILS:
            self._telling.log("ERROR", f"feature {experiment} failed", flag=experiment)
            raise Refused(500, f"feature {experiment} failed")

    async def heat(self) -> None:
        """Burn the CPU beside the requests, in slices, for the share of time that the trouble says."""
        while True:
            burning = self._board.trouble("slow_cpu")
            if burning:
                burn(SLICE_S * burning.amount, self._clock)
            await asyncio.sleep(SLICE_S * (1 - burning.amount) if burning else LOOK_S)

    def spare(self) -> None:
        """Let one descriptor go, so that the registry can be read; `look` takes it again."""
        if self._opened:
            os.close(self._opened.pop())

    def look(self) -> None:
        """What befalls it apart from requests; called a few times a second."""
        if self._leaked and not self._board.trouble("memory_leak") and not self._board.build.leak_bytes:
            self._leaked.clear()
        self._exhaust_descriptors()
        if starving := self._board.trouble("thread_starvation"):
            time.sleep(starving.amount / 1000)
        if resident_bytes() > MEMORY_BYTES_MAX:
            self._telling.log("FATAL", "out of memory", limit_bytes=MEMORY_BYTES_MAX)
            os._exit(OUT_OF_MEMORY)

    def _exhaust_descriptors(self) -> None:
        """Lower our own limit to what is open and fill it; give it back afterwards."""
        if self._board.trouble("fd_exhaustion"):
            if not self._opened:
                self._telling.log("ERROR", "too many open files")
                used = len(list(Path("/proc/self/fd").iterdir()))
                resource.setrlimit(resource.RLIMIT_NOFILE, (used + SPARE_DESCRIPTORS, self._limit[1]))
            try:
                while True:
                    self._opened.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                return
        elif self._opened:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._limit)
            for descriptor in self._opened:
                os.close(descriptor)
            self._opened.clear()

    def now_ms(self) -> int:
        """The time as this process's clock has it."""
        skew = self._board.trouble("clock_skew")
        return self._clock.now_ms() + (int(skew.amount) if skew else 0)


def burn(duration_s: float, clock: Clock) -> None:
    """Keep a core busy."""
    until_s = clock.monotonic_s() + duration_s
    while clock.monotonic_s() < until_s:
        pass
