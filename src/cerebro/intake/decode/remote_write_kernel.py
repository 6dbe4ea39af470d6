# mypy: ignore-errors
# ruff: noqa: PLR0912, PLR0915, PLR0917
# Kernels: numba types them by what they are given, and they are long where a call would cost.
"""The walk over a WriteRequest: one pass over the bytes, columns out."""

import numpy as np

from cerebro.intake.decode.columns import LABELS_BYTES_MAX, LABELS_MAX, ROWS_MAX, Reason, reasons
from cerebro.intake.decode.compiled import inlined, kernel
from cerebro.intake.decode.hash import slot_at, xxh64
from cerebro.intake.decode.known import FAMILIES_MAX
from cerebro.intake.decode.labels_kernel import (
    ROW_BYTES,
    ROW_WORDS,
    are_text,
    difference,
    is_metric_name,
    place_at,
    put,
    sort,
    write,
)
from cerebro.intake.decode.wire import (
    BYTES,
    FIXED64,
    FULL,
    TOO_MANY,
    VARINT,
    WIRE_TYPE,
    address,
    copy,
    fault_at,
    fault_of,
    field,
    is_text,
    load64,
    store64,
)

NO_NAME, NO_LABEL_NAME, DUPLICATE_LABEL, TOO_MANY_LABELS, LABELS_TOO_LARGE, BAD_UTF8, NATIVE_HISTOGRAM = (
    reasons.index(reason)
    for reason in (
        Reason.NO_NAME,
        Reason.NO_LABEL_NAME,
        Reason.DUPLICATE_LABEL,
        Reason.TOO_MANY_LABELS,
        Reason.LABELS_TOO_LARGE,
        Reason.BAD_UTF8,
        Reason.NATIVE_HISTOGRAM,
    )
)
GOOD = -1
SLOT, LABEL_COUNT, LABEL_BYTES, METRIC, METRIC_END, LABELS, LABELS_END = 0, 1, 2, 3, 4, 5, 6
FACTS = 7
SCRATCH = LABELS_MAX * (ROW_WORDS + 1)


@inlined
def label(at, end):
    """A Label: start and end of its name and of its value, and the place behind it."""
    name, name_end, worth, worth_end = at, at, at, at
    while at < end:
        number, wire, _, start, at = field(at, end)
        if at < 0:
            break
        if number <= 2:
            if wire != BYTES:
                at = fault_at(WIRE_TYPE, start)
                break
            if number == 1:
                name, name_end = start, at
            else:
                worth, worth_end = start, at
    return name, name_end, worth, worth_end, at


@inlined
def sample(at, end):
    """A Sample: the bits of its value, its time, and the place behind it."""
    bits, at_ms = np.uint64(0), np.uint64(0)
    while at < end:
        number, wire, value, start, at = field(at, end)
        if at < 0:
            break
        if number == 1:
            if wire != FIXED64:
                at = fault_at(WIRE_TYPE, start)
                break
            bits = load64(start)
        elif number == 2:
            if wire != VARINT:
                at = fault_at(WIRE_TYPE, start)
                break
            at_ms = value
    return bits, at_ms, at


