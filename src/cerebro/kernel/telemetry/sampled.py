"""The recorder of traces when no more than so many spans a second may be stored; see `algorithms.sampling`.

A range of messages is decided on when the next range is there too, or when nothing has come for a while: so every
trace is looked at for five to ten seconds, which is how long senders hold spans back. The bus keeps what waits, so that
a sender's 2xx stays as durable as without sampling. Before a range's intent is written, a *memo* is: where the range
and the one after it end, what was known before, and what is known after. Whoever does the range again reads the same
messages, knows the same, and keeps the same spans; the insert's token makes it once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from cerebro.algorithms.sampling import Seen, Why, evenly, probabilities
from cerebro.kernel.bus.port import Bus, Message
from cerebro.kernel.bus.position import Place
from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.telemetry import metrics
from cerebro.kernel.telemetry.blocks import TRACES, Piece
from cerebro.kernel.telemetry.port import Telemetry
from cerebro.kernel.telemetry.recorder import Range, Recorder

log = get_log(__name__)

WINDOW_S = 5.0
AHEAD_WINDOWS = 1.5  # for which the next range is waited for, that takes one to fill once it has begun
BYTES_MAX = 96 << 20  # of one range on the bus
REMEMBERED_S = 20.0  # a trace that goes on for longer is decided anew
TRACES_MAX = 200_000
ADVANCE_MIN_S = 0.2
BUCKET, MEMO, WATCHED = "recorder", "traces.memo", "watched"
ERROR = 2
VERSION = 1
Hashes = NDArray[np.uint64]


class Known(msgspec.Struct, frozen=True):
    """What is known of a tenant's traces: the middle of the newest range in time, and traces decided a moment ago.

    `hashes`, `chances` and `seconds` are columns as bytes: uint64, float32, int64 (Unix seconds); ordered by hash.
    """

    middle_ns: int = 0
    hashes: bytes = b""
    chances: bytes = b""
    seconds: bytes = b""


class Memo(msgspec.Struct, frozen=True):
    """What a range is decided with. `ahead` is the last message that was looked at."""

    first: int
    last: int
    ahead: int
    watched: dict[str, list[str]]
    before: dict[str, Known]
    after: dict[str, Known]
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Chosen:
    """A tenant's spans that are kept, with their weights, and what is known afterwards."""

    tables: Sequence[pa.Table]
    known: Known
    dropped: Mapping[str, int] = field(default_factory=dict)


