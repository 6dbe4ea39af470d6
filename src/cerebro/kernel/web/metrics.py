"""What the HTTP front counts."""

from prometheus_client import Counter, Histogram

REQUEST_SECONDS = Histogram(
    "cerebro_web_request_seconds",
    "Time from a request's head to its answer's end.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
)
BODIES_REFUSED = Counter("cerebro_web_bodies_refused_total", "Request bodies over the limit.")
