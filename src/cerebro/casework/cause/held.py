"""What was measured around a case, before it is a picture: series on one grid, spans, lines and changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.kernel.telemetry.port import Window
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SPAN_SCHEMA

ENTITIES = "(⟦entities⟧)"  # in the query of a proof: the things that it is about stand here
HISTORY_MS = 30 * 60_000  # before the onset, of which is learned what is usual
USUAL_MS = 10 * 60_000  # of spans and lines before the trouble: there are many more of them than samples
LEAD_MS, LEAD_MS_MIN = 60_000, 10_000  # before the onset, that may already be trouble
INTERVAL_MS = 15_000  # at which most things are sent
LEAD_INTERVALS = 4
ACQUAINTED_MS = 600_000  # watched for less, and every sample counts
STEPS_DURING = 40
STEPS_MS = (5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000)
# The columns that a picture is made of: the others are most of what is stored, resources above all.
READ_SPANS = pa.schema([
    SPAN_SCHEMA.field(name) for name in (
        "at_ns", "duration_ns", "trace_id", "span_id", "parent_span_id", "name", "kind", "status", "status_message",
        "entity_kind", "entity_name", "attributes",
    )
])  # fmt: skip
READ_LINES = pa.schema([
    LOG_SCHEMA.field(name) for name in (
        "at_ns", "observed_ns", "severity", "body", "entity_kind", "entity_name", "trace_id", "span_id", "attributes",
    )
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of one length; the first `split` of them are before the trouble."""

    start_ms: int
    step_ms: int
    count: int
    split: int

    @property
    def end_ms(self) -> int:
        """When the last step ends."""
        return self.start_ms + self.count * self.step_ms

    @property
    def split_ms(self) -> int:
        """When the trouble may have begun."""
        return self.start_ms + self.split * self.step_ms

    @property
    def near_ms(self) -> int:
        """Since when spans and lines are asked for."""
        return max(self.start_ms, self.split_ms - USUAL_MS)

    @property
    def window(self) -> Window:
        """All of it."""
        return Window(self.start_ms, self.end_ms)


def grid_around(onset_ms: int, now_ms: int, known_ms: int = HISTORY_MS, interval_ms: int = 0) -> Grid:
    """Steps fine enough for the trouble's length, and no finer than series are sent.

    The last ends now, so that it is as whole as the others: of one that has only begun, a few replicas have told yet,
    and the rest look as if they had fallen silent.

    Args:
        onset_ms: When it began, as far as is known: to a few of the intervals at which series are sent.
        now_ms: The end.
        known_ms: For how long things were watched before: of a short acquaintance little may be given away as lead.
        interval_ms: At which series are sent; 0 when that cannot be told.
    """
    interval_ms = interval_ms or (INTERVAL_MS if known_ms >= ACQUAINTED_MS else STEPS_MS[0])
    lead_ms = min(LEAD_MS, max(LEAD_MS_MIN, min(known_ms // 5, LEAD_INTERVALS * interval_ms)))
    length_ms = max(now_ms - onset_ms + lead_ms, 2 * lead_ms)
    wanted = max(length_ms / STEPS_DURING, interval_ms)
    step_ms = next((step for step in STEPS_MS if step >= wanted), STEPS_MS[-1])
    during = max(2, min(-(-length_ms // step_ms), 4 * STEPS_DURING))
    end_ms = now_ms + 1  # what was sent this very moment is in it
    split = HISTORY_MS // step_ms if step_ms * 20 < HISTORY_MS else 20
    return Grid(end_ms - (during + split) * step_ms, step_ms, split + during, split)


@dataclass(frozen=True, slots=True)
class Series:
    """What one row of the grid is of."""

    entity: EntityKey
    metric: str
    labels: Mapping[str, str]
    type: str  # a SeriesType


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that was found.

    Args:
        mean: float64 (series, step), of the samples in each step; NaN for none.
        last: float64 (series, step), the newest sample in each step; of what tells how much came on top, their sum.
        spans: At least the columns of `READ_SPANS`; `logs` those of `READ_LINES`.
        proofs: The query of each table, where a store was asked; `ENTITIES` in the place of those it is about.
        set_aside: Lines of other troubles before this one, by those of whom hardly any calm time was read.
        cut_off: Since when lines were read, Unix milliseconds, of those who wrote too many for all to be.
    """

    grid: Grid
    series: Sequence[Series] = ()
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    last: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    spans: pa.Table = field(default_factory=READ_SPANS.empty_table)
    logs: pa.Table = field(default_factory=READ_LINES.empty_table)
    events: pa.Table = field(default_factory=EVENT_SCHEMA.empty_table)
    proofs: Mapping[str, Evidence] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    set_aside: pa.Table = field(default_factory=READ_LINES.empty_table)
    cut_off: Mapping[EntityKey, int] = field(default_factory=dict)


def literal(key: EntityKey) -> str:
    """An entity as a tuple of ClickHouse's SQL.

    >>> literal(EntityKey("service", "o'neill"))
    "('service', 'o\\\\'neill')"
    """
    return f"({_text(key.kind)}, {_text(key.name)})"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Source(Protocol):
    """Where telemetry around a case is looked for."""

    async def interval_ms(self, tenant: TenantId, entities: Sequence[EntityKey], now_ms: int) -> int:
        """At which the series of these entities were sent lately; 0 when that cannot be told."""
        ...

    async def held(self, tenant: TenantId, entities: Sequence[EntityKey], grid: Grid) -> Held:
        """What there is of these entities on the grid; bounded, whatever there is.

        Raises:
            Unavailable: It does not answer.
        """
        ...
