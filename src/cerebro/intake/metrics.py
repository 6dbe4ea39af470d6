"""What intake counts of itself. Tenants are no labels here: each asks `/api/v1/intake` for its own."""

from prometheus_client import Counter, Gauge, Histogram

BODIES = Counter("cerebro_intake_bodies_total", "Bodies answered, by door and status.", ("door", "status"))
BODY_BYTES = Counter("cerebro_intake_body_bytes_total", "Bytes of accepted bodies as sent.", ("door",))
BODY_SECONDS = Histogram(
    "cerebro_intake_body_seconds",
    "From the first byte of a body to its answer.",
    ("door",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
ROWS = Counter("cerebro_intake_rows_total", "Samples, log records and spans taken.", ("signal",))
SAMPLES_REFUSED = Counter("cerebro_intake_samples_refused_total", "Samples not taken from good bodies.", ("reason",))
RECORDS_REFUSED = Counter(
    "cerebro_intake_records_refused_total", "Log records and spans not taken from good bodies.", ("signal", "reason")
)
SERIES_NEW = Counter("cerebro_intake_series_new_total", "Series taken on that this process had not seen.")
SERIES_KNOWN = Gauge("cerebro_intake_series", "Series that tenants with any traffic have, together.")
CATALOGUES_LOADED = Counter(
    "cerebro_intake_catalogues_loaded_total", "Series catalogues read at first contact.", ("outcome",)
)

HOST_LOOK_SECONDS = Histogram(
    "cerebro_intake_host_look_seconds",
    "Time one look at the machine took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
LETTERS_SENT = Counter("cerebro_intake_observer_messages_total", "Messages of the observer that the bus stored.")
LETTERS_DROPPED = Counter(
    "cerebro_intake_observer_messages_dropped_total",
    "Messages of the observer lost, by reason; never meant.",
    ("reason",),
)
JOURNAL_LINES = Counter("cerebro_intake_journal_lines_total", "Lines of the machine's own logs taken.", ("source",))
JOURNAL_SKIPPED = Counter("cerebro_intake_journal_lines_skipped_total", "Lines that could not be read.", ("reason",))
