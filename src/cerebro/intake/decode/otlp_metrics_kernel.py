# mypy: ignore-errors
# ruff: noqa: PLR0912, PLR0915, PLR0917
# A kernel: numba types it by what it is given, and it is long where a call would cost.
"""The walk over an ExportMetricsServiceRequest: gauges, sums and histograms of one pass; the rest is RARE."""

import numpy as np

from cerebro.intake.decode.columns import (
    BUCKETS_MAX,
    LABELS_BYTES_MAX,
    LABELS_MAX,
    ROWS_MAX,
    STALE_BITS,
    Reason,
    reasons,
)
from cerebro.intake.decode.compiled import inlined, kernel
from cerebro.intake.decode.hash import slot_at, xxh64
from cerebro.intake.decode.identity import RESOURCE_LABELS, type_codes
from cerebro.intake.decode.labels_kernel import (
    ROW_BYTES,
    SEPARATOR,
    are_text,
    difference,
    is_metric_name,
    place_at,
    put,
    sort,
    write,
)
from cerebro.intake.decode.otlp_kernel import (
    DOUBLE,
    ENTITY,
    EXEMPLAR,
    INTEGER,
    KEY_VALUE,
    SCOPE,
    TEXT,
    TRUTH,
    check,
    key_value,
    write_integer,
    write_truth,
)
from cerebro.intake.decode.wire import (
    BYTES,
    FIXED64,
    FULL,
    PACKED,
    RARE,
    TOO_MANY,
    TOO_MUCH,
    UNKNOWN_BOUND,
    VARINT,
    WIRE_TYPE,
    address,
    bits_of,
    compare,
    copy,
    fault_at,
    fault_of,
    field,
    is_text,
    load64,
    store8,
    store64,
)
from cerebro.spine.telemetry import SeriesType

NO_NAME, NO_LABEL_NAME, DUPLICATE_LABEL, TOO_MANY_LABELS, LABELS_TOO_LARGE, BAD_UTF8, BAD_BUCKETS, NO_VALUE = (
    reasons.index(reason)
    for reason in (
        Reason.NO_NAME,
        Reason.NO_LABEL_NAME,
        Reason.DUPLICATE_LABEL,
        Reason.TOO_MANY_LABELS,
        Reason.LABELS_TOO_LARGE,
        Reason.BAD_UTF8,
        Reason.BAD_BUCKETS,
        Reason.NO_VALUE,
    )
)
GAUGE, COUNTER, DELTA_SUM, HISTOGRAM, DELTA_HISTOGRAM, UNKNOWN = (
    type_codes.index(kind)
    for kind in (
        SeriesType.GAUGE,
        SeriesType.COUNTER,
        SeriesType.DELTA,
        SeriesType.HISTOGRAM,
        SeriesType.DELTA_HISTOGRAM,
        SeriesType.UNKNOWN,
    )
)
GOOD = -1
OF_GAUGE, OF_SUM, OF_HISTOGRAM = 5, 7, 9  # numbers of Metric's fields
DELTA, CUMULATIVE = 1, 2
SLOT, LABEL_COUNT, LABEL_BYTES, TYPE, METRIC, METRIC_END, UNIT, UNIT_END, LABELS, LABELS_END = range(10)
FACTS = 10

IDENTITY_MAX = 64  # attributes of a resource that are kept in order to be labels; more can only be repetitions
_IDENTITY_NAMES = sorted(name.encode() for name in RESOURCE_LABELS)
IDENTITY = np.frombuffer(b"".join(_IDENTITY_NAMES) + bytes(8), np.uint8)
IDENTITY_ENDS = np.cumsum([len(name) for name in _IDENTITY_NAMES])
IDENTITY_COUNT = len(_IDENTITY_NAMES)
IDENTITY_SIZES = np.zeros(64, np.bool_)
IDENTITY_SIZES[[len(name) for name in _IDENTITY_NAMES]] = True

