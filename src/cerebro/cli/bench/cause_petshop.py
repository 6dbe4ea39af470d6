"""PetShop: 41 components on AWS, five-minute metrics and the traffic's topology.

Source: M. Hardt et al., The PetShop Dataset: Finding Causes of Performance Issues across Microservices, CLeaR 2024.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.picture import Picture, Sign
from cerebro.cli.bench.cause_case import Long, Question, calls, columns, service, tracks

STEP_S = 300


def questions(part: Path) -> Iterator[Question]:
    """The issues of every scenario that has a normal period: without one, nothing can be measured."""
    for normal in sorted(part.glob("*_noissue.parquet")):
        scenario = normal.name.removesuffix("_noissue.parquet")
        yield from _scenario(part, scenario)


def _scenario(part: Path, scenario: str) -> Iterator[Question]:
    quiet, loud = columns(part / f"{scenario}_noissue.parquet"), columns(part / f"{scenario}_issues.parquet")
    edge = columns(part / f"{scenario}_edges.parquet")
    pairs = list(zip(edge["src"], edge["dst"], strict=True))
    for case in json.loads((part / f"{scenario}_cases.json").read_text()):
        mine = loud["case"] == case["case"]
        entities = sorted({*loud["node"][mine], *quiet["node"], *edge["src"], *edge["dst"]})
        times = sorted(set(loud["ts"][mine].tolist()))
        begin = min(times) - (int(np.max(quiet["ts"])) - int(np.min(quiet["ts"]))) - STEP_S
        moved = quiet["ts"].astype(np.int64) - int(np.min(quiet["ts"])) + begin  # recorded apart; set just before
        samples = Long(
            np.concatenate([quiet["node"], loud["node"][mine]]),
            np.concatenate([_signal(quiet), _signal(loud)[mine]]),
            np.concatenate([moved, loud["ts"][mine].astype(np.int64)]),
            np.concatenate([quiet["value"], loud["value"][mine]]).astype(float),
        )
        picture = Picture(
            entities=tuple(service(name) for name in entities),
            relations=calls(pairs),
            alarmed=(service(case["node"]),),
            signs=(_alarm(case),),
            start_ms=begin * 1000,
            onset_ms=case["timestamp"] * 1000,
            end_ms=max(times) * 1000,
            tracks=tracks(
                entities, samples, range(begin, min(times), STEP_S), range(min(times), max(times) + 1, STEP_S)
            ),
        )
        fault = f"{case['metric']} {case['root_cause']['node'].partition('_')[0]}"
        yield Question("petshop", scenario, case["case"], fault, case["root_cause"]["node"], picture)


def _alarm(case: dict[str, Any]) -> Sign:
    signal = f"{case['metric']}.{case['agg']}"
    return Sign(service(case["node"]), "alert", signal, case["timestamp"] * 1000, 0.0, f"{signal} of {case['node']}")


def _signal(rows: dict[str, NDArray[np.object_]]) -> NDArray[np.object_]:
    return np.char.add(np.char.add(rows["metric"].astype(str), "."), rows["statistic"].astype(str)).astype(object)
