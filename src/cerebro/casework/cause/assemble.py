"""From what was found around a case to the picture of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cerebro.casework.cause.answers import read
from cerebro.casework.cause.asked import Line
from cerebro.casework.cause.edges import FAILED_MIN, Pair, both, told
from cerebro.casework.cause.grid import on_grid
from cerebro.casework.cause.held import Held
from cerebro.casework.cause.kinds import OUTSIDE
from cerebro.casework.cause.lines import Lines, spoken_of, tallied_lines, tallied_words
from cerebro.casework.cause.picture import (
    NOBODY,
    Calls,
    Change,
    Picture,
    Role,
    Sign,
    Tallies,
    Times,
    Tracks,
    chosen_tallies,
    joined_tallies,
    no_tallies,
    no_times,
    no_tracks,
)
from cerebro.casework.cause.rates import unread
from cerebro.casework.cause.spans import Spans, summarised
from cerebro.casework.cause.testimony import believed, doubted
from cerebro.casework.cause.words import CANCELLED
from cerebro.casework.topology.spans import CONSUMER, SERVER
from cerebro.kernel.telemetry.maps import looked_up
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey, Relation
from cerebro.spine.findings import ALERT, Finding
from cerebro.spine.telemetry import REFUSED_CODES
from cerebro.spine.topology import Topology

FAILED_STATUS = 2
MOST_FAILED = 0.6  # of the requests that one fails
SIGNS_MAX = 200
CLOCK_AHEAD, CLOCK_S_MIN = "log.clock.ahead", 5.0  # by less, lines wander on their way
HOST, UNPLACED_MAX = "host", 50


def around(case: Case, topology: Topology, hops: int, entities_max: int) -> tuple[EntityKey, ...]:
    """What a cause may lie in: the case's entities and what is near them, the nearest first, at most `entities_max`."""
    found: dict[EntityKey, None] = dict.fromkeys(sorted(case.entities))
    for distance in range(1, hops + 1):
        ring = sorted({each for entity in case.entities for each in topology.around(entity, distance)})
        found |= dict.fromkeys(ring)
        if len(found) >= entities_max:
            break
    found |= dict.fromkeys(unplaced(topology)[:UNPLACED_MAX])
    return tuple(found)[:entities_max]


def unplaced(topology: Topology) -> list[EntityKey]:
    """The machines of which nobody knows what runs there: a cause may lie in any."""
    return sorted(key for key in topology.entities if key.kind == HOST and not topology.inward.get(key))


def picture_of(case: Case, findings: Sequence[Finding], held: Held, topology: Topology, onset_ms: int = 0) -> Picture:
    """The picture; the same whatever order anything came in.

    Args:
        onset_ms: When the trouble began, by which changes are judged; 0 where only the case tells.
    """
    known = _known(topology, case)
    lines, measured = read(held, known)
    lines += _clocks(held)
    entities = tuple(sorted({*case.entities, *_told_by(held, lines), *topology.entities}))
    place = {key: k for k, key in enumerate(entities)}
    times, spans, calls = _from_spans(held, place, known)
    between = [(line.entity, line.peer) for line in lines if line.peer]
    pairs = {(entities[a], entities[b]) for a, b in calls} | {(a, b) for a, b in between if b}
    relations = _relations(topology, pairs)
    edges = _edges(measured, spans, place)
    words = _from_logs(held, place, known, _database_of(relations, lines, place))
    unsure = doubted(words, edges, {place[key] for key in entities if key.kind in OUTSIDE})
    return Picture(
        entities=entities,
        relations=relations,
        alarmed=tuple(sorted(case.entities)),
        start_ms=held.grid.start_ms,
        onset_ms=onset_ms or case.began_ms or case.opened_ms,
        end_ms=held.grid.end_ms,
        tracks=_tracks(lines, place, held),
        tallies=joined_tallies([spans, believed(words, edges)]),
        times=times,
        changes=_changes(held),
        signs=_signs(findings),
        proofs=held.proofs,
        gaps=(*held.gaps, *unread(held)),
        edges=edges,
        doubted=chosen_tallies(unsure, _said_where_it_fails(held, unsure, place, known)),
    )


def _edges(
    measured: Mapping[Pair, Calls], spans: Tallies, place: Mapping[EntityKey, int]
) -> dict[tuple[int, int], Calls]:
    """The calls of each pair, by what series tell of them, and spans."""
    found = {}
    for (caller, callee), calls in measured.items():
        if caller in place and (callee is None or callee in place):
            found[place[caller], NOBODY if callee is None else place[callee]] = calls
    for row in range(len(spans)):
        if spans.kind[row] == "call":
            pair = int(spans.entity[row]), int(spans.peer[row])
            one = told(
                (float(spans.hits_before[row]), float(spans.of_before[row])),
                (float(spans.hits_during[row]), float(spans.of_during[row])),
            )
            found[pair] = both(found[pair], one) if pair in found else one
    return found