class SampledRecorder(Recorder):
    """Writes of the stream of traces at most `spans_per_s_max` spans a second of each tenant, in expectation."""

    window_s = WINDOW_S
    bytes_max = BYTES_MAX

    def __init__(self, bus: Bus, telemetry: Telemetry, clock: Clock, owner: str, spans_per_s_max: int) -> None:
        super().__init__(TRACES, bus, telemetry, clock, owner)
        self._per_s = spans_per_s_max
        self._known: dict[str, Known] | None = None

    async def _chosen(self, place: Place, found: Range, coming: "asyncio.Task[Range | None]") -> Range:
        """The range with what is kept of it, once the next one is there or nothing has come for a while."""
        pause = asyncio.create_task(self._clock.sleep(AHEAD_WINDOWS * self.window_s))
        await asyncio.wait({coming, pause}, return_when=asyncio.FIRST_COMPLETED)
        pause.cancel()
        ahead = coming.result() if coming.done() else None
        before = self._known if self._known is not None else await self._recalled(place)
        watched = {tenant: await self._watched(tenant) for tenant in {piece.tenant for _, piece in found.pieces}}
        memo = Memo(found.first, found.last, ahead.last if ahead else found.last, watched, before, {})
        kept, memo = await asyncio.to_thread(self._decide, found, ahead, memo)
        await self._insist(lambda: self._bus.put_object(BUCKET, MEMO, msgspec.msgpack.encode(memo)))
        self._known = memo.after
        return kept

    async def _chosen_again(self, found: Range) -> Range:
        memo = await self._memo()
        if memo is None or (memo.first, memo.last) != (found.first, found.last):
            log.warning("sampling_memo_missing", first=found.first, last=found.last)
            memo = Memo(found.first, found.last, found.last, {}, {}, {})
        messages, after = list[Message](), memo.last
        while after < memo.ahead and (more := await self._read(after, memo.ahead - after, 0.0)):
            messages += [message for message in more if message.sequence <= memo.ahead]
            after = more[-1].sequence
        ahead = self._decode(messages, memo.last + 1, memo.ahead) if messages else None
        kept, done = await asyncio.to_thread(self._decide, found, ahead, memo)
        self._known = done.after
        return kept

    async def _recalled(self, place: Place) -> dict[str, Known]:
        """What was known at the place, from the memo of the range before it or of the one that was about to begin."""
        memo = await self._memo()
        if memo is None:
            return {}
        return memo.after if memo.last == place.after else memo.before if memo.first > place.after else {}

    async def _memo(self) -> Memo | None:
        body = await self._insist(lambda: self._bus.get_object(BUCKET, MEMO))
        if body is None:
            return None
        try:
            return msgspec.msgpack.decode(body, type=Memo)
        except msgspec.DecodeError as error:
            log.warning("sampling_memo_unreadable", reason=str(error))
            return None

    async def _watched(self, tenant: str) -> list[str]:
        """Entities of open cases, as `note_watched` was last told."""
        stored = await self._insist(lambda: self._bus.get(BUCKET, f"{WATCHED}.{tenant}"))
        return msgspec.json.decode(stored.value, type=list[str]) if stored else []

    def _decide(self, found: Range, ahead: Range | None, memo: Memo) -> tuple[Range, Memo]:
        after = dict(memo.before)
        pieces = list(found.pieces)
        for tenant in {piece.tenant for _, piece in found.pieces}:
            rows = [k for k, (_, piece) in enumerate(found.pieces) if piece.tenant == tenant]
            later = [piece.content for _, piece in (ahead.pieces if ahead else ()) if piece.tenant == tenant]
            tables = [found.pieces[k][1].content for k in rows]
            known = memo.before.get(tenant, Known())
            chosen = choose(tables, later, known, self._per_s, frozenset(memo.watched.get(tenant, ())))
            after[tenant] = chosen.known
            for k, table in zip(rows, chosen.tables, strict=True):
                pieces[k] = (found.pieces[k][0], Piece(tenant, table, table.num_rows))
            for reason, count in chosen.dropped.items():
                metrics.SPANS_DROPPED.labels(reason).inc(count)
        return replace(found, pieces=pieces), msgspec.structs.replace(memo, after=after)


async def note_watched(bus: Bus, tenant: str, entities: Sequence[str]) -> None:
    """Have traces kept that touch one of these entities (`kind/name`) from now on, and no others for that reason."""
    await bus.put(BUCKET, f"{WATCHED}.{tenant}", msgspec.json.encode(entities))


def choose(
    tables: Sequence[pa.Table], later: Sequence[pa.Table], known: Known, per_s: float, watched: frozenset[str]
) -> Chosen:
    """What is kept of the tables of one tenant, each with a column `weight`; `later` is evidence only."""
    spans = pa.concat_tables([*tables, *later])
    own = sum(table.num_rows for table in tables)
    if not own:
        return Chosen([_weighted(table, np.zeros(0)) for table in tables], known)
    hashes, seen = _seen(spans, own, watched)
    ended_ns = (spans["at_ns"].to_numpy() + np.maximum(seen.duration_ns, 0))[:own]
    middle_ns = int(np.median(ended_ns))
    allowed = per_s * _advance_s(ended_ns, middle_ns, known.middle_ns)
    chance, why = probabilities(seen, allowed, _before(hashes, known))
    kept = evenly(hashes) < chance
    mine = seen.trace[:own]
    weights = np.where(kept, 1.0 / chance, 0.0)[mine]
    ends = np.cumsum([table.num_rows for table in tables])[:-1]
    chosen = [_weighted(table, weight) for table, weight in zip(tables, np.split(weights, ends), strict=True)]
    lost = np.bincount(why[mine[~kept[mine]]], minlength=len(Why))
    dropped = {reason.name.lower(): int(lost[reason]) for reason in Why if lost[reason]}
    decided = np.bincount(mine, minlength=len(hashes)) > 0
    return Chosen(chosen, _remembered(known, hashes[decided], chance[decided], middle_ns), dropped)


