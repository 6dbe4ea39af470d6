"""Notice what no longer reports: an entity as a whole, or some series of one that otherwise goes on.

Time is the entities' own: where there are three or more, the hour that the second most recent has reached, so that one
sender with a fast clock makes nobody else late. One with a slow clock, or whose clock was set back, is silent only when
nothing comes of it. An entity that has fallen silent is one finding, however many series
it had.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import SILENCE_SHARE, Turn, heard_ms
from cerebro.agents.support.nature import DETAIL_KINDS
from cerebro.agents.support.watch import Series
from cerebro.algorithms.gaps import weekly_gaps

WAIT_MIN_S = 30.0
WAIT_INTERVALS_MIN = 6.0
AGE_MIN_MS = 5 * 60_000  # what has not reported this long may be a visitor
SERIES_AGE_MIN_MS = 3_600_000
SERIES_WEIGHT_MIN = 1.0  # details come and go
FORGET_MS = 86_400_000  # whatever has been silent for a day is gone


@dataclass(frozen=True, slots=True)
class Silence:
    """An entity that fell silent, or speaks again.

    Args:
        entity: Kind and name.
        rows: The series concerned.
        whole: Whether all of the entity is silent.
        turn: `OPENED`, `RETURNED`, or `SETTLED` for one that was given up.
        last_ms: Newest sample before the silence.
        wait_s: How long it has lasted.
        interval_s: How often samples came before.
        weekly: Expected count a week of waits as long.
    """

    entity: tuple[str, str]
    rows: tuple[int, ...]
    whole: bool
    turn: Turn
    last_ms: int
    wait_s: float
    interval_s: float
    weekly: float


def reached_ms(series: Series) -> int:
    """The hour on the entities' clocks: the newest sample of the second most recent of three or more, else of all."""
    if not series.count:
        return 0
    last_ms = series.rows["last_ms"][: series.count].copy()
    first = int(last_ms.argmax())
    if len(series.by_entity) <= 2:
        return int(last_ms[first])
    name = series.names[first]
    last_ms[series.by_entity[name.entity_kind, name.entity_name]] = 0
    return int(last_ms.max())


def find_silence(series: Series, now_ms: int, since_ms: int, unit: float, warmup_count: int) -> list[Silence]:
    """What has fallen silent or speaks again since the last look. Marks it in the rows.

    No wait counts from before `since_ms`, when telemetry came again after nobody had sent any.
    """
    rows = series.rows[: series.count]
    waited_s = (now_ms - np.maximum(heard_ms(rows), since_ms)) / 1000.0
    if not _anything(rows, waited_s):
        return []
    weekly = _weekly(rows, waited_s)
    found = []
    for entity, members in series.by_entity.items():
        mine = np.array(members)
        found += _returned(entity, rows, mine, waited_s)
        if entity[0] not in DETAIL_KINDS:
            found += _fallen(entity, rows, mine, waited_s, weekly, unit, warmup_count)
    return found


def _anything(rows: NDArray[np.void], waited_s: NDArray[np.float64]) -> bool:
    """Whether a closer look is worth it: the common tick has nothing overdue and nothing to clear."""
    overdue = (waited_s > _least_wait(rows)) & (rows["silent"] == 0) & (rows["last_ms"] > 0)
    return bool(overdue.any() or rows["silent"].any())


def _least_wait(rows: NDArray[np.void]) -> NDArray[np.float64]:
    return np.maximum(WAIT_MIN_S, WAIT_INTERVALS_MIN * rows["interval_s"].astype(np.float64))


def _weekly(rows: NDArray[np.void], waited_s: NDArray[np.float64]) -> NDArray[np.float64]:
    interval_s = np.maximum(rows["interval_s"].astype(np.float64), 0.01)
    columns = (rows[name].astype(np.float64) for name in ("count", "gap_count", "gap_total"))
    return weekly_gaps(np.maximum(waited_s, 0.0), interval_s, *columns)


def _fallen(  # noqa: PLR0917
    entity: tuple[str, str],
    rows: NDArray[np.void],
    mine: NDArray[np.int64],
    waited_s: NDArray[np.float64],
    weekly: NDArray[np.float64],
    unit: float,
    warmup_count: int,
) -> list[Silence]:
    known = rows[mine]
    age_ms = known["last_ms"] - known["first_ms"]
    steady = (known["count"] >= warmup_count) & (age_ms >= AGE_MIN_MS) & (known["silent"] == 0) & (known["ended"] == 0)
    speaking = (waited_s[mine] <= _least_wait(known)) & (known["last_ms"] > 0)
    overdue = steady & ~speaking & (waited_s[mine] * 1000.0 < FORGET_MS)
    if not overdue.any():
        return []
    if speaking.any():  # the entity goes on: only what is old, steady and no detail
        overdue &= (age_ms >= SERIES_AGE_MIN_MS) & (known["weight"] >= SERIES_WEIGHT_MIN)
        allowed = unit * known["weight"].astype(np.float64) * SILENCE_SHARE
        overdue &= weekly[mine] <= allowed
        return [_silence(entity, rows, mine[overdue], False, waited_s, weekly)] if overdue.any() else []
    steadiest = mine[overdue][np.argmin(weekly[mine][overdue])]
    allowed_all = unit * float(known["weight"].sum()) * SILENCE_SHARE
    if weekly[steadiest] > allowed_all:
        return []
    return [_silence(entity, rows, mine[known["silent"] == 0], True, waited_s, weekly)]


def _silence(  # noqa: PLR0917
    entity: tuple[str, str],
    rows: NDArray[np.void],
    which: NDArray[np.int64],
    whole: bool,
    waited_s: NDArray[np.float64],
    weekly: NDArray[np.float64],
) -> Silence:
    rows["silent"][which] = 1
    newest = which[np.argmax(rows["last_ms"][which])]
    return Silence(
        entity, tuple(int(at) for at in which), whole, Turn.OPENED, int(rows["last_ms"][newest]),
        float(waited_s[newest]), float(rows["interval_s"][newest]), float(weekly[newest]),
    )  # fmt: skip


def _returned(
    entity: tuple[str, str], rows: NDArray[np.void], mine: NDArray[np.int64], waited_s: NDArray[np.float64]
) -> list[Silence]:
    silent = mine[rows["silent"][mine] == 1]
    if not len(silent):
        return []
    speaks = waited_s[silent] <= _least_wait(rows[silent])
    forgotten = waited_s[silent] * 1000.0 >= FORGET_MS
    rows["silent"][silent[speaks | forgotten]] = 0
    if rows["silent"][silent].any():  # some still say nothing: the finding stays
        return []
    turn = Turn.RETURNED if speaks.any() else Turn.SETTLED
    newest = silent[np.argmax(rows["last_ms"][silent])]
    return [
        Silence(entity, tuple(int(at) for at in silent), len(silent) == len(mine), turn,
                int(rows["last_ms"][newest]), float(waited_s[newest]), float(rows["interval_s"][newest]), 0.0)
    ]  # fmt: skip