def _known(topology: Topology, case: Case) -> dict[str, EntityKey]:
    """Entities by name; where two share one, a service before others."""
    known: dict[str, EntityKey] = {}
    for key in sorted({*topology.entities, *case.entities}, key=lambda each: (each.kind != "service", each)):
        known.setdefault(key.name, key)
    return known


def _told_by(held: Held, lines: Iterable[Line]) -> set[EntityKey]:
    found = {line.entity for line in lines} | {line.peer for line in lines if line.peer}
    for table in (held.spans, held.logs, held.events):
        found |= {EntityKey(kind, name) for kind, name in _owners(table)}
    return {key for key in found if key.name not in ("", "unknown")}


def _owners(table: pa.Table) -> set[tuple[str, str]]:
    if not table.num_rows:
        return set()
    both = pc.binary_join_element_wise(table["entity_kind"], table["entity_name"], APART)
    return {(kind, name) for kind, _, name in (each.partition(APART) for each in pc.unique(both).to_pylist() if each)}


def _relations(topology: Topology, pairs: set[tuple[EntityKey, EntityKey]]) -> tuple[Relation, ...]:
    """The map's, and those that the telemetry itself shows."""
    have = {(each.source, each.target) for each in topology.relations}
    more = [Relation(topology.tenant, a, b, "calls") for a, b in sorted(pairs - have) if a != b]
    return (*topology.relations, *more)


def _tracks(lines: Sequence[Line], place: dict[EntityKey, int], held: Held) -> Tracks:
    lines = sorted(
        (line for line in lines if line.entity in place),
        key=lambda line: (line.entity, line.signal, line.peer or line.entity),
    )
    if not lines:
        return no_tracks()
    grid = held.grid
    values = np.stack([line.values for line in lines])
    return Tracks(
        entity=np.array([place[line.entity] for line in lines], np.int32),
        peer=np.array([place.get(line.peer, NOBODY) if line.peer else NOBODY for line in lines], np.int32),
        role=np.array([line.role for line in lines], np.int8),
        signal=tuple(line.signal for line in lines),
        before=values[:, : grid.split],
        during=values[:, grid.split :],
        at_ms=grid.split_ms + np.arange(grid.count - grid.split, dtype=np.int64) * grid.step_ms,
        parallel=np.zeros(len(lines), np.bool_),
    )


def _from_spans(
    held: Held, place: dict[EntityKey, int], known: dict[str, EntityKey]
) -> tuple[Times, Tallies, tuple[tuple[int, int], ...]]:
    if not held.spans.num_rows:
        return no_times(), no_tallies(), ()
    early = held.spans["at_ns"].to_numpy() // 1_000_000 < held.grid.split_ms
    before, during = _spans(held.spans, (early, ~early), place, known)
    told = summarised(before, during, len(place))
    return told.times, told.tallies, told.calls


def _spans(
    table: pa.Table, parts: Sequence[NDArray[np.bool_]], place: dict[EntityKey, int], known: dict[str, EntityKey]
) -> list[Spans]:
    """The spans of each part of the table; what a row says is read once, whatever the parts."""
    owner = _places(table, place)
    operation, duration_ms = _words(table["name"]), table["duration_ns"].to_numpy() / 1e6
    span, parent = _numbered(*(_ids(table["trace_id"], table[name]) for name in ("span_id", "parent_span_id")))
    attributes = table["attributes"].combine_chunks()
    cancelled = _cancelled(table, attributes)
    peer = np.where(_is_worked(table, attributes), np.int32(NOBODY), _peers(attributes, place, known))
    failed = _failed(table, attributes)
    weight = table["weight"].to_numpy().astype(np.float64) if "weight" in table.column_names else None
    return [
        Spans.of(
            entity=owner[keep],
            operation=operation[keep],
            span=span[keep],
            parent=parent[keep],
            duration_ms=duration_ms[keep],
            failed=failed[keep],
            cancelled=cancelled[keep],
            peer=peer[keep],
            weight=weight[keep] if weight is not None else None,
        )
        for keep in (part & (owner >= 0) for part in parts)
    ]


def _failed(table: pa.Table, attributes: pa.MapArray) -> NDArray[np.bool_]:
    """bool (span,): whether it failed or turned its caller away: who hands a refusal on has not begun it."""
    failed = np.asarray(table["status"].to_numpy() == FAILED_STATUS)
    for code in looked_up(attributes, CODES):
        refused = pc.is_in(code, pa.array(sorted(REFUSED_CODES)))
        failed |= refused.to_numpy(zero_copy_only=False)
    return failed


