"""OTLP metrics: an ExportMetricsServiceRequest to columns.

Source of the wire format: https://github.com/open-telemetry/opentelemetry-proto, metrics/v1, 1.x.
"""

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from cerebro.intake.decode.columns import ROWS_MAX, Decoded, SeriesColumns, counted, reasons
from cerebro.intake.decode.compiled import COMPILED
from cerebro.intake.decode.identity import number_text
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_metrics_upb import decode_upb

if COMPILED:
    from cerebro.intake.decode import otlp_metrics_kernel as kernel
    from cerebro.intake.decode import wire

TEXT_BYTES_MAX = 256 << 20  # label text that one body may unfold to: a histogram's labels stand once a bucket
BOUNDS_MAX = 1 << 15  # bounds of buckets of which the text is kept; a body with more goes to upb


def decode_otlp_metrics(body: bytes, known: KnownSeries, *, compiled: bool = COMPILED) -> Decoded:
    """The samples of an export request in columns; label text only of series that are not in `known`.

    Labels are those of `identity`. What a point becomes:

    | point | series | type |
    |---|---|---|
    | gauge | its name | gauge |
    | sum | its name | counter, or delta; gauge when it may fall; unknown without temporality |
    | histogram | `_bucket` by `le` (added up over the bounds), `_count`, `_sum` | histogram, delta_histogram |
    | exponential histogram | `_count`, `_sum`; its buckets are counted as refused | as a histogram |
    | summary | its name by `quantile`, `_count`, `_sum` | gauge; counter |

    A point flagged "no recorded value" becomes stale markers. Integers become doubles. Times are whole milliseconds,
    rounded down. `refused` counts data points, as OTLP's `partial_success` wants them.

    Args:
        body: Protobuf bytes, decompressed. For JSON see `otlp_json`.
        known: The series of this tenant that were named before; only read.
        compiled: Decode in numba, where upb reads only bodies with rare forms; otherwise all with upb, slowly.

    Raises:
        Invalid: Not an export request of metrics.
        TooLarge: More than `columns.ROWS_MAX` samples, or a body that unfolds to far more than it is.
    """
    decoded = _decode_compiled(body, known) if compiled and COMPILED else None
    return decode_upb(body, known) if decoded is None else decoded


class _Bounds:
    """The texts of bucket bounds that were met, for the kernel: a table by their bits.

    Values of `le` are few and the same in every body; writing a double in decimal is the one thing the kernel cannot.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._texts: dict[int, bytes] = {}
        self.columns = np.zeros((64, 3), np.uint64), np.zeros(8, np.uint8)
        self.add(np.array([np.inf]).view(np.uint64))

    def add(self, bits: NDArray[np.uint64]) -> bool:
        """Remember the texts of bounds, forgetting all others where there are too many; False if these alone are."""
        unique = np.unique(bits)
        if len(unique) >= BOUNDS_MAX:
            return False
        with self._lock:
            if len(self._texts) + len(unique) > BOUNDS_MAX:
                self._texts.clear()
            for each, number in zip(unique.tolist(), unique.view(np.float64).tolist(), strict=True):
                self._texts[each] = number_text(number).encode()
            self._texts[int(kernel.INFINITY_BITS)] = b"+Inf"
            known = np.array(list(self._texts), np.uint64)
            ends = np.cumsum([len(text) for text in self._texts.values()])
            places = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1).astype(np.uint64)
            table = np.zeros((1 << (4 * len(known)).bit_length(), 3), np.uint64)
            kernel.place_bounds(table, known, places)
            self.columns = table, np.frombuffer(b"".join(self._texts.values()) + bytes(8), np.uint8)
            return True


def _decode_compiled(body: bytes, known: KnownSeries) -> Decoded | None:
    """The body as the kernel reads it; None where upb has to."""
    source, scratch = np.frombuffer(body, np.uint8), np.empty(kernel.SCRATCH, np.uint64)
    missing = np.empty(BOUNDS_MAX, np.uint64)
    room = min(len(body) // 96 + 64, ROWS_MAX)
    text_room = min(len(body) + 4096, TEXT_BYTES_MAX)
    while True:
        refused = np.zeros(len(reasons), np.int64)
        at_ms, value = np.empty(room, np.int64), np.empty(room, np.uint64)
        ids, facts = np.empty((room, 2), np.uint64), np.empty((room, kernel.FACTS), np.int64)
        text, (bounds, bound_texts) = np.empty(text_room, np.uint8), _bounds.columns
        samples, used, absent, code, place = kernel.walk(
            source, known.table, bounds, bound_texts, kernel.IDENTITY, kernel.IDENTITY_ENDS, kernel.SUFFIXES, scratch,
            refused, at_ms, value, ids, facts, text, missing,
        )  # fmt: skip
        if absent and code in (wire.NONE, wire.FULL, wire.UNKNOWN_BOUND):
            if not _bounds.add(missing[:absent]):
                return None
        elif code == wire.FULL and samples < room and text_room < TEXT_BYTES_MAX:
            text_room = min(4 * text_room, TEXT_BYTES_MAX)
        elif code == wire.FULL and samples == room and room < ROWS_MAX:
            room = min(4 * room, ROWS_MAX)
        else:
            break
    if code == wire.RARE:
        return None
    if code:
        too_much = code == wire.FULL and samples < ROWS_MAX
        raise wire.error_of("ExportMetricsServiceRequest", wire.TOO_MUCH if too_much else code, place)
    return Decoded(
        at_ms=at_ms[:samples],
        value=value[:samples].view(np.float64),
        series_index=np.arange(samples, dtype=np.uint32),
        series=_series(ids[:samples], facts[:samples], text[:used]),
        refused=counted(refused),
        ignored={},
    )


def _series(ids: NDArray[np.uint64], facts: NDArray[np.int64], text: NDArray[np.uint8]) -> SeriesColumns:
    return SeriesColumns(
        hi=ids[:, 0].copy(),
        lo=ids[:, 1].copy(),
        slot=facts[:, kernel.SLOT].copy(),
        label_count=facts[:, kernel.LABEL_COUNT].astype(np.uint32),
        label_bytes_max=facts[:, kernel.LABEL_BYTES].astype(np.uint32),
        type_code=facts[:, kernel.TYPE].astype(np.uint8),
        metric=facts[:, kernel.METRIC : kernel.METRIC_END + 1],
        unit=facts[:, kernel.UNIT : kernel.UNIT_END + 1],
        labels=facts[:, kernel.LABELS : kernel.LABELS_END + 1],
        text=text,
    )


if COMPILED:
    _bounds = _Bounds()
