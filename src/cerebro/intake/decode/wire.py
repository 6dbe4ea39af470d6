# mypy: ignore-errors
# ruff: noqa: PLR0912
# Kernels: numba types them by what they are given, and they are long where a call would cost.
"""Reading protobuf in numba: every length is checked before it is believed.

Source: https://protobuf.dev/programming-guides/encoding/.

Kernels read at addresses, not in arrays: an array handed to a function costs numba two atomic counts a call,
twenty times what reading a field does. Who calls a kernel keeps the arrays alive.

A reader takes a place and an end and gives the next place; one that is negative is a fault, code and place in
one number (`fault_at`). Stricter than protobuf must be: a known field of another wire type is a fault, since a
mistyped body would otherwise pass as an empty one, and groups are refused.
"""

from enum import IntEnum

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from cerebro.intake.decode.columns import GROUPS_MAX, ROWS_MAX
from cerebro.intake.decode.compiled import inlined, kernel
from cerebro.spine.errors import CerebroError, Invalid, TooLarge

PLACE_BITS = 48  # addresses of a process fit
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


class Fault(IntEnum):
    """What can be wrong with a body. `RARE` is not wrong, but left to upb; at `FULL` the columns need more room,
    at `UNKNOWN_BOUND` the table of bounds' texts needs more entries."""

    NONE = 0
    TRUNCATED = 1
    OVERLONG = 2
    WIRE_TYPE = 3
    GROUP = 4
    FIELD = 5
    PACKED = 6
    TOO_MANY = 7
    TOO_MUCH = 8
    RARE = 9
    FULL = 10
    UNKNOWN_BOUND = 11


NONE, TRUNCATED, OVERLONG, WIRE_TYPE, GROUP, FIELD, PACKED, TOO_MANY, TOO_MUCH, RARE, FULL, UNKNOWN_BOUND = (
    fault.value for fault in Fault
)

_SENTENCES = {
    Fault.TRUNCATED: "a length reaches beyond its message",
    Fault.OVERLONG: "a varint is longer than 64 bits",
    Fault.WIRE_TYPE: "a field has a wire type that is not its own",
    Fault.GROUP: "groups and reserved wire types are not read",
    Fault.FIELD: "a field has the number 0 or one beyond 2^29",
    Fault.PACKED: "a packed field ends within a number",
}


def error_of(message: str, code: int, place: int) -> CerebroError:
    """The error that a fault in a body of that message stands for."""
    fault = Fault(code)
    if fault in (Fault.TOO_MANY, Fault.FULL):
        return TooLarge(
            f"The {message} holds more than {ROWS_MAX} rows or {GROUPS_MAX} groups of them.", "Send smaller batches."
        )
    if fault is Fault.TOO_MUCH:
        return TooLarge(
            f"The {message} unfolds to far more than its own size.", "Send fewer buckets, or smaller batches."
        )
    return Invalid(
        f"The body is no {message}: {_SENTENCES[fault]} (byte {place}).",
        "Send the protobuf message, uncut and uncompressed.",
    )


@intrinsic
def load8(typing_context, address):
    """The byte at an address; the caller has checked that it is there."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], ir.PointerType(ir.IntType(8)))
        return builder.zext(builder.load(place), ir.IntType(64))

    return types.uint64(types.int64), generate


@intrinsic
def load64(typing_context, address):
    """Eight bytes at an address as a little-endian number; the caller has checked that they are there."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], ir.PointerType(ir.IntType(64)))
        return builder.load(place, align=1)

    return types.uint64(types.int64), generate


@intrinsic
def store8(typing_context, address, number):
    """Write one byte; the caller has checked that there is room."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], ir.PointerType(ir.IntType(8)))
        builder.store(builder.trunc(arguments[1], ir.IntType(8)), place)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


@intrinsic
def store64(typing_context, address, number):
    """Write eight bytes, little-endian; the caller has checked that there is room."""

    def generate(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], ir.PointerType(ir.IntType(64)))
        builder.store(arguments[1], place, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


@intrinsic
def float_bits(typing_context, number):
    """The bits of a double as a number."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), generate


@inlined
def address(array):
    """Where an array's first element lies; good while its owner keeps it."""
    return np.int64(array.ctypes.data)


@inlined
def fault_at(code, place):
    """A fault as a place: negative."""
    return -((code << PLACE_BITS) | place)


@kernel
def fault_of(at, body):
    """Code and place in the body of a fault; zeros when the place is none."""
    if at >= 0:
        return 0, 0
    return -at >> PLACE_BITS, (-at & ((1 << PLACE_BITS) - 1)) - body


