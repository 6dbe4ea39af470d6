"""A tenant's state as bytes and back: head, JSON, then the arrays as they lie in memory, compressed.

head = b"CBSS" | version u16 | 2 bytes zero | length of the JSON u64 | length of the arrays u64, little-endian.
Rows are matched by field name, so a reader takes what the version before it wrote: a field that it does not
know is dropped, one that is missing begins as it does for a new series.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.admit import Budget, Change, Leaning
from cerebro.agents.support.climb import frozen_climbs, thawed_climbs
from cerebro.agents.support.concert import HEARD, MEASURE, enrol_measures
from cerebro.agents.support.describe import Episode
from cerebro.agents.support.fullness import frozen_fullness, thawed_fullness
from cerebro.agents.support.model import SERIES, SeriesName, blank_rows
from cerebro.agents.support.observe import Watch
from cerebro.agents.support.ratios import OUTCOMES, thawed
from cerebro.agents.support.ratios import frozen as frozen_ratios
from cerebro.agents.support.recent import POINT, from_points
from cerebro.agents.support.shapes import frozen_shapes, thawed_shapes
from cerebro.agents.support.together import JOINED, PEER, enrol
from cerebro.agents.support.untaught import UNTAUGHT
from cerebro.agents.support.watch import ROWS_FIRST, Series, start_row
from cerebro.algorithms.index import SeriesIndex
from cerebro.spine.errors import Invalid
from cerebro.spine.identity import TenantId

MAGIC = b"CBSS"
VERSION = 1
HEAD = struct.Struct("<4sHHQQ")
Field = tuple[str, str, int, tuple[int, ...]]  # name, type, place, shape


@dataclass(frozen=True, slots=True)
class Contents:
    """What the JSON of a snapshot holds."""

    tenant: TenantId
    sequence: int
    names: list[SeriesName]
    fields: list[Field]
    row_bytes: int
    point_count: int
    ring_length: int
    point_bytes: int
    budget: Budget
    priors: list[list[float]]
    open_rows: dict[int, Episode]
    open_silences: list[tuple[tuple[str, str], Episode]]
    ticked_ms: int
    lent_ms: int
    resumed_ms: int
    turned_away_count: int
    priced_ms: int = 0
    joined_shape: tuple[int, int] = (0, 0)  # count, bytes of each
    peers_shape: tuple[int, int] = (0, 0)
    open_joint: dict[int, Episode] = field(default_factory=dict)
    open_peers: dict[int, Episode] = field(default_factory=dict)
    open_leaks: dict[int, Episode] = field(default_factory=dict)
    leanings: list[tuple[tuple[str, int, str, str], Leaning]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    opinions_seen: dict[str, str] = field(default_factory=dict)
    ratio_bytes: tuple[int, int] = (0, 0)  # by row, by group
    heard_shape: tuple[int, int] = (0, 0)
    measures_shape: tuple[int, int] = (0, 0)
    open_concerts: dict[int, Episode] = field(default_factory=dict)
    full_ms: int = 0
    shape_bytes: tuple[int, int, int] = (0, 0, 0)  # by row, by cell, by group
    limit_bytes: tuple[int, int, int] = (0, 0, 0)  # climbs, limits, who was told
    untaught: bytes = b""
    untaught_bytes: int = 0  # of each


@dataclass(frozen=True, slots=True)
class Frozen:
    """A copy of a tenant's state that no longer changes, to be encoded on another thread."""

    contents: Contents
    rows: NDArray[np.void]
    points: NDArray[np.void]
    joined: NDArray[np.void]
    peers: NDArray[np.void]
    heard: NDArray[np.void]
    measures: NDArray[np.void]
    limits: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    shapes: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    ratios: tuple[bytes, bytes] = (b"", b"")


