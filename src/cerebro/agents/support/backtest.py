"""What would have fired: stored samples of one series through the same detector, as if it began with them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.band import Band, band_of
from cerebro.agents.support.detect import detect
from cerebro.agents.support.model import KINDS, Judged, SeriesName, Turn, blank_rows
from cerebro.agents.support.watch import no_priors, start_row
from cerebro.agents.support.words import amount, rarity

ENDS = {Turn.RETURNED: "back", Turn.SETTLED: "settled"}


@dataclass(frozen=True, slots=True)
class Fired:
    """One finding that would have been told.

    Args:
        at_ms: When it would have been told.
        kind: Which test.
        value: At that moment, in the unit of the series.
        expected: The same.
        low: Of the band.
        high: Of the band.
        weekly: Expected count a week of something as strange.
        effect: In half-widths of the band.
        ended_ms: When it would have been cleared; 0 while it lasts.
        ended: `back`, `settled` or empty.
        sentence: In words.
    """

    at_ms: int
    kind: str
    value: float
    expected: float
    low: float
    high: float
    weekly: float
    effect: float
    ended_ms: int
    ended: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a stretch: its band, what fired, and how many samples were judged."""

    band: Band
    fired: tuple[Fired, ...]
    judged_count: int


def backtest(
    name: SeriesName,
    at_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    *,
    unit: float,
    warmup_count: int,
    from_ms: int,
    wall_ms: NDArray[np.int64] | None = None,
) -> Replay:
    """Replay a series.

    Args:
        name: Its nature follows from it.
        at_ms: In time order.
        value: As received.
        unit: Expected false findings a week that a series of weight 1 may cause.
        warmup_count: Samples before it is judged.
        from_ms: What fires before is learning, and not told.
        wall_ms: That of `detect`.
    """
    rows = blank_rows(1)
    start_row(rows, 0, name)
    judged = detect(
        rows, np.zeros(len(at_ms), np.int32), at_ms, value,
        unit=unit, priors=no_priors(), warmup_count=warmup_count, wall_ms=wall_ms,
    )  # fmt: skip
    learning = np.arange(len(at_ms)) < warmup_count
    bounds = band_of(rows[0], np.where(learning, np.float32(np.nan), judged.predicted), judged.band, judged.value)
    band = Band(at_ms, judged.value, *bounds)
    turns = [int(k) for k in np.flatnonzero(judged.turn)]
    fired = []
    for place, k in enumerate(turns):
        if judged.turn[k] != int(Turn.OPENED) or at_ms[k] < from_ms:
            continue
        end = next((each for each in turns[place + 1 :] if judged.turn[each] != int(Turn.OPENED)), None)
        fired.append(_fired(name, band, judged, k, end))
    return Replay(band, tuple(fired), judged.judged_count)


def _fired(name: SeriesName, band: Band, judged: Judged, k: int, end: int | None) -> Fired:
    value, expected, low, high = (float(part[k]) for part in (band.value, band.expected, band.low, band.high))
    weekly = float(judged.weekly[k])
    return Fired(
        at_ms=int(band.at_ms[k]),
        kind=KINDS[int(judged.test[k])],
        value=value,
        expected=expected,
        low=low,
        high=high,
        weekly=weekly,
        effect=float(judged.effect[k]),
        ended_ms=int(band.at_ms[end]) if end is not None else 0,
        ended=ENDS[Turn(int(judged.turn[end]))] if end is not None else "",
        sentence=(
            f"{amount(value, name)} where {amount(low, name)} to {amount(high, name)} was expected; "
            f"on ordinary days something as strange is expected {rarity(weekly)}."
        ),
    )
