"""The host observer: looks at this machine every few seconds and tells the bus what it saw.

One look is one message of samples. While the bus does not answer, looks wait in memory and none
is repeated or out of order when it answers again; after `LOOKS_MAX` of them the oldest go, counted.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from cerebro.intake import metrics
from cerebro.intake.changes import boot_of, changes_of
from cerebro.intake.entity import clean
from cerebro.intake.naming import Naming
from cerebro.intake.outbox import Letter, Outbox
from cerebro.intake.proc.machine import Look, MachineObserver, NoProcfs
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import LimitReached, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.wire import encode_samples

log = get_log(__name__)

LOOKS_MAX = 240  # that wait for the bus: 20 minutes at 5 s, about 10 MB
BUCKET = "observer"
METRICS, EVENTS = f"telemetry.{DEFAULT_TENANT}.metrics", f"telemetry.{DEFAULT_TENANT}.events"
LAST_SEND_S = 2.0  # how long the last looks may take to leave at the end


class HostObserver:
    """Observes the machine that Cerebro runs on, for the default tenant; the role `observer`'s task.

    Args:
        kernel: Its clock, bus and settings.
        root: Where procfs is mounted.
        host: What this machine is called; by default what it calls itself.
    """

    name = "host"

    def __init__(self, kernel: Kernel, *, root: Path = Path("/proc"), host: str = "") -> None:
        self._clock, self._bus = kernel.clock, kernel.bus
        self._interval_s = kernel.settings.host.interval_s
        self._enabled = kernel.settings.host.enabled
        self.host = clean(host or socket.gethostname()) or "localhost"
        self._machine = MachineObserver(kernel.settings.host.processes_max, root)
        self._naming = Naming((("host.name", self.host),))
        self._outbox = Outbox(kernel.bus, LOOKS_MAX)
        self._start = f"{self.host}:{kernel.clock.new_id()}"  # so that no other observer's keys are ever these
        self._boot_told = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Look at every full interval until `stop`."""
        if not self._enabled:
            log.info("host_observer_disabled", setting="host.enabled")
            await stop.wait()
            return
        with ThreadPoolExecutor(1, "host-look") as thread:
            try:
                await self._observe(stop, thread)
            except NoProcfs as error:
                log.info("host_observer_has_nothing_to_read", detail=error.detail, mend=error.mend)
                await stop.wait()

    async def _observe(self, stop: asyncio.Event, thread: ThreadPoolExecutor) -> None:
        """Sending has a task of its own, so that a bus that does not answer costs no look."""
        sending: asyncio.Task[None] | None = None
        try:
            while not stop.is_set():
                look = await asyncio.get_running_loop().run_in_executor(thread, self._look)
                self._post(look, self._clock.now_ms())
                if sending is None or sending.done():
                    if sending is not None:
                        sending.result()
                    sending = asyncio.create_task(self._send(look))
                await pause(self._clock, stop, self._until_next_s())
            if sending is not None:
                await asyncio.wait({sending}, timeout=LAST_SEND_S)
        finally:
            if sending is not None:
                sending.cancel()

    def _look(self) -> Look:
        with metrics.HOST_LOOK_SECONDS.time():
            return self._machine.look(self._clock.monotonic_s())

    def _until_next_s(self) -> float:
        """Looks are taken at full multiples of the interval, so that hosts and restarts share one grid."""
        interval_ms = self._interval_s * 1000
        return (interval_ms - self._clock.now_ms() % interval_ms) / 1000

    def _post(self, look: Look, at_ms: int) -> None:
        """Queue the look and what it tells to have happened."""
        self._outbox.post(Letter(METRICS, f"host:{self._start}:{at_ms}", self._encoder(look, at_ms)))
        for change in changes_of(look, at_ms, self.host):
            self._outbox.post(Letter(EVENTS, change.id, lambda change=change: (change.encode(), _nothing_more)))  # type: ignore[misc]

    async def _send(self, look: Look) -> None:
        try:
            await self._tell_boot(look)
        except (Unavailable, LimitReached) as error:
            log.debug("boot_not_told_yet", reason=error.code)
        await self._outbox.send()

    async def _tell_boot(self, look: Look) -> None:
        """Publish the boot once, whichever observer process is the first to see it."""
        if look.boot_id == self._boot_told:
            return
        key = f"boot.{xxhash.xxh64_hexdigest(self.host.encode())}"
        stored = await self._bus.get(BUCKET, key)
        if stored is None or stored.value.decode() != look.boot_id:
            boot = boot_of(look, self.host)
            await self._bus.publish(EVENTS, boot.encode(), dedup_key=boot.id)
            await self._bus.put(BUCKET, key, look.boot_id.encode())
        self._boot_told = look.boot_id

    def _encoder(self, look: Look, at_ms: int) -> Callable[[], tuple[bytes, Callable[[], None]]]:
        def encode() -> tuple[bytes, Callable[[], None]]:
            batch, keys = self._naming.batch(look.readings, at_ms)
            return encode_samples(batch), lambda: self._naming.named(keys)

        return encode


def _nothing_more() -> None:
    """An event needs no word that it arrived."""
