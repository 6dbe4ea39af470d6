"""State as bytes and back, also from another version of the row."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.agents.support import snapshot
from cerebro.agents.support.model import SERIES
from cerebro.agents.support.snapshot import decode, encode, freeze
from cerebro.spine.errors import Invalid


@pytest.fixture
def used(watch, play, name_of):
    values = np.clip(0.05 + 0.01 * np.random.default_rng(1).standard_normal((800, 2)), 0, 1)
    values[700:, 0] = 0.97
    play(watch, [name_of(1), name_of(2, entity="web-8")], values)
    assert watch.open_rows
    return watch


def test_everything_comes_back(used):
    again, sequence = decode(encode(freeze(used, 42)))

    assert sequence == 42
    assert again.series.names == used.series.names
    assert again.series.by_entity == used.series.by_entity
    assert (again.series.rows[:2] == used.series.rows[:2]).all()
    assert again.budget == used.budget
    assert again.open_rows == used.open_rows
    assert (again.recent.of(0, 120) == used.recent.of(0, 120)).all()
    assert (again.ticked_ms, again.lent_ms, again.resumed_ms) == (used.ticked_ms, used.lent_ms, used.resumed_ms)
    assert (again.priors == used.priors).all()
    assert len(used.untaught)
    assert (again.untaught == used.untaught).all()


def test_a_row_of_another_version_is_matched_by_name(used, monkeypatch):
    """A field it lacked begins anew; one that is gone is dropped; the rest is kept."""
    older = np.dtype(
        [("gone", "f8"), *[(n, SERIES[n]) for n in SERIES.names if n not in ("drift", "weight")]], align=True
    )
    frozen = freeze(used, 1)
    rows = np.zeros(2, older)
    for field in set(older.names) - {"gone"}:
        rows[field] = frozen.rows[field]
    monkeypatch.setattr(snapshot, "SERIES", older)
    fields = snapshot._fields()
    monkeypatch.undo()
    contents = frozen.contents
    told = replace(contents, fields=fields, row_bytes=older.itemsize)
    swapped = replace(frozen, contents=told, rows=rows)

    again, _ = decode(encode(swapped))

    assert again.series.rows["level"][0] == used.series.rows["level"][0]
    assert again.series.rows["drift"][0] == 0.0
    assert again.series.rows["weight"][0] == 20.0


@pytest.mark.parametrize("cut", [0, 3, 15, 40, -1])
def test_a_damaged_snapshot_is_refused(used, cut):
    body = encode(freeze(used, 1))

    with pytest.raises(Invalid):
        decode(body[:cut])


def test_a_later_version_is_refused(used):
    body = bytearray(encode(freeze(used, 1)))
    body[4] = 9

    with pytest.raises(Invalid, match="version 9"):
        decode(bytes(body))
