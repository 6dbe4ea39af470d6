"""Sock Shop as RCD used it: CPU and memory faults, 38 metrics a second, no topology.

Source: A. Ikram et al., Root Cause Analysis of Failures in Microservices through Causal Discovery, NeurIPS 2022.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.picture import NOBODY, Picture, Tracks
from cerebro.cli.bench.cause_case import Question, columns, service


def questions(part: Path) -> Iterator[Question]:
    """A question a recording."""
    for case in json.loads((part / "cases.json").read_text()):
        rows = columns(part / case["file"])
        names = [name for name in rows if name not in ("phase", "time")]
        owner = [name.partition("_")[0] for name in names]
        entities = sorted(set(owner))
        values = np.stack([rows[name].astype(float) for name in names])
        calm = rows["phase"] == "normal"
        at_ms = rows["time"][~calm].astype(np.int64) * 1000
        count = len(names)
        columned = Tracks(
            entity=np.array([entities.index(name) for name in owner], np.int32),
            peer=np.full(count, NOBODY, np.int32),
            role=np.array([role_of(name.partition("_")[2]) for name in names], np.int8),
            signal=tuple(name.partition("_")[2] for name in names),
            before=values[:, calm],
            during=values[:, ~calm],
            at_ms=at_ms,
            parallel=np.zeros(count, np.bool_),
        )
        length_ms = int(calm.sum()) * 1000
        picture = Picture(
            entities=tuple(service(name) for name in entities),
            start_ms=int(at_ms[0]) - length_ms,
            onset_ms=int(at_ms[0]),
            end_ms=int(at_ms[-1]),
            tracks=columned,
        )
        yield Question("rcd_sockshop", "sockshop", case["case"], case["fault"], case["service"], picture)
