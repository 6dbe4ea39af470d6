"""What callers tell of those they call: of the way to them, and of those who tell nothing themselves."""

import re

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.answers import DURATION
from cerebro.casework.cause.clues import NATS_MIN, Clues, Family
from cerebro.casework.cause.excess import IMMATERIAL
from cerebro.casework.cause.homemade import CROWDED, GIVEN_UP, WIRES
from cerebro.casework.cause.picture import NOBODY, Picture
from cerebro.casework.cause.strength import SECOND, Real, combined, soft

# Of all its callers' unexplained suffering that a silent thing is accused by: of one caller, less than the caller
# itself; of two, more than either, since two reasons at one moment are rarer than one.
SILENT_PART, SILENT_MOST = 0.7, 1.5
ALONE_PART = 0.5  # where a callee has one caller, nobody else can say
DOUBT = 0.1  # at least so much of what a caller sees is laid on the callee


# What callers see of a callee that only hands on what it was given itself: an answer, however bad. What they see
# of the way to it, of its name or of its certificate is not handed on.
FAILURES = frozenset({"failing", "thrown", "garbled", "limited", "calls"})
DELAYS = frozenset({"late", "busy"})
WAY = "wire.mean"  # of a call, what its two ends do not share
WAYS = 3.0  # calls of one callee that an answer waits for, at most, one after another
NEVER_CAME = re.compile(r"^(unresolved|refused|unreachable|untrusted)$")  # nobody gives up what has not begun
HOMEMADE = re.compile(f"^({re.escape(GIVEN_UP)}|{re.escape(CROWDED)})$")


def wire_of(clues: Clues, count: int, handed_on: tuple[Real, Real, Real] | None = None) -> Real:
    """What callers see accuses a callee as far as its other callers see it, and a caller as far as all it calls do so.

    That three callees fail one caller at one moment, and nobody else, has one reason more likely than three. What a
    caller gives up although it is answered is its own doing.

    Args:
        handed_on: 0 … 1 an entity, the part of its slowness and of its failing that what it needs explains: its callers
            see both again; and the part that its machine explains: who waits for a processor opens the door late.
    """
    found, told = np.zeros((count, count)), np.zeros((count, count), np.bool_)
    every = np.flatnonzero((clues.peer >= 0) & (clues.family != Family.TRAFFIC))
    mine = every[(clues.sign[every] > 0) & (clues.nats[every] >= NATS_MIN)]
    if not len(mine):
        return np.zeros(count)
    nats = soft(clues.nats[mine]) * _material(clues, mine)
    np.maximum.at(found, (clues.entity[mine], clues.peer[mine]), nats)
    told[clues.entity[every], clues.peer[every]] = True
    seen = found > 0
    # of the other callers of the same callee, how many see it; of the other callees of the same caller, how many fail
    others = np.where(told.sum(0)[None, :] > 1, _company(found.T, told.T).T, ALONE_PART)
    rival = _company(found, told)
    others = np.maximum(others, DOUBT)
    blame = np.where(seen, others / (others + rival), 0.0)
    homemade, torn, lost = (_marked(clues, mine, told, words) for words in (HOMEMADE, WIRES, NEVER_CAME))
    blame = np.where(torn, np.minimum(blame, _torn_blame(torn, _marked(clues, every, told, WIRES))), blame)
    blame[homemade & ~lost] = 0.0
    callee = combined((found * blame * _fresh(clues, mine, nats, found, handed_on)).T)
    several = (seen.sum(1) > 1) | (seen & (blame < 0.5)).any(1)
    caller = np.where(several, _together(found * (1.0 - blame) * seen), 0.0)
    return np.asarray(np.maximum(callee, caller) + SECOND * np.minimum(callee, caller))


def _material(clues: Clues, mine: NDArray[np.int64]) -> Real:
    """How far what is lost on a way is of the size of what the caller has too much of, for each of these clues.

    What takes as long as ever, on a way that is a millisecond longer, is no trouble of that way.
    """
    text = np.array(clues.text)
    slower = np.full(max(int(clues.entity.max(initial=0)), int(clues.peer.max(initial=0))) + 1, np.nan)
    own = np.flatnonzero((clues.peer < 0) & (text == DURATION))
    slower[clues.entity[own]] = np.where(clues.nats[own] >= NATS_MIN, clues.change[own], 0.0)
    excess = slower[clues.entity[mine]]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(excess > 0, np.clip(WAYS * clues.change[mine] / excess, IMMATERIAL, 1.0), IMMATERIAL)
    return np.where((text[mine] == WAY) & np.isfinite(excess), part, 1.0)


