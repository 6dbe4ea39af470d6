"""How a series is to be judged, told from its metric's name, type and unit.

| nature | scale | spread at least | matters from |
|---|---|---|---|
| share of a whole (unit `1`, `ratio`, `utilization`) | linear | 0.01 | 0.1 |
| percentage | linear | 1 | 10 |
| bytes, bytes a second | logarithm over 4 KiB | 0.03 | 64 KiB and a third |
| seconds, also a second | logarithm over 1 ms | 0.03 | 10 ms and a third |
| faults: errors, drops, kills, refusals | logarithm over 0.1 | 0.05 | 0.2 and a half |
| counts, counts a second | logarithm over 1 | 0.03 | 3 and a third |
| unknown | linear | 1 % of the value | a fifth |
| share of failures, of what is left undone (`…:error_ratio`, `…:unserved_ratio`) | linear | 0.004 | 0.02 |

"Matters from" is the floor of practical significance: a change under it is never a finding, however rare.
The weight says how large a part of the noise budget a series may use: what people are paged for anyway
(saturation, errors, latency, pressure of a whole host or service) has twenty times the part of a detail, and one
process or one core a third of it. It moves thresholds; it silences nothing.
"""

import re
from collections.abc import Mapping
from math import inf

from cerebro.agents.support.model import Nature, Reading, SeriesName
from cerebro.algorithms.scale import LINEAR, LOG
from cerebro.spine.quote import is_word
from cerebro.spine.telemetry import SeriesType

FAULT = re.compile(r"error|fail|drop|kill|reject|refus|abort|timeout|retr(y|ies|ans)|dead.?letter|panic|5xx")
GOLDEN = re.compile(
    r"system\.cpu\.busy|system\.memory\.utilization|system\.paging\.utilization|system\.linux\.psi\.utilization"
    r"|system\.filesystem\.(inode\.)?utilization|system\.disk\.utilization"
    r"|:(error|unserved)_ratio$|:mean$|limit_(ratio|utilization)$|(^|[._])(latency|duration|queue|lag|saturation|backlog)|requests?[._](total|count|rate)|^up$"
)
DETAIL_LABELS = frozenset({"cpu", "cpu.logical_number", "core", "le", "quantile", "pid", "process.pid"})
DETAIL_KINDS = frozenset({"process", "container", "pod"})
CUMULATIVE = frozenset({SeriesType.COUNTER, SeriesType.HISTOGRAM})
FORECAST, WEIGHT_FORECAST = "forecast", 1e-9  # what we expect is nothing that has happened
WEIGHT_GOLDEN, WEIGHT_FAULT, WEIGHT_DETAIL = 20.0, 5.0, 0.3

SHARE, PERCENT, BYTES, SECONDS, FAULTS, COUNTS, UNKNOWN, FAILING = range(8)
FAMILY_COUNT = 16  # each nature once for values and once for rates

#                    scale   offset  floor  share  prior  change  change share
JUDGING: Mapping[int, tuple[int, float, float, float, float, float, float]] = {
    SHARE: (LINEAR, 1.0, 0.01, 0.0, 0.05, 0.1, 0.0),
    PERCENT: (LINEAR, 1.0, 1.0, 0.0, 5.0, 10.0, 0.0),
    BYTES: (LOG, 4096.0, 0.03, 0.0, 1.0, 65_536.0, 0.33),
    SECONDS: (LOG, 0.001, 0.03, 0.0, 1.0, 0.01, 0.33),
    FAULTS: (LOG, 0.1, 0.05, 0.0, 0.5, 0.2, 0.5),
    COUNTS: (LOG, 1.0, 0.03, 0.0, 0.7, 3.0, 0.33),
    UNKNOWN: (LINEAR, 1.0, 0.0, 0.01, 0.15, 0.0, 0.2),
    FAILING: (LINEAR, 1.0, 0.004, 0.0, 0.01, 0.02, 0.0),
}
UNIT_SIZES: Mapping[str, float] = {
    "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "KiBy": 2.0**10, "MiBy": 2.0**20, "GiBy": 2.0**30, "kBy": 1e3, "MBy": 1e6,
    "GBy": 1e9,
}  # fmt: skip


def nature_of(name: SeriesName) -> Nature:
    """How to judge this series."""
    reading = reading_of(name)
    kind = kind_of(name, reading)
    scale, offset, floor, share, prior, change, change_share = JUDGING[kind]
    size = UNIT_SIZES.get(name.unit, 1.0)
    offset, change = offset / size, change / size
    family = kind * 2 + (reading is Reading.RATE)
    return Nature(family, reading, scale, offset, floor, share, prior, change, change_share, weight_of(name, kind))


def reach_of(family: int) -> tuple[float, float]:
    """The least and the greatest value that series of a family can take, as far as their nature says."""
    kind, is_rate = divmod(family, 2)
    low = -inf if kind == UNKNOWN and not is_rate else 0.0
    return low, {SHARE: 1.0, PERCENT: 100.0}.get(kind, inf)


def reading_of(name: SeriesName) -> Reading:
    """Whether values or their rate are judged; an untyped `_total`, `_bucket`, `_sum` or `_count` is a counter."""
    if name.metric == "up":
        return Reading.ANSWER
    if name.type in CUMULATIVE:
        return Reading.RATE
    untyped = name.type in (SeriesType.UNKNOWN, "")
    return Reading.RATE if untyped and name.metric.endswith(("_total", "_bucket", "_sum", "_count")) else Reading.VALUE


def kind_of(name: SeriesName, reading: Reading) -> int:  # noqa: PLR0911  a table in words
    """The row of the table above."""
    metric, unit = _read(name.metric), name.unit
    if metric.endswith((":error_ratio", ":unserved_ratio")):
        return FAILING
    stem = metric.removesuffix("_total").removesuffix("_sum")
    if FAULT.search(metric) and unit not in ("s", "ms", "By"):
        return FAULTS
    if unit == "%" or stem.endswith(("_percent", ".percent")):
        return PERCENT
    if unit.endswith("By") or stem.endswith(("_bytes", ".bytes")):
        return BYTES
    if reading is Reading.RATE and unit == "s" and ("cpu" in metric or "psi" in metric or metric.endswith("time")):
        return SHARE  # seconds spent a second: the share of one core, disk or wait
    if unit in ("s", "ms", "us", "ns") or stem.endswith(("_seconds", ".duration", ".latency")):
        return SECONDS
    if unit == "1" or stem.endswith(("_ratio", "utilization", "utilisation")):
        return SHARE
    if unit.startswith("{") or reading is Reading.RATE or metric.endswith((".count", "_count")):
        return COUNTS
    return UNKNOWN


def _read(metric: str) -> str:
    """The name as its words are looked for; a sentence is no name, and has none."""
    return metric.lower() if is_word(metric) else ""


def weight_of(name: SeriesName, kind: int) -> float:
    """Its part of the noise budget, beside others."""
    if name.entity_kind == FORECAST:
        return WEIGHT_FORECAST
    labels = {label for label, _ in name.labels}
    if name.entity_kind in DETAIL_KINDS or labels & DETAIL_LABELS or name.metric.endswith("_bucket"):
        return WEIGHT_DETAIL
    if GOLDEN.search(_read(name.metric)):
        return WEIGHT_GOLDEN
    return WEIGHT_FAULT if kind == FAULTS else 1.0
