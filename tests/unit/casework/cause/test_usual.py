"""The time before a trouble, without other troubles."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cerebro.casework.cause.assemble import picture_of
from cerebro.casework.cause.held import ACQUAINTED_MS, USUAL_MS, Grid, Held, Series
from cerebro.casework.cause.usual import STEPS_MIN, without
from cerebro.casework.quiet import EDGE_MS
from cerebro.spine.cases import Case, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Severity
from cerebro.spine.identity import DEFAULT_TENANT, CaseId
from cerebro.spine.telemetry import LOG_SCHEMA
from cerebro.spine.topology import Topology

STEP_MS, BRIEF_MS = 60_000, 10_000
OF_WORKER = {
    "entity_kind": "service", "entity_name": "worker", "severity": 17, "trace_id": "", "span_id": "",
    "body": "order waits: lock wait timeout exceeded", "attributes": [],
}  # fmt: skip
CASE = Case(
    CaseId("c"), DEFAULT_TENANT, CaseState.OPEN, Severity.MAJOR, "slow", 1, 1, (EntityKey("service", "worker"),), ()
)
TROUBLES = ((5.5, 9.0), (31.0, 38.0))  # steps


def held(step_ms: int = STEP_MS) -> Held:
    values = np.arange(40, dtype=np.float64)[None, :]
    grid = Grid(start_ms=0, step_ms=step_ms, count=40, split=30)
    return Held(grid, [Series(EntityKey("service", "a"), "m", {}, "gauge")], values, values, logs=lines(grid))


def lines(grid: Grid) -> pa.Table:
    """One a step."""
    at_ns = pa.array((np.arange(grid.count) * grid.step_ms) * 1_000_000)
    columns = [
        at_ns if field.name in {"at_ns", "observed_ns"} else pa.nulls(grid.count, field.type) for field in LOG_SCHEMA
    ]
    return pa.table(dict(zip(LOG_SCHEMA.names, columns, strict=True)))


def times(step_ms: int) -> list[tuple[int, int]]:
    return [(round(begin * step_ms), round(over * step_ms)) for begin, over in TROUBLES]


def test_steps_of_other_troubles_are_left_out():
    """Only up to the onset: what goes on from there is what is looked at."""
    left = without(held(), times(STEP_MS), onset_ms=33 * STEP_MS)
    assert np.flatnonzero(np.isnan(left.mean[0])).tolist() == [5, 6, 7, 8, 31, 32]
    assert np.isnan(left.last[0]).sum() == 6
    assert left.logs.num_rows == 40 - 5


def test_of_a_short_acquaintance_what_drifts_keeps_what_it_drifted_through():
    """A few calm minutes do not tell how full a disk is by now; answers and lines of the other trouble are left out."""
    brief = held(BRIEF_MS)
    metrics = (
        ("system.filesystem.usage", "gauge"),
        ("http.server.request.duration:mean", "gauge"),
        ("hits", "counter"),
    )
    values = np.repeat(brief.mean, 3, axis=0)
    series = [Series(EntityKey("service", "a"), metric, {}, type_) for metric, type_ in metrics]
    assert brief.grid.split * BRIEF_MS < ACQUAINTED_MS
    left = without(replace(brief, series=series, mean=values, last=values), times(BRIEF_MS), onset_ms=33 * BRIEF_MS)
    assert np.isnan(left.mean).sum(axis=1).tolist() == [0, 6, 6]
    assert np.isnan(left.last).sum(axis=1).tolist() == [0, 6, 6]
    assert left.logs.num_rows == 40 - 5


def test_a_past_that_is_nearly_all_trouble_is_taken_as_it_was():
    """A picture without any past says nothing."""
    left = without(held(), [((STEPS_MIN - 1) * STEP_MS, 30 * STEP_MS)], onset_ms=33 * STEP_MS)
    assert not np.isnan(left.mean).any()
    assert left.logs.num_rows == 40


def test_what_lies_between_troubles_that_follow_closely_is_usual_to_the_first_sign_of_the_next():
    """With edges of ten seconds nothing would be left of stretches of twenty; all of it taken as usual is worse."""
    brief = held(BRIEF_MS)
    begins_ms = range(0, brief.grid.split_ms, 4 * BRIEF_MS)  # two steps of trouble, two of calm
    closely = [(begin_ms - EDGE_MS, begin_ms + 2 * BRIEF_MS + EDGE_MS) for begin_ms in begins_ms]

    left = without(brief, closely, onset_ms=33 * BRIEF_MS)

    assert left.logs.num_rows == 14 + 10
    counted = replace(brief, series=[Series(EntityKey("service", "a"), "m", {}, "counter")])
    gone = np.isnan(without(counted, closely, onset_ms=33 * BRIEF_MS).last[0])
    assert np.flatnonzero(~gone[:30]).tolist() == [step for step in range(30) if step % 4 > 1]


def test_lines_of_other_troubles_are_left_out_though_nothing_else_was_said():
    """A thousand lines of a trouble that is over would drown every word of this one."""
    said = lines(held().grid).filter(pa.array(np.isin(np.arange(40), (6, 7, 35))))

    left = without(replace(held(), logs=said), times(STEP_MS), onset_ms=33 * STEP_MS)

    assert (left.logs["at_ns"].to_numpy() // 1_000_000 // STEP_MS).tolist() == [35]


def test_without_any_usual_spans_those_of_other_troubles_are_better_than_none():
    spans = pa.table({"at_ns": pa.array(np.array([6, 7, 35]) * STEP_MS * 1_000_000)})

    assert without(replace(held(), spans=spans), times(STEP_MS), onset_ms=33 * STEP_MS).spans.num_rows == 3


def test_where_hardly_any_calm_was_read_lines_of_other_troubles_are_set_aside():
    """That nobody said a word in a calm of seconds does not tell that it is new."""
    live = [(29.5 * STEP_MS - USUAL_MS, 1 << 60)]

    left = without(held(), live, onset_ms=33 * STEP_MS)

    assert (left.logs["at_ns"].to_numpy() // 1_000_000 // STEP_MS).tolist() == [*range(20), *range(33, 40)]
    assert left.set_aside.num_rows == 0  # a window has older lines, all of them calm

    late = replace(held(), logs=held().logs.slice(20))
    assert (without(late, live, 33 * STEP_MS).set_aside["at_ns"].to_numpy() // 1_000_000 // STEP_MS).tolist() == [
        *range(20, 30)
    ]


@pytest.mark.parametrize(("since_ms", "known"), [(0, True), (29 * STEP_MS, True), (29 * STEP_MS + 1, False)])
def test_who_was_cut_off_is_known_where_some_calm_was_read(since_ms, known):
    cut = replace(held(), cut_off={EntityKey("service", "a"): since_ms})

    assert (EntityKey("service", "a") not in without(cut, (), onset_ms=33 * STEP_MS).cut_off) is known


def test_of_who_was_cut_off_in_another_trouble_its_lines_are_set_aside():
    owner = pa.array(["a", "b"] * 20)
    said = held().logs.set_column(held().logs.schema.get_field_index("entity_name"), "entity_name", owner)
    said = said.set_column(said.schema.get_field_index("entity_kind"), "entity_kind", pa.array(["service"] * 40))
    cut = replace(held(), logs=said, cut_off={EntityKey("service", "a"): 27 * STEP_MS})

    left = without(cut, [(26 * STEP_MS, 1 << 60)], onset_ms=33 * STEP_MS)

    assert left.set_aside["entity_name"].to_pylist() == ["a", "a"]
    assert list(left.cut_off) == [EntityKey("service", "a")]


@pytest.mark.parametrize(("over_ms", "of_before"), [(1 << 60, 0.0), (28 * STEP_MS, 10.0)])
def test_what_was_said_all_through_another_trouble_is_not_taken_for_new(over_ms, of_before):
    """Unless there was a calm time after it, in which nobody said so."""
    said = held().logs.slice(20)
    columns = {name: pa.array([value] * 20, LOG_SCHEMA.field(name).type) for name, value in OF_WORKER.items()}
    said = pa.table({name: columns.get(name, said[name]) for name in said.column_names})
    if over_ms < held().grid.split_ms:
        said = pa.concat_tables([said.slice(0, 8), said.slice(10)])
    live = [(held().grid.split_ms - USUAL_MS - EDGE_MS, over_ms)]
    left = without(replace(held(), logs=said), live, onset_ms=30 * STEP_MS)

    told = picture_of(CASE, (), left, Topology(DEFAULT_TENANT, 0, {})).tallies

    [row] = np.flatnonzero([kind == "said" for kind in told.kind])
    assert (told.text[row], told.hits_before[row], told.of_before[row]) == ("locked", 0.0, of_before)
    assert (told.hits_during[row], told.of_during[row]) == (10.0, 10.0)
