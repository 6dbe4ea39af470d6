"""What series knew before a trouble, so that they can forget what it taught them once it is known as a real one.

Not only the episodes that are told teach: one that has become too dear to be told is taken for an ordinary stretch, and
as strange has then been seen. So tails are kept as they were when the trouble began and put back as a whole. Few series
are in trouble: they have a table of their own beside the rows.
"""

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import TAIL_COUNT
from cerebro.algorithms.tails import COUNT, PEAK, QUIET, RUN, TOP, TOTAL

KEPT_MS = 12 * 3_600_000  # without a word about it: a shift, after which it has become their past
TAUGHT = (COUNT, TOTAL, TOP)  # fields of a tail that a trouble moves
UNTAUGHT = np.dtype([
    ("row", "i4"),
    ("at_ms", "i8"),  # when the trouble was first told, by the entity's own clock
    ("episode_count", "f4"),
    ("tail", "f4", (TAIL_COUNT, len(TAUGHT))),
])  # fmt: skip


def nothing_kept() -> NDArray[np.void]:
    """A table of `UNTAUGHT, (0,)`."""
    return np.zeros(0, UNTAUGHT)


def keep(table: NDArray[np.void], rows: NDArray[np.void], members: list[int], at_ms: int) -> NDArray[np.void]:
    """The table with what the series of an entity know as a trouble begins; one before it that is kept stays kept.

    In the aftermath of a trouble that is known as a real one, they know what they did before that: it is kept, too.
    """
    which = np.array(members, np.int32)
    new = which[~np.isin(which, table["row"])]
    added = np.zeros(len(new), UNTAUGHT)
    added["row"], added["at_ms"], added["episode_count"] = new, at_ms, rows["episode_count"][new]
    added["tail"] = rows["tail"][new][:, :, TAUGHT]
    return np.concatenate([table, added])


def forget(table: NDArray[np.void], rows: NDArray[np.void], members: list[int], at_ms: int) -> NDArray[np.void]:
    """The table after a trouble that was under way at `at_ms` is known as a real one. Changes `rows`."""
    is_meant = np.isin(table["row"], members) & (table["at_ms"] <= at_ms)
    kept, which = table[is_meant], table["row"][is_meant]
    tails = rows["tail"][which]
    tails[:, :, TAUGHT] = np.minimum(tails[:, :, TAUGHT], kept["tail"])
    tails[:, :, PEAK], tails[:, :, QUIET] = 0.0, RUN  # clusters in the making are of the trouble, too
    rows["tail"][which] = tails
    rows["episode_count"][which] = np.minimum(rows["episode_count"][which], kept["episode_count"])
    return table[~is_meant]


def accept(table: NDArray[np.void], members: list[int]) -> NDArray[np.void]:
    """The table after what was no trouble: these series have learned what they are like."""
    return table[~np.isin(table["row"], members)]


def not_past(table: NDArray[np.void], now_ms: int) -> NDArray[np.void]:
    """What is not kept too long yet."""
    return table[now_ms - table["at_ms"] < KEPT_MS]


def kept_left(table: NDArray[np.void], now_at: NDArray[np.int64]) -> NDArray[np.void]:
    """What is kept of the series that stay; `now_at` holds their new rows, -1 for one that is gone."""
    left: NDArray[np.void] = table[now_at[table["row"]] >= 0]
    left["row"] = now_at[left["row"]]
    return left
