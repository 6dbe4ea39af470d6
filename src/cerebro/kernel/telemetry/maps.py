"""Attributes of many rows at once."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def looked_up(maps: pa.MapArray, names: Sequence[str]) -> list[pa.Array]:
    """For each name the values that the maps have for it, the first of several; null where a map has none.

    One pass over all keys, where `pyarrow.compute.map_lookup` takes one for each name.

    >>> maps = pa.array([[("a", "1"), ("b", "2")], [], [("b", "3"), ("b", "4")]], pa.map_(pa.string(), pa.string()))
    >>> [values.to_pylist() for values in looked_up(maps[1:], ("b", "c"))]
    [[None, '3'], [None, None]]
    """
    offsets = np.asarray(maps.offsets)
    begin, length = int(offsets[0]), int(offsets[-1] - offsets[0])
    keys, items = maps.keys.slice(begin, length), maps.items.slice(begin, length)
    which = pc.fill_null(pc.index_in(keys, value_set=pa.array(names, keys.type)), -1).to_numpy()
    hits = np.flatnonzero(which >= 0)[::-1]  # from the last to the first, which stays
    place = np.full((len(names), len(maps)), -1, np.int64)
    place[which[hits], np.searchsorted(offsets - begin, hits, "right") - 1] = hits
    none = pa.nulls(len(maps), items.type)
    return [items.take(pa.array(row, mask=row < 0)) if row.max(initial=-1) >= 0 else none for row in place]
