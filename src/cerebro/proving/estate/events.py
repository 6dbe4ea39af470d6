"""Change events of an estate: what was done to it, as a pipeline or an orchestrator would tell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import EVENT_SCHEMA


@dataclass(frozen=True, slots=True)
class Change:
    """One change, when it happened and to what."""

    id: str
    at_ms: int
    kind: str  # deploy | config | flag | restart | scale | migration | failover | announcement | …
    target: EntityKey
    title: str
    body: Mapping[str, str]


def events_table(changes: Sequence[Change]) -> pa.Table:
    """The changes as `EVENT_SCHEMA`."""
    rows = [
        (each.at_ms * 1_000_000, each.id, each.kind, "estate", each.target.kind, each.target.name, each.title,
         json.dumps(dict(each.body), sort_keys=True))
        for each in changes
    ]  # fmt: skip
    columns = zip(*rows, strict=True) if rows else [()] * len(EVENT_SCHEMA)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, EVENT_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=EVENT_SCHEMA)
