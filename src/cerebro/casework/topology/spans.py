"""What spans tell of the map: who calls whom, and what databases, queues and outside addresses they name.

Spans of one call come from two services, in two bodies, in any order. So the latest span ids are remembered with who
said them, in a table of fixed size where the newest takes the place of an older one, and children whose parent has not
come yet wait for it, at most `WAITING_MAX` of them for `WAITING_MS`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.algorithms.rows import different
from cerebro.casework.topology.attributes import facts_again, spelled
from cerebro.casework.topology.sighted import CALLS, CONSUMES_FROM, PUBLISHES_TO, Link, Sighted, named
from cerebro.kernel.telemetry.maps import looked_up
from cerebro.spine.entities import EntityKey

SLOTS = 1 << 17
WAITING_MAX = 1 << 16
WAITING_MS = 120_000
NAMES_MAX = 20_000  # entities and addresses that one memory tells apart
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104  read, not listened on

Codes = NDArray[np.int32]
Keys = NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_NIBBLE = np.zeros(256, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_NIBBLE[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)

# What a span says of its other end; the first name that says something wins.
_PEER = {
    "service": ("peer.service",),
    "address": ("server.address", "net.peer.name", "http.host"),
    "port": ("server.port", "net.peer.port"),
    "system": ("db.system.name", "db.system"),
    "database": ("db.namespace", "db.name"),
    "queue": ("messaging.destination.name", "messaging.destination"),
    "messaging": ("messaging.system",),
}


@dataclass(slots=True)
class Waiting:
    """Spans whose parent has not been seen: columns of one length."""

    parent: Keys
    speaker: Codes
    queue: Codes  # that the span took its message from; -1 for none
    is_consumer: NDArray[np.bool_]
    at_ms: NDArray[np.int64]

    def select(self, rows: NDArray[np.bool_]) -> "Waiting":
        """Only these rows."""
        return Waiting(
            self.parent[rows], self.speaker[rows], self.queue[rows], self.is_consumer[rows], self.at_ms[rows]
        )

    def after(self, before: "Waiting") -> "Waiting":
        """Those before, then these."""
        return Waiting(
            np.concatenate((before.parent, self.parent)),
            np.concatenate((before.speaker, self.speaker)),
            np.concatenate((before.queue, self.queue)),
            np.concatenate((before.is_consumer, self.is_consumer)),
            np.concatenate((before.at_ms, self.at_ms)),
        )


def _nobody() -> Waiting:
    return Waiting(
        np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.int64)
    )


@dataclass(slots=True)
class SpanMemory:
    """The latest spans of one tenant, by id. Bounded: see the module."""

    keys: Keys = field(default_factory=lambda: np.zeros(SLOTS, np.uint64))
    speaker: Codes = field(default_factory=lambda: np.full(SLOTS, -1, np.int32))
    address: Codes = field(default_factory=lambda: np.full(SLOTS, -1, np.int32))  # that it called; -1 for none
    waiting: Waiting = field(default_factory=_nobody)
    names: list[str] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def code(self, name: str) -> int:
        """A number for the name; -1 once there are too many."""
        found = self.codes.get(name)
        if found is None:
            if len(self.names) >= NAMES_MAX:
                return -1
            found = self.codes[name] = len(self.names)
            self.names.append(name)
        return found

    def entity(self, code: int) -> EntityKey:
        """The entity that the number stands for."""
        return EntityKey.parse(self.names[code])


def sighted_in_spans(table: pa.Table, memory: SpanMemory) -> Sighted | None:
    """What a table of SPAN_SCHEMA tells, with what the memory has of the spans before; the memory learns it."""
    if not table.num_rows:
        return None
    table = table.combine_chunks()
    at_ms = table.column("at_ns").to_numpy() // 1_000_000
    speaker = _coded(memory, pc.binary_join_element_wise(table["entity_kind"], table["entity_name"], "/"))
    kind = table.column("kind").to_numpy()
    peers = _Peers(table, memory, speaker, kind)
    trace = _hex64(table["trace_id"], 16) * _MIX
    span, parent = _hex64(table["span_id"], 0), _hex64(table["parent_span_id"], 0)
    slots = ((span ^ trace) & np.uint64(SLOTS - 1)).astype(np.int64)
    memory.keys[slots], memory.speaker[slots], memory.address[slots] = span ^ trace, speaker, peers.address
    children = Waiting(parent ^ trace, speaker, peers.queue, kind == CONSUMER, at_ms).select(
        (parent != 0) & (speaker >= 0)
    )
    links, aliases = _matched(memory, children, int(at_ms.max()))
    for link, count in peers.links():
        links[link] = links.get(link, 0.0) + count
    entities, standing = _resources(table, memory, speaker)
    return Sighted(int(at_ms.min()), int(at_ms.max()), entities, {**standing, **links}, frozenset(aliases))


def _matched(
    memory: SpanMemory, children: Waiting, now_ms: int
) -> tuple[dict[Link, float], set[tuple[str, EntityKey]]]:
    """The calls between spans whose parents are known; the others wait on."""
    children = children.after(memory.waiting)
    slots = (children.parent & np.uint64(SLOTS - 1)).astype(np.int64)
    found = (memory.keys[slots] == children.parent) & (memory.speaker[slots] >= 0)
    left = children.select(~found & (children.at_ms > now_ms - WAITING_MS))
    memory.waiting = left.select(np.arange(len(left.parent)) < WAITING_MAX)
    hit, slots = children.select(found), slots[found]
    other = memory.speaker[slots] != hit.speaker
    hit, slots = hit.select(other), slots[other]
    calls = different(
        memory.speaker[slots], hit.speaker, hit.queue, hit.is_consumer.astype(np.int8), memory.address[slots]
    )
    links: dict[Link, float] = {}
    aliases: set[tuple[str, EntityKey]] = set()
    for (source, target, queue, consumed, address), count in zip(
        calls.columns.T.tolist(), calls.counts.tolist(), strict=True
    ):
        caller, callee = memory.entity(source), memory.entity(target)
        if consumed:
            link = caller, memory.entity(queue) if queue >= 0 else callee, PUBLISHES_TO
        else:
            link = caller, callee, CALLS
            if address >= 0:
                aliases.add((memory.names[address], callee))
        links[link] = links.get(link, 0.0) + count
    return links, aliases


class _Peers:
    """What the spans of one table name as their other end.

    `address` and `queue` are codes of names, one a row of the table, -1 for none.
    """

    def __init__(self, table: pa.Table, memory: SpanMemory, speaker: Codes, kind: NDArray[np.uint8]) -> None:
        self.address, self.queue = (np.full(table.num_rows, -1, np.int32) for _ in range(2))
        self._links: dict[Link, float] = {}
        rows = np.flatnonzero((kind >= CLIENT) & (kind <= CONSUMER) & (speaker >= 0))
        if not len(rows):
            return
        attributes = table["attributes"].combine_chunks().take(pa.array(rows))
        columns = _first(attributes, _PEER)
        found = different(speaker[rows], kind[rows], *(_numbered(each) for each in columns.values()))
        order, ends = np.argsort(found.inverse, kind="stable"), np.cumsum(found.counts)
        for each in np.argsort(found.first):
            row, mine = int(found.first[each]), order[ends[each] - found.counts[each] : ends[each]]
            one = {"speaker": int(speaker[rows[row]]), "kind": int(kind[rows[row]])}
            self._tell({**one, **{name: values[row].as_py() for name, values in columns.items()}}, memory, rows[mine])

    def links(self) -> Iterator[tuple[Link, float]]:
        """What the spans' own words say."""
        yield from self._links.items()

    def _tell(self, one: dict[str, str | int], memory: SpanMemory, rows: NDArray[np.int64]) -> None:
        speaker = memory.entity(int(one["speaker"]))
        said = {name: named(str(one[name])) for name in _PEER}
        if said["queue"]:
            queue = EntityKey("queue", said["queue"])
            kind = CONSUMES_FROM if one["kind"] == CONSUMER else PUBLISHES_TO
            self._links[speaker, queue, kind] = self._links.get((speaker, queue, kind), 0.0) + len(rows)
            self.queue[rows] = memory.code(queue.text)
            return
        if one["kind"] != CLIENT or said["messaging"]:
            return
        target = _target(said)
        if target is None or target == speaker:
            return
        if not said["system"]:
            self.address[rows] = memory.code(target.name)
        self._links[speaker, target, CALLS] = self._links.get((speaker, target, CALLS), 0.0) + len(rows)