def freeze(watch: Watch, sequence: int) -> Frozen:
    """Copy the state as it is after the message with that sequence."""
    points, ratios = watch.recent.ordered().copy(), frozen_ratios(watch.ratios)
    shapes = frozen_shapes(watch.ratios.shapes)
    limits = frozen_climbs(watch.climbs), *frozen_fullness(watch.fullness)
    contents = Contents(
        tenant=watch.tenant,
        sequence=sequence,
        names=list(watch.series.names),
        fields=_fields(),
        row_bytes=SERIES.itemsize,
        point_count=len(points),
        ring_length=len(watch.recent.ring),
        point_bytes=POINT.itemsize,
        budget=watch.budget,
        priors=watch.priors.tolist(),
        open_rows=dict(watch.open_rows),
        open_silences=list(watch.open_silences.items()),
        ticked_ms=watch.ticked_ms,
        lent_ms=watch.lent_ms,
        resumed_ms=watch.resumed_ms,
        turned_away_count=watch.series.turned_away_count,
        priced_ms=watch.priced_ms,
        joined_shape=(len(watch.together.joined), JOINED.itemsize),
        peers_shape=(len(watch.together.peers), PEER.itemsize),
        open_joint=dict(watch.open_joint),
        open_peers=dict(watch.open_peers),
        open_leaks=dict(watch.open_leaks),
        leanings=list(watch.leanings.items()),
        changes=list(watch.changes),
        opinions_seen=dict(watch.opinions_seen),
        ratio_bytes=(len(ratios[0]), len(ratios[1])),
        heard_shape=(len(watch.concert.heard), HEARD.itemsize),
        measures_shape=(len(watch.concert.measures), MEASURE.itemsize),
        open_concerts=dict(watch.open_concerts),
        full_ms=watch.full_ms,
        shape_bytes=(len(shapes[0]), len(shapes[1]), len(shapes[2])),
        limit_bytes=(len(limits[0]), len(limits[1]), len(limits[2])),
        untaught=watch.untaught.tobytes(),
        untaught_bytes=UNTAUGHT.itemsize,
    )
    rows, together = watch.series.rows[: watch.series.count].copy(), watch.together
    return Frozen(
        contents,
        rows,
        points,
        together.joined.copy(),
        together.peers.copy(),
        watch.concert.heard.copy(),
        watch.concert.measures.copy(),
        limits,
        shapes,
        ratios,
    )


def encode(frozen: Frozen) -> bytes:
    """The snapshot as bytes."""
    told = msgspec.json.encode(frozen.contents)
    parts = (frozen.rows, frozen.points, frozen.joined, frozen.peers, frozen.heard, frozen.measures)
    arrays = b"".join([*(part.tobytes() for part in parts), *frozen.limits, *frozen.shapes, *frozen.ratios])
    packed: bytes = pa.compress(arrays, codec="lz4", asbytes=True)
    return HEAD.pack(MAGIC, VERSION, 0, len(told), len(arrays)) + told + packed


def decode(body: bytes) -> tuple[Watch, int]:
    """The state that `encode` was given, and the sequence it covers.

    Raises:
        Invalid: Not a snapshot, of a version this reader does not know, or cut short.
    """
    if len(body) < HEAD.size:
        raise Invalid("The snapshot is shorter than its head.", "It is left aside: series are learned anew.")
    magic, version, _, told_length, arrays_length = HEAD.unpack_from(body)
    if magic != MAGIC or version not in (VERSION, VERSION - 1):
        raise Invalid(f"The snapshot has version {version}; this reader knows {VERSION}.", "Upgrade the reader first.")
    told_end = HEAD.size + told_length
    try:
        contents = msgspec.json.decode(body[HEAD.size : told_end], type=Contents)
        arrays = pa.decompress(body[told_end:], decompressed_size=arrays_length, codec="lz4", asbytes=True)
    except (msgspec.DecodeError, OSError) as error:
        raise Invalid("The snapshot is damaged.", "It is left aside: series are learned anew.") from error
    return _thaw(contents, arrays), contents.sequence


def _thaw(contents: Contents, arrays: bytes) -> Watch:
    count, split = len(contents.names), len(contents.names) * contents.row_bytes
    stored = np.frombuffer(arrays[:split], _dtype(contents.fields, contents.row_bytes))
    points = np.frombuffer(arrays[split:], POINT, count=contents.point_count)
    watch = Watch(contents.tenant, contents.budget, _series(contents, stored))
    watch.recent = from_points(points, contents.ring_length)
    priors = np.array(contents.priors)
    if priors.shape == watch.priors.shape:
        watch.priors = priors
    watch.open_rows, watch.open_leaks = dict(contents.open_rows), dict(contents.open_leaks)
    watch.open_silences = dict(contents.open_silences)
    watch.ticked_ms, watch.lent_ms, watch.resumed_ms = contents.ticked_ms, contents.lent_ms, contents.resumed_ms
    watch.priced_ms, watch.full_ms = contents.priced_ms, contents.full_ms
    rest = arrays[split + contents.point_count * POINT.itemsize :]
    _thaw_together(watch, contents, rest)
    _thaw_concert(watch, contents, rest)
    _thaw_derived(watch, contents, arrays)
    watch.leanings, watch.changes = dict(contents.leanings), list(contents.changes)
    watch.opinions_seen = dict(contents.opinions_seen)
    if contents.untaught_bytes == UNTAUGHT.itemsize:
        watch.untaught = np.frombuffer(contents.untaught, UNTAUGHT)
    watch.series.turned_away_count = contents.turned_away_count
    assert watch.series.count == count
    return watch


