"""Values of keys in log lines that come from a small set (`state=READY`), and those that the set did not hold.

A key of a template is a *choice* once 200 lines have shown at most eight values of it. A value that comes after that is
strange for its first ten minutes; then it belongs to the set. A key that shows more values is none, for good.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LINES_MIN = 200
VALUES_MAX = 8
STRANGE_MS = 600_000
PLACES_MAX = 20_000  # keys of templates; beyond it new ones are not looked at


@dataclass(slots=True)
class Choice:
    """A key of a template: its lines, and when each of its values came first. More than eight values: none are kept."""

    line_count: int = 0
    values: dict[str, int] = field(default_factory=dict)  # by hash in hex, so that a snapshot can hold it
    wide: bool = False
    ready: bool = False


def strange(
    choices: dict[str, Choice], pair: NDArray[np.int64], values: NDArray[np.uint64], at_ms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The rows with a value that is strange in its place. Changes `choices`.

    Args:
        values: Hashes of each line's first values, (line, place); 0 where there is none.
    """
    found: list[NDArray[np.int64]] = []
    for place in range(values.shape[1]):
        rows = np.flatnonzero((values[:, place] > 0) & (pair >= 0))
        pairs, inverse = np.unique(pair[rows], return_inverse=True)
        for k, at in enumerate(pairs.tolist()):
            key = f"{at}/{place}"
            choice = choices.get(key)
            if choice is None:
                if len(choices) >= PLACES_MAX:
                    continue
                choice = choices[key] = Choice()
            if choice.wide:
                continue
            mine = rows[inverse == k]
            found += _odd(choice, mine, values[mine, place], at_ms)
            choice.line_count += len(mine)
            choice.ready = choice.ready or choice.line_count >= LINES_MIN
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _odd(
    choice: Choice, rows: NDArray[np.int64], values: NDArray[np.uint64], at_ms: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    found: list[NDArray[np.int64]] = []
    for value in np.unique(values).tolist():
        mine, name = rows[values == value], f"{value:x}"
        moment = int(at_ms[mine].min())
        if name not in choice.values:
            if len(choice.values) >= VALUES_MAX:
                choice.wide, choice.values = True, {}
                return found
            choice.values[name] = moment if choice.ready else 0
        if moment - choice.values[name] < STRANGE_MS:
            found.append(mine)
    return found
