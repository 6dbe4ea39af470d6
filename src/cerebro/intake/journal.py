"""The journal observer: this machine's own logs on the bus, each line once, across restarts.

How far it has read stands in the bus' shared state. Before a batch is published, what it will hold
is written there (the *intent*: after which place, how many lines); after it is stored, the place. A
restart between the two reads the same lines again and publishes them under the same key. The bus
remembers keys for two minutes; later than that, the batch is looked for in the stream itself. Only
when the recorder has trimmed the stream meanwhile can that batch, one, be there twice.
"""

import asyncio
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import xxhash

from cerebro.intake import metrics
from cerebro.intake.entity import clean
from cerebro.intake.lines.journald import Journald
from cerebro.intake.lines.line import CursorLost, Line, Source, table_of
from cerebro.intake.lines.syslog import Syslog
from cerebro.kernel.clock import Clock, pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import LimitReached, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT
from cerebro.spine.wire import Kind, decode_table, encode_table

log = get_log(__name__)

BUCKET = "observer"
STREAM, SUBJECT = "logs", f"telemetry.{DEFAULT_TENANT}.logs"
LINES_MAX = 1000  # of one batch
PACE_S = 0.5  # between two batches: at most 2,000 lines a second, so that a flood costs no one else the processor
WAIT_S = 2.0
RETRY_S = 2.0
AGAIN_MAX = 5  # readings of a batch that was begun, each up to WAIT_S
REMEMBERED_MS = 100_000  # within the bus' memory of keys, with some to spare

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
SYSLOGS = (Path("/var/log/syslog"), Path("/var/log/messages"))


@dataclass(frozen=True, slots=True)
class Intent:
    """A batch that was about to be published."""

    after: str
    count: int
    at_ms: int
    sequence: int  # the last of the stream before it


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a source was read."""

    source: str = ""
    cursor: str = ""
    intent: Intent | None = None


def find_source(clock: Clock) -> Source | None:
    """The journal where there is one, else a syslog file, else nothing."""
    journalctl = shutil.which("journalctl")
    if journalctl and JOURNAL_SOCKET.exists():
        return Journald(journalctl)
    path = next((path for path in SYSLOGS if path.is_file()), None)
    return Syslog(path, clock) if path else None


class JournalObserver:
    """Follows this machine's logs for the default tenant; a task of the role `observer`.

    Args:
        kernel: Its clock, bus and settings.
        source: Where lines come from; by default what this machine has.
        host: What this machine is called; by default what it calls itself.
    """

    name = "journal"

    def __init__(self, kernel: Kernel, *, source: Source | None = None, host: str = "") -> None:
        self._clock, self._bus = kernel.clock, kernel.bus
        self._enabled = kernel.settings.host.enabled and kernel.settings.host.logs
        self._source = source or find_source(kernel.clock)
        self.host = clean(host or socket.gethostname()) or "localhost"
        self._key = f"logs.{xxhash.xxh64_hexdigest(self.host.encode())}"
        self._reached = Reached()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop`."""
        if not self._enabled or self._source is None:
            missing = (
                "host.logs is off" if not self._enabled else "no systemd journal, /var/log/syslog or /var/log/messages"
            )
            log.info("host_logs_not_followed", reason=missing)
            await stop.wait()
            return
        try:
            await self._follow(self._source, stop)
        finally:
            await self._source.close()

    async def _follow(self, source: Source, stop: asyncio.Event) -> None:
        is_known = False
        while not stop.is_set():
            pause_s = PACE_S
            try:
                if not is_known:
                    await self._recall(source)
                    is_known = True
                    log.info("host_logs_followed", source=source.name, resumed=bool(self._reached.cursor))
                await self._batch(source)
            except (Unavailable, LimitReached) as error:
                log.debug("host_logs_wait", reason=error.code)
                is_known, pause_s = False, RETRY_S  # what was stored is not certain: ask again
            except CursorLost:
                log.warning("host_logs_place_lost", source=source.name)
                self._reached = Reached(source.name)
            await pause(self._clock, stop, pause_s)

    async def _recall(self, source: Source) -> None:
        """Where we were; another kind of source begins afresh."""
        stored = await self._bus.get(BUCKET, self._key)
        reached = msgspec.json.decode(stored.value, type=Reached) if stored else Reached()
        self._reached = reached if reached.source == source.name else Reached(source.name)

    async def _batch(self, source: Source) -> None:
        """Move one batch: the one that was begun, if any, else the next."""
        reached, begun = self._reached, self._reached.intent
        if begun:
            lines = await self._again(source, begun)
        elif lines := await source.lines(reached.cursor, LINES_MAX, WAIT_S):
            sequence = (await self._bus.state(STREAM)).last_sequence
            begun = Intent(reached.cursor, len(lines), self._clock.now_ms(), sequence)
            await self._keep(Reached(reached.source, reached.cursor, begun))
        if begun and lines:
            await self._publish(begun, lines)
            metrics.JOURNAL_LINES.labels(source.name).inc(len(lines))
        if begun:
            await self._keep(Reached(reached.source, lines[-1].cursor if lines else reached.cursor))

    async def _again(self, source: Source, begun: Intent) -> Sequence[Line]:
        """The lines of a batch that was begun; fewer when the source keeps them no longer."""
        lines: list[Line] = []
        for _ in range(AGAIN_MAX):
            cursor = lines[-1].cursor if lines else begun.after
            lines += await source.lines(cursor, begun.count - len(lines), WAIT_S)
            if len(lines) == begun.count:
                break
        return lines

    async def _publish(self, begun: Intent, lines: Sequence[Line]) -> None:
        key = f"{self._key}:{xxhash.xxh3_128_hexdigest(f'{begun.after}|{begun.count}|{begun.at_ms}'.encode())}"
        table = table_of(lines, self.host)
        if self._clock.now_ms() - begun.at_ms < REMEMBERED_MS or not await self._is_stored(begun, table):
            await self._bus.publish(SUBJECT, encode_table(Kind.LOGS, table), dedup_key=key)

    async def _is_stored(self, begun: Intent, table: pa.Table) -> bool:
        """Whether the stream has the batch of an intent that is older than the bus' memory of keys."""
        after, bodies = begun.sequence, table.column("body")
        while found := await self._bus.read(
            STREAM, after=after, count_max=50, bytes_max=1 << 24, wait_s=0.2, subject=SUBJECT
        ):
            if any(decode_table(Kind.LOGS, message.body).column("body").equals(bodies) for message in found):
                return True
            after = found[-1].sequence
        return False

    async def _keep(self, reached: Reached) -> None:
        await self._bus.put(BUCKET, self._key, msgspec.json.encode(reached))
        self._reached = reached