def _thaw_together(watch: Watch, contents: Contents, arrays: bytes) -> None:
    """What was known of entities and peers; learned anew where another version wrote it in another shape."""
    enrol(watch.together, watch.series.names)
    (joined, joined_bytes), (peers, peer_bytes) = contents.joined_shape, contents.peers_shape
    together, split = watch.together, joined * joined_bytes
    if joined == len(together.joined) and joined_bytes == JOINED.itemsize:
        together.joined = np.frombuffer(arrays[:split], JOINED, count=joined).copy()
        watch.open_joint = dict(contents.open_joint)
    if peers == len(together.peers) and peer_bytes == PEER.itemsize:
        together.peers = np.frombuffer(arrays[split:], PEER, count=peers).copy()
        watch.open_peers = dict(contents.open_peers)


def _thaw_concert(watch: Watch, contents: Contents, arrays: bytes) -> None:
    """What was known of measures; it stands after entities and peers."""
    enrol_measures(watch.concert, watch.series.names)
    start = sum(count * size for count, size in (contents.joined_shape, contents.peers_shape))
    (heard, heard_bytes), (measures, measure_bytes) = contents.heard_shape, contents.measures_shape
    concert, split = watch.concert, start + heard * heard_bytes
    if (heard, measures) != (len(concert.heard), len(concert.measures)):
        return
    if (heard_bytes, measure_bytes) != (HEARD.itemsize, MEASURE.itemsize):
        return
    concert.heard = np.frombuffer(arrays[start:split], HEARD, count=heard).copy()
    concert.measures = np.frombuffer(arrays[split:], MEASURE, count=measures).copy()
    watch.open_concerts = dict(contents.open_concerts)


def _thaw_derived(watch: Watch, contents: Contents, arrays: bytes) -> None:
    """What series are made of others, and what climbs: it stands last."""
    sizes = (*contents.limit_bytes, *contents.shape_bytes, *contents.ratio_bytes)
    ends = np.cumsum([len(arrays) - sum(sizes), *sizes]).tolist()
    climbs, limits, told, *shapes, by_row, by_group = (arrays[start:end] for start, end in pairwise(ends))
    names = contents.names
    watch.climbs, watch.fullness = thawed_climbs(names, climbs), thawed_fullness(names, limits, told)
    watch.ratios = thawed(names, by_row, by_group)
    watch.ratios.shapes = thawed_shapes(names, shapes, OUTCOMES)


def _series(contents: Contents, stored: NDArray[np.void]) -> Series:
    names = contents.names
    capacity = max(ROWS_FIRST, 1 << max(0, len(names) - 1).bit_length())
    rows = blank_rows(capacity)
    known = [name for name in stored.dtype.names or () if _is_known(stored.dtype, name)]
    if len(known) < len(SERIES.names or ()):
        for at, name in enumerate(names):
            start_row(rows, at, name)
    for each in known:
        rows[each][: len(names)] = stored[each]
    index = SeriesIndex.of(
        np.array([name.hi for name in names], np.uint64), np.array([name.lo for name in names], np.uint64)
    )
    series = Series(rows, index, names)
    for at, name in enumerate(names):
        series.by_entity.setdefault((name.entity_kind, name.entity_name), []).append(at)
    return series


def _is_known(dtype: np.dtype[np.void], name: str) -> bool:
    return name in (SERIES.names or ()) and dtype[name].shape == SERIES[name].shape


def _fields() -> list[Field]:
    """Where each field of a row lies, in words that another version can read."""
    places: Mapping[str, Any] = SERIES.fields or {}
    return [(name, place[0].base.str, place[1], place[0].shape) for name, place in places.items()]


def _dtype(fields: list[Field], row_bytes: int) -> np.dtype[np.void]:
    return np.dtype(
        {
            "names": [name for name, _, _, _ in fields],
            "formats": [(kind, tuple(shape)) if shape else kind for _, kind, _, shape in fields],
            "offsets": [place for _, _, place, _ in fields],
            "itemsize": row_bytes,
        }
    )
