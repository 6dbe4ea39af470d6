"""Nezha: faults in Online Boutique and Train Ticket with metrics, traces and logs.

What is usual: of metrics, the hour before. Traces and logs are kept for the minutes of incidents and one fault-free
minute only: the latter, and minutes of the day's other incidents.

Source: G. Yu et al., Nezha: Interpretable Fine-Grained Root Causes Analysis for Microservices on Multi-modal
Observability Data, FSE 2023.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.grid import coded
from cerebro.casework.cause.lines import Lines, tallied_lines
from cerebro.casework.cause.picture import Picture, joined_tallies, no_times
from cerebro.casework.cause.spans import Spans, summarised
from cerebro.cli.bench.cause_case import Long, Question, calls, columns, service, tracks

BEFORE_S, AFTER_S = 60, 240  # around the injection: it lasts three minutes
ENTRANCE_SHARE = 0.05
MINUTES_MAX = 60
HISTORY_S, HISTORY_MIN_S = 3600, 1200
SKIP = ("ts", "service", "pod")


@dataclass(frozen=True, slots=True)
class Day:
    """One day's recordings."""

    metrics: dict[str, NDArray[np.object_]]
    spans: dict[str, NDArray[np.object_]]
    logs: dict[str, NDArray[np.object_]]
    pairs: list[tuple[str, str]]
    spans_of: NDArray[np.object_]
    logs_of: NDArray[np.object_]


def questions(part: Path) -> Iterator[Question]:
    """A question an injected fault."""
    for path in sorted(part.glob("*_cases.json")):
        stem = path.name.removesuffix("_cases.json")
        spans, logs = _both(part, stem, "traces"), _both(part, stem, "logs")
        day = Day(
            columns(part / f"{stem}_metrics.parquet"),
            spans,
            logs,
            _pairs(part / f"{stem}_dependency.parquet"),
            _service_of(spans),
            _service_of(logs),
        )
        for case in json.loads(path.read_text()):
            yield Question(
                "nezha",
                case["system"],
                case["case"],
                case["fault"],
                case["service"],
                _picture(day, case["inject_ts"]),
            )


def _picture(day: Day, at_s: int) -> Picture:
    begin, end = at_s - BEFORE_S, at_s + AFTER_S
    metrics = day.metrics
    names = [name for name in metrics if name not in SKIP]
    ts = metrics["ts"].astype(np.int64)
    samples = Long(
        np.concatenate([metrics["service"]] * len(names)),
        np.repeat(np.array(names, object), len(ts)),
        np.tile(ts, len(names)),
        np.concatenate([metrics[name].astype(float) for name in names]),
    )
    services = {*metrics["service"], *(name for pair in day.pairs for name in pair)}
    services |= set(day.spans_of) | set(day.logs_of)
    entities = sorted(services)
    usual = tracks(entities, samples, _minutes(ts, begin, end + AFTER_S), range(begin, end, 60))
    spans, relations = None, calls(day.pairs)
    place = {name: k for k, name in enumerate(entities)}
    times = day.spans["start_us"].astype(np.int64) // 1_000_000 if day.spans else np.zeros(0, np.int64)
    tallies = []
    if len(times):
        now, then = (times >= at_s) & (times < end), _usual(times, begin, end + AFTER_S)
        spans = summarised(_spans(day, then, place), _spans(day, now, place), len(entities))
        tallies.append(spans.tallies)
        relations += calls([(entities[a], entities[b]) for a, b in spans.calls])
    if day.logs:
        at = day.logs["ts_us"].astype(np.int64) // 1_000_000
        owner = np.array([place[name] for name in day.logs_of], np.int32)
        tallies.append(
            tallied_lines(
                Lines(
                    owner,
                    day.logs["message"],
                    day.logs["trace"].astype(np.int64) * 1_000_003 + day.logs["span"].astype(np.int64),
                    day.logs["ts_us"].astype(np.int64),
                    _usual(at, begin, end + AFTER_S),
                    (at >= at_s) & (at < end),
                )
            )
        )
    return Picture(
        entities=tuple(service(name) for name in entities),
        relations=relations,
        alarmed=tuple(service(name) for name in _entrances(day, (times >= at_s) & (times < end))),
        start_ms=int(ts.min()) * 1000,
        onset_ms=at_s * 1000,
        end_ms=end * 1000,
        tracks=usual,
        tallies=joined_tallies(tallies),
        times=spans.times if spans else no_times(),
    )


def _entrances(day: Day, kept: NDArray[np.bool_]) -> list[str]:
    """Where users come in: the services of root spans."""
    if not day.spans:
        return []
    roots = day.spans_of[kept & (day.spans["parent"].astype(np.int64) < 0)]
    return sorted({name for name in set(roots) if (roots == name).sum() >= ENTRANCE_SHARE * len(roots)})


def _minutes(ts: NDArray[np.int64], begin: int, end: int) -> range:
    """The hour before the incident, on its grid; for the first incidents of a day, which have none, one from after."""
    if begin - int(ts.min()) >= HISTORY_MIN_S:
        return range(max(begin - HISTORY_S, begin - (begin - int(ts.min())) // 60 * 60), begin, 60)
    return range(end, end + HISTORY_S, 60)


def _usual(times: NDArray[np.int64], begin: int, end: int) -> NDArray[np.bool_]:
    """Minutes that are not of this incident, spread over the day."""
    outside = (times < begin) | (times > end)
    minutes = np.unique(times[outside] // 60)
    chosen = minutes[np.unique(np.linspace(0, len(minutes) - 1, MINUTES_MAX).astype(int))] if len(minutes) else minutes
    return outside & np.isin(times // 60, chosen)


def _both(part: Path, stem: str, kind: str) -> dict[str, NDArray[np.object_]]:
    found = [columns(path) for path in sorted(part.glob(f"{stem}_*_{kind}.parquet"))]
    found = [each for each in found if len(next(iter(each.values())))]
    if not found:
        return {}
    # trace and span numbers begin anew in each file
    for k, each in enumerate(found):
        for name in ("trace", "span", "parent"):
            if name in each:
                number = each[name].astype(np.int64)
                each[name] = np.where(number >= 0, number + k * 10_000_000_000, number)
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def _pairs(path: Path) -> list[tuple[str, str]]:
    if not path.exists():
        return []
    rows = columns(path)
    pairs = zip(rows["Source"], rows["Target"], strict=True)
    return [(str(a), str(b)) for a, b in pairs if not str(b)[0].isdigit()]


def _service_of(rows: dict[str, NDArray[np.object_]]) -> NDArray[np.object_]:
    """The service of each row's pod: its name without the two parts that a deployment adds."""
    if not rows:
        return np.zeros(0, object)
    pods, code = coded(rows["pod"])
    return np.array([pod.rsplit("-", 2)[0] for pod in pods], object)[code]


def _spans(day: Day, kept: NDArray[np.bool_], place: dict[str, int]) -> Spans:
    mine = {name: column[kept] for name, column in day.spans.items()}
    return Spans.of(
        entity=np.array([place[name] for name in day.spans_of[kept]], np.int32),
        operation=mine["operation"],
        span=mine["span"].astype(np.int64),
        parent=mine["parent"].astype(np.int64),
        duration_ms=mine["duration_us"].astype(float) / 1000,
        failed=np.zeros(int(kept.sum()), np.bool_),
    )
