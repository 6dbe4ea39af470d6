"""What was held of the time before a trouble, without the times of other troubles.

Of a short acquaintance gauges of what is filled, held or used keep them: a few calm minutes do not tell how far such a
thing drifts, and what has drifted on since would look like the trouble.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.held import ACQUAINTED_MS, Grid, Held, Series
from cerebro.casework.cause.picture import Role
from cerebro.casework.quiet import EDGE_MS, Stretch, quiet
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import SeriesType

ANSWERS = (Role.LATENCY, Role.ERRORS)
STEPS_MIN = 12  # that must be left, or the whole time before is taken as it was
CALM_MS_MIN = 60_000  # of which lines must have been read, or who said nothing in it may well have at other times


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
        return _with_lines(held, ())
    if not gone.any():
        return _with_lines(held, ())
    out = np.broadcast_to(gone, held.last.shape)
    if calm * grid.step_ms < ACQUAINTED_MS:
        out = out & ~_drifting(held.series)[:, None]
    kept = replace(
        held,
        mean=np.where(out, np.nan, held.mean),
        last=np.where(out, np.nan, held.last),
        spans=_spans(held.spans, grid, stretches),
    )
    return _with_lines(kept, stretches)


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


def _spans(table: pa.Table, grid: Grid, troubles: Sequence[Stretch]) -> pa.Table:
    """Those of other times; all of them where none would be left of before the onset."""
    if not table.num_rows:
        return table
    kept = table.filter(pa.array(~_within(_at_ms(table), troubles)))
    return kept if (_at_ms(kept) < grid.split_ms).any() else table


def _with_lines(held: Held, troubles: Sequence[Stretch]) -> Held:
    """With lines of other times only, however few are left: who is well may well say nothing.

    Where hardly any calm time was read, that nothing was said in it tells nothing. The lines of the other troubles are
    set aside then, and of those who were cut off it stays known.
    """
    grid, logs, at_ms = held.grid, held.logs, _at_ms(held.logs)
    wrong = _within(at_ms, troubles)
    hidden = wrong & (at_ms < grid.split_ms)
    cut_off = {who: since_ms for who, since_ms in held.cut_off.items() if _is_brief(since_ms, grid, troubles)}
    since_ms = int(at_ms.min(initial=grid.near_ms))  # a window has more than is asked of a store
    if not _is_brief(since_ms, grid, troubles):
        hidden &= _are_of(logs, cut_off)
    kept = logs.filter(pa.array(~wrong)) if wrong.any() else logs
    return replace(held, logs=kept, set_aside=logs.filter(pa.array(hidden)), cut_off=cut_off)


def _is_brief(since_ms: int, grid: Grid, troubles: Sequence[Stretch]) -> bool:
    """Whether hardly any calm time lies between this and the trouble."""
    whole = [(begin_ms, over_ms) for begin_ms, over_ms in troubles if begin_ms < over_ms]
    return sum(over_ms - begin_ms for begin_ms, over_ms in quiet(since_ms, grid.split_ms, whole)) < CALM_MS_MIN


def _are_of(lines: pa.Table, entities: Iterable[EntityKey]) -> NDArray[np.bool_]:
    """bool (line,): whether one of these wrote it."""
    owner = pc.binary_join_element_wise(lines["entity_kind"], lines["entity_name"], "/")
    mine = pc.is_in(owner, pa.array([each.text for each in entities], pa.string()))
    return np.asarray(mine.to_numpy(), np.bool_)


def _at_ms(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table["at_ns"].to_numpy() // 1_000_000, np.int64)


def _within(at_ms: NDArray[np.int64], troubles: Sequence[Stretch]) -> NDArray[np.bool_]:
    """bool (row,): whether it is of one of the times."""
    found = np.zeros(len(at_ms), np.bool_)
    for start_ms, end_ms in troubles:
        found |= (at_ms >= start_ms) & (at_ms < end_ms)
    return found