ROWS_WORDS = (LABELS_MAX + IDENTITY_MAX) * (ROW_BYTES // 8 + 1)
TEXTS_BYTES = 32 * (LABELS_MAX + IDENTITY_MAX)  # of values that are not text
SCRATCH = ROWS_WORDS + TEXTS_BYTES // 8
SUFFIXES = np.frombuffer(b"_bucket_count_sum" + bytes(16), np.uint8)
BUCKET, COUNT, SUM, PLAIN = 0, 1, 2, 3
SUFFIX_PLACES = ((0, 7), (7, 13), (13, 17))
LE_PREFIX = np.uint64(int.from_bytes(b"le".ljust(8, b"\0"), "big"))
LE = np.uint64(int.from_bytes(b"le\xff", "little"))
INFINITY_BITS = np.uint64(0x7FF0000000000000)
PROBES_MAX = 64


@kernel
def bound_entry(table, mask, bits):
    """Where a bound's text stands in the table; 0 when nowhere, -1 when the table is too crowded to tell."""
    mixed = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B185EBCA87)
    place = np.int64(mixed >> np.uint64(40)) & mask
    for _ in range(PROBES_MAX):
        entry = table + 24 * place
        if load64(entry + 16) == np.uint64(0):
            return 0
        if load64(entry) == bits:
            return entry
        place = (place + 1) & mask
    return -1


@kernel
def place_bounds(table, bits, places) -> None:
    """Fill an empty table, at least four times as large, with bounds and the places of their texts."""
    mask = np.int64(len(table) - 1)
    for i in range(len(bits)):
        mixed = (bits[i] ^ (bits[i] >> np.uint64(29))) * np.uint64(0x9E3779B185EBCA87)
        place = np.int64(mixed >> np.uint64(40)) & mask
        while table[place, 2] != np.uint64(0):
            place = (place + 1) & mask
        table[place, 0], table[place, 1], table[place, 2] = bits[i], places[i, 0], places[i, 1]


@kernel
def is_identity(key, key_end, names, ends):
    """Whether a resource's attribute tells who it is."""
    start = 0
    for i in range(IDENTITY_COUNT):
        if ends[i] - start == key_end - key and compare(key, key_end, names + start, names + ends[i]) == 0:
            return True
        start = ends[i]
    return False


@kernel
def attribute(row, key, key_end, kind, first, second, texts, limit):
    """Write an attribute into a row, its value as text; the place for further texts."""
    if kind == TEXT:
        put(row, key, key_end, first, second, limit)
        return texts
    stop = texts
    if kind == INTEGER:
        stop = write_integer(texts, first)
    elif kind == TRUTH:
        stop = write_truth(texts, first != 0)
    put(row, key, key_end, texts, stop, limit)
    return stop


@kernel
def temporality_of(at, end):
    """Aggregation temporality and monotonicity, which may stand behind the points; and the place."""
    temporality, is_monotonic = np.uint64(0), False
    while at < end:
        number, wire, value, start, at = field(at, end)
        if at < 0:
            break
        if number in (2, 3):
            if wire != VARINT:
                at = fault_at(WIRE_TYPE, start)
                break
            if number == 2:
                temporality = value & np.uint64(0xFFFFFFFF)
            else:
                is_monotonic = value != np.uint64(0)
    return np.int64(temporality), is_monotonic, at


@inlined
def type_of(kind, temporality, is_monotonic):
    """The series type of a metric's points."""
    if kind == OF_GAUGE:
        return GAUGE
    if kind == OF_HISTOGRAM:
        if temporality == DELTA:
            return DELTA_HISTOGRAM
        return HISTOGRAM if temporality == CUMULATIVE else UNKNOWN
    if temporality == DELTA:
        return DELTA_SUM
    if not is_monotonic:
        return GAUGE
    return COUNTER if temporality == CUMULATIVE else UNKNOWN