def _weighted(table: pa.Table, weight: NDArray[np.float64]) -> pa.Table:
    """The rows with a weight, and it as a column."""
    has = weight > 0
    rows = table if has.all() else table.filter(pa.array(has))
    return rows.append_column("weight", pa.array(weight[has].astype(np.float32)))


def _seen(spans: pa.Table, own: int, watched: frozenset[str]) -> tuple[Hashes, Seen]:
    """The hash of each trace, and the spans in numbers. A span without a trace is a trace of its own."""
    trace_ids = pc.if_else(pc.equal(spans["trace_id"], ""), spans["span_id"], spans["trace_id"])
    trace, names = _coded(trace_ids)
    entity, entities = _coded(pc.binary_join_element_wise(spans["entity_kind"], spans["entity_name"], "/"))
    name, operations = _coded(spans["name"])
    is_watched = np.array([each in watched for each in entities], np.bool_)
    ids, _ = _coded(pa.chunked_array([*spans["span_id"].chunks, *spans["parent_span_id"].chunks]))
    mine, above = np.split(ids, 2)
    row = np.full(int(ids.max(initial=0)) + 1, -1, np.int64)
    row[mine] = np.arange(len(mine))
    parent = np.where(pc.equal(spans["parent_span_id"], "").to_numpy(), -1, row[above])
    _, operation = np.unique(entity * len(operations) + name, return_inverse=True)
    hashes = np.array([xxhash.xxh3_64_intdigest(each.encode()) for each in names], np.uint64)
    return hashes, Seen(
        trace=trace,
        operation=operation.astype(np.int64),
        parent=parent,
        duration_ns=spans["duration_ns"].to_numpy(),
        failed=spans["status"].to_numpy() == ERROR,
        watched=is_watched[entity],
        counted=np.arange(len(trace)) < own,
    )


def _coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    coded = column.combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _advance_s(ended_ns: NDArray[np.int64], middle_ns: int, before_ns: int) -> float:
    """Seconds that a range stands for: how far it is from the one before, by the time that spans themselves tell."""
    low, high = np.percentile(ended_ns, [5.0, 95.0])
    longest = max(WINDOW_S, (high - low) / 0.9e9)
    advance = (middle_ns - before_ns) / 1e9 if before_ns else longest
    return float(np.clip(advance, ADVANCE_MIN_S, longest))


def _before(hashes: Hashes, known: Known) -> NDArray[np.float64]:
    """The probability each trace was given in the ranges before; NaN for those that are new."""
    held, chances = np.frombuffer(known.hashes, np.uint64), np.frombuffer(known.chances, np.float32)
    if not len(held):
        return np.full(len(hashes), np.nan)
    at = np.minimum(np.searchsorted(held, hashes), len(held) - 1)
    return np.where(held[at] == hashes, chances[at].astype(np.float64), np.nan)


def _remembered(known: Known, hashes: Hashes, chances: NDArray[np.float64], middle_ns: int) -> Known:
    """Traces of this range and of those shortly before; of a trace that was in both, what was decided now."""
    now_s = middle_ns // 1_000_000_000
    every = np.concatenate([hashes, np.frombuffer(known.hashes, np.uint64)])
    chance = np.concatenate([chances.astype(np.float32), np.frombuffer(known.chances, np.float32)])
    second = np.concatenate([np.full(len(hashes), now_s, np.int64), np.frombuffer(known.seconds, np.int64)])
    _, at = np.unique(every, return_index=True)
    at = at[second[at] >= now_s - REMEMBERED_S]
    if len(at) > TRACES_MAX:
        at = np.sort(at[np.argsort(-second[at], kind="stable")[:TRACES_MAX]])
        at = at[np.argsort(every[at])]
    newest_ns = max(middle_ns, known.middle_ns)
    return Known(newest_ns, every[at].tobytes(), chance[at].tobytes(), second[at].tobytes())
