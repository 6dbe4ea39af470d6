"""The noise budget of a tenant: which rarity is rare enough, and what it let through.

A series' part of the budget is its weight's share of all that is alive, times its *price*. Prices hold what is known
beyond the calibration of one sample: how much of the budget was really used of late (`Ease`), what the series itself
has said of late (`repeat`), what people thought of findings of its kind (`Leaning`), and what was changed or planned
(`Change`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.model import KINDS, TEST_COUNT, heard_ms
from cerebro.agents.support.nature import WEIGHT_FAULT
from cerebro.agents.support.shares import ALONE, Parts
from cerebro.algorithms.spending import (
    DAY_MS,
    REPEAT_COST,
    REPEAT_MAX,
    WEEK_MS,
    Ease,
    Spending,
    fade,
    relax,
    spend,
    tighten,
)

STALE_MS = 3_600_000  # a series that has been quiet this long takes no part of the budget
STALE_INTERVALS = 3.0
CLASSES = ("urgent", "ordinary")  # of series: what may be worse than a notice, and the rest
CLASS_SHARE_MIN = 0.2
ADMISSIONS_MAX = 2000
HISTORY_DAYS = 35
LEAN_NOISE, LEAN_USEFUL = -log(4.0), log(2.0)
LEAN_MIN, LEAN_MAX = -log(64.0), log(4.0)  # so that nobody can mute, or open the gates
LEAN_HALF_MS = 4 * WEEK_MS
PRICE_MAX = 256.0
USEFUL, NOISE = "useful", "noise"


@dataclass(frozen=True, slots=True)
class Admission:
    """A finding that the budget let through, while it counts."""

    at_ms: int
    dedup_key: str
    kind: str
    severity: int
    family: int
    entity: tuple[str, str]
    row: int  # -1 where it is no single series'
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Leaning:
    """What people thought of the findings of one kind, family and entity: a logarithm, and when it was right."""

    level: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person, or the end of a case, said of a finding."""

    dedup_key: str
    verdict: str  # useful | noise
    at_ms: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed or is planned: what a shift of the entity costs in the window.

    A factor above 1 makes a shift easier to tell (a deploy: shifts are likelier, and wanted to be known), one below
    makes it dearer (a planned job: a shift is no news). It moves the entity's part of the budget: the sum stays.
    """

    entity: tuple[str, str]
    kind: str
    start_ms: int
    end_ms: int
    factor: float


@dataclass(frozen=True, slots=True)
class Day:
    """What one day (UTC) cost and let through."""

    start_ms: int
    spent: float = 0.0
    admitted: int = 0
    useful: int = 0
    noise: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one state as it stands, with what it admitted.

    Args:
        spending: Of expected false findings: the state's parts of its tenant's budget.
        parts: Which these are.
        unit: Expected false findings a week that a series of weight 1 may cause now.
        admissions: Of the last seven days, in order.
        eases: Of each of `CLASSES`.
        shares: Of the budget that each of `CLASSES` has.
        history: Days, the oldest first.
        test_count: Samples judged since the start.
        watching_count: Series that are judged now.
        learning_count: Series that have not shown enough samples yet.
    """

    spending: Spending
    unit: float = 0.0
    admissions: tuple[Admission, ...] = ()
    eases: tuple[Ease, ...] = (Ease(), Ease())
    shares: tuple[float, ...] = (1.0, 1.0)
    history: tuple[Day, ...] = ()
    test_count: int = 0
    watching_count: int = 0
    learning_count: int = 0
    parts: Parts = ALONE

    @property
    def tenant_per_week(self) -> float:
        """The whole noise budget of the tenant."""
        return round(self.spending.per_week / self.parts.whole, 9)

    @property
    def joint_unit(self) -> float:
        """Expected false findings a week that all entities may cause by their joint behaviour."""
        return self.parts.of(self.parts.joint) * self.spending.rate * self.eases[1].factor

    @property
    def concert_unit(self) -> float:
        """The same of several measures of an entity that move at once."""
        return self.parts.of(self.parts.concert) * self.spending.rate * self.eases[1].factor

    @property
    def peer_unit(self) -> float:
        """The same of all peers."""
        return self.parts.of(self.parts.peers) * self.spending.rate * self.eases[1].factor

    @property
    def novel_unit(self) -> float:
        """The same of what was never seen before, which has no past that could make it easier."""
        return self.parts.of(self.parts.novel) * self.spending.per_week

    @property
    def newcomer_unit(self) -> float:
        """The same of new operations and paths of errors."""
        return self.parts.of(self.parts.newcomers) * self.spending.per_week