@kernel
def walk(
    body, table, bounds, bound_texts, names, ends, suffixes, scratch, refused, at_ms, value, ids, facts, text, missing
) -> tuple[int, ...]:
    """Fill the columns from an export request; every sample has a series row of its own, the same one.

    Args:
        body: `uint8`; table: of KnownSeries; bounds: `uint64, (n, 3)` of bits, start and end in bound_texts.
        names, ends: IDENTITY and IDENTITY_ENDS; suffixes: SUFFIXES; scratch: `uint64, (SCRATCH,)`.
        refused: `int64`, by place in `reasons`, of data points.
        at_ms: `int64`, value: `uint64` (the bits of a double), ids: `uint64, (n, 2)`, facts: `int64, (n, FACTS)`.
        text: `uint8`, for the text of unseen series. missing: `uint64`, for bounds that have no text yet.

    Returns:
        Counts of samples, bytes of text and missing bounds, then code and place of a fault.
    """
    body_start = address(body)
    end = body_start + len(body)
    text_start = address(text)
    room = len(text) - 64
    table_start, table_mask = address(table), np.int64(len(table) - 1)
    bounds_start, bounds_mask, bound_text = address(bounds), np.int64(len(bounds) - 1), address(bound_texts)
    names_start, suffix_start = address(names), address(suffixes)
    suffix_limit, bound_limit = suffix_start + len(suffixes), bound_text + len(bound_texts)
    rows = address(scratch)
    order = rows + LABELS_MAX * ROW_BYTES
    resource_rows = order + LABELS_MAX * 8
    resource_order = resource_rows + IDENTITY_MAX * ROW_BYTES
    texts = rows + ROWS_WORDS * 8
    work_max = 16 * len(body) + (64 << 20)
    samples, used, absent, work = 0, 0, 0, 0
    at = body_start
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
        of_resource, place, resources = start, start, 0
        resource, resource_end = start, start
        while place < at:
            number, wire, _, start, place = field(place, at)
            if place < 0:
                break
            if number <= 3:
                if wire != BYTES:
                    place = fault_at(WIRE_TYPE, start)
                    break
                if number == 1:
                    resources += 1
                    resource, resource_end = start, place
        if place >= 0 and resources > 1:
            place = fault_at(RARE, of_resource)
        if place < 0:
            at = place
            break
        identities, resource_size, resource_texts, place = 0, 0, texts, resource
        while place < resource_end:
            number, wire, _, start, place = field(place, resource_end)
            if place < 0:
                break
            if number == 1 and wire == BYTES:
                key, key_end, kind, first, second, inner = key_value(start, place)
                if inner < 0:
                    place = inner
                    break
                size = key_end - key
                if size < 64 and IDENTITY_SIZES[size] and is_identity(key, key_end, names_start, ends):
                    if kind >= DOUBLE:
                        place = fault_at(RARE, start)
                        break
                    row = resource_rows + min(identities, IDENTITY_MAX - 1) * ROW_BYTES
                    if identities < IDENTITY_MAX:
                        resource_texts = attribute(row, key, key_end, kind, first, second, resource_texts, end)
                        resource_size += size + place_at(row, 3) - place_at(row, 2) + 2
                    identities += 1
            elif number == 3 and wire == BYTES:
                inner = check(start, place, ENTITY)
                if inner < 0:
                    place = inner
                    break
            elif number in (1, 3) or (number == 2 and wire != VARINT):
                place = fault_at(WIRE_TYPE, start)
                break
        if place < 0:
            at = place
            break
        resource_fault = GOOD
        if identities > LABELS_MAX:
            resource_fault = TOO_MANY_LABELS
        elif identities > IDENTITY_MAX or not sort(resource_rows, identities, resource_order):
            resource_fault = DUPLICATE_LABEL

        scope_at = of_resource
        while scope_at < at:
            number, wire, _, start, scope_at = field(scope_at, at)
            if scope_at < 0:
                break
            if number != 2:
                continue
            metric_at = start
            while metric_at < scope_at:
                number, wire, _, start, metric_at = field(metric_at, scope_at)
                if metric_at < 0:
                    break
                if number > 3:
                    continue
                if wire != BYTES:
                    metric_at = fault_at(WIRE_TYPE, start)
                    break
                if number == 1:
                    inner = check(start, metric_at, SCOPE)
                    if inner < 0:
                        metric_at = inner
                        break
                if number != 2:
                    continue

                # the metric: its name, unit and one kind of points
                place, name, name_end, unit, unit_end = start, start, start, start, start
                points, points_end, kind_of_points, kinds = start, start, 0, 0
                while place < metric_at:
                    number, wire, _, start, place = field(place, metric_at)
                    if place < 0:
                        break
                    if number > 12 or number in (4, 6, 8):
                        continue
                    if wire != BYTES:
                        place = fault_at(WIRE_TYPE, start)
                        break
                    if number == 1:
                        name, name_end = start, place
                    elif number == 3:
                        unit, unit_end = start, place
                    elif number == 12:
                        inner = check(start, place, KEY_VALUE)
                        if inner < 0:
                            place = inner
                            break
                    elif number >= 5:
                        kinds += 1
                        kind_of_points, points, points_end = number, start, place
                if place >= 0 and (kinds > 1 or kind_of_points >= 10):
                    place = fault_at(RARE, points)
                if place < 0:
                    metric_at = place
                    break
                temporality, is_monotonic = 0, False
                if kind_of_points != OF_GAUGE:
                    temporality, is_monotonic, place = temporality_of(points, points_end)
                    if place < 0:
                        metric_at = place
                        break
                series_type = type_of(kind_of_points, temporality, is_monotonic)

                # the metric's names and unit, once for all its series
                if used + 4 * (name_end - name) + unit_end - unit + 64 > room:
                    metric_at = fault_at(FULL, name)
                    break
                unit_place = used
                used = copy(text_start + used, unit, unit_end, end) - text_start
                unit_stop = used
                plain_place = used
                used = copy(text_start + used, name, name_end, end) - text_start
                plain_stop = used
                hi_plain = xxh64(name, name_end)
                hi_bucket, hi_count, hi_sum = hi_plain, hi_plain, hi_plain
                bucket_place, count_place, sum_place = used, used, used
                if kind_of_points == OF_HISTOGRAM:
                    used = copy(text_start + used, name, name_end, end) - text_start
                    used = copy(text_start + used, suffix_start, suffix_start + 7, suffix_limit) - text_start
                    count_place = used
                    hi_bucket = xxh64(text_start + bucket_place, text_start + used)
                    used = copy(text_start + used, name, name_end, end) - text_start
                    used = copy(text_start + used, suffix_start + 7, suffix_start + 13, suffix_limit) - text_start
                    sum_place = used
                    hi_count = xxh64(text_start + count_place, text_start + used)
                    used = copy(text_start + used, name, name_end, end) - text_start
                    used = copy(text_start + used, suffix_start + 13, suffix_start + 17, suffix_limit) - text_start
                    hi_sum = xxh64(text_start + sum_place, text_start + used)
                sum_stop = used
                metric_is_text, unit_is_text = is_text(name, name_end), is_text(unit, unit_end)

                point_at = points
                while point_at < points_end:
                    number, wire, _, start, point_at = field(point_at, points_end)
                    if point_at < 0:
                        break
                    if number != 1:
                        continue
                    if wire != BYTES:
                        point_at = fault_at(WIRE_TYPE, start)
                        break

                    # the point: its attributes as rows, its numbers
                    attributes_number = 9 if kind_of_points == OF_HISTOGRAM else 7
                    count, own_size, stop, reason = 0, 0, resource_texts, GOOD
                    is_sorted, last = True, np.uint64(0)
                    time, total, bits, flags = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
                    has_number = False
                    counts, counts_end, limits, limits_end = start, start, start, start
                    place = start
                    while place < point_at:
                        number, wire, word, start, place = field(place, point_at)
                        if place < 0:
                            break
                        if number == attributes_number:
                            if wire != BYTES:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            key, key_end, kind, first, second, inner = key_value(start, place)
                            if inner >= 0 and kind >= DOUBLE:
                                inner = fault_at(RARE, start)
                            if inner < 0:
                                place = inner
                                break
                            row = rows + min(count, LABELS_MAX - 1) * ROW_BYTES
                            if count < LABELS_MAX:
                                stop = attribute(row, key, key_end, kind, first, second, stop, end)
                                word = load64(row + 32)
                                if count > 0 and is_sorted:
                                    is_sorted = last < word or difference(row - ROW_BYTES, row) < 0
                                last = word
                                store64(order + 8 * count, np.uint64(row))
                                own_size += key_end - key + place_at(row, 3) - place_at(row, 2) + 2
                            if key == key_end:
                                reason = NO_LABEL_NAME
                            count += 1
                        elif number in (2, 3):
                            if wire != FIXED64:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            if number == 3:
                                time = load64(start)
                        elif kind_of_points == OF_HISTOGRAM:
                            if number in (4, 5, 11, 12):
                                if wire != FIXED64:
                                    place = fault_at(WIRE_TYPE, start)
                                    break
                                if number == 4:
                                    total = load64(start)
                                elif number == 5:
                                    has_number, bits = True, load64(start)
                            elif number in (6, 7):
                                if wire == FIXED64:
                                    place = fault_at(RARE, start)
                                    break
                                if wire != BYTES:
                                    place = fault_at(WIRE_TYPE, start)
                                    break
                                if (place - start) % 8 != 0:
                                    place = fault_at(PACKED, start)
                                    break
                                if number == 6 and counts_end == counts:
                                    counts, counts_end = start, place
                                elif number == 7 and limits_end == limits:
                                    limits, limits_end = start, place
                                elif place > start:
                                    place = fault_at(RARE, start)
                                    break
                            elif number == 8:
                                inner = check(start, place, EXEMPLAR) if wire == BYTES else fault_at(WIRE_TYPE, start)
                                if inner < 0:
                                    place = inner
                                    break
                            elif number == 10:
                                if wire != VARINT:
                                    place = fault_at(WIRE_TYPE, start)
                                    break
                                flags = word
                        elif number in (4, 6):
                            if wire != FIXED64:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            has_number = True
                            bits = load64(start)
                            if number == 6:
                                bits = bits_of(np.float64(np.int64(bits)))
                        elif number == 5:
                            inner = check(start, place, EXEMPLAR) if wire == BYTES else fault_at(WIRE_TYPE, start)
                            if inner < 0:
                                place = inner
                                break
                        elif number == 8:
                            if wire != VARINT:
                                place = fault_at(WIRE_TYPE, start)
                                break
                            flags = word
                    if place < 0:
                        point_at = place
                        break

                    # what refuses a point, in the order of the upb path
                    is_stale = flags & np.uint64(1) != np.uint64(0)
                    buckets = (counts_end - counts) // 8
                    if count > LABELS_MAX:
                        reason = TOO_MANY_LABELS
                    elif reason == GOOD and not is_sorted and not sort(rows, count, order):
                        reason = DUPLICATE_LABEL
                    if resource_fault != GOOD:
                        reason = resource_fault
                    if kind_of_points == OF_HISTOGRAM:
                        if buckets > 0 and (buckets != (limits_end - limits) // 8 + 1 or buckets > BUCKETS_MAX):
                            reason = BAD_BUCKETS
                    elif not has_number and not is_stale:
                        reason = NO_VALUE
                    if reason == GOOD and name == name_end:
                        reason = NO_NAME
                    if reason != GOOD:
                        refused[reason] += 1
                        continue

                    # resource and point merged in canonical form
                    if used + own_size + resource_size > room or samples >= len(at_ms):
                        point_at = fault_at(FULL, start)
                        break
                    base = text_start + used
                    place, split = base, base
                    labels, longest, i, j, is_behind = 0, 0, 0, 0, False
                    while i < count or j < identities:
                        if i == count:
                            step = 1
                        elif j == identities:
                            step = -1
                        else:
                            step = difference(np.int64(load64(order + 8 * i)), np.int64(load64(resource_order + 8 * j)))
                        if step <= 0:
                            row = np.int64(load64(order + 8 * i))
                            i += 1
                            if step == 0:
                                j += 1
                        else:
                            row = np.int64(load64(resource_order + 8 * j))
                            j += 1
                        if kind_of_points == OF_HISTOGRAM and not is_behind:
                            word = load64(row + 32)
                            if word >= LE_PREFIX:  # names that begin with le and NUL bytes sort behind it too
                                is_behind = True
                                split = place
                        if place_at(row, 2) == place_at(row, 3) or is_metric_name(row):
                            continue
                        size = place_at(row, 1) - place_at(row, 0)
                        labels += 1
                        longest = max(longest, size, place_at(row, 3) - place_at(row, 2))
                        place = write(place, row, end)
                        if size == 2 and load64(row + 32) == LE_PREFIX and kind_of_points == OF_HISTOGRAM:
                            point_at = fault_at(RARE, start)  # a bucket's own bound would replace it
                    if point_at < 0:
                        break
                    base_end = place
                    if not is_behind:
                        split = base_end
                    if base_end - base > LABELS_BYTES_MAX:
                        refused[LABELS_TOO_LARGE] += 1
                        continue

                    # the series of the point
                    first_sample, tail, is_checked = samples, base_end - text_start, False
                    time_ms = np.int64(time // np.uint64(1_000_000))
                    cumulated, parts = 0.0, 1
                    if kind_of_points == OF_HISTOGRAM:
                        parts = buckets + 2 if has_number or is_stale else buckets + 1
                    lo_base = xxh64(base, base_end)
                    has_unseen = False
                    work += (base_end - base + 64) * parts
                    if work > work_max:
                        point_at = fault_at(TOO_MUCH, start)
                        break
                    for part in range(parts):
                        if samples >= len(at_ms):
                            point_at = fault_at(FULL, start)
                            break
                        hi, lo, worth = hi_plain, lo_base, bits
                        metric_place, metric_stop = plain_place, plain_stop
                        labels_place, labels_stop, label_count = base - text_start, base_end - text_start, labels
                        longest_here, unit_here = longest, True
                        if kind_of_points == OF_HISTOGRAM:
                            if part < buckets:
                                hi, metric_place, metric_stop, unit_here = hi_bucket, bucket_place, count_place, False
                                cumulated += np.float64(load64(counts + 8 * part))
                                worth = bits_of(cumulated)
                                limit = load64(limits + 8 * part) if part < buckets - 1 else INFINITY_BITS
                                entry = bound_entry(bounds_start, bounds_mask, limit)
                                if entry < 0:
                                    point_at = fault_at(RARE, start)
                                    break
                                if entry == 0:
                                    if absent == len(missing):
                                        point_at = fault_at(UNKNOWN_BOUND, start)
                                        break
                                    missing[absent] = limit
                                    absent += 1
                                    continue
                                size = np.int64(load64(entry + 16)) - np.int64(load64(entry + 8))
                                if tail + base_end - base + size + 16 > room:
                                    point_at = fault_at(FULL, start)
                                    break
                                labels_place = tail
                                place = copy(text_start + tail, base, split, text_start + len(text))
                                store64(place, LE)
                                source = bound_text + np.int64(load64(entry + 8))
                                place = copy(place + 3, source, source + size, bound_limit)
                                store8(place, SEPARATOR)
                                place = copy(place + 1, split, base_end, text_start + len(text))
                                labels_stop = place - text_start
                                label_count = labels + 1
                                longest_here = max(longest, size, 2)
                                lo = xxh64(text_start + tail, place)
                                if labels_stop - labels_place > LABELS_BYTES_MAX:
                                    reason = LABELS_TOO_LARGE
                            elif part == buckets:
                                hi, metric_place, metric_stop, unit_here = hi_count, count_place, sum_place, False
                                worth = bits_of(np.float64(total))
                            else:
                                hi, metric_place, metric_stop = hi_sum, sum_place, sum_stop
                        if is_stale:
                            worth = STALE_BITS
                        slot = slot_at(table_start, table_mask, hi, lo)
                        if reason == GOOD and slot < 0 and not is_checked:
                            is_checked = True
                            if not metric_is_text or not are_text(base, base_end, labels):
                                reason = BAD_UTF8
                        if reason == GOOD and slot < 0 and unit_here and not unit_is_text:
                            reason = BAD_UTF8
                        if reason != GOOD:
                            break
                        at_ms[samples], value[samples] = time_ms, worth
                        ids[samples, 0], ids[samples, 1] = hi, lo
                        facts[samples, SLOT], facts[samples, TYPE] = slot, series_type
                        facts[samples, LABEL_COUNT], facts[samples, LABEL_BYTES] = label_count, longest_here
                        facts[samples, METRIC], facts[samples, METRIC_END] = metric_place, metric_stop
                        facts[samples, UNIT] = unit_place
                        facts[samples, UNIT_END] = unit_stop if unit_here else unit_place
                        facts[samples, LABELS], facts[samples, LABELS_END] = labels_place, labels_stop
                        if slot < 0:
                            has_unseen = True
                            if labels_place == tail:
                                tail = labels_stop
                        samples += 1
                    if point_at < 0:
                        break
                    if reason != GOOD:
                        samples = first_sample
                        refused[reason] += 1
                    elif has_unseen:
                        used = tail
                if point_at < 0:
                    metric_at = point_at
                    break
            if metric_at < 0:
                scope_at = metric_at
                break
        if scope_at < 0:
            at = scope_at
            break
    code, place = fault_of(at, body_start)
    if code == FULL and samples >= ROWS_MAX:
        code = TOO_MANY
    return samples, used, absent, code, place
