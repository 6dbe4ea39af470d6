"""What the bus counts of itself."""

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("cerebro_bus_published_total", "Messages stored.", ["stream"])
PUBLISHED_BYTES = Counter("cerebro_bus_published_bytes_total", "Bytes of the messages stored.", ["stream"])
REFUSED = Counter("cerebro_bus_refused_total", "Messages not stored.", ["reason"])
READ = Counter("cerebro_bus_read_total", "Messages read.", ["stream"])
BROADCASTS_DROPPED = Counter(
    "cerebro_bus_broadcasts_dropped_total", "Broadcasts that a slow listener missed; meant so."
)
RECONNECTED = Counter("cerebro_bus_reconnected_total", "Connections made anew after a loss.")
PUBLISH_SECONDS = Histogram(
    "cerebro_bus_publish_seconds",
    "From the call to the acknowledgement.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
STREAM_BYTES = Gauge("cerebro_bus_stream_bytes", "Bytes that a stream holds, when it was last looked at.", ["stream"])
