"""Load: the one cause that travels from callers to callees.

It begins where users come in and ask more than usual, where a cache no longer answers and what it kept from the store
behind it falls on that, or where someone tries again and again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.clues import Clues, Family
from cerebro.casework.cause.reach import HOPS_MAX
from cerebro.casework.cause.strength import SURE, Real, soft

SURGED = 0.5  # of what is usual, that must come more at an entrance to be a surge
SPILT = 0.5  # of what a store is asked more, that a cache must answer less to be the reason
FLOODED = 2.0  # times as much as an entrance's requests that those of who takes from a queue have risen
MOST = 0.6  # of what someone calls
HANDED_ON = 0.1  # of what is asked of a thing, that must be asked of its caller for it to be handed on
AGAIN = ("retry", "retries")  # in the name of what a caller counts when it tries again
REFUSED = frozenset({"refused", "unreachable"})  # said by callers of what is not there
MISSED = ("miss",)  # in the name of what a cache counts when it does not have the answer


@dataclass(frozen=True, slots=True)
class Load:
    """An entry an entity.

    Args:
        begun: Nats for more load beginning here.
        carried: Whether that much more has come down to it.
    """

    begun: Real
    carried: NDArray[np.bool_]


def load_of(clues: Clues, needs: NDArray[np.bool_], takers: NDArray[np.bool_]) -> Load:
    """Where more load begins, and whom it reaches.

    Args:
        takers: Who takes work from a queue.
    """
    rise, more, nats = _asked(clues, len(needs))
    told = _is_asked(clues, len(needs))
    taken = np.where(takers & (nats >= SURE), rise, 0.0)
    # what comes by a queue needs no entrance: in parts of what is usual, no more can come down than came in
    # (here who tells of themselves does count as a caller: of a message that cannot be worked, users ask again, too)
    first = told & ~takers & ~needs[told].any(axis=0)
    flooded = (taken > 0.0) & (taken >= FLOODED * rise[first].max(initial=SURGED))
    # users whose work waits in a queue ask again: that is less than what its takers are asked more
    asked_first = (nats >= SURE) & (rise * FLOODED > taken.max(initial=0.0))
    surge, carried = _surge(needs, rise, nats, asked_first & _is_entrance(clues, needs) & ~takers)
    surge = np.maximum(surge, np.where(flooded, soft(nats), 0.0))
    spilt, washed = _spilt(clues, needs, rise, more, nats)
    tried, stormed = _tried(clues, needs, rise, more, nats)
    return Load(np.maximum(np.maximum(surge, spilt), tried), (carried | washed | stormed) & (tried == 0.0))


def _asked(clues: Clues, count: int) -> tuple[Real, Real, Real]:
    """What is asked of each entity more than usual: in parts of that, in its unit, and how sure that is."""
    rise, more, nats = np.zeros(count), np.zeros(count), np.zeros(count)
    own = (clues.family == Family.TRAFFIC) & (clues.peer < 0) & (clues.sign > 0) & (clues.level > 0)
    for row in np.flatnonzero(own):
        entity, part = clues.entity[row], clues.change[row] / clues.level[row]
        if part >= SURGED and clues.nats[row] > nats[entity]:
            rise[entity], more[entity], nats[entity] = part, clues.change[row], clues.nats[row]
    return rise, more, nats


def _is_entrance(clues: Clues, needs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether it calls others, and nobody here hands on to it what he is asked himself.

    Who is known to be asked next to nothing, and calls it often, is a user or stands for many.
    """
    count = len(needs)
    least, most = np.full(count, np.inf), np.zeros(count)
    for row in np.flatnonzero((clues.family == Family.TRAFFIC) & (clues.peer < 0)):
        entity, level = clues.entity[row], float(clues.level[row])
        least[entity], most[entity] = min(least[entity], level), max(most[entity], level + max(0.0, clues.change[row]))
    asked = np.isfinite(least)
    idle = asked[:, None] & (most[:, None] < HANDED_ON * np.where(asked, least, 0.0)[None, :])
    entrance: NDArray[np.bool_] = ~(needs & ~idle).any(axis=0) & needs.any(axis=1)
    return entrance


def _surge(
    needs: NDArray[np.bool_], rise: Real, nats: Real, entrance: NDArray[np.bool_]
) -> tuple[Real, NDArray[np.bool_]]:
    """How strongly more is asked of the entrances; and to whom that much more has come down."""
    surge = np.where(entrance, soft(nats), 0.0)
    if not entrance.any():
        return surge, np.zeros(len(needs), np.bool_)
    return surge, _washed(needs, entrance, rise >= 0.5 * rise[entrance].max()) & ~entrance


