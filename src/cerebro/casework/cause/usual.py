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
from cerebro.casework.quiet import EDGE_MS, Stretch
from cerebro.spine.telemetry import SeriesType

ANSWERS = (Role.LATENCY, Role.ERRORS)
STEPS_MIN = 12  # that must be left, or the whole time before is taken as it was


def without(held: Held, troubles: Sequence[Stretch], onset_ms: int) -> Held:
    """The same with nothing in it of those times, as far as they lie before the onset and something usual is left.

    Where one trouble follows the other so closely that nothing else is left, what lies between two of them is usual,
    up to the first sign of the next. What drifts keeps them where less than `ACQUAINTED_MS` of calm would be left.

    Args:
        troubles: From `EDGE_MS` before the first sign to `EDGE_MS` after the end, Unix milliseconds.
        onset_ms: Of the trouble that is looked at.
    """
    grid, told = held.grid, _told(held)
    wide = [(begin_ms, min(over_ms, onset_ms)) for begin_ms, over_ms in troubles]
    near = [(begin_ms + EDGE_MS, min(over_ms - EDGE_MS, onset_ms)) for begin_ms, over_ms in troubles]
    for stretches in (wide, near):
        gone = _wrong(grid, stretches)
        calm = int((told & ~gone[: grid.split]).sum())
        if calm >= STEPS_MIN:
            break
    else:
        return held
    if not gone.any():
        return held
    out = np.broadcast_to(gone, held.last.shape)
    if calm * grid.step_ms < ACQUAINTED_MS:
        out = out & ~_drifting(held.series)[:, None]
    return replace(
        held,
        mean=np.where(out, np.nan, held.mean),
        last=np.where(out, np.nan, held.last),
        spans=_rows(held.spans, grid, stretches, keep_some=True),
        logs=_rows(held.logs, grid, stretches, keep_some=False),  # who is well may well say nothing
    )


def _told(held: Held) -> NDArray[np.bool_]:
    """bool (step before the trouble,): whether anything was measured in it; all of them where there is no series."""
    split = held.grid.split
    return np.asarray(np.isfinite(held.last[:, :split]).any(axis=0)) if held.last.size else np.ones(split, np.bool_)


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
        if start_ms < end_ms:
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
