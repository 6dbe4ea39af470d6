"""From runs to scores: shares with intervals, medians with intervals, false cases an hour. Values in, values out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from random import Random

from cerebro.proving.drill import QUIET, Run
from cerebro.proving.model import CONTROL, Observation

Z95 = 1.959964
RESAMPLE_COUNT = 1000
RESAMPLE_SEED = 1


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with its 95 % interval."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """0 … 1; 0 of nothing."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Middle:
    """The median of what was reached, seconds, with its 95 % interval; -1 when nothing was."""

    count: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Events an hour, with the 95 % interval."""

    count: int
    hours: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """The runs of one kind, or of all."""

    kind: str
    run_count: int
    felt: Share  # by users, as the ground measures it
    noticed: Share  # a finding
    detected: Share  # a case
    cause_top1: Share
    cause_top3: Share
    resolved_unaided: Share
    prevented: int  # of the resolved ones: before anyone felt it
    finding_s: Middle
    case_s: Middle
    cause_s: Middle
    recovery_s: Middle
    harmful: int  # actions that harmed or were needless, however many calls each was
    cases_per_run: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one watcher on one ground."""

    watcher: str
    ground: str
    total: Row
    rows: tuple[Row, ...]
    controls: tuple[Row, ...]  # here, detected is bad
    false_cases: Rate
    by_chance: float  # share of the faults that would have become a case by false ones alone


def score(runs: Sequence[Run]) -> Scores:
    """The scores of runs of one watcher on one ground; controls and quiet stretches count only against it."""
    assert len({(run.watcher, run.ground) for run in runs}) == 1
    broken = [run for run in runs if run.observation.injection.fault.cause_kind != CONTROL]
    controls = [run for run in runs if run.observation.injection.fault.cause_kind == CONTROL]
    faults, false = [run.observation for run in broken], false_cases(runs)
    return Scores(
        watcher=runs[0].watcher,
        ground=runs[0].ground,
        total=row_of("all", faults),
        rows=_by_kind(faults),
        controls=_by_kind(run.observation for run in controls),
        false_cases=false,
        by_chance=by_chance(false.value, broken),
    )


def by_chance(false_per_hour: float, runs: Sequence[Run]) -> float:
    """The share of runs that would have a case if all that was told were false cases, coming as those do: 0 … 1."""
    hours = [watched_s(run) / 3600 for run in runs]
    return sum(1 - exp(-false_per_hour * each) for each in hours) / len(hours) if hours else 0.0


def watched_s(run: Run) -> float:
    """For how long was watched from the fault on."""
    looks = run.record.felt.end_ms if run.record else ()
    return looks[-1] / 1000 if looks else run.plan.fault_s + run.plan.after_s


def false_cases(runs: Iterable[Run]) -> Rate:
    """Cases where nothing was wrong: before a fault, and in the whole of a control.

    The quiet stretch of an estate that several runs share was lived through once, and counts once.
    """
    count, hours, shared = 0, 0.0, set[tuple[int, int, float]]()
    for run in runs:
        estate = run.plan.topology, run.plan.services, run.plan.quiet_s
        if estate not in shared:
            count, hours = count + run.quiet_case_count, hours + run.quiet_s / 3600
        if run.plan.topology:
            shared.add(estate)
        if run.observation.injection.fault.cause_kind == CONTROL and run.plan.kind != QUIET:
            count += run.observation.case_count
            hours += (run.plan.fault_s + run.plan.after_s) / 3600
    return rate(count, hours)


def row_of(kind: str, observations: Sequence[Observation]) -> Row:
    """What became of some runs."""
    count = len(observations)

    def share(holds: Callable[[Observation], bool]) -> Share:
        return wilson(sum(map(holds, observations)), count)

    def middle(time_ms: Callable[[Observation], int]) -> Middle:
        return median([time_ms(each) / 1000 for each in observations if time_ms(each) >= 0])

    return Row(
        kind=kind,
        run_count=count,
        felt=share(lambda each: each.effect_ms >= 0),
        noticed=share(lambda each: each.finding_ms >= 0),
        detected=share(lambda each: each.case_ms >= 0),
        cause_top1=share(lambda each: each.cause_rank == 1),
        cause_top3=share(lambda each: 1 <= each.cause_rank <= 3),
        resolved_unaided=share(lambda each: each.resolved_unaided),
        prevented=sum(each.resolved_unaided and each.effect_ms < 0 for each in observations),
        finding_s=middle(lambda each: each.finding_ms),
        case_s=middle(lambda each: each.case_ms),
        cause_s=middle(lambda each: each.cause_ms),
        recovery_s=middle(lambda each: each.recovery_ms),
        harmful=sum(each.harmful_count for each in observations),
        cases_per_run=sum(each.case_count for each in observations) / count if count else 0.0,
    )


def wilson(count: int, of: int) -> Share:
    """A share with its 95 % score interval, honest for few runs too.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
    Journal of the American Statistical Association 22 (1927), 209-212.

    >>> share = wilson(8, 10)
    >>> round(share.low, 3), round(share.high, 3)
    (0.49, 0.943)
    """
    if of == 0:
        return Share(0, 0, 0.0, 1.0)
    portion, square = count / of, Z95 * Z95
    centre = portion + square / (2 * of)
    spread = Z95 * sqrt(portion * (1 - portion) / of + square / (4 * of * of))
    scale = 1 + square / of
    return Share(count, of, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def median(values: Sequence[float]) -> Middle:
    """The median, with the 95 % percentile interval of resampled medians.

    Source: B. Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7 (1979), 1-26.

    >>> median([3.0, 1.0, 2.0]).value
    2.0
    """
    if not values:
        return Middle(0, -1.0, -1.0, -1.0)
    chance = Random(RESAMPLE_SEED)  # noqa: S311  the same values give the same interval
    again = sorted(_middle(chance.choices(values, k=len(values))) for _ in range(RESAMPLE_COUNT))
    low, high = again[RESAMPLE_COUNT // 40], again[-1 - RESAMPLE_COUNT // 40]
    return Middle(len(values), _middle(values), low, high)


def rate(count: int, hours: float) -> Rate:
    """Events an hour with Byar's approximation of the 95 % Poisson interval.

    Source: N. E. Breslow, N. E. Day, Statistical Methods in Cancer Research II, IARC (1987), 69.

    >>> found = rate(3, 10.0)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.3, 0.06, 0.88)
    """
    if hours <= 0:
        return Rate(count, 0.0, 0.0, 0.0, 0.0)

    def bound(events: int, sign: int) -> float:
        return events * (1 - 1 / (9 * events) + sign * Z95 / (3 * sqrt(events))) ** 3 if events else 0.0

    return Rate(count, hours, count / hours, bound(count, -1) / hours, bound(count + 1, 1) / hours)


def _by_kind(observations: Iterable[Observation]) -> tuple[Row, ...]:
    kinds: dict[str, list[Observation]] = {}
    for each in observations:
        kinds.setdefault(each.injection.fault.kind, []).append(each)
    return tuple(row_of(kind, kinds[kind]) for kind in sorted(kinds))


def _middle(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def by_watcher(runs: Iterable[Run]) -> Mapping[tuple[str, str], list[Run]]:
    """The runs of each watcher on each ground, Cerebro's first."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.watcher, run.ground), []).append(run)
    return dict(sorted(found.items(), key=lambda entry: (entry[0][0] != "cerebro", entry[0])))