def budget_of(noise_budget: float, parts: Parts) -> Budget:
    """A fresh budget: these parts of what a tenant will bear a week."""
    return Budget(Spending(noise_budget * parts.whole), parts=parts)


def review(
    budget: Budget,
    rows: NDArray[np.void],
    now_ms: int,
    warmup_count: int,
    changed: float = 0.0,
) -> Budget:
    """The budget at `now_ms`, shared anew among the series that are alive.

    Series that still learn keep their part, so that a threshold does not jump when they begin to be judged.

    Args:
        budget: As it was.
        rows: Of all series.
        now_ms: Unix time.
        warmup_count: Samples a series must have shown before it is judged.
        changed: Weight that changes in progress add to that of their series.
    """
    silent_ms = np.maximum(STALE_MS, STALE_INTERVALS * 1000.0 * rows["interval_s"])
    alive = heard_ms(rows) > now_ms - silent_ms
    weight = rows["weight"].astype(np.float64)
    ready = alive & (rows["count"] >= warmup_count)
    total, used = float(weight[alive].sum()), float(weight[ready].sum())
    used_share = used / total if total > 0 else 0.0
    elapsed_ms = now_ms - budget.spending.at_ms if budget.spending.at_ms else 0
    spending = spend(budget.spending, now_ms, used_share)
    urgent = float(weight[alive & (weight >= WEIGHT_FAULT)].sum()) / total if total > 0 else 0.0
    parts = budget.parts
    plain = parts.of(parts.series) * spending.rate
    return replace(
        budget,
        spending=spending,
        unit=plain / (total + changed) if total > 0 else 0.0,
        admissions=tuple(each for each in budget.admissions if each.at_ms > now_ms - WEEK_MS),
        eases=tuple(relax(ease, elapsed_ms, used_share) for ease in budget.eases),
        shares=_class_shares(urgent, parts.of(parts.series)),
        history=_noted(budget.history, now_ms, spent=spending.spent_total - budget.spending.spent_total),
        watching_count=int(ready.sum()),
        learning_count=int((alive & ~ready).sum()),
    )


def _class_shares(urgent: float, series: float) -> tuple[float, float]:
    """What each class may let through, together the whole; the smaller one has a part worth having.

    What no single series says is ordinary: where all series are urgent, that is what the ordinary class keeps.

    Args:
        urgent: Weight of urgent series as a share of all.
        series: Part of single series in the whole.
    """
    if urgent == 0.0:
        return 1.0, 1.0  # nobody is urgent: that class says nothing
    if urgent == 1.0:
        return (series, 1.0 - series) if series < 1.0 else (1.0, 1.0)
    held = min(max(urgent, CLASS_SHARE_MIN), 1.0 - CLASS_SHARE_MIN)
    return held, 1.0 - held


def set_prices(
    budget: Budget,
    rows: NDArray[np.void],
    elapsed_ms: int,
    leanings: Iterable[tuple[NDArray[np.int64], int, float]] = (),
    changes: Iterable[tuple[NDArray[np.int64], float]] = (),
) -> None:
    """Write into the rows what their part is multiplied by now.

    Args:
        budget: With its eases.
        rows: Changed in place.
        elapsed_ms: Since the prices were set before: what repeating costs fades.
        leanings: Rows, test and logarithm; a test of -1 means every one.
        changes: Rows and factor.
    """
    rows["repeat"] = np.maximum(rows["repeat"] - fade(elapsed_ms, budget.spending.per_week), 0.0)
    urgent = rows["weight"] >= WEIGHT_FAULT
    level = np.where(urgent, budget.eases[0].level, budget.eases[1].level) - rows["repeat"]
    price = np.repeat(np.exp(level)[:, None], TEST_COUNT, axis=1)
    for which, test, lean in leanings:
        price[which, slice(None) if test < 0 else test] *= exp(lean)
    for which, factor in changes:
        price[which] *= factor
    rows["price"] = np.minimum(price, PRICE_MAX)


def admitted(budget: Budget, admission: Admission, rows: NDArray[np.void], *, urgent: bool) -> Budget:
    """The budget after a finding was let through; the series pays for speaking, in `rows`, in place."""
    if admission.row >= 0:
        charge(rows, admission.row, REPEAT_COST)
    return replace(
        budget,
        admissions=(*budget.admissions, admission)[-ADMISSIONS_MAX:],
        eases=_steered(budget, 1.0, urgent),
        history=_noted(budget.history, admission.at_ms, admitted=1),
    )