def _cancelled(table: pa.Table, attributes: pa.MapArray) -> NDArray[np.bool_]:
    """bool (span,): whether it ended because its caller gave up."""
    kinds = pc.fill_null(looked_up(attributes, ("error.type",))[0], "")
    said = pc.binary_join_element_wise(kinds, table["status_message"].combine_chunks(), " ")
    return np.asarray(pc.match_substring_regex(said, CANCELLED, ignore_case=True).to_numpy(zero_copy_only=False))


def _is_worked(table: pa.Table, attributes: pa.MapArray) -> NDArray[np.bool_]:
    """bool (span,): whether it is the working of a message: its queue is no callee that could have failed it.

    Source: OpenTelemetry semantic conventions for messaging spans: a consumer receives, or processes.
    """
    newer, older = looked_up(attributes, OPERATION)
    received = pc.is_in(pc.coalesce(newer, older), pa.array(RECEIVED)).to_numpy(zero_copy_only=False)
    return np.asarray((table["kind"].to_numpy() == CONSUMER) & ~received)


def _places(table: pa.Table, place: dict[EntityKey, int]) -> NDArray[np.int32]:
    column = pc.binary_join_element_wise(table["entity_kind"], table["entity_name"], "/").combine_chunks()
    coded = column.dictionary_encode()
    found = np.array(
        [place.get(EntityKey.parse(each or ""), NOBODY) for each in coded.dictionary.to_pylist()], np.int32
    )
    return found[coded.indices.to_numpy(zero_copy_only=False)] if len(found) else np.zeros(0, np.int32)


APART = "\n"  # in no kind of entity
OPERATION = ("messaging.operation.type", "messaging.operation")
RECEIVED = ("receive", "poll")
CODES = ("http.response.status_code", "http.status_code")
ADDRESSES = ("peer.service", "server.address", "net.peer.name", "messaging.destination.name", "db.namespace")


def _peers(attributes: pa.MapArray, place: dict[EntityKey, int], known: dict[str, EntityKey]) -> NDArray[np.int32]:
    """Whom a span's attributes name as the one asked."""
    found = np.full(len(attributes), NOBODY, np.int32)
    for said in looked_up(attributes, ADDRESSES)[::-1]:
        coded = said.dictionary_encode()
        keys = [known.get(each or "") for each in coded.dictionary.to_pylist()]
        codes = np.array([place.get(key, NOBODY) if key else NOBODY for key in keys] + [NOBODY], np.int32)
        index = pc.fill_null(coded.indices, len(keys)).to_numpy(zero_copy_only=False)
        mine = codes[index]
        found = np.where(mine >= 0, mine, found)
    return found


def _ids(trace: pa.ChunkedArray, span: pa.ChunkedArray) -> pa.Array:
    return pc.binary_join_element_wise(trace, span, ":").combine_chunks()


def _numbered(*columns: pa.Array) -> list[NDArray[np.int32]]:
    """A number for each text of the columns, in the order of the texts."""
    every = pc.unique(pa.concat_arrays(columns))
    order = every.take(pc.sort_indices(every))
    return [pc.index_in(column, value_set=order).to_numpy(zero_copy_only=False) for column in columns]


def _words(column: pa.ChunkedArray | pa.Array) -> NDArray[np.object_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), object) if len(column) else np.zeros(0, object)


def _clocks(held: Held) -> list[Line]:
    """How far the times that a thing writes on its lines are ahead of when they came, where that has changed."""
    logs, grid = held.logs, held.grid
    if not logs.num_rows:
        return []
    observed_ms = logs["observed_ns"].to_numpy() // 1_000_000
    ahead_s = (logs["at_ns"].to_numpy() - logs["observed_ns"].to_numpy()) / 1e9
    keys = sorted({EntityKey(*pair) for pair in _owners(logs)})
    owner = _places(logs, {key: k for k, key in enumerate(keys)})
    kept = (owner >= 0) & (observed_ms > 0)
    times_ms = [grid.start_ms + k * grid.step_ms for k in range(grid.count)]
    values = on_grid(owner[kept].astype(np.int64), observed_ms[kept], ahead_s[kept], len(keys), times_ms)
    found = []
    for key, row in zip(keys, values, strict=True):
        then, now = row[: grid.split], row[grid.split :]
        then, now = then[np.isfinite(then)], now[np.isfinite(now)]
        if len(then) and len(now) and abs(float(np.max(now)) - float(np.median(then))) >= CLOCK_S_MIN:
            found.append(Line(key, None, Role.OTHER, CLOCK_AHEAD, row))
    return found


