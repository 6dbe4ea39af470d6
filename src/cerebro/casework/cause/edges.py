"""Calls from one thing to another, as their caller measures them: whether they suffer of late, or are well."""

from collections.abc import Mapping

import numpy as np

from cerebro.casework.cause.asked import Asked, ratio_of
from cerebro.casework.cause.picture import Calls
from cerebro.spine.entities import EntityKey

Pair = tuple[EntityKey, EntityKey | None]
MORE, TIMES = 0.02, 1.5  # of the calls that fail, more than usual; times as long as usual
CEASED_STEPS, HARDLY_ANY = 2, 0.2  # newest ones, and of the usual number of calls
LATE_STEPS = 4  # in which calls must have been made, to tell of now
SPANS_MIN, FAILED_MIN = 20.0, 3.0  # calls that are told one by one, before they say that all is well, or ill


def measured(asked: Asked, split: int) -> dict[Pair, Calls]:
    """Every pair that a caller's series tell of; with nobody for a callee, what a thing tells of its own answers.

    Args:
        split: The step with which the trouble begins.
    """
    found = {}
    for (caller, callee), answered in asked.items():
        if "count" not in answered.parts:
            continue
        count = np.nan_to_num(answered.parts["count"])
        none = np.zeros_like(count)
        failed, spent = (np.nan_to_num(answered.parts.get(part, none)) for part in ("failed", "sum"))
        usually = max(float(count[:split].sum()), 1e-9)
        share, mean = ratio_of(failed, count)[split:], ratio_of(spent, count)[split:]
        failing = share >= float(failed[:split].sum()) / usually + MORE
        slow = (mean >= TIMES * float(spent[:split].sum()) / usually) & (mean > 0) & bool(spent[:split].any())
        late = np.flatnonzero(count[split:][-LATE_STEPS:] > 0)[-2:] - min(LATE_STEPS, len(share)) + len(share)
        well = bool(len(late)) and not (failing | slow).any()
        usual = float(np.median(count[:split])) if split else 0.0
        ceased = usual > 0 and float(count[split:][-CEASED_STEPS:].max(initial=0.0)) <= HARDLY_ANY * usual
        found[caller, callee] = Calls(bool(failing[late].any()), bool(slow[late].any()), well, ceased)
    return found


def told(before: tuple[float, float], during: tuple[float, float]) -> Calls:
    """Calls that are told one by one: so many that failed, of so many, before and during the trouble.

    >>> told((0.0, 100.0), (30.0, 100.0)).failing, told((0.0, 100.0), (0.0, 100.0)).well
    (True, True)
    """
    usual, share = before[0] / max(before[1], 1.0), during[0] / max(during[1], 1.0)
    failing = during[0] >= FAILED_MIN and share >= usual + MORE
    return Calls(failing, slow=False, well=during[1] >= SPANS_MIN and not failing)


def both(first: Calls, second: Calls) -> Calls:
    """What two witnesses of the same calls say: ill when one of them says so."""
    well = first.well and not second.failing
    return Calls(first.failing or second.failing, first.slow or second.slow, well, first.ceased)


def towards(edges: Mapping[tuple[int, int], Calls], callee: int) -> list[Calls]:
    """The calls of everyone who calls it."""
    return [calls for (_, peer), calls in edges.items() if peer == callee]
