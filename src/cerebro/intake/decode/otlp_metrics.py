"""OTLP metrics: an ExportMetricsServiceRequest to columns.

Source of the wire format: https://github.com/open-telemetry/opentelemetry-proto, metrics/v1, 1.x.
"""

from cerebro.intake.decode.columns import Decoded
from cerebro.intake.decode.compiled import COMPILED
from cerebro.intake.decode.known import KnownSeries
from cerebro.intake.decode.otlp_metrics_upb import decode_upb


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
    return decode_upb(body, known)
