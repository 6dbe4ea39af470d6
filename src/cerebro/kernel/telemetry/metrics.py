"""What the recorder counts."""

from prometheus_client import Counter, Gauge, Histogram

ROWS_WRITTEN = Counter("cerebro_telemetry_rows_written_total", "Rows stored.", ["table"])
ROWS_REFUSED = Counter(
    "cerebro_telemetry_rows_refused_total", "Rows that cannot be stored; meant so.", ["table", "reason"]
)
MESSAGES_SET_ASIDE = Counter(
    "cerebro_telemetry_messages_set_aside_total",
    "Messages that could not be stored and are kept as objects.",
    ["stream"],
)
RANGES_REPEATED = Counter(
    "cerebro_telemetry_ranges_repeated_total", "Ranges done again because their end was not known.", ["stream"]
)
ATTEMPTS_FAILED = Counter(
    "cerebro_telemetry_attempts_failed_total", "Inserts that failed and were tried again.", ["stream", "code"]
)
LAG_SECONDS = Gauge(
    "cerebro_telemetry_lag_seconds", "Age of the newest row of a block when it became readable.", ["stream"]
)
BLOCK_ROWS = Histogram(
    "cerebro_telemetry_block_rows",
    "Rows of a block.",
    ["table"],
    buckets=(10, 100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000),
)
INSERT_SECONDS = Histogram(
    "cerebro_telemetry_insert_seconds",
    "From sending a block to its acknowledgement.",
    ["table"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
SPANS_DROPPED = Counter(
    "cerebro_telemetry_spans_dropped_total", "Spans that sampling left out, by what decided their trace.", ["reason"]
)
