"""What the live door counts."""

from prometheus_client import Counter, Gauge

CONNECTIONS = Gauge("cerebro_live_connections", "Open WebSockets of the live door.")
REFUSED = Counter("cerebro_live_refused_total", "Connections refused because there were as many as there may be.")
ENDED = Counter("cerebro_live_ended_total", "Connections that Cerebro ended, by close code.", ["code"])