@kernel
def walk(body, table, scratch, refused, at_ms, value, index, ids, facts, text, metadata) -> tuple[int, ...]:
    """Fill the columns from a WriteRequest.

    Args:
        body: `uint8`; table: of KnownSeries; scratch: `uint64, (SCRATCH,)`; refused: `int64`, by place in `reasons`.
        at_ms: `int64`, value: `uint64` (the bits of a double), index: `uint32`; one row a sample.
        ids: `uint64, (n, 2)`, facts: `int64, (n, FACTS)`; one row a series.
        text: `uint8`, for the text of unseen series. metadata: `int64, (n, 2)`, ranges in the body.

    Returns:
        Counts of samples, series, bytes of text, metadata and exemplars, then code and place of a fault. With the
        fault FULL a column has no room left.
    """
    body_start = address(body)
    end = body_start + len(body)
    text_start = address(text)
    table_start, table_mask = address(table), np.int64(len(table) - 1)
    rows, order = address(scratch), address(scratch) + LABELS_MAX * ROW_BYTES
    samples, series, families, used, exemplars = 0, 0, 0, 0, 0
    at = body_start
    while at < end:
        number, wire, _, start, at = field(at, end)
        if at < 0:
            break
        if number == 3:
            if wire != BYTES:
                at = fault_at(WIRE_TYPE, start)
                break
            if families == len(metadata):
                at = fault_at(TOO_MANY if families >= FAMILIES_MAX else FULL, start)
                break
            metadata[families, 0], metadata[families, 1] = start - body_start, at - body_start
            families += 1
        if number != 1:
            continue
        if wire != BYTES:
            at = fault_at(WIRE_TYPE, start)
            break

        count, first, reason, inner, name_row = 0, samples, GOOD, start, 0
        is_sorted, last = True, np.uint64(0)
        while inner < at:
            number, wire, _, start, inner = field(inner, at)
            if inner < 0:
                break
            if number > 4:
                continue
            if wire != BYTES:
                inner = fault_at(WIRE_TYPE, start)
                break
            if number == 1:
                row = rows + min(count, LABELS_MAX - 1) * ROW_BYTES
                name, name_end, worth, worth_end, inner = label(start, inner)
                if inner < 0:
                    break
                word = put(row, name, name_end, worth, worth_end, end)
                if name == name_end:
                    reason = NO_LABEL_NAME
                elif is_metric_name(row):
                    name_row = row
                if count > 0 and is_sorted:
                    is_sorted = last < word or difference(row - ROW_BYTES, row) < 0
                last = word
                store64(order + 8 * min(count, LABELS_MAX - 1), np.uint64(row))
                count += 1
            elif number == 2:
                if samples == len(at_ms):
                    inner = fault_at(TOO_MANY if samples >= ROWS_MAX else FULL, start)
                    break
                bits, time, inner = sample(start, inner)
                if inner < 0:
                    break
                at_ms[samples], value[samples], index[samples] = np.int64(time), bits, series
                samples += 1
            elif number == 3:
                exemplars += 1
            elif number == 4:
                refused[NATIVE_HISTOGRAM] += 1
        if inner < 0:
            at = inner
            break
        if samples == first:
            continue

        if count > LABELS_MAX:
            reason = TOO_MANY_LABELS
        elif reason == GOOD and not is_sorted and not sort(rows, count, order):
            reason = DUPLICATE_LABEL
        elif reason == GOOD and (name_row == 0 or place_at(name_row, 2) == place_at(name_row, 3)):
            reason = NO_NAME
        labels, longest, size, metric, metric_end = 0, 0, 0, start, start
        if reason == GOOD:
            metric, metric_end = place_at(name_row, 2), place_at(name_row, 3)
            for i in range(count):
                row = rows + i * ROW_BYTES
                name_size = place_at(row, 1) - place_at(row, 0)
                worth_size = place_at(row, 3) - place_at(row, 2)
                if row != name_row and worth_size > 0:
                    labels += 1
                    longest = max(longest, name_size, worth_size)
                    size += name_size + worth_size + 2
            if size > LABELS_BYTES_MAX:
                reason = LABELS_TOO_LARGE
        hi, lo, slot, place = np.uint64(0), np.uint64(0), 0, text_start + used
        if reason == GOOD:
            if used + size + metric_end - metric + 16 > len(text) or series == len(ids):
                at = fault_at(FULL, start)
                break
            for i in range(count):
                row = np.int64(load64(order + 8 * i))
                if row != name_row and place_at(row, 3) > place_at(row, 2):
                    place = write(place, row, end)
            hi, lo = xxh64(metric, metric_end), xxh64(text_start + used, place)
            slot = slot_at(table_start, table_mask, hi, lo)
            if slot < 0 and not (is_text(metric, metric_end) and are_text(text_start + used, place, labels)):
                reason = BAD_UTF8
        if reason != GOOD:
            refused[reason] += samples - first
            samples = first
            continue

        ids[series, 0], ids[series, 1] = hi, lo
        facts[series, SLOT], facts[series, LABEL_COUNT], facts[series, LABEL_BYTES] = slot, labels, longest
        facts[series, LABELS] = used
        if slot < 0:
            used = place - text_start
        facts[series, LABELS_END], facts[series, METRIC] = used, used
        if slot < 0:
            used = copy(place, metric, metric_end, end) - text_start
        facts[series, METRIC_END] = used
        series += 1
    code, place = fault_of(at, body_start)
    return samples, series, used, families, exemplars, code, place
