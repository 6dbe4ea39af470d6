"""How many users there are at an hour: a day with two humps, a quieter weekend, and a slow drift of the weeks."""

import numpy as np
from numpy.typing import NDArray

DAY_S, WEEK_S = 86_400.0, 604_800.0
THURSDAY = 4  # the first day of Unix time, Sunday being 0


def demand(at_s: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Load beside its mean over the week at those Unix times; between a quarter and twice of it.

    The hour of the peak, the depth of the night and of the weekend are drawn from the seed, and are the estate's own.
    """
    chance = np.random.default_rng([seed, 2])
    peak_s, night, lunch = chance.uniform(11.0, 20.0) * 3600.0, chance.uniform(0.35, 0.55), chance.uniform(0.08, 0.2)
    weekend, drift = chance.uniform(0.6, 0.95), chance.uniform(-0.02, 0.04)
    turn = 2.0 * np.pi * (at_s - peak_s) / DAY_S
    daily = 1.0 + night * np.cos(turn) + lunch * np.cos(2.0 * turn + 0.7)
    day = (np.floor(at_s / DAY_S) + THURSDAY) % 7
    hour = at_s % DAY_S / 3600.0
    # The two days of the weekend, with edges of three hours rather than a step at midnight.
    sunday = np.where(day == 0, np.minimum(1.0, (24.0 - hour) / 3.0), 0.0)
    into = np.where(day == 6, np.minimum(1.0, hour / 3.0), sunday)
    weekly = 1.0 - (1.0 - weekend) * into
    return np.maximum(0.25, daily * weekly * (1.0 + drift * np.sin(2.0 * np.pi * at_s / (5.0 * WEEK_S))))
