# mypy: ignore-errors
# ruff: noqa: PLR0912, PLR0915, PLR0917
# A kernel: numba types it by what it is given, and it is long where a call would cost.
"""The walk over an export request of logs or traces: where each text lies, and each number."""

import numpy as np

from cerebro.intake.decode.columns import GROUPS_MAX, ROWS_MAX
from cerebro.intake.decode.compiled import inlined, kernel
from cerebro.intake.decode.otlp_kernel import (
    DOUBLE,
    ENTITY,
    EVENT,
    INTEGER,
    LINK,
    SCOPE,
    TEXT,
    TRUTH,
    any_value,
    check,
    key_value,
    write_integer,
    write_truth,
)
from cerebro.intake.decode.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    FULL,
    RARE,
    TOO_MANY,
    VARINT,
    WIRE_TYPE,
    address,
    fault_at,
    fault_of,
    field,
    is_text,
    load8,
    load64,
    store8,
    store64,
)

AT_NS_MAX = np.uint64((1 << 63) - 1)
AT, SECOND, NUMBER, STATUS_CODE, SCOPE_ROW, RESOURCE_ROW, PAIRS_END = range(7)
NUMBERS = 7
# Of a log record: severity text, body, ids; of a span: name, status message, ids.
FIRST_TEXT, SECOND_TEXT, TRACE_ID, SPAN_ID, PARENT_ID = range(5)
CELLS = 5
OF_RECORD, OF_RESOURCE, OF_BODY, OF_EVENT, OF_LINK = range(5)  # where an odd value belongs
IS_DOUBLE = 16  # beside them: the range holds a double, not a message
SEVERITY_MAX, KIND_MAX, STATUS_MAX = 24, 5, 2


@inlined
def put_range(cell, start, end, base):
    """Write a range of the source into two words."""
    store64(cell, np.uint64(start - base))
    store64(cell + 8, np.uint64(end - base))


@kernel
def write_value(kind, first, second, tail):
    """A value's text, where it lies or written at the tail: start, end, and the tail behind it."""
    if kind == TEXT:
        return first, second, tail
    stop = tail
    if kind == INTEGER:
        stop = write_integer(tail, first)
    elif kind == TRUTH:
        stop = write_truth(tail, first != 0)
    return tail, stop, stop


@kernel
def write_id(start, end, size, tail):
    """An id in hex at the tail, nothing when it is none; the tail behind it."""
    if end - start != size:
        return tail
    some = np.uint64(0)
    for i in range(size):
        some |= load8(start + i)
    if some == np.uint64(0):
        return tail
    for i in range(size):
        byte = load8(start + i)
        for k in range(2):
            digit = (byte >> np.uint64(4)) if k == 0 else (byte & np.uint64(15))
            letter = digit + np.uint64(ord("0")) if digit < np.uint64(10) else digit + np.uint64(ord("a") - 10)
            store8(tail + 2 * i + k, letter)
    return tail + 2 * size


