"""Columns made row by row, for the upb path: right rather than fast."""

from array import array
from collections import Counter
from collections.abc import Sized

import numpy as np
import xxhash

from cerebro.intake.decode.columns import (
    GROUPS_MAX,
    LABELS_BYTES_MAX,
    LABELS_MAX,
    ROWS_MAX,
    STALE_BITS,
    Decoded,
    Reason,
    SeriesColumns,
)
from cerebro.intake.decode.identity import NAME, SEPARATOR, type_codes
from cerebro.intake.decode.known import KnownSeries
from cerebro.spine.errors import TooLarge
from cerebro.spine.telemetry import SeriesType

Labels = list[tuple[bytes, bytes]]
STALE = float(np.array([STALE_BITS], np.uint64).view(np.float64)[0])


class Rows:
    """Gathers samples and series, then gives them as columns."""

    def __init__(self, known: KnownSeries) -> None:
        self._known = known
        self._at_ms, self._value, self._index = array("q"), array("d"), array("I")
        self._hi, self._lo, self._slot = array("Q"), array("Q"), array("q")
        self._label_count, self._label_bytes_max, self._type = array("I"), array("I"), array("B")
        self._metric, self._unit, self._labels = array("q"), array("q"), array("q")
        self._text = bytearray()
        self.refused: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()

    def series(self, metric: bytes, labels: Labels, kind: SeriesType, unit: bytes) -> int | Reason:
        """Add a series and return its row, or why it is refused."""
        pairs = sorted((name, value) for name, value in labels if value and name != NAME.encode())
        text = b"".join(part + SEPARATOR for pair in pairs for part in pair)
        if not metric:
            return Reason.NO_NAME
        if len(text) > LABELS_BYTES_MAX:
            return Reason.LABELS_TOO_LARGE
        hi, lo = xxhash.xxh64_intdigest(metric), xxhash.xxh64_intdigest(text)
        slot = int(self._known.find(np.array([hi], np.uint64), np.array([lo], np.uint64))[0])
        if slot < 0 and not _is_text(metric, unit, *(part for pair in pairs for part in pair)):
            return Reason.BAD_UTF8
        for ranges, part in ((self._metric, metric), (self._unit, unit), (self._labels, text)):
            ranges.append(len(self._text))
            if slot < 0:
                self._text += part
            ranges.append(len(self._text))
        self._hi.append(hi)
        self._lo.append(lo)
        self._slot.append(slot)
        self._label_count.append(len(pairs))
        self._label_bytes_max.append(max((len(part) for pair in pairs for part in pair), default=0))
        self._type.append(type_codes.index(kind))
        return len(self._hi) - 1

    def forget_from(self, row: int) -> None:
        """Take back the series added at `row` and after; none may have a sample."""
        for column in (self._hi, self._lo, self._slot, self._label_count, self._label_bytes_max, self._type):
            del column[row:]
        for ranges in (self._metric, self._unit, self._labels):
            del ranges[2 * row :]

    def __len__(self) -> int:
        return len(self._hi)

    def sample(self, row: int, at_ms: int, value: float) -> None:
        """Add a sample of a series that was added.

        Raises:
            TooLarge: The body has more samples than `ROWS_MAX`.
        """
        if len(self._at_ms) >= ROWS_MAX:
            raise too_many_rows()
        self._at_ms.append(at_ms)
        self._value.append(value)
        self._index.append(row)

    def decoded(self) -> Decoded:
        """All that was added."""
        series = SeriesColumns(
            hi=np.array(self._hi, np.uint64),
            lo=np.array(self._lo, np.uint64),
            slot=np.array(self._slot, np.int64),
            label_count=np.array(self._label_count, np.uint32),
            label_bytes_max=np.array(self._label_bytes_max, np.uint32),
            type_code=np.array(self._type, np.uint8),
            metric=np.array(self._metric, np.int64).reshape(-1, 2),
            unit=np.array(self._unit, np.int64).reshape(-1, 2),
            labels=np.array(self._labels, np.int64).reshape(-1, 2),
            text=np.frombuffer(bytes(self._text), np.uint8),
        )
        return Decoded(
            at_ms=np.array(self._at_ms, np.int64),
            value=np.frombuffer(self._value.tobytes(), np.float64),
            series_index=np.array(self._index, np.uint32),
            series=series,
            refused={str(reason): count for reason, count in self.refused.items() if count},
            ignored={name: count for name, count in self.ignored.items() if count},
        )


def few(groups: Sized) -> None:
    """Refuse a list of resources or scopes that is longer than `GROUPS_MAX`.

    Raises:
        TooLarge: It is.
    """
    if len(groups) > GROUPS_MAX:
        raise too_many_rows()


def too_many_rows() -> TooLarge:
    """The refusal of a body with more rows than `ROWS_MAX`, or far too many groups of them."""
    return TooLarge(
        f"The body holds more than {ROWS_MAX} rows or {GROUPS_MAX} groups of them.", "Send smaller batches."
    )


def label_fault(labels: Labels) -> Reason | None:
    """Why one list of labels, as sent, names no series."""
    names = [name for name, _ in labels]
    if len(names) > LABELS_MAX:
        return Reason.TOO_MANY_LABELS
    if b"" in names:
        return Reason.NO_LABEL_NAME
    return Reason.DUPLICATE_LABEL if len(set(names)) < len(names) else None


def _is_text(*parts: bytes) -> bool:
    try:
        for part in parts:
            part.decode()
    except UnicodeDecodeError:
        return False
    return True
