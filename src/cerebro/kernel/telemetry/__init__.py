"""Telemetry in ClickHouse: the port, its drivers, the embedded store, the tables and the recorder."""