@kernel
def walk(source, size, is_span, numbers, cells, pairs, resource_pairs, resource_ends, scopes, odd) -> tuple[int, ...]:
    """Fill the columns from an export request.

    Args:
        source: `uint8`; the request lies in the first `size` bytes, texts of numbers and ids are written behind it.
        is_span: Whether its records are spans.
        numbers: `int64, (n, NUMBERS)`; cells: `int64, (n, CELLS, 2)`, ranges in source; one row a record.
        pairs, resource_pairs: `int64, (n, 4)`, ranges of key and value; resource_ends: `int64`, of each resource.
        scopes: `int64, (n, 2)`, ranges of the scopes' names.
        odd: `int64, (n, 4)`: where it belongs, row, and range of a value that the kernel does not write.

    Returns:
        Counts of records, pairs, resource pairs, resources, scopes, odd values; code and place of a fault.
    """
    base = address(source)
    end = base + size
    tail, room = end, base + len(source) - 128
    numbers_at, cells_at, pairs_at = address(numbers), address(cells), address(pairs)
    resource_pairs_at = address(resource_pairs)
    records, attributes, facts, resources, scope_count, odds = 0, 0, 0, 0, 0, 0
    at = base
    while at < end:
        number, wire, _, start, at = field(at, end)
        if at < 0:
            break
        if number != 1:
            continue
        if wire != BYTES:
            at = fault_at(WIRE_TYPE, start)
            break

        # the resource, wherever it stands among the fields
        place, of_resource, found, resource, resource_end = start, start, 0, start, start
        while place < at:
            number, wire, _, start, place = field(place, at)
            if place < 0:
                break
            if number <= 3 and wire != BYTES:
                place = fault_at(WIRE_TYPE, start)
                break
            if number == 1:
                found += 1
                resource, resource_end = start, place
        if place >= 0 and found > 1:
            place = fault_at(RARE, of_resource)
        if place >= 0:
            place = resource
        while 0 <= place < resource_end:
            number, wire, _, start, place = field(place, resource_end)
            if place < 0:
                break
            if number == 1 and wire == BYTES:
                key, key_end, kind, first, second, inner = key_value(start, place)
                if inner >= 0 and (facts == len(resource_pairs) or odds == len(odd) or tail > room):
                    inner = fault_at(FULL, start)
                if inner < 0:
                    place = inner
                    break
                if kind >= DOUBLE:
                    odd[odds, 0] = OF_RESOURCE + (IS_DOUBLE if kind == DOUBLE else 0)
                    odd[odds, 1], odd[odds, 2], odd[odds, 3] = facts, first - base, second - base
                    odds += 1
                value, value_end, tail = write_value(kind, first, second, tail)
                put_range(resource_pairs_at + 32 * facts, key, key_end, base)
                put_range(resource_pairs_at + 32 * facts + 16, value, value_end, base)
                facts += 1
            elif number == 3 and wire == BYTES:
                inner = check(start, place, ENTITY)
                if inner < 0:
                    place = inner
                    break
            elif number in (1, 3) or (number == 2 and wire != VARINT):
                place = fault_at(WIRE_TYPE, start)
                break
        if place >= 0 and resources == len(resource_ends):
            place = fault_at(TOO_MANY if resources >= GROUPS_MAX else FULL, of_resource)
        if place < 0:
            at = place
            break
        resource_ends[resources] = facts
        resources += 1

        scope_at = of_resource
        while scope_at < at:
            number, wire, _, start, scope_at = field(scope_at, at)
            if scope_at < 0:
                break
            if number != 2:
                continue

            # the scope's name, wherever it stands
            place, of_scope, found, name, name_end = start, start, 0, start, start
            while place < scope_at:
                number, wire, _, start, place = field(place, scope_at)
                if place < 0:
                    break
                if number <= 3 and wire != BYTES:
                    place = fault_at(WIRE_TYPE, start)
                    break
                if number == 1:
                    found += 1
                    inner = check(start, place, SCOPE)
                    if inner < 0:
                        place = inner
                        break
                    inner = start
                    while inner < place:
                        number, wire, _, start, inner = field(inner, place)
                        if number == 1:
                            name, name_end = start, inner
            if place >= 0 and found > 1:
                place = fault_at(RARE, of_scope)
            if place >= 0 and scope_count == len(scopes):
                place = fault_at(TOO_MANY if scope_count >= GROUPS_MAX else FULL, of_scope)
            if place < 0:
                scope_at = place
                break
            scopes[scope_count, 0], scopes[scope_count, 1] = name - base, name_end - base
            scope_count += 1

            record_at = of_scope
            while record_at < scope_at:
                number, wire, _, start, record_at = field(record_at, scope_at)
                if record_at < 0:
                    break
                if number != 2:
                    continue
                if records == len(numbers) or tail > room:
                    record_at = fault_at(TOO_MANY if records >= ROWS_MAX else FULL, start)
                    break

                # the record
                row, cell = numbers_at + 8 * NUMBERS * records, cells_at + 16 * CELLS * records
                for i in range(CELLS):
                    put_range(cell + 16 * i, base, base, base)
                time, other, level, code = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
                messages, place = 0, start
                while place < record_at:
                    number, wire, word, start, place = field(place, record_at)
                    if place < 0:
                        break
                    if number > 16:
                        continue
                    if number == (9 if is_span else 6):
                        if wire != BYTES:
                            place = fault_at(WIRE_TYPE, start)
                            break
                        key, key_end, kind, first, second, inner = key_value(start, place)
                        if inner >= 0 and (attributes == len(pairs) or odds == len(odd) or tail > room):
                            inner = fault_at(FULL, start)
                        if inner < 0:
                            place = inner
                            break
                        if kind >= DOUBLE:
                            odd[odds, 0] = OF_RECORD + (IS_DOUBLE if kind == DOUBLE else 0)
                            odd[odds, 1], odd[odds, 2], odd[odds, 3] = attributes, first - base, second - base
                            odds += 1
                        value, value_end, tail = write_value(kind, first, second, tail)
                        put_range(pairs_at + 32 * attributes, key, key_end, base)
                        put_range(pairs_at + 32 * attributes + 16, value, value_end, base)
                        attributes += 1
                    elif is_span:
                        if number in (1, 2, 4):
                            if wire != BYTES:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            stop = write_id(start, place, 16 if number == 1 else 8, tail)
                            column = TRACE_ID if number == 1 else (SPAN_ID if number == 2 else PARENT_ID)
                            put_range(cell + 16 * column, tail, stop, base)
                            tail = stop
                        elif number in (3, 5):
                            if wire != BYTES:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            if number == 5:
                                put_range(cell + 16 * FIRST_TEXT, start, place, base)
                        elif number in (6, 10, 12, 14):
                            if wire != VARINT:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            if number == 6:
                                level = word & np.uint64(0xFFFFFFFF)
                        elif number in (7, 8):
                            if wire != FIXED64:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            if number == 7:
                                time = min(load64(start), AT_NS_MAX)
                            else:
                                other = min(load64(start), AT_NS_MAX)
                        elif number in (11, 13):
                            if wire != BYTES:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            inner = check(start, place, EVENT if number == 11 else LINK)
                            if inner >= 0 and odds == len(odd):
                                inner = fault_at(FULL, start)
                            if inner < 0:
                                place = inner
                                break
                            odd[odds, 0] = OF_EVENT if number == 11 else OF_LINK
                            odd[odds, 1], odd[odds, 2], odd[odds, 3] = records, start - base, place - base
                            odds += 1
                        elif number == 15:
                            messages += 1
                            if wire != BYTES or messages > 1:
                                place = fault_at(WIRE_TYPE if wire != BYTES else RARE, start)
                                break
                            inner = start
                            while inner < place:
                                number, wire, word, start, inner = field(inner, place)
                                if inner < 0:
                                    break
                                if (number == 2 and wire != BYTES) or (number == 3 and wire != VARINT):
                                    inner = fault_at(WIRE_TYPE, start)
                                    break
                                if number == 2:
                                    put_range(cell + 16 * SECOND_TEXT, start, inner, base)
                                elif number == 3:
                                    code = word & np.uint64(0xFFFFFFFF)
                            if inner < 0:
                                place = inner
                                break
                        elif wire != FIXED32:  # 16, the flags
                            place = fault_at(WIRE_TYPE, start)
                            break
                    elif number in (1, 11):
                        if wire != FIXED64:
                            place = fault_at(WIRE_TYPE, start)
                            break
                        if number == 1:
                            time = min(load64(start), AT_NS_MAX)
                        else:
                            other = min(load64(start), AT_NS_MAX)
                    elif number in (2, 7):
                        if wire != VARINT:
                            place = fault_at(WIRE_TYPE, start)
                            break
                        if number == 2:
                            level = word & np.uint64(0xFFFFFFFF)
                    elif number in (3, 12):
                        if wire != BYTES:
                            place = fault_at(WIRE_TYPE, start)
                            break
                        if number == 3:
                            put_range(cell + 16 * FIRST_TEXT, start, place, base)
                    elif number == 5:
                        messages += 1
                        if wire != BYTES or messages > 1:
                            place = fault_at(WIRE_TYPE if wire != BYTES else RARE, start)
                            break
                        kind, first, second, inner = any_value(start, place)
                        if inner >= 0 and odds == len(odd):
                            inner = fault_at(FULL, start)
                        if inner < 0:
                            place = inner
                            break
                        if kind >= DOUBLE:
                            odd[odds, 0] = OF_BODY + (IS_DOUBLE if kind == DOUBLE else 0)
                            odd[odds, 1], odd[odds, 2], odd[odds, 3] = records, first - base, second - base
                            odds += 1
                        value, value_end, tail = write_value(kind, first, second, tail)
                        put_range(cell + 16 * SECOND_TEXT, value, value_end, base)
                    elif number in (9, 10):
                        if wire != BYTES:
                            place = fault_at(WIRE_TYPE, start)
                            break
                        stop = write_id(start, place, 16 if number == 9 else 8, tail)
                        put_range(cell + 16 * (TRACE_ID if number == 9 else SPAN_ID), tail, stop, base)
                        tail = stop
                    elif number == 8 and wire != FIXED32:
                        place = fault_at(WIRE_TYPE, start)
                        break
                    if tail > room:
                        place = fault_at(FULL, start)
                        break
                if place < 0:
                    record_at = place
                    break
                if is_span:
                    other = other - time if other > time else np.uint64(0)
                elif time == np.uint64(0):
                    time = other
                level_max = np.uint64(KIND_MAX if is_span else SEVERITY_MAX)
                store64(row, time)
                store64(row + 8 * SECOND, other)
                store64(row + 8 * NUMBER, level if level <= level_max else np.uint64(0))
                store64(row + 8 * STATUS_CODE, code if code <= np.uint64(STATUS_MAX) else np.uint64(0))
                store64(row + 8 * SCOPE_ROW, np.uint64(scope_count - 1))
                store64(row + 8 * RESOURCE_ROW, np.uint64(resources - 1))
                store64(row + 8 * PAIRS_END, np.uint64(attributes))
                records += 1
            if record_at < 0:
                scope_at = record_at
                break
        if scope_at < 0:
            at = scope_at
            break
    code, place = fault_of(at, base)
    return records, attributes, facts, resources, scope_count, odds, code, place


@kernel
def not_text(content, offsets, bad) -> int:
    """Note in `bad` the rows of a column of strings that are not UTF-8, and how many there are."""
    base, count = address(content), 0
    for i in range(len(offsets) - 1):
        if not is_text(base + offsets[i], base + offsets[i + 1]):
            bad[count] = i
            count += 1
    return count