def _target(said: dict[str, str]) -> EntityKey | None:
    """What a client span calls; an address is `external` until something of that name answers.

    >>> nothing = dict.fromkeys(_PEER, "")
    >>> _target(nothing | {"system": "postgresql", "database": "orders"}).text
    'database/orders'
    >>> _target(nothing | {"address": "localhost", "port": "5432"}).text
    'external/localhost:5432'
    """
    if said["service"]:
        return EntityKey("service", said["service"])
    address = said["address"]
    if address in LOOPBACK:
        address = f"{address}:{said['port']}" if said["port"] else ""
    if said["system"]:
        return EntityKey("database", address or said["database"] or said["system"])
    return EntityKey("external", address) if address else None


def _resources(
    table: pa.Table, memory: SpanMemory, speaker: Codes
) -> tuple[dict[EntityKey, dict[str, str]], dict[Link, float]]:
    """What the resources say: each different one of a speaker is read once."""
    resource = table["resource"].combine_chunks()
    told = _first(resource, {name: (name,) for name in ("host.name", "service.instance.id", "k8s.pod.name")})
    entities: dict[EntityKey, dict[str, str]] = {}
    links: dict[Link, float] = {}
    for row in np.sort(different(speaker, *(_numbered(each) for each in told.values())).first).tolist():
        if speaker[row] < 0:
            continue
        entity = memory.entity(int(speaker[row]))
        kept, standing = facts_again(entity, tuple(resource[row].as_py()))
        entities[entity] = {**entities.get(entity, {}), **kept}
        links |= dict.fromkeys(standing, 0.0)
    return entities, links


