"""Turn what was noticed into a finding: a title in plain words, a severity, evidence that can be checked and drawn."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, isfinite
from random import Random

import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.band import Band
from cerebro.agents.support.model import KINDS, Reading, SeriesName, Turn
from cerebro.agents.support.nature import (
    FAULTS,
    GOLDEN,
    PERCENT,
    SECONDS,
    SHARE,
    WEIGHT_FAULT,
    WEIGHT_GOLDEN,
    kind_of,
    reading_of,
    weight_of,
)
from cerebro.agents.support.silence import Silence
from cerebro.agents.support.words import amount, first_up, lasting, rarity, subject_of, thing_of
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import FindingId, TenantId, new_id

AGENT = "support"
SATURATED = 0.95
STALLED = 0.5
SERIES_NAMED_MAX = 20
OUTLOOK_S_MAX = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Episode:
    """A finding that has not been cleared, as far as its clearing needs it."""

    dedup_key: str
    kind: str
    onset_ms: int
    severity: Severity
    p_value: float
    effect: float
    expected: float
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """One turn of one series.

    Args:
        row: The series.
        at_ms: Of the sample that turned it.
        onset_ms: Of the first sample that was strange.
        value: At the turn.
        expected: At the turn.
        test: The `Test` concerned.
        turn: What happened.
        weekly: Expected count a week of something as strange.
        effect: In half-widths of the band.
    """

    row: int
    at_ms: int
    onset_ms: int
    value: float
    expected: float
    test: int
    turn: Turn
    weekly: float
    effect: float


@dataclass(frozen=True, slots=True)
class Allowed:
    """Why the budget let a finding through.

    Args:
        weekly: Expected count a week that this test of this series was allowed.
        per_week: The whole budget.
        weight: Of the series.
        price: What its part was multiplied by.
        ease: Of its class of series, a factor of the price.
    """

    weekly: float
    per_week: float
    weight: float
    price: float
    ease: float


def dedup_key(tenant: str, hi: int, lo: int, kind: str, onset_ms: int) -> str:
    """The same trouble has the same key, whoever finds it and however often."""
    return hashlib.blake2b(f"{tenant}|{hi}|{lo}|{kind}|{onset_ms}".encode(), digest_size=16).hexdigest()


def opened(  # noqa: PLR0917
    tenant: TenantId, name: SeriesName, moment: Moment, points: Band, others: int, allowed: Allowed
) -> Finding:
    """The finding that begins an episode.

    Args:
        tenant: Whose it is.
        name: The series.
        moment: Of its turn.
        points: `what led to it, to be drawn.
        others: Series of the same entity that moved as well and are not told one by one.
        allowed: Why the budget let it through.
    """
    kind = KINDS[moment.test]
    subject, whose = subject_of(name), thing_of(name.entity_kind, name.entity_name)
    usual, now = amount(moment.expected, name), amount(moment.value, name)
    verb = _verb(moment)
    more = f" {others} more series of {whose} moved in the same moment." if others else ""
    sentence = (
        f"{first_up(subject)} {verb} from about {usual} to {now}, {moment.effect:.1f} times the half-width of the "
        f"band it was expected in; on ordinary days something as strange is expected {rarity(moment.weekly)}, and the "
        f"noise budget of {allowed.per_week:g} a week allows this series {rarity(allowed.weekly)}.{more}"
    )
    outlook = _outlook(name, moment) if kind == "leak" else ""
    if kind == "leak":
        sentence = (
            f"{first_up(subject)} {verb} from about {usual} to {now} in {lasting(_lasted_s(moment))}; without a trend "
            f"something as steady is expected {rarity(moment.weekly)}{outlook or '.'}{more}"
        )
    admission = {
        "weekly": moment.weekly, "allowed_weekly": allowed.weekly, "per_week": allowed.per_week,
        "weight": round(allowed.weight, 3), "price": round(allowed.price, 6), "ease": round(allowed.ease, 4),
    }  # fmt: skip
    more_fields = {"onset_ms": moment.onset_ms, "others": others, "admission": admission}
    evidence = _evidence(tenant, name, points, sentence, more_fields)
    title = f"{first_up(subject)} of {whose} {verb} from {usual} to {now}{outlook.replace('. At', '; at').rstrip('.')}"
    key = dedup_key(tenant, name.hi, name.lo, kind, moment.onset_ms)
    severity = severity_of(name, moment.value, moment.expected)
    return _finding(tenant, name, kind, moment, severity, chance_a_day(moment.weekly), title, evidence, key, False)


def cleared(tenant: TenantId, name: SeriesName, moment: Moment, points: Band, episode: Episode) -> Finding:
    """The finding that ends an episode: the signal is back, or stays where it is, or is gone."""
    subject, whose = subject_of(name), thing_of(name.entity_kind, name.entity_name)
    now, after = amount(moment.value, name), lasting((moment.at_ms - episode.onset_ms) / 1000.0)
    if moment.turn is Turn.SETTLED:
        title = f"{first_up(subject)} of {whose} has settled at {now}"
        former = amount(episode.expected, name)
        sentence = f"It stayed away from its former {former} for {after}; {now} is its new usual value."
    elif moment.turn is Turn.NONE:
        title = f"{first_up(subject)} of {whose} is no longer reported"
        sentence = "Nothing has come of it for a day, so nothing is left to be said of it."
    else:
        title = f"{first_up(subject)} of {whose} is back at {now}"
        sentence = f"It has lain inside its expected band again, {after} after it left it."
    evidence = _evidence(tenant, name, points, sentence, {"onset_ms": episode.onset_ms})
    return _finding(
        tenant, name, episode.kind, moment, episode.severity, episode.p_value, title, evidence, episode.dedup_key, True
    )


def silenced(tenant: TenantId, names: list[SeriesName], silence: Silence, episode: Episode | None) -> Finding:
    """The finding of a silence, or, with the `episode` it ends, of its end."""
    kind, whose = "silence", thing_of(*silence.entity)
    what = first_up(whose) if silence.whole else f"{_counted(len(names))} of {whose}"
    first = min(names, key=lambda name: (name.hi, name.lo))
    now_ms = silence.last_ms + round(silence.wait_s * 1000)
    if episode is None:
        title = f"{what} stopped reporting {lasting(silence.wait_s)} ago"
        sentence = (
            f"Samples came every {lasting(silence.interval_s)}; none for {lasting(silence.wait_s)}. "
            f"A wait as long is expected {rarity(silence.weekly)}."
        )
    elif silence.turn is Turn.SETTLED:
        title, sentence = f"{what} is gone", "Nothing came for a day: it is no longer waited for."
    else:
        title, sentence = f"{what} reports again", "Samples come again."
    sample: dict[str, object] = {
        "series": [f"{name.hi}-{name.lo}" for name in names[:SERIES_NAMED_MAX]],
        "metrics": sorted({name.metric for name in names})[:SERIES_NAMED_MAX],
        "series_count": len(names),
        "last_ms": silence.last_ms,
        "interval_s": round(silence.interval_s, 3),
        "wait_s": round(silence.wait_s, 3),
    }
    start_ms = silence.last_ms - round(60_000 * max(silence.interval_s, 1.0))
    query = samples_sql(tenant, first.hi, first.lo, start_ms, now_ms + 1)
    evidence = Evidence(sentence, "clickhouse", query, start_ms, now_ms + 1, digest(sample), sample)
    onset_ms = silence.last_ms if episode is None else episode.onset_ms
    key = dedup_key(tenant, *_entity_number(silence), kind, onset_ms) if episode is None else episode.dedup_key
    return Finding(
        id=_id(key, now_ms, episode is not None),
        tenant=tenant,
        agent=AGENT,
        kind=kind,
        entity=EntityKey(*silence.entity),
        at_ms=onset_ms,
        seen_ms=now_ms,
        severity=Severity.MAJOR if silence.whole else Severity.MINOR,
        p_value=chance_a_day(silence.weekly) if episode is None else episode.p_value,
        effect=round(silence.wait_s / max(silence.interval_s, 0.01), 1) if episode is None else episode.effect,
        signal="reporting" if silence.whole else first.metric,
        title=title,
        evidence=(evidence,),
        dedup_key=key,
        cleared=episode is not None,
    )


def severity_of(name: SeriesName, value: float, expected: float) -> Severity:
    """How much it hurts: by what the metric is and where it has got to, not by how rare it is.

    | what | severity |
    |---|---|
    | a share that says saturation, at 95 % or more; stalls at 50 % or more; latency tripled; traffic gone | major |
    | the same of a process, a core or another detail | notice |
    | faults that rise, of a whole service or host | major |
    | other golden signals and other faults that rise | minor |
    | the rest, and whatever got better (failures that become fewer are not told at all) | notice |
    """
    reading = reading_of(name)
    kind = kind_of(name, reading)
    weight, rose = weight_of(name, kind), value > expected
    if weight < 1.0:
        return Severity.NOTICE
    if kind == FAULTS:
        return Severity.NOTICE if not rose else Severity.MAJOR if weight >= WEIGHT_FAULT else Severity.MINOR
    if not GOLDEN.search(name.metric.lower()) or weight < WEIGHT_GOLDEN:
        return Severity.NOTICE
    if kind in (SHARE, PERCENT):
        share = value / (100.0 if kind == PERCENT else 1.0)
        full = share >= (STALLED if "psi" in name.metric else SATURATED)
        return Severity.NOTICE if not rose else Severity.MAJOR if full else Severity.MINOR
    if kind == SECONDS:
        return Severity.NOTICE if not rose else Severity.MAJOR if value >= 3.0 * expected else Severity.MINOR
    gone = reading is Reading.RATE and value < expected and value <= 0.1 * expected
    return Severity.MAJOR if gone else Severity.MINOR


def chance_a_day(weekly: float) -> float:
    """The chance of at least one on an ordinary day, when `weekly` are expected a week."""
    return float(-np.expm1(-weekly / 7.0)) if weekly < 1e-6 else 1.0 - exp(-weekly / 7.0)


def samples_sql(tenant: str, hi: int, lo: int, start_ms: int, end_ms: int) -> str:
    """The query that gives a series' raw samples in a window, runnable as it stands."""
    whose = tenant.replace("\\", "\\\\").replace("'", "\\'")
    return (
        "SELECT at, value FROM samples"  # noqa: S608  the tenant is quoted, the rest are numbers
        f" WHERE tenant = '{whose}'"
        f" AND hour >= toStartOfHour(fromUnixTimestamp64Milli({start_ms}))"
        f" AND hour <= toStartOfHour(fromUnixTimestamp64Milli({end_ms}))"
        f" AND hi = {hi} AND lo = {lo}"
        f" AND at >= fromUnixTimestamp64Milli({start_ms}) AND at < fromUnixTimestamp64Milli({end_ms})"
        " ORDER BY at"
    )


def digest(sample: Mapping[str, object]) -> str:
    """SHA-256 of the canonical JSON: sorted keys, no blanks, UTF-8."""
    text = json.dumps(sample, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def drawing_of(points: Band) -> dict[str, object]:
    """Points as lists for a chart; six significant digits, `None` where there is no number."""
    return {
        "at_ms": [int(at) for at in points.at_ms],
        "value": rounded(points.value),
        "expected": rounded(points.expected),
        "low": rounded(points.low),
        "high": rounded(points.high),
    }


def rounded(column: NDArray[np.float32]) -> list[float | None]:
    """Numbers JSON can hold."""
    return [float(f"{number:.6g}") if isfinite(number) else None for number in column.tolist()]


def _evidence(tenant: str, name: SeriesName, points: Band, sentence: str, more: Mapping[str, object]) -> Evidence:
    sample = drawing_of(points) | {
        "series": f"{name.hi}-{name.lo}",
        "metric": name.metric,
        "labels": dict(name.labels),
        "unit": name.unit,
        "reading": "rate" if reading_of(name) is Reading.RATE else "value",
        **more,
    }
    start_ms = int(points.at_ms[0]) if len(points.at_ms) else 0
    end_ms = int(points.at_ms[-1]) + 1 if len(points.at_ms) else 1
    query = samples_sql(tenant, name.hi, name.lo, start_ms, end_ms)
    return Evidence(sentence, "clickhouse", query, start_ms, end_ms, digest(sample), sample)


def _finding(  # noqa: PLR0917
    tenant: TenantId, name: SeriesName, kind: str, moment: Moment, severity: Severity, p_value: float, title: str,
    evidence: Evidence, key: str, is_cleared: bool,
) -> Finding:  # fmt: skip
    return Finding(
        id=_id(key, moment.at_ms, is_cleared),
        tenant=tenant,
        agent=AGENT,
        kind=kind,
        entity=EntityKey(name.entity_kind, name.entity_name),
        at_ms=moment.at_ms if is_cleared else moment.onset_ms,
        seen_ms=moment.at_ms,
        severity=severity,
        p_value=p_value,
        effect=round(moment.effect, 2),
        signal=name.metric,
        title=title,
        evidence=(evidence,),
        dedup_key=key,
        cleared=is_cleared,
    )


def _id(key: str, seen_ms: int, is_cleared: bool) -> FindingId:
    """An id that a replay gives again: its chance is drawn from the key."""
    return FindingId(new_id(max(seen_ms, 0), Random(f"{key}|{is_cleared}")))  # noqa: S311  an id, no secret


def _verb(moment: Moment) -> str:
    up = moment.value >= moment.expected  # equal where less than nothing was expected
    if KINDS[moment.test] == "leak":
        return "grows steadily" if up else "shrinks steadily"
    if KINDS[moment.test] == "flatline":
        return "stands still, having moved"
    if KINDS[moment.test] == "variance":
        return "became restless, having gone"
    if KINDS[moment.test] == "drift":
        return "has drifted up" if up else "has drifted down"
    if KINDS[moment.test] == "spike":
        return "jumped" if up else "dropped"
    return "rose" if up else "fell"


def _lasted_s(moment: Moment) -> float:
    return max(moment.at_ms - moment.onset_ms, 1) / 1000.0


def _outlook(name: SeriesName, moment: Moment) -> str:
    """When the end is met at this rate: the bound of its nature, or twice of what it was where it has none."""
    kind, grown = kind_of(name, reading_of(name)), moment.value - moment.expected
    bound = 0.0 if grown < 0.0 else {SHARE: 1.0, PERCENT: 100.0}.get(kind, 2.0 * moment.expected)
    ahead_s = (bound - moment.value) / grown * _lasted_s(moment) if grown else -1.0
    if not 0.0 <= ahead_s <= OUTLOOK_S_MAX:
        return ""
    at = datetime.fromtimestamp((moment.at_ms / 1000.0 + ahead_s) // 60 * 60, UTC)
    end = "nothing" if bound == 0.0 else amount(bound, name)
    return f". At this rate {end} is met at {at:%Y-%m-%d %H:%M} UTC, in {lasting(ahead_s)}."


def _entity_number(silence: Silence) -> tuple[int, int]:
    """A silence belongs to an entity rather than to a series: its name takes the place of the two hashes."""
    name = hashlib.blake2b("/".join(silence.entity).encode(), digest_size=16).digest()
    return int.from_bytes(name[:8], "big"), int.from_bytes(name[8:], "big") ^ int(silence.whole)


def _counted(count: int) -> str:
    return "One series" if count == 1 else f"{count} series"
