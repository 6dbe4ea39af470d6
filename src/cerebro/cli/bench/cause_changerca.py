"""ChangeRCA: canary releases on Online Boutique, one of them bad. The question is which.

A picture is taken of the whole recording. The pods of a new version are held against those of the old one at the
same time, as in a canary analysis; a released pod that sends nothing counts as absent.

Source: G. Yu et al., ChangeRCA: Finding Root Causes from Software Changes in Large Online Systems, FSE 2024.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.grid import on_grid, role_of
from cerebro.casework.cause.picture import NOBODY, Change, Picture, Sign, Tallies, Tracks
from cerebro.cli.bench.cause_case import Question, calls, columns, service

STEP_S = 60
SETTLING_S = 120  # until a pod that was started is asked
LEAD_S = 180  # the first sign comes before the alert
KPIS = ("SuccessRate", "Latency", "CPUUsageRate(%)", "MemoryUsageRate(%)")
FRONT = "frontend"


def questions(part: Path) -> Iterator[Question]:
    """A question an incident; the candidates are the services of the release plan."""
    kpi, dependency = columns(part / "kpi.parquet"), columns(part / "dependency.parquet")
    for case in json.loads((part / "cases.json").read_text()):
        rows = {name: column[kpi["case"] == case["case"]] for name, column in kpi.items()}
        mine = dependency["case"] == case["case"]
        pairs = [(str(a), str(b)) for a, b in zip(dependency["Source"][mine], dependency["Target"][mine], strict=True)]
        plan = case["plan"]
        yield Question(
            "changerca",
            "online_boutique",
            case["case"],
            case["fault"],
            case["fault_release_service"],
            _picture(case, rows, [pair for pair in pairs if not pair[1][0].isdigit()]),
            frozenset(plan),
            change=True,
        )


def _picture(case: Mapping[str, Any], rows: Mapping[str, NDArray[Any]], pairs: list[tuple[str, str]]) -> Picture:
    detect_s = int(case["detect_timestamp"])
    owner = np.array([str(pod).split("-v")[0] for pod in rows["pod"]], object)
    rows = {**rows, "owner": owner}
    served = owner == rows["target"]
    canary = np.array(["-v2-" in str(pod) for pod in rows["pod"]])
    ts = rows["ts"].astype(np.int64)
    entities = sorted({*owner[served], *case["plan"], *(name for pair in pairs for name in pair), FRONT})
    begin, end = int(ts.min()), int(ts.max()) + STEP_S
    before, during = range(begin, detect_s - LEAD_S, STEP_S), range(detect_s - LEAD_S, end, STEP_S)
    kept = Kept(entities, owner, ts, before, during)
    parts = []
    for name in KPIS:
        value = rows[name].astype(float)
        parts += [Part(name, False, served & ~canary, served & ~canary, value)]
        parts += [Part(name, True, served & ~canary, served & canary, value)]
    return Picture(
        entities=tuple(service(name) for name in entities),
        relations=calls(pairs),
        alarmed=(service(FRONT),),
        start_ms=begin * 1000,
        onset_ms=detect_s * 1000,
        end_ms=end * 1000,
        tracks=_tracks(kept, parts),
        tallies=_absent(case, entities, rows, ts, end),
        changes=_changes(case, end),
        signs=(Sign(service(FRONT), "alert", "", detect_s * 1000, 0.0, "the alert"),),
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of one incident, and the grids that they are put on."""

    entities: list[str]
    owner: NDArray[np.object_]
    ts: NDArray[np.int64]
    before: range
    during: range


@dataclass(frozen=True, slots=True)
class Part:
    """One KPI, of which rows it is before and of which during; `parallel` when those are two versions."""

    name: str
    parallel: bool
    usual: NDArray[np.bool_]
    now: NDArray[np.bool_]
    value: NDArray[np.float64]


