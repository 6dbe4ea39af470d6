"""What was held of the time before a trouble, without the times of other troubles.

Of a short acquaintance gauges of what is filled, held or used keep them: a few calm minutes do not tell how far such a
thing drifts, and what has drifted on since would look like the trouble.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.held import ACQUAINTED_MS, Grid, Held, Series
from cerebro.casework.cause.picture import Role
from cerebro.casework.quiet import Stretch
from cerebro.spine.telemetry import SeriesType

ANSWERS = (Role.LATENCY, Role.ERRORS)
STEPS_MIN = 12  # that must be left, or the whole time before is taken as it was


def without(held: Held, troubles: Sequence[Stretch], onset_ms: int) -> Held:
    """The same with nothing in it of those times, as far as they lie before the onset and something usual is left.

    What drifts keeps them where less than `ACQUAINTED_MS` of calm would be left.
    """
    grid = held.grid
    troubles = [(begin_ms, min(over_ms, onset_ms)) for begin_ms, over_ms in troubles]
    gone = _wrong(grid, troubles)
    wrong = gone[: grid.split]
    measured = np.isfinite(held.last[:, : held.grid.split]).sum(axis=0) > 0 if held.last.size else ~wrong
    calm = int((measured & ~wrong).sum())
    if not gone.any() or calm < STEPS_MIN:
        return held
    out = np.broadcast_to(gone, held.last.shape)
    if calm * grid.step_ms < ACQUAINTED_MS:
        out = out & ~_drifting(held.series)[:, None]
    return replace(
        held,
        mean=np.where(out, np.nan, held.mean),
        last=np.where(out, np.nan, held.last),
        spans=_rows(held.spans, grid, troubles, keep_some=True),
        logs=_rows(held.logs, grid, troubles, keep_some=False),  # who is well may well say nothing
    )


def _drifting(series: Sequence[Series]) -> NDArray[np.bool_]:
    """bool (series,): the gauges that tell how full something is, and not how users are answered."""
    return np.array(
        [each.type == SeriesType.GAUGE and role_of(each.metric) not in ANSWERS for each in series], np.bool_
    )


def _wrong(grid: Grid, troubles: Sequence[Stretch]) -> NDArray[np.bool_]:
    """bool (step,): whether a step touches one of the times."""
    begin_ms = grid.start_ms + np.arange(grid.count, dtype=np.int64) * grid.step_ms
    found = np.zeros(grid.count, np.bool_)
    for start_ms, end_ms in troubles:
        found |= (begin_ms < end_ms) & (begin_ms + grid.step_ms > start_ms)
    return found


def _rows(table: pa.Table, grid: Grid, troubles: Sequence[Stretch], *, keep_some: bool) -> pa.Table:
    """The rows of other times.

    Args:
        keep_some: Whether all are kept where none would be left of before the onset.
    """
    if not table.num_rows:
        return table
    at_ms = table["at_ns"].to_numpy() // 1_000_000
    wrong = np.zeros(len(at_ms), np.bool_)
    for start_ms, end_ms in troubles:
        wrong |= (at_ms >= start_ms) & (at_ms < end_ms)
    kept = table.filter(pa.array(~wrong))
    if keep_some and not (kept["at_ns"].to_numpy() // 1_000_000 < grid.split_ms).any():
        return table
    return kept
