# mypy: ignore-errors
# ruff: noqa: PLR0917
# Kernels: numba types them by what they are given.
"""Labels in numba: lists of them as rows of scratch memory, sorted and written in canonical form.

A row is six words: where the name starts and ends, where the value starts and ends, the name's first eight bytes,
and one to spare. `order` is a list of rows' addresses.
"""

import numpy as np

from cerebro.intake.decode.compiled import inlined, kernel
from cerebro.intake.decode.wire import compare, copy, is_text, load8, load64, prefix, store8, store64

ROW_WORDS = 6
ROW_BYTES = 8 * ROW_WORDS
NAME_PREFIX = np.uint64(int.from_bytes(b"__name__", "big"))
SEPARATOR = np.uint64(0xFF)


@kernel
def put(row, name, name_end, worth, worth_end, limit):
    """Write a label into a row and give its name's first eight bytes."""
    word = prefix(name, name_end, limit)
    store64(row, np.uint64(name))
    store64(row + 8, np.uint64(name_end))
    store64(row + 16, np.uint64(worth))
    store64(row + 24, np.uint64(worth_end))
    store64(row + 32, word)
    return word


@inlined
def place_at(row, word):
    """One of a row's four addresses."""
    return np.int64(load64(row + 8 * word))


@inlined
def difference(row, other):
    """Below 0, 0 or above 0, as the name in one row sorts before, with or after that in the other."""
    word, other_word = load64(row + 32), load64(other + 32)
    if word != other_word:
        return -1 if word < other_word else 1
    return compare(place_at(row, 0), place_at(row, 1), place_at(other, 0), place_at(other, 1))


@kernel
def sort(rows, count, order):
    """Fill `order` with the rows sorted by name; False when a name stands twice. Binary insertion."""
    for i in range(count):
        row = rows + i * ROW_BYTES
        low, high = 0, i
        while low < high:
            middle = (low + high) // 2
            step = difference(row, np.int64(load64(order + 8 * middle)))
            if step == 0:
                return False
            if step > 0:
                low = middle + 1
            else:
                high = middle
        for j in range(i, low, -1):
            store64(order + 8 * j, load64(order + 8 * (j - 1)))
        store64(order + 8 * low, np.uint64(row))
    return True


@inlined
def is_metric_name(row):
    """Whether a row's name is `__name__`."""
    return load64(row + 32) == NAME_PREFIX and place_at(row, 1) - place_at(row, 0) == 8


@kernel
def write(place, row, limit):
    """Write a label in canonical form and give the place behind it."""
    place = copy(place, place_at(row, 0), place_at(row, 1), limit)
    store8(place, SEPARATOR)
    place = copy(place + 1, place_at(row, 2), place_at(row, 3), limit)
    store8(place, SEPARATOR)
    return place + 1


@kernel
def are_text(at, end, count):
    """Whether canonical labels, so many of them, are UTF-8 in each part."""
    start, parts = at, 0
    while at < end:
        if load8(at) == SEPARATOR:
            if not is_text(start, at):
                return False
            parts += 1
            start = at + 1
        at += 1
    return parts == 2 * count
