"""What the agent counts."""

from prometheus_client import Counter, Gauge, Histogram

SAMPLES = Counter("cerebro_support_samples_total", "Samples read, by what became of them.", ["outcome"])
FINDINGS = Counter("cerebro_support_findings_total", "Findings published, by kind.", ["kind"])
SUPPRESSED = Counter("cerebro_support_suppressed_total", "Series that moved and were told within another's finding.")
SERIES = Gauge("cerebro_support_series", "Series of all tenants, by whether they are judged yet.", ["state"])
BATCH_SECONDS = Histogram(
    "cerebro_support_batch_seconds",
    "Time to judge one message.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
)
SNAPSHOT_SECONDS = Histogram(
    "cerebro_support_snapshot_seconds", "Time to store one snapshot.", buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30)
)
SEQUENCE = Gauge("cerebro_support_sequence", "Sequence of the newest message judged.")
LINES = Counter("cerebro_support_lines_total", "Log lines read, by what became of them.", ["outcome"])
LINE_BATCH_SECONDS = Histogram(
    "cerebro_support_line_batch_seconds",
    "Time to judge one message of log lines.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
TEMPLATES = Gauge("cerebro_support_templates", "Templates of log lines, counted once an entity.")
SPANS = Counter("cerebro_support_spans_total", "Spans read, by what became of them.", ["outcome"])
