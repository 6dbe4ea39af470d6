"""Attributes looked up in one pass are those that a look-up of each finds."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cerebro.kernel.telemetry.maps import looked_up

ROWS = [[("a", "1"), ("b", "2")], None, [], [("b", "3"), ("a", "4"), ("b", "5")], [("c", "6")]]
NAMES = ("b", "a", "nobody's")


@pytest.mark.parametrize("begin", [0, 1, 3, 5])
@pytest.mark.parametrize("end", [4, 5])
def test_they_are_what_each_look_up_finds_wherever_the_maps_are_cut(begin, end):
    maps = pa.array(ROWS, pa.map_(pa.string(), pa.string())).slice(begin, max(0, end - begin))
    found = [values.to_pylist() for values in looked_up(maps, NAMES)]

    assert found == [pc.map_lookup(maps, query_key=pa.scalar(name), occurrence="first").to_pylist() for name in NAMES]
