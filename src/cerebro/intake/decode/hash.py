# mypy: ignore-errors
# Kernels: numba types them by what they are given, and they are long where a call would cost.
"""XXH64 in numba, over the bytes where they lie.

Source: Y. Collet, xxHash fast digest algorithm, specification 0.1.1 (2018), section XXH64; seed 0.
"""

import numpy as np

from cerebro.intake.decode.compiled import inlined, kernel
from cerebro.intake.decode.wire import load8, load64

P1 = np.uint64(0x9E3779B185EBCA87)
P2 = np.uint64(0xC2B2AE3D27D4EB4F)
P3 = np.uint64(0x165667B19E3779F9)
P4 = np.uint64(0x85EBCA77C2B2AE63)
P5 = np.uint64(0x27D4EB2F165667C5)
MINUS_P1 = np.uint64(2**64 - 0x9E3779B185EBCA87)
P1_PLUS_P2 = np.uint64((0x9E3779B185EBCA87 + 0xC2B2AE3D27D4EB4F) % 2**64)


@inlined
def rotated(word, count):
    """The word's bits moved left, those that fall out entering at the right."""
    return (word << np.uint64(count)) | (word >> np.uint64(64 - count))


@inlined
def round64(lane, word):
    """One lane having eaten eight bytes."""
    return rotated(lane + word * P2, 31) * P1


@kernel
def xxh64(start, end):
    """The hash of the bytes between two addresses, `uint64`."""
    at = start
    if end - start >= 32:
        a, b, c, d = P1_PLUS_P2, P2, np.uint64(0), MINUS_P1
        while at + 32 <= end:
            a = round64(a, load64(at))
            b = round64(b, load64(at + 8))
            c = round64(c, load64(at + 16))
            d = round64(d, load64(at + 24))
            at += 32
        word = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)
        for lane in (a, b, c, d):
            word = (word ^ round64(np.uint64(0), lane)) * P1 + P4
    else:
        word = P5
    word += np.uint64(end - start)
    while at + 8 <= end:
        word = rotated(word ^ round64(np.uint64(0), load64(at)), 27) * P1 + P4
        at += 8
    if at + 4 <= end:
        four = (
            load8(at) | load8(at + 1) << np.uint64(8) | load8(at + 2) << np.uint64(16) | load8(at + 3) << np.uint64(24)
        )
        word = rotated(word ^ (four * P1), 23) * P2 + P3
        at += 4
    while at < end:
        word = rotated(word ^ (load8(at) * P5), 11) * P1
        at += 1
    word = (word ^ (word >> np.uint64(33))) * P2
    word = (word ^ (word >> np.uint64(29))) * P3
    return word ^ (word >> np.uint64(32))


@inlined
def slot_at(table, mask, hi, lo):
    """`known.slot_of` for a table at an address, with its mask."""
    entry = table + 24 * (np.int64(lo ^ (hi >> np.uint64(7))) & mask)
    last = table + 24 * mask
    while True:
        slot = load64(entry + 16)
        if slot == np.uint64(0):
            return -1
        if load64(entry + 8) == lo and load64(entry) == hi:
            return np.int64(slot) - 1
        entry = table if entry == last else entry + 24
