"""Whether the requests themselves bear out what series claim of them."""

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.picture import Picture
from cerebro.casework.cause.reach import HOPS_MAX
from cerebro.casework.cause.strength import Real

BORNE_OUT = 0.3  # of a slowness, in log units, that the slow tail of some own time must show
DENIED = 0.25  # of a slowness that the entity's own spans do not know of
SELDOM = 0.5  # of a slowness of what hardly a traced request came to
TRACED_MIN = 500  # spans of all entities, from which on the traces are taken to show who is asked
SPANS_MIN = 10  # of one entity, from which on they are taken to tell


def borne_out(picture: Picture, clues: Clues, needs: NDArray[np.bool_]) -> Real:
    """Less than 1 where spans tell of an entity, and no own time, its own or of anything below it, has grown so.

    Quantiles of few requests are wild; the requests themselves are not.
    """
    count = len(needs)
    times = picture.times
    seen = (times.count_before >= SPANS_MIN) & (times.count_during >= SPANS_MIN)
    spans, grown = np.zeros(count), np.zeros(count)
    np.add.at(spans, times.entity[seen], np.minimum(times.count_during, times.count_before)[seen])
    tails = times.mean_during + 2 * times.spread_during - times.mean_before - 2 * times.spread_before
    np.maximum.at(grown, times.entity[seen], np.maximum(tails, times.mean_during - times.mean_before)[seen])
    for _ in range(HOPS_MAX):
        grown = np.maximum(grown, np.where(needs, grown[None, :], 0.0).max(axis=1, initial=0.0))
    claimed = np.zeros(count)
    rows = np.flatnonzero((clues.family == Family.LATENCY) & (clues.sign > 0) & (clues.level > 0))
    np.maximum.at(claimed, clues.entity[rows], np.log1p(clues.change[rows] / clues.level[rows]))
    traced = bool(spans.sum() >= TRACED_MIN)
    told = np.where(traced & (spans < SPANS_MIN), SELDOM, 1.0)
    return np.where((spans >= SPANS_MIN) & (grown < BORNE_OUT * claimed), DENIED, told)