def charge(rows: NDArray[np.void], row: int, cost: float) -> None:
    """Make the next finding of a series dearer, or cheaper where the cost is negative."""
    before = float(rows["repeat"][row])
    after = min(max(before + cost, 0.0), REPEAT_MAX)
    rows["repeat"][row] = after
    rows["price"][row] *= exp(before - after)


def share_repeats(rows: NDArray[np.void], members: NDArray[np.int64]) -> None:
    """Let what one series of an entity repeats cost the others, too: all but its first time. Changes `rows`.

    They depend on each other: what proves the tail of one of them wrong, such as a new kind of work, proves those of
    the others wrong, and they would speak one after the other, each for the first time. A detail makes nothing dearer
    that weighs more than it does.
    """
    heavy = members[np.argsort(-rows["weight"][members], kind="stable")]
    falling = -rows["weight"][heavy]
    top = np.maximum.accumulate(rows["repeat"][heavy])[np.searchsorted(falling, falling, side="right") - 1]
    after = np.maximum(rows["repeat"][heavy], top - REPEAT_COST)
    rows["price"][heavy] *= np.exp(rows["repeat"][heavy] - after)[:, None]
    rows["repeat"][heavy] = after


def opined(
    budget: Budget, opinion: Opinion, rows: NDArray[np.void], leanings: dict[tuple[str, int, str, str], Leaning]
) -> Budget:
    """The budget after someone said what a finding was worth. Changes `rows` and `leanings` in place.

    A useful finding gives back what it cost and makes its like a little easier; a noisy one makes its like four
    times dearer. Both fade by half in four weeks, and both have bounds.
    """
    found = next((each for each in budget.admissions if each.dedup_key == opinion.dedup_key), None)
    if found is None or found.verdict == opinion.verdict:
        return budget
    useful = opinion.verdict == USEFUL
    key = (found.kind, found.family, *found.entity)
    before = leaning_at(leanings[key], opinion.at_ms) if key in leanings else 0.0
    level = before + (LEAN_USEFUL if useful else LEAN_NOISE)
    leanings[key] = Leaning(min(max(level, LEAN_MIN), LEAN_MAX), opinion.at_ms)
    returned = 0.0 if useful == (found.verdict == USEFUL) else -1.0 if useful else 1.0
    if found.row >= 0:
        charge(rows, found.row, REPEAT_COST * returned)
    urgent = found.row >= 0 and float(rows["weight"][found.row]) >= WEIGHT_FAULT
    marked = tuple(replace(each, verdict=opinion.verdict) if each is found else each for each in budget.admissions)
    history = _noted(budget.history, found.at_ms, useful=int(useful), noise=int(not useful))
    return replace(budget, admissions=marked, eases=_steered(budget, returned, urgent), history=history)


def leaning_at(leaning: Leaning, now_ms: int) -> float:
    """What is left of it: half after four weeks."""
    return float(leaning.level * 0.5 ** (max(0, now_ms - leaning.at_ms) / LEAN_HALF_MS))


def test_of(kind: str) -> int:
    """The place of a kind among the tests, -1 for one that is no test of a single series."""
    return KINDS.index(kind) if kind in KINDS else -1


def _steered(budget: Budget, count: float, urgent: bool) -> tuple[Ease, ...]:
    which = 0 if urgent else 1
    per_week = budget.spending.per_week * budget.shares[which]
    return tuple(tighten(ease, count, per_week) if at == which else ease for at, ease in enumerate(budget.eases))


def _noted(
    history: tuple[Day, ...], at_ms: int, *, spent: float = 0.0, admitted: int = 0, useful: int = 0, noise: int = 0
) -> tuple[Day, ...]:
    """The history with more on the day of `at_ms`; days too long ago fall off."""
    start_ms = at_ms // DAY_MS * DAY_MS
    known = next((day for day in reversed(history) if day.start_ms == start_ms), Day(start_ms))
    day = Day(start_ms, known.spent + spent, known.admitted + admitted, known.useful + useful, known.noise + noise)
    if history and history[-1].start_ms == start_ms:
        return (*history[:-1], day)
    others = [each for each in history if each.start_ms != start_ms]
    return tuple(sorted((*others, day), key=lambda each: each.start_ms))[-HISTORY_DAYS:]