@inlined
def varint(at, end):
    """A varint: its value and the place behind it."""
    start = at
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end:
        byte = load8(at)
        at += 1
        if shift == np.uint64(63) and byte > np.uint64(1):
            return np.uint64(0), fault_at(OVERLONG, start)
        value |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            return value, at
        shift += np.uint64(7)
    return np.uint64(0), fault_at(TRUNCATED, start)


@kernel
def long_field(at, end):
    """`field` for tags and lengths of more than one byte."""
    place = at
    tag, at = varint(at, end)
    if at < 0:
        return 0, 0, np.uint64(0), 0, at
    number = np.int64(tag >> np.uint64(3))
    wire = np.int64(tag & np.uint64(7))
    value = np.uint64(0)
    start = at
    if number <= 0 or number >= 1 << 29:
        at = fault_at(FIELD, place)
    elif wire == BYTES:
        value, start = varint(at, end)
        if start < 0:
            at = start
        elif value > np.uint64(end - start):
            at = fault_at(TRUNCATED, place)
        else:
            at = start + np.int64(value)
    elif wire == VARINT:
        value, at = varint(at, end)
    elif wire in (FIXED64, FIXED32):
        at += 8 if wire == FIXED64 else 4
        if at > end:
            at = fault_at(TRUNCATED, place)
    else:
        at = fault_at(GROUP, place)
    return number, wire, value, start, at


@inlined
def field(at, end):
    """The next field: number, wire type, value of a varint, where its content starts and where it ends."""
    if at + 1 < end:
        tag = load8(at)
        size = load8(at + 1)
        if (
            tag < np.uint64(0x80)
            and tag & np.uint64(7) == np.uint64(2)
            and tag > np.uint64(7)
            and size < np.uint64(0x80)
        ):
            stop = at + 2 + np.int64(size)
            if stop <= end:
                return np.int64(tag >> np.uint64(3)), BYTES, np.uint64(0), at + 2, stop
    return long_field(at, end)


@inlined
def copy(target, source, end, limit):
    """Copy bytes and give the place behind them.

    May write up to seven bytes more than asked, so leave room; reads none at or beyond `limit`.
    """
    size = end - source
    done = 0
    if end + 8 <= limit:
        while done < size:
            store64(target + done, load64(source + done))
            done += 8
    else:
        while done < size:
            store8(target + done, load8(source + done))
            done += 1
    return target + size


@inlined
def swapped(word):
    """The number with its eight bytes in the opposite order."""
    low, high = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
    word = ((word & low) << np.uint64(8)) | ((word >> np.uint64(8)) & low)
    word = ((word & high) << np.uint64(16)) | ((word >> np.uint64(16)) & high)
    return (word << np.uint64(32)) | (word >> np.uint64(32))


@inlined
def prefix(start, end, limit):
    """The first eight bytes as a big-endian number, zeros beyond the end: orders most texts in one comparison."""
    size = min(end - start, 8)
    if size == 0:
        return np.uint64(0)
    if start + 8 <= limit:
        shift = np.uint64(64 - 8 * size)
        return (swapped(load64(start)) >> shift) << shift
    word = np.uint64(0)
    for i in range(size):
        word |= load8(start + i) << np.uint64(56 - 8 * i)
    return word


@inlined
def bits_of(number):
    """The bits of a double."""
    return float_bits(np.float64(number))


@kernel
def compare(start, end, other, other_end):
    """Below 0, 0 or above 0, as the first text's bytes sort before, with or after the other's."""
    size, other_size = end - start, other_end - other
    for i in range(min(size, other_size)):
        difference = np.int64(load8(start + i)) - np.int64(load8(other + i))
        if difference != 0:
            return difference
    return size - other_size


@kernel
def is_text(at, end):
    """Whether bytes are UTF-8.

    Source: RFC 3629, section 4: no overlong forms, no surrogates, nothing beyond U+10FFFF.
    """
    while at < end:
        if at + 8 <= end and load64(at) & np.uint64(0x8080808080808080) == np.uint64(0):
            at += 8
            continue
        first = np.int64(load8(at))
        at += 1
        if first < 0x80:
            continue
        low, high, more = 0x80, 0xBF, 1
        if first < 0xC2 or first > 0xF4:
            return False
        if first >= 0xF0:
            more = 3
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high = 0x8F
        elif first >= 0xE0:
            more = 2
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high = 0x9F
        if at + more > end or np.int64(load8(at)) < low or np.int64(load8(at)) > high:
            return False
        for i in range(1, more):
            if np.int64(load8(at + i)) & 0xC0 != 0x80:
                return False
        at += more
    return True