def _tracks(kept: Kept, parts: list[Part]) -> Tracks:
    count = len(kept.entities)
    whole = range(kept.before.start, kept.during.stop, STEP_S)
    early = [_grid(kept, part.value, part.usual, whole if part.parallel else kept.before) for part in parts]
    width = max(each.shape[1] for each in early)
    padded = [np.pad(each, ((0, 0), (width - each.shape[1], 0)), constant_values=np.nan) for each in early]
    return Tracks(
        entity=np.tile(np.arange(count, dtype=np.int32), len(parts)),
        peer=np.full(count * len(parts), NOBODY, np.int32),
        role=np.repeat(np.array([role_of(part.name) for part in parts], np.int8), count),
        signal=tuple(part.name for part in parts for _ in range(count)),
        before=np.concatenate(padded),
        during=np.concatenate([_grid(kept, part.value, part.now, kept.during) for part in parts]),
        at_ms=np.array([each * 1000 for each in kept.during], np.int64),
        parallel=np.repeat(np.array([part.parallel for part in parts]), count),
    )


def _grid(kept: Kept, value: NDArray[np.float64], mask: NDArray[np.bool_], times: range) -> NDArray[np.float64]:
    place = {name: k for k, name in enumerate(kept.entities)}
    row = np.array([place.get(name, NOBODY) for name in kept.owner], np.int64)
    mask = mask & (row >= 0)
    return on_grid(row[mask], kept.ts[mask] * 1000, value[mask], len(place), [each * 1000 for each in times])


def _absent(
    case: Mapping[str, Any], entities: list[str], rows: Mapping[str, NDArray[Any]], ts: NDArray[np.int64], end: int
) -> Tallies:
    """Minutes in which pods of a new version told nothing, beside those of the old version at the same time.

    Only minutes count in which the old version answered somebody: where nobody asks, silence says nothing.
    """
    found = []
    for name, plan in sorted(case["plan"].items()):
        mine = np.asarray(rows["owner"] == name) & (ts < end)
        told = set(zip(rows["pod"][mine].tolist(), (ts[mine] // STEP_S).tolist(), strict=True))
        asked = set((ts[mine & np.isfinite(rows["SuccessRate"].astype(float))] // STEP_S).tolist())
        pods = [
            (pod, _released(step, end) + SETTLING_S) for step in plan["process"].values() for pod in step["release_pod"]
        ]
        olds = sorted({pod for pod in rows["pod"][mine].tolist() if "-v2-" not in pod})
        now = [(pod, minute) for pod, since_s in pods for minute in asked if minute * STEP_S >= since_s]
        usual = [(pod, minute) for pod in olds for minute in asked if _there(pod, minute, told)]
        if now and usual:
            missing = [sum(each not in told for each in part) for part in (usual, now)]
            found.append((entities.index(name), missing[0], len(usual), missing[1], len(now)))
    columns = [np.array(column, np.float64) for column in zip(*found, strict=True)] or [np.zeros(0)] * 5
    count = len(found)
    return Tallies(
        columns[0].astype(np.int32),
        np.full(count, NOBODY, np.int32),
        ("absent",) * count,
        ("a pod that was started",) * count,
        np.zeros(count, np.int8),
        hits_before=columns[1],
        of_before=columns[2],
        hits_during=columns[3],
        of_during=columns[4],
    )


def _there(pod: str, minute: int, told: set[tuple[str, int]]) -> bool:
    """Whether the pod was there in that minute: it is heard of then, or before and after."""
    minutes = [at for name, at in told if name == pod]
    return min(minutes) <= minute <= max(minutes)


def _released(step: Mapping[str, Any], end: int) -> int:
    return int(step.get("release_complete_timestamp", end))


def _changes(case: Mapping[str, Any], end: int) -> tuple[Change, ...]:
    return tuple(
        Change(service(name), plan["release_time"] * 1000, "deploy", f"the release of {name}")
        for name, plan in sorted(case["plan"].items())
        if plan["release_time"] <= end
    )
