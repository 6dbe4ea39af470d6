"""How Cerebro itself is: its engines, its streams and their readers, what comes in, how far behind."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from cerebro.casework.store import CASES
from cerebro.kernel.bus import streams
from cerebro.kernel.bus.position import places
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError
from cerebro.spine.identity import SELF_TENANT, TenantId
from cerebro.spine.manifest import AgentManifest

log = get_log(__name__)

PROBE_S_MAX = 3.0
OK = "ok"
MINUTE_MS = 60_000
MINUTES_SHOWN = 15
SETTLED_MS = 2 * MINUTE_MS  # a minute this old is counted once and for all

COUNTS = """
SELECT toInt64(toUnixTimestamp(toStartOfMinute(s.at))) * 1000 AS minute_ms, count() AS sample_count
FROM samples AS s
WHERE s.tenant = {tenant:String}
  AND s.hour >= toStartOfHour(toDateTime({since:UInt32})) AND s.at >= toDateTime({since:UInt32})
GROUP BY minute_ms ORDER BY minute_ms
"""
STORE = """
SELECT version() AS version, sum(bytes_on_disk) AS byte_count
FROM system.parts WHERE active AND database = currentDatabase()
"""


@dataclass(frozen=True, slots=True)
class EngineState:
    """One engine, as it answered just now."""

    name: str  # postgres | nats | store
    ok: bool
    latency_ms: float | None
    detail: str = ""  # what is wrong; empty when nothing is
    version: str = ""
    byte_count: int | None = None


@dataclass(frozen=True, slots=True)
class StreamLine:
    """One stream of the bus, how full it is, and how far its slowest reader is behind, in messages."""

    name: str
    first_sequence: int
    last_sequence: int
    message_count: int
    byte_count: int
    bytes_max: int
    lag: int | None
    readers: Mapping[str, int]  # messages behind, by reader


@dataclass(frozen=True, slots=True)
class Disk:
    """Room on the disk that holds the data."""

    byte_count: int
    bytes_free: int


@dataclass(frozen=True, slots=True)
class Engines:
    """Every engine, every stream, the disk."""

    items: Sequence[EngineState]
    streams: Sequence[StreamLine]
    disk: Disk


async def readiness(kernel: Kernel) -> Mapping[str, str]:
    """Each engine by name with `ok`, or with what is wrong with it."""
    states = await asyncio.gather(*(probe(name, ask) for name, ask in _probes(kernel).items()))
    return {state.name: OK if state.ok else state.detail for state in states}


async def engines(kernel: Kernel) -> Engines:
    """Every engine asked at the same time, each with at most `PROBE_S_MAX`."""
    states = await asyncio.gather(*(probe(name, ask) for name, ask in _probes(kernel).items()))
    lines = await stream_lines(kernel) if next(state.ok for state in states if state.name == "nats") else []
    usage = await asyncio.to_thread(shutil.disk_usage, _existing(kernel.settings.data_dir))
    sizes = {"nats": sum(line.byte_count for line in lines) if lines else None}
    items = [_sized(state, sizes) for state in states]
    return Engines(items, lines, Disk(usage.total, usage.free))


async def probe(name: str, ask: Callable[[], Awaitable[tuple[str, int | None]]]) -> EngineState:
    """Ask one engine something small."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        async with asyncio.timeout(PROBE_S_MAX):
            version, byte_count = await ask()
    except TimeoutError:
        return EngineState(name, False, None, f"No answer in {PROBE_S_MAX:.0f} s.")
    except CerebroError as error:
        return EngineState(name, False, None, error.detail)
    return EngineState(name, True, round((loop.time() - began_s) * 1000, 2), "", version, byte_count)


def _probes(kernel: Kernel) -> dict[str, Callable[[], Awaitable[tuple[str, int | None]]]]:
    async def postgres() -> tuple[str, int | None]:
        async with kernel.records.transaction() as transaction:
            await transaction.load(CASES, SELF_TENANT, "none", lock=False)
        return "", None

    async def nats() -> tuple[str, int | None]:
        await kernel.bus.state(streams.FINDINGS.name)
        return "", None

    async def store() -> tuple[str, int | None]:
        row = (await kernel.telemetry.query(STORE)).to_pylist()[0]
        return str(row["version"]), int(row["byte_count"] or 0)

    return {"postgres": postgres, "nats": nats, "store": store}


async def stream_lines(kernel: Kernel) -> list[StreamLine]:
    """Every stream of the bus that answers."""
    found = []
    for spec in streams.ALL:
        try:
            state = await kernel.bus.state(spec.name)
            readers = await places(kernel.bus, spec.name)
        except CerebroError as error:
            log.debug("stream_not_read", stream=spec.name, reason=error.detail)
            continue
        behind = {name: max(0, state.last_sequence - entry.after) for name, entry in readers.items()}
        found.append(
            StreamLine(
                name=spec.name,
                first_sequence=state.first_sequence,
                last_sequence=state.last_sequence,
                message_count=max(0, state.last_sequence - state.first_sequence + 1),
                byte_count=state.byte_count,
                bytes_max=state.bytes_max,
                lag=max(behind.values(), default=None),
                readers=behind,
            )
        )
    return found


class Arrivals:
    """Samples a minute of each tenant; a minute that is over is counted once, whoever asks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._counted: dict[TenantId, dict[int, int]] = {}

    async def minutes(self, tenant: TenantId) -> list[tuple[int, int]]:
        """The last `MINUTES_SHOWN` whole minutes and the present one: when each began, and its samples."""
        now_ms = self._kernel.clock.now_ms()
        first_ms = (now_ms // MINUTE_MS - MINUTES_SHOWN) * MINUTE_MS
        counted = {minute: n for minute, n in self._counted.get(tenant, {}).items() if minute >= first_ms}
        begin_ms = max(counted, default=first_ms - MINUTE_MS) + MINUTE_MS
        rows = await self._kernel.telemetry.query(COUNTS, {"tenant": tenant, "since": begin_ms // 1000})
        fresh = {row["minute_ms"]: row["sample_count"] for row in rows.to_pylist() if row["minute_ms"] <= now_ms}
        last_ms = now_ms // MINUTE_MS * MINUTE_MS
        every = {
            minute: counted.get(minute, fresh.get(minute, 0)) for minute in range(first_ms, last_ms + 1, MINUTE_MS)
        }
        self._counted[tenant] = {minute: n for minute, n in every.items() if minute < now_ms - SETTLED_MS - MINUTE_MS}
        return list(every.items())


@lru_cache(maxsize=1)
def manifests() -> tuple[AgentManifest, ...]:
    """The passport of every agent that is installed; one that cannot be loaded is logged and left out."""
    found = []
    for point in entry_points(group="cerebro.agents"):
        try:
            found.append(point.load().manifest)
        except (ImportError, AttributeError) as error:
            log.warning("agent_not_loaded", agent=point.name, reason=str(error))
    return tuple(found)


def _sized(state: EngineState, sizes: Mapping[str, int | None]) -> EngineState:
    size = sizes.get(state.name, state.byte_count)
    return EngineState(state.name, state.ok, state.latency_ms, state.detail, state.version, size)


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
