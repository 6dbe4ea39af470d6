"""Streaming statistics in columns: numbers in, numbers out. One family a file, each with its source."""
