"""What else follows a series whose clock was set back: its entity's rounds, its peers, its ratios.

`detect` notices it and goes on in the new time; whoever keeps a newest moment of their own would wait until the clock
is where it was.
"""

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.climb import Climbs
from cerebro.agents.support.concert import Concert
from cerebro.agents.support.ratios import Ratios
from cerebro.agents.support.together import Together


def set_back(  # noqa: PLR0917
    together: Together, concert: Concert, ratios: Ratios, climbs: Climbs, row: NDArray[np.int32],
    at_ms: NDArray[np.int64],
) -> None:  # fmt: skip
    """Let the newest moments of what these rows belong to be no later than theirs. Changes all four.

    Args:
        row: The series that were set back.
        at_ms: To when.
    """
    for at, moment in zip(row.tolist(), at_ms.tolist(), strict=True):
        if at < len(together.slot) and (slot := int(together.slot[at])) >= 0:
            _turn(together.joined, slot, moment, "last_ms", "onset_ms")
        if at < len(together.peers):
            _turn(together.peers, at, moment, "last_ms", "onset_ms")
        if at < len(concert.measure) and (measure := int(concert.measure[at])) >= 0:
            _turn(concert.measures, measure, moment, "at_ms")
            _turn(concert.heard, int(concert.slot[measure]), moment, "last_ms", "onset_ms")
        if at < climbs.enrolled and (place := int(climbs.place[at])) >= 0:
            _turn(climbs.state, place, moment, "last_ms", "start_ms")
        if at < ratios.enrolled and (group := int(ratios.group[at])) >= 0:
            for column in (ratios.first_ms, ratios.since_ms, ratios.last_ms):
                column[group] = min(int(column[group]), moment)
        if at < ratios.shapes.enrolled and (group := int(ratios.shapes.group[at])) >= 0:
            for column in (ratios.shapes.last_ms, ratios.shapes.since_ms):
                column[group] = min(int(column[group]), moment)


def _turn(rows: NDArray[np.void], at: int, moment: int, *names: str) -> None:
    for name in names:
        rows[name][at] = min(int(rows[name][at]), moment)