def _database_of(
    relations: Iterable[Relation], lines: Iterable[Line], place: Mapping[EntityKey, int]
) -> dict[int, int]:
    """Whom each means by "the database": the one that it needs, when there is one only."""
    stores = {line.entity for line in lines if line.peer is None and line.signal.startswith(DATABASES)}
    used: dict[EntityKey, set[EntityKey]] = {}
    for each in relations:
        if (each.target.kind == "database" or each.target in stores) and each.source not in stores:
            used.setdefault(each.source, set()).add(each.target)
    return {
        place[source]: place[target]
        for source, targets in used.items()
        for target in targets
        if len(targets) == 1 and source in place and target in place
    }


def _from_logs(
    held: Held, place: dict[EntityKey, int], known: dict[str, EntityKey], database_of: Mapping[int, int]
) -> Tallies:
    if not held.logs.num_rows:
        return no_tallies()
    logs = pa.concat_tables([held.logs, held.set_aside]) if held.set_aside.num_rows else held.logs
    owner = _places(logs, place)
    keep = owner >= 0
    looked_at = (np.arange(len(owner)) < held.logs.num_rows)[keep]
    at = logs["at_ns"].to_numpy()[keep]
    ids = _ids(logs["trace_id"], logs["span_id"])
    scope = np.where(pc.equal(ids, ":").to_numpy(zero_copy_only=False), NOBODY, _numbered(ids)[0])[keep]
    lines = Lines(
        owner[keep],
        _words(logs["body"])[keep],
        scope.astype(np.int64),
        at,
        looked_at & (at // 1_000_000 < held.grid.split_ms),
        at // 1_000_000 >= held.grid.split_ms,
    )
    called = {name: place[key] for name, key in known.items() if key in place}
    unread = {place[key] for key in held.cut_off if key in place}
    whole = replace(lines, message=_with_errors(logs)[keep])
    words = tallied_words(whole, logs["severity"].to_numpy()[keep], called, database_of, unread)
    return joined_tallies([tallied_lines(lines.chosen(looked_at)), words])


def _said_where_it_fails(
    held: Held, doubted: Tallies, place: dict[EntityKey, int], known: dict[str, EntityKey]
) -> NDArray[np.bool_]:
    """bool (tally,): whether the speaker says so in most of the requests that it fails: anyone may have a line written.

    Where requests are not told one by one, that is not known.
    """
    found = np.zeros(len(doubted), np.bool_)
    called = {name: place[key] for name, key in known.items() if key in place}
    for row, (speaker, peer) in enumerate(zip(doubted.entity.tolist(), doubted.peer.tolist(), strict=True)):
        spans, logs = (_late_rows(table, speaker, held.grid.split_ms, place) for table in (held.spans, held.logs))
        asked = (spans["kind"].to_numpy() == SERVER) & _failed(spans, spans["attributes"].combine_chunks())
        failed = set(spans["trace_id"].filter(pa.array(asked)).to_pylist())
        said = spoken_of(_with_errors(logs), speaker, called, doubted.text[row]) == peer
        telling = failed & set(logs["trace_id"].filter(pa.array(said)).to_pylist())
        found[row] = len(failed) >= FAILED_MIN and len(telling) >= MOST_FAILED * len(failed)
    return found


def _late_rows(table: pa.Table, entity: int, since_ms: int, place: dict[EntityKey, int]) -> pa.Table:
    """Those of one entity, from then on."""
    late = table["at_ns"].to_numpy() // 1_000_000 >= since_ms
    return table.filter(pa.array(late & (_places(table, place) == entity)))


ERRORS = (  # where loggers put what went wrong
    "error", "err", "error.type", "error.message", "error.kind", "exception.type", "exception.message", "exception",
    "reason", "cause", "detail",
)  # fmt: skip
DATABASES = ("postgresql.", "pg_", "mysql.", "mongodb.", "db.server.", "oracledb.", "sqlserver.")  # their own series


def _with_errors(logs: pa.Table) -> NDArray[np.object_]:
    """The lines, each with what its attributes say of an error."""
    parts = [pc.fill_null(each, "") for each in looked_up(logs["attributes"].combine_chunks(), ERRORS)]
    return _words(pc.binary_join_element_wise(logs["body"].combine_chunks(), *parts, " "))


def _changes(held: Held) -> tuple[Change, ...]:
    return tuple(
        Change(EntityKey(row["entity_kind"], row["entity_name"]), row["at_ns"] // 1_000_000, row["kind"], row["title"])
        for row in held.events.to_pylist()
        if row["entity_name"]
    )


def _signs(findings: Sequence[Finding]) -> tuple[Sign, ...]:
    """What was noticed; how somebody named a rule of theirs says nothing of what it measures."""
    chosen = sorted(findings, key=lambda each: (each.at_ms, each.entity, each.signal, each.id))[:SIGNS_MAX]
    return tuple(
        Sign(each.entity, each.kind, "" if each.kind == ALERT else each.signal, each.at_ms, each.effect, each.title)
        for each in chosen
        if not each.cleared
    )
