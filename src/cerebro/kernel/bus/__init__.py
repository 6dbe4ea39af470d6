"""Streams in order, small shared state, objects and live broadcasts: the port, its drivers, what stands on it."""
