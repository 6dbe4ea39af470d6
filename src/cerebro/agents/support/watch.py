"""The watched series of one tenant: who they are, their rows of state, what was seen last."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import TAIL_COUNT, THRESHOLDS_MIN, SeriesName, Test, blank_rows
from cerebro.agents.support.nature import FAILING, FAMILY_COUNT, nature_of
from cerebro.algorithms.index import EMPTY, SeriesIndex
from cerebro.algorithms.tails import COUNT, PRIOR_EXCESS, RATE, THRESHOLD, TOTAL

ROWS_FIRST = 256
# Of each test. Single samples have the heaviest tails: a cron job, a collection of garbage, a backup.
GENERAL_PRIOR = np.array([2 * PRIOR_EXCESS, PRIOR_EXCESS, PRIOR_EXCESS, PRIOR_EXCESS, 0.6 * PRIOR_EXCESS])
# How many fail of many who ask is nearly a matter of counting: its tails are light unless a family shows otherwise.
FAILING_PRIOR = 0.35
LEND_COUNT = 200.0  # peaks that the general prior weighs in a family's
LENT_COUNT_MIN = 3.0  # peaks that a series must have shown to lend
EXCESS_MIN, EXCESS_MAX = 0.15, 2.0
EXCESS_BINS = 64


@dataclass(slots=True)
class Series:
    """State in rows, `SERIES, (capacity,)`, of which the first `count` are in use, and their names beside it.

    The owner of the value changes it in place; nobody else does.
    """

    rows: NDArray[np.void]
    index: SeriesIndex
    names: list[SeriesName] = field(default_factory=list)
    by_entity: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    turned_away_count: int = 0

    @property
    def count(self) -> int:
        """Series watched."""
        return len(self.names)

    @property
    def byte_count_per_series(self) -> int:
        """Bytes of state a series: its row, its 128-bit name and its slots in the index."""
        return self.rows.dtype.itemsize + 16 + 2 * self.index.slot.itemsize * 2


def no_series() -> Series:
    """Nothing watched yet."""
    return Series(blank_rows(ROWS_FIRST), SeriesIndex.empty())


def admit_series(series: Series, names: Iterable[SeriesName], series_max: int) -> None:
    """Begin to watch those not watched yet; beyond `series_max` they are counted and left alone."""
    fresh = list({(name.hi, name.lo): name for name in names}.values())
    if not fresh:
        return
    hi, lo = (np.array([getattr(name, part) for name in fresh], np.uint64) for part in ("hi", "lo"))
    unknown = [fresh[k] for k in np.flatnonzero(series.index.find(hi, lo) == EMPTY)]
    room = max(0, series_max - series.count)
    series.turned_away_count += len(unknown[room:])
    for name in unknown[:room]:
        _begin(series, name)


def _begin(series: Series, name: SeriesName) -> None:
    hi, lo = np.array([name.hi], np.uint64), np.array([name.lo], np.uint64)
    at = int(series.index.add(hi, lo)[0])
    if at == len(series.rows):
        series.rows = _doubled(series.rows)
    series.names.append(name)
    series.by_entity.setdefault((name.entity_kind, name.entity_name), []).append(at)
    start_row(series.rows, at, name)


def _doubled(rows: NDArray[np.void]) -> NDArray[np.void]:
    larger = blank_rows(2 * len(rows))
    larger[: len(rows)] = rows
    return larger


def start_row(rows: NDArray[np.void], at: int, name: SeriesName) -> None:
    """Make the row that of a series nobody has seen a sample of."""
    nature = nature_of(name)
    row = rows[at]
    row["family"], row["reading"], row["scale"] = nature.family, int(nature.reading), nature.scale
    row["offset"], row["floor"], row["floor_share"] = nature.offset, nature.floor, nature.floor_share
    row["prior"], row["weight"] = nature.prior, nature.weight
    row["change_min"], row["change_share_min"] = nature.change_min, nature.change_share_min
    tail = row["tail"]
    tail[:, THRESHOLD], tail[:, RATE] = THRESHOLDS_MIN, 0.02


def priors_of(rows: NDArray[np.void]) -> NDArray[np.float64]:
    """What the series of a family lend each other: the mean log-excess of their peaks, float64, (family, test).

    Pooled over the family and held near the general prior while the family has few peaks: empirical Bayes. Of single
    samples the mean of all peaks, for the few heavy ones are what a newcomer has to expect; of stretches that of the
    middle series, for a few whose stretches were troubles say nothing of the others.

    Source: B. Efron and C. Morris, Stein's Estimation Rule and Its Competitors, J. Am. Stat. Assoc. 68 (1973), 117-130;
    the median for the mean after P. J. Huber, Robust Estimation of a Location Parameter, Ann. Math. Stat. 35 (1964),
    73-101.
    """
    general = no_priors()
    priors = general.copy()
    family = rows["family"].astype(np.int64)
    for test in range(TAIL_COUNT):
        count, total = rows["tail"][:, test, COUNT], rows["tail"][:, test, TOTAL]
        lends = count >= (0.0 if test == Test.SPIKE else LENT_COUNT_MIN)
        counts = np.bincount(family[lends], count[lends], FAMILY_COUNT)
        if test == Test.SPIKE:
            lent = np.asarray(np.bincount(family, total, FAMILY_COUNT), np.float64)
        else:
            lent = counts * _middle(family[lends], total[lends] / count[lends])
        priors[:, test] = (LEND_COUNT * general[:, test] + lent) / (LEND_COUNT + counts)
    return np.asarray(np.clip(priors, EXCESS_MIN, EXCESS_MAX))


def _middle(family: NDArray[np.int64], excess: NDArray[np.float32]) -> NDArray[np.float64]:
    """The median of each family to the width of a bin, 4 %, without sorting; 0 for a family without any."""
    reach = np.log(EXCESS_MAX / EXCESS_MIN)
    place = np.log(np.clip(excess, EXCESS_MIN, EXCESS_MAX) / EXCESS_MIN) / reach * (EXCESS_BINS - 1)
    cells = np.bincount(family * EXCESS_BINS + np.rint(place).astype(np.int64), minlength=FAMILY_COUNT * EXCESS_BINS)
    upto = cells.reshape(FAMILY_COUNT, EXCESS_BINS).cumsum(axis=1)
    bins = (2 * upto < upto[:, -1:]).sum(axis=1)
    return np.asarray(np.where(upto[:, -1] > 0, EXCESS_MIN * np.exp(reach * bins / (EXCESS_BINS - 1)), 0.0))


def no_priors() -> NDArray[np.float64]:
    """The general prior of every family."""
    priors = np.tile(GENERAL_PRIOR, (FAMILY_COUNT, 1))
    priors[2 * FAILING : 2 * FAILING + 2] *= FAILING_PRIOR
    return priors