def _spilt(
    clues: Clues, needs: NDArray[np.bool_], rise: Real, more: Real, nats: Real
) -> tuple[Real, NDArray[np.bool_]]:
    """Caches that miss by as much more as a store is asked more by those who ask both; and those stores.

    Requests are conserved: what the cache does not answer, its callers ask of what lies behind. Who is asked three
    times as often misses three times as often, and that is not its doing.
    """
    spilt, flooded = _let_down(clues, needs, rise, nats)
    for row in np.flatnonzero((clues.sign > 0) & (clues.peer < 0) & (clues.family == Family.RESOURCE)):
        if not any(word in clues.text[row].lower() for word in MISSED):
            continue
        cache = int(clues.entity[row])
        callers = needs[:, cache]
        missed = clues.change[row] - clues.level[row] * rise[cache]
        behind = needs[callers].any(axis=0) & (nats >= SURE) & (missed >= SPILT * more) & ~callers
        behind[cache] = False
        if behind.any():
            spilt[cache] = max(spilt[cache], float(soft(clues.nats[row : row + 1])[0]))
            flooded |= behind
    return spilt, flooded


def _let_down(
    clues: Clues, needs: NDArray[np.bool_], rise: Real, nats: Real
) -> tuple[Real, NDArray[np.bool_]]:  # fmt: skip
    """What refuses most of its callers, when these ask something else more for it, and are asked no more themselves."""
    count = len(needs)
    spilt, flooded = np.zeros(count), np.zeros(count, np.bool_)
    told = np.flatnonzero((clues.sign > 0) & (clues.peer >= 0) & (clues.nats >= SURE))
    refusing = [row for row in told if clues.text[row] in REFUSED]
    for entity in sorted({int(clues.peer[row]) for row in refusing}):
        callers = np.unique(clues.entity[[row for row in refusing if clues.peer[row] == entity]])
        if len(callers) < MOST * needs[:, entity].sum():
            continue
        behind = needs[callers].any(axis=0) & (nats >= SURE) & (rise >= SURGED)
        behind[entity] = behind[callers] = False
        if behind.any() and (rise[callers] < 0.5 * rise[behind].max()).all():
            loudest = max(clues.nats[row] for row in refusing if clues.peer[row] == entity)
            spilt[entity] = float(soft(np.array([loudest]))[0])
            flooded |= behind
    return spilt, flooded


def _tried(
    clues: Clues, needs: NDArray[np.bool_], rise: Real, more: Real, nats: Real
) -> tuple[Real, NDArray[np.bool_]]:
    """Who tries again so often that most of what it calls is asked as much more, while it is not; and whom it reaches.

    A callee that fails is tried again by itself. That several are at one moment is their caller's doing.
    """
    count = len(needs)
    tried, stormed = np.zeros(count), np.zeros(count, np.bool_)
    asked, pressed = needs & _is_asked(clues, count)[None, :], nats >= SURE
    for row in np.flatnonzero((clues.sign > 0) & (clues.peer < 0) & (clues.nats >= SURE)):
        if not any(word in clues.text[row].lower() for word in AGAIN):
            continue
        caller = int(clues.entity[row])
        fuller = asked[caller] & pressed & (clues.change[row] >= SPILT * more) & (rise > 2.0 * rise[caller])
        if fuller.sum() >= 2 and fuller.sum() >= MOST * asked[caller].sum():
            tried[caller] = max(tried[caller], float(soft(clues.nats[row : row + 1])[0]))
            stormed |= fuller | _washed(needs, fuller, pressed)
    return tried, stormed


def _is_asked(clues: Clues, count: int) -> NDArray[np.bool_]:
    """Of whom a series tells how much is asked of it."""
    told = np.zeros(count, np.bool_)
    told[clues.entity[(clues.family == Family.TRAFFIC) & (clues.peer < 0)]] = True
    return told


def _washed(needs: NDArray[np.bool_], source: NDArray[np.bool_], wet: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What can be reached from the sources over what is wet."""
    reached, wave = np.zeros(len(needs), np.bool_), source
    for _ in range(2 * HOPS_MAX):
        wave = needs[wave].any(axis=0) & wet & ~reached & ~source
        reached |= wave
    return reached
