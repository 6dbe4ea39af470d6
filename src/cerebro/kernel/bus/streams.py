"""The streams every Cerebro has, by name. Sizes are defaults; settings may change them."""

from cerebro.kernel.bus.port import StreamSpec

GIB = 1 << 30
HOUR_S = 3600.0

METRICS = StreamSpec("metrics", ("telemetry.*.metrics",), 2 * GIB, 24 * HOUR_S)
LOGS = StreamSpec("logs", ("telemetry.*.logs",), GIB, 24 * HOUR_S)
TRACES = StreamSpec("traces", ("telemetry.*.traces",), GIB, 24 * HOUR_S)
EVENTS = StreamSpec("events", ("telemetry.*.events",), GIB // 4, 24 * HOUR_S)
FINDINGS = StreamSpec("findings", ("findings.*",), GIB // 4, 7 * 24 * HOUR_S)

ALL = (METRICS, LOGS, TRACES, EVENTS, FINDINGS)
