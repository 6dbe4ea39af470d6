"""What every data set of the cause bench becomes: pictures with a truth."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cerebro.casework.cause.grid import coded, on_grid, role_of
from cerebro.casework.cause.picture import NOBODY, Picture, Role, Tracks
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.identity import TenantId

TENANT = TenantId("bench")


@dataclass(frozen=True, slots=True)
class Question:
    """One incident of a data set: what is known, and what is true."""

    set: str
    system: str
    name: str
    fault: str
    truth: str  # the entity's name
    picture: Picture
    among: frozenset[str] = field(default_factory=frozenset)  # the set's own candidates; empty for every entity
    change: bool = False  # whether it is asked which change did it, and not which entity


@dataclass(frozen=True, slots=True)
class Long:
    """Samples of many series in long form."""

    entity: NDArray[np.object_]
    signal: NDArray[np.object_]
    at_s: NDArray[np.int64]
    value: NDArray[np.float64]


Source = Callable[[Path], Iterator[Question]]


def service(name: str) -> EntityKey:
    """The entity of that name."""
    return EntityKey("service", name)


def calls(pairs: Sequence[tuple[str, str]]) -> tuple[Relation, ...]:
    """Who calls whom."""
    return tuple(Relation(TENANT, service(a), service(b), "calls") for a, b in sorted(set(pairs)) if a != b)


def columns(path: Path) -> dict[str, NDArray[np.object_]]:
    """A parquet file as numpy columns; words for what is kept as words."""
    table = pq.read_table(path)
    return {name: _plain(table.column(name)) for name in table.column_names}


def _plain(column: pa.ChunkedArray) -> NDArray[np.object_]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def tracks(
    entities: Sequence[str],
    samples: Long,
    before: Sequence[int],
    during: Sequence[int],
    roles: Callable[[str], Role] = role_of,
) -> Tracks:
    """The series on grids; times in seconds."""
    place = {name: k for k, name in enumerate(entities)}
    of_entity, entity_code = coded(samples.entity)
    of_signal, signal_code = coded(samples.signal)
    pairs, row = np.unique(entity_code * len(of_signal) + signal_code, return_inverse=True)
    owner = [of_entity[pair // len(of_signal)] for pair in pairs]
    signal = [of_signal[pair % len(of_signal)] for pair in pairs]
    at_ms = samples.at_s.astype(np.int64) * 1000
    value = samples.value.astype(np.float64)
    b_ms, d_ms = [each * 1000 for each in before], [each * 1000 for each in during]
    count = len(pairs)
    return Tracks(
        entity=np.array([place[name] for name in owner], np.int32),
        peer=np.full(count, NOBODY, np.int32),
        role=np.array([roles(name) for name in signal], np.int8),
        signal=tuple(signal),
        before=on_grid(row, at_ms, value, count, b_ms),
        during=on_grid(row, at_ms, value, count, d_ms),
        at_ms=np.array(d_ms, np.int64),
        parallel=np.zeros(count, np.bool_),
    )
