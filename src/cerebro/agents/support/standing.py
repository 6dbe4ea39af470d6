"""How the promise stands: what may be expected, was spent and was admitted, of each detector and of all together.

Each detector notes its own standing on the bus; whoever asks adds them up. What is added up is one budget, since the
parts of all detectors are parts of one (`shares`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from cerebro.agents.support.admit import CLASSES, NOISE, USEFUL, Admission, Budget, Day, budget_of
from cerebro.agents.support.shares import DETECTORS

SEVERITIES = {1: "notice", 2: "minor", 3: "major", 4: "critical"}
SUMMED = (
    "per_week", "spent_week", "spent_total", "saved", "admitted_week", "charged_week", "useful_week", "noise_week",
    "tests", "watching", "learning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayStanding:
    """One day (UTC) of it."""

    day_ms: int
    spent: float
    admitted: int
    useful: int
    noise: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The budget as the API and the console show it, like the error budget of an objective.

    Args:
        per_week: False findings that may be expected in a week.
        spent_week: Of these, spent of late.
        spent_total: Spent since the start.
        saved: Not spent while series were learning, at most a day's worth.
        admitted_week: Findings told in the last week.
        charged_week: Those that nobody has called useful.
        remaining_week: What the charged ones leave.
        useful_week: Called useful.
        noise_week: Called noise.
        by_severity: Told and charged of each severity.
        false_discovery_rate: Expected false over told, of the last week: the estimate of LORD, and an upper one while
            budgets are spent by the union bound.
        judged_false_share: Noise among what people judged.
        ease: Of each class of series, what its plain share is multiplied by; of all together, that of metrics.
        threshold_per_week: Expected count a week at which a series of weight 1 speaks; the same.
        tests: Samples judged.
        watching: Series that are judged.
        learning: Series that are not yet.
        updated_ms: When it stood so.
        history: The days, oldest first.
        detectors: The standing of each detector, in that of all together.

    Source: A. Ramdas et al., Online Control of the False Discovery Rate with Decaying Memory, NeurIPS 2017 (LORD++).
    """

    per_week: float
    spent_week: float
    spent_total: float
    saved: float
    admitted_week: int
    charged_week: int
    remaining_week: float
    useful_week: int
    noise_week: int
    by_severity: Mapping[str, Mapping[str, int]]
    false_discovery_rate: float | None
    judged_false_share: float | None
    ease: Mapping[str, float]
    threshold_per_week: float
    tests: int
    watching: int
    learning: int
    updated_ms: int
    history: tuple[DayStanding, ...] = ()
    detectors: Mapping[str, "Standing"] = field(default_factory=dict)


def standing_of(budget: Budget) -> Standing:
    """How the budget of one detector stands."""
    spending, found = budget.spending, budget.admissions
    charged = sum(each.verdict != USEFUL for each in found)
    useful, noise = (sum(each.verdict == verdict for each in found) for verdict in (USEFUL, NOISE))
    return _with_rates(
        Standing(
            per_week=round(spending.per_week, 6),
            spent_week=round(spending.spent, 4),
            spent_total=round(spending.spent_total, 4),
            saved=round(spending.saved, 4),
            admitted_week=len(found),
            charged_week=charged,
            remaining_week=0.0,
            useful_week=useful,
            noise_week=noise,
            by_severity=by_severity(found),
            false_discovery_rate=None,
            judged_false_share=None,
            ease={name: round(ease.factor, 4) for name, ease in zip(CLASSES, budget.eases, strict=True)},
            threshold_per_week=budget.unit,
            tests=budget.test_count,
            watching=budget.watching_count,
            learning=budget.learning_count,
            updated_ms=spending.at_ms,
            history=tuple(map(_day, budget.history)),
        )
    )


def all_together(noted: Mapping[str, Standing], noise_budget: float) -> Standing:
    """The standing of a tenant: the sum over its detectors; one that noted nothing has its whole part left.

    Args:
        noted: By detector, in the words of `shares.DETECTORS`.
        noise_budget: Of the tenant.
    """
    each = {name: noted.get(name) or standing_of(budget_of(noise_budget, parts)) for name, parts in DETECTORS.items()}
    parts = list(each.values())
    summed = {name: round(sum(getattr(part, name) for part in parts), 6) for name in SUMMED}
    days: dict[int, DayStanding] = {}
    for day in (day for part in parts for day in part.history):
        days[day.day_ms] = _added(days[day.day_ms], day) if day.day_ms in days else day
    severities = {
        name: {what: sum(part.by_severity[name][what] for part in parts) for what in ("admitted", "charged")}
        for name in SEVERITIES.values()
    }
    return _with_rates(
        replace(
            each["metrics"],
            **summed,
            by_severity=severities,
            updated_ms=max(part.updated_ms for part in parts),
            history=tuple(days[at] for at in sorted(days)),
            detectors={name: replace(part, history=()) for name, part in each.items()},
        )
    )


def by_severity(found: Iterable[Admission]) -> Mapping[str, Mapping[str, int]]:
    """How many were admitted in the last week, and how many of these count against the budget."""
    answer = {name: {"admitted": 0, "charged": 0} for name in SEVERITIES.values()}
    for each in found:
        mine = answer[SEVERITIES[each.severity]]
        mine["admitted"] += 1
        mine["charged"] += each.verdict != USEFUL
    return answer


def _with_rates(standing: Standing) -> Standing:
    told, judged = standing.admitted_week, standing.useful_week + standing.noise_week
    return replace(
        standing,
        remaining_week=round(max(0.0, standing.per_week - standing.charged_week), 4),
        false_discovery_rate=round(min(1.0, standing.spent_week / told), 4) if told else None,
        judged_false_share=round(standing.noise_week / judged, 4) if judged else None,
    )


def _day(day: Day) -> DayStanding:
    return DayStanding(day.start_ms, round(day.spent, 4), day.admitted, day.useful, day.noise)


def _added(one: DayStanding, other: DayStanding) -> DayStanding:
    summed = {each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(one)[1:]}
    return replace(one, **summed | {"spent": round(summed["spent"], 4)})
