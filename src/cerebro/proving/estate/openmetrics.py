"""A slice of an estate's metrics as OpenMetrics text. Source: OpenMetrics 1.0, section 5."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from cerebro.proving.estate.estate import Emission
from cerebro.proving.estate.series import Named
from cerebro.spine.telemetry import SeriesType, series_id

_SUFFIXES = ("_bucket", "_sum", "_count")


def openmetrics(named: Sequence[Named], parts: Sequence[Emission]) -> str:
    """The text, family by family and series by series, with times; dots in names become `_`."""
    points = points_by_series(parts)
    families: dict[tuple[str, str], list[Named]] = defaultdict(list)
    for each in named:
        families[_family(each)].append(each)
    lines: list[str] = []
    for (family, kind), members in sorted(families.items()):
        lines.append(f"# TYPE {family} {kind}")
        for each in members:
            name = _name(each, family, kind)
            labels = ",".join(f'{_word(key)}="{_escaped(text)}"' for key, text in sorted(each.labels.items()))
            for at_ms, value in points.get(series_id(each.metric, each.labels), ()):
                lines.append(f"{name}{{{labels}}} {value:.10g} {at_ms / 1000:.3f}")
    return "\n".join([*lines, "# EOF", ""])


def points_by_series(parts: Sequence[Emission]) -> Mapping[tuple[int, int], Sequence[tuple[int, float]]]:
    """The samples of each series, in time order."""
    points: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    for part in parts:
        batch = part.samples
        for hi, lo, at_ms, value in zip(
            batch.hi.tolist(), batch.lo.tolist(), batch.at_ms.tolist(), batch.value.tolist(), strict=True
        ):
            points[hi, lo].append((at_ms, value))
    return points


def _family(each: Named) -> tuple[str, str]:
    if each.type is SeriesType.HISTOGRAM:
        base = next((each.metric.removesuffix(end) for end in _SUFFIXES if each.metric.endswith(end)), each.metric)
        buckets = not base.startswith("http.client.") and "error.type" not in each.labels
        return _word(base) + ("" if buckets else "_summary"), "histogram" if buckets else "summary"
    return _word(each.metric), "counter" if each.type is SeriesType.COUNTER else "gauge"


def _name(each: Named, family: str, kind: str) -> str:
    if kind in ("histogram", "summary"):
        return family + next((end for end in _SUFFIXES if each.metric.endswith(end)), "")
    return family + "_total" if kind == "counter" else family


def _word(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
