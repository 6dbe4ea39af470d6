# mypy: ignore-errors
# Kernels: numba types them by what they are given.
"""What the OTLP kernels share: attributes and their values, and the shapes of messages that are checked, not read.

Source of the shapes: https://github.com/open-telemetry/opentelemetry-proto, 1.x.
"""

import numpy as np

from cerebro.intake.decode.compiled import kernel
from cerebro.intake.decode.wire import (
    BYTES,
    FIXED64,
    RARE,
    VARINT,
    WIRE_TYPE,
    fault_at,
    field,
    store8,
)

UNKNOWN, PACKED_FIXED64, MESSAGE = -1, 6, 16  # beside the wire types, in SHAPES; MESSAGE + shape for a message
FIXED32_SHAPE = 5
ANY, ARRAY, KEY_VALUES, KEY_VALUE, RESOURCE, ENTITY, SCOPE, EXEMPLAR, EVENT, LINK, STATUS = range(11)
DEPTH_MAX = 90  # upb reads 100

_FIELDS = {
    ANY: {1: BYTES, 2: VARINT, 3: VARINT, 4: FIXED64, 5: MESSAGE + ARRAY, 6: MESSAGE + KEY_VALUES, 7: BYTES, 8: VARINT},
    ARRAY: {1: MESSAGE + ANY},
    KEY_VALUES: {1: MESSAGE + KEY_VALUE},
    KEY_VALUE: {1: BYTES, 2: MESSAGE + ANY, 3: VARINT},
    RESOURCE: {1: MESSAGE + KEY_VALUE, 2: VARINT, 3: MESSAGE + ENTITY},
    ENTITY: {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES},
    SCOPE: {1: BYTES, 2: BYTES, 3: MESSAGE + KEY_VALUE, 4: VARINT},
    EXEMPLAR: {2: FIXED64, 3: FIXED64, 4: BYTES, 5: BYTES, 6: FIXED64, 7: MESSAGE + KEY_VALUE},
    EVENT: {1: FIXED64, 2: BYTES, 3: MESSAGE + KEY_VALUE, 4: VARINT},
    LINK: {1: BYTES, 2: BYTES, 3: BYTES, 4: MESSAGE + KEY_VALUE, 5: VARINT, 6: FIXED32_SHAPE},
    STATUS: {2: BYTES, 3: VARINT},
}
SHAPES = np.full((len(_FIELDS), 16), UNKNOWN, np.int64)
for _shape, _fields in _FIELDS.items():
    for _number, _kind in _fields.items():
        SHAPES[_shape, _number] = _kind

NOTHING, TEXT, TRUTH, INTEGER, DOUBLE, OTHER = range(6)  # kinds of an attribute's value


@kernel
def check(at, end, shape):
    """Walk a message that is only counted or read later; the place behind it, or a fault."""
    ends, shapes = np.empty(DEPTH_MAX, np.int64), np.empty(DEPTH_MAX, np.int64)  # numba cannot cache a recursion
    ends[0], shapes[0] = end, shape
    depth = 0
    while depth >= 0:
        if at >= ends[depth]:
            depth -= 1
            continue
        number, wire, _, start, at = field(at, ends[depth])
        if at < 0:
            return at
        kind = SHAPES[shapes[depth], number] if number < 16 else UNKNOWN
        if kind == UNKNOWN:
            continue
        if wire != (BYTES if kind >= MESSAGE else kind):
            return fault_at(WIRE_TYPE, start)
        if kind >= MESSAGE:
            depth += 1
            if depth == DEPTH_MAX:
                return fault_at(RARE, start)
            ends[depth], shapes[depth] = at, kind - MESSAGE
            at = start
    return at


@kernel
def any_value(at, end):
    """An AnyValue: its kind, two words, and the place behind it.

    The words are start and end of a text, or a number, or start and end of a double or of the whole message.
    """
    kind, first, second, message = NOTHING, at, at, at
    while at < end:
        number, wire, value, start, at = field(at, end)
        if at < 0:
            break
        if number == 1 and wire == BYTES:
            if kind != OTHER:
                kind, first, second = TEXT, start, at
        elif number == 2 and wire == VARINT:
            if kind != OTHER:
                kind, first = TRUTH, np.int64(value != np.uint64(0))
        elif number == 3 and wire == VARINT:
            if kind != OTHER:
                kind, first = INTEGER, np.int64(value)
        elif number == 4 and wire == FIXED64:
            if kind != OTHER:
                kind, first, second = DOUBLE, start, at
        elif number <= 8:
            at = check(message, end, ANY)
            if at < 0:
                break
            kind, first, second = OTHER, message, end
    return kind, first, second, at


@kernel
def key_value(at, end):
    """A KeyValue: start and end of its key, kind and words of its value, and the place behind it."""
    key, key_end, kind, first, second, values = at, at, NOTHING, at, at, 0
    while at < end:
        number, wire, _, start, at = field(at, end)
        if at < 0:
            break
        if number == 1 and wire == BYTES:
            key, key_end = start, at
        elif number == 2 and wire == BYTES:
            values += 1
            kind, first, second, inner = any_value(start, at)
            if inner < 0:
                at = inner
                break
            if values > 1:
                at = fault_at(RARE, start)
                break
        elif number <= 2 or (number == 3 and wire != VARINT):
            at = fault_at(WIRE_TYPE, start)
            break
    return key, key_end, kind, first, second, at


@kernel
def write_integer(place, number):
    """Write a number in decimal digits, up to twenty bytes, and give the place behind it."""
    rest = np.uint64(number)
    if number < 0:
        store8(place, np.uint64(ord("-")))
        place += 1
        rest = ~rest + np.uint64(1)
    digits, power = 1, np.uint64(10)
    while digits < 20 and rest >= power:
        digits += 1
        power = power * np.uint64(10) if digits < 20 else power
    for i in range(digits - 1, -1, -1):
        whole = rest // np.uint64(10)
        store8(place + i, np.uint64(ord("0")) + rest - whole * np.uint64(10))
        rest = whole
    return place + digits


@kernel
def write_truth(place, truth):
    """Write `true` or `false` and give the place behind it."""
    word = np.uint64(TRUE) if truth else np.uint64(FALSE)
    size = 4 if truth else 5
    for i in range(size):
        store8(place + i, word >> np.uint64(8 * i))
    return place + size


FALSE = int.from_bytes(b"false\0\0\0", "little")
TRUE = int.from_bytes(b"true\0\0\0\0", "little")