def _coded(memory: SpanMemory, texts: pa.ChunkedArray) -> Codes:
    """A number for each text."""
    encoded = pc.dictionary_encode(texts).combine_chunks()
    codes = np.array([memory.code(text) for text in encoded.dictionary.to_pylist()] or [-1], np.int32)
    found: Codes = codes[encoded.indices.to_numpy()]
    return found


def _first(maps: pa.MapArray, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, pa.Array]:
    """For each map, under every name, the value of the first of its keys that the map has; empty for none."""
    ways = {name: list(dict.fromkeys(way for key in keys for way in spelled(key))) for name, keys in wanted.items()}
    every = list(dict.fromkeys(way for some in ways.values() for way in some))
    found = dict(zip(every, looked_up(maps, every), strict=True))
    return {name: pc.coalesce(*(found[way] for way in some), pa.scalar("")) for name, some in ways.items()}


def _numbered(texts: pa.Array) -> Codes:
    """A number for each different text."""
    found: Codes = texts.dictionary_encode().indices.to_numpy()
    return found


def _hex64(texts: pa.ChunkedArray, start: int) -> Keys:
    """16 hexadecimal digits of each text as a number; 0 where they are not there."""
    column = texts.combine_chunks()
    lengths = pc.binary_length(column).to_numpy(zero_copy_only=False)
    whole = lengths >= start + 16
    numbers = np.zeros(len(column), np.uint64)
    if whole.any():
        digits = pc.utf8_slice_codeunits(column.filter(pa.array(whole)), start, start + 16).cast(pa.binary())
        letters = np.frombuffer(b"".join(digits.to_pylist()), np.uint8)
        if len(letters) == 16 * int(whole.sum()):  # else it is no hexadecimal text
            nibbles = _NIBBLE[letters].reshape(-1, 2)
            octets = (nibbles[:, 0] << 4 | nibbles[:, 1]).reshape(-1, 8)
            numbers[whole] = np.ascontiguousarray(octets).view(">u8").ravel()
    return numbers
