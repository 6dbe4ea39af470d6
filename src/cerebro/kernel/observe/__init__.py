"""Cerebro watches itself: logs, metrics and traces of its own processes."""
