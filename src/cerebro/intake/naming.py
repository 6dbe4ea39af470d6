"""From readings to a batch of samples: each series gets its two hashes once and is named until the bus has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cerebro.intake.decode.identity import series_id
from cerebro.intake.entity import entity_of
from cerebro.intake.proc.reading import CATALOGUE, Labels, Reading
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, no_series

SERIES_MAX = 20_000  # remembered; beyond it everything is forgotten and named anew, which costs one larger message

Key = tuple[str, Labels]
SeriesId = tuple[int, int]


@dataclass(slots=True)
class Naming:
    """Knows the series of one observer, and which of them the bus has the names of.

    Args:
        common: Labels that every series carries, such as `host.name`.
    """

    common: Labels
    _ids: dict[Key, SeriesId] = field(default_factory=dict)
    _named: set[Key] = field(default_factory=set)

    def batch(self, readings: Sequence[Reading], at_ms: int) -> tuple[SampleBatch, frozenset[Key]]:
        """The readings as samples of one moment, and the series among them that are named here.

        Tell `named` about those once the bus has the batch; until then each batch names them again.
        """
        if len(self._ids) > SERIES_MAX:
            self._ids.clear()
            self._named.clear()
        ids = np.array([self._id((reading.metric, reading.labels)) for reading in readings], np.uint64).reshape(-1, 2)
        fresh = {(reading.metric, reading.labels) for reading in readings} - self._named
        batch = SampleBatch(
            hi=ids[:, 0].copy(),
            lo=ids[:, 1].copy(),
            at_ms=np.full(len(readings), at_ms, np.int64),
            value=np.array([reading.value for reading in readings], np.float64),
            series=self._table(sorted(fresh)) if fresh else no_series(),
        )
        return batch, frozenset(fresh)

    def named(self, keys: frozenset[Key]) -> None:
        """The bus has these names now."""
        self._named |= keys

    def _id(self, key: Key) -> SeriesId:
        if (known := self._ids.get(key)) is not None:
            return known
        metric, labels = key
        found = self._ids[key] = series_id(metric, dict((*self.common, *labels)))
        return found

    def _table(self, keys: Sequence[Key]) -> pa.Table:
        """What the series stand for, as SERIES_SCHEMA."""
        rows = []
        for key in keys:
            metric, own = key
            labels = dict(sorted((*self.common, *own)))
            kind, unit = CATALOGUE[metric]
            entity_kind, entity_name = entity_of(labels)
            hi, lo = self._id(key)
            rows.append((hi, lo, metric, list(labels.items()), kind.value, unit, entity_kind, entity_name))
        columns = [
            pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SERIES_SCHEMA, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=SERIES_SCHEMA)