def _company(found: Real, told: NDArray[np.bool_]) -> Real:
    """For each sight, 0 … 1: of the others in its row that could be seen, how many are, each as far as it is as clear.

    What is seen faintly beside something that shouts is an echo of it, and no second voice.
    """
    company = np.zeros_like(found)
    for row in np.flatnonzero((told.sum(1) > 1) & (found > 0).any(1)):
        there = np.flatnonzero(told[row])
        nats = found[row, there]
        mine = nats > 0
        ratio = np.minimum(1.0, nats[None, :] / nats[mine, None])
        company[row, there[mine]] = (ratio.sum(1) - 1.0) / (len(there) - 1)
    return company


def _marked(
    clues: Clues, rows: NDArray[np.int64], told: NDArray[np.bool_], words: re.Pattern[str]
) -> NDArray[np.bool_]:
    """bool (caller, callee): of which pairs some of these clues are that have such words."""
    found = np.zeros_like(told)
    some = rows[[words.search(clues.text[row]) is not None for row in rows]]
    found[clues.entity[some], clues.peer[some]] = True
    return found


def _torn_blame(torn: NDArray[np.bool_], told: NDArray[np.bool_]) -> Real:
    """Of a way that is bad by its own measure, the part of its callee: either end may be the reason.

    It is rather the end most of whose other ways are bad, too, whether it calls or is called there.
    """
    bad, all_ways = torn.sum(0) + torn.sum(1), told.sum(0) + told.sum(1)
    rest = np.where(all_ways > 1, (bad - 1) / np.maximum(all_ways - 1, 1), ALONE_PART)
    callee = np.maximum(rest, DOUBT)[None, :]
    return np.asarray(callee / (callee + np.maximum(rest, 0.0)[:, None]))


def _fresh(
    clues: Clues, mine: NDArray[np.int64], nats: Real, found: Real, handed_on: tuple[Real, Real, Real] | None
) -> Real:
    """Of what each caller sees of each callee, the part that the callee has not from what it needs itself."""
    if handed_on is None:
        return np.ones_like(found)
    left = np.zeros_like(found)
    slow = np.array([clues.text[row] in DELAYS for row in mine], np.bool_)
    failing = np.array([clues.text[row] in FAILURES for row in mine], np.bool_)
    late = (clues.family[mine] == Family.LATENCY) | (clues.family[mine] == Family.WAITING)
    delays, failures, doors = (part[clues.peer[mine]] for part in handed_on)
    part = np.select([slow, failing, late], [delays, failures, doors], 0.0)
    np.maximum.at(left, (clues.entity[mine], clues.peer[mine]), nats * (1.0 - part))
    return np.divide(left, found, out=np.ones_like(found), where=found > 0)


def _together(parts: Real) -> Real:
    """All of them, and at most so much more than the strongest."""
    return np.asarray(np.minimum(parts.sum(1), SILENT_MOST * parts.max(1)))


def silent_of(picture: Picture, needs: NDArray[np.bool_], symptom: Real, own: Real) -> Real:
    """For what tells nothing of itself: what its callers suffer without another reason, when all of them do."""
    count = len(needs)
    tells = np.zeros(count, np.bool_)
    tells[picture.tracks.entity] = True
    tells[picture.times.entity[picture.times.peer == NOBODY]] = True
    found = np.zeros(count)
    for entity in np.flatnonzero(~tells):
        callers = np.flatnonzero(needs[:, entity])
        speaking = callers[tells[callers]]
        if not len(speaking) or (symptom[speaking] < NATS_MIN).any():
            continue
        rivals = (~tells & needs[speaking].any(0)).sum()  # other silent things that the same callers need
        unexplained = symptom[speaking] - 0.5 * np.minimum(own[speaking], symptom[speaking])
        found[entity] = min(SILENT_PART * float(unexplained.sum()), SILENT_MOST * float(unexplained.max()))
        found[entity] /= np.sqrt(max(rivals, 1))
    return found
