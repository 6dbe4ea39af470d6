"""What is known around a case, in columns: the only thing a diagnosis looks at.

A picture has two stretches: `before`, when all was well, and `during`, from a little before the first sign of trouble
until now. It may hold any part of what follows; what is missing is a gap of the diagnosis, and no error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.findings import Evidence

NOBODY = -1  # in a column of entities: there is none


class Role(IntEnum):
    """What a series says of its entity."""

    RESOURCE, LATENCY, ERRORS, TRAFFIC, OTHER = 0, 1, 2, 3, 4
    WAITING = 5  # what is held while others are waited for: threads, connections, pools, queues, tries


@dataclass(frozen=True, slots=True)
class Tracks:
    """Series on two grids, a row each; NaN where nothing was measured.

    Args:
        entity: int32 (track,), whose it is; an index into `Picture.entities`.
        peer: int32 (track,), whom the entity called when this was measured; `NOBODY` for a series of its own.
        role: int8 (track,), a `Role`.
        before: float64 (track, step).
        during: float64 (track, step).
        at_ms: int64 (step,), the times of `during`.
        query: (track,), what to ask to see it; may be shorter than the tracks, then nothing can be asked.
        parallel: bool (track,), whether `before` is not an earlier time but another version of the same thing at
            the same time, as in a canary.
    """

    entity: NDArray[np.int32]
    peer: NDArray[np.int32]
    role: NDArray[np.int8]
    signal: tuple[str, ...]
    before: NDArray[np.float64]
    during: NDArray[np.float64]
    at_ms: NDArray[np.int64]
    parallel: NDArray[np.bool_]
    query: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.signal)


@dataclass(frozen=True, slots=True)
class Tallies:
    """Things counted, a row each: so many of so many before, and during.

    Kinds: `log` (lines of a template of all lines), `pair` (a template followed by another within a span), `branch`
    (an operation that called another), `error` (failed requests whose callees did not fail), `call` (failed calls to
    a peer), `absent` (a thing that was heard of and is not), `said` and `blames` (of all lines, those that speak of a
    kind of trouble: its own, or a peer's; of nothing before, where it is not known whether it was said then).
    """

    entity: NDArray[np.int32]
    peer: NDArray[np.int32]
    kind: tuple[str, ...]
    text: tuple[str, ...]
    severity: NDArray[np.int8]  # OpenTelemetry severity number; 0 unknown
    hits_before: NDArray[np.float64]
    of_before: NDArray[np.float64]
    hits_during: NDArray[np.float64]
    of_during: NDArray[np.float64]
    query: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class Times:
    """How long operations took by themselves, without what they waited for: log milliseconds, a row an operation.

    With a `peer`, it is the time between asking the peer and what the peer says it took: the wire, and a peer that
    tells nothing of itself.
    """

    entity: NDArray[np.int32]
    peer: NDArray[np.int32]
    operation: tuple[str, ...]
    mean_before: NDArray[np.float64]
    spread_before: NDArray[np.float64]
    count_before: NDArray[np.float64]
    mean_during: NDArray[np.float64]
    spread_during: NDArray[np.float64]
    count_during: NDArray[np.float64]
    query: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.operation)


@dataclass(frozen=True, slots=True)
class Calls:
    """What a caller measures of its calls to one callee.

    Args:
        failing: Whether of late more fail than usual.
        slow: Whether of late they take longer.
        well: Whether some were made of late, and at no time of the trouble they did either.
        ceased: Whether of late hardly any is made.
    """

    failing: bool
    slow: bool
    well: bool
    ceased: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Something that someone did."""

    entity: EntityKey
    at_ms: int
    kind: str  # deploy config flag restart scale migration schedule …
    title: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A finding, as far as a diagnosis needs it."""

    entity: EntityKey
    kind: str
    signal: str
    at_ms: int
    effect: float
    title: str


def no_tracks() -> Tracks:
    """Not one series."""
    none = np.zeros(0, np.int32)
    empty = np.zeros((0, 0))
    return Tracks(none, none, none.astype(np.int8), (), empty, empty, np.zeros(0, np.int64), none.astype(np.bool_))


def no_tallies() -> Tallies:
    """Nothing counted."""
    none, real = np.zeros(0, np.int32), np.zeros(0)
    return Tallies(none, none, (), (), none.astype(np.int8), real, real, real, real)


def no_times() -> Times:
    """No operation."""
    none = np.zeros(0)
    nobody = np.zeros(0, np.int32)
    return Times(nobody, nobody, (), none, none, none, none, none, none)


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it.

    Args:
        relations: From what needs to what is needed.
        alarmed: Where it was noticed that something is wrong; empty when that is not known.
        start_ms: When `before` begins.
        onset_ms: When the first sign was seen, as far as the findings tell.
        end_ms: When the picture was taken.
        engine: That answers the queries.
        gaps: What could not be looked at, a sentence each.
        doubted: Lines on answers of suppliers that look well, to be heard where nothing else explains the speaker.
        edges: By caller and callee, calls as their caller measures them; with `NOBODY` for a callee, what it answers.
    """

    entities: tuple[EntityKey, ...]
    relations: tuple[Relation, ...] = ()
    alarmed: tuple[EntityKey, ...] = ()
    start_ms: int = 0
    onset_ms: int = 0
    end_ms: int = 0
    tracks: Tracks = field(default_factory=no_tracks)
    tallies: Tallies = field(default_factory=no_tallies)
    times: Times = field(default_factory=no_times)
    changes: tuple[Change, ...] = ()
    signs: tuple[Sign, ...] = ()
    proofs: Mapping[str, Evidence] = field(default_factory=dict)  # whole queries, by the table that they filled
    engine: str = "clickhouse"
    gaps: tuple[str, ...] = ()
    edges: Mapping[tuple[int, int], Calls] = field(default_factory=dict)
    doubted: Tallies = field(default_factory=no_tallies)


def chosen_tallies(tallies: Tallies, kept: NDArray[np.bool_]) -> Tallies:
    """Those rows of them, in their order."""
    at = np.flatnonzero(kept).tolist()
    return Tallies(
        tallies.entity[at],
        tallies.peer[at],
        tuple(tallies.kind[k] for k in at),
        tuple(tallies.text[k] for k in at),
        tallies.severity[at],
        tallies.hits_before[at],
        tallies.of_before[at],
        tallies.hits_during[at],
        tallies.of_during[at],
        tuple(tallies.query[k] if k < len(tallies.query) else "" for k in at),
    )


def joined_tallies(parts: Sequence[Tallies]) -> Tallies:
    """All of them in one."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_tallies()
    return Tallies(
        np.concatenate([part.entity for part in parts]),
        np.concatenate([part.peer for part in parts]),
        tuple(kind for part in parts for kind in part.kind),
        tuple(text for part in parts for text in part.text),
        np.concatenate([part.severity for part in parts]),
        np.concatenate([part.hits_before for part in parts]),
        np.concatenate([part.of_before for part in parts]),
        np.concatenate([part.hits_during for part in parts]),
        np.concatenate([part.of_during for part in parts]),
        tuple(part.query[k] if k < len(part.query) else "" for part in parts for k in range(len(part))),
    )
